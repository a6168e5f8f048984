"""A printed table as LaTeX with booktabs: as large as fits the page, in parts if it must."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercue.files import write_text
from sercue.latex.columns import GAP, Column
from sercue.latex.text import latex_text, unprintable
from sercue.printed import MISSING, with_minus

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
