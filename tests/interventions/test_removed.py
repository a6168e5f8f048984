"""Conditions that take concepts out of the token block."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from made_material import CONCEPTS, SUBSETS, random_tokens

from sercue.plots.style import condition_palette
from sercue.tokens.catalogue import parse_condition
from sercue.tokens.concepts import WORDS
from sercue.tokens.condition import Material

SOME = st.lists(st.sampled_from(CONCEPTS), min_size=1, max_size=5, unique=True)


@given(SOME)
def test_only_and_without_show_true_tokens_in_their_order(chosen):
    """What one shows the other leaves out; nothing that is shown is changed."""
    tokens = random_tokens(8)
    listed = " + ".join(chosen)
    kept, left = (
        parse_condition(f"{family}({listed})").show(Material(tokens, WORDS[3]), seed=0)
        for family in ("only", "without")
    )
    pd.testing.assert_frame_equal(kept, tokens[[c for c in CONCEPTS if c in chosen]])
    pd.testing.assert_frame_equal(left, tokens[[c for c in CONCEPTS if c not in chosen]])


def test_every_subset_of_the_concepts_can_be_asked_for():
    """Shapley values need all 64: so many different sets of columns are all there are of six."""
    tokens = random_tokens(2)
    shown = [parse_condition(name).show(Material(tokens, WORDS[3]), seed=0) for name in SUBSETS]
    sets = [frozenset(() if table is None else table) for table in shown]
    assert len(set(sets)) == 64
    assert [len(one) for one in sets] == sorted(len(one) for one in sets)


def test_single_concepts_and_pairs_can_be_told_apart_in_a_figure():
    names = [name for name in SUBSETS if name.startswith("only") and name.count("+") < 2]
    palette = condition_palette(names)
    assert len(names) == 21
    assert len(set(palette.values())) > 18
