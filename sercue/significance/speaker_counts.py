"""Confusions of each speaker under each condition: what intervals and tests are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.measures import check_predictions, confusion_counts
from sercue.significance.cluster_variance import Clustered, recall_estimates


@dataclass(frozen=True)
class SpeakerCounts:
    """Confusions by condition and speaker, in which an utterance counts 1.

    An utterance that was asked about in several templates, label orders or replicates shares its 1
    among these rows: they are one draw, not several.

    Attributes:
        counts: shape (conditions, speakers, labels, labels + 1): the true class, then the
            predicted one, the last column being invalid answers
        conditions: names, in order of first appearance
        speakers: names, sorted
        labels: the classes
        utterances: numbers of the utterances of each condition, sorted
    """

    counts: np.ndarray
    conditions: list[str]
    speakers: list[str]
    labels: list[str]
    utterances: dict[str, np.ndarray]

    @cached_property
    def hits(self) -> np.ndarray:
        """Right answers, shape (conditions, speakers, labels)."""
        return np.diagonal(self.counts[..., :-1], axis1=2, axis2=3)

    @cached_property
    def totals(self) -> np.ndarray:
        """Utterances, shape (conditions, speakers, labels)."""
        return self.counts.sum(axis=-1)

    @cached_property
    def uar(self) -> Clustered:
        """UAR of each condition, with its error over speakers."""
        return recall_estimates(self.hits, self.totals)

    @cached_property
    def accuracy(self) -> Clustered:
        """Accuracy of each condition, with its error over speakers."""
        hits, totals = (part.sum(axis=2, keepdims=True) for part in (self.hits, self.totals))
        return recall_estimates(hits, totals)

    def share_of_recall(self) -> np.ndarray:
        """What each speaker adds to the UAR of each condition, shape (conditions, speakers).

        The sum over speakers is the UAR.
        """
        pooled = self.totals.sum(axis=1, keepdims=True)
        shares = np.divide(self.hits, pooled, out=np.zeros(self.hits.shape), where=pooled > 0)
        return shares.sum(axis=2) / (pooled > 0).sum(axis=2)

    def place(self, condition: str) -> int:
        """Where a condition stands.

        Raises:
            InputError: if there is no such condition
        """
        if condition not in self.conditions:
            raise unknown("condition", condition, self.conditions)
        return self.conditions.index(condition)

    def contrast_weights(self, contrasts: Sequence[tuple[str, str]]) -> np.ndarray:
        """Weights of conditions that make the differences, shape (contrasts, conditions).

        Raises:
            InputError: if a condition is unknown or compared with itself, or two conditions of a
                contrast do not have the same utterances
        """
        weights = np.zeros((len(contrasts), len(self.conditions)))
        for row, (condition, reference) in enumerate(contrasts):
            if condition == reference:
                raise InputError(f"contrast: found {condition!r} twice, valid are two conditions")
            weights[row, self.place(condition)] += 1
            weights[row, self.place(reference)] -= 1
            self.check_paired([condition, reference])
        return weights

    def check_paired(self, conditions: Iterable[str]) -> None:
        """Refuse conditions that were not asked about the same utterances.

        Raises:
            InputError: naming the first two that differ
        """
        first, *others = conditions
        for other in others:
            differing = np.setxor1d(self.utterances[first], self.utterances[other])
            if len(differing):
                raise InputError(
                    f"contrast {first!r} against {other!r}: found {len(differing)} utterances "
                    "under one of the two only; valid are the same utterances under both"
                )


def speaker_counts(predictions: pd.DataFrame, labels: Sequence[str]) -> SpeakerCounts:
    """Count the confusions of each speaker under each condition.

    Args:
        predictions: predictions as ``run_study`` or ``baselines`` returns them. Within a condition
            each utterance has equally many rows.
        labels: the classes

    Returns:
        the counts

    Raises:
        InputError: if there are fewer than two speakers, a column is missing, or a class is not
            among ``labels``

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> counted = speaker_counts(example_predictions(), LABELS)
        >>> counted.uar.estimate.round(3), counted.totals.sum(axis=(1, 2))
        (array([0.417, 0.708]), array([24., 24.]))
    """
    check_predictions(predictions)
    number = predictions["speaker"].nunique()
    if number < 2:
        raise InputError(f"speakers: found {number}, inference over speakers needs two")
    counts, conditions, speakers = confusion_counts(predictions, labels)
    utterance, _ = pd.factorize(predictions["utterance"])
    condition = predictions["condition"]
    spoken = {name: np.unique(utterance[(condition == name).to_numpy()]) for name in conditions}
    utterances = np.array([len(spoken[name]) for name in conditions])
    weight = utterances / counts.sum(axis=(1, 2, 3))
    weighted = counts * weight[:, None, None, None]
    return SpeakerCounts(weighted, conditions, speakers, list(labels), spoken)
