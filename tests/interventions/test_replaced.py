"""Conditions that replace tokens one by one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_material import CONCEPTS, random_tokens
from scipy import stats

from sercue.errors import InputError
from sercue.tokens.catalogue import parse_condition
from sercue.tokens.concepts import WORDS
from sercue.tokens.condition import Material
from sercue.tokens.schemes import read_scheme

BINS = st.sampled_from([3, 5])
SEEDS = st.integers(0, 99)


def shown(name, tokens, words=WORDS[3], **which):
    return parse_condition(name).show(Material(tokens, words), **({"seed": 0} | which))


@given(BINS, SEEDS)
def test_conflicting_twice_keeps_extremes(bins, seed):
    words = WORDS[bins]
    tokens = random_tokens(40, seed, words)
    once = shown("conflicting", tokens, words, seed=seed)
    twice = shown("conflicting", once, words, seed=seed)
    middle = words[bins // 2]
    fixed = (tokens != middle).to_numpy()
    assert (twice == tokens).to_numpy()[fixed].all()
    moved = fixed & (tokens != "unknown").to_numpy()
    assert (once != tokens).to_numpy()[moved].all()
    assert not (once == middle).to_numpy().any()


def test_conflicting_mirrors_five_bins():
    """Typed by hand: the outer ones swapped, the inner ones swapped."""
    tokens = pd.DataFrame({"PITCH": ["very low", "low", "high", "very high"]})
    mirrored = ["very high", "high", "low", "very low"]
    assert shown("conflicting", tokens, WORDS[5])["PITCH"].tolist() == mirrored


def test_conflicting_sends_the_middle_to_both_extremes_and_keeps_unknown():
    tokens = pd.DataFrame({"PITCH": ["mid"] * 400, "ENERGY": ["unknown"] * 400})
    table = shown("conflicting", tokens)
    assert (table["ENERGY"] == "unknown").all()
    low = int((table["PITCH"] == "low").sum())
    assert low + (table["PITCH"] == "high").sum() == 400
    assert stats.binomtest(low, 400).pvalue > 0.001


@given(st.lists(st.sampled_from(CONCEPTS), min_size=1, max_size=5, unique=True), BINS, SEEDS)
def test_flip_changes_its_concepts_alone_and_as_conflicting_does(chosen, bins, seed):
    """So flips of single concepts add up to ``conflicting``, middle bins included."""
    words, tokens = WORDS[bins], random_tokens(20, seed, WORDS[bins])
    table = shown(f"flip({'+'.join(chosen)})", tokens, words, seed=seed)
    conflicting = shown("conflicting", tokens, words, seed=seed)
    others = [concept for concept in CONCEPTS if concept not in chosen]
    pd.testing.assert_frame_equal(table[others], tokens[others])
    pd.testing.assert_frame_equal(table[chosen], conflicting[chosen])
    assert list(table) == CONCEPTS


@pytest.mark.parametrize("family", ["replaced", "masked"])
@pytest.mark.parametrize("probability", [0, 0.25, 0.5, 0.75, 1])
def test_a_dose_changes_the_share_it_says(family, probability):
    """The number of changed tokens is binomial; it must lie within its central 99.9 %.

    ``masked`` cannot change a token that is unknown, so its share is one of the others.
    """
    tokens = random_tokens(500, unknown=0.05)
    table = shown(f"{family}({probability})", tokens)
    able = np.full(tokens.shape, True) if family == "replaced" else (tokens != "unknown").values
    changed = (table != tokens).to_numpy()
    assert not changed[~able].any()
    if probability in (0, 1):
        assert changed.sum() == able.sum() * probability
    else:
        low, high = stats.binom.interval(0.999, able.sum(), probability)
        assert low <= changed.sum() <= high


@given(BINS, SEEDS, st.integers(0, 3))
def test_replaced_never_replaces_a_token_by_itself(bins, seed, replicate):
    tokens = random_tokens(30, seed, WORDS[bins])
    table = shown("replaced(1)", tokens, WORDS[bins], seed=seed, replicate=replicate)
    assert (table != tokens).to_numpy().all()
    assert table.isin(list(WORDS[bins])).to_numpy().all()


@pytest.mark.parametrize("word", [*WORDS[5], "unknown"])
def test_replaced_draws_the_other_words_equally_often(word):
    tokens = pd.DataFrame({"PITCH": [word] * 3000})
    counts = shown("replaced(1)", tokens, WORDS[5])["PITCH"].value_counts()
    assert set(counts.index) == set(WORDS[5]) - {word}
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("word", [*WORDS[5], "unknown"])
def test_corrupted_draws_all_words_equally_often(word):
    """Its own, too, so that tokens are random at 1."""
    tokens = pd.DataFrame({"PITCH": [word] * 3000})
    counts = shown("corrupted(1)", tokens, WORDS[5])["PITCH"].value_counts()
    assert set(counts.index) == set(WORDS[5])
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("probability", [0.25, 1])
def test_corrupted_changes_four_fifths_of_what_it_redraws(probability):
    """Of five words, one in five draws is the token's own: binomial, within its central 99.9 %."""
    tokens = random_tokens(500, words=WORDS[5], unknown=0)
    changed = (shown(f"corrupted({probability})", tokens, WORDS[5]) != tokens).to_numpy().sum()
    low, high = stats.binom.interval(0.999, tokens.size, probability * 4 / 5)
    assert low <= changed <= high


@pytest.mark.parametrize("family", ["corrupted", "replaced", "masked"])
@given(st.floats(0, 1), st.floats(0, 1), SEEDS)
def test_a_larger_dose_contains_a_smaller_one(family, one, other, seed):
    """Shared random numbers make the dose-response curve a comparison of like with like."""
    tokens = random_tokens(20, seed)
    weak, strong = (shown(f"{family}({p!r})", tokens, seed=seed) for p in sorted((one, other)))
    hit = (weak != tokens).to_numpy()
    assert (strong == weak).to_numpy()[hit].all()


@given(st.floats(0, 1), SEEDS)
def test_masked_hides_what_replaced_falsifies(probability, seed):
    """The same tokens, so that a missing cue can be compared with a false one."""
    tokens = random_tokens(20, seed, unknown=0)
    masked, replaced = (
        shown(f"{family}({probability!r})", tokens, seed=seed) for family in ("masked", "replaced")
    )
    pd.testing.assert_frame_equal(masked == "unknown", replaced != tokens)


@pytest.mark.parametrize("bins", [3, 5])
def test_constant_is_the_middle_bin_for_everybody(bins):
    table = shown("constant", random_tokens(20, words=WORDS[bins], unknown=0.3), WORDS[bins])
    assert table.shape == (20, 6)
    assert (table == "mid").to_numpy().all()


def test_constant_needs_a_middle_bin():
    tokens = pd.DataFrame({"PITCH": ["low", "high"]})
    with pytest.raises(InputError, match="found 2 words of concept 'PITCH', valid is an odd"):
        shown("constant", tokens, ("low", "high"))


def test_conflicting_needs_no_middle_bin():
    tokens = pd.DataFrame({"PITCH": ["low", "high"]})
    assert shown("conflicting", tokens, ("low", "high"))["PITCH"].tolist() == ["high", "low"]


def test_doses_that_leave_nothing_to_chance_have_one_replicate():
    """By definition: nothing, or everything, is masked; what replaces a token is still drawn."""
    words = read_scheme().words
    number = {
        name: len(parse_condition(name).replicates(3, words))
        for name in ("masked(0)", "masked(.5)", "masked(1)", "corrupted(0)", "corrupted(1)")
    }
    assert list(number.values()) == [1, 3, 1, 1, 3]
