"""Columns in which a text that stands in many rows is held once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd


def categorical(values: Iterable[str], codes: np.ndarray) -> pd.Categorical:
    """``values[codes]``, each different text held once, categories in the order of the alphabet.

    Sorted categories let a column sort and group as the texts themselves would.

    Args:
        values: texts; one may stand twice
        codes: a position in them for each row; -1 where there is no text

    Examples:
        >>> categorical(["b", "a"], np.array([0, 0, 1]))
        ['b', 'b', 'a']
        Categories (2, str): ['a', 'b']
        >>> categorical(["b"], np.array([0, -1])).isna()
        array([False,  True])
    """
    number, texts = pd.factorize(pd.Index(list(values), dtype=object), sort=True)
    # As small as the codes will be: a study may have millions of rows.
    number = number.astype(np.min_scalar_type(-len(texts) - 1))
    return pd.Categorical.from_codes(
        np.append(number, number.dtype.type(-1))[codes], categories=pd.Index(texts, dtype="str")
    )


def codes_among(column: pd.Series, values: pd.Index) -> np.ndarray:
    """The position of each row's text in ``values``; -1 for another, or for none.

    Args:
        column: texts, categorical or not
        values: texts, each once

    Examples:
        >>> codes_among(pd.Series(["b", "c", None, "a"]), pd.Index(["a", "b"]))
        array([ 1, -1, -1,  0])
    """
    held = column.astype("category").cat
    # Looked up only where they are not the very same: there may be a hundred thousand.
    if held.categories is values:
        return held.codes.to_numpy()
    # A missing text has the code -1, which finds the last place.
    return np.append(values.get_indexer(held.categories), -1)[held.codes]


def with_sorted_categories(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose categories, of each column that has any, are in the order of the alphabet.

    Examples:
        >>> table = pd.DataFrame({"x": pd.Categorical(["b", "a"], categories=["b", "a"])})
        >>> with_sorted_categories(table)["x"].cat.categories.tolist()
        ['a', 'b']
    """
    coded = {str(name): column.cat for name, column in table.select_dtypes("category").items()}
    ordered = {name: c.reorder_categories(sorted(c.categories)) for name, c in coded.items()}
    return table.assign(**ordered)
