"""What can go wrong: input that cannot be used, a server or a disk that fails."""

from __future__ import annotations

import difflib
import re
import reprlib
import unicodedata
from collections.abc import Callable, Collection, Iterable
from typing import TypeVar

_Value = TypeVar("_Value")
_MOST = 200  # characters of what a message quotes
_MOST_OF_LINE = 1500
_MOST_LINES = 40
# What is quoted, in brackets, or without a space is no prose of this package if it is that long.
_QUOTED = re.compile(
    r"""(?<!\w)'[^'\n]{201,}'(?!\w)|(?<!\w)"[^"\n]{201,}"(?!\w)|\([^()\n]{201,}\)|\S{201,}"""
)


class _BoundedError(Exception):
    """An error whose message is bounded, whatever foreign text it was made of."""

    def __init__(self, message: object = "") -> None:
        super().__init__(bounded(str(message)))


class InputError(_BoundedError, ValueError):
    """Input that cannot be used.

    The message names the parameter or the file, what was found, and what is valid, so that the
    reader can correct it without opening the source.
    """


class DecodingError(InputError):
    """A decoding that this model does not support, while it supports another."""


class ServerError(_BoundedError, RuntimeError):
    """A server that stopped answering, or whose answers cannot be read, in spite of retries.

    The message names the server, its last reply, and the number of requests. The input is
    valid: once the server is available again, the same call continues.
    """


class StorageError(_BoundedError, RuntimeError):
    """A disk, a folder or a limit that does not let a file be written or read.

    The message names the folder, the reason, and what to do about it. Nothing is wrong with the
    input, and what was stored before is whole: once the fault is mended, the same call goes on.
    """


#: What no report goes on after: it says nothing of the study's numbers.
FATAL = (StorageError, ServerError, MemoryError)


def why_not(error: Exception) -> str:
    """The reason why a number cannot be had, from what was raised in computing it.

    Few speakers, utterances or classes defeat this package and the libraries below it in many
    ways; what is not its own error is named by its type.

    Raises:
        StorageError, ServerError, MemoryError: the error itself, if it is one of these

    Examples:
        >>> why_not(InputError("found 1 speaker, need 2")), why_not(ZeroDivisionError("by zero"))
        ('found 1 speaker, need 2', 'ZeroDivisionError: by zero')
    """
    if isinstance(error, FATAL):
        raise error
    said = " ".join(str(error).split()).rstrip(".")
    return said if isinstance(error, InputError) else f"{type(error).__name__}: {said}"


def or_none(make: Callable[[], _Value]) -> _Value | None:
    """What ``make`` returns, or ``None`` if it cannot be had; see ``why_not``.

    Examples:
        >>> or_none(lambda: 1 / 0) is None
        True
    """
    try:
        return make()
    except Exception as error:
        _ = why_not(error)
        return None


def shortened(value: object) -> str:
    """A value as an error quotes it: all of a short one, the beginning and the end of a long one.

    Returns:
        what ``repr`` makes of it, at most 200 characters

    Examples:
        >>> shortened({"seed": 1})
        "{'seed': 1}"
        >>> len(shortened("x" * 1_000_000))
        100
    """
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 100
    short.maxlist = short.maxtuple = short.maxdict = short.maxset = 8
    short.maxlevel = 3
    return _ends(short.repr(value), _MOST)


def bounded(text: str) -> str:
    r"""A message that can be read in a terminal, whatever foreign text it was made of.

    What is quoted, in brackets, or without a space keeps its beginning and end if it is longer than
    200 characters. Lines have at most 1,500 characters, and there are at most 40. What does not
    print, such as controls of a terminal and lone surrogates, is written as Python does.

    Examples:
        >>> bounded("labels: found '\x1b[31mred'")
        "labels: found '\\x1b[31mred'"
        >>> len(bounded(f"labels: found {'x' * 1_000_000!r}, valid are others"))
        232
    """
    lines = text.split("\n")
    told = [_ends(_QUOTED.sub(_short_match, line), _MOST_OF_LINE) for line in lines[:_MOST_LINES]]
    more = len(lines) - _MOST_LINES
    printed = "\n".join([*told, f"... and {more} further lines"] if more > 0 else told)
    return "".join(map(_printable, printed))


def _short_match(found: re.Match[str]) -> str:
    return _ends(found[0], _MOST)


def _ends(text: str, most: int) -> str:
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[: most - 3 - half]}...{text[-half:]}"


def _printable(character: str) -> str:
    if character.isprintable() or character == "\n" or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


def unknown(kind: str, found: object, valid: Iterable[object]) -> InputError:
    """The error for a name that is not among the valid ones; the nearest valid one is named.

    Args:
        kind: what the name stands for, for instance ``"corpus"``
        found: the name that was given
        valid: all names that are valid

    Returns:
        the error, to be raised by the caller

    Examples:
        >>> str(unknown("corpus", "emobd", ["demo", "emodb"]))
        "unknown corpus 'emobd': did you mean 'emodb'? Valid are: demo, emodb"
    """
    names, given = [str(name) for name in valid], str(found)
    # Nothing that is this long is meant as one of them, and comparing takes its time.
    folded = {name.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(given[:200].casefold(), folded, n=1, cutoff=0.5)
    hint = f"did you mean {folded[near[0]]!r}? " if near else ""
    listed = ", ".join(names) or "none"
    return InputError(f"unknown {kind} {shortened(given)}: {hint}Valid are: {listed}")


def refuse_unknown(kind: str, names: Iterable[object], valid: Collection[object]) -> None:
    """Raise ``unknown`` of the first name that is not a valid one.

    Args:
        kind: as of ``unknown``
        names: what was given
        valid: all names that are valid

    Raises:
        InputError: naming it, and the nearest valid one

    Examples:
        >>> refuse_unknown("corpus", ["demo"], ["demo", "emodb"])
    """
    for name in names:
        if name not in valid:
            raise unknown(kind, name, valid)
