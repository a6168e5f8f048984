"""Figure of variance components: what of a concept is the emotion, and what is the speaker."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sercue.exploration.variance import COMPONENTS
from sercue.plots.style import GREY, canvas, styled

_COLOURS = {
    "emotion": "#d55e00",
    "speaker": "#0173b2",
    "interaction": "#cc78bc",
    "residual": "#d9d9d9",
}
_NAMES = {"interaction": "speaker × emotion", "residual": "neither"}


@styled
def plot_variance(concepts: pd.DataFrame, functionals: pd.DataFrame) -> Figure:
    """Variance components of the concepts as bars; emotion against speaker for all functionals.

    Args:
        concepts: ``variance_components`` of the concept scores: bars, and labelled points
        functionals: ``variance_components`` of the functionals: small grey points

    Returns:
        figure: left, shares that sum to 1; right, above the diagonal a column tells more of the
        emotion than of the speaker

    Examples:
        >>> shares = {"emotion": [0.5], "speaker": [0.2], "interaction": [0.1], "residual": [0.2]}
        >>> table = pd.DataFrame(shares, index=["energy"])
        >>> bars = plot_variance(table, table).axes[0].patches
        >>> [float(round(bar.get_width(), 1)) for bar in bars]
        [0.5, 0.2, 0.1, 0.2]
    """
    figure, (bars, points) = canvas(1, 2, height=3.8, width_ratios=[1, 1])
    _stacked(bars, concepts)
    points.scatter(functionals["speaker"], functionals["emotion"], s=12, color="#b5b5b5")
    points.scatter(
        concepts["speaker"],
        concepts["emotion"],
        s=50,
        color=_COLOURS["emotion"],
        edgecolor="white",
        zorder=3,
    )
    both = pd.concat([concepts, functionals])[["speaker", "emotion"]].to_numpy()
    limit = min(1.0, 1.08 * float(np.nanmax(both))) if np.isfinite(both).any() else 1.0
    points.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    ends = (-0.02 * limit, 1.02 * limit)
    points.set(xlim=ends, ylim=ends, xlabel="Share of the speaker", ylabel="Share of the emotion")
    points.set_title(f"Concepts, and {len(functionals)} functionals (grey)", fontsize="small")
    _margin_labels(points, concepts.dropna(subset=["emotion", "speaker"]), limit)
    return figure


def _stacked(axes: Axes, concepts: pd.DataFrame) -> None:
    """One bar a concept, its shares side by side."""
    left = np.zeros(len(concepts))
    for name in COMPONENTS:
        width = concepts[name].fillna(0).to_numpy()
        label = _NAMES.get(name, name)
        axes.barh(concepts.index, width, left=left, color=_COLOURS[name], label=label)
        left += width
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set(xlim=(0, 1), xlabel="Share of the variance")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.35, 1), ncols=2, frameon=False)


def _margin_labels(axes: Axes, table: pd.DataFrame, limit: float) -> None:
    """Names of points in the right margin, spread so that none overlap, joined by thin lines."""
    if table.empty:
        return
    ordered = table.sort_values("emotion")
    gap = 0.065 * limit
    heights: list[float] = []
    for emotion in ordered["emotion"]:
        heights.append(max(float(emotion), heights[-1] + gap) if heights else float(emotion))
    excess = max(0.0, heights[-1] - limit)
    for name, x, y, height in zip(
        ordered.index, ordered["speaker"], ordered["emotion"], heights, strict=True
    ):
        axes.annotate(
            str(name),
            xy=(x, y),
            xytext=(1.03 * limit, height - excess),
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
        )
