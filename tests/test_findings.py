"""Sentences from numbers never say more than the numbers do."""

import pandas as pd
import pytest

from sercue.corpora.corpus import example_corpus
from sercue.tables.findings import (
    corpus_findings,
    prompting_findings,
    study_findings,
    use_of_tokens,
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
        ("aligned", "none", *gain, speakers, holm_p, "primary"),
        ("shuffled", "aligned", -0.2, -0.3, -0.1, speakers, 0.01, "family"),
        ("shuffled", "none", -0.1, -0.25, 0.05, speakers, 0.3, "family"),
    ]
    columns = ["condition", "reference", "difference", "low", "high", "speakers", "holm_p", "step"]
    return pd.DataFrame(rows, columns=columns).assign(decided_by=["flips", "t", "t"])


@pytest.mark.parametrize(
    ("gain", "holm_p", "said"),
    [
        ((0.1, 0.02, 0.2), 0.01, "aligned tokens raise UAR (p = .010, sign flips)"),
        ((-0.1, -0.2, -0.02), 0.0004, "aligned tokens lower UAR (p < .001, sign flips)"),
        ((0.1, 0.02, 0.2), 0.17, "inconclusive (p = .170, sign flips)"),
        ((0.1, -0.02, 0.2), 0.031, "aligned tokens raise UAR (p = .031, sign flips)"),
        ((0.1, 0.1, 0.1), 0.5, "inconclusive (p = .500, sign flips)"),
    ],
)
def test_the_verdict_follows_the_corrected_p_value(gain, holm_p, said):
    """Never the interval, which is uncorrected and may belong to another test."""
    text = study_findings(MEASURES, contrasts(gain, holm_p=holm_p), 4)[0]
    difference = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gain)
    difference = difference.replace("-", "−").replace("0.", ".")
    assert f"The difference is {difference}: {said}." in text
    assert ("All other differences of this study are therefore exploratory." in text) == (
        "inconclusive" in said
    )


def pair(condition, reference, difference, holm_p):
    low, high = difference - 0.01, difference + 0.01
    names = {"condition": condition, "reference": reference, "holm_p": holm_p}
    return names | {"difference": difference, "low": low, "high": high}


#: Of a model that reacts to a block, and not to a word of it.
BLIND = [
    pair("aligned", "none", 0.1, 0.001),
    pair("shuffled", "aligned", 0.0, 1.0),
    pair("masked(1)", "aligned", 0.001, 0.9),
    pair("constant", "aligned", 0.0, 1.0),
    pair("shuffled", "none", 0.1, 0.001),
    pair("masked(1)", "none", 0.1, 0.0009),
    pair("constant", "none", 0.1, 0.001),
]


def test_a_gain_from_the_presence_of_a_block_is_no_use_of_its_content():
    """Own tokens against those of others and two empty blocks, then these against none."""
    use, content, of_constant, presence, of_middle_words = use_of_tokens(pd.DataFrame(BLIND))
    assert use.startswith("Use: UAR with own tokens against those of another utterance")
    assert "(aligned − shuffled): +.000 [−.010, +.010]; " in use
    assert use.endswith("; inconclusive (Holm-corrected p = 1.000).")
    assert "(aligned − masked(1)): −.001 [−.011, +.009]; inconclusive" in content
    assert "(aligned − constant): +.000 [−.010, +.010]; inconclusive" in of_constant
    assert "(masked(1) − none): +.100 [+.090, +.110]; " in presence
    assert presence.endswith("; a block without content raises UAR (Holm-corrected p < .001).")
    assert "without content, or its middle words, raises UAR" in of_middle_words


def test_content_is_used_where_own_tokens_do_better_than_those_of_others():
    rows = [pair("shuffled", "aligned", -0.2, 0.01), pair("constant", "aligned", -0.1, 0.02)]
    use, content = use_of_tokens(pd.DataFrame(rows))
    assert "+.200 [+.190, +.210]; the model uses what the tokens say" in use
    assert "(aligned − constant): +.100" in content
    assert content.endswith("what the tokens say raises UAR (Holm-corrected p = .020).")


def test_the_headline_tells_what_the_model_was_trained_on():
    """It is what the summaries of both notebooks begin with."""
    training = "IEMOCAP is listed among the training data."
    assert study_findings(MEASURES, contrasts(), 4, training)[0].endswith(f". {training}")


def test_the_numbers_are_those_of_the_tables():
    text = " ".join(study_findings(MEASURES, contrasts(), 4))
    assert ".500 [.400, .600] with the audio alone" in text
    assert ".600 [.500, .700] with aligned tokens (beside it: chance .250)" in text
    assert "+.100 [+.020, +.200]" in text
    assert (
        "Against aligned tokens, UAR under 1 perturbed conditions is, after Holm's correction "
        "(intervals are not corrected): lower for 1 (shuffled −.200 [−.300, −.100]); higher for "
        "0; inconclusive for 0."
    ) in text
    assert "inconclusive for 1 (shuffled −.100 [−.250, +.050])." in text


def test_a_baseline_is_not_taken_for_a_collapse():
    """The majority classifier answers one class by construction; it is no condition."""
    text = study_findings(MEASURES, contrasts(), 4)[-1]
    assert "most concentrated under shuffled, where neutral is 55\u202f% of them" in text


def test_a_study_without_none_or_aligned_says_what_it_can():
    only = MEASURES[MEASURES["condition"] == "shuffled"]
    assert study_findings(only, contrasts().iloc[:0], 4)[-1].startswith("Answers are most")


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
    assert "no wording may be chosen by these numbers" in first


def test_what_is_left_out_is_said_and_folds_are_named():
    """Three folds of one speaker with four utterances each; one utterance is left out."""
    corpus = in_folds(CORPUS)
    lost = pd.DataFrame({"reason": "silence", "detail": ""}, index=corpus.table.index[:1])
    tokens = pd.DataFrame({"energy": "high"}, index=corpus.table.index[1:])
    variance = pd.DataFrame({"emotion": [0.5], "speaker": [0.1]}, index=["energy"])
    text = corpus_findings(corpus.without(lost), variance, tokens)[0]
    assert text.startswith("11 utterances in 2 classes: fold s0 3 utterances of 1 speaker, fold s1")
    assert "No speaker is in two folds. Not used: 1 further utterance;" in text


def test_prompting_findings_are_counted_by_hand():
    """Two of four agree, one of four is invalid, a quarter of the probability is on labels."""
    both = tried(["score", "generate"])
    where, wide, invalid, same, mass = prompting_findings(SENSITIVITY, both, CORPUS, "dev")
    assert where == "The prompts were tried on 4 utterances of the dev partition."
    assert "UAR varies most under aligned: from .300 to .600" in wide
    assert invalid.startswith(
        "25.0\u202f% of the 4 generated answers are invalid (names no label: 1)"
    )
    assert "50.0\u202f%" in same
    assert "25.0\u202f% of the probability" in mass


def test_without_likelihoods_nothing_is_said_of_them():
    """A server may only write answers: then neither agreement nor mass is known."""
    *_, last = sentences = prompting_findings(SENSITIVITY, tried(["generate"]), CORPUS, "dev")
    assert len(sentences) == 4
    assert last == "The server of the model returns no likelihoods of labels."


def test_invalid_answers_are_told_where_there_are_any():
    table = MEASURES.assign(invalid_rate=[0.0, 0.02, 0.125, 0.0])
    text = " ".join(study_findings(table, contrasts(), 4))
    assert "from 0.0\u202f% to 12.5\u202f% (shuffled)" in text
    assert "invalid" not in " ".join(study_findings(MEASURES, contrasts(), 4))
