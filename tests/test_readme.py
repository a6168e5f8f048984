"""Every command of README and docs is run: as it stands, or on the smallest thing of its kind."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pandas as pd
import pytest
import trees
import yaml
from distributed import LocalCluster

import sercue
from sercue.cli import main
from sercue.report import notebooks
from sercue.run import Run, open_run
from sercue.settings import read_study

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
BLOCKS = [
    found
    for text in TEXTS.values()
    for found in re.findall(r"```(sh|python)\n(.*?)```", text, flags=re.DOTALL)
]
ELSEWHERE = ROOT / "docs" / "elsewhere.md"
LINES = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()]
# In a clone, `sercue` is `.venv/bin/sercue`.
COMMANDS = list(
    dict.fromkeys(
        " ".join(line.partition(" #")[0].split()).removeprefix(".venv/bin/")
        for line in LINES
        if line
    )
)
SMALL = [
    "model_options={epochs: 1}", "controls=false", "conditions=[none, aligned]",
    "templates=[plain]", "label_orders=1", "replicates=1", "resamples=200", "limit=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def places(cache, tmp_path_factory, small_study):
    """What stands in place of placeholders."""
    folder = tmp_path_factory.mktemp("readme")
    recordings = trees.demo_recordings()
    (folder / "iemocap").mkdir()
    trees.iemocap_tree(folder / "iemocap", recordings)
    files = [(str(file), emotion, f"s{speaker}")
             for emotion, of_speakers in recordings.items()
             for speaker, paths in enumerate(of_speakers) for file in paths]  # fmt: skip
    table = pd.DataFrame(files, columns=["file", "emotion", "speaker"])
    table.to_csv(folder / "corpus.csv", index=False)
    return {
        "/path/to/IEMOCAP_full_release": str(folder / "iemocap"),
        "/path/to/corpus.csv": str(folder / "corpus.csv"),
        "STUDY.yaml": str(small_study.file),
        "reports/a": str(small_study.folder),
        "reports/b": str(small_study.evaluated_again(folder / "other", 0.9)),
    }


@pytest.fixture
def executed(monkeypatch):
    """Settings and chosen notebooks of each study that a command would execute now."""
    asked = []

    def run_notebooks(settings, only=None, command="", manager=None):
        asked.append((settings, only))
        return [notebooks.Outcome(path, "done") for path in notebooks.choose_notebooks(only)]

    monkeypatch.setattr(notebooks, "run_notebooks", run_notebooks)
    return asked


def commands(start):
    return [command for command in COMMANDS if command.startswith(start)]


def arguments(command, places):
    """What follows ``sercue``, with real files in place of placeholders."""
    for placeholder, path in places.items():
        command = command.replace(placeholder, path)
    return shlex.split(command)[1:]


def test_every_command_belongs_to_one_of_these_tests():
    """A new command must be run here, too."""
    subcommands = ("analyse", "check", "compare", "corpora", "models", "run", "schemes", "studies")
    known = ("make ", "vllm serve ", "papermill ", *(f"sercue {name}" for name in subcommands))
    assert len(COMMANDS) > 20
    assert [command for command in COMMANDS if not command.startswith(known)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_of_the_project(page):
    """Sphinx checks those of the docs to headings."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", TEXTS[page])
    found = [link for link in links if not link.startswith("https://")]
    assert [link for link in found if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize("command", commands("make "))
def test_make_knows_its_targets(command):
    """``make test`` is what runs this; the others say what they would do, and are tested apart."""
    done = subprocess.run(
        [*shlex.split(command), "-n"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ".venv" in done.stdout


@pytest.mark.parametrize("command", commands("sercue check"))
def test_check(command, places, capsys):
    assert main(arguments(command, places)) == 0
    assert "all keys and values are valid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "listed"),
    [("corpora", "emodb"), ("models", "sercue-tiny"), ("schemes", "paper"), ("studies", "demo")],
)
def test_lists(command, listed, capsys):
    assert f"sercue {command}" in COMMANDS
    assert main([command]) == 0
    assert listed in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "command",
    # `small_study` itself is what `sercue run STUDY.yaml` makes.
    [
        c
        for c in commands("sercue run ")
        if "model=" not in c and "scheduler=" not in c and c != "sercue run STUDY.yaml"
    ],
)
def test_run(command, places, tmp_path, executed):
    """Checked, and its corpus read as notebook 02 does; other tests execute such studies whole."""
    given = arguments(command, places)
    assert main([*given, "--out", str(tmp_path / "out"), "--set", *SMALL]) == 0
    ((settings, only),) = executed
    assert "--only" not in given or only == ["04", "05"]
    tokens = Run(settings).tokens
    assert len(tokens) >= 8
    assert tokens.notna().all(axis=None)


@pytest.mark.parametrize("command", commands("sercue analyse"))
def test_analyse(command, tmp_path, monkeypatch, executed):
    """With the examples of its page; its notebooks are executed in tests/notebooks."""
    named = r"`(\w+\.\w+)`[^`]*?:\n\n```text\n(.*?)```"
    examples = re.findall(named, TEXTS[ELSEWHERE], re.DOTALL)
    for name, text in examples:
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main([*shlex.split(command)[1:], "--out", "out"]) == 0
    known = json.loads((tmp_path / "out" / "artifacts" / "provenance.json").read_text())
    run = open_run(known["parameters"])
    assert len(run.measures) == 2
    assert run.tests["speakers"].tolist() == [2]


@pytest.mark.parametrize("command", [c for c in commands("sercue run") if "model=" in c])
def test_models_are_keys_that_a_study_takes(command, places):
    """Their weights are not here; that each kind loads and answers is tested in tests/models."""
    given = arguments(command, places)
    changes = dict(text.split("=", 1) for text in given[given.index("--set") + 1 :])
    values = {key: yaml.safe_load(value) for key, value in changes.items()}
    assert read_study(given[1], values).model == changes["model"]


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--copy" in command])
def test_copies(command, places, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments(command, places)) == 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".yaml"]


@pytest.mark.parametrize("command", commands("sercue compare"))
def test_comparison(command, places, tmp_path):
    assert main([*arguments(command, places), "--out", str(tmp_path / "compared")]) == 0
    assert (tmp_path / "compared" / "compare.html").is_file()


def test_several_machines(places, tmp_path, monkeypatch, executed):
    """Its cluster as it stands, with a cluster on this machine in place of SLURM's; its command.

    It is checked while the cluster stands; tests/workers execute notebooks on one.
    """
    (block,) = [block for block in python_blocks() if "dask_jobqueue" in block]
    (command,) = [c for c in commands("sercue run") if "scheduler=" in c]
    addresses = []
    jobs = types.ModuleType("dask_jobqueue")
    jobs.SLURMCluster = local_cluster
    monkeypatch.setitem(sys.modules, "dask_jobqueue", jobs)
    monkeypatch.setenv("DASK_LOGGING__DISTRIBUTED", "critical")

    def run_meanwhile(prompt):
        given = arguments(command, places | {"tcp://HOST:8786": addresses[0]})
        assert main([*given, "--out", str(tmp_path / "out"), "--set", *SMALL]) == 0

    names = {"input": run_meanwhile, "print": addresses.append}
    exec(block, names)
    names["cluster"].close(timeout=60)
    ((settings, only),) = executed
    assert (settings.scheduler, only) == (addresses[0], None)


def local_cluster(*, queue, walltime, memory, job_extra_directives, scheduler_options, **options):
    """One worker of those that are asked for; what only SLURM has is left aside."""
    threads, number = options["cores"] // options["processes"], options["processes"]
    return OneWorker(n_workers=number, threads_per_worker=threads, dashboard_address=None,
                     silence_logs=False)  # fmt: skip


class OneWorker(LocalCluster):
    """A cluster that has no more machines than this one."""

    def scale(self, jobs):
        return super().scale(min(jobs, 1))


def python_blocks():
    return [block for kind, block in BLOCKS if kind == "python"]


def test_what_is_done_with_a_run(small_study, tmp_path):
    """A figure is restyled and saved, a token changed by hand, a condition of one's own asked."""
    blocks = [block for block in python_blocks() if re.search(r"\brun\b", block)]
    folder = shutil.copytree(small_study.folder, tmp_path / "copy")
    run = open_run(small_study.settings | {"out": str(folder)})
    names = {"run": run, "sercue": sercue}
    for block in blocks:
        exec(block, names)
    drawn = (folder / "figures" / "uar.svg").read_bytes()
    assert drawn != (small_study.folder / "figures" / "uar.svg").read_bytes()
    assert set(names["answers"]["condition"]) == {"none", "aligned", "extreme"}


def test_the_package_as_a_library(cache, monkeypatch, capsys):
    """As it stands, but with a small corpus and a short training."""
    (block,) = [block for block in python_blocks() if "load_corpus" in block]
    load_corpus, load_model = sercue.load_corpus, sercue.load_model
    monkeypatch.setattr(
        sercue, "load_corpus", lambda name: load_corpus(name, speakers=6, sentences=2)
    )
    monkeypatch.setattr(
        sercue,
        "load_model",
        lambda *names, **options: load_model(*names, **options, options={"epochs": 1}),
    )
    exec(block, {})
    assert "condition reference" in capsys.readouterr().out
