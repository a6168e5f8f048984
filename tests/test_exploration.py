"""Exploration against statsmodels, scikit-learn, scipy and theory."""

import audformat
import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy.stats import entropy, kruskal, spearmanr
from sklearn.metrics import mutual_info_score
from statsmodels.stats.multitest import multipletests

from sercue.binning import fit_bins
from sercue.concepts import Concept
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.exploration import (
    ordered_words,
    redundancy,
    threshold_stability,
    token_balance,
    token_information,
    variance_explained,
)

LABELS = ("angry", "neutral", "sad")


def corpus_of(emotion, speaker, partition):
    index = audformat.segmented_index([f"{n}.wav" for n in range(len(emotion))])
    columns = {"emotion": emotion, "speaker": speaker, "partition": partition}
    table = pd.DataFrame(columns, index=index)
    return Corpus("simulated", ".", table, LABELS, "neutral", "none")


@pytest.fixture(scope="module")
def corpus():
    rng = np.random.default_rng(0)
    speaker = np.repeat([f"s{s}" for s in range(6)], 20)
    partition = np.repeat(["train", "train", "train", "train", "dev", "test"], 20)
    return corpus_of(rng.choice(LABELS, 120), speaker, partition)


@pytest.fixture(scope="module")
def values(corpus):
    rng = np.random.default_rng(1)
    emotion = corpus.table["emotion"].map({"angry": 2.0, "neutral": 0.0, "sad": -1.0}).to_numpy()
    speaker = corpus.table["speaker"].str[1:].astype(int).to_numpy()
    noise = rng.normal(size=(3, len(emotion)))
    columns = {"loud": emotion + noise[0], "low": speaker + noise[1], "none": noise[2]}
    table = pd.DataFrame(columns, index=corpus.table.index)
    return table.mask(rng.random(table.shape) < 0.05)


def test_variance_explained_is_the_r_squared_of_an_anova(values, corpus):
    """Eta squared is R squared of a linear model on group indicators, as statsmodels fits it."""
    table = variance_explained(values, corpus)
    frame = values.reset_index(drop=True).join(corpus.table.reset_index(drop=True))
    for column in values:
        for group in ("emotion", "speaker"):
            fit = smf.ols(f"{column} ~ C({group})", data=frame.dropna(subset=[column])).fit()
            assert table.loc[column, group] == pytest.approx(fit.rsquared)


def test_kruskal_and_false_discovery_rate(values, corpus):
    """H and p are scipy's on the known values; q is statsmodels' Benjamini-Hochberg."""
    table = variance_explained(values, corpus)
    emotion = corpus.table["emotion"]
    for column in values:
        samples = [values.loc[emotion == label, column].dropna() for label in LABELS]
        assert table.loc[column, ["kruskal", "p"]].tolist() == pytest.approx(
            list(kruskal(*samples))
        )
    np.testing.assert_allclose(table["q"], multipletests(table["p"], method="fdr_bh")[1])


def test_a_constant_column_explains_nothing_measurable(values, corpus):
    """A functional that never varies has no variance to share out: NaN, not a crash or a 0."""
    table = variance_explained(values.assign(still=1.0), corpus)
    assert table.loc["still"].isna().all()
    assert table.loc["loud"].notna().all()


def test_part_of_the_corpus(values, corpus):
    """Notebook 01 looks at training rows alone; the result must be that of these rows."""
    training = corpus.rows("train")
    alone = Corpus("x", ".", training, LABELS, "neutral", "none")
    part = values.loc[training.index]
    pd.testing.assert_frame_equal(variance_explained(part, corpus), variance_explained(part, alone))


def test_information_equals_sklearn_and_scipy(corpus):
    """The plug-in value and the entropy, partition by partition, in bits."""
    rng = np.random.default_rng(2)
    words = rng.choice(["low", "mid", "high", "unknown"], (120, 2), p=[0.3, 0.3, 0.3, 0.1])
    tokens = pd.DataFrame(words, index=corpus.table.index, columns=["energy", "pitch"])
    table = token_information(tokens, corpus).set_index(["concept", "partition"])
    assert len(table) == 6
    for (concept, partition), found in table.iterrows():
        rows = corpus.rows(partition)
        shown = tokens.loc[rows.index, concept]
        expected = mutual_info_score(rows["emotion"], shown) / np.log(2)
        assert found["information_plugin"] == pytest.approx(expected)
        shares = shown.value_counts(normalize=True)
        assert found["entropy"] == pytest.approx(entropy(shares, base=2))
        assert found["commonest_share"] == pytest.approx(shares.max())
        assert found["unknown_share"] == pytest.approx((shown == "unknown").mean())


def test_information_worked_by_hand():
    """Four angry with high, four sad with low: 1 bit; one pair of values each, K = 2, 2, 2.

    The correction takes off (2 - 2 - 2 + 1) / (2 * 8 * ln 2), which is negative: it adds.
    """
    corpus = corpus_of(["angry"] * 4 + ["sad"] * 4, "s", "train")
    tokens = pd.DataFrame({"energy": ["high"] * 4 + ["low"] * 4}, index=corpus.table.index)
    found = token_information(tokens, corpus).iloc[0]
    assert found["information_plugin"] == pytest.approx(1)
    assert found["information"] == pytest.approx(1 + 1 / (16 * np.log(2)))


def test_correction_removes_most_of_the_bias():
    """Over random labels the truth is 0 bit: the plug-in is far above it, the corrected is not."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(60):
        corpus = corpus_of(rng.choice(LABELS, 60), "s", "train")
        words = rng.choice(["low", "mid", "high"], 60)
        tokens = pd.DataFrame({"energy": words}, index=corpus.table.index)
        found.append(token_information(tokens, corpus)[["information", "information_plugin"]])
    corrected, plugin = pd.concat(found).mean()
    # bias of the plug-in: (3 - 1)(3 - 1) / (2 * 60 * ln 2) = .048 bit
    assert plugin == pytest.approx(0.048, abs=0.012)
    assert abs(corrected) < 0.012


def test_balance_counts_every_word_everywhere(corpus):
    """Shares are pandas' and sum to 1; a word missing in one partition has the share 0 there."""
    words = np.where(corpus.table["partition"] == "test", "low", "high")
    tokens = pd.DataFrame({"pitch": words}, index=corpus.table.index)
    table = token_balance(tokens, corpus).set_index(["partition", "word"])["share"]
    assert table.to_dict() == {
        ("train", "low"): 0,
        ("train", "high"): 1,
        ("dev", "low"): 0,
        ("dev", "high"): 1,
        ("test", "low"): 1,
        ("test", "high"): 0,
    }


def test_words_keep_their_order():
    """Tables and figures run from low to high, never in the order of the alphabet."""
    frame = pd.DataFrame({"pitch": ["very high", "mid", "unknown", "low", "high", "very low"]})
    expected = ["very low", "low", "mid", "high", "very high", "unknown"]
    assert ordered_words(frame) == expected


def test_stability_equals_refitting_by_hand(corpus, values):
    """Each row is what fit_bins finds when the speaker is really not in the corpus."""
    concepts = [Concept("energy", {"loud": 1}), Concept("pitch", {"low": -1, "none": 1})]
    values = values.fillna(0)
    table = threshold_stability(values, corpus, concepts=concepts).set_index(
        ["left_out", "concept"]
    )
    assert len(table) == 5 * 2
    assert (table.loc["nobody", "changed"] == 0).all()
    test = corpus.rows("test").index
    whole = fit_bins(values, corpus, concepts=concepts).transform(values).loc[test]
    without = corpus.with_table(corpus.table[corpus.table["speaker"] != "s2"])
    refitted = fit_bins(values.loc[without.table.index], without, concepts=concepts)
    changed = (refitted.transform(values).loc[test] != whole).mean()
    for concept in ("energy", "pitch"):
        found = table.loc[("s2", concept)]
        assert found[["threshold_1", "threshold_2"]].tolist() == list(refitted.thresholds[concept])
        assert found["changed"] == pytest.approx(changed[concept])
    assert table["changed"].max() > 0


def test_stability_takes_the_options_of_fit_bins(corpus, values):
    """Five bins have four edges; centring by speaker works where a speaker is left out."""
    options = {"bins": 5, "centre": "speaker", "concepts": [Concept("energy", {"loud": 1})]}
    table = threshold_stability(values.fillna(0), corpus, **options)
    assert {f"threshold_{n}" for n in range(1, 5)} <= set(table)


def test_stability_needs_two_training_speakers(corpus, values):
    """Leaving out the only training speaker leaves nothing to fit."""
    alone = corpus.with_table(corpus.table[corpus.table["speaker"].isin(["s0", "s5"])])
    with pytest.raises(InputError, match="found 1 training speakers"):
        threshold_stability(values.loc[alone.table.index], alone)


def test_redundancy_is_spearman(values):
    """Scipy's rank correlation on the rows where both are known."""
    table = redundancy(values)
    both = values[["loud", "low"]].dropna()
    expected = spearmanr(both["loud"], both["low"]).statistic
    assert table.loc["loud", "low"] == pytest.approx(expected)
    np.testing.assert_allclose(np.diag(table), 1)
