"""The page of a comparison: a figure, the result table, and what the studies differ in."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from sercue import latex
from sercue.comparison.layout import (
    DAGGER,
    printed_losses,
    printed_table,
    result_table,
)
from sercue.comparison.sentences import gain_sentences, notices
from sercue.comparison.settings_table import runs_table, settings_table
from sercue.comparison.studies import PUBLISHED, read_runs, uar_of_runs
from sercue.evaluated import EvaluatedRun
from sercue.exhibits import TableExhibit, figure_exhibit
from sercue.files import write_csv, write_text
from sercue.plots import plot_comparison
from sercue.published import published_values

_TEMPLATES = Path(__file__).parents[1] / "templates"


def write_comparison(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    command: str = "",
) -> Path:
    """Write ``compare.html``, and its tables and figure for a paper.

    ``tables/compare.csv`` has the result table unrounded, ``compare.tex`` as it is shown, and
    ``compare_long.csv`` one row a study and condition; ``figures/compare.svg`` is the figure.

    Args:
        folders: folders of finished runs
        out: folder to write to, made if it is not there
        command: the command line that repeats it, for the page

    Returns:
        the page

    Raises:
        InputError: as ``compare_studies`` raises it
    """
    runs, place = read_runs(folders), Path(out).expanduser()
    table = uar_of_runs(runs)
    figure = figure_exhibit(
        plot_comparison(table), _figure_caption(runs), place / "figures" / "compare.svg"
    )
    _write_tables(table, runs, place / "tables")
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
    text = environment.get_template("compare.html.j2").render(
        style=(_TEMPLATES / "report" / "style.css").read_text(encoding="utf-8"),
        notices=notices(runs),
        headline=gain_sentences(runs),
        figure=figure._repr_html_(),
        tables=[table._repr_html_() for table in _result_tables(table, runs)],
        note=_published_note(runs),
        runs=_shown(runs_table(runs), "What each study rests on."),
        differences=_shown(settings_table(runs), "Settings and versions in which they differ."),
        links=[(study, _link(run.folder, place)) for study, run in runs.items()],
        command=command,
        version=importlib.metadata.version("sercue"),
        date=datetime.date.today().isoformat(),
    )
    page = place / "compare.html"
    write_text(page, text)
    return page


def _write_tables(table: pd.DataFrame, runs: Mapping[str, EvaluatedRun], folder: Path) -> None:
    write_csv(folder / "compare.csv", result_table(table))
    write_csv(folder / "compare_long.csv", table, index=False)
    caption = f"{_caption(runs)} {_published_note(runs)}".strip()
    latex.write_table(
        printed_table(table), caption, folder / "compare.tex", keys=_KEYS, page=latex.WIDE_PAGE
    )


def _result_tables(table: pd.DataFrame, runs: Mapping[str, EvaluatedRun]) -> list[TableExhibit]:
    shown, losses = printed_table(table), printed_losses(table)
    result = TableExhibit(result_table(table), _by_model(shown), _caption(runs))
    if losses.shape[1] == _KEYS:
        return [result]
    caption = f"Difference in UAR to aligned tokens. {_intervals(runs)}"
    return [result, TableExhibit(losses, _by_model(losses), caption)]


_KEYS = 3


def _by_model(shown: pd.DataFrame) -> pd.DataFrame:
    return shown.set_index(shown.columns[0])


def _caption(runs: Mapping[str, EvaluatedRun]) -> str:
    return (
        "Unweighted average recall (UAR) by model, corpus and condition; UAR− is the audio alone, "
        f"UAR+ with the utterance's own tokens. {_intervals(runs)}"
    )


def _figure_caption(runs: Mapping[str, EvaluatedRun]) -> str:
    return f"UAR by condition, one panel a study. {_intervals(runs)}"


def _intervals(runs: Mapping[str, EvaluatedRun]) -> str:
    levels = {f"{run.parameters['confidence']:.0%}" for run in runs.values()}
    if len(levels) > 1:
        return "Intervals over speakers, at each study's own level."
    return f"Intervals of {levels.pop()} over speakers."


def _published_note(runs: Mapping[str, EvaluatedRun]) -> str:
    """What a published row is and is not; an empty text where there is none."""
    known = [
        value
        for run in runs.values()
        for value in published_values(run.parameters["model"], run.provenance["corpus"]["name"])
    ]
    if not known:
        return ""
    sources = "; ".join(dict.fromkeys(value.source for value in known))
    return (
        f"{DAGGER} {PUBLISHED.capitalize()} by others: {sources}. Not computed here; wording, "
        "partitions and label order may differ from those of this run."
    )


def _shown(table: pd.DataFrame, caption: str) -> str | None:
    return None if table.empty else TableExhibit(table, table, caption)._repr_html_()


def _link(folder: Path, out: Path) -> str | None:
    """The study's own index, if it lies beside the page: any other way names folders."""
    index = folder.resolve() / "index.html"
    beside = folder.resolve().parent == out.resolve().parent
    return f"../{folder.resolve().name}/index.html" if beside and index.is_file() else None
