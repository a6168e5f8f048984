"""Conditions that show another utterance's tokens: derangements, and draws from training."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_material import numbered_material, random_tokens, training_material
from scipy import stats

from sercue.corpora.corpus import example_corpus
from sercue.errors import InputError
from sercue.tokens.catalogue import parse_condition
from sercue.tokens.changes import derangement
from sercue.tokens.concepts import WORDS
from sercue.tokens.condition import Material

WITHIN = {"shuffled_within_class": "emotions", "shuffled_within_speaker": "speakers"}
GROUPS = st.lists(st.sampled_from("abcd"), min_size=2, max_size=30)


@given(st.integers(2, 40), st.integers(0, 10_000))
def test_a_derangement_moves_everything_and_loses_nothing(size, seed):
    order = derangement(size, np.random.default_rng(seed))
    assert not np.any(order == np.arange(size))
    assert sorted(order) == list(range(size))


def test_derangements_are_uniform():
    """All 9 derangements of 4 elements equally often: a chi-squared test with a fixed seed."""
    generator = np.random.default_rng(1)
    drawn = [tuple(derangement(4, generator)) for _ in range(4500)]
    counts = pd.Series(drawn).value_counts()
    assert len(counts) == 9
    assert stats.chisquare(counts).pvalue > 0.01


def test_one_utterance_cannot_be_shuffled():
    with pytest.raises(InputError, match="at least 2 utterances, found 1"):
        parse_condition("shuffled").show(Material(random_tokens(1), WORDS[3]), seed=0)


@given(st.integers(2, 40), st.integers(0, 99))
def test_shuffled_gives_nobody_their_own_and_keeps_the_multiset(size, seed):
    material = numbered_material(["sad"] * size)
    shown = parse_condition("shuffled").show(material, seed=seed)
    assert (shown != material.tokens).to_numpy().all()
    assert (shown["ENERGY"] == shown["PITCH"]).all(), "an utterance's tokens stay together"
    assert sorted(shown["ENERGY"]) == sorted(material.tokens["ENERGY"])


@pytest.mark.parametrize("name", list(WITHIN))
@given(GROUPS, GROUPS, st.integers(0, 99))
def test_shuffled_within_keeps_the_multiset_of_each_group(name, emotions, speakers, seed):
    """No fixed point, in each class or speaker of two or more, whatever the others are."""
    size = min(len(emotions), len(speakers))
    material = numbered_material(emotions[:size], speakers[:size])
    groups = getattr(material, WITHIN[name])
    if not groups.duplicated().any():
        with pytest.raises(InputError, match="valid is at least one with two utterances"):
            parse_condition(name).show(material, seed=seed)
        return
    shown = parse_condition(name).show(material, seed=seed)["ENERGY"]
    assert (shown != material.tokens["ENERGY"]).all()
    for _, own in material.tokens["ENERGY"].groupby(groups):
        if len(own) > 1:
            assert sorted(shown[own.index]) == sorted(own)


def test_an_utterance_alone_in_its_class_keeps_the_information_of_its_label():
    """Its tokens come from training utterances of its class, and never from the other class."""
    training = training_material(["sad", "sad", "angry"], ["sad 1", "sad 2", "angry 1"])
    material = numbered_material(["angry", "angry", "sad"], ["a"] * 3, training)
    condition = parse_condition("shuffled_within_class")
    shown = [condition.show(material, seed=seed).iloc[2, 0] for seed in range(60)]
    assert set(shown) == {"sad 1", "sad 2"}
    assert condition.remarks(material) == (
        "1 of 3 utterances are alone in their class and cannot be exchanged within it; their "
        "tokens are replaced by those of others: 1 by a training utterance of the same class"
    )


def test_an_utterance_alone_in_its_speaker_gets_those_of_any_other_speaker():
    """No other utterance of that speaker exists; it must still not be shown its own tokens."""
    training = training_material(["sad"], ["trained"])
    material = numbered_material(["sad"] * 4, ["a", "b", "a", "c"], training)
    condition = parse_condition("shuffled_within_speaker")
    shown = [condition.show(material, seed=seed) for seed in range(80)]
    assert {table.iloc[1, 0] for table in shown} == {"token u000", "token u002", "token u003"}
    assert {table.iloc[0, 0] for table in shown} == {"token u002"}
    assert "2 of 4 utterances are alone in their speaker" in condition.remarks(material)
    assert "2 by an evaluated utterance of another speaker" in condition.remarks(material)


def test_groups_without_anyone_alone_need_no_remark():
    material = numbered_material(["sad", "sad", "angry", "angry"])
    assert parse_condition("shuffled_within_class").remarks(material) == ""


def test_an_utterance_is_never_its_own_training_utterance():
    """The training partition may be evaluated; an utterance alone in its class is then in both."""
    corpus = example_corpus(speakers=3, utterances=3)
    tokens = random_tokens(9, unknown=0).set_axis(corpus.table.index)
    tokens.iloc[:3] = [["low"] * 6, ["mid"] * 6, ["high"] * 6]
    material = Material.of_corpus(corpus, tokens, WORDS[3], partition="train")
    assert material.emotions.tolist() == ["angry", "neutral", "angry"]
    condition = parse_condition("shuffled_within_class")
    shown = {condition.show(material, seed=seed).iloc[1, 0] for seed in range(30)}
    assert shown == {"low", "high"}


@given(GROUPS, st.integers(0, 99))
def test_counter_emotion_shows_another_class(emotions, seed):
    """Training tokens that spell their class show which class was drawn."""
    training = training_material(list("aabcd"), list("aabcd"))
    material = numbered_material(emotions, training=training)
    shown = parse_condition("counter_emotion").show(material, seed=seed)
    assert (shown["ENERGY"] != material.emotions).all()
    assert set(shown["ENERGY"]) <= set("abcd")
    assert (shown["ENERGY"] == shown["PITCH"]).all()


def test_counter_emotion_draws_the_other_classes_equally_often():
    """However unequal they are in training: 30 of b, 3 of c, 1 of d for utterances of a."""
    emotions = ["a"] * 5 + ["b"] * 30 + ["c"] * 3 + ["d"]
    material = numbered_material(["a"] * 1500, training=training_material(emotions, emotions))
    counts = parse_condition("counter_emotion").show(material, seed=0)["ENERGY"].value_counts()
    assert set(counts.index) == {"b", "c", "d"}
    assert stats.chisquare(counts).pvalue > 0.001


def test_counter_emotion_draws_from_the_other_folds_of_a_cross_validated_corpus():
    """No utterance of a fold is training material of that fold; tokens here spell the fold."""
    corpus = example_corpus(speakers=3, utterances=8)
    corpus.table["fold"], corpus.table["partition"] = corpus.table["speaker"], "test"
    spelt = dict(zip(("s0", "s1", "s2"), WORDS[3], strict=True))
    tokens = pd.DataFrame({"ENERGY": corpus.table["fold"].map(spelt)})
    material = Material.of_corpus(corpus, tokens, WORDS[3])
    for seed in range(20):
        shown = parse_condition("counter_emotion").show(material, seed=seed)
        assert (shown["ENERGY"] != tokens["ENERGY"]).all()


def test_counter_emotion_draws_from_the_training_partition_alone():
    """Tokens that spell the partition: low trains, mid is for development, high is evaluated."""
    corpus = example_corpus(speakers=3, utterances=8)
    spelt = {"train": "low", "dev": "mid", "test": "high"}
    tokens = pd.DataFrame({"ENERGY": corpus.table["partition"].map(spelt)})
    shown = parse_condition("counter_emotion").show(
        Material.of_corpus(corpus, tokens, WORDS[3]), seed=0
    )
    assert set(shown["ENERGY"]) == {"low"}


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (None, "found no training utterances"),
        (training_material(["sad"], ["t"]), "found no training utterance of another class than"),
        (training_material([], []), "found no training utterance of another class than 'sad'"),
    ],
)
def test_counter_emotion_needs_training_utterances_of_another_class(training, message):
    material = numbered_material(["sad", "sad"], training=training)
    with pytest.raises(InputError) as error:
        parse_condition("counter_emotion").show(material, seed=0)
    assert message in str(error.value)
