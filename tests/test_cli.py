"""The command line: what is valid, what is told, and the exit status."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sercue.check import study as check
from sercue.cli import main
from sercue.models.cards import CARDS
from sercue.report import notebooks as reports
from sercue.report.notebooks import Outcome
from sercue.settings import read_study
from sercue.storage.tables import read_parts

NOTHING_FOUND = pd.DataFrame({"verdict": []})


@pytest.fixture
def study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: mine\n")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "modle=x"], "unknown study key 'modle': did you mean 'model'?"),
        (["--set", "seed"], "--set: found 'seed', valid is KEY=VALUE"),
        (["--set", "labels=[a"], "--set labels: '[a' is not valid YAML"),
        (["--set", "corpus=emobd"], "unknown corpus 'emobd': did you mean 'emodb'?"),
        (["--set", "corpus=emodb"], "corpus_root"),
        (["--set", "corpus=emodb", "corpus_root=nowhere"], "nothing found at 'nowhere'"),
        (["--set", "conditions=[algned]"], "did you mean 'aligned'?"),
    ],
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_bad_input_is_told_before_anything_runs(command, arguments, message, study, capsys, cache):
    assert main([command, study, *arguments]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("sercue: error: ")
    assert message in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "sed=1"], "--set sed: unknown study key 'sed': did you mean 'seed'?"),
        (["--set", "seed=x"], "--set seed: found 'x'; Input should be a valid integer"),
        (["--out", " "], "--out: found ' '; valid is a text that is not empty"),
    ],
)
def test_an_option_is_blamed_for_what_it_sets_and_not_the_file(arguments, message, study, capsys):
    assert main(["check", study, *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"sercue: error: {message}")


def test_shipped_studies_are_known_by_name_and_can_be_copied(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["studies"]) == 0
    assert "demo\n    The demo: synthetic speech" in capsys.readouterr().out
    assert main(["studies", "--copy", "demo"]) == 0
    assert read_study("demo.yaml") == read_study("demo")
    assert main(["studies", "--copy", "demo"]) == 2
    assert main(["studies", "--copy", "dmeo"]) == 2
    told = capsys.readouterr().err
    assert "--copy demo: demo.yaml is there already" in told
    assert "unknown study 'dmeo': did you mean 'demo'?" in told


@pytest.mark.parametrize(
    "arguments",
    [
        "--only 04 05 {} --set seed=1 bins=5 --out here",
        "--set seed=1 bins=5 {} --only 04 05 --out here",
        "{} --out here --only=04 --only=05 --set=seed=1 bins=5",
        "--out here --set seed=1 --only 04 5 --set bins=5 -- {}",
    ],
)
def test_options_and_the_study_file_stand_in_any_order(arguments, study, monkeypatch):
    def run(settings, only, command, manager):
        told.append((settings.seed, settings.bins, settings.out, [int(number) for number in only]))
        return [Outcome(Path("04.ipynb"), "done")]

    told = []
    monkeypatch.setattr(reports, "run_notebooks", run)
    monkeypatch.setattr(check, "check_study", lambda _: check.StudyCheck(NOTHING_FOUND, [("", "")]))
    assert main(["run", *arguments.format(study).split()]) == 0
    assert told == [(1, 5, "here", [4, 5])]


def test_folders_to_compare_stand_before_and_behind_an_option(tmp_path, capsys):
    assert main(["compare", "nowhere", "--out", str(tmp_path), "neither"]) == 2
    assert "no artifacts/provenance.json in it" in capsys.readouterr().err


class TestAnErrorThatNobodyForesaw:
    @pytest.fixture
    def told(self, study, monkeypatch, capsys):
        """What is told of it, and the file that the message names."""

        def fail(error):
            def raises(*_, **__):
                raise error

            monkeypatch.setattr(check, "check_study", raises)
            assert main(["check", study]) == 1
            (line,) = capsys.readouterr().err.splitlines()
            log = Path(line.rpartition(" is in ")[2])
            written = log.read_text(encoding="utf-8")
            log.unlink()
            return line, written

        return fail

    def test_is_told_in_one_line_with_a_file_that_holds_the_rest(self, told):
        line, log = told(KeyError("first\nsecond"))
        assert line.startswith(
            "sercue: error: `sercue check` failed in _check of sercue/cli.py: KeyE"
        )
        assert "second" not in line.rpartition("; ")[0] or "\\nsecond" in line
        assert "Traceback (most recent call last)" in log
        assert "in raises" in log

    def test_is_told_by_its_beginning(self, told):
        line, log = told(ValueError("x" * 100_000))
        assert len(line) < 500
        assert "x" * 100_000 in log

    def test_may_hold_what_no_text_has(self, told):
        line, log = told(OSError("a\udcff"))
        assert r"a\udcff" in line
        assert r"a\udcff" in log

    def test_is_stored_without_keys_and_folders(self, told, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
        line, log = told(RuntimeError(f"{Path.home()}/mine: sk-0123456789"))
        for text in (line.rpartition("; ")[0], log):
            assert "~/mine: [key]" in text
            assert "sk-0123456789" not in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_in_other_letters_are_printed_whatever_the_terminal_has(encoding):
    code = "cli._corpora = lambda *_: print('怒り') or 0; raise SystemExit(cli.main(['corpora']))"
    command = [sys.executable, "-c", f"from sercue import cli; {code}"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, rb"\u6012\u308a"), done.stderr


def test_an_unknown_model_is_told_by_its_nearest(study, capsys, small_study):
    small = str(small_study.file)
    assert main(["check", small, "--set", "model=qwen2-audoi"]) == 2
    assert "unknown model 'qwen2-audoi': did you mean 'qwen2-audio'?" in capsys.readouterr().err


def test_a_notebook_that_is_not_there_is_told(study, capsys):
    assert main(["run", study, "--only", "07"]) == 2
    assert "unknown notebook '07'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["check", "--quick"], ["run"]])
def test_a_package_without_notebooks_is_told_before_anything_is_read(
    command, study, tmp_path, capsys, monkeypatch
):
    """An installation that lost them: the check passed, and then `run` refused."""
    monkeypatch.setattr(reports, "notebooks_folder", lambda: tmp_path / "notebooks")
    assert main([*command, study, "--out", str(tmp_path / "out")]) == 2
    assert f"no notebook 01_*.ipynb ... in {tmp_path / 'notebooks'}" in capsys.readouterr().err


def test_a_partition_with_one_speaker_is_told_before_the_study(small_study, capsys):
    """Six speakers give two for development; with three there is one, and no interval over it."""
    three = ["partition=dev", "corpus_options={speakers: 3, sentences: 1}"]
    assert main(["check", str(small_study.file), "--set", *three]) == 2
    assert "'dev' of corpus 'demo' has 4 utterances of 1 speaker;" in capsys.readouterr().err


def test_check_says_what_limits_the_inference_before_the_hours_are_spent(small_study, capsys):
    """Two of six speakers are test: 2 / 2^2."""
    assert main(["check", str(small_study.file), "--quick"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "inference With 2 speakers a sign-flip test cannot give a p-value below 2/2^2" in told
    assert "all 6 speakers of the corpus are evaluated" in told


def test_check_counts_the_prompts(small_study, capsys):
    """16 utterances of 2 test speakers x (3 conditions + 2 random ones x 2) x 2 x 2, by hand."""
    assert main(["check", str(small_study.file), "--quick"]) == 0
    told = capsys.readouterr().out
    assert "48 utterances" in told
    assert "16 utterances of 'test' x 7 conditions and replicates x 2 templates x 2" in told
    assert "= 448 prompts at most" in told
    # It is trained, which only the longer check looks up.
    assert "trained on the training partition unless that was done before" in told
    assert "\ntime" not in told


def test_check_measures_unless_it_is_to_be_quick(small_study, capsys):
    """The finished study has its features and its model in the cache: all can be counted."""
    predictions = read_parts(small_study.folder / "artifacts" / "predictions")
    different = len(predictions[["audio", "prompt"]].drop_duplicates())
    assert main(["check", str(small_study.file)]) == 0
    told = capsys.readouterr().out
    assert f"= 448 prompts, {different} after merging equal ones" in told
    assert "sercue-tiny: trained on this corpus already" in told
    assert re.search(r"context +at most \d+ tokens .*; the model takes 4096", told)
    assert re.search(r"time +about .* for all answers: .* measured on \d+ ", told)


def test_compare_writes_a_page_and_says_where(small_study, tmp_path, capsys):
    assert main(["compare", str(small_study.folder), "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"comparison: {tmp_path / 'compare.html'}\n"
    page = (tmp_path / "compare.html").read_text(encoding="utf-8")
    assert f"sercue compare {small_study.folder.name} --out {tmp_path.name}" in page


def test_compare_tells_what_is_no_run(small_study, tmp_path, capsys):
    folders = [str(small_study.folder), str(tmp_path / "nowhere")]
    assert main(["compare", *folders, "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert "nowhere: no artifacts/provenance.json in it" in told.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "names"),
    [("corpora", ["demo", "emodb", "table"]), ("models", ["sercue-tiny", "qwen2-audio"])],
)
def test_what_is_there_is_listed(command, names, capsys):
    assert main([command]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in names)


def test_the_models_are_listed_for_a_terminal(capsys):
    """One reads there what to choose: names that stand for many, what fits here, in 100 columns."""
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split(":")[0] for line in lines[-2:]] == ["hf", "endpoint"]
    labels = [line.split()[0] for line in lines if re.match(r"  \S", line)]
    assert labels.count("fits") == labels.count("cached") == labels.count("licence") == len(CARDS)


def test_the_command_is_installed_and_help_is_quick_to_read():
    done = subprocess.run(
        [sys.executable, "-m", "sercue.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert all(word in done.stdout for word in ("run", "check", "compare", "corpora", "models"))
