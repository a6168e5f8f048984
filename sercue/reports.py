"""From a study to its reports: run the notebooks in order, write HTML and an index."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import papermill
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from tqdm.std import tqdm
from traitlets.config import Config

from sercue import provenance
from sercue.artifacts import Artifacts
from sercue.errors import InputError, unknown
from sercue.interventions import shortened
from sercue.methods import write_methods
from sercue.pages import Page, write_index, write_page
from sercue.paths import project_folder
from sercue.progress import PLAIN
from sercue.run import run_folder
from sercue.settings import Settings

#: Notebook to the notebooks without which it has nothing to say.
NEEDS = {"01": (), "02": ("01",), "03": ("02",), "04": ("02",), "05": ("04",)}


@dataclass(frozen=True)
class Outcome:
    """What became of a notebook: ``done``, ``failed`` or ``not run``."""

    notebook: Path
    state: str
    seconds: float = 0.0
    error: str | None = None


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
    """
    notebooks = choose_notebooks(only)
    folder = run_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    pages = [Page.of(file, folder) for file in notebook_files()]
    outcomes: list[Outcome] = []
    with _terminal_bar(notebooks) as bar:
        for notebook in notebooks:
            outcome = _run_one(notebook, settings, folder, outcomes, bar)
            outcomes.append(outcome)
            if outcome.state != "not run":
                write_page(Page.of(notebook, folder), pages, settings)
    times = {o.notebook.stem: round(o.seconds, 1) for o in outcomes if o.state != "not run"}
    Artifacts(folder / "artifacts").record(
        parameters=provenance.shareable(settings),
        seconds=times,
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


def _run_one(
    notebook: Path, settings: Settings, folder: Path, before: list[Outcome], bar: tqdm
) -> Outcome:
    lost = {o.notebook.name[:2] for o in before if o.state != "done"}
    needed = [number for number in NEEDS.get(notebook.name[:2], ()) if number in lost]
    if needed:
        return Outcome(notebook, "not run", error=f"it needs notebook {', '.join(needed)}")
    bar.set_description(notebook.stem)
    started = time.perf_counter()
    error = _execute(notebook, folder / notebook.name, settings, bar)
    return Outcome(
        notebook, "done" if error is None else "failed", time.perf_counter() - started, error
    )


def _execute(notebook: Path, target: Path, settings: Settings, bar: tqdm) -> str | None:
    """Run one notebook; the error in one line if it fails."""
    papermill_engines.register("sercue", _Engine)
    try:
        with _plain_progress():
            papermill.execute_notebook(
                notebook,
                target,
                parameters=_parameters(notebook, settings),
                engine_name="sercue",
                progress_bar=False,
                stderr_file=_InnerProgress(bar),
                # Kernels speak over local ports; encrypted where the kernel can.
                config=Config({"KernelManager": {"transport_encryption": "auto"}}),
                bar=bar,
            )
    except PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}"
    return None


def _parameters(notebook: Path, settings: Settings) -> dict[str, Any]:
    """The settings that differ from the defaults and that the notebook declares."""
    declared = papermill.inspect_notebook(str(notebook))
    given = settings.model_dump(exclude_defaults=True)
    if "conditions" in given:
        # As a study file says them: written out, they fill a screen of each report.
        given["conditions"] = shortened(given["conditions"])
    return {key: value for key, value in given.items() if key in declared}


class _Engine(NBClientEngine):
    """papermill's own engine; it moves the terminal's bar at each cell."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: Any, kernel_name: str, *, bar: tqdm, **options: Any
    ) -> None:
        complete = nb_man.cell_complete

        def cell_complete(*arguments: Any, **keywords: Any) -> None:
            complete(*arguments, **keywords)
            bar.set_postfix_str("")
            bar.update(1)

        nb_man.cell_complete = cell_complete
        super().execute_managed_notebook(nb_man, kernel_name, **options)


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


@contextlib.contextmanager
def _plain_progress() -> Iterator[None]:
    before = os.environ.get(PLAIN)
    os.environ[PLAIN] = "1"
    try:
        yield
    finally:
        os.environ.pop(PLAIN)
        if before is not None:
            os.environ[PLAIN] = before


@contextlib.contextmanager
def _terminal_bar(notebooks: Sequence[Path]) -> Iterator[tqdm]:
    # papermill adds one cell with the injected parameters.
    cells = sum(len(papermill.iorw.load_notebook_node(str(n)).cells) + 1 for n in notebooks)
    with tqdm(total=cells, unit="cell", dynamic_ncols=True) as bar:
        yield bar
