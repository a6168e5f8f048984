"""Tables for a paper: LaTeX that needs booktabs alone and fits the page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd
from matplotlib.font_manager import findfont, get_font
from matplotlib.ft2font import FT2Font

from sercue.storage.files import write_text
from sercue.tables.printed import MISSING, is_number, with_minus

_OWN = {mark: f"\\{mark}" for mark in "&%$#_{}"} | {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip
# LaTeX's oldest font encoding, still the default, has other signs in these places.
_ASCII = {"<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": "{}`"}
_SIGNS = {
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "→": r"$\to$", "←": r"$\leftarrow$", "²": "$^2$",
    "³": "$^3$", "°": r"$^\circ$", "µ": r"$\mu$", "†": r"\dag{}", "‡": r"\ddag{}", "\u00a0": "~",
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
    known = _OWN.get(character) or _ASCII.get(character) or _SIGNS.get(character)
    if known:
        return known
    if not character.isprintable():
        return " " if character.isspace() else ""
    if ord(character) < 127:
        return character
    name = unicodedata.name(character, "")
    letter = name.removeprefix(_GREEK).lower().replace("lamda", "lambda")
    # An omicron has no command of its own: it is an o.
    if name.startswith(_GREEK) and letter.isalpha():
        return "o" if letter == "omicron" else rf"$\{letter}$"
    return _accented(character)


def _accented(character: str) -> str:
    base, *marks = list(unicodedata.normalize("NFD", character))
    if ord(base) > 126 or len(marks) != 1 or marks[0] not in _ACCENTS:
        return character
    # An accent takes the place of the dot.
    letter = r"\i" if base == "i" and marks[0] != "\u0323" else base
    return f"\\{_ACCENTS[marks[0]]}{{{letter}}}"


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


#: Width of the text of LaTeX's article in points; of two columns it is wider.
PAGE = 345.0
#: Of a page of A4 with margins of 2.5 cm; pages of two columns are as wide or wider.
WIDE_PAGE = 455.0
#: Width of one of two columns; what fits is no table over both.
_COLUMN = 230.0
#: Sizes of letters with their width, that of ten points being 1.
_SIZES = {"": 1.0, r"\small": 0.925, r"\footnotesize": 0.85}


@dataclass(frozen=True)
class _Layout:
    """How a table is set: the size of its letters, its intervals, its parts one below another."""

    size: str
    beneath: bool
    parts: list[list[Column]]
    page: float

    @property
    def width(self) -> float:
        return max(_width(part, self.size, beneath=self.beneath) for part in self.parts)


def write_table(
    printed: pd.DataFrame, caption: str, path: Path, *, keys: int = 0, page: float = PAGE
) -> None:
    """Write a table for LaTeX with booktabs, which is all that it needs.

    It fits the width of the page. What does not in letters of ten points is
    set smaller, then with the intervals beneath their numbers, then in several parts one below
    another, each with the names of the rows; long texts are set in lines.

    Args:
        printed: as a reader sees it; the levels of its index name the rows
        caption: its caption
        path: the file to write; its name without its ending is that of the label
        keys: how many of the first columns name the rows, too, as if they were of the index
        page: width of its text in points; by default that of ``article``
    """
    columns = _columns(printed, keys)
    layout = _layout(columns, page)
    environment = "table" if layout.width <= _COLUMN else "table*"
    lines = [
        *_warning([caption, *(text for c in columns for text in (c.head, *c.cells))]),
        rf"\begin{{{environment}}}[tbp]",
        r"\centering",
        rf"\caption{{{latex_text(caption)}}}",
        rf"\label{{tab:{path.stem}}}",
        *([layout.size] if layout.size else []),
        rf"\setlength{{\tabcolsep}}{{{GAP // 2}pt}}",
        *"\n\n\\medskip\n".join(_tabular(part, layout) for part in layout.parts).split("\n"),
        rf"\end{{{environment}}}",
    ]
    write_text(path, "\n".join(lines) + "\n")


def _columns(printed: pd.DataFrame, keys: int) -> list[Column]:
    """The levels of the index, then the columns, all as texts."""
    levels = [printed.index.get_level_values(place) for place in range(printed.index.nlevels)]
    named = [(level.name, list(level)) for level in levels] if _tells(printed.index) else []
    first = len(named) + keys
    named += [(name, list(printed.iloc[:, place])) for place, name in enumerate(printed.columns)]
    return [
        Column("" if name is None else str(name), tuple(map(_text, cells)), key=place < first)
        for place, (name, cells) in enumerate(named)
    ]


def _tells(index: pd.Index) -> bool:
    """Whether an index is more than a count of its rows."""
    return not isinstance(index, pd.RangeIndex) or index.name is not None


def _text(cell: object) -> str:
    missing = cell is None or (isinstance(cell, float) and cell != cell)
    return MISSING if missing else with_minus(str(cell))


def _layout(columns: Sequence[Column], page: float) -> _Layout:
    """The first of these that fits: in smaller letters, intervals beneath, in several parts."""
    whole = [list(columns)]
    for beneath in (False, True):
        for size in _SIZES:
            layout = _Layout(size, beneath, whole, page)
            if layout.width <= page:
                return layout
    size = list(_SIZES)[-1]
    return _Layout(size, True, _parts(columns, size, page), page)


def _parts(columns: Sequence[Column], size: str, page: float) -> list[list[Column]]:
    """As few parts as fit the page, and those of about the same width."""
    fewest = _filled(columns, size, page)
    limits = range(int(page) // 3, int(page), 5)
    evener = (_filled(columns, size, limit) for limit in limits)
    return next((parts for parts in evener if len(parts) == len(fewest)), fewest)


def _filled(columns: Sequence[Column], size: str, room: float) -> list[list[Column]]:
    keys = [column for column in columns if column.key]
    parts: list[list[Column]] = [[]]
    for column in columns[len(keys) :]:
        if parts[-1] and _width([*keys, *parts[-1], column], size, beneath=True) > room:
            parts.append([])
        parts[-1].append(column)
    return [[*keys, *part] for part in parts]


def _width(columns: Sequence[Column], size: str, *, beneath: bool) -> float:
    narrowest = sum(column.narrowest(beneath=beneath) for column in columns)
    return narrowest * _SIZES[size] + GAP * (len(columns) - 1)


def _tabular(columns: Sequence[Column], layout: _Layout) -> str:
    """The rows between their rules."""
    wide = _width(columns, layout.size, beneath=layout.beneath)
    prose = [column for column in columns if column.prose]
    spare = max(layout.page - wide, 0.0) / max(len(prose), 1)
    head = " & ".join(_heading(column, beneath=layout.beneath) for column in columns)
    specification = "".join(_specification(column, layout, spare) for column in columns)
    return "\n".join(
        [
            rf"\begin{{tabular}}{{@{{}}{specification}@{{}}}}",
            r"\toprule",
            rf"{_guarded(head)} \\",
            r"\midrule",
            *_rows(columns, layout),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _specification(column: Column, layout: _Layout, spare: float) -> str:
    if column.prose:
        room = column.narrowest(beneath=layout.beneath) * _SIZES[layout.size] + spare
        return f"p{{{room:.0f}pt}}"
    if not column.numbers:
        return "l"
    return "c" if layout.beneath else "r"


def _heading(column: Column, *, beneath: bool) -> str:
    lines = [latex_text(line) for line in column.heading(beneath=beneath)]
    if len(lines) == 1:
        return lines[0]
    side = "l" if not column.numbers else "c" if beneath else "r"
    stacked = r" \\ ".join(lines)
    return rf"\shortstack[{side}]{{\strut {stacked}}}"


def _rows(columns: Sequence[Column], layout: _Layout) -> list[str]:
    rows, before = [], [""] * len(columns)
    for row in zip(*(column.cells for column in columns), strict=True):
        shown = _without_repeated(row, before, sum(column.key for column in columns))
        before = list(row)
        cells = [
            c.lines(text, beneath=layout.beneath) for c, text in zip(columns, shown, strict=True)
        ]
        for place in range(max(map(len, cells))):
            line = [_set(c, told, place) for c, told in zip(columns, cells, strict=True)]
            # In a paragraph \\ ends a line of its own.
            end = r"\tabularnewline" if any(column.prose for column in columns) else r"\\"
            rows.append(f"{_guarded(' & '.join(line))} {end}")
    return rows


def _without_repeated(row: Sequence[str], before: Sequence[str], keys: int) -> list[str]:
    """A row without the names of what the row above is of, too; the last name always stands."""
    same = 0
    while same < keys - 1 and row[same] == before[same]:
        same += 1
    return ["" if place < same else text for place, text in enumerate(row)]


def _set(column: Column, lines: Sequence[str], place: int) -> str:
    if place >= len(lines):
        return ""
    text = latex_text(lines[place])
    if place:
        return rf"{{\scriptsize {text}}}"
    return rf"\raggedright {text}" if column.prose and text else text


def _guarded(line: str) -> str:
    """A line that a rule or the end of another does not take for its option."""
    return f"{{}}{line}" if line.startswith(("[", "*")) else line


def _warning(texts: Sequence[str]) -> list[str]:
    letters = "".join(dict.fromkeys("".join(map(unprintable, texts))))
    needed = "needs XeLaTeX or LuaLaTeX and a font that has"
    return [f"% This table {needed}: {letters}"] if letters else []
