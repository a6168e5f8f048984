"""Corpora whose labels look the same, or cannot be told apart in a prompt; where they are there."""

from pathlib import Path

import pytest

from sercue.corpora import load_corpus
from sercue.errors import InputError
from sercue.tokens.prompts import TEMPLATES

CASES = Path(__file__).parents[2].parent / "shared" / "cases"


def listed(case):
    """The corpus of a case, whose recordings may lie elsewhere."""
    path = CASES / case / "corpus.csv"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return path


@pytest.mark.parametrize(
    ("case", "first", "second", "words"),
    [
        ("label_nfc_nfd", "fro\u0308hlich", "fr\xf6hlich", "fr\xf6hlich"),
        ("label_zwsp", "happy", "happy\u200b", "happy"),
    ],
)
def test_labels_that_look_the_same_are_refused_and_can_be_one_class(case, first, second, words):
    """Of 48 utterances, four classes have 12 each: six in either spelling."""
    path = listed(case)
    with pytest.raises(InputError) as error:
        load_corpus("table", path, check_files=False)
    message = str(error.value)
    assert f"{first!a} (6 utterances) and {second!a} (6 utterances)" in message
    others = set(load_corpus("table", path, check_files=False, drop_labels=[first, second]).labels)
    labels = {first: words, second: words} | {label: label for label in others}
    corpus = load_corpus("table", path, check_files=False, labels=labels)
    assert corpus.table["emotion"].value_counts().to_dict() == dict.fromkeys([words, *others], 12)


def test_a_label_with_a_comma_is_refused_where_prompts_part_labels_by_commas():
    corpus = load_corpus("table", listed("comma_labels"), check_files=False)
    with pytest.raises(InputError, match=r"'angry, furious' holds ','"):
        TEMPLATES["plain"].render(corpus.labels)
