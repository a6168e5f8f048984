"""What a written answer names: one label, or none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

# An answer such as "not angry" names a label only to deny it. Such answers are invalid rather
# than guessed at.
_NEGATION = re.compile(r"\b(not|no|never|neither|nor|without|cannot)\b|n['’ʼ`]t\b")
# Markdown sets words off by them; within a word they belong to it.
_UNDERSCORES_AROUND = re.compile(r"(?<!_)_++(?!\w)|(?<!\w)_++")
# Change how the character before them looks, and are no part of what is written.
_VARIATION_SELECTORS = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")


# Why an answer is invalid.
NO_LABEL = "names no label"
SEVERAL_LABELS = "names more than one label"
DENIED = "denies a label"


def parse_answer(answer: str, words: Mapping[str, str]) -> str | None:
    """The label that an answer names, or ``None`` if it is invalid; see ``read_answer``.

    Examples:
        >>> words = {"anger": "angry", "sadness": "sad"}
        >>> parse_answer("The speaker sounds Angry.", words)
        'anger'
        >>> parse_answer("angry or sad", words) is None
        True
    """
    return read_answer(answer, words)[0]


def read_answer(answer: str, words: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The label that an answer names, or why it names none.

    Whole words are matched as ``plain_words`` writes them: without regard to case, spacing and to
    how Unicode composes a character. Where one label's words hold another's ("very sad", "sad")
    the longer match counts. An answer with a negation beside the label is invalid. Nothing is
    guessed by similarity of spelling.

    Args:
        answer: what the model wrote
        words: label to the words that the prompt shows for it

    Returns:
        the label and ``None``, or ``None`` and the reason

    Examples:
        >>> read_answer("angry or sad", {"anger": "angry", "sadness": "sad"})
        (None, 'names more than one label')
    """
    text = plain_words(answer)
    named: dict[tuple[int, int], set[str]] = {}
    for label, word in words.items():
        for span in _spans(plain_words(word), text):
            named.setdefault(span, set()).add(label)
    whole = _outermost(list(named))
    labels = {label for span in whole for label in named[span]}
    if not labels:
        return None, NO_LABEL
    if _NEGATION.search(_blanked(text, whole)):
        return None, DENIED
    return (labels.pop(), None) if len(labels) == 1 else (None, SEVERAL_LABELS)


def plain_words(text: str) -> str:
    r"""A text as answers and labels are compared: what looks the same is the same.

    Unicode's compatibility form, case folded, without invisible characters and without the
    underscores that Markdown puts around words; all spacing is one space.

    Examples:
        >>> plain_words("  __Very\n\u200bSAD__ ")
        'very sad'
        >>> plain_words("wu\u0308tend") == plain_words("wütend")
        True
    """
    text = text.casefold() if text.isascii() else _compatible(text)
    return " ".join(_UNDERSCORES_AROUND.sub(" ", text).split())


def _compatible(text: str) -> str:
    """The form that the Unicode Standard (3.13, D147) compares identifiers in: NFKC_Casefold."""
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")
    shown = _VARIATION_SELECTORS.sub("", seen)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())


def _spans(word: str, text: str) -> list[tuple[int, int]]:
    """Where a word stands in a text, whole: no letter, digit or mark of a letter beside it."""
    if not word:
        return []
    # Ahead of the place, so that occurrences that overlap are all found.
    found = re.finditer(rf"(?<!\w)(?={re.escape(word)}(?!\w))", text)
    spans = ((match.start(), match.start() + len(word)) for match in found)
    return [span for span in spans if not any(_is_mark(text, i) for i in (span[0] - 1, span[1]))]


def _is_mark(text: str, place: int) -> bool:
    """Whether there is a mark, such as a vowel sign of Devanagari: it is part of a word."""
    return 0 <= place < len(text) and unicodedata.category(text[place]).startswith("M")


def _outermost(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept, furthest = [], -1
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if end > furthest:
            kept.append((start, end))
            furthest = end
    return kept


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    pieces, last = [], 0
    for start, end in spans:
        pieces.append(text[last:start])
        last = max(last, end)
    return "\n".join([*pieces, text[last:]])
