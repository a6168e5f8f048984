"""Kernels that are forked, and what becomes of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

import nbformat
import psutil
import pytest
from models.serving import wait_until
from nbclient import NotebookClient

from sercue.report.kernels import _Forked, forked_kernels, imported_for, kernel_environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
SEEN = """
import os, sys
imported = {"sercue.run", "torch", "seaborn"} <= set(sys.modules)
known = imported and sys.modules["sercue.provenance"]._packages.cache_info().currsize > 0
print(known, os.getppid(), os.getsid(0) == os.getpid())
"""
# A run that is killed outright while its kernel works.
KILLED = """
import os
from nbclient import NotebookClient
from traitlets.config import Config
import nbformat, tempfile
from sercue.report.kernels import forked_kernels, kernel_environment
told = "import os; open({file!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')"
cell = nbformat.v4.new_code_cell(told + "; import time; time.sleep(600)")
notebook = nbformat.v4.new_notebook(cells=[cell])
with (
    forked_kernels() as manager,
    tempfile.TemporaryFile() as stderr,
    tempfile.TemporaryDirectory() as folder,
):
    # Not by ports, which others may take.
    sockets = {{"transport": "ipc", "connection_file": f"{{folder}}/kernel.json"}}
    config = Config({{"KernelManager": sockets}})
    client = NotebookClient(notebook, kernel_manager_class=manager, config=config)
    client.execute(stderr=stderr, env=kernel_environment())
"""


def seen(manager):
    """What a notebook's process is like."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SEEN)])
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=600, kernel_manager_class=manager
    )
    with tempfile.TemporaryFile() as stderr:
        client.execute(stderr=stderr, env=kernel_environment())
    imported, parent, apart = notebook.cells[0].outputs[0].text.split()
    return imported == "True", int(parent), apart == "True"


def test_kernels_find_what_they_need_imported_and_end_with_the_run():
    """All of them are children of one process, each in a session of its own, to be ended whole."""
    with forked_kernels(*imported_for(None)) as manager:
        first, second = seen(manager), seen(manager)
        assert first == second == (True, first[1], True)
        assert first[1] != os.getpid()
        server = psutil.Process(first[1])
        assert server.children() == []
    assert not server.is_running()


def test_a_kernel_has_the_variables_of_now_and_no_others(monkeypatch):
    """Not those of the process that forks, which began earlier and has some of its own."""
    cell = nbformat.v4.new_code_cell("import json, os; print(json.dumps(dict(os.environ)))")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    with forked_kernels() as manager, tempfile.TemporaryFile() as stderr:
        monkeypatch.setenv("SERCUE_CACHE", "elsewhere")
        client = NotebookClient(notebook, timeout=600, kernel_manager_class=manager)
        client.execute(stderr=stderr, env=kernel_environment())
    had = json.loads(notebook.cells[0].outputs[0].text)
    assert had["SERCUE_CACHE"] == "elsewhere"
    assert had.get("JE_ARROW_MALLOC_CONF") == os.environ.get("JE_ARROW_MALLOC_CONF")


def test_without_the_process_that_forks_they_are_started_as_ever():
    """It was killed for lack of memory, say: notebooks take longer to begin, and run."""
    with forked_kernels() as manager:
        _, server, _ = seen(manager)
        os.kill(server, signal.SIGKILL)
        imported, parent, _ = seen(manager)
        assert (imported, parent) == (False, os.getpid())


def test_a_run_that_is_killed_leaves_no_kernel(tmp_path):
    """Nobody could end it any more."""
    file = tmp_path / "numbers"

    def numbers():
        return file.is_file() and len(file.read_text().split()) == 2

    with subprocess.Popen([sys.executable, "-c", KILLED.format(file=str(file))]) as process:
        try:
            assert wait_until(lambda: numbers() or process.poll() is not None)
            assert process.poll() is None
            below = [psutil.Process(int(number)) for number in file.read_text().split()]
        finally:
            process.kill()
    _, alive = psutil.wait_procs(below, timeout=60)
    assert alive == []


def test_an_answer_that_comes_late_is_taken_for_no_other():
    """The number of a process, say, for how one has ended, or the other way round."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(0.1)
    with here, there, tempfile.TemporaryFile() as stderr:
        there.send(b"4242")
        kernel = _Forked(here, {}, stderr)
        assert kernel.pid == 4242
        assert kernel.poll() == -signal.SIGKILL
        with pytest.raises(OSError, match="Bad file descriptor"):
            _Forked(here, {}, stderr)
