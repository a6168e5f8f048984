"""Tables for a paper: LaTeX that needs booktabs alone and fits the page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sercue.notation import MISSING, with_minus
from sercue.storage.files import write_text
from sercue.tables.printed import is_number

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

_COMMANDS = {mark: f"\\{mark}" for mark in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    # LaTeX's oldest font encoding, still the default, has other signs in these places.
    "<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": "{}`",
    "∞": r"$\infty$",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\to$", "←": r"$\leftarrow$", "²": "$^2$",
    "³": "$^3$", "°": r"$^\circ$", "µ": r"$\mu$", "†": r"\dag{}", "‡": r"\ddag{}", "\u00a0": "~",
    "\u202f": r"\,",
    "–": "--", "—": "---", "…": r"\ldots{}", "‘": "`", "’": "'", "“": "``", "”": "''",
    "„": ",,", "«": r"$\ll$", "»": r"$\gg$", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
    "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    "ı": r"\i{}", "§": r"\S{}",
    # What a model wrote may be no text.
    "\ufffd": "?",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d",
    "\u0327": "c",
}  # fmt: skip
_GREEK = "GREEK SMALL LETTER "


def latex_text(text: str) -> str:
    r"""A text with everything escaped that LaTeX would read otherwise or has no letter for.

    Needs neither a package nor another font encoding. Of other scripts, letters stay as they are:
    see ``unprintable``.

    Args:
        text: plain text

    Examples:
        >>> latex_text("p < 5 % of a_b, −.1 ± .2, η²")
        'p $<$ 5 \\% of a\\_b, $-$.1 $\\pm$ .2, $\\eta$$^2$'
        >>> latex_text("Zoë -- müde")
        'Zo\\"{e} -{}- m\\"{u}de'
    """
    # Two hyphens would become a dash, two commas a quotation mark.
    apart = (
        "{}" if before == character and character in "-,'" else ""
        for before, character in zip(f" {text}", text, strict=False)
    )
    return "".join(map("".join, zip(apart, map(_of_character, text), strict=True)))


def unprintable(text: str) -> str:
    """The letters of a text for which pdfLaTeX needs further packages, or XeLaTeX instead.

    Args:
        text: plain text

    Examples:
        >>> unprintable("müde, ü, ω"), unprintable("злость")
        ('', 'злость')
    """
    return "".join(dict.fromkeys(c for c in text if ord(c) > 126 and _of_character(c) == c))


def _of_character(character: str) -> str:
    if character in _COMMANDS:
        return _COMMANDS[character]
    if not character.isprintable():
        return " " if character.isspace() else ""
    if ord(character) < 127:
        return character
    name = unicodedata.name(character, "")
    letter = name.removeprefix(_GREEK).lower().replace("lamda", "lambda")
    # An omicron has no command of its own: it is an o.
    if name.startswith(_GREEK) and letter.isalpha():
        return "o" if letter == "omicron" else rf"$\{letter}$"
    base, *marks = list(unicodedata.normalize("NFD", character))
    if ord(base) > 126 or len(marks) != 1 or marks[0] not in _ACCENTS:
        return character
    # An accent takes the place of the dot.
    under = r"\i" if base == "i" and marks[0] != "\u0323" else base
    return f"\\{_ACCENTS[marks[0]]}{{{under}}}"


#: Width of the text of LaTeX's article in points; of two columns it is wider.
PAGE = 345.0
#: Of a page of A4 with margins of 2.5 cm; pages of two columns are as wide or wider.
WIDE_PAGE = 455.0
# Width of one of two columns; what fits is no table over both.
_COLUMN = 230.0
# Sizes of letters with their width, that of ten points being 1.
_SIZES = {"": 1.0, r"\small": 0.925, r"\footnotesize": 0.85}
# Points between columns, half of them on either side.
_GAP = 8
# A column of longer texts is set as paragraphs, at least so wide, in points.
_PROSE = 150.0
_PARAGRAPH = 100.0
_FINE = 100
_INTERVAL = re.compile(r"([+−-]?[\d.]+) (\[[^\[\]]+\])")


@lru_cache(maxsize=4096)
def width(text: str) -> float:
    """The width of a text in Computer Modern of ten points, in points.

    Examples:
        >>> round(width(".776"), 1)
        17.8
    """
    # Letters that the font lacks are about as wide as an n, signs of mathematics as an m.
    known = re.sub(r"[^\W\x00-\x7f]|[_–]", "n", text)
    known = re.sub(r"[^\w .,:;+=()[\]/%-]", "m", known)
    font = _font()
    font.set_text(known)
    return float(font.get_width_height()[0]) / 64 / _FINE


@lru_cache(maxsize=1)
def _font() -> FT2Font:
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("cmr10"))
    # Drawn large, or the width of each letter is rounded to a pixel.
    font.set_size(10, 72 * _FINE)
    return font


@dataclass(frozen=True)
class _Column:
    """A column of texts.

    Attributes:
        head: what stands above it
        cells: the lines of each cell, from top to bottom
        align: as LaTeX calls it: ``r`` of numbers, ``p`` of texts too long for one line
        key: whether it names the rows
    """

    head: str
    cells: tuple[tuple[str, ...], ...]
    align: str
    key: bool

    @cached_property
    def width(self) -> float:
        """In points at ten points: of a column of long texts the least that will do."""
        lines = [line for cell in self.cells for line in cell]
        if self.align == "p":
            return max(_PARAGRAPH, *(width(word) for line in lines for word in line.split()))
        return max(map(width, [*lines, *self.head.split()]), default=0.0)

    def stacked(self) -> _Column:
        """The same with each interval beneath its number."""
        found = [_INTERVAL.fullmatch(" ".join(cell)) for cell in self.cells]
        cells = tuple(m.groups() if m else c for m, c in zip(found, self.cells, strict=True))
        return replace(self, cells=cells, align=self.align.replace("r", "c"))

    def heading(self) -> str:
        """What stands above it, in as many lines as it takes not to widen it."""
        lines: list[str] = []
        for word in self.head.split():
            if lines and width(f"{lines[-1]} {word}") <= self.width:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        stacked = r" \\ ".join(map(latex_text, lines))
        side = self.align.replace("p", "l")
        return rf"\shortstack[{side}]{{\strut {stacked}}}" if len(lines) > 1 else stacked


def write_table(
    printed: pd.DataFrame, caption: str, path: Path, *, keys: int = 0, page: float = PAGE
) -> None:
    """Write a table for LaTeX with booktabs, which is all that it needs.

    It fits one of two columns if it can, and else the width of the page. What does not in letters
    of ten points is set smaller, then with the intervals beneath their numbers, then in several
    parts one below another, each with the names of the rows; long texts are set in lines as wide
    as the page.

    Args:
        printed: as a reader sees it; the levels of its index name the rows
        caption: its caption
        path: the file to write; its name without its ending is that of the label
        keys: how many of the first columns name the rows, too, as if they were of the index
        page: width of its text in points; by default that of ``article``
    """
    columns = _columns(printed, keys)
    stacked = [column.stacked() for column in columns]
    prose = any(column.align == "p" for column in columns)
    narrow = page if prose else min(_COLUMN, page)
    fitting = (
        (size, [whole])
        for whole, room in ((columns, narrow), (columns, page), (stacked, page))
        for size in _SIZES
        if _width(whole, size) <= room
    )
    smallest = list(_SIZES)[-1]
    size, parts = next(fitting, None) or (smallest, _parts(stacked, smallest, page))
    widest = max(_width(part, size) for part in parts)
    environment = "table" if widest <= _COLUMN and not prose else "table*"
    cells = (line for column in columns for cell in column.cells for line in cell)
    letters = unprintable("".join([caption, *(column.head for column in columns), *cells]))
    needed = "% This table needs XeLaTeX or LuaLaTeX and a font that has: "
    lines = [
        *([needed + letters] if letters else []),
        rf"\begin{{{environment}}}[tbp]",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\label{{tab:{path.stem}}}",
        *([size] if size else []),
        rf"\setlength{{\tabcolsep}}{{{_GAP // 2}pt}}",
        "\n\n\\medskip\n".join(_tabular(part, size, page) for part in parts),
        rf"\end{{{environment}}}",
    ]
    write_text(path, "\n".join(lines) + "\n")


def _columns(printed: pd.DataFrame, keys: int) -> list[_Column]:
    """The levels of the index, unless it only counts the rows; then the columns; all as texts."""
    index = printed.index
    counts = isinstance(index, pd.RangeIndex) and index.name is None
    levels = [] if counts else [index.get_level_values(place) for place in range(index.nlevels)]
    named = [(level.name, list(level)) for level in levels]
    named += [(name, list(values)) for name, values in printed.items()]
    columns = []
    for place, (name, values) in enumerate(named):
        texts = [
            MISSING
            if cell is None or (isinstance(cell, float) and cell != cell)
            else with_minus(str(cell))
            for cell in values
        ]
        key = place < len(levels) + keys
        prose = max(map(width, texts), default=0.0) > _PROSE
        numbers = not key and all(map(is_number, texts))
        columns.append(
            _Column(
                head="" if name is None else str(name),
                cells=tuple((text,) for text in texts),
                align="p" if prose else "r" if numbers else "l",
                key=key,
            )
        )
    return columns


def _width(columns: Sequence[_Column], size: str) -> float:
    return sum(c.width for c in columns) * _SIZES[size] + _GAP * (len(columns) - 1)


def _parts(columns: Sequence[_Column], size: str, page: float) -> list[list[_Column]]:
    """As few parts as fit the page, and those of about the same width."""
    keys = [column for column in columns if column.key]

    def filled(room: float) -> list[list[_Column]]:
        parts = [[*keys]]
        for column in columns[len(keys) :]:
            if len(parts[-1]) > len(keys) and _width([*parts[-1], column], size) > room:
                parts.append([*keys])
            parts[-1].append(column)
        return parts

    fewest = filled(page)
    evener = map(filled, range(int(page) // 3, int(page), 5))
    return next((parts for parts in evener if len(parts) == len(fewest)), fewest)


def _tabular(columns: Sequence[_Column], size: str, page: float) -> str:
    """The rows between their rules."""
    prose = sum(column.align == "p" for column in columns)
    spare = max(page - _width(columns, size), 0.0) / max(prose, 1)
    specification = "".join(
        f"p{{{c.width * _SIZES[size] + spare:.0f}pt}}" if c.align == "p" else c.align
        for c in columns
    )
    # In a paragraph \\ ends a line of its own.
    end = r"\tabularnewline" if prose else r"\\"
    keys = sum(column.key for column in columns)
    rows: list[str] = []
    above: tuple[tuple[str, ...], ...] = ((),) * len(columns)
    for row in zip(*(column.cells for column in columns), strict=True):
        # Without the names of what the row above is of, too; the last name always stands.
        same = 0
        while same < keys - 1 and row[same] == above[same]:
            same += 1
        above, shown = row, ((),) * same + row[same:]
        for place in range(max(map(len, shown))):
            cells = [
                "" if place >= len(cell) else _set(cell[place], column, beneath=place > 0)
                for cell, column in zip(shown, columns, strict=True)
            ]
            rows.append(f"{_guarded(' & '.join(cells))} {end}")
    return "\n".join(
        [
            rf"\begin{{tabular}}{{@{{}}{specification}@{{}}}}",
            r"\toprule",
            rf"{_guarded(' & '.join(column.heading() for column in columns))} \\",
            r"\midrule",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _set(line: str, column: _Column, *, beneath: bool) -> str:
    if beneath:
        return rf"{{\scriptsize {latex_text(line)}}}"
    return rf"\raggedright {latex_text(line)}" if column.align == "p" and line else latex_text(line)


def _guarded(line: str) -> str:
    """A line that a rule or the end of another does not take for its option."""
    return f"{{}}{line}" if line.startswith(("[", "*")) else line
