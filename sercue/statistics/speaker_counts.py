"""What intervals and tests are computed from: each speaker's confusions and paired answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown
from sercue.statistics.cluster_variance import Clustered, recall_estimates
from sercue.statistics.measures import check_predictions, confusion_counts


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
        >>> from sercue.statistics.measures import LABELS, example_predictions
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


_CELL = ("template", "label_order", "decoding")
_ANSWERED = ("utterance", "speaker", "truth", "condition", "replicate", "prediction")


def primary_cell(predictions: pd.DataFrame) -> pd.DataFrame:
    """One prediction for each utterance and condition: the cell that tests of counts use.

    It is the first template in order of appearance, within it the first label order, decoding and
    replicate. Answers to several templates, orders or replicates about one utterance repeat each
    other; counted as if independent they would make any p-value too small. The cell is fixed by
    the plan of the study, so that none can be picked for its result.

    Args:
        predictions: predictions as ``run_study`` returns them

    Returns:
        the rows of the primary cell

    Raises:
        InputError: if the cell holds two answers of one utterance under one condition

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> first = example_predictions()
        >>> both = pd.concat([first, first.assign(template="long")], ignore_index=True)
        >>> primary_cell(both)["template"].unique().tolist()
        ['plain']
    """
    kept = np.ones(len(predictions), bool)
    for column in _CELL:
        if column in predictions:
            values = predictions[column]
            first = values[kept].min() if column == "label_order" else values.iloc[kept.argmax()]
            kept &= (values == first).to_numpy()
    if "replicate" in predictions:
        asked = predictions.loc[kept, ["condition", "replicate"]]
        least = asked.groupby("condition")["replicate"].transform("min")
        kept[kept] = (asked["replicate"] == least).to_numpy()
    rows = predictions if kept.all() else predictions[kept]
    if _times_at_most(rows["utterance"], rows["condition"]) > 1:
        twice = rows.duplicated(["utterance", "condition"])
        utterance, condition = rows.loc[twice, ["utterance", "condition"]].iloc[0]
        raise InputError(
            f"predictions: utterance {utterance!r} occurs twice under condition {condition!r} in "
            "the same template, label order, decoding and replicate; valid is one row"
        )
    return rows


def _times_at_most(first: pd.Series, second: pd.Series) -> int:
    """How often the commonest pair of values occurs; counted, since to hash all takes memory."""
    inner, outer = (column.astype("category").cat for column in (second, first))
    # A missing value has the code -1.
    number = outer.codes.to_numpy() + np.int64(1)
    number *= 1 + len(inner.categories)
    number += inner.codes.to_numpy() + 1
    return int(np.bincount(number).max(initial=0))


@dataclass(frozen=True)
class PairedAnswers:
    """The answers to the same utterances under several conditions.

    Attributes:
        answers: shape (utterances, conditions), columns named by condition; missing if invalid
        truth: true class of each utterance
        speaker: number of the speaker of each utterance, from 0
    """

    answers: pd.DataFrame
    truth: np.ndarray
    speaker: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Whether each answer is right, shape (utterances, conditions); an invalid one is not."""
        return np.asarray(self.answers.to_numpy() == self.truth[:, None], dtype=bool)

    @property
    def speakers(self) -> int:
        """Number of speakers."""
        return int(self.speaker.max()) + 1

    def by_speaker(self, values: np.ndarray) -> np.ndarray:
        """Sums over the utterances of each speaker.

        Args:
            values: shape (utterances, ...)

        Returns:
            shape (speakers, ...)
        """
        columns = values.reshape(len(values), -1).T
        sums = [np.bincount(self.speaker, column, self.speakers) for column in columns]
        return np.stack(sums, axis=1).reshape(self.speakers, *values.shape[1:])


def paired_answers(predictions: pd.DataFrame, conditions: Sequence[str]) -> PairedAnswers:
    """The answers of the primary cell under some conditions, one row an utterance.

    Args:
        predictions: predictions as ``run_study`` returns them
        conditions: names of at least two conditions

    Raises:
        InputError: if a condition is unknown, if one lacks utterances that another has, or as
            ``primary_cell`` raises it

    Examples:
        >>> from sercue.statistics.measures import example_predictions
        >>> both = paired_answers(example_predictions(), ["none", "aligned"])
        >>> both.right.sum(axis=0), both.speakers
        (array([10, 17]), 4)
    """
    needed = [name for name in (*_ANSWERED, *_CELL) if name in predictions]
    cell = primary_cell(predictions[needed])
    names = cell["condition"].unique()
    for condition in conditions:
        if condition not in names:
            raise unknown("condition", condition, names)
    chosen = cell["condition"].isin(list(conditions))
    rows = cell if chosen.all() else cell[chosen]
    who = rows.drop_duplicates("utterance")
    _check_same_utterances(rows, conditions, len(who))
    # Numbered in the order of their first appearance, as in ``who``.
    number, utterances = pd.factorize(rows["utterance"])
    table = np.empty((len(who), len(conditions)), dtype=object)
    for place, name in enumerate(conditions):
        own = (rows["condition"] == name).to_numpy()
        said = rows["prediction"][own].astype(object)
        table[number[own], place] = said.where(said.notna(), None)
    index = pd.Index(utterances, name="utterance")
    columns = pd.Index(conditions, name="condition")
    # As objects the answers are the few labels themselves; as texts each would be held anew.
    answers = pd.DataFrame(table, index=index, columns=columns, dtype=object)
    speaker = pd.factorize(who["speaker"])[0]
    return PairedAnswers(answers, who["truth"].to_numpy(object), speaker)


def _check_same_utterances(rows: pd.DataFrame, conditions: Sequence[str], expected: int) -> None:
    lacking = [name for name in conditions if (rows["condition"] == name).sum() != expected]
    if lacking:
        raise InputError(
            f"conditions {', '.join(conditions)}: found utterances in the primary cell that "
            f"{', '.join(lacking)} lacks; valid are the same utterances, templates and label "
            "orders under all"
        )
