"""Coverage: the weights of audio and tokens, and the share of the tokens."""

from __future__ import annotations

import numpy as np
from checks import Check, Outcomes, holds
from simulate_choices import ChoiceDesign, Choices, choices, true_weights

from sercue.statistics.reliance import RESPONSES, fit_choices, share_interval, t_quantile


def reliance(study: Choices, truth: np.ndarray) -> Outcomes:
    """Intervals of both weights and the share, from answers and from probabilities."""
    found: Outcomes = {}
    for response, weights in zip(RESPONSES, truth, strict=True):
        fit = fit_choices(study.evidence, study.answered(response), study.speaker)
        half = t_quantile(fit.df, 0.95) * np.sqrt(np.diag(fit.covariance))
        _, low, high = share_interval(fit, 0.95)
        ends = [*zip(fit.weights - half, fit.weights + half, strict=True), (low, high)]
        true = [*weights, weights[1] / weights.sum()]
        for name, (least, most), value in zip(
            ("w_audio", "w_cue", "share"), ends, true, strict=True
        ):
            found[f"reliance by {response}: {name}"] = holds(least, most, value)
    return found


def _true(design: ChoiceDesign) -> np.ndarray:
    return np.stack([true_weights(design, response) for response in RESPONSES])


CHECKS = (Check(reliance, "coverage", ChoiceDesign(utterances=20), choices, _true),)
