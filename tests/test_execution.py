"""A notebook's process that does not start, or does not come to its end."""

import json
import tempfile
from pathlib import Path

import nbformat
import pytest
from jupyter_client.connect import LocalPortCache
from jupyter_client.manager import AsyncKernelManager
from tqdm import tqdm

from sercue.report import notebooks as execution
from sercue.report.kernels import forked_kernels
from sercue.settings import Settings

KEPT = "what is done is kept, run again to go on"


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
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
        source, target = tmp_path / "source.ipynb", tmp_path / "target.ipynb"
        nbformat.write(notebook, source)
        error = execution.execute(source, target, Settings(), tqdm(disable=True), manager)
        return error, nbformat.read(target, as_version=4).cells[-1].outputs

    return run


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
