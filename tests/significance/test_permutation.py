"""Against scipy's permutation test, the binomial distribution and invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sercue.statistics.resampling import drawn_p, joint_sign_flip_p, rearranged_sums, sign_flip_p


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), speakers=st.integers(2, 11))
def test_enumeration_equals_scipy(seed, speakers):
    """scipy enumerates the same exchanges of pairs."""
    values = np.random.default_rng(seed).normal(0.5, 1, size=speakers)
    expected = stats.permutation_test(
        (values, np.zeros(speakers)),
        lambda a, b, axis: np.abs((a - b).sum(axis=axis)),
        permutation_type="samples",
        alternative="greater",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flip_p(values)[0] == pytest.approx(expected.pvalue)


def test_one_and_minus_one_are_coin_flips():
    """Values of one size: the two-sided binomial test, by enumeration and by drawing."""
    few = np.array([1] * 9 + [-1] * 3 + [0] * 2)
    assert sign_flip_p(few)[0] == pytest.approx(stats.binomtest(9, 12).pvalue)
    many = np.array([1] * 27 + [-1] * 13)
    expected = stats.binomtest(27, 40).pvalue
    drawn = sign_flip_p(many, resamples=20_000)[0]
    assert drawn == pytest.approx(expected, abs=4 * np.sqrt(expected / 20_000))


def test_drawn_p_values_are_never_zero():
    """The observed pattern counts among those drawn."""
    assert sign_flip_p(np.ones(40), resamples=199)[0] == 1 / 200
    assert drawn_p(5.0, np.zeros(199)) == 1 / 200


def test_columns_are_tested_each_by_itself():
    values = np.random.default_rng(0).normal(0.3, 1, size=(20, 3))
    together = sign_flip_p(values, resamples=500, seed=4)
    alone = [sign_flip_p(column, resamples=500, seed=4)[0] for column in values.T]
    np.testing.assert_array_equal(together, alone)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_joint_test_does_not_depend_on_the_choice_of_components(seed):
    """Any invertible mix of components gives the same p; so does a redundant one."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(0.4, 1, size=(9, 3))
    p = joint_sign_flip_p(vectors)
    mixed = vectors @ (np.eye(3) + 0.3 * rng.uniform(-1, 1, size=(3, 3)))
    redundant = np.column_stack([vectors, -vectors.sum(axis=1)])
    assert joint_sign_flip_p(mixed) == pytest.approx(p)
    assert joint_sign_flip_p(redundant) == pytest.approx(p)


def test_joint_test_of_one_component_is_the_plain_one():
    values = np.random.default_rng(2).normal(0.4, 1, size=10)
    assert joint_sign_flip_p(values[:, None]) == sign_flip_p(values)[0]


def test_rearranging_keeps_each_speakers_values():
    """Totals stay; with two conditions the sums are those of exchanged pairs."""
    values = np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 4.0]])
    sums = rearranged_sums(values, resamples=4000, seed=1)
    np.testing.assert_allclose(sums.sum(axis=1), 7)
    found, times = np.unique(sums[:, 0], return_counts=True)
    assert found.tolist() == list(range(8))
    assert stats.chisquare(times).pvalue > 1e-4
