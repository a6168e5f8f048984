"""Permutation tests in which whole speakers, or the conditions within each speaker, change places.

Under the hypothesis that conditions do not differ, the answers of a speaker are as likely under one
condition as under the other. Exchanging the two for some speakers then gives a table that was as
likely as the one observed. This holds with any number of speakers of any size, whatever their
answers depend on; what it cannot do is reach a small p-value with few speakers: with S of them none
is below 2 / 2^S.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Up to so many speakers all patterns of signs are enumerated: 2^13, fewer than the usual draws.
ENUMERATED = 14
_CHUNK = 1000
# Cells of speakers and conditions that are rearranged at a time: what fits the cache is faster.
_CELLS = 100_000
# Patterns that give the observed statistic again must not be lost to rounding.
_SLACK = 1 - 1e-9


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
    observed = np.abs(table.sum(axis=0)) * _SLACK
    as_extreme, patterns = np.zeros(table.shape[1]), 0
    for signs in _signs(len(table), resamples, seed):
        as_extreme += (np.abs(signs @ table) >= observed).sum(axis=0)
        patterns += len(signs)
    return _share(as_extreme, patterns, exact=len(table) <= ENUMERATED)


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
    observed = _quadratic(table.sum(axis=0, keepdims=True), metric) * _SLACK
    as_extreme, patterns = np.zeros(1), 0
    for signs in _signs(len(table), resamples, seed):
        as_extreme += (_quadratic(signs @ table, metric) >= observed).sum()
        patterns += len(signs)
    return float(_share(as_extreme, patterns, exact=len(table) <= ENUMERATED)[0])


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


def _share(as_extreme: np.ndarray, patterns: int, *, exact: bool) -> np.ndarray:
    return as_extreme / patterns if exact else (1 + as_extreme) / (1 + patterns)


def _quadratic(sums: np.ndarray, metric: np.ndarray) -> np.ndarray:
    return np.einsum("bi,ij,bj->b", sums, metric, sums)
