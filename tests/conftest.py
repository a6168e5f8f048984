"""What several test files share: a cache of their own, and one small study that was run."""

import gc
import itertools
import os
import shutil
import socket
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from hypothesis import settings
from jupyter_client.connect import LocalPortCache
from odd_study import run_odd_study

from sercue.cli import main
from sercue.report import kernels
from sercue.run import open_run
from sercue.tables import exhibits

# Tests share the cores, with each other and with the kernels that they start: models this small
# are no faster on several threads, and several times slower where these wait for each other. In
# this process torch reads it, too, which is not loaded yet.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT"):
    os.environ.setdefault(name, "1")

# What is imported and collected stays: a search for garbage among it takes long, and finds none.
gc.set_threshold(50_000)

# A test never fails because the machine is slow.
settings.register_profile("sercue", deadline=None, max_examples=25)
settings.load_profile("sercue")

# Six speakers (of twenty-four) and two sentences (of eight), one short training: the whole way
# of a study in well under a minute. Nothing is to be learnt from its numbers.
SMALL = {
    "study": "small",
    "corpus_options": {"speakers": 6, "sentences": 2},
    "model_options": {"epochs": 1},
    "conditions": ["none", "aligned", "shuffled", "conflicting", "corrupted(0.5)"],
    "templates": ["plain", "question"],
    "tuning_limit": 8,
    "resamples": 500,
}


# Folder of tests to the mark that its tests have; files that take long by themselves.
MARKS = {"faults": "faults", "in_browser": "browser", "workers": "workers", "notebooks": "slow"}
LONG = {
    "test_adapter", "test_ahead", "test_bad_recordings", "test_calibration", "test_cells",
    "test_check_context", "test_check_study", "test_check_time", "test_conclusions_of_controls",
    "test_confounded_corpus", "test_contrastive", "test_controls", "test_corpus_studies",
    "test_demo", "test_designs_comparison", "test_endpoint", "test_endpoint_scoring",
    "test_execution", "test_features_descriptors", "test_kernels", "test_no_python_shown",
    "test_no_secrets", "test_nothing_outside", "test_private_provenance", "test_readme",
    "test_same_bytes", "test_same_samples", "test_same_tokens", "test_stale_results",
    "test_study_files_fuzzed", "test_study_killed", "test_tiny", "test_wheel",
}  # fmt: skip
#: The longest of those that need the shared study.
FIRST = "test_same_bytes"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One process more than cores: each waits at times for kernels and servers that it started."""
    return os.cpu_count() + 1


def pytest_collection_modifyitems(items):
    """Mark what ``make quick`` leaves out, and put it first: no process ends with a long file.

    One process makes the study that many share, while the others have long files that run
    studies of their own: nobody need wait for it.
    """
    shared = {item.path for item in items if "small_study" in item.fixturenames}
    marked = set()
    for item in items:
        mark = MARKS.get(item.path.parent.name)
        if mark is None and (item.path.stem in LONG or "small_study" in item.fixturenames):
            mark = "slow"
        if mark is not None:
            item.add_marker(mark)
            marked.add(item.path)
    alone = {path for path in marked - shared if path.stem in LONG}
    items.sort(
        key=lambda item: (
            item.path.stem != FIRST, item.path not in alone, item.path not in marked
        )
    )  # fmt: skip


def pytest_collection_finish():
    gc.freeze()


@dataclass(frozen=True)
class SmallStudy:
    """A finished small study: its settings and file, its folder, the command's exit status.

    A copy of what the run left is kept, since tests go on in the folder.
    """

    settings: dict[str, Any]
    file: Path
    folder: Path
    status: int
    as_left: Path

    def evaluated_again(self, folder: Path, confidence: float) -> Path:
        """The same answers, evaluated at another level: a study of other settings."""
        shutil.copytree(self.folder, folder)
        named = {"out": str(folder), "study": folder.name, "confidence": confidence}
        run = open_run(self.settings | named, reuse=True)
        _ = run.measures, run.tests
        return folder


@pytest.fixture(scope="session", autouse=True)
def ports_of_its_own():
    """Tests run side by side, and plain papermill gives up where a kernel finds a port taken.

    Each process of the tests has a range, beneath the ports that the system gives out.
    """
    first = 20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = itertools.cycle(range(first, first + 1_000))

    def find_available_port(_, ip):
        return next(port for port in ports if is_free(ip, port))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalPortCache, "find_available_port", find_available_port)
        yield


@pytest.fixture(scope="session", autouse=True)
def imported_once():
    """Kernels of all runs in a process of the tests are forked from one that has imported all."""
    own, managers = kernels.forked_kernels, []

    @contextmanager
    def forked_kernels(*_):
        if not managers:
            managers.append(opened.enter_context(own(*kernels.imported_for(None))))
        yield managers[0]

    with ExitStack() as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "forked_kernels", forked_kernels)
        yield


def is_free(ip, port):
    with socket.socket() as one:
        return one.connect_ex((ip, port)) != 0


def made_once(tmp_path_factory, name, make):
    """A folder that the first process of the tests to ask for it makes, for all of them.

    Nothing in it is to be changed.
    """
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent
    with FileLock(place / f"{name}.lock"):
        if not (place / f"{name}.made").exists():
            # Of a process that was ended while it made it.
            shutil.rmtree(place / name, ignore_errors=True)
            (place / name).mkdir()
            make(place / name)
            (place / f"{name}.made").touch()
    return place / name


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """A cache that the tests share, and that is not the user's."""
    folder = made_once(tmp_path_factory, "cache", lambda _: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCUE_CACHE", str(folder))
        yield folder


def run_small_study(folder):
    file = folder / "small.yaml"
    file.write_text(yaml.safe_dump(SMALL))
    status = main(["run", str(file), "--out", str(folder / "out")])
    (folder / "status").write_text(str(status))


@pytest.fixture(scope="session")
def small_study(cache, tmp_path_factory):
    """The five notebooks, executed by ``sercue run`` on a small demo corpus."""
    made = made_once(tmp_path_factory, "small_study", run_small_study)
    folder = shutil.copytree(made, tmp_path_factory.mktemp("study") / "small")
    status = int((folder / "status").read_text())
    return SmallStudy(SMALL, folder / "small.yaml", folder / "out", status, made / "out")


@pytest.fixture(scope="module")
def figures_unsaved():
    """Figures are drawn and laid out, and not saved, which is half the time of what is run here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exhibits, "_written", lambda *_: b"<svg></svg>")
        yield


@pytest.fixture(scope="session")
def odd_study(cache, tmp_path_factory):
    """The folder of a study with odd recordings and hostile names; it was run into ``out``."""
    return made_once(tmp_path_factory, "odd_study", run_odd_study)
