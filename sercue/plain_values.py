"""What a value of a study may be made of: what every file that a run writes can hold."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sercue.answers import plain_words, spelled_alike
from sercue.errors import shortened

_DEEPEST = 20
_MOST_ENTRIES = 10_000
_LONGEST_TEXT = 10_000
_BITS = 63
_VALID = "valid are texts, numbers, true and false, null, lists, and mappings with texts as keys"
# Control characters but tab and line ends, and halves of a pair, which UTF-8 has no bytes for.
_NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def check_plain(value: Any) -> None:
    """Refuse what cannot be written to notebooks, JSON and Parquet and read back the same.

    Texts are not repeated in the error: in the options of a model, one may be a key.

    Args:
        value: of one key of a study

    Raises:
        ValueError: naming the place within the value, what was found and what is valid

    Examples:
        >>> check_plain({"speakers": [6, 7.5, None, True, "all"]})
        >>> check_plain({"speakers": [6, float("nan")]})
        Traceback (most recent call last):
        ...
        ValueError: speakers[1] is nan, valid are finite numbers
    """
    waiting, entries = [(value, "", 0)], 0
    # Not by recursion: lists that hold themselves have no end.
    while waiting:
        held, place, depth = waiting.pop()
        entries += 1
        problem = _too_much(depth, entries) or _problem(held)
        if problem:
            raise ValueError(f"{place.removeprefix('.')} {problem}".strip())
        if isinstance(held, dict):
            waiting += [(inner, f"{place}.{key[:40]}", depth + 1) for key, inner in held.items()]
        elif isinstance(held, list):
            waiting += [(inner, f"{place}[{i}]", depth + 1) for i, inner in enumerate(held)]


def classes_of(labels: Iterable[str] | Mapping[str, str]) -> dict[str, str]:
    """The class that each label of a study stands for: itself, unless two are the same words.

    Labels that differ in spelling only are one class where a mapping shows them as the same text.
    The class is called as that text if one of the labels is, else as the first of them.

    Args:
        labels: the labels, or label to the words that prompts show for it

    Raises:
        ValueError: if there is no label, if one has no words, or if an answer could not tell two
            of them apart

    Examples:
        >>> classes_of({"joy": "glad", "Fear": "fear", "fear": "fear"})
        {'joy': 'joy', 'Fear': 'fear', 'fear': 'fear'}
    """
    shown = dict(labels) if isinstance(labels, Mapping) else {}
    listed = list(labels)
    classes = {label: label for label in listed}
    for group in spelled_alike(listed):
        words = {shown.get(label) for label in group}
        if len(words) > 1 or not shown:
            raise ValueError(
                f"{shortened(group)} are the same words; valid are words of their own, or to show "
                f"them as one class: labels: {one_class(group)}"
            )
        word = shown[group[0]]
        classes |= dict.fromkeys(group, word if word in group else group[0])
    names = list(dict.fromkeys(classes.values())) if shown else listed
    check_distinct(names)
    check_distinct([shown.get(name, name) for name in names])
    return classes


def one_class(spellings: Sequence[str]) -> str:
    """What ``labels`` of a study says to make spellings one class, in ASCII: they may look alike.

    Examples:
        >>> print(one_class(["Fear", "fear"]))
        {"Fear": "fear", "fear": "fear"}
    """
    # Best as they are compared: composed, and without characters that cannot be seen.
    words = min(spellings, key=lambda spelling: (spelling != plain_words(spelling), len(spelling)))
    return json.dumps(dict.fromkeys(spellings, words))


def check_distinct(words: list[str]) -> None:
    """Refuse words that an answer cannot tell apart: it names a label however it is capitalised.

    Raises:
        ValueError: if there are none, if one is empty, or if two are the same

    Examples:
        >>> check_distinct(["sad", "Sad"])
        Traceback (most recent call last):
        ...
        ValueError: ['sad', 'Sad'] are the same words; valid are words of their own
    """
    alike = [plain_words(word) for word in words]
    if not words or not all(alike):
        raise ValueError("valid are one or more labels, each with words that are not empty")
    twice = [word for word, plain in zip(words, alike, strict=True) if alike.count(plain) > 1]
    if twice:
        raise ValueError(f"{shortened(twice)} are the same words; valid are words of their own")


def home_written_out(path: str) -> str:
    """A path whose ``~`` is the home folder that it stands for.

    Raises:
        ValueError: if there is no such user
    """
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        raise ValueError("valid is a path; of this user there is no home folder") from None


def _too_much(depth: int, entries: int) -> str | None:
    if depth > _DEEPEST:
        return f"lies below {_DEEPEST} others, valid are fewer"
    return f"is one of more than {_MOST_ENTRIES:,} values" if entries > _MOST_ENTRIES else None


def _problem(value: Any) -> str | None:
    if isinstance(value, str):
        return _problem_of_text(value)
    if isinstance(value, int):
        large = value.bit_length() > _BITS
        return f"is a number of {value.bit_length()} bits, valid are up to {_BITS}" * large or None
    if isinstance(value, float):
        return None if math.isfinite(value) else f"is {value}, valid are finite numbers"
    if isinstance(value, dict):
        return next(filter(None, map(_problem_of_key, value)), None)
    return None if value is None or isinstance(value, list) else f"is a {_kind(value)}, {_VALID}"


def _problem_of_key(key: Any) -> str | None:
    if not isinstance(key, str):
        return f"has the key {key!r:.40}, a {_kind(key)}; valid are texts: put it in quotes"
    problem = _problem_of_text(key)
    return f"has a key that {problem}" if problem else None


def _problem_of_text(text: str) -> str | None:
    if len(text) > _LONGEST_TEXT:
        return f"has {len(text):,} characters, valid are up to {_LONGEST_TEXT:,}"
    found = _NO_TEXT.search(text)
    return f"holds the character {found[0]!r}, which no text has" if found else None


def _kind(value: object) -> str:
    return type(value).__name__
