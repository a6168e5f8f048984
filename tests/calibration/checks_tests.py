"""Type-I error: tests of conditions, where nothing differs or the truth lies on the margin.

They are made from counts, by the functions that the tests of the package call: tables of thousands
of studies would take hours. ``test_calibration.py`` shows that both give the same.
"""

from __future__ import annotations

import numpy as np
from candidates import hotelling_p
from checks import LEVEL, Check, Outcomes, rejected
from checks_intervals import SLOPE
from paired_regression import paired_regression
from scipy import stats
from simulate import Design, Study, studies, true_commonest_share, true_entropy, true_uar
from statsmodels.stats.contingency_tables import SquareTable, cochrans_q, mcnemar

from sercue.statistics.equivalence import (
    commonest_shares,
    entropies,
    equivalence_p,
    predicted_shares,
)
from sercue.statistics.resampling import (
    drawn_p,
    joint_sign_flip_p,
    mean_recall,
    rearranged_sums,
    sign_flip_p,
)

# Draws of the permutation tests within each simulated study.
_DRAWS = 599


def differences(study: Study, truth: np.ndarray) -> Outcomes:
    """Tests of a UAR difference."""
    counted = study.counted()
    weights = np.array([[-1.0, 1.0]])
    added = (weights @ counted.share_of_recall()).T
    flipped = sign_flip_p(added, resamples=_DRAWS)[0]
    return {
        "UAR difference: t over speakers": rejected(counted.uar.combine(weights).p_value()[0]),
        "UAR difference: sign flips of speakers": rejected(flipped),
    }


def answers(study: Study, truth: np.ndarray) -> Outcomes:
    """Tests of single answers and of predicted classes."""
    p = answers_p(study, _DRAWS)
    return {name: rejected(value) for name, value in p.items()}


def answers_p(study: Study, resamples: int) -> dict[str, float]:
    """P-values of the tests of right answers and of predicted classes."""
    none, aligned = study.right
    better, worse = int((aligned & ~none).sum()), int((none & ~aligned).sum())
    net = study.by_speaker(aligned.astype(float) - none)
    answered = study.counted().counts.sum(axis=2)
    change = answered[1] - answered[0]
    classes = len(study.design.labels)
    pairs = np.bincount(study.prediction[1] * classes + study.prediction[0], minlength=classes**2)
    table = SquareTable(pairs.reshape(classes, classes), shift_zeros=False)
    single = mcnemar([[0, better], [worse, 0]], exact=better + worse < 25)
    return {
        "McNemar: sign flips of speakers": sign_flip_p(net, resamples=resamples)[0],
        "McNemar: independent utterances": single.pvalue,
        "shift of classes: sign flips of speakers": joint_sign_flip_p(change, resamples=resamples),
        "shift of classes: Stuart-Maxwell": table.homogeneity("stuart_maxwell").pvalue,
        "shift of classes: Bhapkar": table.homogeneity("bhapkar").pvalue,
        "shift of classes: Hotelling over speakers": hotelling_p(change[:, :-1]),
    }


def regression(study: Study, truth: np.ndarray) -> Outcomes:
    """Logistic regression by estimating equations."""
    right, number = study.by_speaker(study.right).T, np.bincount(study.speaker)
    effect, error = paired_regression(right, number)
    usual, usual_error = paired_regression(right, number, bias_reduced=False)
    reduced = 2 * stats.t.sf(abs(effect) / error, len(number) - 1)
    plain = 2 * stats.norm.sf(abs(usual) / usual_error)
    return {
        "GEE logistic regression: bias-reduced, t": rejected(reduced),
        "GEE logistic regression: sandwich, normal": rejected(plain),
    }


def several(study: Study, truth: np.ndarray) -> Outcomes:
    """Tests over four conditions."""
    p = several_p(study, _DRAWS)
    return {name: rejected(value) for name, value in p.items()}


def several_p(study: Study, resamples: int) -> dict[str, float]:
    """P-values of the tests over four conditions."""
    right = study.by_speaker(study.right).T
    moved = rearranged_sums(right, resamples=resamples).var(axis=1)
    counted = study.counted(tuple("abcd"))
    slope = counted.uar.combine(SLOPE)
    sums = rearranged_sums(counted.share_of_recall().T, resamples=resamples)
    ranked = mean_recall(counted.hits, counted.totals).T
    page = [
        stats.page_trend_test(table, method="asymptotic").pvalue
        for table in (ranked, ranked[:, ::-1])
    ]
    return {
        "Cochran: conditions rearranged in speakers": drawn_p(right.sum(axis=0).var(), moved),
        "Cochran: independent utterances": cochrans_q(study.right.T.astype(float)).pvalue,
        "trend with the dose: t over speakers": slope.p_value()[0],
        "trend with the dose: doses rearranged in speakers": drawn_p(
            abs(slope.estimate[0]), np.abs(sums @ SLOPE)
        ),
        "trend with the dose: Page": min(1.0, 2 * min(page)),
    }


def margins(study: Study, truth: np.ndarray) -> Outcomes:
    """Equivalence where the truth lies on the margin, so that claiming it is an error."""
    uar = study.counted().uar.combine([[-1, 1]])
    return {"equivalence in UAR, truth on the margin": equivalence_p(uar, truth[0])[0] < LEVEL}


def collapses(study: Study, truth: np.ndarray) -> Outcomes:
    """No collapse claimed where entropy fell, and the commonest share rose, by the margin."""
    shares = predicted_shares(study.counted(("aligned", "shuffled")))
    fell, rose = (part.combine([[-1, 1]]) for part in (entropies(shares), commonest_shares(shares)))
    return {
        "no collapse in entropy, truth on the margin": fell.p_above(-truth[0])[0] < LEVEL,
        "no collapse in the commonest share, truth on the margin": (
            1 - rose.p_above(truth[1])[0] < LEVEL
        ),
    }


def _uar_margin(design: Design) -> np.ndarray:
    return np.abs(np.diff(true_uar(design)))


def _collapse_margins(design: Design) -> np.ndarray:
    fall, rise = -np.diff(true_entropy(design)), np.diff(true_commonest_share(design))
    return np.concatenate([fall, rise])


_EQUAL = Design(strength=(1.0, 1.0))
_DRAWN_TO_NEUTRAL = ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.2, 0.0))
CHECKS = (
    Check(differences, "error", _EQUAL, studies),
    Check(answers, "error", _EQUAL, studies),
    Check(regression, "error", _EQUAL, studies),
    Check(several, "error", Design(strength=(1.0,) * 4), studies),
    Check(margins, "error", Design(strength=(1.0, 2.5)), studies, _uar_margin),
    Check(collapses, "error", Design(bias=_DRAWN_TO_NEUTRAL), studies, _collapse_margins),
)
