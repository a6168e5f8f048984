"""The shift towards neutral: coverage of its interval, type-I error of its tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
from checks import Check, Outcomes, holds, rejected
from simulate import Design, Study, studies, true_confusions

from sercue.statistics.equivalence import neutral_shifts

# Patterns of signs drawn within each simulated study.
_DRAWS = 599
_CONDITIONS = ("aligned", "shuffled")
_NEUTRAL = "neutral"


def neutral_shift(study: Study, truth: np.ndarray) -> Outcomes:
    """The interval of a shift of known size."""
    row = _row(study)
    return {"shift towards neutral: t over speakers": holds(row["low"], row["high"], truth[0])}


def no_neutral_shift(study: Study, truth: np.ndarray) -> Outcomes:
    """Its tests where neither condition is drawn to neutral more than the other."""
    row = _row(study)
    return {
        "shift towards neutral: t over speakers": rejected(row["p"]),
        "shift towards neutral: sign flips of speakers": rejected(row["permutation_p"]),
        "shift towards neutral: what decides": rejected(row["holm_p"]),
    }


def _row(study: Study) -> pd.Series:
    rows, labels = study.predictions(_CONDITIONS), study.design.labels
    return neutral_shifts(rows, labels, _NEUTRAL, resamples=_DRAWS).iloc[0]


def true_neutral_shift(design: Design) -> np.ndarray:
    """Difference in how often the other classes are answered neutral, shape (1,)."""
    place, shares = design.labels.index(_NEUTRAL), np.array(design.shares)
    others = np.delete(shares, place) / (1 - shares[place])
    confusions = np.delete(true_confusions(design), place, axis=1)[:, :, place]
    return np.diff(confusions @ others)


_DRAWN = Design(bias=((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.8, 0.0)))
CHECKS = (
    Check(neutral_shift, "coverage", _DRAWN, studies, true_neutral_shift, share=1 / 3),
    Check(no_neutral_shift, "error", Design(), studies, share=1 / 3),
)
