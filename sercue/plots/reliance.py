"""Figures of reliance: on audio or tokens, on which of the concepts, and on probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sercue.errors import InputError, refuse_unknown
from sercue.notation import signed, with_interval
from sercue.plots.style import (
    GREY,
    around,
    bounded_ticks,
    canvas,
    condition_palette,
    horizontal_intervals,
    lines_between,
    lines_from_top,
    small_multiples,
    styled,
)

# The model under study: of no condition's colour.
_HERE = "black"
_KINDS = {"only": "only this concept − masked(1)", "without": "hidden − aligned",
          "flip": "opposite − aligned"}  # fmt: skip
# Families that figures show in one colour of several shades.
_DOSES = ("corrupted", "replaced", "masked")
_SHARE = "Reliance on tokens\n(0: audio only, 1: tokens only)"
_UNITS = {"uar": "UAR", "log_p": "log-probability of the true label (nats)"}


@styled
def plot_reliance(
    tables: Mapping[str, pd.DataFrame], model: str | None = None, *, ax: Axes | None = None
) -> Figure:
    """The share of the tokens in each model's answers, on a line from audio to tokens.

    Args:
        tables: name of a model to what ``reliance`` returns of it, in the order to show: the model
            under study between its controls
        model: the one to stand out; the others are grey
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; a model whose share is not identified has an empty line that says so

    Examples:
        >>> from sercue.statistics.reliance import example_evidence, reliance
        >>> labels = ["angry", "neutral", "sad"]
        >>> weights = {"audio-bound": (1, 0), "this model": (1, 0.5), "cue-bound": (0.1, 1)}
        >>> tables = {name: reliance(example_evidence(*w), labels) for name, w in weights.items()}
        >>> figure = plot_reliance(tables, "this model")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['audio-bound', 'this model', 'cue-bound']
    """
    whole = [table[table["by"] == "all"].iloc[0] for table in tables.values()]
    rows = pd.DataFrame(whole).assign(condition=list(tables))
    colours = {name: _HERE if name == model else GREY for name in tables}
    figure, axes = canvas(ax, height=1.2 + 0.36 * len(rows))
    _share_axes(axes, rows, colours, list(tables))
    axes.set_xlabel(_SHARE)
    return figure


@styled
def plot_reliance_by(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """The share of the tokens overall, by family of conditions and by true class.

    Args:
        table: as ``reliance`` returns it
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; a group whose share is not identified has an empty line that says so

    Examples:
        >>> from sercue.statistics.reliance import example_evidence, reliance
        >>> table = reliance(example_evidence(1, 0.5), ["angry", "neutral", "sad"])
        >>> figure = plot_reliance_by(table)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()][:3]
        ['all answers', 'under aligned', 'under shuffled']
    """
    names = {"all": "all answers", "condition": "under {}", "truth": "true class {}"}
    groups = list(zip(table["by"], table["group"], strict=True))
    rows = table.assign(condition=[names[by].format(group) for by, group in groups])
    shades = {group: f"{group}(0.5)" if group in _DOSES else group for group in table["group"]}
    palette = condition_palette(shades.values())
    colours = {
        name: palette[shades[group]] if by == "condition" else _HERE if by == "all" else GREY
        for name, (by, group) in zip(rows["condition"], groups, strict=True)
    }
    figure, axes = canvas(ax, height=1.2 + 0.32 * len(rows))
    _share_axes(axes, rows, colours, list(rows["condition"]))
    lines_between(axes, list(rows["by"]), "#bbbbbb")
    axes.set_xlabel(_SHARE)
    return figure


@styled
def plot_shapley(table: pd.DataFrame, *, alpha: float = 0.05, ax: Axes | None = None) -> Figure:
    """The Shapley value of each concept with its interval.

    Args:
        table: as ``shapley`` returns it, of one ``value``
        alpha: a point is filled if its Holm-corrected p-value is below this
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; the axis label gives their sum

    Raises:
        InputError: if the table holds several values

    Examples:
        >>> rows = {"concept": ["energy", "pitch"], "value": "uar", "shapley": [0.05, 0.02],
        ...         "low": [0.03, -0.01], "high": [0.07, 0.05], "holm_p": [0.001, 0.3]}
        >>> plot_shapley(pd.DataFrame(rows)).axes[0].get_xlabel()
        'Shapley value in UAR (sum +.070)'
    """
    value = _only_value(table)
    rows = table.assign(condition=[f"only({concept})" for concept in table["concept"]])
    figure, axes = canvas(ax, height=1.0 + 0.34 * len(rows))
    palette = condition_palette(rows["condition"])
    names = list(table["concept"])
    filled = (table["holm_p"] < alpha).tolist()
    horizontal_intervals(axes, rows, "shapley", names, palette, filled)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_xlabel(f"Shapley value in {_UNITS[value]} (sum {signed(table['shapley'].sum())})")
    return figure


@styled
def plot_concept_effects(
    table: pd.DataFrame, *, alpha: float = 0.05, ax: Axes | None = None
) -> Figure:
    """What each concept does alone, when hidden and when replaced by the opposite: one panel each.

    Args:
        table: as ``concept_effects`` returns it, of one ``value``
        alpha: a point is filled if its Holm-corrected p-value is below this
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure; in all panels the same scale

    Raises:
        InputError: if the table holds several values

    Examples:
        >>> rows = {"kind": ["only", "flip"], "concept": "energy", "value": "uar",
        ...         "condition": ["only(energy)", "flip(energy)"], "effect": [0.05, -0.1],
        ...         "low": [0.03, -0.2], "high": [0.07, -0.05], "holm_p": 0.01}
        >>> [axes.get_title() for axes in plot_concept_effects(pd.DataFrame(rows)).axes]
        ['only this concept − masked(1)', 'opposite − aligned']
    """
    value = _only_value(table)
    kinds = [kind for kind in _KINDS if kind in set(table["kind"])]
    concepts = list(table["concept"].unique())
    height = 0.4 + 0.28 * len(concepts)
    figure, panels = small_multiples(len(kinds), ax, height, sharex=True, sharey=True)
    for axes, kind in zip(panels, kinds, strict=True):
        part = table[table["kind"] == kind]
        palette = condition_palette(part["condition"])
        for row in part.to_dict("records"):
            y, colour = concepts.index(row["concept"]), palette[row["condition"]]
            face = colour if row["holm_p"] < alpha else "white"
            axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2)
            axes.plot([row["effect"]], [y], "o", color=colour, markerfacecolor=face, markersize=7)
        axes.axvline(0, color="black", linewidth=1)
        axes.set_title(_KINDS[kind], fontsize="medium")
        lines_from_top(axes, concepts)
        bounded_ticks(axes.xaxis)
    figure.supxlabel(f"Change in {_UNITS[value]}", fontsize="medium")
    return figure


@styled
def plot_calibration(
    reliability: pd.DataFrame, conditions: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Figure:
    """Reliability diagrams: the share of right answers by their probability, one per condition.

    Args:
        reliability: as ``reliability`` returns it
        conditions: those to show, in this order; all by default
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure; on the dashed line answers are right as often as their probability says, below it
        the model is overconfident

    Raises:
        InputError: if a condition is unknown

    Examples:
        >>> from sercue.statistics.calibration import example_answers, reliability
        >>> from sercue.statistics.measures import LABELS
        >>> figure = plot_calibration(reliability(example_answers(), LABELS))
        >>> [axes.get_title() for axes in figure.axes]
        ['none', 'aligned']
    """
    known = list(reliability["condition"].unique())
    shown = known if conditions is None else list(conditions)
    refuse_unknown("condition", shown, known)
    palette = condition_palette(shown)
    figure, panels = small_multiples(len(shown), ax, panel_height=2.3, sharex=True, sharey=True)
    least = reliability.loc[reliability["condition"].isin(shown), "probability"].min()
    for axes, name in zip(panels, shown, strict=True):
        rows = reliability[reliability["condition"] == name]
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        axes.errorbar(
            rows["probability"], rows["accuracy"], yerr=around(rows, "accuracy"), fmt="o-",
            color=palette[name], markersize=5, linewidth=1, elinewidth=1.6,
        )  # fmt: skip
        axes.set_title(name, fontsize="medium")
        bounded_ticks(axes.xaxis)
        bounded_ticks(axes.yaxis)
    panels[0].set_xlim(min(least, 0.95) - 0.03, 1.02)
    panels[0].set_ylim(-0.03, 1.03)
    figure.supxlabel("Probability of the answer", fontsize="medium")
    figure.supylabel("Share of right answers", fontsize="medium")
    return figure


def _share_axes(
    axes: Axes, rows: pd.DataFrame, colours: Mapping[str, str], names: list[str]
) -> None:
    """Shares with intervals between the marks 0 and 1; a line without one says so."""
    known = rows["low"].notna()
    shown = rows.assign(share=rows["share"].where(known))
    horizontal_intervals(axes, shown, "share", names, colours, [True] * len(rows), with_interval)
    for y, (text, there) in enumerate(zip(axes.texts, known, strict=True)):
        if not there:
            text.set_text("")
            axes.text(0.5, y, "not identified", ha="center", va="center", color=GREY, fontsize=8.5)
    for end in (0, 1):
        axes.axvline(end, color="black", linewidth=1)


def _only_value(table: pd.DataFrame) -> str:
    values = list(table["value"].unique())
    if len(values) != 1:
        raise InputError(f"table: found the values {', '.join(values)}; valid is one of them")
    return str(values[0])
