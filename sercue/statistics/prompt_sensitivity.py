"""How much the wording, the order of the labels and the draw of the tokens matter."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.contrasts import uar_differences
from sercue.statistics.measures import confusion_counts
from sercue.statistics.resampling import check_confidence, mean_recall
from sercue.statistics.speaker_counts import speaker_counts

FACTORS = ("template", "label_order", "replicate", "speaker")
_REST = "residual"


def uar_components(predictions: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    r"""Variance components of UAR: wording, label order, replicate, speaker, and what they share.

    For each condition, the UAR of each speaker in each cell of template x label order x replicate
    is taken as a sum of random effects of these four and of their interactions. Components are
    estimated by the method of moments: mean squares of the crossed analysis of variance are set
    equal to their expectations. A factor with one level cannot vary and is left out. Interactions
    of more than two, and that of all factors, are the residual; it holds the chance of few
    utterances a speaker and cell, too.

    A component of few levels is known badly: two templates give one degree of freedom, on which
    its standard deviation may be off by several times. Estimates below 0 are set to 0. A speaker's
    UAR is over the classes this speaker has, so that some of the speakers' component is their
    classes.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes

    Returns:
        DataFrame, one row a condition and component: ``condition``, ``component`` (a factor, two
        joined by ``:``, or ``residual``), ``levels`` (of a factor; empty else), ``df``,
        ``variance`` (of UAR), ``sd`` (its square root, in UAR), ``share`` (of the sum of all)

    Raises:
        InputError: if a condition has fewer than two factors with two levels, or if cells are
            missing

    References:
        Searle, Casella and McCulloch, Variance Components (1992), chapter 4

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> parts = [
        ...     example_predictions({"none": p}, seed=seed).assign(template=name)
        ...     for seed, (name, p) in enumerate({"plain": 0.9, "long": 0.5}.items())
        ... ]
        >>> uar_components(pd.concat(parts), LABELS)[["component", "df", "sd"]].round(2)
          component  df    sd
        0  template   1  0.32
        1   speaker   3  0.00
        2  residual   3  0.15
    """
    tables = []
    for condition, rows in predictions.groupby("condition", sort=False):
        names, values = _cells(rows, labels, str(condition))
        table = components_of(values, names)
        tables.append(table.assign(condition=condition))
    columns = ["condition", "component", "levels", "df", "variance", "sd", "share"]
    return pd.concat(tables, ignore_index=True)[columns]


def components_of(values: np.ndarray, factors: Sequence[str]) -> pd.DataFrame:
    """Variance components of a complete crossed table with one value a cell.

    Args:
        values: one axis a factor, each of length 2 or more
        factors: names of the axes

    Returns:
        DataFrame, one row a component, without ``condition`` as ``uar_components`` has it
    """
    axes = range(values.ndim)
    sets = [set(s) for size in range(values.ndim, 0, -1) for s in combinations(axes, size)]
    raw: dict[frozenset[int], float] = {}
    df: dict[frozenset[int], int] = {}
    for chosen in sets:
        key = frozenset(chosen)
        df[key] = int(np.prod([values.shape[axis] - 1 for axis in chosen]))
        square = (_effect(values, chosen) ** 2).sum() * _others(values, key) / df[key]
        above = sum(_others(values, wider) * raw[wider] for wider in raw if wider > key)
        raw[key] = (square - above) / _others(values, key)
    return _component_table(raw, df, values.shape, list(factors))


def gain_by(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    by: str = "template",
    condition: str = "aligned",
    reference: str = "none",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """The gain in UAR of one condition over another for each template, with intervals.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        by: ``"template"``, or ``"label_order"``, or another column
        condition: the condition
        reference: what it is compared with
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        DataFrame, one row a template in order of appearance: the column ``by``, ``uar``,
        ``uar_reference``, ``difference``, ``low``, ``high``, ``se``, ``df``, ``p``

    Raises:
        InputError: if the column or a condition is missing, or as ``compare`` raises it

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> gain_by(example_predictions(), LABELS)[["template", "difference"]].round(2)
          template  difference
        0    plain        0.29
    """
    check_confidence(confidence)
    if by not in predictions:
        raise unknown("column", by, predictions.columns)
    pair = [(condition, reference)]
    parts = [
        uar_differences(speaker_counts(part, labels), pair, confidence=confidence).assign(
            **{by: level}
        )
        for level, part in predictions.groupby(by, sort=False)
    ]
    columns = [by, "uar", "uar_reference", "difference", "low", "high", "se", "df", "p"]
    return pd.concat(parts, ignore_index=True)[columns]


def _cells(
    rows: pd.DataFrame, labels: Sequence[str], condition: str
) -> tuple[list[str], np.ndarray]:
    """UAR of each speaker in each cell, one axis a factor that varies."""
    crossed = [name for name in FACTORS[:-1] if name in rows and rows[name].nunique() > 1]
    several = rows["speaker"].nunique() > 1
    if len(crossed) + several < 2:
        raise InputError(
            f"condition {condition!r}: found {len(crossed) + several} factors with several levels; "
            f"variance components need two of {', '.join(FACTORS)}"
        )
    cell = rows.groupby(crossed, sort=True).ngroup() if crossed else 0
    counts, cells, speakers = confusion_counts(rows.assign(condition=cell), labels)
    levels = [rows[name].nunique() for name in crossed]
    totals = counts.sum(axis=-1).astype(float)
    hits = np.diagonal(counts[..., :-1], axis1=2, axis2=3).astype(float)
    values = mean_recall(hits, totals)[np.argsort(cells)]
    if len(cells) != np.prod(levels) or np.isnan(values).any():
        raise InputError(
            f"condition {condition!r}: found no answers of some speakers in some cells of "
            f"{', '.join(crossed)}; valid is every combination"
        )
    shape = [*levels, *([len(speakers)] if several else [])]
    return [*crossed, *(["speaker"] if several else [])], values.reshape(shape)


def _effect(values: np.ndarray, chosen: set[int]) -> np.ndarray:
    """The interaction of the chosen axes, averaged over the others."""
    others = tuple(axis for axis in range(values.ndim) if axis not in chosen)
    effect = values.mean(axis=others, keepdims=True)
    for axis in chosen:
        effect = effect - effect.mean(axis=axis, keepdims=True)
    return effect


def _others(values: np.ndarray, chosen: frozenset[int]) -> float:
    """Number of values that go into one mean of the chosen axes."""
    return float(
        np.prod([size for axis, size in enumerate(values.shape) if axis not in chosen], initial=1)
    )


def _component_table(
    raw: dict[frozenset[int], float],
    df: dict[frozenset[int], int],
    shape: Sequence[int],
    factors: list[str],
) -> pd.DataFrame:
    rows: dict[str, list[object]] = {}
    residual, residual_df = 0.0, 0
    for key in sorted(raw, key=lambda one: (len(one), sorted(one))):
        variance = max(raw[key], 0.0)
        if len(key) > 2 or len(key) == len(shape):
            residual, residual_df = residual + variance, residual_df + df[key]
        else:
            levels = shape[next(iter(key))] if len(key) == 1 else pd.NA
            rows[":".join(factors[axis] for axis in sorted(key))] = [levels, df[key], variance]
    rows[_REST] = [pd.NA, residual_df, residual]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["levels", "df", "variance"])
    table["levels"] = table["levels"].astype("Int64")
    table["sd"] = np.sqrt(table["variance"].astype(float))
    whole = table["variance"].sum()
    table["share"] = table["variance"] / whole if whole > 0 else np.nan
    return table.rename_axis("component").reset_index()
