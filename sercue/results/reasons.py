"""What a study cannot show becomes a sentence, not the end of a notebook."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sercue.errors import InputError, ServerError, StorageError
from sercue.tables.exhibits import FigureExhibit, TableExhibit

if TYPE_CHECKING:
    from sercue.run import Run

Shown = FigureExhibit | TableExhibit | str
#: What is no matter of the numbers that a study has.
FATAL = (StorageError, ServerError, MemoryError)
_Value = TypeVar("_Value")


def or_why_not(make: Callable[[Run], Shown]) -> Callable[[Run], Shown]:
    """Make a figure or table beside the main line of a report, or say why it cannot be had.

    Few speakers, utterances or classes defeat this package and the libraries under it in many
    ways. None of them may cost the rest of the report.
    """

    @functools.wraps(make)
    def made(run: Run) -> Shown:
        try:
            return make(run)
        except FATAL:
            raise
        except Exception as error:
            said = " ".join(str(error).split()).rstrip(".")
            reason = said if isinstance(error, InputError) else f"{type(error).__name__}: {said}"
            return f"Not to be had from this study: {reason}."

    return made


def or_none(make: Callable[[], _Value]) -> _Value | None:
    """What a summary tells of, if it can be had; ``or_why_not`` has said why not.

    Examples:
        >>> or_none(lambda: 1 / 0) is None
        True
    """
    try:
        return make()
    except FATAL:
        raise
    except Exception:
        return None
