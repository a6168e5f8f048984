"""The figure across studies: UAR by condition, one panel a study."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sercue.plots.style import (
    GREY,
    condition_palette,
    legend_above,
    readable,
    small_multiples,
    styled,
)

_PUBLISHED = "published"
_PAIR = ["model", "corpus"]


@styled
def plot_comparison(table: pd.DataFrame) -> Figure:
    """UAR by condition with its interval, one panel a study, on one scale.

    Args:
        table: as ``compare_studies`` returns it

    Returns:
        figure; a dotted line is chance, a dashed one the study's own ``none``, a hollow diamond a
        published value of the same model and corpus

    Examples:
        >>> rows = [("none", 0.5, 0.4, 0.6), ("aligned", 0.7, 0.6, 0.8)]
        >>> table = pd.DataFrame(rows, columns=["condition", "uar", "low", "high"]).assign(
        ...     model="m", corpus="c", study="s", source="this run", fixture=False, classes=4)
        >>> plot_comparison(table).axes[0].get_title().splitlines()
        ['s', 'm on c']
    """
    own = table[table["source"] != _PUBLISHED]
    theirs = table[table["source"] == _PUBLISHED]
    conditions = list(dict.fromkeys(table["condition"]))
    studies = list(dict.fromkeys(own["study"]))
    figure, panels = small_multiples(
        len(studies), 0.6 + 0.24 * len(conditions), sharex=True, sharey=True
    )
    for axes, study in zip(panels, studies, strict=True):
        rows = own[own["study"] == study]
        pair = rows[_PAIR].iloc[0]
        _draw_study(axes, rows, conditions)
        _draw_published(axes, theirs[(theirs[_PAIR] == pair).all(axis=1)], conditions)
        axes.set_title(_title(rows.iloc[0]), fontsize="medium")
    panels[0].set_yticks(range(len(conditions)), [readable(name) for name in conditions])
    panels[0].set_ylim(len(conditions) - 0.5, -0.5)
    figure.supxlabel("Unweighted average recall (UAR)", fontsize="medium")
    legend_above(figure, _legend(len(theirs) > 0))
    return figure


def _draw_study(axes: Axes, rows: pd.DataFrame, conditions: list[str]) -> None:
    palette = condition_palette(conditions)
    for row in rows.to_dict("records"):
        colour, name = palette[row["condition"]], row["condition"]
        around = [[max(row["uar"] - row["low"], 0)], [max(row["high"] - row["uar"], 0)]]
        axes.errorbar(
            row["uar"], conditions.index(name), xerr=around, fmt="o", color=colour, markersize=6,
            elinewidth=2, zorder=3,
        )  # fmt: skip
        if name == "none":
            axes.axvline(row["uar"], color=GREY, linestyle="--", linewidth=1.2)
    axes.axvline(1 / rows["classes"].iloc[0], color=GREY, linestyle=":", linewidth=1.4)
    axes.grid(axis="y", visible=False)


def _draw_published(axes: Axes, rows: pd.DataFrame, conditions: list[str]) -> None:
    for name, value in zip(rows["condition"], rows["uar"], strict=True):
        axes.plot(
            value, conditions.index(name), "D", color="black", markerfacecolor="none",
            markersize=9, zorder=4,
        )  # fmt: skip


def _title(row: pd.Series) -> str:
    study = f"{row['study']} (fixture)" if row["fixture"] else str(row["study"])
    lines = [study, f"{row['model']} on {row['corpus']}"]
    return "\n".join(part for line in lines for part in textwrap.wrap(line, 30))


def _legend(published: bool) -> list[Line2D]:
    lines = [
        Line2D([], [], color=GREY, linestyle=":", label="chance"),
        Line2D([], [], color=GREY, linestyle="--", label="none (UAR−) of the study"),
    ]
    mark = Line2D(
        [], [], color="black", marker="D", linestyle="", markerfacecolor="none", label=_PUBLISHED
    )
    return [*lines, mark] if published else lines
