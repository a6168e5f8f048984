"""A notebook's process that does not start, or does not come to its end."""

import json
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.connect import LocalPortCache
from jupyter_client.manager import AsyncKernelManager
from models.serving import wait_until
from tqdm import tqdm

from sercue.report import notebooks as execution
from sercue.report.kernels import forked_kernels
from sercue.settings import Settings

KEPT = "what is done is kept, run again to go on"
PYTHON = {"name": "python3", "display_name": "", "language": "python"}


@pytest.fixture(scope="module")
def forking():
    """A manager that forks kernels, for all tests here."""
    with forked_kernels() as manager:
        yield manager


@pytest.fixture(params=["started", "forked"])
def manager(request):
    """What starts kernels: as they are always started, or as a run does."""
    return AsyncKernelManager if request.param == "started" else request.getfixturevalue("forking")


@pytest.fixture
def executed(tmp_path, manager):
    """Execute cells: the error in one line, and the outputs of the last one."""

    def run(*cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = PYTHON
        source, target = tmp_path / "source.ipynb", tmp_path / "target.ipynb"
        nbformat.write(notebook, source)
        error = execution.execute(source, target, Settings(), tqdm(disable=True), manager)
        return error, nbformat.read(target, as_version=4).cells[-1].outputs

    return run


@pytest.fixture
def beside(tmp_path, manager):
    """Notebooks of one cell each, begun as 03 and 04 of a stored study are: what becomes of them.

    And a function that runs another one in this thread.
    """

    def written(cell, number):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
        notebook.metadata.kernelspec = PYTHON
        nbformat.write(notebook, tmp_path / f"0{number}_source.ipynb")
        return tmp_path / f"0{number}_source.ipynb"

    @contextmanager
    def begun(*cells):
        (tmp_path / "out").mkdir()
        run_one = partial(execution._run_one, Settings(), tmp_path / "out", tqdm(disable=True))
        sources = [written(cell, number) for number, cell in enumerate(cells, 1)]
        with execution._begun_beside(run_one, sources, manager) as outcomes:
            yield list(outcomes.values()), lambda cell: run_one(manager, written(cell, 9))

    return begun


MEET = """
import time
from pathlib import Path
Path({own!r}).touch()
while not Path({other!r}).exists():
    time.sleep(0.05)
"""


def test_notebooks_of_a_stored_study_run_side_by_side(beside, tmp_path):
    """Two wait for each other; one that fails keeps no other from being done."""
    one, other = (str(tmp_path / name) for name in "ab")
    with beside("1 / 0", MEET.format(own=one, other=other)) as (outcomes, run):
        here = run(MEET.format(own=other, other=one))
        states = [outcome.result().state for outcome in outcomes]
    assert [*states, here.state] == ["failed", "done", "done"]
    assert len(list((tmp_path / "out").glob("*.ipynb"))) == 3


def test_a_run_that_is_stopped_ends_the_kernels_beside_and_stores_nothing(beside, tmp_path, capfd):
    cell = """
import os, time
from pathlib import Path
Path({name!r}).write_text(str(os.getpid()))
time.sleep(600)
"""
    first, second = tmp_path / "a", tmp_path / "b"

    def stop():
        with beside(cell.format(name=str(first)), cell.format(name=str(second))):
            assert wait_until(lambda: first.exists() and first.read_text())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop()
    assert not second.exists()
    assert not psutil.pid_exists(int(first.read_text()))
    assert list((tmp_path / "out").iterdir()) == []
    assert "died" not in capfd.readouterr().err


CONNECTION = """
import json
from ipykernel.connect import get_connection_file, get_connection_info
print(json.dumps([get_connection_file(), json.loads(get_connection_info())["transport"]]))
"""


@pytest.mark.parametrize("then", ["", "1 / 0", "import os; os.kill(os.getpid(), 9)"])
def test_a_kernel_takes_no_port_and_leaves_no_socket(then, executed, tmp_path, monkeypatch):
    """Kernels that start side by side would choose ports that another process is faster to take."""
    monkeypatch.setattr(LocalPortCache, "find_available_port", None)
    error, _ = executed(CONNECTION, then)
    assert (error is None) == (then == "")
    cells = nbformat.read(tmp_path / "target.ipynb", as_version=4).cells
    (told,) = (o.text for c in cells for o in c.get("outputs", []) if o.output_type == "stream")
    file, transport = json.loads(told)
    assert transport == "ipc"
    assert not Path(file).parent.exists()


def test_a_folder_too_deep_for_sockets_is_no_hindrance(executed, tmp_path, monkeypatch):
    """Jobs may be given one; the path of a socket has room for some hundred bytes."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    error, outputs = executed(CONNECTION)
    assert error is None
    assert json.loads(outputs[0].text)[1] == "tcp"
    assert list(deep.iterdir()) == []


def test_a_kernel_imports_what_is_installed_whatever_lies_in_the_current_folder(
    executed, tmp_path, monkeypatch
):
    """From the folder that holds the clone, each notebook found a package without `open_run`."""
    (tmp_path / "sercue" / "notebooks").mkdir(parents=True)
    (tmp_path / "seaborn.py").write_text("raise SystemExit('not the installed one')")
    monkeypatch.chdir(tmp_path)
    error, outputs = executed("import seaborn, sercue\nprint(sercue.open_run.__name__)")
    assert error is None
    assert outputs[0].text == "open_run\n"


@pytest.mark.parametrize("manager", ["started"], indirect=True)
def test_a_process_that_cannot_start_is_told_at_once(executed, tmp_path, monkeypatch, capfd):
    (tmp_path / "ipykernel_launcher.py").write_text("raise SystemExit('no such luck')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    error, _ = executed("print(6 * 7)")
    assert error.startswith("KernelDied: its process did not start (Kernel died before replying")
    assert error.endswith(KEPT)
    assert capfd.readouterr().err.count("no such luck") == 1


def test_a_process_that_is_killed_is_told_where_it_was(executed):
    error, outputs = executed("x = 1", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert error.startswith("KernelDied: its process was killed or broke down")
    assert error.endswith(KEPT)
    assert outputs[-1].ename == "KernelDied"


def test_a_figure_of_ones_own_is_shown(executed):
    """In a cell that somebody added; it is shown once, and closed."""
    cells = "import matplotlib.pyplot as plt; _ = plt.plot([1, 2])", "plt.get_fignums()"
    error, _ = executed(*cells)
    assert error is None
    _, outputs = executed(cells[0])
    assert [output.output_type for output in outputs] == ["display_data"]
