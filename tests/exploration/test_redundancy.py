"""Rank correlations and clusters against scipy, and clusters that are known beforehand."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from sercue.errors import InputError
from sercue.statistics.effects import cluster_table, functional_clusters, redundancy
from sercue.tokens.schemes import read_scheme


@pytest.fixture(scope="module")
def values():
    """Two families that share a source each, one of them with a mirrored member, and a loner."""
    rng = np.random.default_rng(0)
    sources = rng.normal(size=(2, 200))
    columns = {
        "a1": sources[0],
        "a2": np.exp(sources[0] + 0.1 * rng.normal(size=200)),
        "a3": -(sources[0] ** 3) + 0.1 * rng.normal(size=200),
        "b1": sources[1],
        "b2": sources[1] + 0.2 * rng.normal(size=200),
        "alone": rng.normal(size=200),
    }
    return pd.DataFrame(columns)


def test_redundancy_is_spearman(values):
    """Scipy's rank correlation; with gaps, on the rows where both are known."""
    np.testing.assert_allclose(redundancy(values), spearmanr(values).statistic)
    gaps = values.mask(np.random.default_rng(1).random(values.shape) < 0.1)
    both = gaps[["a1", "b1"]].dropna()
    expected = spearmanr(both["a1"], both["b1"]).statistic
    assert redundancy(gaps).loc["a1", "b1"] == pytest.approx(expected)


def test_families_are_found_whatever_their_sign_and_shape(values):
    """Ranks do not see an exponential, and a mirrored functional says the same."""
    clusters = functional_clusters(redundancy(values))
    found = {frozenset(rows.index) for _, rows in clusters.groupby("cluster")}
    assert found == {frozenset(["a1", "a2", "a3"]), frozenset(["b1", "b2"]), frozenset(["alone"])}
    assert clusters.groupby("cluster")["representative"].sum().eq(1).all()


def test_the_representative_is_the_member_closest_to_the_others(values):
    """a1 is the source of the others: its mean absolute correlation is the largest, by hand."""
    correlation = redundancy(values)
    clusters = functional_clusters(correlation)
    family = correlation.loc[["a1", "a2", "a3"], ["a1", "a2", "a3"]].abs()
    expected = (family.sum() - 1) / 2
    np.testing.assert_allclose(clusters.loc[expected.index, "correlation"], expected)
    assert clusters.loc[expected.idxmax(), "representative"]
    assert np.isnan(clusters.loc["alone", "correlation"])


def test_the_threshold_is_a_mean_correlation():
    """Three functionals with .9, .6 and .5: at .56 the third does not join, at .54 it does."""
    names = ["x", "y", "z"]
    correlation = pd.DataFrame([[1, 0.9, 0.6], [0.9, 1, 0.5], [0.6, 0.5, 1]], names, names)
    assert functional_clusters(correlation, threshold=0.56)["cluster"].nunique() == 2
    assert functional_clusters(correlation, threshold=0.54)["cluster"].nunique() == 1
    assert functional_clusters(correlation, threshold=0.95)["cluster"].nunique() == 3
    with pytest.raises(InputError, match=r"threshold: found 1.5, valid are 0 to 1"):
        functional_clusters(correlation, threshold=1.5)


def test_a_constant_functional_stands_alone(values):
    """It has no ranks to compare, and must not break the clustering of the others."""
    clusters = functional_clusters(redundancy(values.assign(still=1.0)))
    assert (clusters["cluster"] == clusters.loc["still", "cluster"]).sum() == 1


def test_the_table_lists_every_functional_once_and_names_the_concepts():
    """Two functionals of one concept in one cluster: the concept is named there, once."""
    concept = read_scheme("sercue").concepts[0]
    first, second = concept.columns
    rng = np.random.default_rng(2)
    loud = rng.normal(size=100)
    values = pd.DataFrame({first: loud, "other": rng.normal(size=100), second: -loud})
    table = cluster_table(functional_clusters(redundancy(values)), [concept])
    assert table["functionals"].tolist() == [2, 1]
    assert table["concepts"].tolist() == [concept.name, ""]
    assert sorted(", ".join(table["members"]).split(", ")) == sorted(values)
