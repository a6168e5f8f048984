"""Figures of effect sizes: how far each emotion lies from neutral, concept by concept."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from sercue.plots.style import canvas, label_palette, legend_above, slanted, styled

#: Below so small a share of false discoveries an effect is marked.
LEVEL = 0.05


@styled
def plot_effects(pairwise: pd.DataFrame) -> Figure:
    """Hedges' g of each emotion against the reference, with intervals over speakers.

    Args:
        pairwise: as ``pairwise_effects`` returns it, of the concept scores

    Returns:
        figure; a point is filled where q is below .05

    Examples:
        >>> row = {"functional": "energy", "emotion": "angry", "reference": "neutral"}
        >>> table = pd.DataFrame([row | {"g": 1.0, "low": 0.5, "high": 1.5, "q": 0.01}])
        >>> plot_effects(table).axes[0].get_xlabel()
        "Hedges' g against neutral"
    """
    names, emotions = pairwise["functional"].unique(), pairwise["emotion"].unique()
    palette = label_palette(list(emotions), None)
    step = 0.76 / len(emotions)
    figure, (axes,) = canvas(height=1.2 + len(names) * max(0.3, 0.13 * len(emotions)))
    for number, emotion in enumerate(emotions):
        part = pairwise[pairwise["emotion"] == emotion]
        place = np.arange(len(part)) + (number - (len(emotions) - 1) / 2) * step
        colour = palette[emotion]
        axes.hlines(place, part["low"], part["high"], color=colour, linewidth=1.6)
        found = (part["q"] < LEVEL).to_numpy()
        axes.scatter(part["g"][found], place[found], s=30, color=colour, zorder=3, label=emotion)
        axes.scatter(
            part["g"][~found], place[~found], s=30, color="white", edgecolor=colour, zorder=3
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    for cut in range(1, len(names)):
        axes.axhline(cut - 0.5, color="#dddddd", linewidth=0.8)
    axes.set_xlabel(f"Hedges' g against {pairwise['reference'].iloc[0]}")
    legend_above(figure, axes.get_legend_handles_labels()[0])
    return figure


@styled
def plot_functional_effects(
    pairwise: pd.DataFrame, effects: pd.DataFrame, most: int = 25
) -> Figure:
    """Hedges' g of the functionals that differ most between emotions, as a heatmap.

    Args:
        pairwise: ``pairwise_effects`` of the functionals
        effects: ``emotion_effects`` of the same functionals
        most: how many functionals to show, those with the largest omega squared

    Returns:
        figure; omega squared stands in brackets behind each name, and a dot behind each g whose q
        is below .05

    Examples:
        >>> row = {"functional": "loudness", "emotion": "angry", "reference": "neutral"}
        >>> pairwise = pd.DataFrame([row | {"g": 1.0, "q": 0.01}])
        >>> effects = pd.DataFrame({"omega_squared": [0.25]}, index=["loudness"])
        >>> figure = plot_functional_effects(pairwise, effects)
        >>> figure.axes[0].texts[0].get_text(), figure.axes[0].get_yticklabels()[0].get_text()
        ('1.0•', 'loudness (.25)')
    """
    shown = effects["omega_squared"].dropna().nlargest(most)
    columns = pairwise["emotion"].unique()
    g, q = (
        pairwise.pivot(index="functional", columns="emotion", values=name).loc[shown.index, columns]
        for name in ("g", "q")
    )
    mark = q.map(lambda value: "•" if value < LEVEL else "")
    text = g.map(lambda value: "" if np.isnan(value) else f"{value:.1f}".replace("-", "−")) + mark
    figure, (axes,) = canvas(
        width=min(8.0, 5.0 + 0.5 * len(columns)), height=1.2 + 0.2 * len(shown)
    )
    limit = float(np.nanmax(g.abs().to_numpy(), initial=0.5))
    sns.heatmap(
        g,
        annot=text,
        fmt="",
        annot_kws={"size": 7.5},
        cmap="vlag",
        vmin=-limit,
        vmax=limit,
        yticklabels=[
            f"{name} ({f'{value:.2f}'.removeprefix('0')})" for name, value in shown.items()
        ],
        cbar_kws={"label": f"Hedges' g against {pairwise['reference'].iloc[0]}", "shrink": 0.6},
        ax=axes,
    )
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="y", labelsize=7.5, rotation=0)
    slanted(axes)
    return figure
