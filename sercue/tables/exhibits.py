"""Figures and tables as reports show them: captioned, and saved for the paper."""

from __future__ import annotations

import contextlib
import hashlib
import html
import io
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from IPython.display import HTML, display

from sercue.errors import why_not
from sercue.notation import with_minus
from sercue.storage.files import write_bytes, write_csv, write_text
from sercue.tables import latex, markup
from sercue.tables.printed import rounded

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

logger = logging.getLogger(__name__)

# A fixed salt and no date: the same figure gives the same bytes. Journals ask for TrueType in PDF.
_SAVED = {"svg.hashsalt": "sercue", "svg.fonttype": "path", "pdf.fonttype": 42}
_NO_DATE = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
_CLIP = re.compile(rb'<clipPath id="(p[0-9a-f]{10})">\s*(<(?:rect|path)[^>]*/>)')
_DPI = 200  # of what is drawn in pixels inside a figure
_MARGIN = 0.1  # inches around all that is drawn
_MOST = 20  # names of a list in an alternative text


@dataclass
class FigureExhibit:
    """A figure with its caption; restyled and displayed again, ``figure`` is saved anew.

    Attributes:
        figure: as it was drawn, and may have been restyled
        caption: what it shows
        path: of its SVG file; the PDF file lies beside it
        svg: as it was saved
    """

    figure: Figure
    caption: str
    path: Path
    svg: bytes = b""

    def __post_init__(self) -> None:
        self.save()

    def save(self) -> None:
        """Write SVG and PDF.

        Raises:
            StorageError: if they cannot be written
        """
        # Late, here and below: a check and the command draw nothing, and start a second earlier.
        import matplotlib.style

        engine = self.figure.get_layout_engine()
        with matplotlib.style.context(["default", _SAVED]):
            # Laid out once for both.
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
            box = self.figure.get_tightbbox().padded(_MARGIN)
            svg, pdf = (_written(self.figure, kind, box) for kind in ("svg", "pdf"))
        self.figure.set_layout_engine(engine)
        self.svg = _with_stable_ids(svg)
        write_text(self.path, self.svg.decode("utf-8"))
        write_bytes(self.path.with_suffix(".pdf"), pdf)
        # matplotlib sets it where anything in the figure is changed, and in saving.
        self.figure.stale = False

    @property
    def alt(self) -> str:
        """Its alternative text: the caption, and what is written in the figure."""
        return f"{self.caption} {describe(self.figure)}".strip()

    def __repr__(self) -> str:
        return f"Figure: {self.caption}"

    def _repr_html_(self) -> str:
        if self.figure.stale:
            self.save()
        return markup.plot(self.svg, self.caption, self.alt, self.path.stem)


@dataclass(frozen=True)
class TableExhibit:
    """A table with its caption.

    Attributes:
        data: the numbers, unrounded
        shown: the rows and columns that the report prints
        caption: what it shows
    """

    data: pd.DataFrame
    shown: pd.DataFrame
    caption: str
    name: str = ""
    folded: bool = False

    def __repr__(self) -> str:
        return f"Table: {self.caption}\n{self.shown}"

    def head(self, rows: int = 5) -> pd.DataFrame:
        """The first rows of ``data``."""
        return self.data.head(rows)

    def _repr_html_(self) -> str:
        return markup.table(self.shown.map(_minus), self.caption, self.name, folded=self.folded)


@dataclass(frozen=True)
class Unavailable:
    """A sentence in the place of a figure or table: why it cannot be had."""

    reason: str

    def __repr__(self) -> str:
        return self.reason

    def _repr_html_(self) -> str:
        return f'<p class="missing">{html.escape(self.reason)}</p>'


def figure_exhibit(drawing: Figure | Artist, caption: str, path: Path) -> FigureExhibit:
    """Save a figure as SVG and PDF and show it with its caption.

    Args:
        drawing: a figure, or anything drawn in one
        caption: what the figure shows; the beginning of its alternative text, too
        path: the SVG file to write; the PDF file is written beside it

    Raises:
        ValueError: if what is drawn stands in no figure
        StorageError: if it cannot be written
    """
    import matplotlib.pyplot as plt

    figure = drawing.get_figure(root=True)
    if figure is None:
        raise ValueError(f"{drawing!r} is not drawn in a figure")
    exhibit = FigureExhibit(figure, caption, path)
    # Closed, or the notebook shows it a second time, without its caption.
    plt.close(figure)
    return exhibit


def _written(figure: Figure, kind: str, box: Bbox) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, bbox_inches=box, dpi=_DPI, metadata=_NO_DATE[kind])
    return stream.getvalue()


def _with_stable_ids(svg: bytes) -> bytes:
    """Clip paths named by what is written of them, so that the same figure is the same bytes.

    matplotlib names them by addresses in memory or by unrounded coordinates. The last digits of
    these, below all that is written, are not the same in every run: those of a constrained layout
    come from an iterative solver.
    """
    for name, shape in _CLIP.findall(svg):
        svg = svg.replace(name, b"p" + hashlib.sha256(shape).hexdigest()[:10].encode())
    return svg


def table_exhibit(
    data: pd.DataFrame,
    caption: str,
    path: Path,
    shown: pd.DataFrame | None = None,
    *,
    folded: bool = False,
) -> TableExhibit:
    """Save a table as CSV (unrounded) and LaTeX (as shown), and show it with its caption.

    Args:
        data: the numbers
        caption: what the table shows
        path: file to write, without its ending
        shown: the rows and columns that the report and LaTeX print, by default all; numbers that
            are not text yet are printed by ``rounded``
        folded: the report shows its caption alone until a reader opens it

    Raises:
        StorageError: if it cannot be written
    """
    printed = rounded(data if shown is None else shown)
    empty = (printed.isna() | (printed == "")).all().to_numpy()
    if not empty.all():
        # A column in which nothing stands only takes room.
        printed = printed.loc[:, ~empty]
    write_csv(path.with_suffix(".csv"), data)
    latex.write_table(printed, caption, path.with_suffix(".tex"))
    return TableExhibit(data, printed, caption, path.name, folded)


@contextlib.contextmanager
def if_possible() -> Iterator[None]:
    """Context in which an input error is shown as a sentence, and the notebook continues.

    A study that lacks conditions, speakers or classes for an exhibit keeps the rest of its report.
    Faults of a disk or a server still end it.

    Examples:
        >>> with if_possible():
        ...     1 / 0
        Not available in this study: ZeroDivisionError: division by zero.
    """
    try:
        yield
    except Exception as error:
        logger.debug("not available", exc_info=True)
        display(Unavailable(f"Not available in this study: {why_not(error)}."))


def bullets(sentences: Sequence[str]) -> HTML:
    """Sentences as a list, for the summary that closes a notebook.

    Examples:
        >>> bullets(["a < b"]).data
        '<ul class="summary"><li>a &lt; b</li></ul>'
    """
    items = "".join(f"<li>{markup.prose(sentence)}</li>" for sentence in sentences)
    return HTML(f'<ul class="summary">{items}</ul>')


def _minus(cell: object) -> object:
    return with_minus(cell) if isinstance(cell, str) else cell


def describe(figure: Figure) -> str:
    """What a figure shows, for those who cannot see it: nothing but what is written in it.

    Args:
        figure: a figure that has been drawn once, so that its ticks are made

    Returns:
        a sentence per panel (alike ones once), and one for the legend; of long lists the beginning

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure, axes = plt.subplots()
        >>> bars = axes.barh(["none", "aligned"], [0.5, 0.7])
        >>> label = axes.set_xlabel("UAR")
        >>> figure.draw_without_rendering()
        >>> describe(figure)
        'Across: UAR. Down: none, aligned.'
        >>> plt.close(figure)
    """
    from matplotlib.figure import FigureBase

    panels = [axes for axes in figure.axes if axes.get_visible() and axes.axison]
    drawn = dict.fromkeys(filter(None, map(_panel, panels)))
    # A plot with several panels that stands beside others has a subfigure of its own.
    parts = figure.findobj(FigureBase)[::-1]
    shared = [
        (where, text)
        for part in parts
        for where, text in (("Across", part.get_supxlabel()), ("Down", part.get_supylabel()))
    ]
    common = [legend for part in parts for legend in part.legends]
    legends = filter(None, [*common, *(axes.get_legend() for axes in figure.axes)])
    texts = dict.fromkeys(text.get_text() for legend in legends for text in legend.get_texts())
    sentences = [
        *_few(drawn, "; ", 6).split("; "),
        *(f"{where}: {text}" for where, text in shared if text),
        f"Legend: {_few(texts)}" if texts else "",
    ]
    return " ".join(f"{' '.join(sentence.split())}." for sentence in sentences if sentence)


def _panel(axes: Axes) -> str:
    if axes.get_label() == "<colorbar>":
        return f"Colours: {axes.get_ylabel() or axes.get_xlabel()}"
    title = axes.get_title() or axes.get_title(loc="left")
    across = _axis("Across", axes.get_xlabel(), _names(axes.get_xticklabels()))
    rows, values = _names(axes.get_yticklabels()), [text.get_text() for text in axes.texts]
    if len(rows) == len(values):
        # Numbers in the margin, one for each row.
        rows = [f"{name} {value}" for name, value in zip(rows, values, strict=True)]
    down = _axis("Down", axes.get_ylabel(), rows)
    return ". ".join(filter(None, [f"Panel {title}" if title else "", across, down]))


def _axis(where: str, label: str, names: list[str]) -> str:
    held = ": ".join(filter(None, [label, _few(names)]))
    return f"{where}: {held}" if held else ""


def _names(labels: Iterable[object]) -> list[str]:
    texts = [label.get_text() for label in labels if label.get_visible()]  # type: ignore[attr-defined]
    return [text for text in texts if text and not _is_number(text)]


def _is_number(text: str) -> bool:
    try:
        float(text.replace("−", "-").rstrip("%"))
    except ValueError:
        return False
    return True


def _few(names: Iterable[str], between: str = ", ", most: int = _MOST) -> str:
    listed = list(names)
    rest = len(listed) - most
    return between.join(listed[:most] + ([f"and {rest} more"] if rest > 0 else []))
