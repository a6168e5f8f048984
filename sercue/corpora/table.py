"""The corpus ``table``: any corpus, from a CSV or Parquet file that lists its utterances."""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path

import audformat
import numpy as np
import pandas as pd

from sercue.answers import plain_words, same_word
from sercue.corpora.corpus import PARTITIONS, Corpus, with_ratings
from sercue.corpora.rows import (
    PARTITION_NAMES,
    RowsOptions,
    corpus_of_rows,
    reading,
    relative_files,
    row_numbers,
    segment_bounds,
)
from sercue.errors import InputError, unknown

REQUIRED = ("file", "emotion", "speaker")
PASSED_ON = ("partition", "sex", "session", "sentence", "fold")
OPTIONAL = ("start", "end", *PASSED_ON)
# Before a label, the column with the share of the raters who chose it.
_SHARE = "p_"
_ROUNDED = 0.02  # how far from 1 shares of two decimals may sum
LAYOUT = (
    "a CSV or Parquet file with columns file, emotion, speaker "
    "and optionally start, end (seconds), partition (train, dev, test), sex, session, sentence, "
    "fold, and p_<label> of every label (share of the raters who chose it)"
)


def read_table(root: Path, options: RowsOptions, *, seed: int = 0) -> Corpus:
    """Read a corpus from a table of utterances.

    Args:
        root: the CSV (comma-separated, UTF-8) or Parquet file. Its column ``file`` is relative to
            the folder of the table, or absolute. ``start`` and ``end`` are seconds, or durations
            such as ``0 days 00:00:01.5``; without them an utterance is a whole file. Speakers,
            sessions and folds are text: ``03`` stays ``03``. Columns ``p_<label>`` of every label
            are the shares of the raters who chose it, which sum to 1 or are all empty.
        options: what the study says of the corpus
        seed: of the speaker-disjoint partition that is made if the table names none

    Returns:
        corpus whose labels are in alphabetical order

    Raises:
        InputError: if the file cannot be read, if a column is missing, or if a cell is not valid;
            the rows are named, counting from 1 after the header
    """
    rows = _read(root)
    _check_columns(rows, root)
    if rows.empty:
        raise InputError(f"corpus_root: {root} has no rows")
    whole = rows
    rows = rows[[column for column in (*REQUIRED, *OPTIONAL) if column in rows]].copy()
    written = rows["file"]
    for column in rows.columns.intersection([*REQUIRED, *PASSED_ON]):
        rows[column] = _text(rows[column], root)
    rows = _with_shares(rows, whole, root)
    # A name may begin or end with a space, if that is what the file is called.
    there = np.array([os.path.exists(os.path.join(root.parent, str(name))) for name in written])
    rows["file"] = rows["file"].mask(there, written)
    if "partition" in rows:
        meant = rows["partition"].map(lambda name: PARTITION_NAMES.get(plain_words(name)))
        bad = meant.isna()
        if bad.any():
            error = unknown("partition", rows["partition"][bad].iloc[0], PARTITIONS)
            raise InputError(f"corpus_root: {root}, {row_numbers(bad)}: {error}")
        rows["partition"] = meant
    base, files = relative_files(rows["file"], root.parent)
    starts, ends = segment_bounds(rows, root)
    rows = rows.set_index(audformat.segmented_index(files, starts, ends))
    return corpus_of_rows("table", base, rows, options, seed=seed)


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"corpus_root: {path} is a folder; expected is {LAYOUT}")
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InputError(f"corpus_root: found {path.name!r}, valid are .csv and .parquet files")
    with reading(path, LAYOUT):
        if suffix == ".parquet":
            return pd.read_parquet(path).reset_index()
        try:
            # Everything as text, and only an empty cell as missing: "03" is a name.
            rows = pd.read_csv(
                path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8-sig"
            )
        except pd.errors.EmptyDataError:
            raise InputError(f"corpus_root: {path} is empty; expected is {LAYOUT}") from None
    if not isinstance(rows.index, pd.RangeIndex):
        # pandas takes the first fields of longer rows for their names, and shifts the others.
        levels = rows.index.nlevels
        more = "one field" if levels == 1 else f"{levels} fields"
        raise InputError(
            f"corpus_root: the rows of {path} have {more} "
            f"more than the header, which has {rows.shape[1]}; valid is one field per column, "
            "without a comma at the end of the rows"
        )
    return rows


def _with_shares(rows: pd.DataFrame, whole: pd.DataFrame, path: Path) -> pd.DataFrame:
    """The rows with what raters chose, if the table says it of every label."""
    labels = sorted(rows["emotion"].unique())
    there = [label for label in labels if f"{_SHARE}{label}" in whole]
    if not there:
        return rows
    if lacking := [f"{_SHARE}{label}" for label in labels if label not in there]:
        raise InputError(
            f"corpus_root: {path} has {_SHARE}{there[0]} and no {', '.join(lacking)}; valid is a "
            "column of every label, or of none"
        )
    cells = whole[[f"{_SHARE}{label}" for label in labels]].set_axis(labels, axis=1)
    shares = cells.apply(pd.to_numeric, errors="coerce")
    empty = cells.isna().all(axis=1)
    wrong = ~empty & ~((shares >= 0).all(axis=1) & ((shares.sum(axis=1) - 1).abs() < _ROUNDED))
    if wrong.any():
        raise InputError(
            f"corpus_root: {path}, {row_numbers(wrong)}: columns {_SHARE}<label>: found "
            f"{cells[wrong].iloc[0].tolist()}; valid are shares of the raters from 0 on that sum "
            "to 1, or nothing in all of them"
        )
    return with_ratings(rows, shares.fillna(0), labels)


def _check_columns(rows: pd.DataFrame, path: Path) -> None:
    found = [str(column) for column in rows.columns]
    for column in (*REQUIRED, *OPTIONAL):
        # So pandas calls the second of two columns of one name.
        if column in found and f"{column}.1" in found:
            raise InputError(
                f"corpus_root: {path} has two columns {column!r} (or {column!r} and "
                f"'{column}.1'); valid is one"
            )
        alike = None if column in found else same_word(column, found)
        if alike is not None:
            raise InputError(
                f"corpus_root: {path} has a column {alike!r}; valid is {column!r}, spelled so"
            )
    for column in REQUIRED:
        if column not in found:
            near = get_close_matches(column, found, n=1, cutoff=0.5)
            hint = f"; is it {near[0]!r}?" if near else ""
            semicolons = len(found) == 1 and ";" in found[0]
            hint = "; columns must be separated by commas" if semicolons else hint
            raise InputError(
                f"corpus_root: {path} has no column {column!r}{hint} "
                f"Found are: {', '.join(found)}. Expected is {LAYOUT}"
            )


def _text(cells: pd.Series, path: Path) -> pd.Series:
    """Cells as text; sex and sentence alone may be missing."""
    if pd.api.types.is_float_dtype(cells):
        raise InputError(
            f"corpus_root: column {cells.name!r} of {path} holds decimal numbers, "
            f"for instance {cells.iloc[0]!r}; valid is text"
        )
    text = cells.astype("string").str.strip()
    empty = text.isna() | (text == "")
    if empty.any() and cells.name not in ("sex", "sentence"):
        raise InputError(
            f"corpus_root: {path} has nothing in column {cells.name!r} of {row_numbers(empty)}; "
            "valid is a value in every row"
        )
    return text.mask(empty).astype(object)
