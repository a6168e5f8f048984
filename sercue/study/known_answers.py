"""What of a plan is answered already, and what these answers amount to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercue.answers import read_answer
from sercue.storage.tables import categorical, codes_among

#: What makes two answers the same answer: the audio's content, the text, the model, how it is
#: decoded, and what was asked of the decoding: which words are scored, or how many tokens follow.
KEY = ["audio", "prompt", "model", "decoding", "options"]
#: What names a row of the predictions.
ROW = ["utterance", "condition", "replicate", "template", "label_order", "decoding"]

_FIRST = [
    "utterance", "speaker", "truth", "condition", "family", "dose", "concepts", "heard",
    "heard_class", "tokens_class", "replicate", "template", "label_order", "decoding",
    "prediction", "valid", "why_invalid", "answer",
]  # fmt: skip
#: In what a model was asked just now: why it gave no answer, null where it gave one.
NO_ANSWER = "no_answer"
_LAST = ["audio", "prompt", "model", "options"]


class KnownAnswers:
    """The answers to a plan, row by row, as they become known.

    Args:
        plan: as ``plan_study`` returns it, with the columns of ``KEY``
        label_words: label to the words that prompts show
        decoding: ``"score"`` or ``"generate"``

    Attributes:
        known: whether each row of the plan has its answer
    """

    def __init__(self, plan: pd.DataFrame, label_words: Mapping[str, str], decoding: str) -> None:
        self.plan, self._words, self._scored = plan, dict(label_words), decoding == "score"
        self.known = np.zeros(len(plan), bool)
        self._values = {name: np.full(len(plan), np.nan) for name in self.value_columns}
        self._texts = np.full(0 if self._scored else len(plan), None, dtype=object)
        self._reasons: list[str] = []
        self._reason = np.full(len(plan), -1, np.int16)
        self._categories = {name: plan[name].cat.categories for name in KEY}
        different = math.prod(map(len, self._categories.values()))
        self._key_type = np.int32 if different < 2**31 else np.int64
        keys = self._keys(plan)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._sorted = keys[self._order]

    @property
    def value_columns(self) -> list[str]:
        """The probability of each label, and the mass that all of them have."""
        return [*(f"p_{label}" for label in self._words), "label_mass"] if self._scored else []

    @property
    def columns(self) -> list[str]:
        """What an answer has: its key, then values or text."""
        return [*KEY, *(self.value_columns or ["answer"])]

    def add(self, answers: pd.DataFrame) -> None:
        """Take answers, of this plan or not, with the columns of ``columns``.

        Each serves all rows that ask the same. One without its values is no answer, unless it says
        with ``NO_ANSWER`` why there is none: the rows are then known to have none. What is stored
        does not say so, and is asked again.
        """
        if not set(self.columns) <= set(answers):
            return
        keys = self._keys(answers)
        told = answers[self.columns[len(KEY) :]].notna().all(axis=1).to_numpy()
        reasons = np.full(len(answers), -1, np.int16)
        if NO_ANSWER in answers:
            reasons = self._coded(answers[NO_ANSWER])
            told = told | (reasons >= 0)
        source = np.flatnonzero((keys >= 0) & told)
        first = np.searchsorted(self._sorted, keys[source], "left")
        number = np.searchsorted(self._sorted, keys[source], "right") - first
        # The places first, first + 1, ... of each answer, one after the other.
        within = np.arange(number.sum()) - np.repeat(number.cumsum() - number, number)
        rows, source = self._order[np.repeat(first, number) + within], np.repeat(source, number)
        self.known[rows] = True
        self._reason[rows] = reasons[source]
        if self._scored:
            for name, values in self._values.items():
                values[rows] = answers[name].to_numpy(float)[source]
        else:
            self._texts[rows] = answers["answer"].to_numpy(object)[source]

    def _coded(self, reasons: pd.Series) -> np.ndarray:
        """The place of each reason among those known so far, -1 for none; new ones are added."""
        self._reasons = list(dict.fromkeys([*self._reasons, *reasons.dropna()]))
        return codes_among(reasons, pd.Index(self._reasons, dtype=object)).astype(np.int16)

    def predictions(self, rows: np.ndarray | slice = slice(None)) -> pd.DataFrame:
        """Rows of the plan with their answers and what these amount to."""
        asked = self.plan.iloc[rows]
        read = self._read_scores(rows) if self._scored else self._read_texts(rows)
        read["valid"] = read["prediction"].codes >= 0
        nothing = np.full(len(asked), np.nan)
        shown = [name for name in map(str, self.plan) if name.startswith("shown_")]
        shares = [f"p_{label}" for label in self._words]
        columns = [*_FIRST, *shares, "label_mass", *shown, *_LAST]
        # Each column as it is: a study may have millions of rows.
        whole = {name: read.get(name, asked.get(name, nothing)) for name in columns}
        return pd.DataFrame(whole, index=asked.index, copy=False)

    def _read_scores(self, rows: np.ndarray | slice) -> dict[str, Any]:
        values = {name: values[rows] for name, values in self._values.items()}
        nothing = pd.Categorical.from_codes(
            np.full(len(values["label_mass"]), -1, np.int8), categories=pd.Index([], dtype="str")
        )
        likeliest = _largest([values[name] for name in self.value_columns[:-1]])
        likeliest[self._reason[rows] >= 0] = -1
        return values | {
            "prediction": self._labels(likeliest),
            "why_invalid": self._why(self._reason[rows], []),
            "answer": nothing,
        }

    def _read_texts(self, rows: np.ndarray | slice) -> dict[str, Any]:
        number, texts = pd.factorize(self._texts[rows])
        labels = {label: place for place, label in enumerate(self._words)}
        read = [read_answer(text, self._words) for text in texts]
        parsed = [labels.get(label or "", -1) for label, _ in read]
        whys, names = pd.factorize(np.array([*(why for _, why in read), None], dtype=object))
        whys[whys >= 0] += len(self._reasons)
        # A text says itself why it names no label; where there is none, the model said why.
        reason = np.where(number < 0, self._reason[rows], whys[number])
        return {
            "prediction": self._labels(np.append(parsed, -1).astype(int)[number]),
            "why_invalid": self._why(reason, list(names)),
            "answer": categorical(texts, number),
        }

    def _why(self, reason: np.ndarray, more: list[str]) -> pd.Categorical:
        """Reasons by their place, -1 for none."""
        return categorical(self._reasons + more, reason)

    def _labels(self, places: np.ndarray) -> pd.Categorical[str]:
        """Labels by their place, -1 for none; the categories are those of the truth."""
        labels = list(self._words)
        order = np.append(np.argsort(np.argsort(labels)), -1)
        return pd.Categorical.from_codes(order[places], categories=pd.Index(sorted(labels)))

    def _keys(self, table: pd.DataFrame) -> np.ndarray:
        """One number for each row's key; -1 for a key that is not in the plan."""
        key: np.ndarray = np.zeros(len(table), self._key_type)
        there = np.ones(len(table), bool)
        for name, categories in self._categories.items():
            codes = codes_among(table[name], categories)
            there &= codes >= 0
            key *= len(categories)
            key += codes
        key[~there] = -1
        return key


def _largest(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Which of the columns is largest in each row, the first of equal ones; holds no copy."""
    place, best = np.zeros(len(columns[0]), np.int16), columns[0].copy()
    for number, column in enumerate(columns[1:], start=1):
        larger = column > best
        place[larger] = number
        np.copyto(best, column, where=larger)
    return place
