"""Effects of emotion against statsmodels and scipy, and their error rates by simulation."""

import audformat
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.meta_analysis import effectsize_smd
from statsmodels.stats.multitest import multipletests

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.statistics.effects import emotion_effects, pairwise_effects

LABELS = ("angry", "neutral", "sad")


def corpus_of(emotion, speaker, neutral="neutral"):
    index = audformat.segmented_index([f"{n}.wav" for n in range(len(emotion))])
    table = pd.DataFrame({"emotion": emotion, "speaker": speaker, "partition": "train"}, index)
    return Corpus("simulated", ".", table, LABELS, neutral, "none")


def balanced(speakers=6, each=4):
    emotion = np.tile(np.repeat(LABELS, each), speakers)
    return corpus_of(emotion, np.repeat([f"s{s}" for s in range(speakers)], 3 * each))


@pytest.fixture(scope="module")
def corpus():
    return balanced()


@pytest.fixture(scope="module")
def values(corpus):
    rng = np.random.default_rng(1)
    emotion = corpus.table["emotion"].map({"angry": 2.0, "neutral": 0.0, "sad": -1.0}).to_numpy()
    speaker = corpus.table["speaker"].str[1:].astype(int).to_numpy()
    noise = rng.normal(size=(3, len(emotion)))
    columns = {"loud": emotion + noise[0], "low": speaker + noise[1], "none": noise[2]}
    return pd.DataFrame(columns, index=corpus.table.index)


def test_eta_and_omega_squared_are_those_of_an_anova(values, corpus):
    """From the table of statsmodels' one-way ANOVA, gaps included."""
    values = values.mask(np.random.default_rng(3).random(values.shape) < 0.05)
    table = emotion_effects(values, corpus, resamples=99)
    frame = values.reset_index(drop=True).join(corpus.table.reset_index(drop=True))
    for column in values:
        fit = smf.ols(f"{column} ~ C(emotion)", frame.dropna(subset=[column])).fit()
        (between, _), (within, _) = anova_lm(fit)[["sum_sq", "df"]].to_numpy()
        error = within / fit.df_resid
        assert table.loc[column, "eta_squared"] == pytest.approx(fit.rsquared)
        expected = (between - 2 * error) / (between + within + error)
        assert table.loc[column, "omega_squared"] == pytest.approx(expected)
    np.testing.assert_allclose(table["q"], multipletests(table["p"], method="fdr_bh")[1])
    assert table.loc["loud", ["lowest", "highest"]].tolist() == ["sad", "angry"]


def test_p_is_that_of_all_permutations(corpus):
    """Scipy tries all 6^6 ways to permute the three means of six speakers.

    The standard error of a p-value from 49,999 of them is at most .0023.
    """
    rng = np.random.default_rng(7)
    shift = corpus.table["emotion"].map({"angry": 0.3, "neutral": 0.0, "sad": 0.0}).to_numpy()
    speaker = rng.normal(size=6)[corpus.table["speaker"].str[1:].astype(int)]
    noise = rng.normal(size=(4, len(shift)))
    values = pd.DataFrame((shift + speaker + noise).T, corpus.table.index, list("wxyz"))
    table = emotion_effects(values, corpus, resamples=49_999)
    keys = [corpus.table["speaker"].to_numpy(), corpus.table["emotion"].to_numpy()]
    for name in values:
        means = values[name].groupby(keys).mean().unstack()
        test = stats.permutation_test(
            [means[label] for label in LABELS],
            lambda *samples, axis: np.var([sample.mean(axis=axis) for sample in samples], axis=0),
            permutation_type="samples",
            n_resamples=np.inf,
            alternative="greater",
            batch=6**6,
        )
        assert table.loc[name, "p"] == pytest.approx(test.pvalue, abs=0.01)
    assert table["p"].min() < 0.4 < table["p"].max()


def test_utterances_of_one_speaker_are_not_taken_for_speakers():
    """Where speakers differ in how they express emotions, the test keeps to its 5 % level.

    Each column is a draw: 8 speakers, a large interaction of speaker and emotion, no effect of
    emotion. An ANOVA over utterances finds one in most draws. Of 400 draws at 5 %, between 2.6 and
    7.9 % are below .05 in 99 of 100 cases (binomial).
    """
    rng = np.random.default_rng(11)
    corpus = balanced(speakers=8, each=6)
    cell = np.arange(len(corpus.table)) // 6
    values = pd.DataFrame(
        rng.normal(size=(24, 400))[cell] + 0.5 * rng.normal(size=(len(cell), 400)),
        corpus.table.index,
        [f"x{n}" for n in range(400)],
    )
    below = (emotion_effects(values, corpus, resamples=999)["p"] < 0.05).mean()
    assert 0.026 <= below <= 0.079
    groups = [values[(corpus.table["emotion"] == label).to_numpy()] for label in LABELS]
    assert (stats.f_oneway(*groups).pvalue < 0.05).mean() > 0.3
    pairs = pairwise_effects(values, corpus)
    assert 0.03 <= (pairs["p"] < 0.05).mean() <= 0.07


def test_speakers_without_an_emotion_are_kept():
    """Incomplete data: an emotion that one speaker lacks takes neither speaker nor effect away.

    The difference angry - sad is 10 in every speaker that has both, and speakers differ by more
    than that, so that a test on the raw means would be blind to it.
    """
    level = {"angry": 10.0, "neutral": 5.0, "sad": 0.0}
    rows = [
        (emotion, f"s{s}", 100 * s + level[emotion] + repeat / 10)
        for s in range(8)
        for emotion in LABELS
        for repeat in range(2)
        if s > 1 or emotion != LABELS[s]
    ]
    emotion, speaker, x = zip(*rows, strict=True)
    corpus = corpus_of(list(emotion), list(speaker))
    values = pd.DataFrame({"x": x}, corpus.table.index)
    found = emotion_effects(values, corpus).loc["x"]
    assert found["speakers"] == 8
    assert found["p"] < 0.001
    groups = [values.loc[corpus.table["emotion"] == label, "x"] for label in LABELS]
    assert stats.f_oneway(*groups).pvalue > 0.5
    pairs = pairwise_effects(values, corpus).set_index("emotion")
    assert pairs["speakers"].to_dict() == {"angry": 6, "sad": 7}


def test_hedges_g_is_that_of_statsmodels(values, corpus):
    """With equal numbers everywhere the speakers' mean difference is that of the groups."""
    table = pairwise_effects(values, corpus).set_index(["functional", "emotion"])
    for column in values:
        neutral = values.loc[corpus.table["emotion"] == "neutral", column]
        for emotion in ("angry", "sad"):
            x = values.loc[corpus.table["emotion"] == emotion, column]
            expected, _ = effectsize_smd(
                x.mean(), x.std(), len(x), neutral.mean(), neutral.std(), len(neutral)
            )
            assert table.loc[(column, emotion), "g"] == pytest.approx(expected)


def test_pairwise_p_and_interval_are_those_of_a_paired_t_test(values, corpus):
    """Scipy's paired test on the speakers' means; the interval is in units of the g."""
    table = pairwise_effects(values, corpus).set_index(["functional", "emotion"])
    np.testing.assert_allclose(table["q"], multipletests(table["p"], method="fdr_bh")[1])
    keys = [corpus.table["emotion"].to_numpy(), corpus.table["speaker"].to_numpy()]
    for column in values:
        means = values[column].groupby(keys).mean().unstack(0)
        test = stats.ttest_rel(means["angry"], means["neutral"])
        found = table.loc[(column, "angry")]
        assert found["p"] == pytest.approx(test.pvalue)
        unit = found["g"] / (means["angry"] - means["neutral"]).mean()
        low, high = test.confidence_interval()
        assert (found["low"], found["high"]) == pytest.approx((low * unit, high * unit))


def test_cliffs_delta_counts_pairs():
    """Of 2 x 3 pairs three are above, one below, two alike: (3 - 1) / 6."""
    corpus = corpus_of(["angry"] * 2 + ["neutral"] * 3, ["s", "t", "s", "t", "t"])
    values = pd.DataFrame({"x": [2.0, 3.0, 3.0, 1.0, 2.0]}, corpus.table.index)
    corpus = Corpus("x", ".", corpus.table, ("angry", "neutral"), "neutral", "none")
    assert pairwise_effects(values, corpus)["cliffs_delta"].item() == pytest.approx(2 / 6)


def test_without_neutral_each_emotion_is_against_the_others(values, corpus):
    """The other emotions count alike, whatever their number of utterances."""
    nameless = Corpus("x", ".", corpus.table, LABELS, None, "none")
    table = pairwise_effects(values, nameless)
    assert table["reference"].unique().tolist() == ["all others"]
    keys = [corpus.table["speaker"].to_numpy(), corpus.table["emotion"].to_numpy()]
    means = values["loud"].groupby(keys).mean().unstack()
    expected = stats.ttest_rel(means["angry"], means[["neutral", "sad"]].mean(axis=1)).pvalue
    found = table.set_index(["functional", "emotion"]).loc[("loud", "angry"), "p"]
    assert found == pytest.approx(expected)


def test_what_does_not_vary_has_no_effect(values, corpus):
    """NaN, not a crash, for a constant column; it takes no part in the correction."""
    table = emotion_effects(values.assign(still=1.0, never=np.nan), corpus, resamples=99)
    unknown = table.loc[["still", "never"]].drop(columns="speakers")
    assert unknown.isna().all(axis=None)
    np.testing.assert_allclose(
        table["q"].iloc[:3], multipletests(table["p"].iloc[:3], method="fdr_bh")[1]
    )
    pairs = pairwise_effects(values.assign(still=1.0), corpus).set_index("functional")
    assert pairs.loc["still", ["g", "low", "high", "p", "q"]].isna().all(axis=None)


def test_an_unknown_reference_names_the_nearest(values, corpus):
    with pytest.raises(InputError, match="did you mean 'neutral'"):
        pairwise_effects(values, corpus, reference="neutrl")
