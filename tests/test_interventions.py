"""Conditions: invariants of what is done to the tokens."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sercue.concepts import WORDS
from sercue.errors import InputError
from sercue.interventions import (
    Condition,
    condition_names,
    derangement,
    parse_condition,
    parse_conditions,
)

CONCEPTS = ["energy", "pitch", "dynamics", "brightness", "formants", "voice quality"]
ALL = ["none", "aligned", "shuffled", "conflicting", "corrupted(0.3)", "corrupted(1)"]


def random_tokens(rows, seed=0, words=WORDS[3], unknown=0.1):
    generator = np.random.default_rng(seed)
    table = generator.choice(words, size=(rows, len(CONCEPTS))).astype(object)
    table[generator.random(table.shape) < unknown] = "unknown"
    return pd.DataFrame(table, [f"u{i}" for i in range(rows)], CONCEPTS)


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
        parse_condition("shuffled").apply(random_tokens(1), WORDS[3], seed=0)


@given(st.sampled_from(ALL), st.integers(2, 30), st.sampled_from([3, 5]), st.integers(0, 99))
def test_every_condition_keeps_the_shape_and_leaves_its_input_alone(name, rows, bins, seed):
    tokens = random_tokens(rows, seed, WORDS[bins])
    before = tokens.copy()
    shown = parse_condition(name).apply(tokens, WORDS[bins], seed=seed)
    pd.testing.assert_frame_equal(tokens, before)
    if name == "none":
        assert shown is None
    else:
        assert shown.index.equals(tokens.index)
        assert shown.columns.equals(tokens.columns)
        assert set(np.unique(shown.to_numpy().astype(str))) <= {*WORDS[bins], "unknown"}


@given(st.sampled_from(ALL[1:]), st.integers(0, 99))
def test_a_seed_and_a_replicate_decide_the_tokens(name, seed):
    condition = parse_condition(name)
    tokens = random_tokens(30)
    first, again, other = (
        condition.apply(tokens, WORDS[3], seed=seed, replicate=replicate) for replicate in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert first.equals(other) == (not condition.stochastic)


@given(st.integers(2, 40), st.integers(0, 99))
def test_shuffled_keeps_the_multiset_of_rows(rows, seed):
    tokens = random_tokens(rows, seed)
    shown = parse_condition("shuffled").apply(tokens, WORDS[3], seed=seed)
    assert sorted(map(tuple, shown.to_numpy())) == sorted(map(tuple, tokens.to_numpy()))


def test_shuffled_gives_nobody_their_own_row():
    """With rows that are all different, a derangement must move each of them."""
    tokens = pd.DataFrame({"energy": [f"row {i}" for i in range(50)]})
    shown = parse_condition("shuffled").apply(tokens, WORDS[3], seed=3)
    assert (shown["energy"] != tokens["energy"]).all()


@given(st.sampled_from([3, 5]), st.integers(0, 99))
def test_conflicting_twice_keeps_extremes(bins, seed):
    words = WORDS[bins]
    tokens = random_tokens(40, seed, words)
    conflicting = parse_condition("conflicting")
    once = conflicting.apply(tokens, words, seed=seed)
    twice = conflicting.apply(once, words, seed=seed)
    outer = tokens.isin([words[0], words[-1]])
    assert (twice == tokens).to_numpy()[outer.to_numpy()].all()
    assert (once != tokens).to_numpy()[outer.to_numpy()].all()


def test_conflicting_sends_the_middle_to_both_extremes_and_keeps_unknown():
    tokens = pd.DataFrame({"pitch": ["mid"] * 400, "energy": ["unknown"] * 400})
    shown = parse_condition("conflicting").apply(tokens, WORDS[3], seed=0)
    assert (shown["energy"] == "unknown").all()
    low = int((shown["pitch"] == "low").sum())
    assert low + (shown["pitch"] == "high").sum() == 400
    assert stats.binomtest(low, 400).pvalue > 0.001


@pytest.mark.parametrize("probability", [0, 0.25, 0.5, 0.75, 1])
def test_corrupted_changes_the_share_it_says(probability):
    """The number of changed tokens is binomial; it must lie within its central 99.9 %."""
    tokens = random_tokens(500, unknown=0.05)
    shown = parse_condition(f"corrupted({probability})").apply(tokens, WORDS[3], seed=0)
    changed, cells = int((shown != tokens).to_numpy().sum()), tokens.size
    low, high = stats.binom.interval(0.999, cells, probability)
    if probability in (0, 1):
        assert changed == cells * probability
    else:
        assert low <= changed <= high


def test_corrupted_draws_the_other_bins_equally_often():
    tokens = pd.DataFrame({"pitch": ["low"] * 3000})
    shown = parse_condition("corrupted(1)").apply(tokens, WORDS[3], seed=0)
    counts = shown["pitch"].value_counts()
    assert set(counts.index) == {"mid", "high"}
    assert stats.chisquare(counts).pvalue > 0.001


def test_a_stronger_corruption_contains_a_weaker_one():
    """Shared random numbers make the dose-response curve a comparison of like with like."""
    tokens = random_tokens(100)
    weak, strong = (
        parse_condition(f"corrupted({p})").apply(tokens, WORDS[3], seed=0) for p in (0.25, 0.75)
    )
    hit = weak != tokens
    assert (strong[hit] == weak[hit]).to_numpy()[hit.to_numpy()].all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("algned", "unknown condition 'algned': did you mean 'aligned'"),
        ("corrupted", "valid is corrupted(p) with p from 0 to 1"),
        ("corrupted(2)", "valid is corrupted(p) with p from 0 to 1"),
        ("corrupted(nan)", "valid is corrupted(p) with p from 0 to 1"),
        ("corrupted(half)", "valid is corrupted(p) with p from 0 to 1"),
        ("aligned(1)", "aligned takes no parameter"),
        ("", "unknown condition ''"),
        ("corrupted(.5))", "unknown condition"),
    ],
)
def test_a_bad_condition_is_named(text, message):
    with pytest.raises(InputError) as error:
        parse_condition(text)
    assert message in str(error.value)


def test_a_list_of_conditions_must_name_each_once():
    with pytest.raises(InputError, match="stands twice"):
        parse_conditions(["corrupted(0.5)", "corrupted(.50)"])
    with pytest.raises(InputError, match="found none, valid are none, aligned"):
        parse_conditions([])


@given(st.floats(0, 1))
def test_the_canonical_name_of_a_dose_reads_back(dose):
    name = parse_condition(f"corrupted({dose!r})").name
    again = parse_condition(name)
    assert again.name == name
    assert math.isclose(float(name[10:-1]), dose, rel_tol=1e-5, abs_tol=1e-12)


def test_a_condition_of_ones_own_takes_a_few_lines():
    """What the documentation promises to a user in a notebook."""

    def all_low(tokens, words, generator):
        return tokens.map(lambda word: words[0])

    mine = Condition("all low", "every token low", False, all_low, "all low")
    shown = parse_conditions(["none", mine])[1].apply(random_tokens(3), WORDS[3], seed=0)
    assert (shown == "low").all().all()
    assert "corrupted(p)" in condition_names()
