"""Predictions on disk: a folder of parts that any number of runs may read and add to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from sercue.storage.files import locked
from sercue.storage.tables import append_part, part_files, read_part
from sercue.study.known_answers import KEY, KnownAnswers

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
            _set_aside(files, keys, _superseded(self.folder))
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


def _set_aside(files: list[Path], keys: np.ndarray, superseded: Path) -> None:
    """Keep the answers to what is not asked now."""
    for file in files:
        part = read_part(file)
        stale = pd.DataFrame() if part is None else part[~_among(_hashes(part, KEY), keys)]
        if len(stale):
            append_part(superseded, stale.reset_index(drop=True))


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
