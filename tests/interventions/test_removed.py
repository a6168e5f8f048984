"""Conditions that hide concepts of the token block."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_material import CONCEPTS, SUBSETS, random_tokens

from sercue.corpora.corpus import example_corpus
from sercue.plots.style import condition_palette
from sercue.study.plan import plan_study
from sercue.tokens.catalogue import parse_condition
from sercue.tokens.concepts import WORDS
from sercue.tokens.condition import Material
from sercue.tokens.prompts import TEMPLATES

SOME = st.lists(st.sampled_from(CONCEPTS), min_size=1, max_size=5, unique=True)


@given(SOME)
def test_only_and_without_show_true_tokens_and_hide_the_others(chosen):
    """What one shows the other hides, column by column; the block keeps all columns in order."""
    tokens = random_tokens(8)
    listed = " + ".join(chosen)
    kept, left = (
        parse_condition(f"{family}({listed})").show(Material(tokens, WORDS[3]), seed=0)
        for family in ("only", "without")
    )
    for concept in CONCEPTS:
        shown, hidden = (kept, left) if concept in chosen else (left, kept)
        assert shown[concept].tolist() == tokens[concept].tolist()
        assert hidden[concept].tolist() == ["unknown"] * 8
    assert list(kept) == list(left) == CONCEPTS


def test_every_subset_of_the_concepts_can_be_asked_for():
    """Shapley values need all 64: so many different sets of words are all there are of six."""
    tokens = random_tokens(2, unknown=0)
    shown = [parse_condition(name).show(Material(tokens, WORDS[3]), seed=0) for name in SUBSETS]
    sets = [frozenset(table.columns[(table == tokens).all()]) for table in shown]
    assert len(set(sets)) == 64
    assert [len(one) for one in sets] == sorted(len(one) for one in sets)


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_prompts_of_single_concepts_name_all_concepts(template):
    """The block has one form, whatever the subset: only the words in it differ."""
    corpus = example_corpus(speakers=2, utterances=1)
    tokens = random_tokens(2, unknown=0).set_axis(corpus.table.index)
    names = ["masked(1)", "only(PITCH)", "without(PITCH)", "aligned"]
    plan = plan_study(corpus, tokens, conditions=names, templates=[template])
    for name, text in zip(plan["condition"], plan["text"], strict=True):
        assert all(concept in text for concept in CONCEPTS)
        hidden = {"masked(1)": 6, "only(PITCH)": 5, "without(PITCH)": 1, "aligned": 0}
        assert text.count("unknown") == hidden[name]


def test_single_concepts_and_pairs_can_be_told_apart_in_a_figure():
    names = [name for name in SUBSETS if name.startswith("only") and name.count("+") < 2]
    palette = condition_palette(names)
    assert len(names) == 21
    assert len(set(palette.values())) > 18
