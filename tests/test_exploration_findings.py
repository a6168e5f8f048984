"""The sentences of notebooks 01 and 02 say what their tables say, and no more."""

import numpy as np
import pandas as pd
import pytest

from sercue.corpora.corpus import example_corpus
from sercue.tables.findings import binning_findings, corpus_findings

SCORES = pd.DataFrame({"energy": [1.0, np.nan], "pitch": [1.0, 2.0]})
COMPONENTS = pd.DataFrame({"emotion": [0.6, 0.1], "speaker": [0.1, 0.7]}, index=["energy", "pitch"])


def designs(names, uars):
    columns = {"tokens_uar": uars, "tokens_se": 0.02, "functionals_uar": 0.9}
    return pd.DataFrame(columns, index=names)


def tables():
    balance = pd.DataFrame(
        [("energy", "test", "low", 0.7), ("energy", "train", "low", 0.9)],
        columns=["concept", "partition", "word", "share"],
    )
    information = pd.DataFrame({"concept": ["energy"], "partition": "test", "information": 0.4})
    stability = pd.DataFrame(
        {"left_out": ["nobody", "s0"], "concept": "energy", "changed": [0.0, 0.05]}
    )
    return balance, information, stability


def test_the_corpus_findings_are_the_tables():
    """Numbers of each sentence, counted by hand."""
    effects = pd.DataFrame(
        {"q": [0.01, 0.2, np.nan], "omega_squared": [0.3, 0.1, np.nan], "speakers": [8, 8, 0]},
        index=["loudness", "jitter", "still"],
    )
    clusters = pd.DataFrame({"cluster": [1, 1, 1, 2]}, index=list("abcd"))
    agreement = pd.DataFrame(
        {
            "utterances": [50, 50], "bias": [-0.2, np.nan], "low": [-1.0, np.nan],
            "high": [0.6, np.nan], "gross": [0.02, np.nan], "rank_correlation": [0.99, 0.7],
        },
        index=["F0", "HNR"],
    )  # fmt: skip
    found = {"effects": effects, "clusters": clusters, "agreement": agreement}
    text = " ".join(corpus_findings(example_corpus(), COMPONENTS, SCORES, **found))
    assert "1 utterances have at least one concept that could not be measured" in text
    assert "1 of 2 functionals differ" in text
    assert "tested over 8 speakers; most of all loudness (ω² = 0.30)" in text
    assert "Energy varies most with emotion (60% of its variance), pitch least (10%)" in text
    assert (
        "Pitch varies most with the speaker (70% of its variance, against 10% with emotion)" in text
    )
    assert (
        "the 4 functionals form 2 clusters, the largest of 3; 1 functionals are in a cluster"
        in text
    )
    assert "by −0.20 semitones on average" in text
    assert "2% of 50 utterances differ by more than half an octave" in text
    assert "rank correlation is 0.70" in text


def test_nothing_is_said_of_shares_that_cannot_be_estimated():
    """A corpus in which every speaker has one emotion only."""
    text = " ".join(corpus_findings(example_corpus(), COMPONENTS * np.nan, SCORES))
    assert "In no concept can the emotion and the speaker be told apart." in text
    assert "%" not in text


@pytest.mark.parametrize("folded", [False, True])
def test_the_best_design_is_named_with_what_it_may_be_used_for(folded):
    """In a cross-validation every speaker is evaluated; elsewhere none of these was."""
    corpus = example_corpus()
    if folded:
        table = corpus.table.assign(partition="test", fold=corpus.table["speaker"])
        corpus = corpus.with_table(table)
    compared = designs(["3 quantile", "5 width"], [0.5, 0.6])
    own = designs(["3 quantile"], [0.4])
    *_, result, best = binning_findings(*tables(), compared, own, SCORES, corpus, "test")
    assert "UAR 0.400 from the words of the design of this study (3 quantile)" in result
    assert "0.900 from all functionals" in result
    assert "of 2 designs “5 width” has the highest UAR (0.600, standard error 0.020)" in best
    assert "that of this study has 0.500" in best
    assert ("has seen them" in best) == folded
    assert best.startswith("Out of fold" if folded else "On held-out training speakers")


def test_the_study_that_has_the_best_design_is_not_compared_with_itself():
    compared = designs(["3 quantile", "5 width"], [0.7, 0.6])
    own = designs(["3 quantile"], [0.4])
    best = binning_findings(*tables(), compared, own, SCORES, example_corpus(), "test")[-1]
    assert "that of this study" not in best
