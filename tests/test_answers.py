"""What an answer names: worked by hand, and as properties that any text has."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sercue.answers import parse_answer, plain_words

WORDS = {"anger": "angry", "joy": "happy", "neutral": "neutral", "sadness": "sad"}
# Words inside words, words of several words, marks that patterns give a meaning, other scripts.
HARD = {
    "a": "sad",
    "b": "very sad",
    "c": "C++ (calm)",
    "d": ".*",
    "e": "wütend",
    "f": "गुस्सा",
    "g": "no emotion",
    "h": "悲しい",
    "i": "|",
    "j": "ﬁerce",
    "k": "sad day",
}
few = settings(max_examples=200, derandomize=True, deadline=None)
labels = st.sampled_from(sorted(HARD))
vocabularies = st.dictionaries(st.text(max_size=3), st.text(max_size=12), max_size=6)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("angry", "anger"),
        ("Angry.", "anger"),
        (" HAPPY\n", "joy"),
        ("The speaker sounds sad to me", "sadness"),
        ("sad, sad, sad", "sadness"),
        ("**neutral**", "neutral"),
        ("angry or sad", None),
        ("angrily", None),
        ("unhappy", None),
        ("anger", None),  # the prompt offered "angry"
        ("not angry", None),
        ("The speaker isn't happy", None),
        ("angri", None),
        ("", None),
    ],
)
def test_what_an_answer_names(answer, label):
    """Worked by hand from the rule: whole words, one label, no denial, no guessing."""
    assert parse_answer(answer, WORDS) == label


def test_the_longer_label_wins_over_a_label_inside_it():
    words = {"a": "sad", "b": "very sad"}
    assert parse_answer("very sad", words) == "b"
    assert parse_answer("sad", words) == "a"
    assert parse_answer("very sad and sad", words) is None


@given(st.text())
def test_any_text_names_a_label_or_none(text):
    assert parse_answer(text, WORDS) in {*WORDS, None}


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("very  sad", "b"),
        ("very\nsad", "b"),
        ("very\u00a0sad", "b"),
        ("_sad_", "a"),
        ("__very sad__.", "b"),
        ("ＳＡＤ", "a"),
        ("s\u200bad", "a"),
        ("\u202esad\u202c", "a"),
        ("s\u00adad", "a"),
        ("das", None),
        ("wu\u0308tend", "e"),
        ("WÜTEND", "e"),
        ("fierce", "j"),
        ("गुस्सा।", "f"),
        ("C++ (Calm)!", "c"),
        ("no emotion", "g"),
        ("No emotion.", "g"),
        ("not no emotion", None),
        ("no sad", None),
        ("isnʼt sad", None),
        ("very sad day", None),  # both "very sad" and "sad day", and neither within the other
        ("a sad day", "k"),
        ("very sad | sad", None),
        ("sad\u0301der", None),
    ],
)
def test_what_an_answer_names_when_words_are_hard(answer, label):
    """By hand: what reads the same is the same, what reads otherwise is not."""
    assert parse_answer(answer, HARD) == label


def test_a_word_is_not_found_within_a_longer_one_of_another_script():
    """Vowel signs are no letters to a pattern; the word goes on with them all the same."""
    assert parse_answer("गुस्सा", {"a": "गुस", "b": "सा"}) is None


def test_a_label_without_words_is_named_by_nothing():
    """Or an empty answer would name it."""
    words = {"nothing": "", "blank": " \u200b", "sad": "sad"}
    assert [parse_answer(text, words) for text in ("", " ", "sad", ".")] == [
        None,
        None,
        "sad",
        None,
    ]


def test_labels_of_the_same_words_are_never_told_apart():
    assert parse_answer("sad", {"a": "sad", "b": "SAD"}) is None


@given(labels)
@few
def test_words_alone_name_their_label(label):
    assert parse_answer(HARD[label], HARD) == label


@given(labels, st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]), st.sampled_from("lut"))
@few
def test_case_and_normal_form_do_not_matter(label, form, case):
    """Tokenizers write characters in the form they were trained on."""
    cased = {"l": str.lower, "u": str.upper, "t": str.title}[case](HARD[label])
    assert parse_answer(unicodedata.normalize(form, cased), HARD) == label


@given(labels, st.text("\u200b\u200d\u2060\ufeff\u202a\u202e\u2066\u2069\u00ad\ufe0f", max_size=5))
@few
def test_invisible_characters_do_not_matter(label, unseen):
    word = HARD[label]
    assert parse_answer(unseen.join(["", word[:1], word[1:], ""]), HARD) == label


@given(labels, st.text(" \t\n.,;:!?\"'()[]{}*_~-–—…«»", max_size=6), st.data())
@few
def test_punctuation_around_does_not_matter(label, before, data):
    after = data.draw(st.text(" \t\n,;:!?\"'()[]{}~-–—…«»", max_size=6))
    text = f"{before} {HARD[label]} {after}"
    assert parse_answer(text, HARD) == label


@given(labels, labels, st.sampled_from([" ", ", ", " or ", "\n", "; "]))
@few
def test_two_labels_are_none(first, second, between):
    """Unless they make up a third, or are one and the same."""
    found = parse_answer(f"{HARD[first]}{between}{HARD[second]}", HARD)
    assert found == (first if first == second else None)


@given(st.text(max_size=80), st.permutations(sorted(HARD)))
@few
@example("very sad day", sorted(HARD, reverse=True))
def test_the_order_of_the_labels_does_not_matter(text, order):
    """Orders are counterbalanced; a parser that has its favourite would undo that."""
    text = f"{text} {HARD[order[0]]} {HARD[order[1]]}"
    assert parse_answer(text, HARD) == parse_answer(text, {name: HARD[name] for name in order})


@given(st.text(max_size=60), vocabularies)
@few
def test_any_text_and_any_words_give_a_label_or_none(text, words):
    found = parse_answer(text, words)
    assert found in {*words, None}
    # What is named stands there: letter by letter, once both are written alike.
    assert found is None or plain_words(words[found]) in plain_words(text)


@given(st.text(max_size=40))
@few
def test_words_written_alike_stay_as_they_are(text):
    assert plain_words(plain_words(text)) == plain_words(text)


@pytest.mark.parametrize(
    "piece", ["sad ", "a", "_", "_a", " ", "\n", "very ", "\u0301", "\u200b", "not ", "((((", "ß"]
)
def test_a_model_that_repeats_itself_to_the_end_is_read(piece):
    """A pattern that starts anew at each letter would take an hour over this answer."""
    words = HARD | {"z": "a" * 150, "y": "_".join("a" * 50)}
    text = piece * (400_000 // len(piece)) + "b"
    assert parse_answer(text, words) == ("a" if piece == "sad " else None)
