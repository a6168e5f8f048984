"""Rank correlations and clusters against scipy, and clusters that are known beforehand."""

import numpy as np
import opensmile
import pandas as pd
import pytest
from scipy.stats import spearmanr

from sercue.errors import InputError
from sercue.statistics.effects import (
    cluster_table,
    functional_clusters,
    functional_of,
    redundancy,
)
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


@pytest.fixture(scope="module")
def measured():
    """Frames and functionals of a gliding vowel with a pause, by openSMILE itself."""
    time = np.arange(32000) / 16000
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 1.5 * time)) / 16000
    vowel = sum(np.sin(k * phase) / k for k in range(1, 20)) * (time < 1.4)
    signal = vowel + 0.01 * np.random.default_rng(0).normal(size=len(time))
    levels = (opensmile.FeatureLevel.LowLevelDescriptors, opensmile.FeatureLevel.Functionals)
    return [
        opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, level).process_signal(0.1 * signal, 16000)
        for level in levels
    ]


def test_the_mean_of_a_descriptor_is_the_functional_of_its_name(measured):
    """Within 5 %, of all but formant amplitudes: 6 over all frames, 21 over voiced ones."""
    frames, functionals = measured
    voiced = frames[frames["F0semitoneFrom27.5Hz_sma3nz"] > 0]
    means = frames.mean().add_prefix("mean(").add_suffix(")")
    means = pd.concat([means, voiced.mean().add_prefix("voiced_mean(").add_suffix(")")])
    named = {name: functional_of(name) for name in means.index}
    matched = {name: own for name, own in named.items() if own in functionals}
    assert len(matched) == 6 + 21
    for name, own in matched.items():
        assert means[name] == pytest.approx(functionals[own].iloc[0], rel=0.05, abs=0.05), own
    assert not any("amplitude" in name for name in matched)


def test_a_concept_of_descriptors_is_in_the_cluster_of_their_functionals():
    rng = np.random.default_rng(1)
    names = ["loudness_sma3_amean", "slopeV0-500_sma3nz_amean", "F1frequency_sma3nz_amean"]
    values = pd.DataFrame(rng.normal(size=(50, 3)), columns=names)
    table = cluster_table(functional_clusters(redundancy(values)), read_scheme("paper").concepts)
    found = table.set_index("representative")["concepts"]
    assert found[names].tolist() == ["ENERGY", "BRIGHTNESS", "FORMANTS"]
