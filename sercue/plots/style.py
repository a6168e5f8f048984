"""Colours and type shared by all figures; nothing here changes matplotlib's global state.

Figures start from matplotlib's defaults, whatever a ``matplotlibrc`` of the user or in the current
folder says.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, cast

import matplotlib.style
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from sercue.errors import InputError
from sercue.notation import signed, without_zero
from sercue.statistics.effects import ENOUGH_CROSSED
from sercue.tokens.concepts import UNKNOWN
from sercue.tokens.condition import told_by_name
from sercue.tokens.schemes import read_scheme, shipped_schemes

Parameters = ParamSpec("Parameters")

WIDTH = 8.0  # inches: the text width of a report
GREY = "#6b6b6b"
# One colour has one meaning: partitions, emotions and conditions have palettes of their own, to be
# told apart with red-green blindness, and with a contrast of 3:1 or more on white.
PARTITION_COLOURS = {"train": "#8c8c8c", "dev": "#ad9057", "test": "#99551f"}
_EMOTION_COLOURS = (
    "#9e1f3f", "#6b9b1f", "#2b2a8c", "#b07be0", "#4a1a1a", "#2d6b6b", "#d0708a",
)  # fmt: skip

# seaborn's "colorblind" palette, by role; its yellow and pinks darker, since here they are thin
# lines on white. Conditions with a strength or a concept in brackets are steps of one ramp, so
# that a family reads as a family.
_CONDITION_COLOURS = {
    "none": "#6b6b6b",
    "aligned": "#0173b2",
    "shuffled": "#de8f05",
    "shuffled_within_class": "#a89400",
    "shuffled_within_speaker": "#ca9161",
    "conflicting": "#d55e00",
    "counter_emotion": "#8c3a8c",
    "constant": "#e377c2",
}
_RAMPS = {
    "corrupted": ("#7fc4ab", "#013d2d"),
    "replaced": ("#d6a3c8", "#5e1850"),
    "masked": ("#8cc4e8", "#14506f"),
    "only": ("#a58fd6", "#46287a"),
    "without": ("#b5ad62", "#57520d"),
    "flip": ("#e8947f", "#7c1d0b"),
}
_SPARE = ("#029e73", "#56b4e9", "#949494", "#8c564b", "#bcbd22")


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw in the style of the reports, leaving matplotlib's settings and open figures alone.

    With ``ax``, the whole figure that it belongs to is returned, and the other Axes in it keep the
    style of their own.
    """

    @functools.wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        settings = sns.plotting_context("notebook", font_scale=0.8) | sns.axes_style("whitegrid")
        # Names of speakers and labels are text; a dollar sign in one is no formula.
        settings |= {"figure.constrained_layout.use": True, "text.parse_math": False}
        ax: Any = kwargs.get("ax")
        neighbours = []
        if ax is not None:
            whole = ax.get_figure(root=True)
            if whole is None:
                raise InputError(
                    "ax: found Axes that belong to no figure any more (several panels may have "
                    "taken their place); valid are Axes of a figure"
                )
            neighbours = [axes for axes in whole.axes if axes is not ax and axes.get_visible()]
        try:
            # Ticks are made when first asked for, in the style of that moment: those of this plot
            # now, those of its neighbours later.
            for axes in neighbours:
                axes.set_visible(False)
            with matplotlib.style.context(["default", settings]):
                figure = draw(*args, **kwargs).get_figure(root=True)
                for axes in figure.axes:
                    if axes.get_visible():
                        axes.get_xticklabels(which="both")
                        axes.get_yticklabels(which="both")
        finally:
            for axes in neighbours:
                axes.set_visible(True)
        return figure

    return drawn


def condition_palette(conditions: Iterable[str]) -> dict[str, str]:
    """The colour of each condition: the same one in every figure of every study.

    A condition's colour depends on its name alone, not on which others are shown.

    Args:
        conditions: names of conditions

    Returns:
        condition to colour, as ``#rrggbb``

    Examples:
        >>> condition_palette(["aligned", "corrupted(0)", "corrupted(1)"])
        {'aligned': '#0173b2', 'corrupted(0)': '#7fc4ab', 'corrupted(1)': '#013d2d'}
    """
    palette = dict[str, str]()
    for name in conditions:
        if name in _CONDITION_COLOURS:
            palette[name] = _CONDITION_COLOURS[name]
            continue
        family, dose, concepts = told_by_name(name)
        palette[name] = _SPARE[zlib.crc32(name.encode()) % len(_SPARE)]
        if family in _RAMPS:
            ramp = sns.blend_palette(_RAMPS[family], 101).as_hex()
            palette[name] = str(ramp[round(100 * _position(dose, concepts))])
    return palette


def label_palette(labels: Sequence[str], neutral_label: str | None = "neutral") -> dict[str, str]:
    """The colour of each emotion class, in the order of the corpus; neutral is grey.

    Examples:
        >>> label_palette(["angry", "neutral"])
        {'angry': '#9e1f3f', 'neutral': '#8a8a8a'}
    """
    emotional = [label for label in labels if label != neutral_label]
    palette = dict(zip(emotional, itertools.cycle(_EMOTION_COLOURS), strict=False))
    return {label: palette.get(label, "#8a8a8a") for label in labels}


def word_palette(words: Sequence[str]) -> dict[str, str]:
    """The colour of each token word: light is low, dark is high, grey is unknown.

    Examples:
        >>> sorted(word_palette(["low", "high", "unknown"]))
        ['high', 'low', 'unknown']
    """
    scale = [word for word in words if word != UNKNOWN]
    shades = sns.color_palette("crest", len(scale)).as_hex()
    return dict(zip(scale, shades, strict=True)) | {UNKNOWN: "#b5b5b5"}


def check_known(values: pd.Series) -> None:
    """There is something about the emotion to draw.

    Raises:
        InputError: if all values are missing
    """
    if values.isna().all():
        raise InputError(
            "emotion and speaker: found nothing that could be estimated; valid are speakers with "
            f"utterances of two or more classes, {ENOUGH_CROSSED} of them where most speakers have "
            "one class only"
        )


def canvas(ax: Axes | None, *, width: float = WIDTH, height: float = 3.0) -> tuple[Figure, Axes]:
    """One panel and its figure: ``ax`` if given, else a new one of this size in inches."""
    if ax is not None:
        return cast(Figure, ax.get_figure(root=True)), ax
    figure, (panel,) = panel_grid(1, 1, None, width=width, height=height)
    return figure, panel


def panel_grid(
    rows: int,
    columns: int,
    ax: Axes | None,
    *,
    width: float = WIDTH,
    height: float = 3.0,
    **options: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure and its panels in reading order; in the place of ``ax`` it is a subfigure.

    Whoever holds the figure can show, save and restyle it. pyplot does not hold it: a notebook
    would show it twice and keep it until the end.

    Args:
        rows: how many rows of panels
        columns: how many columns
        ax: the panels take its place; by default they have a figure of their own
        width: width of that figure, in inches
        height: height of that figure, in inches
        **options: of ``matplotlib.figure.Figure.subplots``

    Raises:
        InputError: if ``ax`` stands in no grid
    """
    if ax is None:
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)  # seaborn lays some figures out with the renderer of their canvas
    else:
        place = ax.get_subplotspec()
        if place is None:
            raise InputError(
                "ax: found Axes placed by hand; valid for a plot with several panels are Axes in a "
                "grid, as plt.subplots returns them"
            )
        # Legends, colour bars and common labels of a subfigure stay within it.
        parent = cast(Figure, ax.get_figure(root=False))
        figure = cast(Figure, parent.add_subfigure(place))
        ax.remove()
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def small_multiples(
    number: int, ax: Axes | None, panel_height: float = 2.1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Panels in rows of three or four, whichever leaves fewer places empty, four as two by two.

    Args:
        number: how many panels
        ax: the panels take its place; by default they have a figure of their own
        panel_height: height of one panel in such a figure, in inches
        **options: of ``matplotlib.figure.Figure.subplots``
    """
    fuller = 3 if -number % 3 < -number % 4 or number < 4 else 4
    columns = 2 if number == 4 else min(fuller, number)
    rows = -(-number // columns)
    figure, panels = panel_grid(rows, columns, ax, height=0.7 + panel_height * rows, **options)
    for axes in panels[number:]:
        axes.remove()
    for position, axes in enumerate(panels[:number]):
        # The lowest panel of a column need not stand in the last row.
        if position + columns >= number:
            axes.tick_params(axis="x", labelbottom=True)
    return figure, panels[:number]


def heatmap(axes: Axes, table: pd.DataFrame, **options: Any) -> None:
    """Seaborn's heatmap without names of its axes, the labels of its rows upright.

    seaborn draws the whole figure to find out whether labels overlap, once per panel. On a canvas
    that draws nothing this takes no time; whoever draws it says how those of columns are rotated.
    """
    figure = cast(Figure, axes.get_figure(root=True))
    drawn_on = figure.canvas
    figure.set_canvas(FigureCanvasBase(figure))
    try:
        sns.heatmap(table, ax=axes, **options)
    finally:
        figure.set_canvas(drawn_on)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="y", rotation=0)


def slanted(axes: Axes) -> None:
    """Slant the labels of the x axis, their ends under their ticks."""
    axes.tick_params(axis="x", rotation=45)
    for label in axes.get_xticklabels():
        label.set(ha="right", rotation_mode="anchor")


def legend_above(figure: Figure, handles: Sequence[Artist], ax: Axes | None = None) -> None:
    """One legend above all panels, or above ``ax``: one line if that fits, else two columns."""
    letters = sum(len(str(handle.get_label())) + 8 for handle in handles)
    inches = (ax or figure).bbox.width / figure.dpi
    columns = len(handles) if letters < 13 * inches else 2
    options: dict[str, Any] = {"handles": list(handles), "ncols": columns, "frameon": False}
    if ax is None:
        figure.legend(loc="outside upper left", **options)
    else:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, **options)


def legend_beside(
    figure: Figure, handles: Sequence[Artist], ax: Axes | None = None, title: str | None = None
) -> None:
    """One legend to the right of all panels, or of ``ax``."""
    options: dict[str, Any] = {"handles": list(handles), "title": title, "frameon": False}
    if ax is None:
        figure.legend(loc="outside right upper", **options)
    else:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1), **options)


def lines_between(axes: Axes, names: Sequence[Hashable], colour: str = "#dddddd") -> None:
    """Thin lines across the panel between lines that are not of the same name."""
    for y in range(1, len(names)):
        if names[y] != names[y - 1]:
            axes.axhline(y - 0.5, color=colour, linewidth=0.8)


def lines_from_top(axes: Axes, names: Sequence[str]) -> None:
    """One line per name from the top of the y axis, without a grid across them."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def bounded_ticks(axis: Axis) -> None:
    """Write the ticks of a quantity that cannot exceed 1 without the zero before the point."""
    axis.set_major_formatter(_BoundedFormatter(useOffset=False))


class _BoundedFormatter(ScalarFormatter):
    def __call__(self, x: float, pos: int | None = None) -> str:
        return without_zero(super().__call__(x, pos)) if x else "0"


def around(rows: pd.DataFrame | pd.Series | Mapping[Hashable, Any], value: str) -> np.ndarray:
    """How far intervals reach below and above a value, shape (2, rows), as ``errorbar`` takes it.

    Args:
        rows: a table, or one row of it, with ``low``, ``high`` and ``value``
        value: name of the column of the points
    """
    reach = np.reshape([rows[value] - rows["low"], rows["high"] - rows[value]], (2, -1))
    return np.maximum(reach, 0)


def horizontal_intervals(
    axes: Axes,
    table: pd.DataFrame,
    value: str,
    names: Sequence[str],
    colours: Mapping[str, str],
    filled: Sequence[bool],
    written: Callable[..., str] = signed,
) -> None:
    """Points with intervals, one line per row of ``table`` from the top, values in the margin.

    Args:
        axes: to draw on
        table: columns ``condition``, ``value``, ``low``, ``high``
        value: name of the column of the points
        names: what stands at each line
        colours: condition to colour
        filled: whether to fill each point
        written: how a number and the ends of its interval stand in the margin
    """
    for y, (row, fill) in enumerate(zip(table.to_dict("records"), filled, strict=True)):
        colour = colours[row["condition"]]
        axes.errorbar(
            row[value], y, xerr=around(row, value), fmt="o", color=colour, markersize=7,
            markerfacecolor=colour if fill else "white", markeredgewidth=1.6, elinewidth=2,
            zorder=3,
        )  # fmt: skip
        text = written(row[value], row["low"], row["high"])
        axes.text(1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=8.5)
    lines_from_top(axes, names)
    bounded_ticks(axes.xaxis)


def _position(dose: float, concepts: Sequence[str]) -> float:
    """Where in its ramp a dose between 0 and 1, or one or several concepts of a scheme, lies.

    Several concepts lie in the order of their subsets as binary numbers.
    """
    for scheme in map(read_scheme, shipped_schemes()):
        names = scheme.names
        if concepts and set(concepts) <= set(names):
            if len(concepts) == 1:
                return names.index(concepts[0]) / (len(names) - 1)
            number = sum(2 ** names.index(name) for name in concepts)
            return float((number - 0.5) / (2 ** len(names) - 1))
    return 0.5 if np.isnan(dose) else min(max(dose, 0.0), 1.0)
