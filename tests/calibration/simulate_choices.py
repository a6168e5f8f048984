"""Simulated answers of a model that weighs audio against tokens, each speaker a little otherwise.

The score of label k, for an utterance under a condition, is

    weight of audio, of the speaker  x log p(k | audio)      (one for all conditions)
  + weight of tokens, of the speaker x log p(k | tokens)
  + leaning of the speaker towards k                         (one for all conditions)
  + leaning of the speaker towards k under the condition
  + Gumbel noise

Its softmax is what the model gives as probability, its maximum what it answers. The conditional
logit that is fitted knows one weight for all speakers and no leaning but that of all: it is an
approximation here, as it is of any real model.

``WordDesign`` leaves what the tokens say to be learnt: training speakers and speakers who are
tested say words, the model weighs what a classifier of very many speakers makes of them, and the
study has a classifier of its few training speakers alone. Any block of tokens makes one label more
probable, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import audformat
import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax
from sklearn.pipeline import Pipeline
from speakers import Speakers, independent, spoken

from sercue.corpora.corpus import Corpus
from sercue.statistics.baselines import fit_token_classifier
from sercue.statistics.reliance import Evidence, fit_choices, fit_evidence, label_evidence

CONCEPTS = ("energy", "pitch", "dynamics", "brightness")
WORDS = np.array(["low", "mid", "high"], dtype=object)


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


@dataclass(frozen=True, kw_only=True)
class WordDesign(ChoiceDesign):
    """What is simulated where words are shown and a classifier says what they tell.

    Attributes:
        habit: standard deviation over speakers of the log-odds of each word
        favour: by how much a block of tokens favours the third label, in nats
    """

    telling: float = 0.7
    habit: float = 0.3
    favour: float = 1.5


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
    drawn = _crowd(design.with_(speakers=speakers, utterances=3, size_spread=0.0))
    return fit_choices(drawn.evidence, drawn.answered(response), drawn.speaker).weights


# Each is asked for both responses.
@lru_cache(maxsize=1)
def _crowd(design: ChoiceDesign) -> Choices:
    return _draw(design, np.random.default_rng(0))


@lru_cache(maxsize=1)
def _crowd_of_words(design: WordDesign) -> Evidence:
    return _draw_words(design, np.random.default_rng(0))


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


def worded(design: WordDesign, number: int, seed: int = 0) -> Iterator[Evidence]:
    """Independent studies with as many training speakers as speakers who are tested."""
    return independent(partial(_draw_words, design), number, seed)


def true_word_weights(design: WordDesign, response: str, speakers: int = 2000) -> np.ndarray:
    """Weights over very many speakers of what a classifier of very many says, shape (2,)."""
    drawn = _crowd_of_words(design.with_(speakers=speakers, utterances=5, size_spread=0.0))
    return fit_evidence(drawn.table, design.labels, response=response).weights


def _draw_words(design: WordDesign, generator: np.random.Generator) -> Evidence:
    trained = _corpus(design, generator, "train")
    # A study that has a class in its answers alone is refused.
    while trained[0]["emotion"].nunique() < len(design.labels):
        trained = _corpus(design, generator, "train")
    tested = _corpus(design, generator, "test")
    table, words = (pd.concat(parts) for parts in zip(trained, tested, strict=True))
    limit = _limit(design.telling, design.habit, design.shares)
    own, rows = tested[1], tested[0]
    code = pd.factorize(rows["speaker"])[0]
    audio = _heard(design, code, rows["emotion"].map(design.labels.index).to_numpy(), generator)
    level = own.replace(dict(zip(WORDS, range(3), strict=True))).to_numpy(dtype=int)
    half = np.where(
        generator.random(level.shape) < 0.5, level, generator.integers(0, 3, level.shape)
    )
    shown = {
        "none": None, "aligned": level, "shuffled": generator.permutation(level),
        "conflicting": 2 - level, "corrupted(0.5)": half,
    }  # fmt: skip
    weights = np.array(design.weights) + np.array(design.spread) * generator.normal(
        size=(design.speakers, 2)
    )
    lean = design.leaning * generator.normal(size=(design.speakers, len(design.labels)))
    utterances = [f"u{place}" for place in range(len(rows))]
    parts = []
    for name, levels in shown.items():
        score = audio
        told = pd.DataFrame(None, range(len(rows)), CONCEPTS, dtype=object)
        if levels is not None:
            told = pd.DataFrame(WORDS[levels], columns=CONCEPTS)
            said = limit.predict_log_proba(told)
            order = [list(limit.classes_).index(label) for label in design.labels]
            lean_now = design.leaning_condition * generator.normal(size=lean.shape)
            score = weights[code, :1] * audio + weights[code, 1:] * said[:, order]
            score = score + (lean + lean_now)[code] + design.favour * np.eye(len(design.labels))[2]
            score += generator.gumbel(size=score.shape)
        p = softmax(score, axis=1)
        answer = np.array(design.labels, dtype=object)[score.argmax(axis=1)]
        columns = {f"p_{label}": p[:, k] for k, label in enumerate(design.labels)}
        parts.append(
            told.add_prefix("shown_").assign(
                utterance=utterances, speaker=rows["speaker"].to_numpy(), prediction=answer,
                truth=rows["emotion"].to_numpy(), condition=name, template="plain", replicate=0,
                label_order=0, decoding="score", valid=True, **columns,
            )
        )  # fmt: skip
    corpus = Corpus("words", ".", table, design.labels, "neutral", "none")
    return label_evidence(pd.concat(parts, ignore_index=True), corpus, words)


def _corpus(
    design: WordDesign, generator: np.random.Generator, partition: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of a partition, and the words of its utterances."""
    speaker, truth = spoken(design, generator)
    profile = np.random.default_rng(5).normal(size=(len(design.labels), len(CONCEPTS), 3))
    habit = design.habit * generator.normal(size=(design.speakers, len(CONCEPTS), 3))
    odds = design.telling * profile[truth] + habit[speaker]
    level = (odds + generator.gumbel(size=odds.shape)).argmax(axis=2)
    index = audformat.segmented_index([f"{partition}{place}.wav" for place in range(len(truth))])
    rows = {
        "emotion": np.array(design.labels, dtype=object)[truth],
        "speaker": [f"{partition}{who}" for who in speaker],
        "partition": partition,
    }
    return pd.DataFrame(rows, index), pd.DataFrame(WORDS[level], index, CONCEPTS)


@lru_cache
def _limit(telling: float, habit: float, shares: tuple[float, ...]) -> Pipeline:
    """What a classifier of very many training speakers says."""
    crowd = WordDesign(
        telling=telling, habit=habit, shares=shares, speakers=1500, utterances=20, size_spread=0.0
    )
    rows, words = _corpus(crowd, np.random.default_rng(1), "train")
    corpus = Corpus("crowd", ".", rows, crowd.labels, "neutral", "none")
    return fit_token_classifier(words, corpus, complexities=[1.0])
