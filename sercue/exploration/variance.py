"""How much of a functional or concept is the emotion, how much the speaker, how much neither."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus
from sercue.exploration.cells import Cells, cells_by_pattern, column_space, indicators

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
    With few speakers the share of the speaker is uncertain. Where each cell of speaker and
    emotion holds a single utterance, interaction and residual cannot be told apart: the
    interaction is NaN and the residual holds both.

    Args:
        values: functionals or concept scores, one row an utterance; its rows may be a part of
            the corpus. NaN is left out, column by column.
        corpus: names emotion and speaker of each row

    Returns:
        DataFrame, one row a column of ``values`` (its index): ``emotion``, ``speaker``,
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
    return _solved(equations, squares, told_apart=bool(spare)).T


def _projection(matrix: np.ndarray) -> np.ndarray:
    basis = column_space(matrix)
    return basis @ basis.T


def _solved(equations: np.ndarray, squares: np.ndarray, told_apart: bool) -> np.ndarray:
    solution = np.full(squares.shape, np.nan)
    kept = np.arange(4) if told_apart else np.array([0, 1, 3])
    used = np.arange(4) if told_apart else np.arange(3)
    system = equations[np.ix_(used, kept)]
    if np.linalg.matrix_rank(system, tol=1e-6) == len(kept):
        solution[kept] = np.linalg.solve(system, squares[used])
    return solution
