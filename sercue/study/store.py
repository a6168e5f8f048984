"""The answers to a plan: what is known of them, what they amount to, and where they are kept.

They are kept in a folder of parts that any number of runs may read and add to.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercue.answers import read_answer
from sercue.storage.files import locked
from sercue.storage.tables import append_part, categorical, codes_among, part_files, read_part

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
            # Their places among those known so far, to which new ones are added.
            self._reasons = list(dict.fromkeys([*self._reasons, *answers[NO_ANSWER].dropna()]))
            known = pd.Index(self._reasons, dtype=object)
            reasons = codes_among(answers[NO_ANSWER], known).astype(np.int16)
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
            "why_invalid": categorical(self._reasons, self._reason[rows]),
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
            "why_invalid": categorical([*self._reasons, *names], reason),
            "answer": categorical(texts, number),
        }

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


# What an interruption may cost where a batch takes less: a file per batch would cost more.
_SECONDS_A_PART = 1.0
_ROWS_A_PART = 25_000


class PredictionStore:
    """The parts of a study's predictions, and beside them those of its earlier settings.

    Args:
        folder: of the parts, made when there is something to keep; ``None`` keeps nothing
        also: further folders of parts, which are read and never written
    """

    def __init__(self, folder: Path | None, also: Sequence[Path] = ()) -> None:
        self.folder = folder
        own = [] if folder is None else [folder]
        self._read = [place for one in (*own, *also) for place in (one, _superseded(one))]
        self._seen: set[Path] = set()
        self._looked = -np.inf

    def read_new(self, answers: KnownAnswers) -> None:
        """Take over answers not read yet: of earlier runs and, once a second, of others now."""
        if time.monotonic() - self._looked < _SECONDS_A_PART:
            return
        for file in (file for folder in self._read for file in part_files(folder)):
            if file not in self._seen and (part := read_part(file)) is not None:
                answers.add(part)
            self._seen.add(file)
        self._looked = time.monotonic()

    @contextmanager
    def keeping(self, answers: KnownAnswers) -> Iterator[Callable[[np.ndarray], None]]:
        """A function that stores rows of a plan, now or with those of the next second.

        Whatever ends the block, all that the function was told of is stored.
        """
        waiting: list[np.ndarray] = []
        written = time.monotonic()

        def write() -> None:
            nonlocal written
            if self.folder is not None and waiting:
                rows = answers.predictions(np.concatenate(waiting))
                self._seen.add(append_part(self.folder, rows.reset_index(drop=True)))
            waiting.clear()
            written = time.monotonic()

        def keep(rows: np.ndarray) -> None:
            waiting.append(rows)
            many = sum(map(len, waiting)) >= _ROWS_A_PART
            if many or time.monotonic() - written >= _SECONDS_A_PART:
                write()

        try:
            yield keep
        finally:
            write()

    def settle(self, predictions: pd.DataFrame) -> None:
        """Leave exactly these rows in the store; answers of other settings move beside it.

        The new parts are written before the old ones go, so that a run that is killed here leaves
        rows twice, and none lost; reading takes each once.

        Raises:
            StorageError: if another process does not let go of the store
        """
        if self.folder is None:
            return
        wanted = np.sort(_hashes(predictions))
        if _is_settled(self.folder, wanted):
            return
        keys = np.sort(_hashes(predictions, KEY))
        with locked(self.folder):
            files = part_files(self.folder)
            for file in files:
                # The answers to what is not asked now.
                part = read_part(file)
                if part is not None and len(stale := part[~_among(_hashes(part, KEY), keys)]):
                    append_part(_superseded(self.folder), stale.reset_index(drop=True))
            for first in range(0, len(predictions), _ROWS_A_PART):
                rows = predictions.iloc[first : first + _ROWS_A_PART]
                append_part(self.folder, rows.reset_index(drop=True))
            for file in files:
                file.unlink(missing_ok=True)


def rows_digest(predictions: pd.DataFrame) -> str:
    """A digest of all that the rows hold, in whatever order they stand.

    Args:
        predictions: as ``run_study`` returns them, or as they were read back

    Returns:
        the number of rows and 16 hexadecimal digits

    Examples:
        >>> rows = pd.DataFrame({"truth": ["sad", "calm"], "p_sad": [0.5, np.nan]})
        >>> rows_digest(rows) == rows_digest(rows.iloc[::-1])
        True
        >>> rows_digest(rows) == rows_digest(rows.assign(truth="sad"))
        False
    """
    # A sum, since rows have no order; it wraps around, as hashes may.
    return f"{len(predictions)}-{int(_hashes(predictions).sum(dtype=np.uint64)):016x}"


def _superseded(folder: Path) -> Path:
    """Where rows of other settings are kept: going back to these, they are found."""
    return folder.with_name("superseded")


def _is_settled(folder: Path, wanted: np.ndarray) -> bool:
    """Whether the parts hold these rows and no others, in as few files as will do."""
    files = part_files(folder)
    if len(files) > 1 + len(wanted) // _ROWS_A_PART:
        return False
    hashes = [_hashes(part) for f in files if (part := read_part(f)) is not None]
    held = np.concatenate([np.empty(0, np.uint64), *hashes])
    held.sort()
    return np.array_equal(held, wanted)


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[place] == values


def _hashes(table: pd.DataFrame, columns: Sequence[str] | None = None) -> np.ndarray:
    """One number per row for what it holds in some columns, by default in all."""
    number = np.zeros(len(table), np.uint64)
    for name in sorted(map(str, table)) if columns is None else columns:
        # Numbers of 64 bits wrap around, as hashes may.
        number *= np.uint64(1_000_003)
        number ^= _hashed(table[name])
    return number


def _hashed(column: pd.Series) -> np.ndarray:
    """One number per value, the same whether texts are categories or not."""
    if pd.api.types.is_float_dtype(column.dtype):
        values = column.to_numpy(np.float64)
        # All that are not a number are alike, whatever their bits.
        return pd.util.hash_array(np.where(np.isnan(values), np.nan, values))
    if pd.api.types.is_integer_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        return pd.util.hash_array(column.to_numpy(np.int64))
    texts = column.astype("category").cat
    hashes = pd.util.hash_array(texts.categories.to_numpy(object), categorize=False)
    # A text that is missing has the code -1, which finds the last place.
    return np.append(hashes, np.uint64(0))[texts.codes.to_numpy()]
