"""From a study to its reports: execute the notebooks in order, write HTML and an index."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import joblib
import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import ensure_event_loop, run_sync
from nbclient.exceptions import DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.log import logger as papermill_logger
from tqdm.std import tqdm
from traitlets.config import Config

from sercue import provenance
from sercue.artifacts import Artifacts, at_work, check_run_folder, made_from
from sercue.errors import InputError, bounded, refuse_unknown
from sercue.privacy import clean_notebook, shareable, without_private_paths
from sercue.report.ahead import all_is_stored, trained_ahead
from sercue.report.kernels import ASKING, kernel_environment
from sercue.report.methods import write_methods
from sercue.report.pages import Page, renew_page, write_index
from sercue.report.utterances import write_utterances
from sercue.settings import RESULT_KEYS, Settings, run_folder
from sercue.storage.files import notebooks_folder, remove_stale, storage_error, told, write_text
from sercue.tokens.catalogue import shortened

# A kernel that died is noticed sooner; one on a busy machine is given the time it takes.
_START_SECONDS = 300
_KEPT = "what is done is kept, run again to go on"
_DEATH = f"its process was killed or broke down, mostly for lack of memory; {_KEPT}"


def execute(
    notebook: Path,
    target: Path,
    settings: Settings,
    bar: tqdm,
    manager: type[AsyncKernelManager] = AsyncKernelManager,
    stopped: threading.Event | None = None,
) -> str | None:
    """Execute a notebook and store it when it is done, or as far as it came before an error.

    Until then what lies at the target stays: two runs write it one after the other, each whole.
    What is stored and returned is cleaned: pages, the index and the terminal show it as it is.

    Args:
        notebook: what to execute
        target: where the executed one is stored
        settings: the study
        bar: the terminal's progress bar, moved at each cell
        manager: what starts the kernel
        stopped: once it is set, nothing is stored

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
            parameters=_parameters(settings),
            engine_name="sercue",
            progress_bar=False,
            bar=bar,
            executed=executed,
            manager=manager,
        )
    except PapermillExecutionError as failed:
        error = bounded(without_private_paths(f"{failed.ename}: {failed.evalue}", settings))
    if stopped is not None and stopped.is_set():
        raise KeyboardInterrupt
    executed[0].metadata.papermill.update(input_path=notebook.name, output_path=target.name)
    clean_notebook(executed[0], settings)
    write_text(target, nbformat.writes(executed[0]) + "\n")
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
        manager: type[AsyncKernelManager],
        **_: Any,
    ) -> None:
        _move_at_each_cell(nb_man, bar)
        executed.append(nb_man.nb)
        with tempfile.TemporaryDirectory(prefix="sercue-", ignore_cleanup_errors=True) as folder:
            client = PapermillNotebookClient(
                nb_man,
                kernel_name=kernel_name,
                startup_timeout=_START_SECONDS,
                timeout=None,
                log=papermill_logger,
                stderr_file=_InnerProgress(bar),
                kernel_manager_class=manager,
                config=Config({"KernelManager": _connection(folder)}),
            )
            try:
                with _held_back() as stderr:
                    client.execute(stderr=stderr, env=kernel_environment())
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


def _connection(folder: str) -> dict[str, str]:
    """How a kernel is spoken to: over sockets in a folder of this user alone, if it holds any."""
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.bind(f"{folder}/kernel-ipc-0")
    # Windows has none, nor have some network disks, and a path of a hundred bytes is too long.
    except (AttributeError, OSError):
        return {"transport_encryption": "auto"}
    return {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}


@contextlib.contextmanager
def _held_back() -> Iterator[IO[bytes]]:
    """What a kernel itself has to say: nothing that matters if it is interrupted and ended."""
    with tempfile.TemporaryFile() as file:
        try:
            yield file
        except KeyboardInterrupt:
            file.truncate(0)
            raise
        finally:
            file.seek(0)
            sys.stderr.write(file.read().decode(errors="replace"))


def _move_at_each_cell(nb_man: Any, bar: tqdm) -> None:
    complete = nb_man.cell_complete

    def cell_complete(*arguments: Any, **keywords: Any) -> None:
        complete(*arguments, **keywords)
        with bar.get_lock():
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


logger = logging.getLogger(__name__)
#: Notebook to the notebooks without which it has nothing to say, unless all answers are stored.
NEEDS = {"01": (), "02": ("01",), "03": ("02",), "04": ("02",), "05": ("04",)}


@dataclass(frozen=True)
class Outcome:
    """What became of a notebook: ``done``, ``failed`` or ``not run``."""

    notebook: Path
    state: str
    seconds: float = 0.0
    error: str | None = None


def notebook_files() -> list[Path]:
    """The ordered notebooks, those of the clone or of the installed package.

    Raises:
        InputError: if there are none
    """
    folder = notebooks_folder()
    found = sorted(folder.glob("0[0-9]_*.ipynb"))
    if not found:
        raise InputError(f"no notebook 01_*.ipynb ... in {folder}: install sercue again")
    return found


def choose_notebooks(only: Sequence[str] | None) -> list[Path]:
    """The notebooks to run.

    Args:
        only: numbers such as ``"04"`` or ``"4"``; ``None`` for all

    Raises:
        InputError: if there is no notebook with such a number
    """
    files = {file.name[:2]: file for file in notebook_files()}
    if only is None:
        return list(files.values())
    numbers = [str(number).zfill(2) for number in only]
    refuse_unknown("notebook", numbers, files)
    return [files[number] for number in sorted(set(numbers))]


def run_notebooks(
    settings: Settings,
    *,
    only: Sequence[str] | None = None,
    command: str = "",
    manager: type[AsyncKernelManager] = AsyncKernelManager,
) -> list[Outcome]:
    """Execute the notebooks of a study and write its reports.

    A notebook that fails is saved with its error and gets a report that shows it; those that need
    it are not run. Where all answers are stored, 03 and 04 need none and run beside 01 and 02.
    Reports of notebooks that are not chosen stay as they are.

    Args:
        settings: the study
        only: numbers of the notebooks to run; all by default
        command: the command line that repeats the run, for the index
        manager: what starts the kernels

    Returns:
        one outcome per chosen notebook, in order

    Raises:
        InputError: if the study's folder holds what no run wrote, or if a run of other settings
            is at work in it
        StorageError: if a notebook or a report cannot be stored
        KeyboardInterrupt: if the run was stopped; what is done is kept
    """
    notebooks = choose_notebooks(only)
    folder = run_folder(settings)
    check_run_folder(folder)
    _prepare(folder)
    with at_work(folder, settings.fingerprint(RESULT_KEYS)):
        return _run_notebooks(notebooks, settings, folder, command, manager)


def _run_notebooks(
    notebooks: list[Path],
    settings: Settings,
    folder: Path,
    command: str,
    manager: type[AsyncKernelManager],
) -> list[Outcome]:
    pages = [Page.of(file, folder) for file in notebook_files()]
    outcomes: list[Outcome] = []
    log = Artifacts(folder / "artifacts").provenance_file
    numbers = [notebook.name[:2] for notebook in notebooks]
    # papermill adds one cell with the injected parameters.
    cells = sum(len(papermill.iorw.load_notebook_node(str(n)).cells) + 1 for n in notebooks)
    with (
        provenance.invocation(log, command, numbers) as invoked,
        tqdm(total=cells, unit="cell", dynamic_ncols=True) as bar,
        trained_ahead(settings, numbers),
        contextlib.ExitStack() as stack,
    ):
        run_one = partial(_run_one, settings, folder, bar)
        begun: Mapping[Path, Future[Outcome]] = {}
        # One after the other: a model may fill the memory of a GPU.
        asking = [notebook for notebook in notebooks if notebook.name[:2] in ASKING]
        others = {"01", "02"} & {*numbers}
        if asking and others and joblib.cpu_count() > 1 and all_is_stored(settings):
            begun = stack.enter_context(_begun_beside(run_one, asking, manager))
        utterances: Future[Any] | None = None
        for notebook in notebooks:
            if notebook in begun:
                bar.set_description(notebook.stem)
                outcome = begun[notebook].result()
            else:
                outcome = run_one(manager, notebook, outcomes)
            outcomes.append(outcome)
            # Whoever looks at the first while the last one runs finds all that are there.
            _renew(pages, settings)
            if notebook.name.startswith("04") and outcome.state == "done":
                # All that it shows is there: its players are encoded while 05 is executed.
                utterances = _begun(write_utterances, folder, settings)
        done = all(outcome.state == "done" for outcome in outcomes)
        invoked["outcome"] = "done" if done else "failed"
    provenance.record(
        log, parameters=shareable(settings), command=command, **provenance.environment()
    )
    if any(o.notebook.name.startswith("05") and o.state == "done" for o in outcomes):
        write_methods(folder)
    if utterances is None:
        write_utterances(folder, settings)
    else:
        utterances.result()
    _renew(pages, settings)
    write_index(folder, settings, {o.notebook.stem: (o.state, o.error) for o in outcomes})
    return outcomes


def _renew(pages: Sequence[Page], settings: Settings) -> None:
    for page in pages:
        if page.notebook.is_file():
            renew_page(page, pages, settings)


@contextlib.contextmanager
def _begun_beside(
    run_one: Callable[..., Outcome], notebooks: Sequence[Path], manager: type[AsyncKernelManager]
) -> Iterator[dict[Path, Future[Outcome]]]:
    """What will become of notebooks that a thread runs beside those that this one runs.

    If the run is stopped meanwhile, their kernels are ended, and nothing more of them is stored.
    """
    stopped = threading.Event()
    kernels: list[AsyncKernelManager] = []

    class Noted(manager):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            kernels.append(self)

    begun: dict[Path, Future[Outcome]] = {}
    with ThreadPoolExecutor(1) as thread:
        try:
            for one in notebooks:
                begun[one] = thread.submit(run_one, Noted, one, stopped=stopped)
            yield begun
        except BaseException:
            stopped.set()
            thread.shutdown(wait=False, cancel_futures=True)
            # That a kernel has died is no news to who has ended it.
            papermill_logger.disabled = True
            try:
                # Several times: one may only be about to start, or wait for what forks it.
                while not all(outcome.done() for outcome in begun.values()):
                    for kernel in kernels:
                        starts: Any = kernel.provisioner
                        with contextlib.suppress(AttributeError, OSError):
                            (starts.process or starts.forker).kill()
                    time.sleep(0.1)
            finally:
                papermill_logger.disabled = False
            raise


def _begun(work: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """Work that a thread has begun, and that nobody waits for if the run is stopped."""
    result: Future[Any] = Future()

    def do() -> None:
        try:
            result.set_result(work(*arguments))
        except BaseException as error:
            result.set_exception(error)

    threading.Thread(target=do, daemon=True).start()
    return result


def _prepare(folder: Path) -> None:
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for notebook in folder.glob("0[0-9]_*.ipynb"):
        try:
            nbformat.read(notebook, as_version=4)
        except OSError as error:
            raise storage_error(error, notebook, "read") from error
        # A loss of power left it empty or cut; nbformat raises whatever it comes upon.
        except Exception as error:
            torn, why = notebook.with_suffix(".torn"), type(error).__name__
            with told(notebook):
                notebook.replace(torn)
            logger.warning("%s could not be read (%s); set aside as %s", notebook, why, torn.name)
    for place in (folder, *(folder / name for name in ("artifacts", "figures", "tables"))):
        remove_stale(place)


def _run_one(
    settings: Settings,
    folder: Path,
    bar: tqdm,
    manager: type[AsyncKernelManager],
    notebook: Path,
    before: Sequence[Outcome] = (),
    stopped: threading.Event | None = None,
) -> Outcome:
    lost = {o.notebook.name[:2] for o in before if o.state != "done"}
    needed = [number for number in NEEDS.get(notebook.name[:2], ()) if number in lost]
    if needed:
        return Outcome(notebook, "not run", error=f"it needs notebook {', '.join(needed)}")
    bar.set_description(notebook.stem)
    started, begun = time.perf_counter(), provenance.utc_now()
    error = execute(notebook, folder / notebook.name, settings, bar, manager, stopped)
    seconds, state = time.perf_counter() - started, "done" if error is None else "failed"
    known: dict[str, Any] = {"started": begun, "ended": provenance.utc_now(), "outcome": state}
    name, log = notebook.stem, Artifacts(folder / "artifacts").provenance_file
    known["made_from"] = made_from(name, settings, provenance.read(log))
    # At once, so that a run that is stopped keeps what is known of its finished notebooks.
    provenance.record(log, seconds={name: round(seconds, 1)}, notebooks={name: known})
    return Outcome(notebook, state, seconds, error)


def _parameters(settings: Settings) -> dict[str, Any]:
    """The settings that differ from the defaults, which every notebook declares."""
    given = settings.model_dump(exclude_defaults=True)
    if "conditions" in given and not settings.made_elsewhere:
        # As a study file says them: written out, they fill a screen of each report.
        given["conditions"] = shortened(given["conditions"], settings.tokens.names, settings.audio)
    return given
