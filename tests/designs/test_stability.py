"""Thresholds with a speaker left out: what refitting by hand gives."""

import audformat
import numpy as np
import pandas as pd
import pytest

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.statistics.designs import threshold_stability
from sercue.tokens.binning import fit_bins
from sercue.tokens.concepts import Concept

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
        assert found[["threshold_1", "threshold_2"]].tolist() == list(
            refitted.thresholds[concept][""]
        )
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
