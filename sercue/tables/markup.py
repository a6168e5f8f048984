"""Figures and tables as HTML: numbered captions, words for what is drawn, scopes of headers."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping

import pandas as pd

from sercue.tables.printed import is_number

_POINTS = re.compile(rb'\s(width|height)="([\d.]+)pt"')
_PIXELS = 96 / 72  # of CSS, a point
_MARKED = {"code": re.compile(r"`([^`]+)`"), "b": re.compile(r"\*\*([^*]+)\*\*")}
_LONG = 40  # characters, from which on a text is set in lines


def prose(text: str) -> str:
    """A sentence as HTML; what stands between backticks is code, between double stars bold.

    Examples:
        >>> prose("**Limits.** With `fold: all`, n < 8")
        '<b>Limits.</b> With <code>fold: all</code>, n &lt; 8'
    """
    marked = html.escape(text)
    for tag, mark in _MARKED.items():
        marked = mark.sub(rf"<{tag}>\1</{tag}>", marked)
    return marked


def image(svg: bytes, alt: str) -> str:
    """An SVG drawing as an image that is part of the page, with its size and alternative text.

    Examples:
        >>> image(b'<svg height="72pt" width="144pt"></svg>', "a < b")[:78]
        '<img alt="a &lt; b" width="192" height="96" style="--width: 192px" src="data:i'
    """
    start = svg.partition(b"<svg")[2].partition(b">")[0]
    size = {side.decode(): float(points) * _PIXELS for side, points in _POINTS.findall(start)}
    sized = "".join(f' {side}="{size[side]:.0f}"' for side in ("width", "height") if side in size)
    if "width" in size:
        sized += f' style="--width: {size["width"]:.0f}px"'
    data = base64.b64encode(svg).decode()
    return f'<img alt="{html.escape(alt)}"{sized} src="data:image/svg+xml;base64,{data}">'


def plot(svg: bytes, caption: str, alt: str, name: str = "") -> str:
    """A figure with its caption; what is too wide for the screen scrolls in its box.

    Args:
        svg: the drawing
        caption: stands below it
        alt: what it shows, in words
        name: of its files, for the links of a report to them
    """
    return (
        f'<figure class="plot"{_named(name)}>{_box("Figure", caption, image(svg, alt))}'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def table(data: pd.DataFrame, caption: str, name: str = "", *, folded: bool = False) -> str:
    """A table with its caption; what is too wide for the screen scrolls in its box.

    Args:
        data: as it is to be printed; names of index levels head their columns
        caption: stands above the table
        name: of its files, for the links of a report to them
        folded: on a screen only its caption is shown until a reader opens it
    """
    prose = any(len(str(cell)) > _LONG for cell in data.to_numpy().ravel())
    box = _box("Table", caption, _rows_and_columns(data))
    if folded:
        rows = f"{len(data)} row{'s' * (len(data) != 1)}"
        box = f"<details><summary>Show the table ({rows})</summary>{box}</details>"
    return (
        f'<figure class="{"table prose" if prose else "table"}"{_named(name)}>'
        f"<figcaption>{html.escape(caption)}</figcaption>{box}</figure>"
    )


def _named(name: str) -> str:
    return f' data-name="{html.escape(name)}"' if name else ""


def _box(kind: str, caption: str, content: str) -> str:
    """A box that scrolls sideways, by keyboard, too: only what has the focus does.

    The frame around it shows on which sides something is cut off.
    """
    label = html.escape(f"{kind}: {caption}")
    box = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{content}</div>'
    return f'<div class="frame">{box}</div>'


def _rows_and_columns(data: pd.DataFrame) -> str:
    """One line of headers, names of the index among them, each saying what it is the header of."""
    plain = data.rename_axis(columns=None)
    plain.index = plain.index.set_names([None] * plain.index.nlevels)
    with pd.option_context("display.max_colwidth", None):
        markup = plain.to_html(border=0, escape=True, na_rep="–")
    head, body = markup.split("<tbody>", 1)
    head = head.replace(' style="text-align: right;"', "").replace("<th>", '<th scope="col">')
    for name in data.index.names:
        named = f'<th scope="col" class="rows">{html.escape(str(name))}</th>'
        # An empty header is none.
        header = "<td></td>" if name is None else named
        head = head.replace('<th scope="col"></th>', header, 1)
    body = body.replace(' valign="top"', "").replace("<th>", '<th scope="row">')
    body = re.sub(r'<th rowspan="(\d+)">', r'<th scope="rowgroup" rowspan="\1">', body)
    # A row whose first header is not in the first column, beneath one of several rows, says so.
    below = range(1, data.index.nlevels)
    body = "</tr>".join(
        row.replace("<th", '<th class="below"', 1) if row.count("<th") in below else row
        for row in body.split("</tr>")
    )
    kinds = {place: _kind(data.iloc[:, place]) for place in range(data.shape[1])}
    head = _marked(head, '<th scope="col">', kinds)
    return f"{head}<tbody>{_marked(body, '<td>', kinds)}"


def _kind(column: pd.Series) -> str:
    """The class of a column's cells: nothing for numbers, which stand to the right."""
    texts = [str(cell) for cell in column[column.notna()]]
    if all(map(is_number, texts)):
        return ""
    return "words long" if any(len(text) > _LONG for text in texts) else "words"


def _marked(rows: str, tag: str, kinds: Mapping[int, str]) -> str:
    """Rows of a table whose cells have the class of their column."""
    marked = []
    for row in rows.split("</tr>"):
        before, *cells = row.split(tag)
        tags = (
            f'{tag[:-1]} class="{kind}">' if kind else tag
            for kind in (kinds[place] for place in range(len(cells)))
        )
        marked.append(before + "".join(map("".join, zip(tags, cells, strict=True))))
    return "</tr>".join(marked)
