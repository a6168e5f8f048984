"""What says the same thing twice: rank correlations, and clusters of functionals by them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

from sercue.errors import InputError
from sercue.tokens.concepts import CONCEPTS


def redundancy(scores: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation between columns, over the rows where both are known.

    Args:
        scores: concept scores or functionals, one row an utterance

    Returns:
        symmetric DataFrame of shape (columns, columns), -1 to 1; NaN for a constant column

    Examples:
        >>> redundancy(pd.DataFrame({"energy": [1, 2, 3], "pitch": [9, 7, 1]}))
                energy  pitch
        energy     1.0   -1.0
        pitch     -1.0    1.0
    """
    if scores.isna().to_numpy().any():
        return scores.corr(method="spearman")
    # Without gaps, ranks once and not once a pair: some hundred times faster for 88 columns.
    return scores.rank().corr()


def functional_clusters(correlation: pd.DataFrame, *, threshold: float = 0.7) -> pd.DataFrame:
    r"""Functionals that rank utterances alike, by average linkage on :math:`1 - |\rho|`.

    Two clusters are joined as long as the mean :math:`|\rho|` between their members is at least
    the threshold. The sign does not count: what mirrors a functional says the same. A constant
    functional is alike nothing.

    Args:
        correlation: rank correlations, as ``redundancy`` returns them
        threshold: mean absolute correlation down to which clusters are joined, 0 to 1

    Returns:
        DataFrame, one row a functional in the order of the dendrogram: ``cluster`` (from 1, in that
        order), ``representative`` (whether it is the member closest to all others on average),
        ``correlation`` (mean :math:`|\rho|` with the other members; NaN if alone)

    Raises:
        InputError: if the threshold is not between 0 and 1

    Examples:
        >>> values = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 4, 1, 3]})
        >>> functional_clusters(redundancy(values))["cluster"].to_dict()
        {'c': 1, 'a': 2, 'b': 2}
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold: found {threshold}, valid are 0 to 1")
    strength = _strength(correlation)
    if len(strength) < 2:
        alone = {"cluster": 1, "representative": True, "correlation": np.nan}
        return pd.DataFrame(alone, index=correlation.index)
    tree = dendrogram_tree(correlation)
    order = leaves_list(tree)
    # A hair above, so that a mean of exactly the threshold is joined in spite of rounding.
    found = fcluster(tree, 1 - threshold + 1e-12, criterion="distance")[order]
    numbers = pd.factorize(found)[0] + 1
    table = pd.DataFrame({"cluster": numbers}, index=correlation.index[order])
    alike = strength[np.ix_(order, order)] * (numbers[:, None] == numbers)
    others = table.groupby("cluster")["cluster"].transform("size") - 1
    table["correlation"] = (alike.sum(axis=1) - 1) / others.where(others > 0)
    best = table["correlation"].fillna(0).groupby(table["cluster"]).idxmax()
    table.insert(1, "representative", table.index.isin(best))
    return table


def cluster_table(clusters: pd.DataFrame) -> pd.DataFrame:
    """One row a cluster of functionals, largest first.

    Args:
        clusters: as ``functional_clusters`` returns them

    Returns:
        DataFrame indexed by ``cluster``: ``functionals`` (their number), ``representative``,
        ``correlation`` (mean absolute rank correlation within), ``concepts`` (the concepts that
        use a member), ``members`` (all names)

    Examples:
        >>> values = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 4, 1, 3]})
        >>> table = cluster_table(functional_clusters(redundancy(values)))
        >>> table[["functionals", "representative", "members"]]  # doctest: +NORMALIZE_WHITESPACE
                 functionals representative members
        cluster
        2                  2              a    a, b
        1                  1              c       c
    """
    rows = [
        {
            "cluster": number,
            "functionals": len(members),
            "representative": str(members.index[members["representative"]][0]),
            "correlation": members["correlation"].mean(),
            "concepts": ", ".join(_concepts_of(members.index)),
            "members": ", ".join(map(str, members.index)),
        }
        for number, members in clusters.groupby("cluster")
    ]
    table = pd.DataFrame(rows).set_index("cluster")
    return table.sort_values("functionals", ascending=False, kind="stable")


def dendrogram_tree(correlation: pd.DataFrame) -> np.ndarray:
    """Average linkage of one less the absolute correlation, as scipy stores it."""
    distance = 1 - _strength(correlation)
    np.fill_diagonal(distance, 0)
    return linkage(squareform(distance, checks=False), method="average")


def _strength(correlation: pd.DataFrame) -> np.ndarray:
    strength = correlation.abs().fillna(0).to_numpy(copy=True)
    np.fill_diagonal(strength, 1)
    return np.clip(strength, 0, 1)


def _concepts_of(functionals: pd.Index) -> list[str]:
    members = set(functionals)
    return [concept.name for concept in CONCEPTS if members & set(concept.functionals)]
