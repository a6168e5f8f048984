"""Figures of what says the same thing twice: correlations of concepts, clusters of functionals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from scipy.cluster.hierarchy import dendrogram

from sercue.exploration.redundancy import dendrogram_tree
from sercue.plots.style import GREY, canvas, slanted, styled


@styled
def plot_redundancy(correlation: pd.DataFrame) -> Figure:
    """Rank correlation between concepts, lower triangle.

    Args:
        correlation: as ``redundancy`` returns it

    Returns:
        figure with an annotated heatmap, -1 to 1

    Examples:
        >>> both = pd.DataFrame([[1, 0.4], [0.4, 1]], ["energy", "pitch"], ["energy", "pitch"])
        >>> [text.get_text() for text in plot_redundancy(both).axes[0].texts]
        ['0.40']
    """
    size = 1.8 + 0.52 * len(correlation)
    figure, (axes,) = canvas(width=size + 0.8, height=size)
    sns.heatmap(
        correlation.iloc[1:, :-1],
        mask=np.triu(np.ones_like(correlation, dtype=bool))[1:, :-1],
        annot=correlation.iloc[1:, :-1].map(lambda value: f"{value:.2f}".replace("-", "−")),
        fmt="",
        cmap="vlag",
        vmin=-1,
        vmax=1,
        square=True,
        linewidths=1,
        cbar_kws={"label": "Spearman correlation", "shrink": 0.8},
        ax=axes,
    )
    axes.grid(visible=False)
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="y", rotation=0)
    slanted(axes)
    return figure


@styled
def plot_clusters(correlation: pd.DataFrame, clusters: pd.DataFrame) -> Figure:
    """Absolute rank correlation of all functionals, in the order of their dendrogram.

    Args:
        correlation: rank correlations, as ``redundancy`` returns them
        clusters: ``functional_clusters`` of the same correlations

    Returns:
        figure with the dendrogram left, squares around clusters of two or more, and names of
        their representatives in bold

    Examples:
        >>> from sercue.exploration.redundancy import functional_clusters, redundancy
        >>> values = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 4, 1, 3]})
        >>> correlation = redundancy(values)
        >>> figure = plot_clusters(correlation, functional_clusters(correlation))
        >>> [text.get_text() for text in figure.axes[1].get_yticklabels()]
        ['c', 'a', 'b']
    """
    number = len(clusters)
    figure, (tree, axes) = canvas(1, 2, height=max(3.0, 1.0 + 0.098 * number), width_ratios=[1, 8])
    order = clusters.index
    strength = correlation.loc[order, order].abs()
    sns.heatmap(
        strength,
        cmap="rocket_r",
        vmin=0,
        vmax=1,
        xticklabels=False,
        yticklabels=True,
        # 7744 cells as pixels: as shapes they are some two megabytes of a report.
        rasterized=True,
        cbar_kws={
            "label": "|Spearman correlation|",
            "location": "bottom",
            "shrink": 0.5,
            "pad": 0.02,
        },
        ax=axes,
    )
    axes.tick_params(
        axis="y", labelsize=6, left=False, labelleft=False, labelright=True, rotation=0
    )
    stands_for_others = clusters["representative"] & clusters["correlation"].notna()
    for text, bold in zip(axes.get_yticklabels(), stands_for_others, strict=True):
        text.set_fontweight("bold" if bold else "normal")
    for _, place in pd.Series(range(number)).groupby(clusters["cluster"].to_numpy()):
        if len(place) > 1:
            corner = (place.iloc[0], place.iloc[0])
            square = Rectangle(corner, len(place), len(place), fill=False, edgecolor="black")
            axes.add_patch(square)
    _draw_tree(tree, correlation)
    return figure


def _draw_tree(axes: Axes, correlation: pd.DataFrame) -> None:
    """The dendrogram, its leaves level with the rows of the heatmap."""
    axes.set_axis_off()
    if len(correlation) < 2:
        return
    dendrogram(
        dendrogram_tree(correlation),
        orientation="left",
        no_labels=True,
        color_threshold=0,
        above_threshold_color=GREY,
        ax=axes,
    )
    # scipy draws the first leaf below; the heatmap has it on top.
    axes.invert_yaxis()
    axes.set(xticks=[], yticks=[])
    axes.set_axis_off()
