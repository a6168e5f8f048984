"""What a written answer names, one label or none; and when two texts are the same words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping

from sercue.languages import KATAKANA, KOREAN_ENDINGS, UNSPACED, denies, negations_known

# Why an answer is invalid.
NO_LABEL = "names no label"
SEVERAL_LABELS = "names more than one label"
DENIED = "denies a label"
UNFINISHED = "its reasoning was not finished"
ONE_CHARACTER = "names a label of one character among other words"
OTHER_LANGUAGE = "is more than a label, in a language whose negations are not known"

# Markdown sets words off by them; within a word they belong to it.
_UNDERSCORES_AROUND = re.compile(r"(?<!_)_++(?!\w)|(?<!\w)_++")
# Change how the character before them looks, and are no part of what is written.
_VARIATION_SELECTORS = re.compile("[\u034f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# What reasoning stands in, as open models write it.
_REASONING = re.compile(r"[<\[](/?)(?:think|thinking|thought|reasoning)[>\]]", re.IGNORECASE)
# A letter or digit of a script that parts words by spaces.
_IN_WORD = rf"[^\W{UNSPACED}{KATAKANA}]"
_SENTENCE_ENDS = re.compile(r"[.!]\W*\s|[。！\n]")
_HANGUL = re.compile("[\uac00-\ud7a3]")


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
    how Unicode composes a character; where a script does not part words, they may stand anywhere.
    Where one label's words hold another's ("very sad", "sad") the longer match counts. Reasoning in
    tags such as ``<think>`` is no part of the answer. An answer with a negation beside the label is
    invalid. A label of one character, and an answer in a language whose negations are not known
    (see ``sercue.languages``), are read only where the label stands alone, whatever punctuation is
    around it. Nothing is guessed by similarity of spelling.

    Args:
        answer: what the model wrote
        words: label to the words that the prompt shows for it

    Returns:
        the label and ``None``, or ``None`` and the reason

    Examples:
        >>> words = {"anger": "angry", "sadness": "sad"}
        >>> read_answer("angry or sad", words)
        (None, 'names more than one label')
        >>> read_answer("<think>Not sad.</think> The speaker is angry.", words)
        ('anger', None)
    """
    said = _without_reasoning(answer)
    if said is None:
        return None, UNFINISHED
    text = plain_words(said)
    named: dict[tuple[int, int], set[str]] = {}
    for label, word in words.items():
        for span in _spans(plain_words(word), text):
            named.setdefault(span, set()).add(label)
    whole = _outermost(list(named))
    labels = {label for span in whole for label in named[span]}
    rest = _blanked(text, whole)
    if not labels:
        return None, NO_LABEL
    if denies(rest) and not (len(labels) == 1 and _said_first(said, words[min(labels)])):
        return None, DENIED
    if len(labels) > 1:
        return None, SEVERAL_LABELS
    label = labels.pop()
    if any(map(str.isalpha, rest)):
        if len(plain_words(words[label])) == 1:
            return None, ONE_CHARACTER
        if not negations_known(rest, text):
            return None, OTHER_LANGUAGE
    return label, None


def _said_first(said: str, word: str) -> bool:
    """Whether a label is a sentence of its own, whose reasons follow: these may deny other things.

    "Neutral. The speaker shows no strong emotion." is the most ordinary answer for its class.
    """
    first, *reasons = _SENTENCE_ENDS.split(said.strip(), maxsplit=1)
    start = plain_words(reasons[0]).split(" ")[0] if reasons else ""
    # A script without spaces has no first word; its negations have two characters at most.
    start = start[:2] if re.match(f"[{UNSPACED}{KATAKANA}]", start) else start
    if not start or denies(start):
        return False
    return _only_letters(first) == _only_letters(word)


def _only_letters(text: str) -> str:
    return "".join(filter(str.isalnum, plain_words(text)))


def _without_reasoning(answer: str) -> str | None:
    """An answer without what stands in tags of reasoning; ``None`` if that has no end.

    A template may have opened it in the prompt: then the answer begins within it.
    """
    kept, open_ = [], False
    first, *rest = _REASONING.split(answer)
    kept.append(first)
    for closing, text in zip(rest[::2], rest[1::2], strict=True):
        if closing and not open_:
            kept.clear()
        open_ = not closing
        if not open_:
            kept.append(text)
    return None if open_ else " ".join(kept)


def same_word(name: str, names: Iterable[str]) -> str | None:
    """The one of some names that is a name: spelled so, or else the only one of the same words.

    Examples:
        >>> same_word("Fear", ["fear", "joy"]), same_word("Fear", ["fear", "FEAR"])
        ('fear', None)
    """
    names = list(names)
    if name in names:
        return name
    alike = [other for other in names if plain_words(other) == plain_words(name)]
    return alike[0] if len(alike) == 1 else None


def spelled_alike(names: Iterable[str]) -> list[list[str]]:
    """Different names that are the same words, and so cannot be told apart; each group in order.

    Examples:
        >>> spelled_alike(["Fear", "joy", "fear", "joy"])
        [['Fear', 'fear']]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(plain_words(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


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
    return " ".join(_UNDERSCORES_AROUND.sub(" ", folded(text)).split())


def folded(text: str) -> str:
    """A text as names of files are compared: what ``plain_words`` does to characters, not words.

    That is NFKC_Casefold, in which the Unicode Standard (3.13, D147) compares identifiers.

    Examples:
        >>> folded("_A/Fu\u0308r.WAV") == "_a/für.wav"
        True
    """
    if text.isascii():
        return text.casefold()
    seen = "".join(char for char in text if unicodedata.category(char) != "Cf")
    shown = _VARIATION_SELECTORS.sub("", seen)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())


def _spans(word: str, text: str) -> list[tuple[int, int]]:
    """Where a word stands in a text, whole: its script does not go on beside it."""
    if not word:
        return []
    before, after = (_same_script(char) for char in (word[0], word[-1]))
    ending = f"(?:{KOREAN_ENDINGS})?" if _HANGUL.match(word[-1]) else ""
    # Ahead of the place, so that occurrences that overlap are all found.
    found = re.finditer(rf"(?<!{before})(?={re.escape(word)}{ending}(?!{after}))", text)
    spans = ((match.start(), match.start() + len(word)) for match in found)
    return [span for span in spans if not _goes_on(text, *span)]


def _same_script(char: str) -> str:
    """A pattern of the characters that would make one word with this one beside them."""
    if re.match(f"[{UNSPACED}]", char):
        return r"[^\s\S]"
    return f"[{KATAKANA}]" if re.match(f"[{KATAKANA}]", char) else _IN_WORD


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether a mark, such as a vowel sign of Devanagari, makes a word longer than this place.

    Before a word of a script without spaces, it is the end of the word before.
    """
    before, after = text[max(start - 1, 0) : start], text[end : end + 1]
    is_mark = [
        bool(char) and unicodedata.category(char).startswith("M") for char in (before, after)
    ]
    return is_mark[1] or (is_mark[0] and not re.match(f"[{UNSPACED}]", before))


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
