"""Finished studies side by side: models, corpora and conditions in one table and one page."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from sercue.errors import InputError
from sercue.models.cards import card_of
from sercue.plots.results import plot_comparison
from sercue.report.finished import EvaluatedRun, public_value, read_run
from sercue.statistics.baselines import SVM, TOKENS_ONLY, chance
from sercue.storage.files import write_csv, write_text
from sercue.tables import latex
from sercue.tables.exhibits import TableExhibit, figure_exhibit
from sercue.tables.findings import direction, without_width
from sercue.tokens.catalogue import facts_by_name, main_conditions, shortened


@dataclass(frozen=True)
class PublishedValue:
    """A UAR that a publication gives, without an interval.

    Attributes:
        model: name of the model's card
        corpus: name of the corpus reader
        condition: name of the condition
        uar: between 0 and 1
        source: where it stands
    """

    model: str
    corpus: str
    condition: str
    uar: float
    source: str


PUBLISHED = (
    PublishedValue(
        "audio-flamingo-3",
        "iemocap",
        "aligned",
        0.776,
        "Tsangko, Triantafyllopoulos and Schuller, Acoustic Cue Alignment in Audio Language Models "
        "for Speech Emotion Recognition, arXiv 2606.07309, 2026",
    ),
)


def published_values(model: str, corpus: str) -> list[PublishedValue]:
    """What is published of a model on a corpus.

    Args:
        model: as a study names it; the repository of a known model counts as that model, a folder
            does not: what lies in it cannot be told from its name
        corpus: name of the corpus reader

    Examples:
        >>> [value.uar for value in published_values("audio-flamingo-3", "iemocap")]
        [0.776]
        >>> published_values("qwen2-audio", "iemocap")
        []
    """
    card = card_of(model)
    return [v for v in PUBLISHED if card and (v.model, v.corpus) == (card.name, corpus)]


OURS = "this run"
AS_PUBLISHED = "published"
#: What all rows of a study share.
KEYS = ["model", "corpus", "study", "source"]
_UAR = ["uar", "low", "high"]
_LACKING = "–"
_DAGGER = "†"
_LONGEST = 120  # characters of a setting
_TEMPLATES = Path(__file__).parents[1] / "templates"


def compare_studies(folders: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """UAR by model, corpus, study and condition, with what is published beside it.

    Conditions about single concepts (``only``, ``without``, ``flip``) are left out: they are a
    family of their own in each study's report.

    Args:
        folders: folders of finished runs

    Returns:
        DataFrame, one row per study and condition, studies of one corpus and model together:
        ``model``, ``corpus``, ``study``, ``source`` (``"this run"`` or ``"published"``),
        ``fixture`` (whether the study is no evidence), ``classes``, ``condition``, ``uar``,
        ``low``, ``high``, and the planned differences in UAR to ``none`` and to ``aligned`` with
        their intervals: ``to_none``, ``to_none_low``, ``to_none_high``, ``to_aligned``, ... What
        is not known is NaN. A study whose name stands twice is numbered.

    Raises:
        InputError: if there is no folder, if one is not that of a finished run, or if two hold
            the same study

    Examples:
        >>> compare_studies([])
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: compare: found no folder; valid are folders of finished runs, ...
    """
    return uar_of_runs(read_runs(folders))


def read_runs(folders: Sequence[str | os.PathLike[str]]) -> dict[str, EvaluatedRun]:
    """Runs by the names that tables give their studies, those of one corpus and model together.

    Args:
        folders: folders of finished runs

    Raises:
        InputError: as ``compare_studies`` raises it
    """
    if not folders:
        raise InputError(
            "compare: found no folder; valid are folders of finished runs, such as reports/demo"
        )
    runs = [read_run(folder) for folder in folders]
    first: dict[str, Path] = {}
    for run in runs:
        if run.settings in first:
            raise InputError(
                f"{run.folder}: the same study, with the same settings, as in "
                f"{first[run.settings]}; valid are studies that differ in a setting"
            )
        first[run.settings] = run.folder
    names = [str(run.parameters["study"]) for run in runs]
    numbered = [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]
    named = dict(zip(numbered, runs, strict=True))
    corpora = list(dict.fromkeys(run.corpus for run in runs))
    models = list(dict.fromkeys(run.model for run in runs))
    places = {
        study: (corpora.index(run.corpus), models.index(run.model)) for study, run in named.items()
    }
    return {study: named[study] for study in sorted(named, key=places.__getitem__)}


def uar_of_runs(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """The table of ``compare_studies``.

    Args:
        runs: as ``read_runs`` returns them
    """
    parts, shown = [], set()
    for study, run in runs.items():
        main = main_conditions(run.conditions)
        rows = main[["condition", "uar"]].assign(low=main["uar_low"], high=main["uar_high"])
        for reference in ("none", "aligned"):
            differences = [run.difference(name, reference) for name in rows["condition"]]
            rows[difference_columns(reference)] = [d or (float("nan"),) * 3 for d in differences]
        facts = {"fixture": run.notice is not None, "classes": len(run.labels)}
        parts.append((rows, [run.model, run.corpus, study, OURS], facts))
        # Once, below the first study of this model and corpus.
        pair = run.model, run.corpus
        published = published_values(run.model, run.corpus)
        if published and pair not in shown:
            theirs = pd.DataFrame(
                [(v.condition, v.uar) for v in published], columns=["condition", "uar"]
            )
            parts.append((theirs, [*pair, AS_PUBLISHED, AS_PUBLISHED], facts | {"fixture": False}))
        shown.add(pair)
    keyed = [
        pd.DataFrame(dict(zip(KEYS, keys, strict=True)) | facts, index=rows.index).join(rows)
        for rows, keys, facts in parts
    ]
    return pd.concat(keyed, ignore_index=True)


def ordered_conditions(names: Iterable[str]) -> list[str]:
    """Each condition once, families in the order of first appearance, doses ascending.

    Examples:
        >>> ordered_conditions(["none", "corrupted(0.5)", "constant", "corrupted(0.25)", "none"])
        ['none', 'corrupted(0.25)', 'corrupted(0.5)', 'constant']
    """
    facts = facts_by_name(dict.fromkeys(names))
    family = pd.factorize(facts["family"])[0]
    ordered = facts.assign(family=family).fillna({"dose": 0.0})
    return ordered.sort_values(["family", "dose"], kind="stable").index.tolist()


def difference_columns(reference: str) -> list[str]:
    """The columns of the differences to a condition and of the ends of their intervals.

    Examples:
        >>> difference_columns("none")
        ['to_none', 'to_none_low', 'to_none_high']
    """
    return [f"to_{reference}{end}" for end in ("", "_low", "_high")]


def runs_table(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """Model, corpus, sample size and reference values of each study.

    One row per fact, one column per study.

    Args:
        runs: as ``read_runs`` returns them
    """
    columns = {}
    for study, run in runs.items():
        uar, corpus = run.measures.set_index("condition")["uar"], run.provenance["corpus"]
        of_corpus = f"{corpus['utterances']} utterances, {corpus['speakers']} speakers"
        trained = {
            name: number(uar[name]) if name in uar else _LACKING for name in (TOKENS_ONLY, SVM)
        }
        columns[study] = {
            "model": run.model,
            "weights": run.provenance["model"]["identity"],
            "corpus": f"{run.corpus}: {of_corpus}",
            "evaluated": f"{int(run.conditions['utterances'].max())} utterances",
            "speakers in intervals": str(run.tests["speakers"].max())
            if len(run.tests)
            else _LACKING,
            "classes": ", ".join(run.labels),
            "chance": number(chance(run.labels)),
            **trained,
            "intervals": f"{run.parameters['confidence']:.0%}",
        }
    return pd.DataFrame(columns, dtype=object).rename_axis("fact")


def settings_table(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """The settings and versions in which the studies differ: one row per key, one column per study.

    Of a list, only the entries that a study lacks are named; a study without a key has a dash.

    Args:
        runs: as ``read_runs`` returns them
    """
    told = {}
    for study, run in runs.items():
        held = run.provenance
        given = {**run.parameters, "conditions": shortened(run.parameters["conditions"])}
        # The study's name and its folder name a run, and are in its row already.
        chosen = {k: public_value(v) for k, v in given.items() if k not in ("study", "out")}
        facts = {
            "corpus content": str(held["corpus"].get("content")),
            "ran on": str(held["model"].get("device")),
            "precision": str(held["model"].get("dtype")),
            "git commit": str(held.get("git", {}).get("commit"))[:12],
        }
        versions = {f"{name} version": text for name, text in held["versions"].items()}
        told[study] = chosen | facts | versions
    keys = dict.fromkeys(key for values in told.values() for key in values)
    rows = {key: [values.get(key, _LACKING) for values in told.values()] for key in keys}
    shown = {key: _told(row) for key, row in rows.items() if len(set(row)) > 1}
    return pd.DataFrame.from_dict(shown, orient="index", columns=list(told)).rename_axis("setting")


def _told(row: Sequence[str]) -> list[str]:
    """The values of one setting; of lists, only the entries that a study lacks."""
    if not all(value.startswith("[") for value in row):
        return [_LACKING if v == "null" else textwrap.shorten(v, _LONGEST) for v in row]
    lists = [list(map(str, json.loads(value))) for value in row]
    union = list(dict.fromkeys(entry for entries in lists for entry in entries))
    told = []
    for held in lists:
        lacks = [entry for entry in union if entry not in held]
        most = textwrap.shorten(", ".join(lacks), _LONGEST)
        number_of = f"{len(union) - len(lacks)} of {len(union)}"
        told.append(f"{number_of}: not {most}" if lacks else number_of)
    return told


def gain_sentences(runs: Mapping[str, EvaluatedRun]) -> list[str]:
    """In how many studies aligned tokens raise UAR, judged by the intervals.

    Args:
        runs: as ``read_runs`` returns them
    """
    gains = {study: run.difference("aligned", "none") for study, run in runs.items()}
    known = {study: gain for study, gain in gains.items() if gain is not None}
    if not known:
        return ["No study has both UAR− (none) and UAR+ (aligned)."]
    words = {1: "lies above zero", 0: "includes zero", -1: "lies below zero"}
    point = "has no width and is not counted"
    sides: dict[str, list[str]] = {side: [] for side in (*words.values(), point)}
    for study, (value, low, high) in known.items():
        side = point if without_width(low, high) else words[direction(low, high)]
        sides[side].append(f"{study} {_with_ends(value, low, high, signed=True, space=' ')}")
    told = "; ".join(
        f"{side} in {len(names)} ({', '.join(names)})" for side, names in sides.items() if names
    )
    differ = len({len(run.labels) for run in runs.values()}) > 1
    return [
        f"Gain from aligned tokens over the audio alone (UAR+ − UAR−), {len(known)} "
        f"{'study' if len(known) == 1 else 'studies'}: the interval {told}.",
        "Each interval is that of one study, over its own speakers. Studies are not tested against "
        "each other: if they share speakers, overlapping intervals do not show that they are equal."
        + " The number of classes differs between studies: compare each UAR with its own chance "
        "level." * differ,
    ]


def notices(runs: Mapping[str, EvaluatedRun]) -> list[str]:
    """The fixture warning, once for all studies that it holds for.

    Args:
        runs: as ``read_runs`` returns them
    """
    told: dict[str, list[str]] = {}
    for study, run in runs.items():
        if run.notice is not None:
            told.setdefault(run.notice, []).append(study)
    return [f"{', '.join(studies)}: {notice}" for notice, studies in told.items()]


def result_table(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers, unrounded: one row per study, three columns per condition.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame by ``model``, ``corpus``, ``study`` and ``source``; columns ``fixture``,
        ``classes``, of each condition ``<name>``, ``<name> low``, ``<name> high``, and
        ``gain`` (UAR+ − UAR−) with its ends
    """
    wide = table.groupby(KEYS, sort=False)[["fixture", "classes"]].first()
    for name in ordered_conditions(table["condition"]):
        rows = table[table["condition"] == name].set_index(KEYS)
        wide[[name, f"{name} low", f"{name} high"]] = rows[_UAR]
        if name == "aligned":
            wide[["gain", "gain low", "gain high"]] = rows[difference_columns("none")]
    return wide


def printed_table(table: pd.DataFrame) -> pd.DataFrame:
    """The same as a paper prints it: each cell a number and its interval.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, published rows marked
    """
    return _printed(table, _UAR)


def printed_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Differences of all perturbed conditions to ``aligned``, printed as ``printed_table`` does.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, without those that have no such difference; it may be empty
    """
    return _printed(table[table["to_aligned"].notna()], difference_columns("aligned"))


def _printed(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Model, corpus and study, and each condition's value in three columns as one text."""
    studies = table.groupby(KEYS, sort=False)["fixture"].first()
    shown = studies.index.to_frame(index=False)[["model", "corpus", "study"]]
    marks = [
        f" {_DAGGER}" if source == AS_PUBLISHED else " (fixture)" * bool(fixture)
        for source, fixture in zip(studies.index.get_level_values("source"), studies, strict=True)
    ]
    # Of no study, pandas takes an empty list for numbers.
    shown["study"] += pd.Series(marks, dtype="str")
    shown.columns = shown.columns.str.capitalize()

    def cells(name: str, columns: list[str]) -> list[str]:
        rows = table[table["condition"] == name].set_index(KEYS)[columns].reindex(studies.index)
        return [_with_ends(*row, signed=columns != _UAR) for row in rows.to_numpy()]

    for name in ordered_conditions(table["condition"]):
        # In words that a narrow column can break.
        head = {"none": "UAR−", "aligned": "UAR+"}.get(
            name, name.replace("_", " ").replace("(", " (")
        )
        shown[head] = cells(name, columns)
        if name == "aligned":
            shown["UAR+ − UAR−"] = cells(name, difference_columns("none"))
    return shown


def number(value: float, *, signed: bool = False) -> str:
    """A value of UAR, or a difference, without the zero before the point.

    Examples:
        >>> number(0.7764), number(-0.0312, signed=True), number(1)
        ('.776', '−.031', '1.000')
    """
    text = f"{abs(value):.3f}".removeprefix("0")
    if not signed:
        return text
    return f"−{text}" if round(value, 3) < 0 else f"+{text}"


def _with_ends(
    value: float, low: float, high: float, *, signed: bool, space: str = "\u00a0"
) -> str:
    """A value and its interval, whose ends stay together: a narrow column breaks before them."""
    if math.isnan(value):
        return _LACKING
    text = number(value, signed=signed)
    if math.isnan(low):
        return text
    return f"{text} [{number(low, signed=signed)},{space}{number(high, signed=signed)}]"


def write_comparison(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    command: str = "",
) -> Path:
    """Write ``compare.html``, and its tables and figure for a paper.

    ``tables/compare.csv`` has the result table unrounded, ``compare.tex`` as it is shown, and
    ``compare_long.csv`` one row per study and condition; ``figures/compare.svg`` is the figure.

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
    levels = {f"{run.parameters['confidence']:.0%}" for run in runs.values()}
    intervals = (
        "Intervals over speakers, at the confidence level of each study."
        if len(levels) > 1
        else f"{levels.pop()} intervals over speakers."
    )
    caption = (
        "Unweighted average recall (UAR) by model, corpus and condition; UAR− is the UAR with the "
        f"audio alone, UAR+ that with the utterance's own tokens. {intervals}"
    )
    sources = dict.fromkeys(
        value.source for run in runs.values() for value in published_values(run.model, run.corpus)
    )
    note = sources and (
        f"{_DAGGER} Published by others: {'; '.join(sources)}. Not computed here; templates, "
        "partitions and label orders may differ."
    )
    figure = figure_exhibit(
        plot_comparison(table),
        f"UAR by condition, one panel per study. {intervals}",
        place / "figures" / "compare.svg",
    )
    shown, losses = printed_table(table), printed_losses(table)
    write_csv(place / "tables" / "compare.csv", result_table(table))
    write_csv(place / "tables" / "compare_long.csv", table, index=False)
    latex.write_table(
        shown,
        f"{caption} {note}" if note else caption,
        place / "tables" / "compare.tex",
        keys=3,
        page=latex.WIDE_PAGE,
    )
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True)
    text = environment.get_template("compare.html.j2").render(
        style=(_TEMPLATES / "report" / "style.css").read_text(encoding="utf-8"),
        notices=notices(runs),
        headline=gain_sentences(runs),
        figure=figure._repr_html_(),
        results=_html(shown.set_index("Model"), caption),
        losses=_html(
            losses.set_index("Model"), f"Difference in UAR from aligned tokens. {intervals}"
        ),
        note=note,
        runs=_html(runs_table(runs), "Models, corpora, sample sizes and reference values."),
        differences=_html(
            settings_table(runs), "Settings and versions that differ between the studies."
        ),
        links=[(study, _link(run.folder, place)) for study, run in runs.items()],
        command=command,
        version=importlib.metadata.version("sercue"),
        date=datetime.date.today().isoformat(),
    )
    page = place / "compare.html"
    write_text(page, text)
    return page


def _html(shown: pd.DataFrame, caption: str) -> str | None:
    return None if shown.empty else TableExhibit(shown, shown, caption)._repr_html_()


def _link(folder: Path, out: Path) -> str | None:
    """The study's own index, if it lies beside the page: any other way names folders."""
    index = folder.resolve() / "index.html"
    beside = folder.resolve().parent == out.resolve().parent
    return f"../{folder.resolve().name}/index.html" if beside and index.is_file() else None
