"""Errors over speakers against whole refits, closed forms and the definition of their freedom."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from sercue.statistics.reliance import fit_choices, speaker_influence


def speaker_covariance(score, information):
    """Covariance of the weights, and degrees of freedom."""
    influence, df = speaker_influence(score, information)
    return influence.T @ influence, df


def drawn(speakers, rows, seed, spread=0.3, labels=3):
    """Evidence, choices and speakers; each speaker's weights differ by ``spread``."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(speakers), rng.integers(rows // 2, 2 * rows, speakers))
    evidence = rng.normal(size=(len(who), labels, 2))
    own = np.array([1.0, 0.5]) + rng.normal(scale=spread, size=(speakers, 2))
    utility = np.einsum("nkp,np->nk", evidence, own[who]) + rng.gumbel(size=(len(who), labels))
    return evidence, np.eye(labels)[utility.argmax(axis=1)], who


def parts(speakers, seed):
    """Scores that add up to 0 and informations, of speakers of very unequal size."""
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(speakers, 5, 2)) * np.exp(rng.normal(size=(speakers, 1, 1)))
    score = rng.normal(size=(speakers, 2))
    return score - score.mean(axis=0), factor.swapaxes(1, 2) @ factor


@pytest.mark.parametrize(("speakers", "apart"), [(8, 0.12), (40, 0.03)])
def test_errors_are_near_those_of_refits_without_each_speaker(speakers, apart):
    """The jackknife by whole refits, a little larger by design, and less so with many speakers."""
    evidence, chosen, who = drawn(speakers, 80, seed=2)
    fit = fit_choices(evidence, chosen, who)
    refits = [
        fit_choices(evidence[who != s], chosen[who != s], who[who != s]).weights
        for s in range(speakers)
    ]
    moved = np.array(refits) - fit.weights
    slow = (speakers - 1) / speakers * moved.T @ moved
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), np.sqrt(np.diag(slow)), rtol=apart)


def test_equal_speakers_have_the_plain_sandwich_times_n_over_n_less_one():
    """By hand: all parts are I / n, so that terms grow by 1 / sqrt(1 - 1/n); n - 1 are free."""
    score, information = parts(6, seed=0)
    same = np.repeat(information[:1], 6, axis=0)
    covariance, df = speaker_covariance(score, same)
    bread = np.linalg.inv(same.sum(axis=0))
    np.testing.assert_allclose(covariance, 6 / 5 * bread @ score.T @ score @ bread)
    np.testing.assert_allclose(df, 5)


def test_covariance_is_unbiased_where_answers_are_independent():
    """Exactly: the expectation over scores of covariance H_g is the inverse of the information.

    Residual scores are s_g - H_g H^-1 (sum of all): each column of a root of their covariance is
    one draw, and the covariances of all columns add up to the expectation.
    """
    _, information = parts(5, seed=1)
    inverse = np.linalg.inv(information.sum(axis=0))
    made = np.zeros((2, 2))
    for speaker, own in enumerate(information):
        for column in np.real(sqrtm(own)).T:
            scores = -information @ inverse @ column
            scores[speaker] += column
            made += speaker_covariance(scores, information)[0]
    np.testing.assert_allclose(made, inverse)


def test_freedom_is_that_of_a_scaled_chi_squared():
    """By simulation of the working assumption: 2 mean² / variance of the estimated variance."""
    _, information = parts(7, seed=2)
    rng, inverse = np.random.default_rng(3), np.linalg.inv(information.sum(axis=0))
    spread = information + 0.5 * 7 * information @ inverse @ information
    roots = np.linalg.cholesky(spread)
    variances = []
    for _ in range(6000):
        scores = np.einsum("gij,gj->gi", roots, rng.normal(size=(7, 2)))
        scores -= information @ inverse @ scores.sum(axis=0)
        found, df = speaker_covariance(scores, information)
        variances.append(np.diag(found))
    seen = 2 * np.mean(variances, axis=0) ** 2 / np.var(variances, axis=0)
    np.testing.assert_allclose(df, seen, rtol=0.1)


def test_a_speaker_who_holds_all_is_seen():
    """Without that speaker one direction has no information: no error can be stated."""
    score, information = parts(4, seed=4)
    information[1:, 1, :] = information[1:, :, 1] = 0
    covariance, df = speaker_covariance(score, information)
    assert np.isnan(covariance).all()
    assert np.isnan(df).all()
