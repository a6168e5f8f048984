"""Figures of measures, contrasts, confusions and several studies."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sercue.errors import InputError, refuse_unknown
from sercue.notation import bounded, shortest, with_interval
from sercue.plots.style import (
    GREY,
    around,
    bounded_ticks,
    canvas,
    condition_palette,
    heatmap,
    horizontal_intervals,
    label_palette,
    legend_above,
    legend_beside,
    lines_between,
    lines_from_top,
    panel_grid,
    slanted,
    small_multiples,
    styled,
)
from sercue.statistics.contrasts import BLOCK
from sercue.statistics.measures import INVALID
from sercue.tokens.catalogue import condition_facts, doses_of

_MARKED = {"none": "none (UAR−)", "aligned": "aligned (UAR+)"}
_DASHES: tuple[object, ...] = (":", "--", "-.", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))
_MARKERS = "osD^vP*X"


@styled
def plot_uar(
    intervals: pd.DataFrame,
    references: Mapping[str, float] | None = None,
    *,
    ax: Axes | None = None,
) -> Figure:
    """The figure of the study: UAR by condition with its interval.

    Args:
        intervals: as ``uar_intervals`` returns it; drawn in the order given
        references: name to UAR of what the conditions are to be read against (chance, tokens
            only, an SVM): vertical lines
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; ``none`` is marked UAR− and ``aligned`` UAR+, values stand in the right margin

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> from sercue.statistics.contrasts import uar_intervals
        >>> intervals = uar_intervals(example_predictions(), LABELS)
        >>> figure = plot_uar(intervals, {"chance": 1 / 3})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['none (UAR−)', 'aligned (UAR+)']
    """
    conditions = list(intervals["condition"])
    figure, axes = canvas(ax, height=1.2 + 0.34 * len(conditions))
    names = [_MARKED.get(name, name) for name in conditions]
    palette = condition_palette(conditions)
    horizontal_intervals(axes, intervals, "uar", names, palette, [True] * len(names), with_interval)
    axes.set_xlabel("Unweighted average recall (UAR)")
    for number, (name, value) in enumerate((references or {}).items()):
        style = _DASHES[number % len(_DASHES)]
        text = f"{name} {bounded(value)}"
        axes.axvline(value, color=GREY, linestyle=style, linewidth=1.4, label=text)
    if references:
        legend_above(figure, axes.get_legend_handles_labels()[0], ax)
    return figure


@styled
def plot_contrasts(
    contrasts: pd.DataFrame, *, alpha: float = 0.05, ax: Axes | None = None
) -> Figure:
    """Differences in UAR with their intervals: a forest plot, one block per reference.

    Args:
        contrasts: as ``compare`` returns it
        alpha: a point is filled if its Holm-corrected p-value is below this
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; values stand in the right margin

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> from sercue.statistics.contrasts import compare
        >>> figure = plot_contrasts(compare(example_predictions(), LABELS, resamples=100))
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['aligned − none']
    """
    pairs = list(zip(contrasts["condition"], contrasts["reference"], strict=True))
    names = [f"{a} − {b}" for a, b in pairs]
    families = [(b, a == "aligned" and b == "none") for a, b in pairs]
    return _forest(contrasts, names, condition_palette(contrasts["condition"]), families, alpha, ax)


def _forest(
    rows: pd.DataFrame,
    names: Sequence[str],
    palette: Mapping[str, str],
    families: Sequence[Hashable],
    alpha: float,
    ax: Axes | None,
) -> Figure:
    """Differences in UAR with their intervals, a line between one family and the next."""
    figure, axes = canvas(ax, height=1.3 + 0.32 * len(rows))
    filled = (rows["holm_p"] < alpha).tolist()
    horizontal_intervals(axes, rows, "difference", names, palette, filled)
    axes.axvline(0, color="black", linewidth=1)
    lines_between(axes, families, "#bbbbbb")
    axes.set_xlabel("Difference in UAR")
    legend_above(figure, _significance_marks(alpha), ax)
    return figure


def _significance_marks(alpha: float) -> list[Line2D]:
    level = shortest(alpha)
    return [
        Line2D([], [], marker="o", linestyle="", color=GREY, markerfacecolor=face, label=text)
        for face, text in ((GREY, f"corrected p < {level}"), ("white", f"corrected p ≥ {level}"))
    ]


def _shape_marks(names: Sequence[object]) -> list[Line2D]:
    return [
        Line2D([], [], marker=marker, linestyle="", color=GREY, label=str(name))
        for name, marker in zip(names, cycle(_MARKERS), strict=False)
    ]


@styled
def plot_speakers(
    points: pd.DataFrame,
    tests: pd.DataFrame,
    conditions: Sequence[str] | None = None,
    *,
    ax: Axes | None = None,
) -> Figure:
    r"""Estimation plot: each speaker under a few conditions, and the paired differences beside.

    Args:
        points: as ``speaker_points`` returns them
        tests: as ``compare`` returns them
        conditions: those to show, in this order, of which some contrast was tested; by default
            ``none``, ``aligned``, and of ``conflicting``, ``shuffled`` and the others the first
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure; left a line per speaker, with the UAR of each condition, right the difference of
        each speaker and, with its interval, that in UAR: the mean of the speakers'

    Raises:
        InputError: if a condition is unknown, or no contrast of those shown was tested

    Examples:
        >>> from sercue.statistics.contrasts import compare
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> from sercue.statistics.speakers import speaker_points
        >>> rows = example_predictions()
        >>> figure = plot_speakers(speaker_points(rows, LABELS), compare(rows, LABELS))
        >>> [[tick.get_text() for tick in axes.get_xticklabels()] for axes in figure.axes]
        [['none', 'aligned'], ['aligned\n− none']]

    References:
        Gardner and Altman, Br. Med. J. 292 (1986); Ho et al., Nat. Methods 16 (2019)
    """
    known = list(points.columns)
    usual = dict.fromkeys(["none", "aligned", "conflicting", "shuffled", *known])
    shown = [name for name in usual if name in known][:3] if conditions is None else conditions
    refuse_unknown("condition", shown, known)
    among = tests["condition"].isin(shown) & tests["reference"].isin(shown)
    if not among.any():
        raise InputError(f"tests: found no contrast of {', '.join(shown)}; valid are tested pairs")
    pairs = tests[among].to_dict("records")
    widths = [len(shown), len(pairs)]
    figure, (left, right) = panel_grid(1, 2, ax, height=3.8, width_ratios=widths)
    palette = condition_palette(shown)
    # Of many speakers, lines and points that let others through.
    style: dict[str, Any] = {"color": GREY, "alpha": min(0.7, max(0.15, 8 / len(points)))}
    left.plot(range(len(shown)), points[list(shown)].T, linewidth=1, **style)
    for place, name in enumerate(shown):
        left.plot(place, points[name].mean(), "D", color=palette[name], markersize=9, zorder=3)
    left.set_xticks(range(len(shown)), shown)
    left.set_xlim(-0.3, len(shown) - 0.7)
    left.set_ylabel("UAR (lines: speakers)")
    spread = 0.16 * np.resize([0, 1, -1, 2, -2], len(points)) / 2
    for place, row in enumerate(pairs):
        differences = (points[row["condition"]] - points[row["reference"]]).sort_values()
        right.plot(place - 0.14 + spread, differences, "o", markersize=3.5, **style)
        right.errorbar(
            place + 0.24, row["difference"], yerr=around(row, "difference"), fmt="D", markersize=7,
            elinewidth=2.5, color=palette[row["condition"]], zorder=3,
        )  # fmt: skip
    right.axhline(0, color="black", linewidth=1)
    names = [f"{row['condition']}\n− {row['reference']}" for row in pairs]
    right.set_xticks(range(len(pairs)), names)
    right.set_xlim(-0.5, len(pairs) - 0.5)
    right.set_ylabel("Difference in UAR")
    for axes in (left, right):
        axes.grid(axis="x", visible=False)
        bounded_ticks(axes.yaxis)
    return figure


@styled
def plot_wordings(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """UAR of each condition with each wording of the prompt.

    Args:
        table: as ``uar_intervals_by`` returns it of the templates
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with one line per condition and on it, with its interval over speakers, one point
        per wording, the first one above

    Examples:
        >>> from sercue.statistics.contrasts import uar_intervals_by
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> table = uar_intervals_by(example_predictions(), LABELS)
        >>> [text.get_text() for text in plot_wordings(table).axes[0].get_legend().get_texts()]
        ['plain']
    """
    conditions, templates = list(table["condition"].unique()), list(table["template"].unique())
    each = min(0.13, 0.6 / len(templates))
    height = 1.2 + len(conditions) * (0.12 + each * len(templates))
    figure, axes = canvas(ax, width=7.0, height=height)
    palette = condition_palette(conditions)
    for number, template in enumerate(templates):
        marker = _MARKERS[number % len(_MARKERS)]
        offset = (0.8 / len(templates)) * (number - (len(templates) - 1) / 2)
        for row in table[table["template"] == template].to_dict("records"):
            axes.errorbar(
                row["uar"], conditions.index(row["condition"]) + offset, xerr=around(row, "uar"),
                fmt=marker, markersize=6, color=palette[row["condition"]], elinewidth=1.6, zorder=3,
            )  # fmt: skip
    lines_from_top(axes, conditions)
    lines_between(axes, conditions)
    axes.set_xlabel("UAR")
    bounded_ticks(axes.xaxis)
    legend_above(figure, _shape_marks(templates), axes)
    return figure


@styled
def plot_dose_response(intervals: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """UAR against the share of tokens that were replaced; ``aligned`` is share 0.

    Args:
        intervals: as ``uar_intervals`` returns it, with conditions such as ``corrupted(p)``
            or ``masked(p)``; ``none``, if there, is a band
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with one line per family

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
        raise InputError(f"intervals: none with a dose, as corrupted(p) has; found {found}")
    figure, axes = canvas(ax, width=6.0, height=3.4)
    for family, doses in families.items():
        part = table.loc[list(doses)]
        (colour,) = condition_palette([f"{family}(0.5)"]).values()
        axes.plot(list(doses.values()), part["uar"], color=colour, linewidth=1.6, label=family)
        points = condition_palette(doses)
        for name, row in part.iterrows():
            axes.errorbar(
                doses[str(name)], row["uar"], yerr=around(row, "uar"), fmt="o", markersize=7,
                color=points[str(name)], elinewidth=2, zorder=3,
            )  # fmt: skip
    if "none" in table.index:
        value, low, high = (float(table[name]["none"]) for name in ("uar", "low", "high"))
        axes.axhspan(low, high, color=GREY, alpha=0.15, linewidth=0)
        axes.axhline(value, color=GREY, linestyle="--", label="none (UAR−)")
    axes.set_xlabel("Probability that a token is replaced")
    axes.set_ylabel("UAR")
    bounded_ticks(axes.xaxis)
    bounded_ticks(axes.yaxis)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@styled
def plot_factorial(table: pd.DataFrame, chance: float, *, ax: Axes | None = None) -> Figure:
    """UAR by what is heard and what is read.

    Args:
        table: as ``factorial`` returns it
        chance: UAR of a guess, a dotted line
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; audio variants across, for each of them one point with its interval per kind of
        tokens, in the colour of that condition

    Examples:
        >>> rows = [("own", "none", 0.7, 0.6, 0.8), ("silent", "none", 0.25, 0.2, 0.3)]
        >>> table = pd.DataFrame(rows, columns=["heard", "tokens", "uar", "low", "high"])
        >>> [tick.get_text() for tick in plot_factorial(table, 0.25).axes[0].get_xticklabels()]
        ['own', 'silent']
    """
    heard, tokens = (list(dict.fromkeys(table[name])) for name in ("heard", "tokens"))
    figure, axes = canvas(ax, height=3.6)
    for number, (name, colour) in enumerate(condition_palette(tokens).items()):
        rows = table[table["tokens"] == name]
        places = rows["heard"].map(heard.index) + 0.22 * (number - (len(tokens) - 1) / 2)
        axes.errorbar(
            places, rows["uar"], yerr=around(rows, "uar"), fmt=_MARKERS[number % len(_MARKERS)],
            color=colour, markersize=7, elinewidth=2, label=name, zorder=3,
        )  # fmt: skip
    text = f"chance {bounded(chance)}"
    axes.axhline(chance, color=GREY, linestyle=":", linewidth=1.4, label=text)
    for cut in range(1, len(heard)):
        axes.axvline(cut - 0.5, color="#dddddd", linewidth=0.8)
    axes.grid(axis="x", visible=False)
    axes.set_xticks(range(len(heard)), heard)
    axes.set_xlim(-0.5, len(heard) - 0.5)
    axes.set(xlabel="Audio", ylabel="UAR")
    bounded_ticks(axes.yaxis)
    legend_beside(figure, _handles(axes), axes, title="Tokens")
    return figure


def _handles(axes: Axes) -> list[Artist]:
    """What stands in a legend: points first, lines after them."""
    handles = axes.get_legend_handles_labels()[0]
    return sorted(handles, key=lambda handle: isinstance(handle, Line2D))


# Shapes, since colours are those of conditions and emotions.
_FOLLOWED: dict[str, dict[str, Any]] = {
    "audio": {"marker": "o", "color": "black"},
    "tokens": {"marker": "s", "color": "black", "markerfacecolor": "white"},
    "neither": {"marker": "D", "color": "#8c8c8c"},
}


@styled
def plot_followed(table: pd.DataFrame, chance: float, *, ax: Axes | None = None) -> Figure:
    """Whether answers are the class of the audio or that of the tokens, where these differ.

    Args:
        table: as ``followed`` returns it
        chance: share of one class among guesses, a dotted line; that of neither is 1 less twice it
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with one line per condition and on it, with their intervals, the shares of answers
        that are the class of the audio, that of the tokens, and neither

    Examples:
        >>> rows = {"condition": "shuffled", "follows": ["audio", "tokens", "neither"],
        ...         "share": [0.5, 0.3, 0.2], "low": [0.4, 0.2, 0.1], "high": [0.6, 0.4, 0.3]}
        >>> axes = plot_followed(pd.DataFrame(rows), 0.25).axes[0]
        >>> [label.get_text() for label in axes.get_yticklabels()]
        ['shuffled']
    """
    conditions = list(dict.fromkeys(table["condition"]))
    figure, axes = canvas(ax, height=1.4 + 0.55 * len(conditions))
    for offset, (name, style) in zip((-0.22, 0.0, 0.22), _FOLLOWED.items(), strict=True):
        rows = table[table["follows"] == name]
        axes.errorbar(
            rows["share"], rows["condition"].map(conditions.index) + offset,
            xerr=around(rows, "share"), linestyle="", markersize=7, markeredgewidth=1.6,
            elinewidth=2, label=name, zorder=3, **style,
        )  # fmt: skip
    neither = max(1 - 2 * chance, 0.0)
    for share, name, line in ((chance, "of a class", ":"), (neither, "of neither", "-.")):
        text = f"chance {name} {bounded(share)}"
        axes.axvline(share, color=GREY, linestyle=line, linewidth=1.4, label=text)
    lines_from_top(axes, conditions)
    axes.set_xlim(0, 1)
    axes.set_xlabel("Share of answers that are the class of the audio, of the tokens, or neither")
    bounded_ticks(axes.xaxis)
    legend_above(figure, _handles(axes), ax)
    return figure


@styled
def plot_audio_effects(
    effects: pd.DataFrame, *, alpha: float = 0.05, ax: Axes | None = None
) -> Figure:
    """What other audio takes away from UAR, and what tokens add there: a forest plot.

    Args:
        effects: as ``audio_effects`` returns them
        alpha: a point is filled if its Holm-corrected p-value is below this
        ax: Axes to draw on; a new figure by default

    Returns:
        figure, the same effect of all variants together; values stand in the right margin

    Examples:
        >>> rows = {"heard": ["silent"], "effect": "tokens", "difference": 0.1, "low": 0.0,
        ...         "high": 0.2, "holm_p": 0.04}
        >>> axes = plot_audio_effects(pd.DataFrame(rows)).axes[0]
        >>> [label.get_text() for label in axes.get_yticklabels()]
        ['tokens: silent']
    """
    order = {name: place for place, name in enumerate(dict.fromkeys(effects["effect"]))}
    rows = effects.sort_values("effect", key=lambda names: names.map(order), kind="stable")
    names = [f"{row['effect']}: {row['heard']}" for row in rows.to_dict("records")]
    palette = dict.fromkeys(names, "#333333")
    return _forest(rows.assign(condition=names), names, palette, list(rows["effect"]), alpha, ax)


@styled
def plot_neutral_shift(
    shifts: pd.DataFrame, *, alpha: float = 0.05, ax: Axes | None = None
) -> Figure:
    """Change in neutral answers to other emotions, by condition, against each reference.

    Conditions that show every utterance the same tokens stand last, on grey: a shift that a block
    without information causes as well is no effect of wrong cues.

    Args:
        shifts: as ``neutral_shifts`` returns it
        alpha: a point is filled if its Holm-corrected p-value is below this
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with one line per condition and on it, in percentage points with its interval, one
        point per reference in the colour of the reference; without valid answers there is no point

    Examples:
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> from sercue.statistics.equivalence import neutral_shifts
        >>> rows = example_predictions({"aligned": 0.7, "constant": 0.5, "shuffled": 0.5})
        >>> axes = plot_neutral_shift(neutral_shifts(rows, LABELS, "neutral")).axes[0]
        >>> [label.get_text() for label in axes.get_yticklabels()]
        ['shuffled', 'constant']
    """
    conditions = sorted(shifts["condition"].unique(), key=BLOCK.__contains__)
    palette = condition_palette(shifts["reference"].unique())
    figure, axes = canvas(ax, width=6.5, height=1.5 + 0.4 * len(conditions))
    marks: list[Artist] = []
    for number, (reference, colour) in enumerate(palette.items()):
        style: dict[str, Any] = {"color": colour, "marker": _MARKERS[number], "linestyle": ""}
        marks.append(Line2D([], [], label=f"relative to {reference}", **style))
        offset = 0.3 * (number - (len(palette) - 1) / 2)
        rows = shifts[shifts["reference"] == reference].dropna(subset="p")
        rows[["difference", "low", "high"]] *= 100
        for row in rows.to_dict("records"):
            axes.errorbar(
                row["difference"], conditions.index(row["condition"]) + offset,
                xerr=around(row, "difference"), elinewidth=2, zorder=3, markersize=6,
                markerfacecolor=colour if row["holm_p"] < alpha else "white", markeredgewidth=1.6,
                **style,
            )  # fmt: skip
    same = sum(name in BLOCK for name in conditions)
    if same:
        place = len(conditions) - same - 0.5, len(conditions) - 0.5
        label = "the same tokens for all"
        marks.append(axes.axhspan(*place, color="#ececec", zorder=0, label=label))
    axes.axvline(0, color="black", linewidth=1)
    lines_from_top(axes, conditions)
    axes.set_xlabel("Change in answers of the neutral class to other emotions (percentage points)")
    legend_above(figure, [*marks, *_significance_marks(alpha)], ax)
    return figure


@styled
def plot_prompt_sensitivity(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """UAR of each template and label order, one panel per condition.

    Args:
        table: as ``wording_sensitivity`` returns it, or as ``uar_by`` without intervals
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure; within a panel only the wording of the prompt differs

    Examples:
        >>> from sercue.statistics.explored import wording_sensitivity
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> table = wording_sensitivity(example_predictions(), LABELS)
        >>> [axes.get_title() for axes in plot_prompt_sensitivity(table).axes]
        ['none', 'aligned']
    """
    conditions = list(table["condition"].unique())
    templates, orders = list(table["template"].unique()), sorted(table["label_order"].unique())
    palette = condition_palette(conditions)
    height = 0.5 + 0.34 * len(templates)
    figure, panels = small_multiples(len(conditions), ax, height, sharex=True, sharey=True)
    for axes, (condition, colour) in zip(panels, palette.items(), strict=True):
        for number, order in enumerate(orders):
            part = table[(table["condition"] == condition) & (table["label_order"] == order)]
            offset = 0.4 * (number - (len(orders) - 1) / 2) / max(len(orders), 2)
            places = part["template"].map(templates.index) + offset
            if "low" in part:
                axes.hlines(places, part["low"], part["high"], color=colour, linewidth=1.2)
            axes.plot(
                part["uar"], places, _MARKERS[number % len(_MARKERS)], color=colour, markersize=6,
                markeredgecolor="white", label=str(order),
            )  # fmt: skip
        axes.set_title(condition)
        axes.set_yticks(range(len(templates)), templates)
        axes.set_ylim(len(templates) - 0.5, -0.5)
        bounded_ticks(axes.xaxis)
    figure.supxlabel("UAR", fontsize="medium")
    legend_beside(figure, _shape_marks(orders), title="Label order")
    return figure


@styled
def plot_confusions(
    confusions: pd.DataFrame, conditions: Sequence[str] | None = None, *, ax: Axes | None = None
) -> Figure:
    """Confusion matrices as a grid: per cent of each true class, one panel per condition.

    Args:
        confusions: as ``confusion_matrices`` returns it, shares or counts
        conditions: those to show, in this order; all by default
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure; the column ``invalid`` is shown only if there is an invalid answer

    Raises:
        InputError: if a condition is unknown

    Examples:
        >>> from sercue.statistics.measures import LABELS, confusion_matrices, example_predictions
        >>> figure = plot_confusions(confusion_matrices(example_predictions(), LABELS))
        >>> [text.get_text() for text in figure.axes[1].texts][:3]
        ['75', '25', '0']
    """
    known = list(confusions.index.unique("condition"))
    shown = known if conditions is None else list(conditions)
    refuse_unknown("condition", shown, known)
    shares = confusions.div(confusions.sum(axis=1), axis=0)
    if not shares[INVALID].any():
        shares = shares.drop(columns=INVALID)
    figure, panels = small_multiples(len(shown), ax, panel_height=2.4, sharex=True, sharey=True)
    for axes, name in zip(panels, shown, strict=True):
        part = shares.loc[name]
        text = (100 * part).map(lambda share: "" if np.isnan(share) else f"{share:.0f}")
        options = {"fmt": "", "cmap": "Blues", "vmin": 0, "vmax": 1, "square": True}
        small = {"size": 8 if len(part) > 5 else 9}
        heatmap(axes, part, annot=text, annot_kws=small, cbar=False, **options)
        axes.set_title(name)
        slanted(axes)
    scale = ScalarMappable(Normalize(0, 100), "Blues")
    figure.colorbar(scale, ax=panels, label="Per cent of the true class", shrink=0.6)
    figure.supxlabel("Predicted", fontsize="medium")
    figure.supylabel("True", fontsize="medium")
    return figure


@styled
def plot_predicted_classes(
    table: pd.DataFrame, neutral_label: str | None = None, *, ax: Axes | None = None
) -> Figure:
    """How often each class is answered, by condition, beside how often it is true.

    A model that collapses answers one class whatever it hears: in one panel the points move to the
    right, in all others to the left.

    Args:
        table: as ``predicted_classes`` returns it
        neutral_label: the class drawn in grey
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with one panel per class, in it the conditions with their intervals and, dashed, the
        share of the class among the utterances

    Examples:
        >>> from sercue.statistics.equivalence import predicted_classes
        >>> from sercue.statistics.measures import LABELS, example_predictions
        >>> figure = plot_predicted_classes(predicted_classes(example_predictions(), LABELS))
        >>> [axes.get_title() for axes in figure.axes]
        ['angry', 'neutral', 'sad']
    """
    labels, conditions = list(table["label"].unique()), list(table["condition"].unique())
    palette = label_palette(labels, neutral_label)
    height = 0.5 + 0.24 * len(conditions)
    figure, panels = small_multiples(len(labels), ax, height, sharex=True, sharey=True)
    for axes, label in zip(panels, labels, strict=True):
        rows = table[table["label"] == label].set_index("condition").loc[conditions]
        axes.errorbar(
            rows["share"], range(len(rows)), xerr=around(rows, "share"), fmt="o", markersize=5,
            color=palette[label], elinewidth=2,
        )  # fmt: skip
        axes.axvline(rows["truth"].iloc[0], color="black", linestyle="--", linewidth=1)
        axes.set_title(label, fontsize="medium")
        lines_from_top(axes, conditions)
        bounded_ticks(axes.xaxis)
    panels[0].set_xlim(0, None)
    figure.supxlabel("Share of the valid answers (dashed: of the utterances)", fontsize="medium")
    return figure


_PUBLISHED = "published"
_DIAMOND: dict[str, Any] = {
    "marker": "D", "linestyle": "", "color": "black", "markerfacecolor": "none",
}  # fmt: skip
_SAME = ["model", "corpus", "classes", "partition"]


@styled
def plot_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """UAR by condition with its interval, one panel per study, on one scale.

    Args:
        table: as ``compare_studies`` returns it
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure; a dotted line is chance, a dashed one the study's own ``none``, a hollow diamond a
        published value of the same model, corpus, number of classes and partition

    Examples:
        >>> rows = [("none", 0.5, 0.4, 0.6), ("aligned", 0.7, 0.6, 0.8)]
        >>> table = pd.DataFrame(rows, columns=["condition", "uar", "low", "high"]).assign(
        ...     model="m", corpus="c", classes=4, partition="test", study="s", source="this run",
        ...     fixture=False)
        >>> plot_comparison(table).axes[0].get_title().splitlines()
        ['s', 'm on c', '4 classes, test']
    """
    own = table[table["source"] != _PUBLISHED]
    theirs = table[table["source"] == _PUBLISHED]
    conditions = list(dict.fromkeys(table["condition"]))
    studies, palette = list(dict.fromkeys(own["study"])), condition_palette(conditions)
    height = 0.6 + 0.24 * len(conditions)
    figure, panels = small_multiples(len(studies), ax, height, sharex=True, sharey=True)
    for axes, study in zip(panels, studies, strict=True):
        rows = own[own["study"] == study]
        for row in rows.to_dict("records"):
            name = row["condition"]
            axes.errorbar(
                row["uar"], conditions.index(name), xerr=around(row, "uar"), fmt="o",
                color=palette[name], markersize=6, elinewidth=2, zorder=3,
            )  # fmt: skip
            if name == "none":
                axes.axvline(row["uar"], color=GREY, linestyle="--", linewidth=1.2)
        axes.axvline(1 / rows["classes"].iloc[0], color=GREY, linestyle=":", linewidth=1.4)
        axes.grid(axis="y", visible=False)
        published = theirs[(theirs[_SAME] == rows[_SAME].iloc[0]).all(axis=1)]
        for name, value in zip(published["condition"], published["uar"], strict=True):
            axes.plot(value, conditions.index(name), markersize=9, zorder=4, **_DIAMOND)
        axes.set_title(_title(rows.iloc[0]), fontsize="medium")
        bounded_ticks(axes.xaxis)
    panels[0].set_yticks(range(len(conditions)), conditions)
    panels[0].set_ylim(len(conditions) - 0.5, -0.5)
    figure.supxlabel("Unweighted average recall (UAR)", fontsize="medium")
    marks = [
        Line2D([], [], color=GREY, linestyle=":", label="chance"),
        Line2D([], [], color=GREY, linestyle="--", label="none (UAR−) in the same study"),
    ]
    if len(theirs):
        marks.append(Line2D([], [], label="; ".join(theirs["study"].unique()), **_DIAMOND))
    legend_above(figure, marks)
    return figure


def _title(row: pd.Series) -> str:
    study = f"{row['study']} (fixture)" if row["fixture"] else str(row["study"])
    evaluated = f"{row['classes']} classes, {row['partition']}"
    lines = [study, f"{row['model']} on {row['corpus']}", evaluated]
    return "\n".join(part for line in lines for part in textwrap.wrap(line, 30))
