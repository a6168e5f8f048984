"""Type-I error: tests of whether a feature differs between emotions."""

from __future__ import annotations

import numpy as np
from checks import Check, Outcomes, rejected
from simulate_features import FEATURES, FeatureDesign, Features, features

from sercue.statistics.effects import emotion_effects, pairwise_effects

# Draws of the permutation test within each simulated corpus.
_DRAWS = 399
# Of the emotions the rarest, which some speakers lack.
_RARE = "happy"


def emotions(study: Features, truth: np.ndarray) -> Outcomes:
    """Each feature is a test of its own."""
    whole = emotion_effects(study.values, study.corpus, resamples=_DRAWS)
    pairs = pairwise_effects(study.values, study.corpus)
    rare = pairs[pairs["emotion"] == _RARE]
    return {
        "feature differs between emotions: means permuted in speakers": rejected(whole["p"]),
        "feature of one emotion against neutral: paired t over speakers": rejected(rare["p"]),
    }


CHECKS = (Check(emotions, "error", FeatureDesign(), features, share=1.5 / FEATURES),)
