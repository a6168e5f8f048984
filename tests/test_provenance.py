"""provenance.json: all that it takes to repeat a run, whoever writes it, and no private word."""

import json
import os
import re
import subprocess
import sys
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sercue import provenance
from sercue.errors import InputError
from sercue.privacy import shareable, shareable_command
from sercue.provenance import KEPT_RUNS, environment, invocation, read, record
from sercue.run import open_run
from sercue.settings import Settings
from sercue.study_corpus import corpus_facts

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "artifacts" / "provenance.json"


def python(code, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], **options)


def test_processes_that_record_at_once_lose_nothing(path):
    """Two runs on one study: each entry of either is there, and the file is whole."""
    code = (
        "import sys; from pathlib import Path; from sercue.provenance import record\n"
        "for n in range(25): record(Path(sys.argv[1]), seconds={f'{sys.argv[2]}{n}': n})"
    )
    started = [python(code, path, name) for name in "abc"]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert set(read(path)["seconds"]) == {f"{name}{n}" for name in "abc" for n in range(25)}
    left = {file.name for file in path.parent.iterdir()}
    assert left <= {"provenance.json", ".provenance.json.lock"}


def test_a_process_that_was_killed_leaves_no_lock(path):
    """Or nobody could run the study again."""
    code = (
        "import os, sys; from pathlib import Path; from sercue.provenance import record\n"
        "from sercue.provenance import _changed\n"
        "_changed(Path(sys.argv[1]), lambda held: os._exit(9))"
    )
    assert python(code, path).wait() == 9
    record(path, model="a")
    assert read(path) == {"model": "a"}


def test_what_is_set_anew_replaces_what_was_there(path):
    """A package that is gone, or a second graphics card that is, must not stay in the record."""
    record(path, packages={"a": "1", "b": "2"}, seconds={"01": 1.0})
    record(path, packages={"a": "1"}, seconds={"02": 2.0})
    assert read(path) == {"packages": {"a": "1"}, "seconds": {"01": 1.0, "02": 2.0}}


def test_a_damaged_file_is_named_and_not_written_over(path):
    path.parent.mkdir()
    path.write_text('{"model": ')
    with pytest.raises(InputError, match=rf"{path}: no provenance .* cannot be read"):
        record(path, model="b")
    assert path.read_text() == '{"model": '


def test_all_packages_that_are_needed_are_named_with_the_versions_that_pip_lists():
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "list", "--format", "json"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    installed = {_canonical(one["name"]): one["version"] for one in json.loads(listed)}
    told = environment()["packages"]
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {*needed, "sercue"} <= set(told)
    # Named by none of ours: what decodes audio, reads weights, and runs a notebook's cells.
    assert {"cffi", "safetensors", "nbclient", "tokenizers"} <= set(told)
    assert {name: installed[name] for name in told} == told
    # Tools of developers decide no result.
    assert not {"ruff", "mypy", "pytest"} & set(told)


def _canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_machine_is_described_without_its_name():
    told = environment()
    assert told["hardware"]["cores"] == os.cpu_count()
    assert told["hardware"]["memory_bytes"] > 1e8
    if "model name" in Path("/proc/cpuinfo").read_text():
        assert told["hardware"]["cpu"] in Path("/proc/cpuinfo").read_text()
    assert set(told) == {"versions", "packages", "platform", "git", "hardware"}


def test_threads_are_those_of_torch_and_torch_is_not_loaded_to_ask():
    """The command line starts in a second, and does without it."""
    code = (
        "import sys; from sercue.provenance import torch_facts; first = torch_facts()\n"
        "assert first == {} and 'torch' not in sys.modules\n"
        "import torch; torch.set_num_threads(3); print(torch_facts())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'threads': 3" in done.stdout
    assert "'gpus': [" in done.stdout


def test_every_invocation_is_kept_with_what_became_of_it(path):
    """A study that was resumed must be told from one that ran through."""
    with invocation(path, "sercue run a.yaml", ["01", "02"]) as run:
        assert read(path)["runs"][0]["outcome"] == "not ended"
        run["outcome"] = "done"
    with (
        pytest.raises(KeyboardInterrupt),
        invocation(path, "sercue run a.yaml --only 04", ["04"]),
    ):
        raise KeyboardInterrupt
    code = (
        "import os, sys; from pathlib import Path; from sercue.provenance import invocation\n"
        "with invocation(Path(sys.argv[1]), 'killed', ['05']): os._exit(9)"
    )
    assert python(code, path).wait() == 9
    held = read(path)
    assert held["run_count"] == 3
    runs = held["runs"]
    assert [run["number"] for run in runs] == [1, 2, 3]
    outcomes = ["done", "stopped: KeyboardInterrupt", "not ended"]
    assert [run["outcome"] for run in runs] == outcomes
    assert [run["ended"] is None for run in runs] == [False, False, True]
    assert runs[1]["command"] == "sercue run a.yaml --only 04"
    for run in runs:
        begun = datetime.fromisoformat(run["started"])
        assert begun.utcoffset() == timedelta(0)
        assert run["ended"] is None or datetime.fromisoformat(run["ended"]) >= begun


def test_the_history_does_not_grow_without_end(path):
    record(path, runs=[{"number": n} for n in range(1, KEPT_RUNS + 1)], run_count=KEPT_RUNS)
    with invocation(path, "again", []) as run:
        run["outcome"] = "done"
    held = read(path)
    assert held["run_count"] == KEPT_RUNS + 1
    assert [run["number"] for run in held["runs"]] == list(range(2, KEPT_RUNS + 2))


def test_a_finished_study_says_when_each_notebook_ran(small_study):
    held = read(small_study.folder / "artifacts" / "provenance.json")
    assert sorted(held["notebooks"]) == sorted(held["seconds"])
    for name, seconds in held["seconds"].items():
        times = held["notebooks"][name]
        began, ended = (datetime.fromisoformat(times[end]) for end in ("started", "ended"))
        # Both are cut to whole seconds.
        assert abs((ended - began).total_seconds() - seconds) < 2
        assert times["outcome"] == "done"
    assert held["runs"][0]["outcome"] == "done"
    assert held["runs"][0]["notebooks"] == ["01", "02", "03", "04", "05"]
    assert held["torch"]["threads"] >= 1
    assert held["model"]["identity"].startswith("sercue-tiny@")
    assert re.fullmatch("[0-9a-f]{16}", held["corpus"]["annotations"])


def test_other_labels_are_another_corpus(small_study, tmp_path):
    """The same recordings under corrected labels: content alone would not tell."""
    corpora = []
    for name, drop in (("all", []), ("some", ["sad"])):
        run = open_run(small_study.settings | {"out": str(tmp_path / name), "drop_labels": drop})
        _ = run.digests
        corpora.append(run)
    changed = corpora[0].corpus.table.assign(emotion="angry")
    digests = corpora[0].digests
    first = corpus_facts(corpora[0].corpus, digests)
    other = corpus_facts(corpora[0].corpus.with_table(changed), digests)
    assert first["content"] == other["content"]
    assert first["annotations"] != other["annotations"]
    shuffled = corpora[0].corpus.table.iloc[::-1]
    again = corpus_facts(corpora[0].corpus.with_table(shuffled), digests.iloc[::-1])
    assert again == first, "the order of the rows is no property of a corpus"


PRIVATE = ["someone", "gpu7", "private.lab", "s3cret", "/home", "/srv", "C:"]


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("corpus_root", "/home/someone/emodb", "emodb"),
        ("corpus_root", "../../someone/emodb", "emodb"),
        ("corpus_root", "C:\\Users\\someone\\emodb", "emodb"),
        ("out", "/home/someone/reports/x", "x"),
        ("model", "hf:/srv/someone/mine", "hf:mine"),
        ("baselines", ["clap", "clap:/srv/someone/mine"], ["clap", "clap:mine"]),
        ("corpus_options", {"a": ["/home/someone/x.csv", 3]}, {"a": ["x.csv", 3]}),
        ("model_options", {"base_url": "http://gpu7.private.lab:8000/v1"},
         {"base_url": "http://HOST:8000/v1"}),
        ("model_options", {"base_url": "https://gpu7/v1"}, {"base_url": "https://HOST/v1"}),
        ("corpus_options", {"dataset": "file:///home/someone/x"}, {"dataset": "x"}),
        ("corpus_options", {"repository": "org/name"}, {"repository": "org/name"}),
    ],
)  # fmt: skip
def test_parameters_name_no_folder_no_user_and_no_server(path, key, value, shown):
    """Neither in ``provenance.json`` nor in the command line of the index."""
    told = shareable(Settings(**{key: value}))
    assert told[key] == shown
    command = shareable_command(["run", "a.yaml", "--set", f"{key}={json.dumps(value)}"])
    for private in PRIVATE:
        assert private not in json.dumps(told)
        assert private not in command
    other = {name: told[name] for name in told if name != key}
    assert other == {name: v for name, v in Settings().model_dump().items() if name != key}


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["run", "/home/someone/a.yaml", "--out", "/srv/x"], "sercue run a.yaml --out x"),
        (["run", "a.yaml", "--out=/srv/x"], "sercue run a.yaml --out=x"),
        (["run", "a.yaml", "--set=corpus_root=/srv/x"], "sercue run a.yaml --set=corpus_root=x"),
        (["run", "a.yaml", "--set", "bins=5", "seed=1"], "sercue run a.yaml --set bins=5 seed=1"),
        (["analyse", "a", "--model-name", "hf:/srv/m"], "sercue analyse a --model-name hf:m"),
        (["analyse", "a", "--model-name", "/srv/m"], "sercue analyse a --model-name m"),
        (["analyse", "a", "--model-name=hf:~/m"], "sercue analyse a --model-name=hf:m"),
        (["analyse", "a", "--model-name", "hf:o/m"], "sercue analyse a --model-name hf:o/m"),
        (["compare", "/srv/a", "reports/b"], "sercue compare a reports/b"),
        (["run", "a.yaml", "--set", "labels={a: /b"], "sercue run a.yaml --set 'labels={a: /b'"),
    ],
)
def test_a_command_line_is_shown_without_folders(words, shown):
    assert shareable_command(words) == shown


def test_a_study_of_a_served_model_does_not_say_where_it_is_served(tmp_path):
    """Opened alone: what is recorded is recorded before the server is asked anything."""
    url = "http://gpu7.private.lab:8000/v1"
    values = {"model": "endpoint:m", "model_options": {"base_url": url}, "out": str(tmp_path)}
    open_run(values)
    text = (tmp_path / "artifacts" / "provenance.json").read_text()
    assert "http://HOST:8000/v1" in text
    assert not [private for private in ("gpu7", "private.lab", str(tmp_path)) if private in text]


@pytest.mark.parametrize(("told", "clean"), [("", True), (" M run.py", False)])
def test_a_checkout_with_changes_is_not_clean(monkeypatch, told, clean):
    """`git status --porcelain` prints a line for each changed file, and nothing else."""
    said = {"rev-parse": "5ca1ab1e", "status": told}
    monkeypatch.setattr(provenance, "_output", lambda _, command, *__: said[command])
    assert provenance.git() == {"commit": "5ca1ab1e", "clean": clean}
