"""The conditional logit of a choice between labels on two kinds of evidence for each of them.

Weights by Newton's method; their covariance from the speakers, not from the rows, since answers
about one speaker are not independent of each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import softmax

# Part of a speaker in the information from which the others are taken to hold none.
_WHOLE = 1 - 1e-9
# Of the degrees of freedom alone. With 0 they come out too high where speakers differ in size; with
# 1 and more the intervals of few such speakers get needlessly wide.
_DIFFERING = 0.5


def speaker_covariance(score: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of weights from the parts of speakers, and degrees of freedom of the variances.

    Args:
        score: of each speaker, shape (speakers, weights); adds up to 0
        information: of each speaker, shape (speakers, weights, weights)

    Returns:
        the covariance, shape (weights, weights), and degrees of freedom, shape (weights,); all NaN
        where some speaker alone holds all that tells weights apart

    Examples:
        Four speakers of equal information: 3 degrees of freedom, whatever their scores.

        >>> score = np.array([[1.0], [-1.0], [2.0], [-2.0]])
        >>> covariance, df = speaker_covariance(score, np.ones((4, 1, 1)))
        >>> covariance.round(3), df.round(3)
        (array([[0.833]]), array([3.]))
    """
    none = np.full_like(information[0], np.nan), np.full(score.shape[1], np.nan)
    try:
        root = np.linalg.inv(np.linalg.cholesky(information.sum(axis=0)))
    except np.linalg.LinAlgError:
        return none
    part = root @ information @ root.T
    sizes, axes = np.linalg.eigh(part)
    if sizes.max() > _WHOLE:
        return none
    enlarged = (axes / np.sqrt(1 - sizes)[:, None, :]) @ axes.swapaxes(1, 2)
    moved = np.einsum("gij,gj->gi", enlarged, score @ root.T) @ root
    df = [_degrees_of_freedom(part, enlarged @ direction) for direction in root.T]
    return moved.T @ moved, np.array(df)


def _degrees_of_freedom(part: np.ndarray, direction: np.ndarray) -> float:
    """Satterthwaite's, of the variance of one weight.

    With P the covariance of the speakers' terms under the working assumption,
    (tr P)² / tr P². Speakers have independent scores, and the weights follow all of them: P is
    diagonal but for a matrix of low rank, A B' + C D', which is never multiplied out.

    Args:
        part: of each speaker in the information, shape (speakers, weights, weights)
        direction: what a speaker's score is multiplied with, shape (speakers, weights)
    """
    spread = part + _DIFFERING * len(part) * part @ part
    a, c = (np.einsum("gij,gj->gi", matrix, direction) for matrix in (spread, part))
    b, d = -c, c @ spread.sum(axis=0) - a
    own, common = (direction * a).sum(axis=1), (a * b + c * d).sum(axis=1)
    squares = (own**2 + 2 * own * common).sum()
    squares += ((a.T @ a) * (b.T @ b) + (c.T @ c) * (d.T @ d) + 2 * (a.T @ c) * (b.T @ d)).sum()
    return float((own + common).sum() ** 2 / squares)


_ITERATIONS = 100
_TOLERANCE = 1e-10
# Evidence that varies less than this between labels or rows is rounding, not evidence.
_NOTHING = 1e-9
# Squared correlation above which two predictors are one.
_ONE_PREDICTOR = 1 - 1e-8


@dataclass(frozen=True)
class ChoiceFit:
    """A fitted conditional logit.

    Attributes:
        weights: one an evidence, shape (2,); NaN where it is not identified
        covariance: of the weights, speaker-clustered, shape (2, 2); NaN where there is none
        df: degrees of freedom of the variance of each weight, shape (2,); NaN where there is none
        speakers: number of speakers
        reason: why weights or covariance are not identified, empty if they are
    """

    weights: np.ndarray
    covariance: np.ndarray
    df: np.ndarray
    speakers: int
    reason: str = ""


def fit_choices(evidence: np.ndarray, chosen: np.ndarray, speakers: np.ndarray) -> ChoiceFit:
    r"""Conditional logit with a speaker-clustered covariance.

    Of row i, label k is chosen with probability

    .. math:: p_{ik} = \frac{\exp(x_{ik}^\top w)}{\sum_l \exp(x_{il}^\top w)}

    and :math:`w` maximises :math:`\sum_{ik} y_{ik} \log p_{ik}`. Whatever is the same for all
    labels of a row (a constant added to its log-probabilities) has no influence.

    The covariance is Bell and McCaffrey's (CR2) with Satterthwaite's degrees of freedom for
    Student's t, see ``speaker_covariance``. It holds for any dependence within a speaker and for a
    model that is only an approximation.

    Args:
        evidence: log-probability of each label by each source, shape (rows, labels, 2)
        chosen: shape (rows, labels), rows summing to 1: a single 1 where a label was chosen, or
            the probabilities of all labels
        speakers: number of the speaker of each row, from 0, shape (rows,)

    Returns:
        the fit; where the weights are not identified they are NaN and ``reason`` says why

    References:
        McFadden, "Conditional logit analysis of qualitative choice behavior" (1974); Albert and
        Anderson, Biometrika 71 (1984), on separation

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> evidence = rng.normal(size=(4000, 3, 2))
        >>> utility = evidence @ [1.0, 0.5] + rng.gumbel(size=(4000, 3))
        >>> chosen = np.eye(3)[utility.argmax(axis=1)]
        >>> fit_choices(evidence, chosen, np.arange(4000) % 20).weights.round(2)
        array([0.91, 0.49])
    """
    _, group = np.unique(speakers, return_inverse=True)
    number = int(group.max()) + 1
    centred = evidence - evidence.mean(axis=1, keepdims=True)
    reason = _no_evidence(centred) or _separated(centred, chosen)
    weights = None if reason else _newton(centred, chosen)
    if weights is None:
        return ChoiceFit(
            np.full(2, np.nan),
            np.full((2, 2), np.nan),
            np.full(2, np.nan),
            number,
            reason or "separation in all but name: the weights grow without end",
        )
    score, information = _by_speaker(*_derivatives(centred, chosen, weights), group)
    covariance, df = speaker_covariance(score, information)
    few = "too few speakers: without one of them nothing tells the weights apart"
    return ChoiceFit(weights, covariance, df, number, few if np.isnan(covariance).any() else "")


def share_interval(fit: ChoiceFit, confidence: float) -> tuple[float, float, float]:
    r"""The share of the second weight in the sum of both, with Fieller's interval.

    All shares :math:`\rho` at which :math:`w_2 - \rho (w_1 + w_2)` does not differ from 0:

    .. math:: (w_2 - \rho b)^2 \le t^2 (V_{22} - 2 \rho V_{2b} + \rho^2 V_{bb}),\; b = w_1 + w_2

    Unlike the delta method it is right where the sum is small against its error: there it has no
    end, and NaN stands for both. Student's t is on the fewer of the degrees of freedom of the two
    weights. Above 1 or below 0 the share is where a weight is negative.

    Args:
        fit: as ``fit_choices`` returns it
        confidence: between 0 and 1

    Returns:
        share, low, high

    Examples:
        >>> fit = ChoiceFit(np.array([3.0, 1.0]), np.diag([0.01, 0.01]), np.full(2, 50.0), 51)
        >>> [round(value, 3) for value in share_interval(fit, 0.95)]
        [0.25, 0.209, 0.289]
    """
    two = fit.weights[1]
    both = fit.weights.sum()
    share = float(two / both) if abs(both) > _NOTHING else np.nan
    variance, joint, total = fit.covariance[1, 1], fit.covariance[1].sum(), fit.covariance.sum()
    square = float(t_quantile(fit.df, confidence).max()) ** 2
    a, b, c = both**2 - square * total, two * both - square * joint, two**2 - square * variance
    root = b**2 - a * c
    if not (a > 0 and root >= 0):
        return share, np.nan, np.nan
    return share, float((b - np.sqrt(root)) / a), float((b + np.sqrt(root)) / a)


def t_quantile(df: np.ndarray, confidence: float) -> np.ndarray:
    """Two-sided quantiles of Student's t; NaN without degrees of freedom.

    Examples:
        >>> t_quantile(np.array([7.0, 23.0]), 0.95).round(3)
        array([2.365, 2.069])
    """
    return np.asarray(stats.t.ppf((1 + confidence) / 2, df))


def _no_evidence(centred: np.ndarray) -> str:
    """Why the predictors alone rule an estimate out; empty if they do not."""
    for source, name in enumerate(("audio", "tokens")):
        part = centred[:, :, source]
        if np.abs(part).max() < _NOTHING:
            return f"no variation: the {name} speak for all labels alike in every answer"
        if np.abs(part - part[0]).max() < _NOTHING:
            return (
                f"no variation: the {name} say the same in every answer, which cannot be told from "
                "a preference for a label"
            )
    moments = np.einsum("nkp,nkq->pq", centred, centred)
    if moments[0, 1] ** 2 > _ONE_PREDICTOR * moments[0, 0] * moments[1, 1]:
        return "collinear: audio and tokens say the same of every label"
    return ""


def _separated(centred: np.ndarray, chosen: np.ndarray) -> str:
    """Why the likelihood has no maximum; empty if it has one.

    It has one unless all differences between a chosen label's evidence and another's lie on one
    side of some line through the origin: then moving along its normal never lowers a likelihood.
    """
    # Of a row with all labels possible, every difference is there with either sign.
    mixed = (chosen > 0).all(axis=1)
    if mixed.any() and not _no_evidence(centred[mixed]):
        return ""
    rows, labels, others = np.nonzero(
        (chosen[:, :, None] > 0) & ~np.eye(chosen.shape[1], dtype=bool)
    )
    lead = centred[rows, labels] - centred[rows, others]
    lead = lead[np.abs(lead).max(axis=1) > _NOTHING]
    angle = np.sort(np.arctan2(lead[:, 1], lead[:, 0]))
    gap = np.diff(angle, append=angle[:1] + 2 * np.pi)
    if gap.max() < np.pi - _NOTHING:
        return ""
    return "separation: some weighting of audio and tokens never errs, so the weights have no bound"


def _newton(centred: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    """Weights of greatest likelihood, steps halved while they lower it; ``None`` if none."""
    weights = np.zeros(2)
    value = _log_likelihood(centred, chosen, weights)
    for _ in range(_ITERATIONS):
        score, information = _totals(*_derivatives(centred, chosen, weights))
        try:
            step = np.linalg.solve(information, score)
        except np.linalg.LinAlgError:
            return None
        new = _log_likelihood(centred, chosen, weights + step)
        while new < value - _TOLERANCE * abs(value) and np.abs(step).max() > _TOLERANCE:
            step /= 2
            new = _log_likelihood(centred, chosen, weights + step)
        weights, value = weights + step, new
        if np.abs(step).max() <= _TOLERANCE * (1 + np.abs(weights).max()):
            return weights
    return None


def _log_likelihood(centred: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> float:
    utility = centred @ weights
    highest = utility.max(axis=1)
    total = highest + np.log(np.exp(utility - highest[:, None]).sum(axis=1))
    return float((chosen * utility).sum() - total.sum())


def _derivatives(
    centred: np.ndarray, chosen: np.ndarray, weights: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Of each row: both parts of the score; the information of audio, of both, of tokens."""
    probability = softmax(centred @ weights, axis=1)
    audio, tokens = centred[:, :, 0], centred[:, :, 1]
    over = chosen - probability
    score = [(over * part).sum(axis=1) for part in (audio, tokens)]
    mean_audio, mean_tokens = ((probability * part).sum(axis=1) for part in (audio, tokens))
    information = [
        (probability * audio**2).sum(axis=1) - mean_audio**2,
        (probability * audio * tokens).sum(axis=1) - mean_audio * mean_tokens,
        (probability * tokens**2).sum(axis=1) - mean_tokens**2,
    ]
    return score, information


def _totals(
    score: list[np.ndarray], information: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    first, both, second = (part.sum() for part in information)
    return np.array([part.sum() for part in score]), np.array([[first, both], [both, second]])


def _by_speaker(
    score: list[np.ndarray], information: list[np.ndarray], group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The same summed by speaker: shapes (speakers, 2) and (speakers, 2, 2)."""
    sums = [np.bincount(group, weights=part) for part in (*score, *information)]
    first, both, second = sums[2:]
    return np.stack(sums[:2], axis=1), np.stack([first, both, both, second], axis=1).reshape(
        -1, 2, 2
    )
