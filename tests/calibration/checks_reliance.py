"""Coverage: the weights of audio and tokens, and the share of the tokens."""

from __future__ import annotations

import numpy as np
from checks import Check, Outcomes, holds
from simulate_choices import (
    ChoiceDesign,
    Choices,
    WordDesign,
    choices,
    true_weights,
    true_word_weights,
    worded,
)
from speakers import LABELS

from sercue.statistics.reliance import (
    RESPONSES,
    ChoiceFit,
    Evidence,
    fit_choices,
    fit_evidence,
    share_interval,
    t_quantile,
)


def reliance(study: Choices, truth: np.ndarray) -> Outcomes:
    """Intervals of both weights and the share, from answers and from probabilities."""
    found: Outcomes = {}
    for response, weights in zip(RESPONSES, truth, strict=True):
        fit = fit_choices(study.evidence, study.answered(response), study.speaker)
        found |= _held(fit, weights, f"reliance by {response}")
    return found


def classified(study: Evidence, truth: np.ndarray) -> Outcomes:
    """The same where a classifier of few training speakers says what the tokens tell."""
    found: Outcomes = {}
    for response, weights in zip(RESPONSES, truth, strict=True):
        fit = fit_evidence(study, LABELS, response=response)
        found |= _held(fit, weights, f"reliance by {response}, tokens classified")
    return found


def blind_reliance(study: Evidence, truth: np.ndarray) -> Outcomes:
    """Whether the weight of the tokens is said to differ from 0, and the share from 0."""
    found: Outcomes = {}
    for response in RESPONSES:
        fit = fit_evidence(study, LABELS, response=response)
        held = _held(fit, np.array([1.0, 0.0]), f"reliance by {response}, block without content")
        found |= {name: 1 - held[name] for name in held if "audio" not in name}
    return found


def _held(fit: ChoiceFit, weights: np.ndarray, name: str) -> Outcomes:
    half = t_quantile(fit.df, 0.95) * np.sqrt(np.diag(fit.covariance))
    ends = [
        *zip(fit.weights - half, fit.weights + half, strict=True), share_interval(fit, 0.95)[1:]
    ]  # fmt: skip
    true = [*weights, weights[1] / weights.sum()]
    return {
        f"{name}: {part}": holds(least, most, value)
        for part, (least, most), value in zip(
            ("w_audio", "w_cue", "share"), ends, true, strict=True
        )
    }


def _true(design: ChoiceDesign) -> np.ndarray:
    return np.stack([true_weights(design, response) for response in RESPONSES])


def _true_of_words(design: WordDesign) -> np.ndarray:
    return np.stack([true_word_weights(design, response) for response in RESPONSES])


_BLIND = WordDesign(utterances=20, weights=(1.0, 0.0), spread=(0.4, 0.0))
CHECKS = (
    Check(reliance, "coverage", ChoiceDesign(utterances=20), choices, _true),
    Check(classified, "coverage", WordDesign(utterances=20), worded, _true_of_words, share=0.04),
    Check(blind_reliance, "error", _BLIND, worded, share=0.04),
)
