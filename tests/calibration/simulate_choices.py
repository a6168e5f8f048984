"""Simulated answers of a model that weighs audio against tokens, each speaker a little otherwise.

The score of label k, for an utterance under a condition, is

    weight of audio, of the speaker  x log p(k | audio)      (one for all conditions)
  + weight of tokens, of the speaker x log p(k | tokens)
  + leaning of the speaker towards k                         (one for all conditions)
  + leaning of the speaker towards k under the condition
  + Gumbel noise

Its softmax is what the model gives as probability, its maximum what it answers. The conditional
logit that is fitted knows one weight for all speakers and no leaning: it is an approximation here,
as it is of any real model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import log_softmax, softmax
from speakers import Speakers, independent, spoken

from sercue.statistics.reliance import fit_choices


@dataclass(frozen=True, kw_only=True)
class ChoiceDesign(Speakers):
    """What is simulated: speakers, and how the model weighs what they say.

    Attributes:
        weights: mean weight of audio and of tokens
        spread: standard deviation over speakers of each of the two
        leaning, leaning_condition: standard deviations of the leanings
        hearing: how much more the true class is heard in the audio than another, in nats
        quirk: standard deviation over speakers of what the audio says of each label, in nats
        telling: how much more the tokens say the class they came from than another, in nats
    """

    weights: tuple[float, float] = (1.0, 0.5)
    spread: tuple[float, float] = (0.4, 0.3)
    leaning: float = 0.3
    leaning_condition: float = 0.2
    hearing: float = 1.0
    quirk: float = 0.5
    telling: float = 1.0


@dataclass(frozen=True)
class Choices:
    """One simulated study, as ``fit_choices`` takes it.

    Attributes:
        evidence: log-probability of each label by audio and by tokens, shape (rows, labels, 2)
        score: of each label, shape (rows, labels)
        speaker: of each row, shape (rows,)
    """

    evidence: np.ndarray
    score: np.ndarray
    speaker: np.ndarray

    def answered(self, response: str) -> np.ndarray:
        """What is explained, shape (rows, labels): the answer, or the probabilities of all."""
        if response == "probability":
            return softmax(self.score, axis=1)
        return np.eye(self.score.shape[1])[self.score.argmax(axis=1)]


def choices(design: ChoiceDesign, number: int, seed: int = 0) -> Iterator[Choices]:
    """Independent studies, under aligned, shuffled, contradicting and half corrupted tokens."""
    return independent(partial(_draw, design), number, seed)


def true_weights(design: ChoiceDesign, response: str, speakers: int = 20_000) -> np.ndarray:
    """Weights over infinitely many speakers: those of one fit of very many, shape (2,).

    Sizes of speakers are independent of their effects, so that few utterances of each will do.
    """
    crowd = design.with_(speakers=speakers, utterances=3, size_spread=0.0)
    drawn = _draw(crowd, np.random.default_rng(0))
    return fit_choices(drawn.evidence, drawn.answered(response), drawn.speaker).weights


def _draw(design: ChoiceDesign, generator: np.random.Generator) -> Choices:
    speaker, truth = spoken(design, generator)
    audio, classes = _heard(design, speaker, truth, generator), len(design.labels)
    shown = _shown(design, truth, generator)
    tokens = generator.normal(scale=0.7, size=(*shown.shape, classes))
    tokens = log_softmax(tokens + design.telling * np.eye(classes)[shown], axis=2)
    own = np.array(design.weights) + np.array(design.spread) * generator.normal(
        size=(design.speakers, 2)
    )
    lean = design.leaning * generator.normal(size=(design.speakers, classes))
    lean = lean + design.leaning_condition * generator.normal(size=(len(shown), *lean.shape))
    score = own[speaker, :1] * audio + own[speaker, 1:] * tokens + lean[:, speaker]
    score += generator.gumbel(size=score.shape)
    evidence = np.stack([np.broadcast_to(audio, tokens.shape), tokens], axis=3)
    rows = len(shown) * len(truth)
    return Choices(
        evidence.reshape(rows, classes, 2),
        score.reshape(rows, classes),
        np.tile(speaker, len(shown)),
    )


def _heard(
    design: ChoiceDesign, speaker: np.ndarray, truth: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Log-probability of each label by the audio alone, shape (utterances, labels)."""
    classes = len(design.labels)
    quirk = design.quirk * generator.normal(size=(design.speakers, classes))
    heard = generator.normal(size=(len(truth), classes)) + quirk[speaker]
    return log_softmax(heard + design.hearing * np.eye(classes)[truth], axis=1)


def _shown(design: ChoiceDesign, truth: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The class that the tokens come from, shape (conditions, utterances)."""
    classes = len(design.labels)
    shuffled = generator.permutation(truth)
    other = (truth + generator.integers(1, classes, len(truth))) % classes
    half = np.where(generator.random(len(truth)) < 0.5, truth, generator.permutation(truth))
    return np.stack([truth, shuffled, other, half])
