"""Kernels that are forked from one process, which has imported what all notebooks need.

An import of all of it takes some four seconds of each notebook.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from sercue.running import EXECUTED, PLAIN

# Of kernels, and of what they start in turn: they import what is installed, whatever lies in the
# current folder (a file `seaborn.py`, or the folder of a clone, which is called `sercue` as well).
_ENVIRONMENT = {PLAIN: "1", EXECUTED: "1", "PYTHONSAFEPATH": "1"}
# What the notebooks use of it themselves, and what the modules behind them import late. Not the
# backend that shows figures: it looks for a notebook when it is imported.
_IMPORTED = (
    "ipykernel.kernelapp", "matplotlib.pyplot", "seaborn", "sercue.run", "sercue.plots.corpora",
    "sercue.plots.reliance", "sercue.plots.results", "sercue.plots.tokens", "scipy.optimize",
    "scipy.signal", "sklearn.dummy", "sklearn.impute", "sklearn.linear_model",
    "sklearn.model_selection", "sklearn.svm", "statsmodels.stats.contingency_tables",
)  # fmt: skip
# What asks models, for notebooks that do.
_MODELS = "sercue.models.tiny"
#: Notebooks that ask models.
ASKING = {"03", "04"}
_KERNEL = [sys.executable, "-m", "ipykernel_launcher"]
# Bytes of a message: the variables of a kernel are the most of it.
_MESSAGE = 200_000
# A thread is not forked. OpenBLAS goes on without those it had; pyarrow's allocator begins none.
_NO_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false"}
# Notebooks may run at once, and each answer belongs to the question before it.
_ONE_QUESTION = threading.Lock()
# How long the imports may take on a busy machine, before kernels are started as ever.
_SECONDS = 120


def kernel_environment() -> dict[str, str]:
    """The variables of a kernel."""
    return os.environ | _ENVIRONMENT


def imported_for(only: Sequence[str] | None) -> list[str]:
    """Modules that kernels import besides what all need.

    Args:
        only: numbers of the notebooks that are run, such as ``"04"`` or ``"4"``; ``None`` for all

    Examples:
        >>> imported_for(["2"]), imported_for(["2", "3"])
        ([], ['sercue.models.tiny'])
    """
    asks = only is None or ASKING & {number.zfill(2) for number in only}
    return [_MODELS] if asks else []


@contextmanager
def forked_kernels(*imported: str) -> Iterator[type[AsyncKernelManager]]:
    """A manager of kernels which forks them as long as the context lasts.

    Where a process cannot be forked well (elsewhere than on Linux), and of kernels that another
    Python runs or that have variables of their own, it starts them as they are always started.

    Args:
        imported: modules that are imported before the kernels are forked, besides what all need
    """
    if sys.platform != "linux":
        yield AsyncKernelManager
        return
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    here.settimeout(_SECONDS)
    with here, there:
        # Apart from the terminal: a Ctrl-C is for whoever ends the kernels.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(there.fileno()), *imported],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=kernel_environment() | _NO_THREADS,
            start_new_session=True,
        )
        there.close()

        class ForkedKernelManager(AsyncKernelManager):
            async def _async_pre_start_kernel(self, **options: Any) -> Any:
                spec: Any = self.kernel_spec
                named = "kernel_provisioner" in spec.metadata
                if self.provisioner is None and not spec.env and not named:
                    self.provisioner = _Provisioner(
                        kernel_id=self.kernel_id, kernel_spec=spec, parent=self
                    )
                    self.provisioner.server, self.provisioner.forker = here, process
                return await super()._async_pre_start_kernel(**options)

        try:
            yield ForkedKernelManager
        finally:
            process.kill()
            process.wait()


class _Provisioner(LocalProvisioner):
    """Has kernels forked by a server, if they are to be run by this Python."""

    server: socket.socket
    forker: subprocess.Popen[bytes]

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        if cmd[:3] == _KERNEL:
            try:
                folder = str(options.get("cwd") or Path.cwd())
                asked = {"arguments": cmd[3:], "folder": folder, "variables": dict(options["env"])}
                forked = _Forked(self.server, asked, options["stderr"])
                # All that is asked of a process is asked of this one, too.
                self.process = cast(Any, forked)
                self.pid = self.pgid = forked.pid
                self.cwd = folder
                return self.connection_info
            except OSError:
                # It may only be late, and would fork a second kernel of the same address.
                self.forker.kill()
        return await super().launch_kernel(cmd, **options)


class _Forked:
    """A forked kernel, with what is asked of a ``subprocess.Popen``."""

    stdin = stdout = stderr = None

    def __init__(self, server: socket.socket, asked: dict[str, Any], stderr: IO[bytes]) -> None:
        self._server = server
        self.pid = self._answer(asked, stderr.fileno())
        self.returncode: int | None = None

    def _answer(self, asked: dict[str, Any], *files: int) -> int:
        with _ONE_QUESTION:
            try:
                socket.send_fds(self._server, [json.dumps(asked).encode()], files)
                if told := self._server.recv(_MESSAGE):
                    return int(json.loads(told))
                raise ConnectionResetError("the process that forks kernels is gone")
            except BaseException:
                # An answer that comes late would be taken for that to another question.
                self._server.close()
                raise

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                status = self._answer({"poll": self.pid})
            except OSError:
                status = signal.SIGKILL  # with the server, which held it
            self.returncode = None if status < 0 else os.waitstatus_to_exitcode(status)
        return self.returncode

    wait = poll

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def serve(server: socket.socket, imported: Sequence[str]) -> None:
    """Import, then fork a kernel, or tell what became of one, as often as it is asked.

    It ends with the process that asks, and the kernels end when they find that it has ended.
    """
    # Both are read when a kernel's modules are imported.
    os.environ["JPY_PARENT_PID"] = str(os.getpid())
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    # Of what is imported nothing goes: it is not looked through for garbage, here or in a kernel.
    gc.disable()
    for module in (*_IMPORTED, *imported):
        import_module(module)
    from sercue.provenance import environment
    from sercue.settings import settings_from

    # What each kernel would find out anew: the packages there are, openSMILE's names, the scheme.
    environment()
    settings_from({}, "defaults")
    gc.freeze()
    gc.enable()
    while True:
        message, files, _, _ = socket.recv_fds(server, _MESSAGE, 1)
        if not message:
            return
        asked = json.loads(message)
        if "poll" in asked:
            done, status = os.waitpid(asked["poll"], os.WNOHANG)
            server.sendall(json.dumps(status if done else -1).encode())
            continue
        pid = os.fork()
        if not pid:
            server.close()
            _become_kernel(asked, files[0])
        os.close(files[0])
        server.sendall(json.dumps(pid).encode())


def _become_kernel(asked: dict[str, Any], stderr: int) -> None:
    os.setsid()
    os.dup2(stderr, 2)
    os.chdir(asked["folder"])
    parent = os.environ["JPY_PARENT_PID"]
    os.environ.clear()
    os.environ.update(asked["variables"], JPY_PARENT_PID=parent)
    # Else all kernels would draw the same numbers.
    np.random.seed()  # noqa: NPY002
    sys.argv = ["ipykernel_launcher", *asked["arguments"]]
    from ipykernel.kernelapp import launch_new_instance

    launch_new_instance()
    # All clean-up but that of the modules, which takes longer than their import is worth.
    atexit._run_exitfuncs()
    os._exit(0)


if __name__ == "__main__":
    _, descriptor, *modules = sys.argv
    serve(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(descriptor)), modules)
