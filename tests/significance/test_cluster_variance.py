"""Closed forms against the matrices they stand for, and against Student's t where both apply."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import sqrtm

from sercue.statistics.speakers import Clustered, degrees_of_freedom, recall_estimates


def drawn_counts(seed, speakers=6, classes=3, conditions=1, most=6):
    """Right answers and totals; each class has at least two speakers, some lack classes."""
    rng = np.random.default_rng(seed)
    totals = rng.integers(0, most, size=(speakers, classes))
    totals[:2] += 1
    hits = rng.binomial(totals, rng.uniform(0.2, 0.9, size=(conditions, speakers, 1)))
    return hits.astype(float), np.broadcast_to(totals, hits.shape).astype(float)


def as_regression(hits, totals):
    """The same as a least-squares fit: rows of answers, indicators of classes, speakers."""
    answers, truth, speaker = [], [], []
    for s, k in np.ndindex(totals.shape):
        right, number = int(hits[s, k]), int(totals[s, k])
        answers += [1.0] * right + [0.0] * (number - right)
        truth, speaker = truth + [k] * number, speaker + [s] * number
    return np.array(answers), np.eye(totals.shape[1])[truth], np.array(speaker), np.array(truth)


def inverse_root(matrix):
    """The symmetric inverse square root."""
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**-0.5) @ vectors.T


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_standard_error_is_cr2_of_least_squares(seed):
    """UAR is a contrast of coefficients: (I - H)^-1/2 of each speaker, as Bell and McCaffrey."""
    hits, totals = drawn_counts(seed)
    y, design, speaker, _ = as_regression(hits[0], totals[0])
    bread = np.linalg.inv(design.T @ design)
    contrast = np.full(design.shape[1], 1 / design.shape[1])
    residual = y - design @ (bread @ design.T @ y)
    variance = 0.0
    for s in np.unique(speaker):
        own = design[speaker == s]
        adjusted = inverse_root(np.eye(len(own)) - own @ bread @ own.T) @ residual[speaker == s]
        variance += (contrast @ bread @ own.T @ adjusted) ** 2
    found = recall_estimates(hits, totals)
    assert found.estimate[0] == pytest.approx(contrast @ bread @ design.T @ y)
    assert found.se[0] == pytest.approx(np.sqrt(variance))


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_degrees_of_freedom_from_whole_matrices(seed):
    """Satterthwaite's ratio with the working covariance of all utterances written out."""
    hits, totals = drawn_counts(seed)
    _, design, speaker, truth = as_regression(hits[0], totals[0])
    same = speaker[:, None] == speaker
    working = same * np.where(truth[:, None] == truth, 0.1, 0.05) + 0.9 * np.eye(len(truth))
    bread = np.linalg.inv(design.T @ design)
    maker = np.eye(len(truth)) - design @ bread @ design.T
    contrast = np.full(design.shape[1], 1 / design.shape[1])
    terms = []
    for s in np.unique(speaker):
        inside = speaker == s
        own = design[inside]
        root = np.real(sqrtm(np.linalg.inv(np.eye(len(own)) - own @ bread @ own.T)))
        terms.append(contrast @ bread @ own.T @ root @ maker[inside])
    covariance = np.array(terms) @ working @ np.array(terms).T
    expected = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert degrees_of_freedom(totals[0]) == pytest.approx(expected)
    assert expected <= len(np.unique(speaker)) - 1 + 1e-9


def test_speakers_of_equal_size_give_the_t_test():
    """With as many utterances of each class from each speaker, it is a t test of speakers' UAR."""
    rng = np.random.default_rng(3)
    hits = rng.binomial(5, 0.6, size=(2, 9, 4)).astype(float)
    found = recall_estimates(hits, np.full(hits.shape, 5.0)).combine([[1, -1]])
    by_speaker = (hits[0] - hits[1]).mean(axis=1) / 5
    expected = stats.ttest_1samp(by_speaker, 0)
    assert found.df[0] == pytest.approx(8)
    assert found.p_value()[0] == pytest.approx(expected.pvalue)
    ends = expected.confidence_interval(0.9)
    assert [end[0] for end in found.interval(0.9)] == pytest.approx([ends.low, ends.high])
    above = stats.ttest_1samp(by_speaker, 0.1, alternative="greater").pvalue
    assert found.p_above(0.1)[0] == pytest.approx(above)


def test_a_class_of_one_speaker_tells_nothing_of_others():
    """Its recall has no variance over speakers, so that the interval is the whole line."""
    totals = np.array([[[4.0, 3.0], [4.0, 0.0], [4.0, 0.0]]])
    found = recall_estimates(totals / 2, totals)
    assert found.df[0] == 0
    assert found.interval()[0][0] == -np.inf
    assert found.p_value(0.1)[0] == 1


def test_a_class_that_nobody_has_is_left_out():
    """As in UAR itself: the mean is over the classes that occur."""
    totals = np.array([[[4.0, 0.0], [4.0, 0.0], [4.0, 0.0]]])
    hits = totals * np.array([0.25, 0.5, 0.75])[None, :, None]
    found, alone = recall_estimates(hits, totals), recall_estimates(hits[..., :1], totals[..., :1])
    assert (found.estimate, found.se, found.df) == (alone.estimate, alone.se, alone.df)


def test_without_any_error_p_is_that_of_all_signs_alike():
    """Eight speakers who agree to the last digit: 2 / 2^8 off the null, 1 on it."""
    agreed = Clustered(np.array([0.3, 0.0]), np.zeros((2, 8)), np.array([7.0, 7.0]))
    assert agreed.p_value().tolist() == [2 / 256, 1.0]


def test_without_any_error_one_sided_p_is_that_of_all_signs_alike():
    """Eight speakers who agree: 1 / 2^8 above the null, the rest below, neither side on it."""
    agreed = Clustered(np.array([0.3, 0.0, -0.3]), np.zeros((3, 8)), np.full(3, 7.0))
    assert agreed.p_above(0).tolist() == [1 / 256, 0.5, 255 / 256]


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), factor=st.integers(2, 5))
def test_the_order_of_speakers_and_of_classes_means_nothing(seed, factor):
    """Nor does a common factor of all totals change a recall or its error."""
    hits, totals = drawn_counts(seed, conditions=2)
    rng = np.random.default_rng(seed)
    speakers, classes = rng.permutation(6), rng.permutation(3)
    one = recall_estimates(hits, totals)
    two = recall_estimates(hits[:, speakers][:, :, classes], totals[:, speakers][:, :, classes])
    np.testing.assert_allclose(one.se, two.se)
    np.testing.assert_allclose(one.df, two.df)
    np.testing.assert_allclose(recall_estimates(factor * hits, factor * totals).se, one.se)
