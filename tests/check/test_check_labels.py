"""Words of labels that no answer can name are found before the study."""

import pytest

from sercue.answers import parse_answer
from sercue.check.model import check_answers
from sercue.errors import InputError
from sercue.settings import settings_from


@pytest.mark.parametrize("words", [{"a": "sad", "b": "very sad"}, {"a": "sad", "b": "sadness"}])
def test_words_within_words_are_fine_where_answers_are_read_as_words(words):
    """By ``generate`` the longer match counts, and a word is never found within another."""
    settings_from({"labels": words})
    assert [parse_answer(f"It is {word}.", words) for word in words.values()] == list(words)


@pytest.mark.parametrize(
    "tokens", [{"a": [5], "b": [5, 6]}, {"b": [5, 6], "a": [5]}, {"a": [5], "b": [5]}]
)
def test_a_label_that_begins_with_another_is_refused_by_score(tokens):
    """p(5, 6) = p(5) p(6 | 5) is never above p(5)."""
    with pytest.raises(InputError, match="begins with"):
        check_answers("score", {"a": "sad", "b": "sadness"}, tokens, 8)


def test_labels_that_part_at_the_second_token_are_fine():
    check_answers("score", {"a": "sad", "b": "sane"}, {"a": [5, 6], "b": [5, 7]}, 8)


def test_a_label_without_a_token_is_refused():
    """Its likelihood would be that of saying nothing: 1."""
    with pytest.raises(InputError, match=r"'a' is shown as 'x', of which .* no token"):
        check_answers("score", {"a": "x", "b": "sad"}, {"a": [], "b": [5]}, 8)
