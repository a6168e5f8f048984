"""Finished studies side by side: models, corpora and conditions in one table and one page."""

from __future__ import annotations

import json
import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sercue.errors import InputError
from sercue.models.cards import card_of
from sercue.notation import MISSING, Form, bounded, percent, signed, with_interval
from sercue.plots.results import plot_comparison
from sercue.report.finished import EvaluatedRun, public_value, read_run
from sercue.report.published import SECOND_HAND, WHOLE, of_evaluation, published_values
from sercue.report.templates import page_of
from sercue.statistics.baselines import MAJORITY, SVM, TOKENS_ONLY, chance
from sercue.statistics.contrasts import spearman
from sercue.storage.files import write_csv, write_text
from sercue.tables import latex
from sercue.tables.exhibits import TableExhibit, figure_exhibit
from sercue.tables.findings import LEVEL
from sercue.tokens.catalogue import doses_of, facts_by_name, main_conditions, shortened
from sercue.tokens.schemes import concepts_of

OURS = "this run"
AS_PUBLISHED = "published"
#: What all rows of a study share.
KEYS = ["model", "corpus", "classes", "partition", "study", "source"]
_UAR = ["uar", "low", "high"]
_NAN = float("nan")
_DAGGER = "†"
_LONGEST = 120  # characters of a setting


def compare_studies(folders: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """UAR by model, corpus, study and condition, next to published values.

    Conditions about single concepts (``only``, ``without``, ``flip``) are left out: they are a
    family of their own in each study's report.

    Args:
        folders: folders of finished runs

    Returns:
        DataFrame, one row per study and condition, studies of one corpus and model together:
        ``model``, ``corpus``, ``classes`` (their number), ``partition`` (the evaluated one, or
        ``"all"`` of the corpus), ``study``, ``source`` (``"this run"`` or ``"published"``),
        ``fixture`` (whether the study is no evidence), ``condition``, ``uar``, ``low``, ``high``,
        and the planned differences in UAR to ``none`` and to ``aligned`` with their intervals:
        ``to_none``, ``to_none_low``, ``to_none_high``, ``to_aligned``, ... What is not known is
        NaN. Studies of the same name are numbered. Published rows are of the model, corpus,
        classes and partition of the study above them, and of UAR alone; ``study`` says of those
        that are second-hand that they are.

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


def _card_name(run: EvaluatedRun) -> str | None:
    """The card of the model of a run; ``None`` where it has none, or is fine-tuned."""
    card = card_of(run.model)
    return None if card is None else card.name


def uar_of_runs(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """The table of ``compare_studies``.

    Args:
        runs: as ``read_runs`` returns them
    """
    parts, shown = [], set()
    theirs = published_values().query("measure == 'uar'").rename(columns={"value": "uar"})
    for study, run in runs.items():
        main = main_conditions(run.conditions)
        rows = main[["condition", "uar"]].assign(low=main["uar_low"], high=main["uar_high"])
        for reference in ("none", "aligned"):
            differences = [run.difference(name, reference) for name in rows["condition"]]
            rows[difference_columns(reference)] = [d or (_NAN,) * 3 for d in differences]
        evaluation = evaluated(run)
        parts.append((rows, [run.model, *evaluation, study, OURS], run.notice is not None))
        # Once, below the first study of this model and evaluation.
        if (run.model, evaluation) not in shown:
            same = of_evaluation(theirs, *evaluation)
            same = same[same["model"] == _card_name(run)]
            for name, values in _by_publication(same):
                named = values[["condition", *_UAR]]
                parts.append((named, [run.model, *evaluation, name, AS_PUBLISHED], False))
        shown.add((run.model, evaluation))
    keyed = [
        pd.DataFrame(dict(zip(KEYS, keys, strict=True)) | {"fixture": fixture}, index=rows.index)
        .join(rows)
        for rows, keys, fixture in parts
    ]  # fmt: skip
    return pd.concat(keyed, ignore_index=True)


def _by_publication(values: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Published values as rows of the table: each publication apart, what is second-hand apart."""
    second_hand = values["known"].str.startswith(SECOND_HAND)
    named: dict[str, pd.DataFrame] = {}
    for (_, second), rows in values.groupby(["source", second_hand], sort=False):
        name = f"{AS_PUBLISHED}, {SECOND_HAND}" if second else AS_PUBLISHED
        named[name if name not in named else f"{name} ({len(named) + 1})"] = rows
    return list(named.items())


def evaluated(run: EvaluatedRun) -> tuple[str, int, str]:
    """What a study evaluated: the corpus, the number of classes, and which of the utterances.

    Args:
        run: a finished run

    Returns:
        corpus, classes, and the partition, or ``all`` where every utterance is in it, as in a
        cross-validation over all folds
    """
    partition = str(run.parameters["partition"])
    present = set(run.artifacts.read("utterances.parquet")["partition"])
    return run.corpus, len(run.labels), WHOLE if present == {partition} else partition


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
    measured = [run.measures.loc[run.measures["baseline"], "condition"] for run in runs.values()]
    named = dict.fromkeys(name for names in measured for name in names if name != MAJORITY)
    for study, run in runs.items():
        uar, corpus = run.measures.set_index("condition")["uar"], run.provenance["corpus"]
        of_corpus = f"{corpus['utterances']} utterances, {corpus['speakers']} speakers"
        references = {
            name: bounded(uar[name]) if name in uar else MISSING
            for name in dict.fromkeys((TOKENS_ONLY, SVM, *named))
        }
        columns[study] = {
            "model": run.model,
            "weights": run.provenance["model"]["identity"],
            "corpus": f"{run.corpus}: {of_corpus}",
            "evaluated": f"{int(run.conditions['utterances'].max())} utterances, partition "
            f"{evaluated(run)[-1]}",
            "speakers in intervals": str(run.tests["speakers"].max())
            if len(run.tests)
            else MISSING,
            "classes": ", ".join(run.labels),
            "chance": bounded(chance(run.labels)),
            **references,
            "share of the tokens": with_interval(*run.reliance),
            "intervals": percent(run.parameters["confidence"]),
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
        given = dict(run.parameters)
        given["conditions"] = shortened(
            given["conditions"], concepts_of(given["scheme"]), given.get("audio", ())
        )
        # The study's name and its folder name a run, and are in its row already.
        chosen = {k: public_value(v) for k, v in given.items() if k not in ("study", "out")}
        facts = {
            "corpus content": str(held["corpus"].get("content")),
            "scheme content": held.get("scheme", MISSING),
            "ran on": str(held["model"].get("device")),
            "precision": str(held["model"].get("dtype")),
            "git commit": str(held.get("git", {}).get("commit"))[:12],
        }
        versions = {f"{name} version": text for name, text in held["versions"].items()}
        told[study] = chosen | facts | versions
    keys = dict.fromkeys(key for values in told.values() for key in values)
    rows = {key: [values.get(key, MISSING) for values in told.values()] for key in keys}
    shown = {key: _told(row) for key, row in rows.items() if len(set(row)) > 1}
    return pd.DataFrame.from_dict(shown, orient="index", columns=list(told)).rename_axis("setting")


def _told(row: Sequence[str]) -> list[str]:
    """The values of one setting; of lists, only the entries that a study lacks."""
    if not all(value.startswith("[") for value in row):
        return [MISSING if v == "null" else textwrap.shorten(v, _LONGEST) for v in row]
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
    """In how many studies aligned tokens raise UAR, and how much each model relies on tokens.

    Args:
        runs: as ``read_runs`` returns them
    """
    gains = {
        study: row
        for study, run in runs.items()
        for _, row in run.tests[run.tests["step"] == "primary"].iterrows()
    }
    if not gains:
        return ["No study has both UAR− (none) and UAR+ (aligned)."]
    words = ("is significantly above zero", "is inconclusive", "is significantly below zero")
    sides: dict[str, list[str]] = {side: [] for side in words}
    for study, row in gains.items():
        found = row["holm_p"] < LEVEL
        side = words[1] if not found else words[0 if row["difference"] > 0 else 2]
        ends = row[["difference", "low", "high"]]
        sides[side].append(f"{study} {signed(*ends)}")
    told = "; ".join(f"{side} in {len(of)} ({', '.join(of)})" for side, of in sides.items() if of)
    known = {study: with_interval(*run.reliance) for study, run in runs.items()}
    shares = ", ".join(f"{study} {told}" for study, told in known.items() if told != MISSING)
    reliance = [
        f"Share of the tokens in the weights of audio and tokens (reliance): {shares}. Only models "
        "that answered the same prompts with the same tokens can be compared, by rank order."
    ]
    differ = len({len(run.labels) for run in runs.values()}) > 1
    return [
        f"Gain from aligned tokens over the audio alone (UAR+ − UAR−), {len(gains)} "
        f"{'study' if len(gains) == 1 else 'studies'}: it {told}.",
        *(reliance if shares else []),
        "Each test and interval is that of one study, over its own speakers. Studies are not "
        "tested against each other: if they share speakers, overlapping intervals do not show that "
        "they are equal."
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
        DataFrame by ``model``, ``corpus``, ``classes``, ``partition``, ``study`` and ``source``;
        columns ``fixture``, of each condition ``<name>``, ``<name> low``, ``<name> high``, and
        ``gain`` (UAR+ − UAR−) with its ends
    """
    wide = table.groupby(KEYS, sort=False)[["fixture"]].first()
    for name in ordered_conditions(table["condition"]):
        rows = table[table["condition"] == name].set_index(KEYS)
        wide[[name, f"{name} low", f"{name} high"]] = rows[_UAR]
        if name == "aligned":
            wide[["gain", "gain low", "gain high"]] = rows[difference_columns("none")]
    return wide


def printed_table(table: pd.DataFrame, columns: list[str] = _UAR) -> pd.DataFrame:
    """The same as a paper prints it: each cell a number and its interval.

    Args:
        table: as ``compare_studies`` returns it
        columns: the value of each condition that is printed, and the ends of its interval

    Returns:
        DataFrame of texts by study, published rows marked
    """
    studies = table.groupby(KEYS, sort=False)["fixture"].first()
    shown = studies.index.to_frame(index=False)[KEYS[:-1]].astype({"classes": str})
    marks = [
        f" {_DAGGER}" if source == AS_PUBLISHED else " (fixture)" * bool(fixture)
        for source, fixture in zip(studies.index.get_level_values("source"), studies, strict=True)
    ]
    # Of no study, pandas takes an empty list for numbers.
    shown["study"] += pd.Series(marks, dtype="str")
    shown.columns = shown.columns.str.capitalize()
    for name in ordered_conditions(table["condition"]):
        rows = table[table["condition"] == name].set_index(KEYS).reindex(studies.index)
        # In words that a narrow column can break.
        words = name.replace("_", " ").replace("(", " (")
        printed = {{"none": "UAR−", "aligned": "UAR+"}.get(name, words): columns}
        if name == "aligned":
            printed["UAR+ − UAR−"] = difference_columns("none")
        for head, of in printed.items():
            shown[head] = [_unbroken(row, sign=of != _UAR) for row in rows[of].to_numpy()]
    return shown


def printed_losses(table: pd.DataFrame) -> pd.DataFrame:
    """Differences of all perturbed conditions to ``aligned``, printed as ``printed_table`` does.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        DataFrame of texts by study, without those that have no such difference; it may be empty
    """
    differences = table[table["to_aligned"].notna()]
    return printed_table(differences, difference_columns("aligned"))


def _unbroken(values: Iterable[float], *, sign: bool) -> str:
    """A value and its interval, whose ends stay together: a narrow column breaks before them."""
    return Form(sign=sign).of(*values).replace(", ", ",\u00a0")


def beside_published(runs: Mapping[str, EvaluatedRun]) -> pd.DataFrame:
    """Published values of what the studies evaluated, of any model, with ours where we have one.

    A value of a study stands beside a published one of the same model, corpus, number of classes,
    partition, condition and measure. Values whose classes or partition are not known are listed
    for their corpus, and have none of ours beside them.

    Args:
        runs: as ``read_runs`` returns them

    Returns:
        DataFrame, one row per published value and study that has it too: the columns of
        ``published_values``, then ``study`` (empty without one), ``ours``, ``ours_low`` and
        ``ours_high``
    """
    values, rows = published_values(), []
    evaluations = {study: evaluated(run) for study, run in runs.items()}
    for evaluation in dict.fromkeys(evaluations.values()):
        listed = of_evaluation(values, *evaluation, unknown=True)
        known = of_evaluation(values, *evaluation).index
        for place, value in zip(listed.index, listed.to_dict("records"), strict=True):
            ours = {
                study: _measured(run, value)
                for study, run in runs.items()
                if place in known
                and evaluations[study] == evaluation
                and _card_name(run) == value["model"]
            }
            found = {study: numbers for study, numbers in ours.items() if numbers is not None}
            for study, numbers in (found or {"": (_NAN,) * 3}).items():
                rows.append([*value.values(), study, *numbers])
    columns = [*values.columns, "study", "ours", "ours_low", "ours_high"]
    table = pd.DataFrame(rows, columns=columns).drop_duplicates(ignore_index=True)
    return table.astype({"classes": "Int64"})


def _measured(run: EvaluatedRun, value: Mapping[Any, Any]) -> tuple[float, float, float] | None:
    """What a run has of the condition and measure of a published value, with its interval."""
    table, name = run.conditions.set_index("condition"), value["condition"]
    if value["measure"] == "uar_difference":
        return run.difference(name, value["reference"])
    if value["measure"] == "spearman_rho":
        doses = doses_of(facts_by_name(table.index)).get(name, {})
        rho, *_ = spearman(list(doses.values()), table.loc[list(doses), "uar"].to_numpy())
        return None if math.isnan(rho) else (rho, _NAN, _NAN)
    if name not in table.index:
        return None
    columns = ["uar", "uar_low", "uar_high"] if value["measure"] == "uar" else ["macro_f1"]
    found = [*map(float, table.loc[name, columns]), _NAN, _NAN]
    return found[0], found[1], found[2]


_MEASURED = {
    "uar": "Published UAR beside ours.",
    "macro_f1": "Published macro F1 beside ours: another measure, not to be compared with UAR.",
    "uar_difference": "Published differences in UAR beside ours.",
    "spearman_rho": "Published rank correlation (Spearman's ρ) of UAR with the dose beside ours.",
}


def printed_published(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Published values as the page shows them, each measure in a table of its own.

    Args:
        table: as ``beside_published`` returns it

    Returns:
        caption to DataFrame of texts by model
    """
    shown = {}
    for measure, rows in table.groupby("measure", sort=False):
        sign = measure in ("uar_difference", "spearman_rho")
        theirs, ours = (
            [_unbroken(ends, sign=sign) for ends in rows[columns].to_numpy(float)]
            for columns in (["value", "low", "high"], ["ours", "ours_low", "ours_high"])
        )
        reference = rows["reference"].map(lambda name: f" − {name}" if name else "")
        texts = pd.DataFrame(
            {
                "Corpus": rows["corpus"],
                "Classes": rows["classes"].astype("string").fillna("not known"),
                "Partition": rows["partition"].replace("", "not known"),
                "Condition": rows["condition"] + reference,
                "Published": theirs,
                "p": rows["p"],
                "Ours": ours,
                "Study": rows["study"],
                "Source": rows["source"] + " (" + rows["known"] + ")",
            }
        ).set_index(pd.Index(rows["model"], name="Model"))
        shown[_MEASURED[str(measure)]] = texts.loc[:, (texts != "").any()]
    return shown


def published_notes(values: pd.DataFrame) -> list[str]:
    """What a reader of published values must know besides, each note once.

    Args:
        values: rows of ``published_values``

    Examples:
        >>> published_notes(pd.DataFrame({"model": ["a", "b"], "note": ["x; y", "x"]}))
        ['a, b: x.', 'a: y.']
    """
    models: dict[str, dict[str, None]] = {}
    for model, notes in zip(values["model"], values["note"], strict=True):
        for note in filter(None, notes.split("; ")):
            models.setdefault(note, {})[model] = None
    return [f"{', '.join(of)}: {note}." for note, of in models.items()]


def write_comparison(
    folders: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str], *, command: str = ""
) -> Path:
    """Write ``compare.html``, and its tables and figure for a paper.

    ``tables/compare.csv`` has the result table unrounded, ``compare.tex`` as it is shown,
    ``compare_long.csv`` one row per study and condition, ``studies.csv`` what each study is and how
    much its model relies on the tokens, and ``published.csv`` what others have published beside
    ours; ``figures/compare.svg`` is the figure.

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
    levels = {percent(run.parameters["confidence"]) for run in runs.values()}
    intervals = (
        "Intervals over speakers, at the confidence level of each study."
        if len(levels) > 1
        else f"{levels.pop()} intervals over speakers."
    )
    caption = (
        "Unweighted average recall (UAR) by model, corpus and condition; UAR− is the UAR with the "
        f"audio alone, UAR+ that with the utterance's own tokens. {intervals}"
    )
    published = beside_published(runs)
    note = _published_note(published.query("measure == 'uar' and study != ''"))
    figure = figure_exhibit(
        plot_comparison(table),
        f"UAR by condition, one panel per study. {intervals}",
        place / "figures" / "compare.svg",
    )
    shown, losses = printed_table(table), printed_losses(table)
    write_csv(place / "tables" / "compare.csv", result_table(table))
    write_csv(place / "tables" / "compare_long.csv", table, index=False)
    write_csv(place / "tables" / "published.csv", published, index=False)
    write_csv(place / "tables" / "studies.csv", runs_table(runs))
    latex.write_table(
        shown,
        f"{caption} {note}" if note else caption,
        place / "tables" / "compare.tex",
        keys=len(KEYS) - 1,
        page=latex.WIDE_PAGE,
    )
    text = page_of(
        "compare.html.j2",
        notices=notices(runs),
        headline=gain_sentences(runs),
        figure=figure._repr_html_(),
        results=_html(shown.set_index("Model"), caption),
        losses=_html(
            losses.set_index("Model"),
            f"Difference in UAR from aligned tokens. {intervals} They are not corrected for the "
            "number of differences: what is significant is told by each study's own report.",
        ),
        note=note,
        published=[_html(rows, told) for told, rows in printed_published(published).items()],
        published_notes=published_notes(published),
        runs=_html(runs_table(runs), "Models, corpora, sample sizes and reference values."),
        differences=_html(
            settings_table(runs), "Settings and versions that differ between the studies."
        ),
        links=[(study, _link(run.folder, place)) for study, run in runs.items()],
        command=command,
    )
    page = place / "compare.html"
    write_text(page, text)
    return page


def _published_note(values: pd.DataFrame) -> str:
    """Where the published rows of the table of UAR come from; empty without any."""
    known = values.groupby("source", sort=False)["known"].unique()
    told = "; ".join(f"{source} ({'; '.join(ways)})" for source, ways in known.items())
    notes = " ".join(published_notes(values))
    return told and (
        f"{_DAGGER} Published by others: {told}. Not computed here; tokens, templates and label "
        f"orders may differ. {notes}".strip()
    )


def _html(shown: pd.DataFrame, caption: str) -> str | None:
    return None if shown.empty else TableExhibit(shown, shown, caption)._repr_html_()


def _link(folder: Path, out: Path) -> str | None:
    """The study's own index, if it lies beside the page: any other way names folders."""
    index = folder.resolve() / "index.html"
    beside = folder.resolve().parent == out.resolve().parent
    return f"../{folder.resolve().name}/index.html" if beside and index.is_file() else None
