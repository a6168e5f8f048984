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
        DataFrame, one row per condition and component: ``condition``, ``component`` (a factor, two
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
        crossed = [name for name in FACTORS[:-1] if name in rows and rows[name].nunique() > 1]
        varying = [*crossed, *(["speaker"] if rows["speaker"].nunique() > 1 else [])]
        if len(varying) < 2:
            raise InputError(
                f"condition {condition!r}: found {len(varying)} factors with several levels; "
                f"variance components need two of {', '.join(FACTORS)}"
            )
        cell = rows.groupby(crossed, sort=True).ngroup() if crossed else 0
        counts, cells, _ = confusion_counts(rows.assign(condition=cell), labels)
        hits = np.diagonal(counts[..., :-1], axis1=2, axis2=3).astype(float)
        values = mean_recall(hits, counts.sum(axis=-1).astype(float))[np.argsort(cells)]
        levels = [rows[name].nunique() for name in varying]
        if values.size != np.prod(levels) or np.isnan(values).any():
            raise InputError(
                f"condition {condition!r}: found no answers of some speakers in some cells of "
                f"{', '.join(crossed)}; valid is every combination"
            )
        tables.append(components_of(values.reshape(levels), varying).assign(condition=condition))
    columns = ["condition", "component", "levels", "df", "variance", "sd", "share"]
    return pd.concat(tables, ignore_index=True)[columns]


def components_of(values: np.ndarray, factors: Sequence[str]) -> pd.DataFrame:
    """Variance components of a complete crossed table with one value per cell.

    In such a table the sums of squares that ``variance_components`` projects for have a closed
    form. It gives the same estimates without matrices of the size of the table, at 612 cells some
    two hundred times faster.

    Args:
        values: one axis per factor, each of length 2 or more
        factors: names of the axes

    Returns:
        DataFrame, one row per component, without ``condition`` as ``uar_components`` has it

    Examples:
        >>> table = components_of(np.array([[1.0, 2.0], [3.0, 4.0]]), ["template", "speaker"])
        >>> table[["component", "df", "variance"]]
          component  df  variance
        0  template   1       2.0
        1   speaker   1       0.5
        2  residual   1       0.0
    """
    axes = range(values.ndim)
    variance: dict[frozenset[int], float] = {}
    df: dict[frozenset[int], int] = {}
    averaged: dict[frozenset[int], float] = {}
    # The widest interactions first: their variances are part of every narrower mean square.
    for chosen in (frozenset(c) for size in axes for c in combinations(axes, values.ndim - size)):
        others = tuple(axis for axis in axes if axis not in chosen)
        effect = values.mean(axis=others, keepdims=True)
        for axis in chosen:
            effect = effect - effect.mean(axis=axis, keepdims=True)
        df[chosen] = int(np.prod([values.shape[axis] - 1 for axis in chosen]))
        averaged[chosen] = float(np.prod([values.shape[axis] for axis in others], initial=1))
        square = (effect**2).sum() * averaged[chosen] / df[chosen]
        above = sum(averaged[wider] * variance[wider] for wider in variance if wider > chosen)
        variance[chosen] = (square - above) / averaged[chosen]
    rows: dict[str, list[object]] = {}
    residual, residual_df = 0.0, 0
    for chosen in sorted(variance, key=lambda one: (len(one), sorted(one))):
        positive = max(variance[chosen], 0.0)
        if len(chosen) > 2 or len(chosen) == values.ndim:
            residual, residual_df = residual + positive, residual_df + df[chosen]
        else:
            levels = values.shape[min(chosen)] if len(chosen) == 1 else pd.NA
            name = ":".join(factors[axis] for axis in sorted(chosen))
            rows[name] = [levels, df[chosen], positive]
    rows["residual"] = [pd.NA, residual_df, residual]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["levels", "df", "variance"])
    table["levels"] = table["levels"].astype("Int64")
    table["sd"] = np.sqrt(table["variance"].astype(float))
    whole = table["variance"].sum()
    table["share"] = table["variance"] / whole if whole > 0 else np.nan
    return table.rename_axis("component").reset_index()


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
        DataFrame, one row per template in order of appearance: the column ``by``, ``uar``,
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
