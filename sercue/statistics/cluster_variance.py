r"""Standard errors over speakers: what one speaker adds to the error of an estimate.

UAR is a sum of ratios, each a total over speakers. Its error is therefore, to first order, a sum of
one term a speaker, and the speakers are the independent draws. UAR is also a linear combination of
the coefficients of a least-squares fit of right answers on indicators of the true classes, so that
the small-sample corrections made for such fits apply exactly, and in closed form.

With :math:`h_{sk}` of :math:`n_{sk}` utterances of class k right for speaker s, totals
:math:`N_k = \sum_s n_{sk}` and recalls :math:`R_k`, the term of a speaker is

.. math:: \psi_s = \frac{1}{K} \sum_k
    \frac{h_{sk} - R_k n_{sk}}{N_k \sqrt{1 - n_{sk} / N_k}}

and :math:`\sum_s \psi_s^2` estimates the variance (CR2: Bell and McCaffrey). It is unbiased where
answers are independent. Intervals take quantiles of Student's t with Satterthwaite's degrees of
freedom, computed under the working assumption that right answers of one speaker correlate at 0.1
within a class and at 0.05 between classes. Speakers of unequal size, and classes that few speakers
have, lower them below speakers - 1.

What was found, by simulation (``tests/calibration/RESULTS.md``): these intervals cover as they say
from 8 speakers on, speakers of very unequal size and speakers without some classes included.
Percentile and BCa bootstrap intervals do not, nor does the uncorrected sandwich, not even with t
quantiles on speakers - 1.

References:
    Bell and McCaffrey, Survey Methodology 28 (2002); Imbens and Kolesár, Rev. Econ. Stat. 98
    (2016); Pustejovsky and Tipton, J. Bus. Econ. Stat. 36 (2018)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

# Of the degrees of freedom alone. With 0 they come out too high where speakers differ in size;
# anything from 0.05 to 0.2 gives nearly the same.
_WITHIN_CLASS = 0.1
_BETWEEN_CLASSES = 0.05
# Below this a standard error is rounding.
_NOTHING = 1e-12


@dataclass(frozen=True)
class Clustered:
    """Estimates, each with what every speaker adds to its error.

    Attributes:
        estimate: shape (estimates,)
        influence: shape (estimates, speakers); the squares of a row add up to the variance
        df: degrees of freedom, shape (estimates,); 0 where the data tell nothing of the
            variance, as for a class that a single speaker has
    """

    estimate: np.ndarray
    influence: np.ndarray
    df: np.ndarray

    @property
    def se(self) -> np.ndarray:
        """Standard errors, shape (estimates,); infinite without degrees of freedom."""
        return np.where(self.df > 0, np.sqrt((self.influence**2).sum(axis=1)), np.inf)

    def combine(self, weights: np.ndarray) -> Clustered:
        """Linear combinations of the estimates, for instance differences.

        Args:
            weights: shape (combinations, estimates)

        Returns:
            the combinations, with the fewest degrees of freedom of what they are made of
        """
        weights = np.asarray(weights, dtype=float).reshape(-1, len(self.estimate))
        involved = np.where(weights != 0, self.df, np.inf)
        return Clustered(
            weights @ self.estimate,
            weights @ self.influence,
            involved.min(axis=1, initial=np.inf),
        )

    def interval(self, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends of two-sided intervals; without degrees of freedom the whole line.

        Args:
            confidence: coverage that the interval aims at, between 0 and 1
        """
        half = self._quantile((1 + confidence) / 2) * self.se
        return self.estimate - half, self.estimate + half

    def p_value(self, null: float = 0.0) -> np.ndarray:
        """Two-sided p-values of "the estimate is ``null``".

        Where all speakers agree to the last digit, so that there is no error to compare with, the
        p-value is 1 if they agree on ``null``, else that of all signs alike, 2 / 2^speakers.
        """
        away, se = self.estimate - null, self.se
        t = np.divide(np.abs(away), se, out=np.zeros_like(away), where=se > _NOTHING)
        p = 2 * stats.t.sf(t, np.where(self.df > 0, self.df, 1))
        agreed = np.where(np.abs(away) > _NOTHING, 2.0 ** (1 - self.influence.shape[1]), 1.0)
        return np.where(se > _NOTHING, p, agreed)

    def p_above(self, null: float) -> np.ndarray:
        """One-sided p-values of "the estimate is at most ``null``"; small if it lies above."""
        p = self.p_value(null) / 2
        return np.where(self.estimate > null, p, 1 - p)

    def _quantile(self, level: float) -> np.ndarray:
        return np.asarray(stats.t.ppf(level, np.where(self.df > 0, self.df, 1)))


def recall_estimates(hits: np.ndarray, totals: np.ndarray) -> Clustered:
    """Mean recall of each condition over the classes that occur, with speakers' influence.

    With a single class it is a share: accuracy, say, or how often a class is predicted.

    Args:
        hits: right answers, shape (conditions, speakers, classes)
        totals: all answers, same shape. One utterance should count 1, however many rows it has.

    Returns:
        one estimate a condition

    Examples:
        Two classes, four speakers of two utterances of each:

        >>> hits = np.array([[[2, 0], [2, 1], [1, 1], [1, 2]]])
        >>> found = recall_estimates(hits, np.full((1, 4, 2), 2))
        >>> found.estimate.round(3), found.se.round(3), found.df.round(1)
        (array([0.625]), array([0.072]), array([3.]))
    """
    hits, totals = np.asarray(hits, dtype=float), np.asarray(totals, dtype=float)
    pooled = totals.sum(axis=1, keepdims=True)
    share = _divide(totals, pooled)
    recall = _divide(hits.sum(axis=1, keepdims=True), pooled)
    classes = (pooled > 0).sum(axis=2)
    # A class that one speaker has leaves no residual; its degrees of freedom are 0.
    residual = _divide(hits - recall * totals, pooled * np.sqrt(np.clip(1 - share, 0, 1)))
    return Clustered(
        _divide(recall.sum(axis=(1, 2)), classes[:, 0], empty=np.nan),
        _divide(residual.sum(axis=2), classes),
        _degrees_of_freedom_of_each(totals),
    )


def _degrees_of_freedom_of_each(totals: np.ndarray) -> np.ndarray:
    # Conditions of one study mostly share their totals, and the speakers squared are worth saving.
    known: dict[bytes, float] = {}
    for one in totals:
        known.setdefault(one.tobytes(), -1.0)
        if known[one.tobytes()] < 0:
            known[one.tobytes()] = degrees_of_freedom(one)
    return np.array([known[one.tobytes()] for one in totals])


def degrees_of_freedom(totals: np.ndarray) -> float:
    r"""Satterthwaite's degrees of freedom of the variance of a mean recall.

    With :math:`P` the covariance of the speakers' terms under the working assumption,
    :math:`(\text{tr} P)^2 / \text{tr}(P^2)`.

    Args:
        totals: utterances, shape (speakers, classes)

    Returns:
        degrees of freedom, at most speakers - 1; 0 if a class has a single speaker or there is
        no utterance

    Examples:
        >>> round(degrees_of_freedom(np.full((10, 4), 5)), 2)
        9.0
        >>> round(degrees_of_freedom(np.array([[50], [1], [1], [1]])), 2)
        1.06
    """
    totals = np.asarray(totals, dtype=float)
    totals = totals[:, totals.sum(axis=0) > 0]
    pooled = totals.sum(axis=0)
    if not totals.size or ((totals > 0).sum(axis=0) < 2).any():
        return 0.0
    weight = 1 / (pooled * np.sqrt(1 - totals / pooled))
    covariance = _working_covariance(totals, weight)
    return float(np.trace(covariance) ** 2 / (covariance**2).sum())


def _working_covariance(totals: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Covariance of the speakers' terms, shape (speakers, speakers), under the working assumption.

    A term is the speaker's weighted answers less the recalls, to which all speakers add: minus
    ``pulled`` for each answer. Multiplied out, no array is larger than speakers squared.
    """
    pooled = totals.sum(axis=0)
    pulled = weight * totals / pooled
    independent = np.diag((totals * weight**2).sum(axis=1)) - pulled @ (pooled * pulled).T
    cross = (weight * totals**2) @ pulled.T
    within = np.diag(((weight * totals) ** 2).sum(axis=1)) - cross - cross.T
    within += pulled @ ((totals**2).sum(axis=0) * pulled).T
    own = (weight * totals).sum(axis=1)
    cross = own[:, None] * (totals @ pulled.T)
    between = np.diag(own**2) - cross - cross.T + pulled @ (totals.T @ totals) @ pulled.T
    return (
        (1 - _WITHIN_CLASS) * independent
        + (_WITHIN_CLASS - _BETWEEN_CLASSES) * within
        + _BETWEEN_CLASSES * between
    )


def _divide(part: np.ndarray, whole: np.ndarray, empty: float = 0.0) -> np.ndarray:
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)
