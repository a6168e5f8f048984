"""Figures of probabilities: how often answers are right, by how probable the model calls them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sercue.errors import refuse_unknown
from sercue.plots.style import GREY, bounded_ticks, condition_palette, small_multiples, styled


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
        around = [rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]]
        axes.plot([0, 1], [0, 1], "--", color=GREY, linewidth=1)
        axes.errorbar(
            rows["probability"], rows["accuracy"], yerr=np.maximum(around, 0), fmt="o-",
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
