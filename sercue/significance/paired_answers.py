"""One answer for each utterance and condition, side by side: what tests of single answers use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercue.errors import InputError, unknown

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
        >>> from sercue.measures import example_predictions
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
        >>> from sercue.measures import example_predictions
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
