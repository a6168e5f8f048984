"""The bootstrap over speakers, by arithmetic on each speaker's confusions.

A resample draws as many speakers as there are, with replacement, and all their utterances with
them. Its UAR is the mean recall over the classes that occur in it. Everything is paired: one
resample serves all conditions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.speaker_counts import SpeakerCounts, speaker_counts

METHODS = ("percentile", "studentised")
_CHUNK = 1000


def bootstrap_uar(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: str = "percentile",
) -> pd.DataFrame:
    """UAR of each condition with a bootstrap interval over speakers.

    The percentile interval is too narrow with few speakers: a nominal 95 % covered 85 to 92 % with
    8 speakers, and 89 to 94 % with 24 or 51 of uneven size (``tests/calibration/RESULTS.md``). The
    studentised one divides the error of each resample by its own standard error and is symmetric;
    it covers about what it says where speakers are alike in size, and is wide with 8.
    ``uar_intervals`` needs no resampling, holds in all cases tried, and is what tables show.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes
        resamples: number of bootstrap resamples
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the resampling
        method: ``"percentile"`` or ``"studentised"``

    Returns:
        DataFrame, one row a condition in the order of first appearance: ``condition``, ``uar``,
        ``low``, ``high`` (all 0 to 1), ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, or a parameter is not valid

    References:
        Field and Welsh, "Bootstrapping clustered data", J. R. Statist. Soc. B 69 (2007)

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> bootstrap_uar(example_predictions(), LABELS, resamples=1000).round(3)
          condition    uar    low   high  speakers
        0      none  0.417  0.333  0.500         4
        1   aligned  0.708  0.542  0.917         4
    """
    counted = speaker_counts(predictions, labels)
    weights = np.eye(len(counted.conditions))
    low, high = _intervals(counted, weights, resamples, confidence, seed, method)
    return pd.DataFrame(
        {
            "condition": counted.conditions,
            "uar": counted.uar.estimate,
            "low": np.maximum(low, 0),
            "high": np.minimum(high, 1),
            "speakers": (counted.totals.sum(axis=2) > 0).sum(axis=1),
        }
    )


def bootstrap_differences(
    predictions: pd.DataFrame,
    labels: Sequence[str],
    contrasts: Sequence[tuple[str, str]] | None = None,
    *,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
    method: str = "percentile",
) -> pd.DataFrame:
    """Differences in UAR with paired bootstrap intervals over speakers.

    What ``bootstrap_uar`` says of few speakers holds here too; ``compare`` gives the intervals
    that hold.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference); all pairs of conditions by default
        resamples: number of bootstrap resamples
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the resampling
        method: ``"percentile"`` or ``"studentised"``

    Returns:
        DataFrame, one row a pair: ``condition``, ``reference``, ``difference``, ``low``, ``high``
        (all -1 to 1)

    Raises:
        InputError: as ``compare`` raises it

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> bootstrap_differences(example_predictions(), LABELS, resamples=1000).round(2)
          condition reference  difference   low  high
        0   aligned      none        0.29  0.17  0.42
    """
    counted = speaker_counts(predictions, labels)
    pairs = [(b, a) for a, b in combinations(counted.conditions, 2)]
    family = pairs if contrasts is None else list(contrasts)
    weights = counted.contrast_weights(family)
    low, high = _intervals(counted, weights, resamples, confidence, seed, method)
    table = pd.DataFrame(family, columns=["condition", "reference"])
    table["difference"] = weights @ counted.uar.estimate
    table["low"], table["high"] = np.maximum(low, -1), np.minimum(high, 1)
    return table


def check_resampling(resamples: int, confidence: float) -> None:
    """Refuse numbers that no interval can be made from.

    Raises:
        InputError: if ``resamples`` is below 1 or ``confidence`` not between 0 and 1
    """
    if resamples < 1:
        raise InputError(f"resamples: found {resamples}, valid are whole numbers from 1")
    check_confidence(confidence)


def check_confidence(confidence: float) -> None:
    """Refuse a coverage that no interval can aim at.

    Raises:
        InputError: if it is not between 0 and 1
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence: found {confidence}, valid are numbers between 0 and 1")


def resampled_uar(hits: np.ndarray, totals: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """UAR of each resample and condition.

    Args:
        hits: right answers, shape (conditions, speakers, classes)
        totals: all answers, same shape
        resamples: number of resamples
        seed: of the resampling

    Returns:
        shape (resamples, conditions); NaN where a condition has none of the drawn speakers
    """
    drawn = [
        mean_recall(*_drawn_sums(weights, hits, totals))
        for weights in _speaker_weights(hits.shape[1], resamples, seed)
    ]
    return np.concatenate(drawn)


def mean_recall(hits: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Mean over the last axis of hits / totals, of the classes that occur; NaN if none does."""
    present = totals > 0
    recall = np.divide(hits, totals, out=np.zeros(hits.shape), where=present)
    classes = present.sum(axis=-1)
    return np.divide(
        recall.sum(axis=-1), classes, out=np.full(classes.shape, np.nan), where=classes > 0
    )


def _intervals(
    counted: SpeakerCounts,
    weights: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
    method: str,
) -> tuple[np.ndarray, np.ndarray]:
    check_resampling(resamples, confidence)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if not len(weights):
        return np.empty(0), np.empty(0)
    if method == "studentised":
        return _studentised(counted, weights, resamples, confidence, seed)
    drawn = resampled_uar(counted.hits, counted.totals, resamples=resamples, seed=seed)
    low, high = _quantiles(_combined(drawn, weights), [(1 - confidence) / 2, (1 + confidence) / 2])
    return low, high


def _combined(drawn: np.ndarray, weights: np.ndarray) -> np.ndarray:
    # Not a matrix product: a condition that a resample lacks (NaN) must not reach the others.
    first, second = weights.argmax(axis=1), weights.argmin(axis=1)
    subtracted = weights.min(axis=1) < 0
    return np.where(subtracted, drawn[:, first] - drawn[:, second], drawn[:, first])


def _quantiles(drawn: np.ndarray, levels: list[float]) -> np.ndarray:
    # numpy's nanquantile goes column by column and takes ten times as long.
    find = np.nanquantile if np.isnan(drawn).any() else np.quantile
    return find(np.ascontiguousarray(drawn.T), levels, axis=1)


def _studentised(
    counted: SpeakerCounts, weights: np.ndarray, resamples: int, confidence: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric intervals from the distribution of |error| / standard error over resamples."""
    hits, totals = counted.hits, counted.totals
    once = np.ones((1, hits.shape[1]))
    estimate, se = (part[0] for part in _estimate_and_error(once, hits, totals, weights))
    parts = []
    for drawn in _speaker_weights(hits.shape[1], resamples, seed):
        value, error = _estimate_and_error(drawn, hits, totals, weights)
        away = np.abs(value - estimate)
        parts.append(np.divide(away, error, out=np.full(away.shape, np.nan), where=error > 1e-12))
    t = np.concatenate(parts)
    # Resamples of one speaker only, over and over, have no standard error.
    widest = np.where(np.isnan(t).all(axis=0), 0, t)
    half = _quantiles(widest, [confidence])[0] * se
    return estimate - half, estimate + half


def _estimate_and_error(
    drawn: np.ndarray, hits: np.ndarray, totals: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Combinations of UAR and their linearised standard errors, shape (resamples, combinations)."""
    sums, pooled = _drawn_sums(drawn, hits, totals)
    present = pooled > 0
    classes = np.maximum(present.sum(axis=-1, keepdims=True), 1)
    scale = np.divide(1, pooled * classes, out=np.zeros(pooled.shape), where=present)
    recall = np.divide(sums, pooled, out=np.zeros(sums.shape), where=present)
    influence = np.einsum("bck,csk->bcs", scale, hits) - np.einsum(
        "bck,csk->bcs", scale * recall, totals
    )
    terms = np.matmul(weights, influence)
    variance = np.einsum("bs,bms->bm", drawn, terms**2)
    return mean_recall(sums, pooled) @ weights.T, np.sqrt(variance)


def _speaker_weights(speakers: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample drew each speaker, in chunks of shape (chunk, speakers)."""
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        drawn = generator.multinomial(speakers, np.full(speakers, 1 / speakers), size=size)
        yield drawn.astype(float)


def _drawn_sums(
    drawn: np.ndarray, hits: np.ndarray, totals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    conditions, speakers, classes = hits.shape
    flat = [part.swapaxes(0, 1).reshape(speakers, -1) for part in (hits, totals)]
    sums, pooled = ((drawn @ part).reshape(-1, conditions, classes) for part in flat)
    # Sums of weighted zeros must stay zero, or an absent class would count as present.
    return sums, np.where(pooled > 1e-9, pooled, 0)
