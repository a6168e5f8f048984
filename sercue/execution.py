"""One notebook, executed: through papermill, in a kernel of its own that ends with it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import nbformat
import papermill
from jupyter_core.utils import ensure_event_loop, run_sync
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.log import logger
from tqdm.std import tqdm
from traitlets.config import Config

from sercue.errors import bounded
from sercue.files import write_text
from sercue.progress import PLAIN

# A kernel that died is noticed sooner; one on a busy machine is given the time it takes.
_START_SECONDS = 300
# Beside other kernels, a start finds a port taken once in some dozens of times.
_STARTS = 5
_TAKEN = b"Address already in use"
# Of kernels, and of what they start in turn: they import what is installed, whatever lies in the
# current folder (a file `seaborn.py`, or the folder of a clone, which is called `sercue` as well).
_ENVIRONMENT = {PLAIN: "1", "PYTHONSAFEPATH": "1"}
_KEPT = "what is done is kept, run again to go on"
_DEATH = f"its process was killed or broke down, mostly for lack of memory; {_KEPT}"


def execute(notebook: Path, target: Path, parameters: Mapping[str, Any], bar: tqdm) -> str | None:
    """Execute a notebook and store it when it is done, or as far as it came before an error.

    Until then what lies at the target stays: two runs write it one after the other, each whole.

    Args:
        notebook: what to execute
        target: where the executed one is stored
        parameters: study keys and values
        bar: the terminal's progress bar, moved at each cell

    Returns:
        the error in one line if a cell failed

    Raises:
        StorageError: if it cannot be stored
        KeyboardInterrupt: if the run was stopped; its kernel is ended, and nothing stored
    """
    papermill_engines.register("sercue", _Engine)
    executed: list[nbformat.NotebookNode] = []
    error = None
    try:
        papermill.execute_notebook(
            notebook,
            None,
            parameters=dict(parameters),
            engine_name="sercue",
            progress_bar=False,
            bar=bar,
            executed=executed,
        )
    except PapermillExecutionError as failed:
        error = bounded(f"{failed.ename}: {failed.evalue}")
    executed[0].metadata.papermill.update(input_path=notebook.name, output_path=target.name)
    write_text(target, nbformat.writes(executed[0]))
    return error


class _Engine(NBClientEngine):
    """papermill's own engine; it moves the terminal's bar, and leaves no kernel behind."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        *,
        bar: tqdm,
        executed: list[nbformat.NotebookNode],
        **_: Any,
    ) -> None:
        _move_at_each_cell(nb_man, bar)
        executed.append(nb_man.nb)
        for _start in range(_STARTS):
            with contextlib.suppress(_PortTakenError):
                _execute_in_kernel(nb_man, kernel_name, bar)
                break
        else:
            told = f"its process found its ports taken, {_STARTS} times in a row; {_KEPT}"
            _note_death(nb_man.nb, told)


class _PortTakenError(Exception):
    """A kernel's ports are chosen before it takes them: another process was faster."""


def _execute_in_kernel(nb_man: Any, kernel_name: str, bar: tqdm) -> None:
    client = PapermillNotebookClient(
        nb_man,
        kernel_name=kernel_name,
        startup_timeout=_START_SECONDS,
        timeout=None,
        log=logger,
        stderr_file=_InnerProgress(bar),
        # Kernels speak over local ports; encrypted where the kernel can.
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )
    try:
        with _held_back() as stderr:
            client.execute(stderr=stderr, env=os.environ | _ENVIRONMENT)
    except DeadKernelError:
        _note_death(nb_man.nb, _DEATH)
    except RuntimeError as error:
        _note_death(nb_man.nb, f"its process did not start ({error}); {_KEPT}")
    except KeyboardInterrupt:
        # Of what was broken off half-way, each piece would print a traceback at the end.
        ensure_event_loop().set_exception_handler(lambda *_: None)
        raise
    finally:
        # One that was still starting is not ended by the client.
        if client.km is not None and client.km.has_kernel:
            run_sync(client.km.shutdown_kernel)(now=True)


@contextlib.contextmanager
def _held_back() -> Iterator[IO[bytes]]:
    """What a kernel itself has to say: nothing that matters if it is interrupted and ended.

    Raises:
        _PortTakenError: if it did not start since a port was taken, which it says there alone
    """
    with tempfile.TemporaryFile() as file:
        try:
            yield file
        except KeyboardInterrupt:
            file.truncate(0)
            raise
        except RuntimeError as error:
            file.seek(0)
            if isinstance(error, DeadKernelError) or _TAKEN not in file.read():
                raise
            file.truncate(0)
            raise _PortTakenError(str(error)) from error
        finally:
            file.seek(0)
            sys.stderr.write(file.read().decode(errors="replace"))


def _move_at_each_cell(nb_man: Any, bar: tqdm) -> None:
    complete = nb_man.cell_complete

    def cell_complete(*arguments: Any, **keywords: Any) -> None:
        complete(*arguments, **keywords)
        bar.set_postfix_str("")
        bar.update(1)

    nb_man.cell_complete = cell_complete


def _note_death(notebook: nbformat.NotebookNode, told: str) -> None:
    """A kernel that died cannot say so: an error is set in its place, for the report to show."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [cell for cell in cells if cell.metadata.papermill.get("start_time")] or cells[:1]
    begun[-1].outputs.append(
        nbformat.v4.new_output(
            "error", ename="KernelDied", evalue=told, traceback=[f"KernelDied: {told}"]
        )
    )


class _InnerProgress:
    """Shows the progress bar of the cell that runs behind the terminal's own."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar

    def write(self, text: str) -> None:
        last = text.replace("\n", "\r").rstrip("\r").rpartition("\r")[2].strip()
        if "%|" in last:
            # The drawn bar is left out: what is done and the time left say it in less room.
            name, _, counts = last.partition("|")
            self.bar.set_postfix_str(f"{name.strip()} {counts.rpartition('|')[2].strip()}")

    def flush(self) -> None:
        """Nothing is held back."""
