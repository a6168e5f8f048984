"""From a study to its reports: run the notebooks in order, write HTML and an index."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import papermill
from tqdm.std import tqdm

from sercue import provenance
from sercue.artifacts import Artifacts, made_from
from sercue.errors import InputError, unknown
from sercue.execution import execute
from sercue.files import remove_stale
from sercue.interventions import shortened
from sercue.methods import write_methods
from sercue.pages import Page, write_index, write_page
from sercue.paths import project_folder
from sercue.private_paths import clean_notebook
from sercue.run import run_folder
from sercue.run.own_folder import at_work, check_run_folder
from sercue.settings import RESULT_KEYS, Settings
from sercue.storage import storage_error, told

logger = logging.getLogger(__name__)
#: Notebook to the notebooks without which it has nothing to say.
NEEDS = {"01": (), "02": ("01",), "03": ("02",), "04": ("02",), "05": ("04",)}


@dataclass(frozen=True)
class Outcome:
    """What became of a notebook: ``done``, ``failed`` or ``not run``, and when (UTC)."""

    notebook: Path
    state: str
    seconds: float = 0.0
    error: str | None = None
    started: str = ""
    ended: str = ""


def notebook_files() -> list[Path]:
    """The ordered notebooks of the project.

    Raises:
        InputError: if there are none
    """
    folder = project_folder() / "notebooks"
    found = sorted(folder.glob("0[0-9]_*.ipynb"))
    if not found:
        raise InputError(f"no notebook 01_*.ipynb ... in {folder}: run inside a clone of sercue")
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
    for number in numbers:
        if number not in files:
            raise unknown("notebook", number, files)
    return [files[number] for number in sorted(set(numbers))]


def run_notebooks(
    settings: Settings, *, only: Sequence[str] | None = None, command: str = ""
) -> list[Outcome]:
    """Execute the notebooks of a study and write its reports.

    A notebook that fails is saved with its error and gets a report that shows it; those that need
    it are not run. Reports of notebooks that are not chosen stay as they are.

    Args:
        settings: the study
        only: numbers of the notebooks to run; all by default
        command: the command line that repeats the run, for the index

    Returns:
        one outcome a chosen notebook, in order

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
        return _run_notebooks(notebooks, settings, folder, command)


def _run_notebooks(
    notebooks: list[Path], settings: Settings, folder: Path, command: str
) -> list[Outcome]:
    pages = [Page.of(file, folder) for file in notebook_files()]
    outcomes: list[Outcome] = []
    log = Artifacts(folder / "artifacts").provenance_file
    numbers = [notebook.name[:2] for notebook in notebooks]
    with (
        provenance.invocation(log, command, numbers) as invoked,
        _terminal_bar(notebooks) as bar,
    ):
        for notebook in notebooks:
            outcome = _run_one(notebook, settings, folder, outcomes, bar)
            outcomes.append(outcome)
            if outcome.state != "not run":
                _record(log, outcome, settings)
                write_page(Page.of(notebook, folder), pages, settings)
        done = all(outcome.state == "done" for outcome in outcomes)
        invoked["outcome"] = "done" if done else "failed"
    provenance.record(
        log,
        parameters=provenance.shareable(settings),
        command=command,
        **provenance.environment(),
    )
    # Again, now that each can link to all others, those of an earlier run among them.
    for page in pages:
        if page.notebook.is_file():
            write_page(page, pages, settings)
    if any(o.notebook.name.startswith("05") and o.state == "done" for o in outcomes):
        write_methods(folder)
    write_index(folder, settings, {o.notebook.stem: (o.state, o.error) for o in outcomes})
    return outcomes


def _prepare(folder: Path) -> None:
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for notebook in folder.glob("0[0-9]_*.ipynb"):
        _set_aside_if_torn(notebook)
    for place in (folder, *(folder / name for name in ("artifacts", "figures", "tables"))):
        remove_stale(place)


def _set_aside_if_torn(notebook: Path) -> None:
    """An executed notebook that a loss of power left empty or cut: its page stays as it is."""
    try:
        nbformat.read(notebook, as_version=4)
    except OSError as error:
        raise storage_error(error, notebook, "read") from error
    # Of what is no notebook, nbformat raises whatever it comes upon.
    except Exception as error:
        torn = notebook.with_suffix(".torn")
        with told(notebook):
            notebook.replace(torn)
        logger.warning(
            "%s could not be read (%s); set aside as %s", notebook, type(error).__name__, torn.name
        )


def _record(log: Path, outcome: Outcome, settings: Settings) -> None:
    """At once, so that a run that is stopped keeps what is known of its finished notebooks."""
    name = outcome.notebook.stem
    known: dict[str, Any] = {
        "started": outcome.started,
        "ended": outcome.ended,
        "outcome": outcome.state,
    }
    known["made_from"] = made_from(name, settings, provenance.read(log))
    seconds = {name: round(outcome.seconds, 1)}
    provenance.record(log, seconds=seconds, notebooks={name: known})


def _run_one(
    notebook: Path, settings: Settings, folder: Path, before: list[Outcome], bar: tqdm
) -> Outcome:
    lost = {o.notebook.name[:2] for o in before if o.state != "done"}
    needed = [number for number in NEEDS.get(notebook.name[:2], ()) if number in lost]
    if needed:
        return Outcome(notebook, "not run", error=f"it needs notebook {', '.join(needed)}")
    bar.set_description(notebook.stem)
    started, begun = time.perf_counter(), provenance.utc_now()
    error = execute(notebook, folder / notebook.name, _parameters(settings), bar)
    clean_notebook(folder / notebook.name, settings)
    seconds, state = time.perf_counter() - started, "done" if error is None else "failed"
    return Outcome(notebook, state, seconds, error, begun, provenance.utc_now())


def _parameters(settings: Settings) -> dict[str, Any]:
    """The settings that differ from the defaults, which every notebook declares."""
    given = settings.model_dump(exclude_defaults=True)
    if "conditions" in given:
        # As a study file says them: written out, they fill a screen of each report.
        given["conditions"] = shortened(given["conditions"])
    return given


@contextlib.contextmanager
def _terminal_bar(notebooks: Sequence[Path]) -> Iterator[tqdm]:
    # papermill adds one cell with the injected parameters.
    cells = sum(len(papermill.iorw.load_notebook_node(str(n)).cells) + 1 for n in notebooks)
    with tqdm(total=cells, unit="cell", dynamic_ncols=True) as bar:
        yield bar
