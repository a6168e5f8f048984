"""Balance and information of tokens against scikit-learn, scipy and theory."""

import audformat
import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from sercue.corpora.corpus import Corpus
from sercue.statistics.designs import occurring_words, token_balance, token_information

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
    table = token_balance(tokens, corpus).set_index(["partition", "word"])
    assert table["share"].to_dict() == {
        ("train", "low"): 0,
        ("train", "mid"): 0,
        ("train", "high"): 1,
        ("dev", "low"): 0,
        ("dev", "mid"): 0,
        ("dev", "high"): 1,
        ("test", "low"): 1,
        ("test", "mid"): 0,
        ("test", "high"): 0,
    }
    assert table.loc["test", "level"].tolist() == [-1, 0, 1]


def test_words_keep_their_order():
    """Tables and figures run from low to high, never in the order of the alphabet."""
    frame = pd.DataFrame({
        "pitch": ["very high", "mid", "unknown", "low", "high", "very low"],
        "BRIGHTNESS": ["BRIGHT", "MID", "DARK", "MID", "VERY_DARK", "MID"],
        "quality": ["CREAKY", "UNVOICED", "MODAL", "MODAL", "MODAL", "MODAL"],
    })  # fmt: skip
    found = {concept: words.each for concept, words in occurring_words(frame).items()}
    assert found == {
        "pitch": ("very low", "low", "mid", "high", "very high"),
        "BRIGHTNESS": ("VERY_DARK", "DARK", "MID", "BRIGHT", "VERY_BRIGHT"),
        "quality": ("MODAL", "BREATHY", "PRESSED", "ROUGH", "CREAKY"),
    }
