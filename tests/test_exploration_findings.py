"""The sentences of notebooks 01 and 02 say what their tables say, and no more."""

import numpy as np
import pandas as pd
import pytest
from made_material import confounded_corpus

from sercue.corpora.corpus import example_corpus
from sercue.statistics.designs import token_balance, token_information
from sercue.statistics.effects import emotion_effects, variance_components
from sercue.tables.findings import binning_findings, corpus_findings
from sercue.tables.limits import limits
from sercue.tokens.schemes import read_scheme

SCORES = pd.DataFrame({"energy": [1.0, np.nan], "pitch": [1.0, 2.0]})
TOKENS = pd.DataFrame({"energy": ["high", "unknown"], "quality": ["MODAL", "UNVOICED"]})
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
    found = {"effects": effects, "clusters": clusters}
    text = " ".join(corpus_findings(example_corpus(), COMPONENTS, TOKENS, **found))
    assert "1 utterance has at least one concept that could not be measured" in text
    assert "1 of 2 functionals differ" in text
    assert "tested over 8 speakers; most of all loudness (ω² = .30)" in text
    told = "energy varies most with emotion (60\u202f% of its variance, by variance components), "
    assert told + "pitch least (10\u202f%)" in text
    assert "pitch varies most with the speaker (70\u202f% of its variance, against 10" in text
    assert (
        "the 4 functionals form 2 clusters, the largest of 3; 1 functionals are in a cluster"
        in text
    )


AGREEMENT = pd.DataFrame(
    {
        "unit": ["semitones", "Hz", "Hz", "dB"], "utterances": [50, 50, 49, 50],
        "bias": [-0.2, 120.4, -60.0, np.nan], "low": [-1.0, -95.0, -318.0, np.nan],
        "high": [0.6, 350.0, 198.0, np.nan], "rank_correlation": [0.99, 0.8, 0.4, 0.7],
        "gross": [0.1, 0.36, 0.0, np.nan],
    },
    index=["F0", "F1", "F2", "HNR"],
)  # fmt: skip


def agreement_text(agreement, scheme):
    concepts = read_scheme(scheme).concepts
    found = {"agreement": agreement, "concepts": concepts}
    return " ".join(corpus_findings(example_corpus(), COMPONENTS, TOKENS, **found))


@pytest.mark.parametrize(("scheme", "concept"), [("paper", "FORMANTS"), ("sercue", "formants")])
def test_weak_agreement_is_said_of_the_tokens_that_rest_on_it(scheme, concept):
    """F1 has many gross errors, F2 a low correlation; F0 and HNR are on the edge, and not below.

    F3, which the formants are made of, too, was not compared here.
    """
    text = agreement_text(AGREEMENT, scheme)
    assert "with Praat on 49 to 50 utterances" in text
    assert "F0 (ρ = .99, bias −0.20 [−1.00, +0.60] semitones, 10\u202f% gross); F1 (ρ = .80" in text
    assert "bias +120 [−95, +350] Hz, 36\u202f% gross); F2 (ρ = .40" in text
    assert "HNR (ρ = .70)." in text
    assert "more than 10\u202f% gross errors) for F1, F2." in text
    assert f"The tokens of {concept} rest partly on F1, F2, on which two standard" in text
    assert text.count("The tokens of") == 1


def test_what_rests_partly_on_weak_agreement_is_told_apart():
    """Voice quality is made of HNR, jitter and shimmer; pitch is made of F0 alone."""
    text = agreement_text(AGREEMENT.assign(rank_correlation=0.6), "sercue")
    assert "The tokens of voice quality rest partly on HNR, on which" in text
    assert "The tokens of pitch rest on F0, on which" in text
    assert "The tokens of energy" not in text


def test_where_all_agree_no_token_is_doubted():
    text = agreement_text(AGREEMENT.loc[["F0", "HNR"]], "paper")
    assert "gross errors) for none of them." in text
    assert "The tokens of" not in text


def test_no_agreement_is_made_up_of_two_utterances():
    """Of fewer than three there is no correlation: neither weak nor good."""
    unknown = AGREEMENT.assign(rank_correlation=np.nan, gross=np.nan)
    text = agreement_text(unknown, "paper")
    assert "openSMILE cannot be compared with Praat" in text
    assert "weak" not in text


def test_utterances_of_few_voiced_frames_are_counted():
    """Below ten: 0, 4 and 9. One that is too short to have frames is missing, not without voice."""
    frames = pd.Series([0.0, 4.0, 9.0, 10.0, 120.0, np.nan])
    text = corpus_findings(example_corpus(), COMPONENTS, TOKENS, voiced_frames=frames)[2]
    assert text.startswith("3 utterances have fewer than 10 voiced frames (1 with none): ")
    assert "consider dropping them" in text
    enough = corpus_findings(example_corpus(), COMPONENTS, TOKENS, voiced_frames=frames[3:])[2]
    assert enough == "No utterance has fewer than 10 voiced frames."


def test_nothing_is_said_of_shares_that_cannot_be_estimated():
    """A corpus in which every speaker has one emotion only."""
    text = " ".join(corpus_findings(example_corpus(), COMPONENTS * np.nan, TOKENS))
    assert "due to the emotion and which to the speaker cannot be estimated: too few" in text
    assert "% of its variance" not in text


def test_of_a_confounded_corpus_nothing_is_claimed_that_speakers_may_have_made():
    """Scores of each speaker's voice alone: the confounding comes first, the limits last."""
    corpus = confounded_corpus(crossed=3)
    rng = np.random.default_rng(0)
    voice = pd.factorize(corpus.table["speaker"])[0]
    scores = pd.DataFrame(
        rng.normal(size=(29, 2))[voice] + 0.3 * rng.normal(size=(400, 2)),
        corpus.table.index,
        ["pitch", "dynamics"],
    )
    tokens = scores.gt(0).replace({True: "high", False: "low"})
    found = {"effects": emotion_effects(scores, corpus)}
    told = corpus_findings(corpus, variance_components(scores, corpus), tokens, **found)
    assert told[0] == limits(corpus)[0]
    assert told[0].startswith("Emotion and speaker are confounded: 26 of 29 speakers have")
    assert told[-len(limits(corpus)) + 1 :] == limits(corpus)[1:]
    text = " ".join(told)
    assert "functionals differ between the emotions cannot be tested: the number of speakers" in (
        text
    )
    for claim in ("varies most with", "functionals differ between the emotions at", "ω²"):
        assert claim not in text
    balance, information = token_balance(tokens, corpus), token_information(tokens, corpus)
    told = binning_findings(balance, information, None, None, None, scores, corpus, "test")
    assert told[0] == limits(corpus)[0]
    assert "How much a token tells about the emotion is not given" in told[2]
    assert "bits" not in " ".join(told)


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
    assert "UAR .400 from the words of the design of this study (3 quantile)" in result
    assert ".900 from all functionals" in result
    assert "of 2 designs “5 width” has the highest UAR (.600, standard error .020)" in best
    assert "that of this study has .500" in best
    assert ("has seen them" in best) == folded
    assert best.startswith("Out of fold" if folded else "On held-out training speakers")


def test_the_study_that_has_the_best_design_is_not_compared_with_itself():
    compared = designs(["3 quantile", "5 width"], [0.7, 0.6])
    own = designs(["3 quantile"], [0.4])
    best = binning_findings(*tables(), compared, own, SCORES, example_corpus(), "test")[-1]
    assert "that of this study" not in best
