"""What a study cannot show becomes a sentence, not the end of a notebook."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from sercue.errors import InputError
from sercue.exhibits import FigureExhibit, TableExhibit

if TYPE_CHECKING:
    from sercue.run import Run

Shown = FigureExhibit | TableExhibit | str


def or_why_not(make: Callable[[Run], Shown]) -> Callable[[Run], Shown]:
    """Make a figure or table of a run, or say why these answers do not allow it."""

    @functools.wraps(make)
    def made(run: Run) -> Shown:
        try:
            return make(run)
        except InputError as error:
            return f"Not to be had from this study: {error}."

    return made
