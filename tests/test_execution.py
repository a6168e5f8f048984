"""A notebook's process that does not start, or does not come to its end."""

import socket

import nbformat
import pytest
from jupyter_client.connect import LocalPortCache
from tqdm import tqdm

from sercue.report import notebooks as execution
from sercue.settings import Settings

KEPT = "what is done is kept, run again to go on"


@pytest.fixture
def executed(tmp_path):
    """Execute cells: the error in one line, and the outputs of the last one."""

    def run(*cells):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": "python"}
        source, target = tmp_path / "source.ipynb", tmp_path / "target.ipynb"
        nbformat.write(notebook, source)
        error = execution.execute(source, target, Settings(), tqdm(disable=True))
        return error, nbformat.read(target, as_version=4).cells[-1].outputs

    return run


@pytest.fixture
def taken(monkeypatch):
    """A port that another process was faster to take, the first times that one is chosen."""
    choose = LocalPortCache.find_available_port
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        chosen = []

        def for_the_first(times):
            def find_available_port(self, ip):
                chosen.append(choose(self, ip) if len(chosen) >= times else holder.getsockname()[1])
                return chosen[-1]

            monkeypatch.setattr(LocalPortCache, "find_available_port", find_available_port)
            return chosen

        yield for_the_first


def test_a_port_that_was_taken_is_not_the_end(taken, executed, capfd):
    """Kernels that start side by side choose their ports before they take them."""
    ports = taken(for_the_first := 1)
    error, outputs = executed("print(6 * 7)")
    assert error is None
    assert outputs[0].text == "42\n"
    assert len(set(ports)) > for_the_first
    assert "Address already in use" not in capfd.readouterr().err


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


def test_ports_that_are_taken_again_and_again_are_told(taken, executed, monkeypatch):
    monkeypatch.setattr(execution, "_STARTS", 2)
    ports = taken(1000)
    error, outputs = executed("print(6 * 7)")
    assert error == f"KernelDied: its process found its ports taken, 2 times in a row; {KEPT}"
    assert outputs[0].evalue in error
    # Five ports a kernel.
    assert len(ports) == 10


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
