"""Utterances summed up by speaker and emotion: what all tests that respect speakers start from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sercue.corpora.corpus import Corpus


@dataclass(frozen=True)
class Cells:
    """The cells of speaker and emotion that occur, sorted by speaker.

    Attributes:
        columns: names of the columns that were summed up
        speakers: number of the speaker of each cell, shape (cells,)
        emotions: number of the emotion of each cell, shape (cells,)
        counts: utterances of each cell, shape (cells,)
        means: mean of each cell, shape (cells, columns)
        within: sum of squares around the cell means, shape (columns,)
    """

    columns: list[str]
    speakers: np.ndarray
    emotions: np.ndarray
    counts: np.ndarray
    means: np.ndarray
    within: np.ndarray


def cells_by_pattern(values: pd.DataFrame, corpus: Corpus) -> Iterator[Cells]:
    """The cells of each set of columns that are known in the same rows.

    Args:
        values: one row an utterance; NaN is left out
        corpus: names emotion and speaker of each row

    Yields:
        the cells of one set of columns; a column that is never known is in none

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=4)
        >>> values = pd.DataFrame({"loudness": range(8)}, index=corpus.table.index)
        >>> next(cells_by_pattern(values, corpus)).means.ravel().tolist()
        [1.0, 2.0, 5.0, 6.0]
    """
    rows = corpus.table.loc[values.index]
    speakers = pd.factorize(rows["speaker"], sort=True)[0]
    emotions = pd.factorize(rows["emotion"], sort=True)[0]
    known = values.notna().to_numpy()
    patterns: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        patterns.setdefault(known[:, column].tobytes(), []).append(column)
    for columns in patterns.values():
        kept = known[:, columns[0]]
        if kept.any():
            part = values.iloc[kept, columns]
            yield _summed_up(part, speakers[kept], emotions[kept])


def _summed_up(values: pd.DataFrame, speakers: np.ndarray, emotions: np.ndarray) -> Cells:
    pairs, cell = np.unique(np.stack([speakers, emotions]), axis=1, return_inverse=True)
    cell = cell.ravel()
    counts = np.bincount(cell)
    # Around the mean of the column, so that large numbers do not cost digits.
    centre = values.mean().to_numpy(dtype=float)
    deviation = values.to_numpy(dtype=float) - centre
    sums = np.zeros((len(counts), values.shape[1]))
    np.add.at(sums, cell, deviation)
    means = sums / counts[:, None]
    within = ((deviation - means[cell]) ** 2).sum(axis=0)
    names = [str(name) for name in values]
    return Cells(names, pairs[0], pairs[1], counts, means + centre, within)


def indicators(codes: np.ndarray) -> np.ndarray:
    """One column of zeros and ones for each code that occurs, shape (rows, codes).

    Examples:
        >>> indicators(np.array([0, 2, 2])).tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    return (codes[:, None] == np.unique(codes)).astype(float)


def column_space(matrix: np.ndarray) -> np.ndarray:
    """An orthonormal basis of what the columns span, shape (rows, rank).

    Examples:
        >>> column_space(np.ones((4, 2))).shape
        (4, 1)
    """
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    return left[:, sizes > 1e-9 * max(1.0, sizes.max(initial=0.0))]
