"""Variance components against REML of statsmodels, closed forms and their own expectation."""

import warnings

import audformat
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from sercue.corpora.corpus import Corpus
from sercue.statistics.effects import COMPONENTS, variance_components

LABELS = ("angry", "happy", "neutral", "sad")


def corpus_of(emotion, speaker):
    index = audformat.segmented_index([f"{n}.wav" for n in range(len(emotion))])
    table = pd.DataFrame({"emotion": emotion, "speaker": speaker, "partition": "train"}, index)
    return Corpus("simulated", ".", table, LABELS, "neutral", "none")


def simulated(rng, cells, spreads):
    """One column with the given standard deviations; ``cells`` lists (speaker, emotion)."""
    speaker, emotion = np.array(cells).T
    effects = [rng.normal(0, spread, size) for spread, size in zip(spreads, (4, 50), strict=False)]
    both = rng.normal(0, spreads[2], (50, 4))
    return (
        effects[0][emotion]
        + effects[1][speaker]
        + both[speaker, emotion]
        + rng.normal(0, spreads[3], len(cells))
    )


def corpus_and_cells(counts):
    """A corpus with ``counts[speaker][emotion]`` utterances in each cell."""
    cells = [(s, e) for s, row in enumerate(counts) for e, n in enumerate(row) for _ in range(n)]
    corpus = corpus_of([LABELS[e] for _, e in cells], [f"s{s:02d}" for s, _ in cells])
    return corpus, cells


@pytest.mark.parametrize("seed", [0, 1])
def test_balanced_components_are_those_of_reml(seed):
    """With balanced data and positive estimates REML and the method of moments coincide."""
    corpus, cells = corpus_and_cells(np.full((8, 4), 4))
    x = simulated(np.random.default_rng(seed), cells, (1.2, 0.9, 0.8, 0.7))
    found = variance_components(pd.DataFrame({"x": x}, corpus.table.index), corpus).loc["x"]
    frame = corpus.table.reset_index(drop=True).assign(x=x, group=1)
    formula = {
        "a": "0 + C(emotion)",
        "b": "0 + C(speaker)",
        "c": "0 + C(speaker):C(emotion)",
    }
    model = sm.MixedLM.from_formula("x ~ 1", frame, groups="group", vc_formula=formula)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = model.fit(reml=True, method=["powell", "lbfgs"])
    expected = np.append(fit.vcomp, fit.scale)
    assert (expected > 0.05).all()
    np.testing.assert_allclose(found[list(COMPONENTS)], expected / expected.sum(), atol=0.01)
    assert found["sd"] == pytest.approx(np.sqrt(expected.sum()), rel=0.02)


def test_unbalanced_components_are_near_those_of_reml():
    """Henderson's method and REML estimate the same, each in its own way: alike, not equal."""
    rng = np.random.default_rng(4)
    corpus, cells = corpus_and_cells(rng.integers(1, 9, (14, 4)))
    x = simulated(rng, cells, (1.0, 1.0, 0.6, 0.7))
    found = variance_components(pd.DataFrame({"x": x}, corpus.table.index), corpus).loc["x"]
    frame = corpus.table.reset_index(drop=True).assign(x=x, group=1)
    formula = {
        "a": "0 + C(emotion)",
        "b": "0 + C(speaker)",
        "c": "0 + C(speaker):C(emotion)",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.MixedLM.from_formula("x ~ 1", frame, groups="group", vc_formula=formula)
        fit = model.fit(reml=True, method=["powell", "lbfgs"])
    expected = np.append(fit.vcomp, fit.scale)
    np.testing.assert_allclose(found[list(COMPONENTS)], expected / expected.sum(), atol=0.06)


def test_estimates_are_unbiased_for_unbalanced_data():
    """The mean over many draws is the truth, with cells of 0 to 7 utterances.

    1,500 columns of one corpus are 1,500 draws. Within four standard errors of the mean, an
    unbiased estimate fails once in 16,000. The truth is far enough from zero for no estimate of
    speaker, interaction or residual to be cut there often; the emotion, of which there are four,
    is made large.
    """
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 8, (20, 4))
    corpus, cells = corpus_and_cells(counts)
    spreads = (3.0, 2.0, 1.5, 1.0)
    columns = {f"x{n}": simulated(rng, cells, spreads) for n in range(1500)}
    found = variance_components(pd.DataFrame(columns, corpus.table.index), corpus)
    variances = found[list(COMPONENTS)].mul(found["sd"] ** 2, axis=0)
    error = variances.std() / np.sqrt(len(variances))
    np.testing.assert_array_less(
        (variances.mean() - np.square(spreads)).abs().to_numpy(), 4 * error.to_numpy()
    )


def test_one_utterance_a_cell_leaves_the_interaction_open():
    """Two-way layout without replicates: mean squares give the classical estimates by hand."""
    rng = np.random.default_rng(2)
    corpus, _ = corpus_and_cells(np.ones((6, 4), dtype=int))
    table = rng.normal(size=(6, 4)) + 3 * np.arange(4) + 2 * np.arange(6)[:, None]
    found = variance_components(pd.DataFrame({"x": table.ravel()}, corpus.table.index), corpus)
    rest = table - table.mean(0) - table.mean(1)[:, None] + table.mean()
    error = (rest**2).sum() / 15
    of_emotion = table.mean(0).var(ddof=1) - error / 6
    of_speaker = table.mean(1).var(ddof=1) - error / 4
    total = of_emotion + of_speaker + error
    assert np.isnan(found.loc["x", "interaction"])
    np.testing.assert_allclose(
        found.loc["x", ["emotion", "speaker", "residual"]].astype(float),
        np.array([of_emotion, of_speaker, error]) / total,
    )


def test_what_cannot_be_told_apart_is_nan():
    """Each speaker in one emotion only, or one speaker only: no share may be made up."""
    x = pd.Series(np.random.default_rng(0).normal(size=8))
    for emotion, speaker in (
        (list("aabbaabb"), list("stuvstuv")),
        (["angry", "sad"] * 4, ["s"] * 8),
    ):
        corpus = corpus_of(emotion, speaker)
        if speaker[0] != "s" or len(set(speaker)) > 1:
            corpus.table["emotion"] = corpus.table["speaker"].map(
                {"s": "angry", "t": "angry", "u": "sad", "v": "sad"}
            )
        table = variance_components(pd.DataFrame({"x": x.to_numpy()}, corpus.table.index), corpus)
        assert table.loc["x"].isna().all()


def test_missing_values_are_left_out_column_by_column():
    """A gap in one column changes that column alone, as if its rows were not there."""
    rng = np.random.default_rng(5)
    corpus, cells = corpus_and_cells(np.full((5, 4), 3))
    values = pd.DataFrame(
        {name: simulated(rng, cells, (1, 1, 1, 1)) for name in "xy"}, corpus.table.index
    )
    gap = values.copy()
    gap.iloc[[0, 7, 30], 0] = np.nan
    found = variance_components(gap.assign(still=1.0), corpus)
    alone = variance_components(gap[["x"]].dropna(), corpus)
    pd.testing.assert_series_equal(found.loc["x"], alone.loc["x"])
    pd.testing.assert_series_equal(found.loc["y"], variance_components(values, corpus).loc["y"])
    assert found.loc["still"].isna().all()
