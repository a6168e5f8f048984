"""Logistic regression of paired answers by estimating equations, from counts of speakers alone.

With one binary predictor all that enters is how many answers of a speaker are right under either
condition. This is the same estimator as statsmodels' ``GEE`` with an exchangeable correlation,
written anew: an oracle for it, and fast enough for thousands of studies.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

_ITERATIONS = 60
_TOLERANCE = 1e-10


def paired_regression(
    right: np.ndarray, number: np.ndarray, *, bias_reduced: bool = True
) -> tuple[float, float]:
    """Log odds ratio of the first condition against the second, and its standard error.

    Args:
        right: right answers of each speaker, shape (speakers, 2)
        number: utterances of each speaker, each answered under both, shape (speakers,)
        bias_reduced: Mancl and DeRouen's covariance, else the plain sandwich

    Returns:
        both NaN where a condition is always or never right, so that no odds
        exist, or where the steps do not settle
    """
    if (right.sum(axis=0) % number.sum() == 0).any():
        return np.nan, np.nan
    weights, design = _independent(right, number), np.array([[1.0, 1.0], [1.0, 0.0]])
    for _ in range(_ITERATIONS):
        mean = expit(design @ weights)
        spread = np.sqrt(mean * (1 - mean))
        slope = design * spread[:, None]
        residual = (right - number[:, None] * mean) / spread
        taken = number * _inverse_correlation(right, number, mean, residual)
        score = residual @ slope - (taken * residual.sum(axis=1))[:, None] * slope.sum(axis=0)
        total = np.outer(slope.sum(axis=0), slope.sum(axis=0))
        information = number[:, None, None] * (slope.T @ slope)
        information = information - (number * taken)[:, None, None] * total
        naive = np.linalg.inv(information.sum(axis=0))
        step = naive @ score.sum(axis=0)
        weights = weights + step
        if np.abs(step).max() < _TOLERANCE:
            break
    else:
        return np.nan, np.nan
    if bias_reduced:
        kept = np.eye(2) - information @ naive
        score = np.linalg.solve(kept, score[:, :, None])[:, :, 0]
    variance = naive @ score.T @ score @ naive
    return float(weights[1]), float(np.sqrt(variance[1, 1]))


def _independent(right: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Where to start: intercept and log odds ratio of the pooled answers."""
    first, second = logit(right.sum(axis=0) / number.sum())
    return np.array([second, first - second])


def _inverse_correlation(
    right: np.ndarray, number: np.ndarray, mean: np.ndarray, residual: np.ndarray
) -> np.ndarray:
    """The k of each speaker in ``(I - k J) / (1 - a)``, the inverse of ``(1 - a) I + a J``.

    J is the matrix of ones over all answers of the speaker, and sums over the answers of a
    condition are all that it needs. The correlation a is the mean product of two standardised
    residuals of a speaker. The factor 1 / (1 - a) has no influence on weights or errors.
    """
    wrong, answers = number[:, None] - right, 2 * number
    squares = ((right * (1 - mean) ** 2 + wrong * mean**2) / (mean * (1 - mean))).sum(axis=1)
    products = ((residual.sum(axis=1) ** 2 - squares) / 2).sum()
    pairs = (answers * (answers - 1) / 2).sum()
    alike = products / (pairs - 2) / (squares.sum() / (answers.sum() - 2))
    return alike / (1 - alike + alike * answers)
