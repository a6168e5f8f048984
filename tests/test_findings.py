"""Sentences from numbers never say more than the numbers do."""

import pandas as pd
import pytest

from sercue.corpora.corpus import example_corpus
from sercue.tables.findings import (
    corpus_findings,
    direction,
    format_prior_finding,
    prompting_findings,
    study_findings,
)

MEASURES = pd.DataFrame(
    {
        "condition": ["none", "aligned", "shuffled", "majority class"],
        "uar": [0.5, 0.6, 0.4, 0.25],
        "uar_low": [0.4, 0.5, 0.3, 0.25],
        "uar_high": [0.6, 0.7, 0.5, 0.25],
        "entropy": [0.9, 0.95, 0.8, 0.0],
        "commonest": ["sad", "sad", "neutral", "sad"],
        "commonest_share": [0.4, 0.3, 0.55, 1.0],
        "invalid_rate": [0.0, 0.0, 0.0, 0.0],
        "baseline": [False, False, False, True],
    }
)


def contrasts(gain=(0.1, 0.02, 0.2), speakers=30, holm_p=0.01):
    rows = [
        ("aligned", "none", *gain, speakers, holm_p),
        ("shuffled", "aligned", -0.2, -0.3, -0.1, speakers, 0.01),
        ("shuffled", "none", -0.1, -0.25, 0.05, speakers, 0.3),
    ]
    columns = ["condition", "reference", "difference", "low", "high", "speakers", "holm_p"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.1, 0.02, 0.2), "the model makes use of the cues"),
        ((-0.1, -0.2, -0.02), "the cues in the prompt harm the model"),
        ((0.1, -0.02, 0.2), "this is inconclusive, since the interval includes zero"),
        ((0.1, 0.0, 0.2), "this is inconclusive, since the interval includes zero"),
    ],
)
def test_the_verdict_follows_the_interval_and_not_the_estimate(gain, said):
    text = " ".join(study_findings(MEASURES, contrasts(gain), 4))
    assert said in text
    verdicts = ("makes use", "harm the model", "this is inconclusive")
    assert sum(verdict in text for verdict in verdicts) == 1


def prior(*rows):
    """Perturbed tokens against the audio alone: condition, difference, its ends, Holm's p."""
    table = pd.DataFrame(rows, columns=["condition", "difference", "low", "high", "holm_p"])
    return table.assign(reference="none")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((0.02, 0.01, 0.03, 0.001), "the same tokens for every utterance help the model"),
        ((-0.02, -0.03, -0.01, 0.001), "this may be an effect of the block or of its words"),
        ((0.02, -0.01, 0.05, 0.2), "this is inconclusive, since the interval includes zero"),
        ((0.02, 0.01, 0.03, 0.08), "but after Holm's correction for 1 contrasts this is inconcl"),
        ((0.02, 0.02, 0.02, 0.0), "Its interval has no width"),
    ],
)
def test_a_format_prior_is_found_no_surer_than_it_is(row, said):
    """What was found first, the difference with its interval, then how sure it is."""
    (sentence,) = format_prior_finding(prior(("constant", *row)))
    difference = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*row[:3]).replace("-", "−")
    assert sentence.startswith("Format prior: under constant every utterance is shown the same")
    assert sentence.index(difference) < sentence.index(said)


def test_conditions_that_keep_something_true_are_not_called_a_format_prior():
    """One above for certain, one before the correction only, one below."""
    constant, rest = format_prior_finding(
        prior(
            ("constant", 0.0, -0.01, 0.01, 0.9),
            ("masked(0.25)", 0.1, 0.05, 0.15, 0.001),
            ("shuffled", 0.02, 0.001, 0.04, 0.06),
            ("conflicting", -0.1, -0.15, -0.05, 0.001),
        )
    )
    assert "inconclusive" in constant
    assert rest.startswith(
        "Of 4 conditions with perturbed tokens, UAR lies above that of the audio alone for 1 "
        "(masked(0.25)) and below it for 1 (conflicting) after Holm's correction within this "
        "family; inconclusive: 2. A gain is a format prior only where the tokens tell nothing"
    )


def test_without_constant_tokens_the_others_are_counted():
    (sentence,) = format_prior_finding(prior(("shuffled", 0.02, -0.01, 0.04, 0.3)))
    assert "for 0 and below it for 0" in sentence
    assert sentence.endswith("inconclusive: 1.")


def test_the_headline_tells_what_the_model_was_trained_on():
    """It is what the summaries of both notebooks begin with."""
    training = "IEMOCAP is listed among the training data."
    assert study_findings(MEASURES, contrasts(), 4, training)[0].endswith(f". {training}")


def test_an_interval_without_width_is_no_evidence():
    """Two speakers who differ by the same: resampled, they cannot differ by anything else."""
    table = contrasts(speakers=2)
    table.loc[2, ["low", "high"]] = -0.1
    against_aligned, against_none = study_findings(MEASURES, table, 4)[1:3]
    assert "below zero for 1 of 1" in against_aligned
    assert "width" not in against_aligned
    assert "below zero for 0 of 1" in against_none
    assert against_none.endswith(
        "That of shuffled has no width, since the few speakers agree by chance, and does not count."
    )


def test_a_gain_without_width_is_no_evidence():
    text = study_findings(MEASURES, contrasts((0.1, 0.1, 0.1), speakers=2), 4)[0]
    assert "is +0.100 [+0.100, +0.100]. Its interval has no width" in text
    assert "makes use" not in text


def test_what_the_correction_takes_back_is_not_claimed():
    """An interval that excludes zero, of a contrast that is not significant in its family."""
    text = study_findings(MEASURES, contrasts(holm_p=0.17), 4)[0]
    assert "excludes zero, but after Holm's correction for 3 contrasts" in text
    assert "(p = 0.170)" in text
    assert "makes use" not in text


def test_the_numbers_are_those_of_the_tables():
    text = " ".join(study_findings(MEASURES, contrasts(), 4))
    assert "0.500 [0.400, 0.600] with the audio alone" in text
    assert "0.600 [0.500, 0.700] with aligned tokens (chance 0.250)" in text
    assert "+0.100 [+0.020, +0.200]" in text
    assert "below zero for 1 of 1 perturbed conditions: shuffled −0.200 [−0.300, −0.100]" in text
    assert "below zero for 0 of 1 perturbed conditions: shuffled −0.100 [−0.250, +0.050]" in text


def test_a_baseline_is_not_taken_for_a_collapse():
    """The majority classifier answers one class by construction; it is no condition."""
    text = study_findings(MEASURES, contrasts(), 4)[-1]
    assert "most concentrated under shuffled, where neutral is 55% of them" in text


def test_a_study_without_none_or_aligned_says_what_it_can():
    only = MEASURES[MEASURES["condition"] == "shuffled"]
    assert study_findings(only, contrasts().iloc[:0], 4)[-1].startswith("Answers are most")


def test_direction_of_an_interval():
    assert [direction(*i) for i in ((0.1, 0.2), (-0.1, 0.1), (-0.2, -0.1), (0.0, 0.1))] == [
        1, 0, -1, 0,
    ]  # fmt: skip


def tried(decodings):
    """Four prompts: two answers alike by both decodings, one unlike, one invalid."""
    predictions = {"score": ["sad"] * 4, "generate": ["sad", "sad", "angry", None]}
    columns = {"utterance": list("abcd"), "condition": "none", "replicate": 0, "template": "plain"}
    tables = [
        pd.DataFrame(columns).assign(
            label_order=0,
            decoding=decoding,
            prediction=predictions[decoding],
            valid=[prediction is not None for prediction in predictions[decoding]],
            why_invalid=[
                None if prediction else "names no label" for prediction in predictions[decoding]
            ],
            label_mass=0.25,
        )
        for decoding in decodings
    ]
    return pd.concat(tables)


SENSITIVITY = pd.DataFrame(
    {"condition": ["none", "none", "aligned", "aligned"], "uar": [0.4, 0.5, 0.3, 0.6]}
)


CORPUS = example_corpus()


def in_folds(corpus):
    table = corpus.table.assign(partition="test", fold=corpus.table["speaker"])
    return corpus.with_table(table)


def test_in_a_cross_validation_no_prompt_may_be_chosen():
    """Every speaker is evaluated: whoever picks a wording by these numbers has seen the test."""
    first, *_ = prompting_findings(SENSITIVITY, tried(["generate"]), in_folds(CORPUS), "test")
    assert "choose no wording by these numbers" in first


def test_what_is_left_out_is_said_and_folds_are_named():
    """Three folds of one speaker with four utterances each; one utterance is left out."""
    corpus = in_folds(CORPUS)
    lost = pd.DataFrame({"reason": "silence", "detail": ""}, index=corpus.table.index[:1])
    scores = pd.DataFrame({"energy": 1.0}, index=corpus.table.index[1:])
    variance = pd.DataFrame({"emotion": [0.5], "speaker": [0.1]}, index=["energy"])
    text = corpus_findings(corpus.without(lost), variance, scores)[0]
    assert text.startswith("11 utterances in 2 classes: fold s0 3 utterances of 1 speaker, fold s1")
    assert "No speaker is in two folds. Not used: 1 further utterance;" in text


def test_prompting_findings_are_counted_by_hand():
    """Two of four agree, one of four is invalid, a quarter of the probability is on labels."""
    both = tried(["score", "generate"])
    where, wide, invalid, same, mass = prompting_findings(SENSITIVITY, both, CORPUS, "dev")
    assert where == "The prompts were tried out on 4 utterances of the dev partition."
    assert "from 0.300 to 0.600 under aligned" in wide
    assert invalid.startswith("25.0% of the 4 generated answers are invalid (names no label: 1)")
    assert "50.0%" in same
    assert "25.0% of the probability" in mass


def test_without_likelihoods_nothing_is_said_of_them():
    """A server may only write answers: then neither agreement nor mass is known."""
    *_, last = sentences = prompting_findings(SENSITIVITY, tried(["generate"]), CORPUS, "dev")
    assert len(sentences) == 4
    assert last == "The model's server gives no likelihoods of labels."


def test_invalid_answers_are_told_where_there_are_any():
    table = MEASURES.assign(invalid_rate=[0.0, 0.02, 0.125, 0.0])
    text = " ".join(study_findings(table, contrasts(), 4))
    assert "from 0.0% to 12.5% (shuffled)" in text
    assert "invalid" not in " ".join(study_findings(MEASURES, contrasts(), 4))
