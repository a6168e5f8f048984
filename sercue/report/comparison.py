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
from typing import Any

import jinja2
import pandas as pd

from sercue.errors import InputError
from sercue.models.cards import CARDS, ENDPOINT_PREFIX, HUB_PREFIX
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
    known = {card.name: card.name for card in CARDS} | {
        prefix + card.repository: card.name
        for card in CARDS
        if card.repository
        for prefix in (HUB_PREFIX, ENDPOINT_PREFIX)
    }
    name = known.get(model)
    return [value for value in PUBLISHED if (value.model, value.corpus) == (name, corpus)]


OURS = "this run"
AS_PUBLISHED = "published"
#: Of a study, what its rows have in common.
KEYS = ("model", "corpus", "study", "source")
REFERENCES = ("none", "aligned")
_ENDS = ("low", "high")


def compare_studies(folders: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """UAR by model, corpus, study and condition, with what is published beside it.

    Conditions about single concepts (``only``, ``without``, ``flip``) are left out: they are a
    family of their own in each study's report.

    Args:
        folders: folders of finished runs

    Returns:
        DataFrame, one row a study and condition, studies of one corpus and model together:
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
    named = dict(zip(_study_names(runs), runs, strict=True))
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
        parts.append(_own_rows(study, run))
        pair = run.model, run.corpus
        # Once, below the first study of this model and corpus.
        if pair not in shown:
            parts.append(_published_rows(run, *pair))
        shown.add(pair)
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


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


def _study_names(runs: Sequence[EvaluatedRun]) -> list[str]:
    names = [str(run.parameters["study"]) for run in runs]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def _own_rows(study: str, run: EvaluatedRun) -> pd.DataFrame:
    names = {"uar_low": "low", "uar_high": "high"}
    table = main_conditions(run.conditions)[["condition", "uar", *names]].rename(columns=names)
    columns = {
        column: [values[place] for values in told]
        for reference in REFERENCES
        for told in [[_difference(run, name, reference) for name in table["condition"]]]
        for place, column in enumerate(difference_columns(reference))
    }
    keys = dict(zip(KEYS, (run.model, run.corpus, study, OURS), strict=True))
    facts = {"fixture": run.notice is not None, "classes": len(run.labels)}
    return _with_keys(table.assign(**columns), keys | facts)


def difference_columns(reference: str) -> list[str]:
    """The columns of the differences to a condition and of the ends of their intervals.

    Examples:
        >>> difference_columns("none")
        ['to_none', 'to_none_low', 'to_none_high']
    """
    return [f"to_{reference}", *(f"to_{reference}_{end}" for end in _ENDS)]


def _difference(run: EvaluatedRun, condition: str, reference: str) -> tuple[float, ...]:
    return run.difference(condition, reference) or (float("nan"),) * 3


def _published_rows(run: EvaluatedRun, model: str, corpus: str) -> pd.DataFrame:
    rows = [
        {"condition": value.condition, "uar": value.uar}
        for value in published_values(run.parameters["model"], corpus)
    ]
    keys = dict(zip(KEYS, (model, corpus, AS_PUBLISHED, AS_PUBLISHED), strict=True))
    return _with_keys(pd.DataFrame(rows), keys | {"fixture": False, "classes": len(run.labels)})


def _with_keys(table: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(dict(keys), index=table.index).join(table)


# These name a run, and are in its row already.
_NAMING = ("study", "out")
_LONGEST = 120


def runs_table(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """What each study rests on: utterances, speakers, classes, floors and ceilings, weights.

    One row a fact, one column a study.

    Args:
        runs: as ``read_runs`` returns them
    """
    columns = {study: _facts(run) for study, run in runs.items()}
    return pd.DataFrame(columns, dtype=object).rename_axis("fact")


def settings_table(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """The settings and versions in which the studies differ: one row a key, one column a study.

    Of lists it is told what a study lacks; a study that does not know a key has a dash.

    Args:
        runs: as ``read_runs`` returns them
    """
    told = {study: _settings(run) for study, run in runs.items()}
    keys = list(dict.fromkeys(key for values in told.values() for key in values))
    rows = {key: [values.get(key, "–") for values in told.values()] for key in keys}
    differing = {key: row for key, row in rows.items() if len(set(row)) > 1}
    shown = {key: _told(row) for key, row in differing.items()}
    return pd.DataFrame.from_dict(shown, orient="index", columns=list(told)).rename_axis("setting")


def _facts(run: EvaluatedRun) -> dict[str, str]:
    uar = run.measures.set_index("condition")["uar"]
    corpus, shown = run.provenance["corpus"], run.parameters
    return {
        "model": run.model,
        "weights": run.provenance["model"]["identity"],
        "corpus": f"{run.corpus}: {corpus['utterances']} utterances, {corpus['speakers']} speakers",
        "evaluated": f"{int(run.conditions['utterances'].max())} utterances",
        "speakers of intervals": str(run.tests["speakers"].max()) if len(run.tests) else "–",
        "classes": ", ".join(run.labels),
        "chance": number(chance(run.labels)),
        TOKENS_ONLY: number(uar[TOKENS_ONLY]) if TOKENS_ONLY in uar else "–",
        SVM: number(uar[SVM]) if SVM in uar else "–",
        "intervals": f"{shown['confidence']:.0%}",
    }


def _settings(run: EvaluatedRun) -> dict[str, str]:
    given = {**run.parameters, "conditions": shortened(run.parameters["conditions"])}
    chosen = {k: public_value(v) for k, v in given.items() if k not in _NAMING}
    facts = {
        "corpus content": str(run.provenance["corpus"].get("content")),
        "ran on": str(run.provenance["model"].get("device")),
        "precision": str(run.provenance["model"].get("dtype")),
        "git commit": str(run.provenance.get("git", {}).get("commit"))[:12],
    }
    versions = {f"{name} version": text for name, text in run.provenance["versions"].items()}
    return chosen | facts | versions


def _told(row: Sequence[str]) -> list[str]:
    """Values of one setting; of long lists only what a study lacks of all that the others name."""
    if not all(value.startswith("[") for value in row):
        return ["–" if value == "null" else textwrap.shorten(value, _LONGEST) for value in row]
    lists = [list(map(str, json.loads(value))) for value in row]
    union = list(dict.fromkeys(entry for entries in lists for entry in entries))
    return [_lacking([entry for entry in union if entry not in held], union) for held in lists]


def _lacking(lacks: Sequence[str], union: Sequence[str]) -> str:
    number = f"{len(union) - len(lacks)} of {len(union)}"
    return f"{number}: not {textwrap.shorten(', '.join(lacks), _LONGEST)}" if lacks else number


_SIDES = {1: "lies above zero", 0: "lies on both sides of zero", -1: "lies below zero"}
_POINT = "has no width, and does not count,"


def gain_sentences(runs: Mapping[str, EvaluatedRun]) -> list[str]:
    """In how many studies aligned tokens raise UAR, as far as the intervals tell.

    Args:
        runs: as ``read_runs`` returns them
    """
    classes = {len(run.labels) for run in runs.values()}
    differ = " Studies differ in their number of classes: read each by its own chance."
    gains = {study: run.difference("aligned", "none") for study, run in runs.items()}
    known = {study: gain for study, gain in gains.items() if gain is not None}
    if not known:
        return ["No study has both UAR− (none) and UAR+ (aligned)."]
    sides: dict[str, list[str]] = {side: [] for side in (*_SIDES.values(), _POINT)}
    for study, (value, low, high) in known.items():
        side = _POINT if without_width(low, high) else _SIDES[direction(low, high)]
        sides[side].append(f"{study} {_signed(value, low, high)}")
    told = "; ".join(
        f"{side} for {len(names)} ({', '.join(names)})" for side, names in sides.items() if names
    )
    return [
        f"UAR+ − UAR−, what aligned tokens add to the audio alone: of {len(known)} "
        f"{'study' if len(known) == 1 else 'studies'} the interval {told}.",
        "Each interval is of one study, over its own speakers. No test here compares two studies: "
        "where they share speakers, intervals that overlap do not show that they are alike."
        + differ
        * (len(classes) > 1),
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


def _signed(value: float, low: float, high: float) -> str:
    told = [number(one, signed=True) for one in (value, low, high)]
    return "{} [{}, {}]".format(*told)


GAIN = "UAR+ − UAR−"
DAGGER = "†"
_NAMES = {"none": "UAR−", "aligned": "UAR+"}
_HEADS = {"model": "Model", "corpus": "Corpus", "study": "Study"}
_UAR = ["uar", "low", "high"]


def result_table(table: pd.DataFrame) -> pd.DataFrame:
    """The numbers, unrounded: one row a study, three columns a condition.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame by ``model``, ``corpus``, ``study`` and ``source``; columns ``fixture``,
        ``classes``, of each condition ``<name>``, ``<name> low``, ``<name> high``, and
        ``gain`` (UAR+ − UAR−) with its ends
    """
    rows = table.groupby(list(KEYS), sort=False)
    wide = rows[["fixture", "classes"]].first()
    for name in ordered_conditions(table["condition"]):
        wide[_three(name)] = _of_condition(table, name, _UAR)
        if name == "aligned":
            wide[_three("gain")] = _of_condition(table, name, difference_columns("none"))
    return wide


def printed_table(table: pd.DataFrame) -> pd.DataFrame:
    """The same as a paper prints it: each cell a number and its interval.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, published rows marked
    """
    return _printed(table, [(name, "uar") for name in ordered_conditions(table["condition"])])


def printed_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Differences of all perturbed conditions to ``aligned``, printed as ``printed_table`` does.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, without those that have no such difference; it may be empty
    """
    rows = table[table["to_aligned"].notna()]
    return _printed(rows, [(name, "to_aligned") for name in ordered_conditions(rows["condition"])])


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


def _printed(table: pd.DataFrame, columns: list[tuple[str, str]]) -> pd.DataFrame:
    studies = table[list(KEYS)].drop_duplicates().set_index(list(KEYS))
    shown = pd.DataFrame(index=studies.index)
    for name, value in columns:
        ends = _UAR if value == "uar" else difference_columns("aligned")
        cells = _of_condition(table, name, ends).reindex(shown.index)
        # In words that a narrow column can break.
        head = _NAMES.get(name, name.replace("_", " ").replace("(", " ("))
        shown[head] = [_cell(*row, signed=value != "uar") for row in cells.to_numpy()]
        if (name, value) == ("aligned", "uar"):
            gains = _of_condition(table, name, difference_columns("none")).reindex(shown.index)
            shown[GAIN] = [_cell(*row, signed=True) for row in gains.to_numpy()]
    fixtures = table.groupby(list(KEYS), sort=False)["fixture"].first()
    return _with_heads(shown, fixtures.reindex(shown.index))


def _with_heads(shown: pd.DataFrame, fixtures: pd.Series) -> pd.DataFrame:
    """Model, corpus and study as columns, published rows and fixtures marked."""
    heads = shown.index.to_frame(index=False)
    published = (heads["source"] == AS_PUBLISHED).to_numpy()
    heads["study"] += [
        f" {DAGGER}" if theirs else " (fixture)" * bool(made)
        for theirs, made in zip(published, fixtures, strict=True)
    ]
    return heads[list(_HEADS)].rename(columns=_HEADS).join(shown.reset_index(drop=True))


def _of_condition(table: pd.DataFrame, name: str, columns: list[str]) -> pd.DataFrame:
    rows = table[table["condition"] == name].set_index(list(KEYS))[columns]
    return rows.set_axis(_three(name if columns == _UAR else "gain"), axis=1)


def _three(name: str) -> list[str]:
    return [name, f"{name} low", f"{name} high"]


def _cell(value: float, low: float, high: float, *, signed: bool) -> str:
    if math.isnan(value):
        return "–"
    text = number(value, signed=signed)
    if math.isnan(low):
        return text
    # The ends stay together: a narrow column breaks the line before them.
    return f"{text} [{number(low, signed=signed)},\u00a0{number(high, signed=signed)}]"


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
        f"{DAGGER} {AS_PUBLISHED.capitalize()} by others: {sources}. Not computed here; wording, "
        "partitions and label order may differ from those of this run."
    )


def _shown(table: pd.DataFrame, caption: str) -> str | None:
    return None if table.empty else TableExhibit(table, table, caption)._repr_html_()


def _link(folder: Path, out: Path) -> str | None:
    """The study's own index, if it lies beside the page: any other way names folders."""
    index = folder.resolve() / "index.html"
    beside = folder.resolve().parent == out.resolve().parent
    return f"../{folder.resolve().name}/index.html" if beside and index.is_file() else None
