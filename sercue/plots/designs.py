"""Figure of binning designs side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sercue.plots.style import canvas, styled

_CENTRE_COLOURS = {"none": "#6b6b6b", "speaker": "#0173b2", "sex": "#de8f05"}
_PANELS = {
    "tokens_uar": "UAR of the words",
    "joint_information": "Joint information\n(bits)",
    "entropy": "Balance",
    "agreement": "Agreement\nof fits",
    "redundancy": "Redundancy",
}


@styled
def plot_binnings(designs: pd.DataFrame, chosen: str | None = None) -> Figure:
    """Every design on one line: accuracy, information, balance, stability, redundancy.

    Args:
        designs: as ``compare_binnings`` returns them
        chosen: name of the design of the study, whose line is shaded

    Returns:
        figure; the bars of UAR are one standard error over speakers to each side, and the small
        upright marks are the same classifier on all functionals

    Examples:
        >>> values = dict.fromkeys(["joint_information", "entropy", "agreement", "redundancy"], 0.5)
        >>> row = {"centre": "none", "tokens_uar": 0.6, "tokens_se": 0.1, "functionals_uar": 0.8}
        >>> table = pd.DataFrame([row | values], index=["3 quantile"])
        >>> plot_binnings(table).axes[2].get_xlabel()
        'Balance'
    """
    place = np.arange(len(designs))
    colours = [_CENTRE_COLOURS.get(centre, "#029e73") for centre in designs["centre"]]
    figure, panels = canvas(
        1,
        len(_PANELS),
        height=1.1 + 0.24 * len(designs),
        sharey=True,
        width_ratios=[1.7, 1, 1, 1, 1],
    )
    for axes, (name, label) in zip(panels, _PANELS.items(), strict=True):
        axes.scatter(designs[name], place, s=24, color=colours, zorder=3)
        axes.set_xlabel(label, fontsize="small")
        axes.tick_params(axis="x", labelsize=8)
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=5 if name == "tokens_uar" else 3)
        axes.margins(x=0.12)
        if chosen in designs.index:
            line = list(designs.index).index(chosen)
            axes.axhspan(line - 0.5, line + 0.5, color="#f0e442", alpha=0.35, zorder=0)
    first = panels[0]
    first.hlines(
        place,
        designs["tokens_uar"] - designs["tokens_se"],
        designs["tokens_uar"] + designs["tokens_se"],
        color=colours,
    )
    first.scatter(designs["functionals_uar"], place, marker="|", s=70, color=colours)
    first.set_yticks(place, designs.index, fontsize="small")
    first.set_ylim(len(designs) - 0.5, -0.5)
    return figure
