"""The numbers of several finished studies in one table, with what is published of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sercue.errors import InputError
from sercue.evaluated import EvaluatedRun, read_run
from sercue.interventions import facts_by_name, main_conditions
from sercue.published import published_values

OURS = "this run"
PUBLISHED = "published"
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
    keys = dict(zip(KEYS, (model, corpus, PUBLISHED, PUBLISHED), strict=True))
    return _with_keys(pd.DataFrame(rows), keys | {"fixture": False, "classes": len(run.labels)})


def _with_keys(table: pd.DataFrame, keys: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(dict(keys), index=table.index).join(table)
