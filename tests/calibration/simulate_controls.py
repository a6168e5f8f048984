"""Simulated control models: one ignores every word of its tokens, one learns nothing new from them.

Audio and tokens are evidence of each class, in log-odds. The utility of class k is

    (1 - w) x evidence of the utterance's own audio
  + w       x evidence of the tokens that the condition shows
  + lean of the audio alone towards k, which any token block takes away
  + ability of the speaker under the condition, if k is true
  + leaning of the speaker towards k under the condition
  + Gumbel noise

with w the weight of the tokens times the share of the concepts that the block shows. Evidence is

    strength + ability of the speaker + ease of the utterance, if k is true
  + leaning of the speaker towards k
  + normal noise of the utterance

What any condition does is therefore known. Where w is 0, the model is *content-blind*: all blocks
are the same to it, and only ``none`` differs from them. Where the evidence of tokens is that of the
audio they come from, they are *redundant*: own tokens change nothing, those of another utterance
can harm, and those of another utterance of the same class help more than own ones, since they bring
a second, independent piece of evidence of that class. A model that is *grounded* hears something in
the tokens that the audio lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from simulate import Study
from speakers import Speakers, independent, spoken

from sercue.tokens.condition import told_by_name
from sercue.tokens.schemes import read_scheme

CONCEPTS = tuple(read_scheme().names)
#: Under these the block, if there is one, tells nothing about the utterance.
_SILENT = ("none", "masked", "constant")


@dataclass(frozen=True, kw_only=True)
class ControlDesign(Speakers):
    """What is simulated: speakers, and what the model makes of audio and tokens.

    Attributes:
        conditions: names of conditions of the package
        weight: of the tokens, where all concepts are shown; 0 for a model that ignores them
        redundant: whether tokens carry the evidence of the audio they come from, or one as strong
            that is new
        lean: of the audio alone towards each class; none by default
        sampled: whether answers vary by chance from condition to condition; else equal evidence
            gives equal answers
        strength: of the evidence, on the log-odds of the true class
        ability, ability_condition, leaning, leaning_condition, ease: standard deviations of the
            random effects, as in ``simulate.Design``
        noise: standard deviation of the evidence of an utterance
    """

    conditions: tuple[str, ...] = ("none", "masked(1)", "aligned", "shuffled")
    weight: float = 0.0
    redundant: bool = False
    lean: tuple[float, ...] = ()
    sampled: bool = True
    strength: float = 2.5
    ability: float = 0.5
    ability_condition: float = 0.4
    leaning: float = 0.3
    leaning_condition: float = 0.2
    ease: float = 1.0
    noise: float = 2.0


# The audio alone is heard as the third class, neutral, too often.
CONTENT_BLIND = ControlDesign(lean=(0.0, 0.0, 5.0, 0.0))
REDUNDANT = ControlDesign(weight=0.5, redundant=True)
GROUNDED = ControlDesign(weight=0.5)


def control_studies(design: ControlDesign, number: int, seed: int = 0) -> Iterator[Study]:
    """Independent studies of one design, each with a seed of its own."""
    return independent(partial(_draw_whole, design), number, seed)


def control_uar(design: ControlDesign, speakers: int = 150_000) -> np.ndarray:
    """UAR of each condition over infinitely many speakers: that of very many, shape (conditions,).

    Sizes of speakers are independent of their effects, so that few utterances of each will do.
    """
    crowd = design.with_(speakers=speakers, utterances=2, size_spread=0.0)
    return pooled_uar(_draw_whole(crowd, np.random.default_rng(0)))


def pooled_uar(study: Study) -> np.ndarray:
    """UAR of each condition over all utterances, shape (conditions,)."""
    classes = range(len(study.design.labels))
    return np.mean([study.right[:, study.truth == k].mean(axis=1) for k in classes], axis=0)


def _draw_whole(design: ControlDesign, generator: np.random.Generator) -> Study:
    while True:
        speaker, truth = spoken(design, generator)
        if len(np.unique(truth)) == len(design.labels):
            return Study(speaker, truth, _utility(design, speaker, truth, generator), design)


def _utility(
    design: ControlDesign, speaker: np.ndarray, truth: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    normal, classes, own = generator.standard_normal, len(design.labels), np.arange(len(truth))
    ability = design.strength + design.ability * normal(design.speakers)
    ease, leaning = design.ease * normal(len(truth)), normal((design.speakers, classes))

    def evidence() -> np.ndarray:
        heard = design.noise * normal((len(truth), classes)) + design.leaning * leaning[speaker]
        heard[own, truth] += ability[speaker] + ease
        return heard

    audio = evidence()
    tokens = audio if design.redundant or not design.weight else evidence()
    utility = _chance(design, speaker, truth, generator)
    for number, condition in enumerate(design.conditions):
        shown, told = _shown(condition, tokens, truth, generator)
        weight = design.weight * shown
        utility[number] += audio if not weight else (1 - weight) * audio + weight * told
        if condition == "none" and design.lean:
            utility[number] += design.lean
    return utility


def _chance(
    design: ControlDesign, speaker: np.ndarray, truth: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """What differs between conditions by chance, shape (conditions, utterances, classes)."""
    normal, number = generator.standard_normal, len(design.conditions)
    shape = (number if design.sampled else 1, design.speakers, len(design.labels))
    ability = design.ability_condition * normal(shape[:2])
    made = (design.leaning_condition * normal(shape))[:, speaker]
    made += generator.gumbel(size=made.shape)
    made[:, np.arange(len(truth)), truth] += ability[:, speaker]
    return made if design.sampled else np.repeat(made, number, axis=0)


def _shown(
    condition: str, tokens: np.ndarray, truth: np.ndarray, generator: np.random.Generator
) -> tuple[float, np.ndarray]:
    """Share of the concepts that a condition shows, and the evidence of what it shows."""
    family, dose, concepts = told_by_name(condition)
    part, own = len(concepts) / len(CONCEPTS), np.arange(len(truth))
    if family in _SILENT:
        return (0.0 if np.isnan(dose) else 1.0 - dose), tokens
    if family in ("only", "without"):
        return (part if family == "only" else 1 - part), tokens
    if family in ("conflicting", "flip"):
        return 1.0, tokens * (-1 if family == "conflicting" else 1 - 2 * part)
    if family == "shuffled_within_class":
        other = own.copy()
        for k in np.unique(truth):
            other[truth == k] = generator.permutation(own[truth == k])
        return 1.0, tokens[other]
    exchanged = {"aligned": 0.0, "shuffled": 1.0, "corrupted": dose}[family]
    other = np.where(generator.random(len(truth)) < exchanged, generator.permutation(own), own)
    return 1.0, tokens[other]
