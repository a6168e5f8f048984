"""The token tree holds what it was given, no token twice, and splits without losing any."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sercue.models.packed import ROOT, TokenTree, within_budget
from sercue.models.prefix import common_prefix

texts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6)


def planted(given_texts):
    tree = TokenTree()
    return tree, [tree.add(text) for text in given_texts]


@given(texts)
def test_paths_spell_their_texts(given_texts):
    """What is read off a node must hang on its own text: the way from the root, token by token."""
    tree, paths = planted(given_texts)
    for text, path in zip(given_texts, paths, strict=True):
        assert [tree.tokens[node] for node in path] == text
        assert [tree.depths[node] for node in path] == list(range(len(text)))
        assert [tree.parents[node] for node in path] == [ROOT, *path[:-1]]


@given(texts)
def test_each_beginning_is_there_once(given_texts):
    """As many nodes as there are different beginnings, counted as Python's sets count them."""
    tree, _ = planted(given_texts)
    beginnings = {tuple(text[: end + 1]) for text in given_texts for end in range(len(text))}
    assert len(tree) == len(beginnings)


@given(texts)
def test_a_node_sees_its_own_text_alone(given_texts):
    """The mask is what makes one pass equal many: a row holds the path to its node, no more."""
    tree, paths = planted(given_texts)
    visible = tree.visible()
    for path in paths:
        for place, node in enumerate(path):
            assert np.flatnonzero(visible[node]).tolist() == sorted(path[: place + 1])


def test_answers_are_branches_behind_a_prompt():
    """By hand: two labels behind one prompt share what they begin with, not with other prompts."""
    tree = TokenTree()
    end = tree.add([1, 2])[-1]
    assert tree.add([7, 8], below=end) == [2, 3]
    assert tree.add([7, 9], below=end) == [2, 4]
    assert tree.add([1, 7]) == [0, 5]
    assert tree.depths == [0, 1, 2, 3, 3, 1]


@given(texts, st.integers(1, 12), st.integers(0, 3))
def test_splitting_keeps_every_text_once_within_the_budget(given_texts, budget, extra):
    """A tree beyond the budget is what runs out of memory; a lost text would be a lost answer."""
    groups = list(within_budget(given_texts, extra, budget))
    assert sorted(number for group in groups for number in group) == list(range(len(given_texts)))
    for group in groups:
        size = len(planted([given_texts[number] for number in group])[0]) + extra * len(group)
        assert size <= budget or len(group) == 1


@given(texts)
def test_nothing_is_split_that_fits(given_texts):
    """Each group runs its common beginning again, so one is best."""
    size = len(planted(given_texts)[0])
    assert len(list(within_budget(given_texts, 0, size))) == 1


@given(texts)
def test_common_prefix_is_the_longest_that_leaves_each_a_token(given_texts):
    """Longest, shared, and never a whole prompt: each needs a last token to be read off."""
    length = common_prefix(given_texts)
    shared = [text[:length] for text in given_texts]
    assert all(part == shared[0] for part in shared)
    assert all(length < len(text) for text in given_texts)
    longer = [text[: length + 1] for text in given_texts]
    ends = any(length + 1 >= len(text) for text in given_texts)
    assert ends or any(part != longer[0] for part in longer)
