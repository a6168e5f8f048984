"""Simulated studies of known truth: speakers who differ, unbalanced classes, paired conditions.

The model answers with the class of the highest utility. Utilities are logits of a multinomial
model, so every effect below is on the log-odds:

    utility of class k = strength of the condition, if k is true
                       + bias of the condition towards k
                       + ability of the speaker, if k is true       (one for all conditions)
                       + ability of the speaker under the condition, if k is true
                       + leaning of the speaker towards k            (one for all conditions)
                       + leaning of the speaker towards k under the condition
                       + ease of the utterance, if k is true         (one for all conditions)
                       + Gumbel noise

Conditions of the same strength and bias are exchangeable: every hypothesis of no difference
between them is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import log_softmax, logit
from speakers import Speakers, independent, spoken

from sercue.statistics.speakers import SpeakerCounts


@dataclass(frozen=True, kw_only=True)
class Design(Speakers):
    """What is simulated: speakers, and how well the model answers about them.

    Attributes:
        strength: of each condition, on the log-odds of the right class
        bias: of each condition towards each class; none by default
        ability, ability_condition, leaning, leaning_condition, ease: standard deviations of the
            random effects
    """

    strength: tuple[float, ...] = (1.0, 1.0)
    bias: tuple[tuple[float, ...], ...] = ()
    ability: float = 0.5
    ability_condition: float = 0.4
    leaning: float = 0.3
    leaning_condition: float = 0.2
    ease: float = 1.0


@dataclass(frozen=True)
class Study:
    """One simulated study, speakers and classes as numbers.

    Attributes:
        speaker: of each utterance, shape (utterances,)
        truth: class of each utterance, shape (utterances,)
        utility: of each class, shape (conditions, utterances, classes)
        design: what it was drawn from
    """

    speaker: np.ndarray
    truth: np.ndarray
    utility: np.ndarray
    design: Design

    @cached_property
    def prediction(self) -> np.ndarray:
        """Class answered, shape (conditions, utterances)."""
        return self.utility.argmax(axis=2)

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right, shape (conditions, utterances)."""
        return self.prediction == self.truth

    def by_speaker(self, values: np.ndarray) -> np.ndarray:
        """Sums over the utterances of each speaker, shape (..., speakers)."""
        # Utterances are sorted by speaker, and each speaker has some.
        starts = np.searchsorted(self.speaker, np.arange(self.design.speakers))
        return np.add.reduceat(np.asarray(values, dtype=float), starts, axis=-1)

    def log_p_sums(self) -> np.ndarray:
        """Log-probability of the true class, summed as answers are counted.

        Returns:
            shape (conditions, speakers, classes)
        """
        said = log_softmax(self.utility, axis=2)[:, np.arange(len(self.truth)), self.truth]
        classes = np.arange(len(self.design.labels))[:, None]
        of_class = np.where(self.truth == classes, said[:, None], 0.0)
        return self.by_speaker(of_class).swapaxes(1, 2)

    def counted(self, conditions: tuple[str, ...] = ("none", "aligned")) -> SpeakerCounts:
        """What ``speaker_counts`` makes of the predictions, without going through a table."""
        classes, speakers = len(self.design.labels), self.design.speakers
        shape = (len(self.prediction), speakers, classes, classes + 1)
        number = np.arange(len(self.prediction))[:, None]
        cell = np.ravel_multi_index(
            np.broadcast_arrays(number, self.speaker, self.truth, self.prediction), shape
        )
        counts = np.bincount(cell.ravel(), minlength=int(np.prod(shape))).reshape(shape)
        names, all_of_them = [str(n) for n in range(speakers)], np.zeros(1)
        asked = dict.fromkeys(conditions, all_of_them)
        return SpeakerCounts(
            counts.astype(float), list(conditions), names, list(self.design.labels), asked
        )

    def predictions(self, conditions: tuple[str, ...] = ("none", "aligned")) -> pd.DataFrame:
        """The study as ``run_study`` would return it, conditions named in order."""
        labels = np.array(self.design.labels, dtype=object)
        who = pd.DataFrame(
            {
                "utterance": [f"u{number}" for number in range(len(self.truth))],
                "speaker": [f"s{number:02d}" for number in self.speaker],
                "truth": labels[self.truth],
            }
        )
        parts = [
            who.assign(condition=name, replicate=0, template="plain", label_order=0,
                       decoding="score", prediction=labels[answers], valid=True)
            for name, answers in zip(conditions, self.prediction, strict=True)
        ]  # fmt: skip
        return pd.concat(parts, ignore_index=True)


def simulate(design: Design, seed: int = 0) -> Study:
    """One study drawn from the design; each class occurs at least once."""
    return _draw_whole(design, np.random.default_rng(seed))


def studies(design: Design, number: int, seed: int = 0) -> Iterator[Study]:
    """Independent studies of one design, each with a seed of its own."""
    return independent(partial(_draw_whole, design), number, seed)


def true_confusions(design: Design, draws: int = 200_000, seed: int = 0) -> np.ndarray:
    """Shares of answers to each class over infinitely many speakers, by plain Monte Carlo.

    Each draw is a speaker of one utterance. Sizes of speakers are independent of their effects,
    so that this is the limit of the pooled shares.

    Returns:
        array of shape (conditions, true classes, answered classes)
    """
    classes = len(design.labels)
    shares = []
    for true in range(classes):
        utility = _crowd_utility(design, draws, true, seed)
        shares.append([np.bincount(row, minlength=classes) / draws for row in utility.argmax(2)])
    return np.array(shares).swapaxes(0, 1)


def true_uar(design: Design, draws: int = 200_000) -> np.ndarray:
    """UAR of each condition over infinitely many speakers, shape (conditions,)."""
    return np.trace(true_confusions(design, draws), axis1=1, axis2=2) / len(design.labels)


def true_log_p(design: Design, draws: int = 200_000, seed: int = 0) -> np.ndarray:
    """Log-probability of the true class, mean over each class and then over the classes, in nats.

    Returns:
        shape (conditions,), over infinitely many speakers
    """
    found = [
        log_softmax(_crowd_utility(design, draws, true, seed), axis=2)[:, :, true].mean(axis=1)
        for true in range(len(design.labels))
    ]
    return np.mean(found, axis=0)


def true_log_odds(design: Design) -> np.ndarray:
    """Log-odds of a right answer under each condition, over all utterances of all speakers."""
    recall = np.diagonal(true_confusions(design), axis1=1, axis2=2)
    return logit(recall @ np.array(design.shares))


def true_entropy(design: Design) -> np.ndarray:
    """Normalised entropy of the answers of each condition, shape (conditions,)."""
    return stats.entropy(_true_answers(design), axis=1) / np.log(len(design.labels))


def true_commonest_share(design: Design) -> np.ndarray:
    """Share of the class answered most often under each condition, shape (conditions,)."""
    return _true_answers(design).max(axis=1)


def _true_answers(design: Design) -> np.ndarray:
    return np.einsum("k,ckl->cl", np.array(design.shares), true_confusions(design))


def _draw_whole(design: Design, generator: np.random.Generator) -> Study:
    while True:
        speaker, truth = spoken(design, generator)
        utility = _utility(design, speaker, truth, generator)
        if len(np.unique(truth)) == len(design.labels):
            return Study(speaker, truth, utility, design)


def _crowd_utility(design: Design, draws: int, true: int, seed: int) -> np.ndarray:
    """Of very many speakers with one utterance each, all of one class."""
    crowd, generator = design.with_(speakers=draws), np.random.default_rng([seed, true])
    return _utility(crowd, np.arange(draws), np.full(draws, true), generator)


def _utility(
    design: Design, speaker: np.ndarray, truth: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    conditions, classes, speakers = len(design.strength), len(design.labels), design.speakers
    normal = generator.standard_normal
    right = np.array(design.strength)[:, None] + design.ability * normal(speakers)
    right = right + design.ability_condition * normal((conditions, speakers))
    lean = design.leaning * normal((speakers, classes))
    lean = lean + design.leaning_condition * normal((conditions, speakers, classes))
    if design.bias:
        lean = lean + np.array(design.bias)[:, None, :]
    utility = lean[:, speaker] + generator.gumbel(size=(conditions, len(truth), classes))
    own = np.arange(len(truth))
    utility[:, own, truth] += right[:, speaker] + design.ease * normal(len(truth))
    return utility
