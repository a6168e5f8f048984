"""Coverage: intervals of UAR, of what is made of it, and of odds ratios."""

from __future__ import annotations

import numpy as np
from candidates import bca_interval, sandwich_interval
from checks import Check, Outcomes, holds
from paired_regression import paired_regression
from scipy import stats
from simulate import Design, Study, studies, true_log_odds, true_log_p, true_uar

from sercue.statistics.attribution import shapley_weights
from sercue.statistics.resampling import METHODS, bootstrap_differences, bootstrap_uar
from sercue.statistics.speakers import Clustered, recall_estimates

_DOSES = np.array([0.0, 0.25, 0.5, 1.0])
SLOPE = (_DOSES - _DOSES.mean()) / ((_DOSES - _DOSES.mean()) ** 2).sum()
# Resamples of the bootstrap within each simulated study.
_DRAWS = 599
# Speakers drawn for the truth of eight conditions: fewer than for two, and enough.
_CROWD = 100_000
_SUBSETS = shapley_weights(3)
_OF_FIRST = np.array([weights[0] for weights in _SUBSETS.values()])
# Three concepts that help by 0.8, 0.4 and 0.2, and by less the more of them there are.
_STRENGTH = tuple(
    1.0 + sum((0.8, 0.4, 0.2)[c] for c in subset) * 0.9 ** len(subset) for subset in _SUBSETS
)


def uar(study: Study, truth: np.ndarray) -> Outcomes:
    """The interval over speakers: of UAR, a difference, a slope."""
    found = study.counted(tuple("abcd")).uar
    contrasts = found.combine([[1, 0, -1, 0], SLOPE])
    return {
        "UAR: t over speakers": _holds(found, 0, truth[0]),
        "UAR difference: t over speakers": _holds(contrasts, 0, truth[0] - truth[2]),
        "slope of UAR with the dose: t over speakers": _holds(contrasts, 1, SLOPE @ truth),
    }


def concepts(study: Study, truth: np.ndarray) -> Outcomes:
    """Shapley value of one of three concepts, in UAR; what it does alone, in log-probability."""
    counted = study.counted(tuple("abcdefgh"))
    said = recall_estimates(study.log_p_sums(), counted.totals)
    alone = said.combine([[-1, 1, 0, 0, 0, 0, 0, 0]])
    values = counted.uar.combine(_OF_FIRST)
    return {
        "Shapley value in UAR: t over speakers": _holds(values, 0, _OF_FIRST @ truth[0]),
        "effect in log-probability: t over speakers": _holds(alone, 0, truth[1, 1] - truth[1, 0]),
    }


def odds(study: Study, truth: np.ndarray) -> Outcomes:
    """The odds ratio of right answers over all speakers."""
    right, number = study.by_speaker(study.right).T, np.bincount(study.speaker)
    effect, error = paired_regression(right, number)
    half = stats.t.ppf(0.975, len(number) - 1) * error
    held = holds(effect - half, effect + half, truth[0] - truth[1])
    return {"GEE odds ratio: bias-reduced, t": held}


def bootstraps(study: Study, truth: np.ndarray) -> Outcomes:
    """Bootstrap intervals of UAR and of a difference."""
    rows, labels, found = study.predictions(), study.design.labels, {}
    for method in METHODS:
        options = {"method": method, "resamples": _DRAWS}
        one = bootstrap_uar(rows, labels, **options).iloc[0]
        two = bootstrap_differences(rows, labels, **options).iloc[0]
        found[f"UAR: {method} bootstrap"] = holds(one["low"], one["high"], truth[0])
        found[f"UAR difference: {method} bootstrap"] = holds(
            two["low"], two["high"], truth[1] - truth[0]
        )
    counted = study.counted()
    hits, totals = counted.hits[0], counted.totals[0]
    bca, sandwich = bca_interval(hits, totals, _DRAWS), sandwich_interval(hits, totals)
    found["UAR: BCa bootstrap"] = holds(*bca, truth[0])
    found["UAR: uncorrected sandwich, t on speakers - 1"] = holds(*sandwich, truth[0])
    return found


def _holds(found: Clustered, which: int, truth: float) -> float:
    low, high = found.interval()
    return holds(low[which], high[which], truth)


def _uar_and_log_p(design: Design) -> np.ndarray:
    return np.stack([true_uar(design, _CROWD), true_log_p(design, _CROWD)])


CHECKS = (
    Check(uar, "coverage", Design(strength=(2.2, 1.6, 0.8, 0.4)), studies, true_uar),
    Check(concepts, "coverage", Design(strength=_STRENGTH), studies, _uar_and_log_p),
    Check(odds, "coverage", Design(strength=(1.6, 0.8)), studies, true_log_odds),
    Check(bootstraps, "coverage", Design(strength=(1.0, 1.6)), studies, true_uar, share=2 / 15),
)
