"""Claims of a whole study: its planned contrasts in two steps, equivalence, unbalanced speakers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from checks import LEVEL, Check, Outcomes, rejected
from simulate import Design, Study, studies, true_uar

from sercue.settings import Settings
from sercue.statistics.contrasts import (
    PRIMARY,
    corrected_p,
    flips_decide,
    is_primary,
    planned_contrasts,
)
from sercue.statistics.equivalence import equivalence_p
from sercue.statistics.resampling import sign_flip_p
from sercue.statistics.speakers import SpeakerCounts

#: The conditions of a study that names none.
PLANNED = tuple(Settings().conditions)
CONTRASTS = planned_contrasts(PLANNED)
# Patterns of signs drawn within each simulated study: the strictest step needs p-values of .003.
_DRAWS = 1999
_NINE = ("aligned", *(f"wrong {number}" for number in range(9)))


def decided(
    counted: SpeakerCounts, contrasts: Sequence[tuple[str, str]], resamples: int = _DRAWS
) -> dict[str, np.ndarray]:
    """The p-values of contrasts by the t test, by flips, and what decides, as ``compare`` has them.

    Returns:
        ``t``, ``flips``, ``p`` (of whichever decides) and ``holm_p`` to one value per contrast
    """
    weights = counted.contrast_weights(contrasts)
    by_t = counted.uar.combine(weights).p_value()
    flipped = sign_flip_p((weights @ counted.share_of_recall()).T, resamples=resamples)
    others = ~is_primary(contrasts)
    together = np.where(others, others.sum(), 1)
    flips = flips_decide(together, len(counted.speakers), resamples)
    p = np.where(flips, flipped, by_t)
    return {"t": by_t, "flips": flipped, "p": p, "holm_p": corrected_p(contrasts, p)}


def family(study: Study, truth: np.ndarray) -> Outcomes:
    """The planned contrasts where no condition differs from another."""
    p = decided(study.counted(PLANNED), CONTRASTS)["holm_p"]
    place = CONTRASTS.index(PRIMARY)
    return {
        "planned contrasts: the primary one": rejected(p[place]),
        _ANY_OTHER: any_rejected(np.delete(p, place)),
    }


def equal(study: Study, truth: np.ndarray) -> Outcomes:
    """Nine conditions that differ from one by the margin: calling any of them equal is an error."""
    counted, pairs = study.counted(_NINE), [(name, "aligned") for name in _NINE[1:]]
    found = counted.uar.combine(counted.contrast_weights(pairs))
    p = equivalence_p(found, abs(truth[1] - truth[0]))
    tests = {"Holm": corrected_p(pairs, p), "uncorrected": p}
    return {
        f"nine contrasts on the margin: any called equivalent, {name}": any_rejected(values)
        for name, values in tests.items()
    }


def one_half(study: Study, truth: np.ndarray) -> Outcomes:
    """One speaker has half of the data, and nothing differs."""
    return _single(study, "one speaker has half of the data", at_strictest=False)


def three(study: Study, truth: np.ndarray) -> Outcomes:
    """One class has three utterances, and nothing differs."""
    return _single(study, "a class of three utterances", at_strictest=False)


def power_one_half(study: Study, truth: np.ndarray) -> Outcomes:
    """One speaker has half of the data: how often a difference is found."""
    return _single(study, "one speaker has half of the data", at_strictest=True)


def power_three(study: Study, truth: np.ndarray) -> Outcomes:
    """One class has three utterances: how often a difference is found."""
    return _single(study, "a class of three utterances", at_strictest=True)


def _single(study: Study, which: str, *, at_strictest: bool) -> Outcomes:
    """One contrast among as many as are planned, by either test and by the one that decides."""
    number = len(CONTRASTS) - 1
    found = decided(study.counted(("aligned", "shuffled")), number * [("shuffled", "aligned")])
    outcomes: Outcomes = {}
    for key, name in (("t", "t over speakers"), ("flips", "sign flips"), ("p", "what decides")):
        p = found[key][0]
        outcomes[f"{which}: {name}"] = rejected(p)
        if at_strictest:
            outcomes[f"{which}: {name}, strictest step of {number}"] = p <= LEVEL / number
    return outcomes


def any_rejected(p: np.ndarray) -> float:
    """Whether any test of a family rejects."""
    return float(rejected(p).any())


_ANY_OTHER = "planned contrasts: any other, Holm"
_SAME = Design(strength=(1.0,) * len(PLANNED))
_MARGIN = Design(strength=(2.5, *(1.0,) * 9))
_PAIR, _APART = Design(strength=(1.0, 1.0)), Design(strength=(1.6, 0.8))
CHECKS = (
    Check(family, "error", _SAME, studies, goals={_ANY_OTHER: "family"}),
    Check(equal, "family", _MARGIN, studies, true_uar),
    Check(one_half, "error", _PAIR.with_(largest=0.5), studies),
    Check(three, "error", _PAIR.with_(rarest=3), studies),
    Check(power_one_half, "power", _APART.with_(largest=0.5), studies, share=0.5),
    Check(power_three, "power", _APART.with_(rarest=3), studies, share=0.5),
)
