"""Columns of a printed table: how wide they are, and how their cells are set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import FT2Font

from sercue.printed import is_number

#: Points between columns, half of them on either side.
GAP = 8
#: A column of longer texts is set as paragraphs, at least so wide, in points.
_PROSE = 150.0
_PARAGRAPH = 100.0
_MARKS = " .,:;+-=()[]/%"
_FINE = 100
_INTERVAL = re.compile(r"([+−-]?[\d.]+) (\[[^\[\]]+\])")


@dataclass(frozen=True)
class Column:
    """A column of texts.

    Attributes:
        head: what stands above it
        cells: what stands in it, from top to bottom
        key: whether it names the rows
    """

    head: str
    cells: tuple[str, ...]
    key: bool = False

    @property
    def prose(self) -> bool:
        """Whether its texts are so long that they need several lines."""
        return max(map(width, self.cells), default=0.0) > _PROSE

    @property
    def numbers(self) -> bool:
        """Whether nothing but numbers and their intervals stands in it."""
        return not self.key and all(map(is_number, self.cells))

    def lines(self, cell: str, *, beneath: bool) -> list[str]:
        """A cell in one line, or a number and beneath it its interval."""
        found = _INTERVAL.fullmatch(cell) if beneath else None
        return [found[1], found[2]] if found else [cell]

    def narrowest(self, *, beneath: bool) -> float:
        """Its width in points at ten points: of a column of long texts the least that will do."""
        if self.prose:
            words = [word for cell in self.cells for word in cell.split()]
            return max(_PARAGRAPH, *map(width, words))
        return max(self._cells(beneath), max(map(width, self.head.split()), default=0.0))

    def heading(self, *, beneath: bool) -> list[str]:
        """What stands above it, in as many lines as it takes not to widen it."""
        room = self.narrowest(beneath=beneath)
        lines: list[str] = []
        for word in self.head.split():
            longer = f"{lines[-1]} {word}" if lines else word
            lines = [*lines[:-1], longer] if lines and width(longer) <= room else [*lines, word]
        return lines or [""]

    def _cells(self, beneath: bool) -> float:
        lines = (line for cell in self.cells for line in self.lines(cell, beneath=beneath))
        return max(map(width, lines), default=0.0)


@lru_cache(maxsize=4096)
def width(text: str) -> float:
    """The width of a text in Computer Modern of ten points, in points.

    Examples:
        >>> round(width(".776"), 1)
        17.8
    """
    # Letters that the font lacks are about as wide as an n, signs of mathematics as an m.
    known = "".join(c if c in _MARKS or (c.isalnum() and c.isascii()) else _like(c) for c in text)
    font = _font()
    font.set_text(known)
    return float(font.get_width_height()[0]) / 64 / _FINE


def _like(character: str) -> str:
    return "n" if character.isalnum() or character in "_–" else "m"


@lru_cache(maxsize=1)
def _font() -> FT2Font:
    font = get_font(findfont("cmr10"))
    # Drawn large, or the width of each letter is rounded to a pixel.
    font.set_size(10, 72 * _FINE)
    return font
