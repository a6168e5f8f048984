"""What can go wrong: input that cannot be used, a server or a disk that fails."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that cannot be used.

    The message names the parameter or the file, what was found, and what is valid, so that the
    reader can mend it without opening the source.
    """


class DecodingError(InputError):
    """A decoding that this model cannot do, while it can do another."""


class ServerError(RuntimeError):
    """A server that stopped answering, or answers what cannot be read, in spite of retries.

    The message names the server, what it said last, and how often it was asked. Nothing is wrong
    with the input: once the server is back, the same call goes on.
    """


class StorageError(RuntimeError):
    """A disk, a folder or a limit that does not let a file be written or read.

    The message names the folder, the reason, and what to do about it. Nothing is wrong with the
    input, and what was stored before is whole: once the fault is mended, the same call goes on.
    """


def shortened(value: object) -> str:
    """A value as an error quotes it: all of a short one, the beginning and the end of a long one.

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
    return short.repr(value)


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
    near = difflib.get_close_matches(given[:200], names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return InputError(f"unknown {kind} {shortened(given)}: {hint}Valid are: {', '.join(names)}")
