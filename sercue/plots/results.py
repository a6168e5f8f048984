"""Figures of the study: UAR by condition, what changes, how much, and how surely."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sercue.errors import InputError
from sercue.interventions import condition_facts, doses_of
from sercue.plots.style import (
    GREY,
    canvas,
    condition_palette,
    horizontal_intervals,
    legend_above,
    readable,
    small_multiples,
    styled,
)

_MARKED = {"none": "none (UAR−)", "aligned": "aligned (UAR+)"}
_DASHES: tuple[object, ...] = (":", "--", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))
_MARKERS = "osD^vP*X"


@styled
def plot_uar(intervals: pd.DataFrame, references: Mapping[str, float] | None = None) -> Figure:
    """The figure of the study: UAR by condition with its interval.

    Args:
        intervals: as ``uar_intervals`` returns it; drawn in the order given
        references: name to UAR of what the conditions are to be read against (chance, tokens
            only, an SVM): vertical lines

    Returns:
        figure; ``none`` is marked UAR− and ``aligned`` UAR+, values stand in the right margin

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> from sercue.significance import uar_intervals
        >>> intervals = uar_intervals(example_predictions(), LABELS)
        >>> figure = plot_uar(intervals, {"chance": 1 / 3})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['none (UAR−)', 'aligned (UAR+)']
    """
    conditions = list(intervals["condition"])
    figure, (axes,) = canvas(height=1.2 + 0.34 * len(conditions))
    horizontal_intervals(
        axes, intervals, "uar", condition_palette(conditions), [True] * len(conditions)
    )
    axes.set_yticks(
        range(len(conditions)), [_MARKED.get(name, readable(name)) for name in conditions]
    )
    axes.set_xlabel("Unweighted average recall (UAR)")
    _reference_lines(figure, references or {})
    return figure


@styled
def plot_contrasts(contrasts: pd.DataFrame, *, alpha: float = 0.05) -> Figure:
    """Differences in UAR with their intervals: a forest plot, one block a reference.

    Args:
        contrasts: as ``compare`` returns it
        alpha: a point is filled if its Holm-corrected McNemar p-value is below this

    Returns:
        figure; values stand in the right margin

    Examples:
        >>> from sercue.measures import LABELS, example_predictions
        >>> from sercue.significance import compare
        >>> figure = plot_contrasts(compare(example_predictions(), LABELS, resamples=100))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['aligned − none']
    """
    figure, (axes,) = canvas(height=1.3 + 0.32 * len(contrasts))
    filled = (contrasts["holm_p"] < alpha).tolist()
    palette = condition_palette(contrasts["condition"])
    horizontal_intervals(axes, contrasts, "difference", palette, filled)
    axes.axvline(0, color="black", linewidth=1)
    pairs = list(zip(contrasts["condition"], contrasts["reference"], strict=True))
    axes.set_yticks(range(len(pairs)), [f"{readable(a)} − {readable(b)}" for a, b in pairs])
    families = [(b, a == "aligned" and b == "none") for a, b in pairs]
    for y in range(1, len(families)):
        if families[y] != families[y - 1]:
            axes.axhline(y - 0.5, color="#bbbbbb", linewidth=0.8)
    axes.set_xlabel("Difference in UAR")
    marks = [
        Line2D([], [], marker="o", linestyle="", color=GREY, markerfacecolor=face, label=text)
        for face, text in ((GREY, f"Holm p < {alpha:g}"), ("white", f"Holm p ≥ {alpha:g}"))
    ]
    legend_above(figure, marks)
    return figure


@styled
def plot_dose_response(intervals: pd.DataFrame) -> Figure:
    """UAR against the share of tokens that were replaced; ``aligned`` is share 0.

    Args:
        intervals: as ``uar_intervals`` returns it, with conditions ``corrupted(p)`` or
            ``masked(p)``; ``none``, if there, is a band

    Returns:
        figure with one line a family

    Raises:
        InputError: if there is no such condition

    Examples:
        >>> rows = [("aligned", 0.7, 0.6, 0.8), ("corrupted(0.5)", 0.5, 0.4, 0.6)]
        >>> table = pd.DataFrame(rows, columns=["condition", "uar", "low", "high"])
        >>> plot_dose_response(table).axes[0].get_xlabel()
        'Probability that a token is replaced'
    """
    table = intervals.set_index("condition")
    families = doses_of(condition_facts(intervals))
    if not families:
        found = ", ".join(map(str, intervals["condition"]))
        raise InputError(f"intervals: no condition corrupted(p) or masked(p); found {found}")
    figure, (axes,) = canvas(width=6.0, height=3.4)
    for family, doses in families.items():
        names, x = list(doses), list(doses.values())
        part = table.loc[names]
        around = [part["uar"] - part["low"], part["high"] - part["uar"]]
        colour = condition_palette([f"{family}(0.5)"])[f"{family}(0.5)"]
        axes.plot(x, part["uar"], color=colour, linewidth=1.6, label=family)
        points = condition_palette(names)
        for number, name in enumerate(names):
            error = [[max(float(side.iloc[number]), 0)] for side in around]
            axes.errorbar(
                x[number],
                part["uar"].iloc[number],
                yerr=error,
                fmt="o",
                color=points[name],
                markersize=7,
                elinewidth=2,
                zorder=3,
            )
    if "none" in table.index:
        value, low, high = (float(table[name]["none"]) for name in ("uar", "low", "high"))
        axes.axhspan(low, high, color=GREY, alpha=0.15, linewidth=0)
        axes.axhline(value, color=GREY, linestyle="--", label="none (UAR−)")
    axes.set_xlabel("Probability that a token is replaced")
    axes.set_ylabel("UAR")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@styled
def plot_neutral_shift(table: pd.DataFrame) -> Figure:
    """Change of the rate of wrong neutral answers against ``aligned``.

    Args:
        table: as ``measures`` returns it for a corpus with a neutral class

    Returns:
        figure with one point a condition, in percentage points

    Raises:
        InputError: if the table has no neutral measures

    Examples:
        >>> rows = {"condition": ["none", "aligned"], "neutral_shift": [0.1, 0.0]}
        >>> plot_neutral_shift(pd.DataFrame(rows)).axes[0].get_yticklabels()[0].get_text()
        'none'
    """
    if "neutral_shift" not in table:
        raise InputError("table: no column neutral_shift; the corpus needs a neutral class")
    shown = table[table["condition"] != "aligned"] if len(table) > 1 else table
    conditions = list(shown["condition"])
    palette = condition_palette(conditions)
    figure, (axes,) = canvas(width=6.5, height=1.0 + 0.3 * len(conditions))
    for y, (condition, shift) in enumerate(zip(conditions, shown["neutral_shift"], strict=True)):
        axes.plot([0, 100 * shift], [y, y], color=palette[condition], linewidth=2.5)
        axes.plot([100 * shift], [y], "o", color=palette[condition], markersize=7)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(range(len(conditions)), [readable(name) for name in conditions])
    axes.set_ylim(len(conditions) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Change in “neutral” answers to other emotions\nagainst aligned (points)")
    return figure


@styled
def plot_prompt_sensitivity(table: pd.DataFrame) -> Figure:
    """UAR of each template and label order, one panel a condition.

    Args:
        table: columns ``condition``, ``template``, ``label_order``, ``uar``, as
            ``uar_by(predictions, labels, ["condition", "template", "label_order"])`` returns it

    Returns:
        figure; within a panel only the wording of the prompt differs

    Examples:
        >>> from sercue.measures import LABELS, example_predictions, uar_by
        >>> keys = ["condition", "template", "label_order"]
        >>> table = uar_by(example_predictions(), LABELS, keys)
        >>> [axes.get_title() for axes in plot_prompt_sensitivity(table).axes]
        ['none', 'aligned']
    """
    conditions = list(table["condition"].unique())
    templates, orders = list(table["template"].unique()), sorted(table["label_order"].unique())
    palette = condition_palette(conditions)
    figure, panels = small_multiples(
        len(conditions), 0.5 + 0.34 * len(templates), sharex=True, sharey=True
    )
    for axes, condition in zip(panels, conditions, strict=True):
        for number, order in enumerate(orders):
            part = table[(table["condition"] == condition) & (table["label_order"] == order)]
            offset = 0.4 * (number - (len(orders) - 1) / 2) / max(len(orders), 2)
            axes.plot(
                part["uar"],
                part["template"].map(templates.index) + offset,
                _MARKERS[number % len(_MARKERS)],
                color=palette[condition],
                markersize=6,
                markeredgecolor="white",
                label=str(order),
            )
        axes.set_title(readable(condition))
        axes.set_yticks(range(len(templates)), templates)
        axes.set_ylim(len(templates) - 0.5, -0.5)
    figure.supxlabel("UAR", fontsize="medium")
    marks = [
        Line2D([], [], marker=_MARKERS[n % len(_MARKERS)], linestyle="", color=GREY, label=str(o))
        for n, o in enumerate(orders)
    ]
    title = "Label order"
    figure.legend(handles=marks, title=title, loc="outside right upper", frameon=False)
    return figure


def _reference_lines(figure: Figure, references: Mapping[str, float]) -> None:
    axes = figure.axes[0]
    for number, (name, value) in enumerate(references.items()):
        style = _DASHES[number % len(_DASHES)]
        text = f"{name} {value:.3f}".replace(" 0.", " .")
        axes.axvline(value, color=GREY, linestyle=style, linewidth=1.4, label=text)
    if references:
        legend_above(figure, axes.get_legend_handles_labels()[0])
