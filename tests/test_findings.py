"""Sentences from numbers never say more than the numbers do."""

import pandas as pd

from sercue.corpora.corpus import example_corpus
from sercue.tables.findings import corpus_findings, prompting_findings


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
    assert "from .400 to .500 under none and from .300 to .600 under aligned" in wide
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
