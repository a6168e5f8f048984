"""The control models: what they do not do is not found, what they do is covered."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from checks import Check, Outcomes, holds, rejected
from checks_family import CONTRASTS, PLANNED, any_rejected, decided
from simulate import Study
from simulate_controls import CONCEPTS, CONTENT_BLIND, REDUNDANT, control_studies, control_uar
from statsmodels.stats.multitest import multipletests

from sercue.statistics.attribution import shapley_weights

_SUBSETS = [
    f"only({' + '.join(subset)})"
    for size in range(1, len(CONCEPTS))
    for subset in combinations(CONCEPTS, size)
]
#: In the order of ``shapley_weights``: by size, then by the order of the concepts.
SHOWN = ("masked(1)", *_SUBSETS, "aligned")
#: Weights of the conditions in the Shapley value of each concept, and in its effect alone.
OF_CONCEPTS = np.array([*shapley_weights(len(CONCEPTS)).values()]).T
ALONE = np.eye(len(CONCEPTS), len(SHOWN), k=1) - np.eye(1, len(SHOWN))


def presence(study: Study, truth: np.ndarray) -> Outcomes:
    """What a block does that says nothing, to a model that reacts to nothing else."""
    found = study.counted(study.design.conditions).uar.combine([[-1, 1]])
    (low,), (high,) = found.interval()
    held = holds(low, high, truth[1] - truth[0])
    return {"content-blind model, presence of a block: t over speakers": held}


def content_blind(study: Study, truth: np.ndarray) -> Outcomes:
    """Differences between blocks, to a model that ignores every word of them."""
    found = decided(study.counted(PLANNED), CONTRASTS)
    blocks = np.array(["none" not in pair for pair in CONTRASTS])
    return {
        "content-blind model: masked(1) − aligned": _one(found["p"], "masked(1)", "aligned"),
        "content-blind model: shuffled − aligned": _one(found["p"], "shuffled", "aligned"),
        _ANY_BLOCKS: any_rejected(found["holm_p"][blocks]),
    }


def concepts_ignored(study: Study, truth: np.ndarray) -> Outcomes:
    """Shapley values and single concepts, where no word is heeded."""
    worth = study.counted(SHOWN).uar
    p = worth.combine(OF_CONCEPTS).p_value()
    alone = worth.combine(ALONE).p_value()
    return {
        f"content-blind model: Shapley value of {CONCEPTS[0]}": rejected(p[0]),
        f"content-blind model: only({CONCEPTS[0]}) − masked(1)": rejected(alone[0]),
        _ANY_SHAPLEY: any_rejected(multipletests(p, method="holm")[1]),
        _ANY_ALONE: any_rejected(multipletests(alone, method="holm")[1]),
    }


def redundant(study: Study, truth: np.ndarray) -> Outcomes:
    """What tokens add to a model whose audio already tells all that they tell."""
    p = decided(study.counted(PLANNED), CONTRASTS)["p"]
    return {
        "redundant model: masked(1) − none": _one(p, "masked(1)", "none"),
        "redundant model: aligned − none": _one(p, "aligned", "none"),
        "redundant model: masked(1) − aligned": _one(p, "masked(1)", "aligned"),
    }


def _one(p: np.ndarray, condition: str, reference: str) -> np.ndarray:
    return rejected(p[CONTRASTS.index((condition, reference))])


_ANY_BLOCKS = "content-blind model: any planned contrast of two blocks, Holm"
_ANY_SHAPLEY = f"content-blind model: any of {len(CONCEPTS)} Shapley values, Holm"
_ANY_ALONE = f"content-blind model: any of {len(CONCEPTS)} concepts alone, Holm"
_PLAN = {"conditions": PLANNED}
CHECKS = (
    Check(
        presence, "coverage", CONTENT_BLIND.with_(conditions=("none", "masked(1)")),
        control_studies, control_uar,
    ),
    Check(
        content_blind, "error", CONTENT_BLIND.with_(**_PLAN), control_studies,
        goals={_ANY_BLOCKS: "family"},
    ),
    Check(
        concepts_ignored, "error", CONTENT_BLIND.with_(conditions=SHOWN),
        control_studies, share=0.5, goals={_ANY_SHAPLEY: "family", _ANY_ALONE: "family"},
    ),
    Check(redundant, "error", REDUNDANT.with_(**_PLAN), control_studies),
)  # fmt: skip
