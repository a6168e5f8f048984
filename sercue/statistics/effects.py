"""Features: how they differ between emotions and speakers, and which say the same twice.

A corpus can tell the emotion from the speaker only where speakers have utterances of several
classes: ``Crossing`` counts who has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError, unknown
from sercue.tokens.concepts import Category, Concept

#: Where most speakers have one class only, what is compared within speakers needs so many who have
#: two or more: with fewer, shares of variance and differences between classes are not given.
ENOUGH_CROSSED = 10
# Of the variance of class membership: up to here, speakers may have one class by chance; from there
# on, the speaker tells more of it than all else.
_SOME_OF_IT, _MOST_OF_IT = 0.1, 0.5


@dataclass(frozen=True)
class Crossing:
    r"""How speakers and classes are crossed.

    Attributes:
        several: how many speakers have two or more utterances
        crossed: how many of them have utterances of two or more classes
        determined: the part of the variance of class membership that lies between speakers, 0
            (independent; may fall below) to 1 (the speaker determines the class): Goodman and
            Kruskal's :math:`\tau`, which is the :math:`R^2` of the classes' indicators on the
            speakers, adjusted as an :math:`R^2` is; NaN of one class, or of speakers with a single
            utterance each
    """

    several: int
    crossed: int
    determined: float

    @classmethod
    def of(cls, speakers: pd.Series, emotions: pd.Series) -> Crossing:
        """The crossing of the speaker and the class of each utterance.

        Examples:
            >>> Crossing.of(pd.Series(list("aabbc")), pd.Series(list("xyxxy")))
            Crossing(several=2, crossed=1, determined=0.166666666667)
        """
        return cls.of_counts(pd.crosstab(speakers.to_numpy(), emotions.to_numpy()).to_numpy())

    @classmethod
    def of_counts(cls, counts: np.ndarray) -> Crossing:
        """The crossing of a table of utterances, shape (speakers, classes)."""
        counts = counts[counts.sum(axis=1) > 0]
        of_speaker, total = counts.sum(axis=1), counts.sum()
        shares = counts.sum(axis=0) / total
        spread, spare = 1 - (shares**2).sum(), total - len(counts)
        determined = np.nan
        if spread > 0 and spare > 0:
            within = 1 - (counts**2 / of_speaker[:, None]).sum() / total
            determined = round(float(1 - within / spread * (total - 1) / spare), 12)
        classes = (counts > 0).sum(axis=1)
        return cls(int((of_speaker > 1).sum()), int((classes > 1).sum()), determined)

    @property
    def mostly_single(self) -> bool:
        """Whether most speakers have one class alone, and more so than by chance."""
        return 2 * self.crossed < self.several and self.determined > _SOME_OF_IT

    @property
    def confounded(self) -> bool:
        """Whether most speakers have one class, or the speaker tells most of the class."""
        return self.mostly_single or self.determined > _MOST_OF_IT

    @property
    def too_few(self) -> bool:
        """Whether most have one class, and too few have several for comparisons within speakers."""
        return self.mostly_single and self.crossed < ENOUGH_CROSSED


@dataclass(frozen=True)
class Cells:
    """The cells of speaker and emotion that occur, sorted by speaker.

    Attributes:
        columns: names of the columns that were summed up
        speakers: number of the speaker of each cell, shape (cells,)
        emotions: number of the emotion of each cell, shape (cells,)
        counts: utterances of each cell, shape (cells,)
        means: mean of each cell, shape (cells, columns)
        within: sum of squares around the cell means, shape (columns,)
    """

    columns: list[str]
    speakers: np.ndarray
    emotions: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray

    @property
    def crossing(self) -> Crossing:
        """How speakers and emotions are crossed in these cells."""
        counts = np.zeros((self.speakers.max() + 1, self.emotions.max() + 1))
        counts[self.speakers, self.emotions] = self.counts
        return Crossing.of_counts(counts)


def cells_by_pattern(values: pd.DataFrame, corpus: Corpus) -> Iterator[Cells]:
    """The cells of each set of columns that are known in the same rows.

    Args:
        values: one row per utterance; NaN is left out
        corpus: names emotion and speaker of each row

    Yields:
        the cells of one set of columns; a column that is never known is in none

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=4)
        >>> values = pd.DataFrame({"loudness": range(8)}, index=corpus.table.index)
        >>> next(cells_by_pattern(values, corpus)).means.ravel().tolist()
        [1.0, 2.0, 5.0, 6.0]
    """
    rows = corpus.table.loc[values.index]
    speakers = pd.factorize(rows["speaker"], sort=True)[0]
    emotions = pd.factorize(rows["emotion"], sort=True)[0]
    known = values.notna().to_numpy()
    patterns: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        patterns.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in patterns.values():
        kept = known[:, columns[0]]
        if not kept.any():
            continue
        part, both = values.iloc[kept, columns], np.stack([speakers[kept], emotions[kept]])
        pairs, cell = np.unique(both, axis=1, return_inverse=True)
        cell = cell.ravel()
        counts = np.bincount(cell)
        # Around the mean of the column, so that large numbers do not cost digits.
        centre = part.mean().to_numpy(dtype=float)
        deviation = part.to_numpy(dtype=float) - centre
        sums = np.zeros((len(counts), part.shape[1]))
        np.add.at(sums, cell, deviation)
        means = sums / counts[:, None]
        within = ((deviation - means[cell]) ** 2).sum(axis=0)
        names = [str(name) for name in part]
        yield Cells(names, pairs[0], pairs[1], counts, means + centre, within)


def indicators(codes: np.ndarray) -> np.ndarray:
    """One column of zeros and ones for each code that occurs, shape (rows, codes).

    Examples:
        >>> indicators(np.array([0, 2, 2])).tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    return (codes[:, None] == np.unique(codes)).astype(float)


def column_space(matrix: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what the columns span, shape (rows, rank).

    Examples:
        >>> column_space(np.ones((4, 2))).shape
        (4, 1)
    """
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    return left[:, sizes > 1e-9 * max(1.0, sizes.max(initial=0.0))]


#: What an emotion is compared with where the corpus has no neutral class.
REST = "all others"
_BLOCK = 1000


def emotion_effects(
    values: pd.DataFrame, corpus: Corpus, *, resamples: int = 9999, seed: int = 0
) -> pd.DataFrame:
    r"""How much the emotions differ in each column, and whether more than by chance.

    .. math::
        \eta^2 = \frac{SS_b}{SS_t} \qquad
        \omega^2 = \frac{SS_b - (E - 1)\, MS_w}{SS_t + MS_w}

    over utterances, with :math:`E` emotions; :math:`\omega^2` takes off what chance adds to
    :math:`\eta^2`. Both include the differences between speakers in what is not explained.

    The test is a permutation test with the speaker as its unit: of each speaker the means under
    the emotions are permuted among the emotions; the statistic is the sum of squares of emotion
    given speaker (for complete data that of a repeated-measures ANOVA). Its p-values are
    exact if a speaker's means are exchangeable where emotion makes no difference; they
    need neither normality nor sphericity, and say something of further speakers. They are
    approximate where some means rest on far fewer utterances than others. Two speakers and four
    emotions allow no p-value below .04.

    Where most speakers have one emotion only, differences between emotions are those between
    speakers as well: with fewer than ten speakers who have two or more, all is NaN.

    Args:
        values: functionals or concept scores, one row per utterance; NaN is left out, column by
            column
        corpus: names emotion and speaker of each row
        resamples: number of permutations
        seed: of the permutations

    Returns:
        DataFrame, one row per column of ``values`` (its index): ``eta_squared``,
        ``omega_squared`` (up to 1, may fall below 0), ``lowest`` and ``highest`` (emotions, by the
        mean over speakers' means), ``speakers`` (with at least two emotions), ``p``, ``q``
        (Benjamini-Hochberg over all columns); NaN for a constant column, and where too few
        speakers have two emotions

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=6, utterances=4)
        >>> emotion = (corpus.table["emotion"] == "angry").astype(float)
        >>> table = emotion_effects(pd.DataFrame({"loudness": emotion}), corpus)
        >>> table[["eta_squared", "highest", "speakers"]]
                  eta_squared highest  speakers
        loudness          1.0   angry         6
    """
    labels = np.array(sorted(corpus.table.loc[values.index, "emotion"].unique()), dtype=object)
    rng = np.random.default_rng(seed)
    parts = []
    for cells in cells_by_pattern(values, corpus):
        counts, member = cells.counts[:, None], indicators(cells.emotions)
        deviation = cells.means - (counts * cells.means).sum(axis=0) / counts.sum()
        total = (counts * deviation**2).sum(axis=0) + cells.within
        between = ((member.T @ (counts * deviation)) ** 2 / (member.T @ counts)).sum(axis=0)
        crossing = cells.crossing
        varies = (not crossing.too_few) & (total > 1e-18 * (1 + (cells.means**2).max(axis=0)))
        known = np.where(varies, 1.0, np.nan)
        between_df = member.shape[1] - 1
        spare = counts.sum() - member.shape[1]
        error = (total - between) / spare if spare else np.full(len(total), np.nan)
        by_emotion = pd.DataFrame(cells.means).groupby(cells.emotions).mean()
        names, means = labels[by_emotion.index], by_emotion.to_numpy()
        part = pd.DataFrame({"eta_squared": between / (known * total)}, index=cells.columns)
        part["omega_squared"] = (between - between_df * error) / (known * (total + error))
        for name, places in (("lowest", means.argmin(axis=0)), ("highest", means.argmax(axis=0))):
            part[name] = pd.Series(names[places], part.index).where(varies)
        part["speakers"] = crossing.crossed
        parts.append(part.assign(p=known * _permuted(cells, resamples, rng)))
    table = pd.concat(parts).reindex(values.columns)
    table["speakers"] = table["speakers"].fillna(0).astype(int)
    table["q"] = false_discovery(table["p"])
    return table


def pairwise_effects(
    values: pd.DataFrame, corpus: Corpus, *, reference: str | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    r"""Each emotion against neutral: Hedges' g, Cliff's delta, and a paired test over speakers.

    .. math::
        g = \left(1 - \frac{3}{4 \nu - 1}\right) \frac{\bar d}{s_p} \qquad
        \delta = P(x > y) - P(x < y)

    with :math:`\bar d` the mean over speakers of the difference between a speaker's mean under the
    emotion and under the reference, :math:`s_p` the pooled standard deviation of the utterances
    of both, and :math:`\nu` their number less two. With equal numbers everywhere this is the
    usual Hedges' g. Its interval and its p-value are those of a paired t-test over speakers; the
    interval takes :math:`s_p` as known. Fewer than about ten speakers with skewed differences
    make them inexact. Cliff's delta compares utterances of all speakers. Where most speakers have
    one emotion only, a pair of emotions that fewer than ten speakers have is NaN throughout.

    Args:
        values: functionals or concept scores, one row per utterance; NaN is left out, column by
            column
        corpus: names emotion and speaker of each row
        reference: the emotion to compare with; by default the neutral class of the corpus, and
            if it has none, each emotion is compared with all others together
        confidence: of the intervals

    Returns:
        DataFrame, one row per column of ``values`` and emotion: ``functional`` (name of the
        column), ``emotion``, ``reference``, ``g``, ``low``, ``high``, ``cliffs_delta`` (-1 to 1),
        ``speakers`` (who have both), ``p``, ``q`` (Benjamini-Hochberg over all rows)

    Raises:
        InputError: if the reference is not a label of the corpus

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> values = pd.DataFrame({"loudness": [3, 1, 4, 0, 5, 2, 5, 1, 4, 0, 2, 1]})
        >>> table = pairwise_effects(values.set_index(corpus.table.index), corpus)
        >>> table[["emotion", "reference", "g", "cliffs_delta", "speakers"]].round(2)
          emotion reference     g  cliffs_delta  speakers
        0   angry   neutral  2.82          0.97         3
    """
    reference = corpus.neutral_label if reference is None else reference
    if reference is not None and reference not in corpus.labels:
        raise unknown("reference", reference, corpus.labels)
    emotions = [label for label in corpus.labels if label != reference]
    rows = corpus.table.loc[values.index]
    keys = [rows[name].astype(str).to_numpy() for name in ("emotion", "speaker")]
    means = values.astype(float).groupby(keys).mean()
    crossing = Crossing.of(rows["speaker"], rows["emotion"])
    parts = []
    for emotion in emotions:
        chosen = (rows["emotion"] == emotion).to_numpy()
        other = ~chosen if reference is None else (rows["emotion"] == reference).to_numpy()
        x, y = values[chosen].to_numpy(dtype=float), values[other].to_numpy(dtype=float)
        others = means.drop(index=emotion, level=0) if reference is None else means.loc[[reference]]
        base = others.groupby(level=1).mean()
        # Of each speaker, shape (speakers, columns); NaN without both.
        differences = means.loc[emotion].reindex(base.index).to_numpy() - base.to_numpy()
        scale, correction = _pooled_deviation(x, y)
        number = (~np.isnan(differences)).sum(axis=0)
        low, high, p = _paired(differences, number, confidence)
        # Of a corpus whose speakers mostly have one emotion, the few with both do not tell.
        told = np.where(crossing.too_few & (number < ENOUGH_CROSSED), np.nan, 1.0)
        unit = told * correction / scale
        part = pd.DataFrame({"functional": [str(name) for name in values], "emotion": emotion})
        part["reference"] = REST if reference is None else reference
        part["g"], part["low"] = _mean(differences, number) * unit, low * unit
        part["high"], part["cliffs_delta"] = high * unit, told * _cliffs_delta(x, y)
        parts.append(part.assign(speakers=number, p=told * p))
    table = pd.concat(parts, ignore_index=True)
    table["q"] = false_discovery(table["p"])
    place = table["functional"].map({str(name): place for place, name in enumerate(values)})
    return table.iloc[place.argsort(kind="stable")].reset_index(drop=True)


def false_discovery(p: pd.Series) -> pd.Series:
    """Benjamini and Hochberg's q-values of the p-values that are known.

    Examples:
        >>> false_discovery(pd.Series([0.01, np.nan, 0.04])).tolist()
        [0.02, nan, 0.04]
    """
    known = p.notna()
    q = pd.Series(np.nan, index=p.index)
    if known.any():
        q[known] = scipy.stats.false_discovery_control(p[known], method="bh")
    return q


def _permuted(cells: Cells, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """p-value of each column when a speaker's cell means are permuted among the emotions."""
    of_speaker = column_space(indicators(cells.speakers))
    emotions = indicators(cells.emotions)
    # What is left of emotion when speakers are taken off; squares along it are those of emotion.
    basis = column_space(emotions - of_speaker @ (of_speaker.T @ emotions))
    if not basis.size:
        return np.full(cells.means.shape[1], np.nan)
    y = cells.means - of_speaker @ (of_speaker.T @ cells.means)
    observed = ((basis.T @ y) ** 2).sum(axis=0)
    limit = observed * (1 - 1e-9) - 1e-300
    reached = np.zeros(len(observed))
    for first in range(0, resamples, _BLOCK):
        number = min(_BLOCK, resamples - first)
        # Cells are sorted by speaker, so that sorting these keys moves them within speakers only.
        keys = cells.speakers + rng.random((number, len(cells.speakers)))
        moved = basis[np.argsort(keys, axis=1)]
        statistic = (np.einsum("rcd,ck->rdk", moved, y, optimize=True) ** 2).sum(axis=1)
        reached += (statistic >= limit).sum(axis=0)
    return (1 + reached) / (1 + resamples)


def _pooled_deviation(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Standard deviation within two groups, and Hedges' correction for their size."""
    squares, spare = np.zeros(x.shape[1]), -2.0 * np.ones(x.shape[1])
    for group in (x, y):
        number = (~np.isnan(group)).sum(axis=0)
        squares += np.nansum((group - _mean(group, number)) ** 2, axis=0)
        spare += number
    spare = np.where(spare > 0, spare, np.nan)
    scale = np.sqrt(squares / spare)
    return np.where(scale > 0, scale, np.nan), 1 - 3 / (4 * spare - 1)


def _paired(
    differences: np.ndarray, number: np.ndarray, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Interval of the mean difference and p-value, by a t-test over speakers."""
    count = np.where(number > 1, number, np.nan)
    mean = _mean(differences, number)
    variance = np.nansum((differences - mean) ** 2, axis=0) / (count - 1)
    error = np.sqrt(np.where(variance > 0, variance, np.nan) / count)
    half = scipy.stats.t.ppf((1 + confidence) / 2, count - 1) * error
    p = np.asarray(2 * scipy.stats.t.sf(np.abs(mean / error), count - 1))
    return mean - half, mean + half, p


def _mean(values: np.ndarray, number: np.ndarray) -> np.ndarray:
    return np.nansum(values, axis=0) / np.where(number > 0, number, np.nan)


def _cliffs_delta(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """From the rank sum, column by column, ties counted half."""
    ranks = scipy.stats.rankdata(np.vstack([x, y]), axis=0, nan_policy="omit")[: len(x)]
    n, m = ((~np.isnan(group)).sum(axis=0) for group in (x, y))
    wins = np.nansum(ranks, axis=0) - n * (n + 1) / 2
    return 2 * wins / np.where((n > 0) & (m > 0), n * m, np.nan) - 1


COMPONENTS = ("emotion", "speaker", "interaction", "residual")


def variance_components(values: pd.DataFrame, corpus: Corpus) -> pd.DataFrame:
    r"""Shares of variance of emotion, speaker, their interaction, and what is left.

    In the crossed model

    .. math:: x_{sek} = \mu + a_e + b_s + c_{se} + \epsilon_{sek}

    the four variances are estimated by Henderson's method 3: the sums of squares of emotion given
    speaker, speaker given emotion, and interaction given both are set equal to their
    expectations, which are computed from the numbers of utterances at hand. The estimates are
    unbiased however unbalanced the corpus is, need no normal distribution, and equal REML where
    the corpus is balanced. Unlike two :math:`\eta^2`, the shares do not overlap.

    The variance of the few emotions is that of these emotions, not of all there could be. An
    estimate below zero is set to zero before shares are taken, which lifts small components.
    With few speakers the share of the speaker is uncertain. Where most speakers have one emotion
    only, and fewer than ten have two or more, all shares are NaN. Where each cell of speaker and
    emotion holds a single utterance, interaction and residual cannot be told apart: the
    interaction is NaN and the residual holds both.

    Args:
        values: functionals or concept scores, one row per utterance; its rows may be a part of
            the corpus. NaN is left out, column by column.
        corpus: names emotion and speaker of each row

    Returns:
        DataFrame, one row per column of ``values`` (its index): ``emotion``, ``speaker``,
        ``interaction``, ``residual`` (shares, 0 to 1), ``sd`` (square root of their total, in the
        unit of the column). NaN for a constant column, and where emotion and speaker cannot be
        told apart.

    References:
        Henderson, "Estimation of variance and covariance components", Biometrics 9 (1953); Searle,
        Casella and McCulloch, "Variance Components" (1992), chapter 5

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4)
        >>> emotion = (corpus.table["emotion"] == "angry").astype(float)
        >>> variance_components(pd.DataFrame({"loudness": emotion}), corpus).round(4)
                  emotion  speaker  interaction  residual      sd
        loudness      1.0      0.0          0.0       0.0  0.7071
    """
    table = pd.DataFrame(np.nan, index=values.columns, columns=[*COMPONENTS, "sd"])
    for cells in cells_by_pattern(values, corpus):
        if cells.crossing.too_few:
            continue
        variances = pd.DataFrame(_henderson(cells), index=cells.columns, columns=list(COMPONENTS))
        positive = variances.clip(lower=0)
        total = positive.sum(axis=1, min_count=1)
        total = total.where(total > 1e-18 * (1 + cells.means**2).max(axis=0))
        table.loc[cells.columns, list(COMPONENTS)] = positive.div(total, axis=0)
        table.loc[cells.columns, "sd"] = np.sqrt(total)
    return table


def _henderson(cells: Cells) -> np.ndarray:
    """Unbiased estimates of the four variances, shape (columns, 4); NaN where there is none."""
    weight = np.sqrt(cells.counts)[:, None]
    factors = [weight * indicators(codes) for codes in (cells.emotions, cells.speakers)]
    of_emotion, of_speaker = (_projection(factor) for factor in factors)
    of_both = _projection(np.hstack(factors))
    forms = [of_both - of_speaker, of_both - of_emotion, np.eye(len(weight)) - of_both]
    designs = [*factors, np.diag(weight[:, 0]), np.eye(len(weight))]
    # E[y' Q y] is the trace of Q Z Z' times the variance of Z, summed over the random terms.
    expected = [[np.sum((form @ design) * design) for design in designs] for form in forms]
    spare = cells.counts.sum() - len(cells.counts)
    equations = np.array([*expected, [0.0, 0.0, 0.0, spare]])
    y = weight * (cells.means - cells.means.mean(axis=0))
    squares = np.array([*[np.sum(y * (form @ y), axis=0) for form in forms], cells.within])
    solution = np.full(squares.shape, np.nan)
    # Where no cell has two utterances, interaction and residual are not told apart.
    kept, used = (np.arange(4), np.arange(4)) if spare else (np.array([0, 1, 3]), np.arange(3))
    system = equations[np.ix_(used, kept)]
    if np.linalg.matrix_rank(system, tol=1e-6) == len(kept):
        solution[kept] = np.linalg.solve(system, squares[used])
    return solution.T


def _projection(matrix: np.ndarray) -> np.ndarray:
    basis = column_space(matrix)
    return basis @ basis.T


def redundancy(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation between columns, over the rows where both are known.

    Args:
        scores: concept scores or functionals, one row per utterance

    Returns:
        symmetric DataFrame of shape (columns, columns), -1 to 1; NaN for a constant column

    Examples:
        >>> redundancy(pd.DataFrame({"energy": [1, 2, 3], "pitch": [9, 7, 1]}))
                energy  pitch
        energy     1.0   -1.0
        pitch     -1.0    1.0
    """
    if scores.isna().to_numpy().any():
        return scores.corr(method="spearman")
    # Without gaps, ranks once and not once a pair: some hundred times faster for 88 columns.
    return scores.rank().corr()


def functional_clusters(correlation: pd.DataFrame, *, threshold: float = 0.7) -> pd.DataFrame:
    r"""Functionals that rank utterances alike, by average linkage on :math:`1 - |\rho|`.

    Two clusters are joined as long as the mean :math:`|\rho|` between their members is at least
    the threshold. The sign is ignored: a functional and its negative carry the same information. A
    constant functional forms a cluster of its own.

    Args:
        correlation: rank correlations, as ``redundancy`` returns them
        threshold: mean absolute correlation down to which clusters are joined, 0 to 1

    Returns:
        DataFrame, one row per functional in the order of the dendrogram: ``cluster`` (from 1, in
        that order), ``representative`` (whether it is the member closest to all others on average),
        ``correlation`` (mean :math:`|\rho|` with the other members; NaN if alone)

    Raises:
        InputError: if the threshold is not between 0 and 1

    Examples:
        >>> values = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 4, 1, 3]})
        >>> functional_clusters(redundancy(values))["cluster"].to_dict()
        {'c': 1, 'a': 2, 'b': 2}
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold: found {threshold}, valid are 0 to 1")
    strength = _strength(correlation)
    if len(strength) < 2:
        alone = {"cluster": 1, "representative": True, "correlation": np.nan}
        return pd.DataFrame(alone, index=correlation.index)
    tree = dendrogram_tree(correlation)
    order = scipy.cluster.hierarchy.leaves_list(tree)
    # A hair above, so that a mean of exactly the threshold is joined in spite of rounding.
    found = scipy.cluster.hierarchy.fcluster(tree, 1 - threshold + 1e-12, criterion="distance")[
        order
    ]
    numbers = pd.factorize(found)[0] + 1
    table = pd.DataFrame({"cluster": numbers}, index=correlation.index[order])
    alike = strength[np.ix_(order, order)] * (numbers[:, None] == numbers)
    others = table.groupby("cluster")["cluster"].transform("size") - 1
    table["correlation"] = (alike.sum(axis=1) - 1) / others.where(others > 0)
    best = table["correlation"].fillna(0).groupby(table["cluster"]).idxmax()
    table.insert(1, "representative", table.index.isin(best))
    return table


def cluster_table(
    clusters: pd.DataFrame, concepts: Sequence[Concept | Category] = ()
) -> pd.DataFrame:
    """One row per cluster of functionals, largest first.

    Args:
        clusters: as ``functional_clusters`` returns them
        concepts: those of a scheme, such as ``read_scheme("paper").concepts``

    Returns:
        DataFrame indexed by ``cluster``: ``functionals`` (their number), ``representative``,
        ``correlation`` (mean absolute rank correlation within), ``concepts`` (the concepts that
        use a member, or the descriptor whose mean it is), ``members`` (all names)

    Examples:
        >>> values = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 4, 1, 3]})
        >>> table = cluster_table(functional_clusters(redundancy(values)))
        >>> table[["functionals", "representative", "members"]]  # doctest: +NORMALIZE_WHITESPACE
                 functionals representative members
        cluster
        2                  2              a    a, b
        1                  1              c       c
    """
    rows = []
    for number, members in clusters.groupby("cluster"):
        used = [c.name for c in concepts if {*map(functional_of, c.columns)} & {*members.index}]
        rows.append({
            "cluster": number, "functionals": len(members),
            "representative": str(members.index[members["representative"]][0]),
            "correlation": members["correlation"].mean(), "concepts": ", ".join(used),
            "members": ", ".join(map(str, members.index)),
        })  # fmt: skip
    table = pd.DataFrame(rows).set_index("cluster")
    return table.sort_values("functionals", ascending=False, kind="stable")


_MEAN = re.compile(r"(?P<voiced>voiced_)?mean\((?P<name>[\w.-]+)_sma3(?P<of_voiced>nz)?\)")


def functional_of(column: str) -> str:
    """The functional of eGeMAPSv02 that is the mean of a low-level descriptor; else the name given.

    eGeMAPS takes descriptors named "nz" over voiced frames, and marks the mean of another one over
    these with a V. Its means of formant amplitudes leave out further frames, and are no match.

    Examples:
        >>> functional_of("mean(Loudness_sma3)"), functional_of("voiced_mean(slope0-500_sma3)")
        ('loudness_sma3_amean', 'slopeV0-500_sma3nz_amean')
        >>> functional_of("voiced_mean(F1frequency_sma3nz)"), functional_of("voiced_share")
        ('F1frequency_sma3nz_amean', 'voiced_share')
    """
    found = _MEAN.fullmatch(column)
    if found is None or "amplitude" in column or (found["of_voiced"] and not found["voiced"]):
        return column
    name = found["name"].replace("Loudness", "loudness")
    if found["voiced"] and not found["of_voiced"]:
        name = re.sub(r"^(slope|[^-]*$)", r"\1V", name, count=1)
    return f"{name}_sma3{'nz' if found['voiced'] else ''}_amean"


def dendrogram_tree(correlation: pd.DataFrame) -> np.ndarray:
    """Average linkage of one less the absolute correlation, as scipy stores it."""
    distance = 1 - _strength(correlation)
    np.fill_diagonal(distance, 0)
    return scipy.cluster.hierarchy.linkage(
        scipy.spatial.distance.squareform(distance, checks=False), method="average"
    )


def _strength(correlation: pd.DataFrame) -> np.ndarray:
    strength = correlation.abs().fillna(0).to_numpy(copy=True)
    np.fill_diagonal(strength, 1)
    return np.clip(strength, 0, 1)
