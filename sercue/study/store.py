"""Predictions on disk: a folder of parts that any number of runs may read and add to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from sercue.parts import append_part, part_files, read_part
from sercue.study.known_answers import KEY, ROW, KnownAnswers

# What an interruption may cost where a batch takes less: a file a batch would cost more.
_SECONDS_A_PART = 1.0
_ROWS_A_PART = 25_000
_NAMED = list(dict.fromkeys([*ROW, *KEY]))


class PredictionStore:
    """The parts of a study's predictions, and beside them those of its earlier settings.

    Args:
        folder: of the parts, made when there is something to keep; ``None`` keeps nothing
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._seen: set[Path] = set()
        self._looked = -np.inf

    def read_new(self, answers: KnownAnswers) -> None:
        """Take over answers not read yet: of earlier runs and, once a second, of others now."""
        if self.folder is None or time.monotonic() - self._looked < _SECONDS_A_PART:
            return
        for file in [*part_files(self.folder), *part_files(_superseded(self.folder))]:
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
        """Leave exactly these rows in the store; rows of other settings move beside it.

        The new parts are written before the old ones go, so that a run that is killed here leaves
        rows twice, and none lost; reading takes each once.
        """
        if self.folder is None:
            return
        wanted = _hashes(predictions)
        wanted.sort()
        if _is_settled(self.folder, wanted):
            return
        with FileLock(self.folder.with_name(f".{self.folder.name}.lock")):
            files = part_files(self.folder)
            _set_aside(files, wanted, _superseded(self.folder))
            for first in range(0, len(predictions), _ROWS_A_PART):
                rows = predictions.iloc[first : first + _ROWS_A_PART]
                append_part(self.folder, rows.reset_index(drop=True))
            for file in files:
                file.unlink(missing_ok=True)


def _superseded(folder: Path) -> Path:
    """Where rows of other settings are kept: going back to these, they are found."""
    return folder.with_name("superseded")


def _is_settled(folder: Path, wanted: np.ndarray) -> bool:
    """Whether the parts hold these rows and no others, in as few files as will do."""
    files = part_files(folder)
    if len(files) > 1 + len(wanted) // _ROWS_A_PART:
        return False
    hashes = [_hashes(part) for f in files if (part := read_part(f, _NAMED)) is not None]
    held = np.concatenate([np.empty(0, np.uint64), *hashes])
    held.sort()
    return np.array_equal(held, wanted)


def _set_aside(files: list[Path], wanted: np.ndarray, superseded: Path) -> None:
    for file in files:
        part = read_part(file)
        stale = pd.DataFrame() if part is None else part[~_among(_hashes(part), wanted)]
        if len(stale):
            append_part(superseded, stale.reset_index(drop=True))


def _among(values: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    return ordered[place] == values


def _hashes(table: pd.DataFrame) -> np.ndarray:
    """One number a row for what names it and what its answer depends on."""
    number = np.zeros(len(table), np.uint64)
    for name in _NAMED:
        # Numbers of 64 bits wrap around, as hashes may.
        number *= np.uint64(1_000_003)
        hashes, codes = _hashed(table[name])
        number ^= hashes[codes]
    return number


def _hashed(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The hash of each different value, and the place of each row's among them."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        texts = column.cat.categories.to_numpy(object)
        return pd.util.hash_array(texts, categorize=False), column.cat.codes.to_numpy()
    numbers = np.unique(column)
    return pd.util.hash_array(numbers.astype(np.int64)), np.searchsorted(numbers, column)
