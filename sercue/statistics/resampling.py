"""Resampling speakers: the bootstrap, and permutation tests of their answers.

A resample of the bootstrap draws as many speakers as there are, with replacement, and all their
utterances with them. Its UAR is the mean recall over the classes that occur in it. Everything is
paired: one resample serves all conditions.

Permutation tests exchange conditions within whole speakers. Under the hypothesis that conditions do
not differ, the answers of a speaker are as likely under one condition as under the other.
Exchanging the two for some speakers then gives a table that was as likely as the one observed. This
holds with any number of speakers of any size, whatever their answers depend on; what it cannot do
is reach a small p-value with few speakers: with S of them none is below 2 / 2^S.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.measures import ratio
from sercue.statistics.speakers import SpeakerCounts, speaker_counts

METHODS = ("percentile", "studentised")
_CHUNK = 1000
#: Up to so many speakers all patterns of signs are enumerated: 2^13, fewer than the usual draws.
ENUMERATED = 14
# Cells of speakers and conditions that are rearranged at a time: what fits the cache is faster.
_CELLS = 100_000
# Patterns that give the observed statistic again must not be lost to rounding.
_SLACK = 1 - 1e-9


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
    its coverage is about nominal for speakers of similar size, and it is wide with 8.
    ``uar_intervals`` needs no resampling, has nominal coverage in all cases tried, and is used in
    all tables.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them
        labels: the classes
        resamples: number of bootstrap resamples
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the resampling
        method: ``"percentile"`` or ``"studentised"``

    Returns:
        DataFrame, one row per condition in the order of first appearance: ``condition``, ``uar``,
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
    table = pd.DataFrame({"condition": counted.conditions, "uar": counted.uar.estimate})
    table["low"], table["high"] = np.maximum(low, 0), np.minimum(high, 1)
    return table.assign(speakers=counted.answering)


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

    The remarks of ``bootstrap_uar`` on few speakers apply here, too; the intervals of ``compare``
    have the stated coverage.

    Args:
        predictions: predictions as ``run_study`` returns them
        labels: the classes
        contrasts: pairs (condition, reference); all pairs of conditions by default
        resamples: number of bootstrap resamples
        confidence: coverage that the interval aims at, between 0 and 1
        seed: of the resampling
        method: ``"percentile"`` or ``"studentised"``

    Returns:
        DataFrame, one row per pair: ``condition``, ``reference``, ``difference``, ``low``, ``high``
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
    return ratio(ratio(hits, totals).sum(axis=-1), (totals > 0).sum(axis=-1), np.nan)


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
    # Not a matrix product: a condition that a resample lacks (NaN) must not reach the others.
    first, second = weights.argmax(axis=1), weights.argmin(axis=1)
    subtracted = weights.min(axis=1) < 0
    drawn = np.where(subtracted, drawn[:, first] - drawn[:, second], drawn[:, first])
    low, high = _quantiles(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return low, high


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
    scale, recall = ratio(np.ones(1), pooled * classes), ratio(sums, pooled)
    influence = np.einsum("bck,csk->bcs", scale, hits)
    influence -= np.einsum("bck,csk->bcs", scale * recall, totals)
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


def sign_flip_p(values: np.ndarray, *, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    r"""Two-sided p-values of "the values of speakers add up to 0", each column by itself.

    The statistic is :math:`|\sum_s \pm v_s|`. Up to 14 speakers all patterns of signs are
    enumerated and the test is exact; beyond, patterns are drawn and the observed one counts among
    them, :math:`p = (1 + \#\{\ge\}) / (1 + \text{resamples})`.

    It tests that the two conditions are exchangeable. Read as a test of the mean alone, it also
    needs values that spread evenly around it, or many speakers.

    Args:
        values: shape (speakers, tests), or (speakers,) for a single test
        resamples: patterns drawn where there are too many to enumerate
        seed: of the draws; all columns see the same patterns

    Returns:
        p-values of shape (tests,)

    Examples:
        Eight speakers who all gain: of 256 patterns only two are as extreme.

        >>> sign_flip_p(np.ones(8)).item() == 2 / 256
        True
    """
    table = np.asarray(values, dtype=float).reshape(len(values), -1)
    drawn = (np.abs(signs @ table) for signs in _signs(len(table), resamples, seed))
    return _as_extreme(np.abs(table.sum(axis=0)), drawn, exact=len(table) <= ENUMERATED)


def joint_sign_flip_p(vectors: np.ndarray, *, resamples: int = 10_000, seed: int = 0) -> float:
    r"""P-value of "the vectors of speakers add up to 0 in every component".

    The statistic is :math:`u' (\sum_s v_s v_s')^{+} u` with :math:`u = \sum_s \pm v_s`; the matrix
    is the same for all signs. See ``sign_flip_p``.

    Args:
        vectors: shape (speakers, components); components may be linearly dependent
        resamples: patterns drawn where there are too many to enumerate
        seed: of the draws

    Returns:
        p-value

    Examples:
        >>> joint_sign_flip_p(np.zeros((8, 3)))
        1.0
    """
    table = np.asarray(vectors, dtype=float)
    metric = np.linalg.pinv(table.T @ table, hermitian=True)

    def statistic(sums: np.ndarray) -> np.ndarray:
        return np.einsum("bi,ij,bj->b", sums, metric, sums)[:, None]

    observed = statistic(table.sum(axis=0, keepdims=True))[0]
    drawn = (statistic(signs @ table) for signs in _signs(len(table), resamples, seed))
    return float(_as_extreme(observed, drawn, exact=len(table) <= ENUMERATED)[0])


def rearranged_sums(values: np.ndarray, *, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """Sums over speakers after the conditions of each speaker changed places at random.

    Args:
        values: shape (speakers, conditions)
        resamples: number of rearrangements
        seed: of the draws

    Returns:
        shape (resamples, conditions)

    Examples:
        >>> sums = rearranged_sums(np.array([[0.0, 1.0], [0.0, 1.0]]), resamples=500)
        >>> sorted(set(sums[:, 0].tolist())), set(sums.sum(axis=1).tolist())
        ([0.0, 1.0, 2.0], {2.0})
    """
    table = np.asarray(values, dtype=float)
    generator = np.random.default_rng(seed)
    parts = []
    chunk = max(1, _CELLS // max(1, table.size))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        order = generator.random((size, *table.shape), dtype=np.float32).argsort(axis=2)
        parts.append(np.take_along_axis(table[None], order, axis=2).sum(axis=1))
    return np.concatenate(parts)


def drawn_p(observed: float, drawn: np.ndarray) -> float:
    """P-value of an observed statistic among drawn ones, itself counted among them.

    Args:
        observed: the statistic; large values speak against the hypothesis
        drawn: the statistic of each draw

    Examples:
        >>> drawn_p(3.0, np.array([1.0, 2.0, 3.0]))
        0.5
    """
    return float((1 + (drawn >= observed * _SLACK).sum()) / (1 + len(drawn)))


def _signs(speakers: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Patterns of signs, in chunks of shape (chunk, speakers); all of them if they are few."""
    if speakers <= ENUMERATED:
        # The last speaker keeps its sign: the mirrored patterns have the same statistic.
        numbers = np.arange(2 ** (speakers - 1))[:, None]
        yield 1.0 - 2.0 * ((numbers >> np.arange(speakers)) & 1)
        return
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        yield 1.0 - 2.0 * generator.integers(0, 2, size=(size, speakers))


def _as_extreme(observed: np.ndarray, drawn: Iterable[np.ndarray], *, exact: bool) -> np.ndarray:
    """P-values of statistics among those of all patterns, or of drawn ones, in chunks."""
    reached, patterns = np.zeros(len(observed)), 0
    for statistics in drawn:
        reached += (statistics >= observed * _SLACK).sum(axis=0)
        patterns += len(statistics)
    return reached / patterns if exact else (1 + reached) / (1 + patterns)
