"""Figures of a corpus and its features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import scipy
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from sercue.corpora.corpus import Corpus
from sercue.corpora.corpus_check import home_column, homes
from sercue.notation import bounded
from sercue.plots.style import (
    GREY,
    PARTITION_COLOURS,
    canvas,
    check_known,
    heatmap,
    label_palette,
    legend_above,
    lines_between,
    lines_from_top,
    panel_grid,
    slanted,
    small_multiples,
    styled,
)
from sercue.statistics.effects import COMPONENTS, dendrogram_tree
from sercue.statistics.praat_agreement import MEASURES, is_gross, praat_agreement


@styled
def plot_corpus(corpus: Corpus, *, ax: Axes | None = None) -> Figure:
    """Utterances of each speaker and emotion, one panel per partition or fold.

    Args:
        corpus: the corpus
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with a heatmap of counts per partition (or fold, if cross-validated), speakers
        across, emotions down. Of up to 24 speakers each cell has its number; of more, a colour bar
        gives it, and the total stands behind each emotion. Where each speaker is a fold, there is
        one panel.

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> [axes.get_title() for axes in plot_corpus(example_corpus()).axes]
        ['train: 4 utterances', 'dev: 4 utterances', 'test: 4 utterances']
    """
    table = corpus.table.astype({"emotion": str, "speaker": str})
    column, present = home_column(corpus), homes(corpus)
    groups = {name: table[table[column] == name] for name in present}
    if corpus.folds and len(present) == table["speaker"].nunique():
        groups = {"each speaker a fold": table}
    counts = {
        name: pd.crosstab(rows["emotion"], rows["speaker"]).reindex(corpus.labels, fill_value=0)
        for name, rows in groups.items()
    }
    widths = [max(count.shape[1], 2) for count in counts.values()]
    annotated, most = sum(widths) <= 24, max(count.to_numpy().max() for count in counts.values())
    size: dict[str, Any] = {"height": 1.3 + 0.33 * len(corpus.labels), "width_ratios": widths}
    figure, panels = panel_grid(1, len(counts), ax, sharey=annotated, **size)
    # Numbers stand on light cells.
    options = {"cmap": "Blues", "vmin": 0, "vmax": (1.5 if annotated else 1) * most, "fmt": "d"}
    options |= {"annot": annotated, "cbar": False, "linewidths": 0.5 if annotated else 0}
    for axes, (name, count) in zip(panels, counts.items(), strict=True):
        heatmap(axes, count, **options)
        number = count.to_numpy().sum()
        title = f"fold {name}: {number}" if name in corpus.folds else f"{name}: {number} utterances"
        axes.set_title(title if annotated else title.replace(": ", "\n"))
        axes.tick_params(axis="x", rotation=90 if count.shape[1] > 3 else 0)
        if not annotated:
            totals = count.sum(axis=1)
            named = [f"{label}: {n}" for label, n in totals.items()]
            axes.set_yticks(np.arange(len(count)) + 0.5, named if axes is panels[0] else totals)
            axes.set(xticks=[], xlabel=f"{count.shape[1]} speakers")
    if annotated:
        figure.supxlabel("Speaker", fontsize="medium")
    else:
        figure.colorbar(panels[-1].collections[0], ax=panels, label="Utterances", aspect=12)
    return figure


@styled
def plot_concepts(
    scores: pd.DataFrame, corpus: Corpus, partition: str | None = None, *, ax: Axes | None = None
) -> Figure:
    """Score of each concept by emotion, as boxes: six small multiples.

    Args:
        scores: concept scores, one row per utterance
        corpus: names emotion and partition of each row
        partition: the one partition to show; by default training and test rows side by side
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with one panel per concept; whiskers reach to 1.5 interquartile ranges

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus()
        >>> scores = pd.DataFrame({"energy": range(12)}, index=corpus.table.index)
        >>> plot_concepts(scores, corpus).axes[0].get_title()
        'energy'
    """
    rows = corpus.table.loc[scores.index]
    sides = [name for name in ("train", "test") if name in set(rows["partition"])]
    shown = [partition] if partition else sides
    kept = rows["partition"].isin(shown).to_numpy()
    figure, panels = small_multiples(scores.shape[1], ax, sharex=True)
    for axes, concept in zip(panels, scores, strict=True):
        sns.boxplot(
            x=rows.loc[kept, "emotion"].astype(str).to_numpy(),
            y=scores[concept].to_numpy()[kept],
            hue=rows.loc[kept, "partition"].to_numpy(),
            order=corpus.labels, hue_order=shown, palette=PARTITION_COLOURS, fliersize=1.5,
            linewidth=0.8, width=0.75, saturation=0.9, legend=False, ax=axes,
        )  # fmt: skip
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        axes.set(title=str(concept), xlabel="", ylabel="")
        if len(corpus.labels) > 4:
            slanted(axes)
    legend_above(figure, [Patch(color=PARTITION_COLOURS[name], label=name) for name in shown])
    figure.supylabel("Score (robust z)", fontsize="medium")
    return figure


@styled
def plot_praat_agreement(pairs: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Bland-Altman plot of each measure; where the scales differ, one against the other.

    Args:
        pairs: as ``praat_pairs`` returns them
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with one panel per measure, in its unit: openSMILE less Praat against their mean, the
        bias (line) and 95 % limits of agreement (dashed), gross errors in red; of HNR both values

    Examples:
        >>> values = {"opensmile": [10.0, 20.0, 31.0], "praat": [9.0, 21.0, 31.0]}
        >>> pairs = pd.DataFrame(values).assign(measure="F0", utterance=list("abc"))
        >>> axes = plot_praat_agreement(pairs).axes[0]
        >>> axes.get_xlabel(), axes.get_ylabel()
        ('Mean of both (semitones)', 'openSMILE − Praat (semitones)')
    """
    table = praat_agreement(pairs)
    figure, panels = small_multiples(len(table), ax, panel_height=2.4)
    for axes, (name, row) in zip(panels, table.iterrows(), strict=True):
        measure = MEASURES[str(name)]
        part = pairs[pairs["measure"] == name].dropna(subset=["opensmile", "praat"])
        if measure.gross is None:
            axes.scatter(part["praat"], part["opensmile"], s=10, color=_POINT)
            axes.set(xlabel=f"Praat ({measure.unit})", ylabel=f"openSMILE ({measure.unit})")
            rank = bounded(row["rank_correlation"], 2)
            axes.set_title(f"{name}: values, since scales differ (ρ = {rank})", fontsize="small")
        else:
            _bland_altman(axes, part, row, is_gross(part, measure).to_numpy())
            axes.set_xlabel(f"Mean of both ({measure.unit})")
            axes.set_ylabel(f"openSMILE − Praat ({measure.unit})")
            axes.set_title(f"{name}: Bland-Altman", fontsize="small")
        axes.locator_params(axis="x", nbins=4)
    marks: dict[str, Any] = {"marker": "o", "linestyle": ""}
    handles = [
        Line2D([], [], color=_POINT, label="utterance", markersize=4, **marks),
        Line2D([], [], color=_GROSS, label="gross error", markersize=5, **marks),
        Line2D([], [], color="black", label="bias (mean difference)"),
        Line2D([], [], color="black", linestyle="--", label="95\u202f% limits of agreement"),
    ]
    legend_above(figure, handles)
    return figure


_POINT, _GROSS = "#0173b2", "#d1342b"


def _bland_altman(axes: Axes, part: pd.DataFrame, row: pd.Series, gross: np.ndarray) -> None:
    mean = ((part["opensmile"] + part["praat"]) / 2).to_numpy()
    difference = (part["opensmile"] - part["praat"]).to_numpy()
    axes.scatter(mean[~gross], difference[~gross], s=10, color=_POINT)
    axes.scatter(mean[gross], difference[gross], s=14, color=_GROSS)
    axes.axhline(0, color=GREY, linewidth=0.6)
    for name, width, line in (("bias", 1.2, "-"), ("low", 1, "--"), ("high", 1, "--")):
        if np.isfinite(row[name]):
            axes.axhline(row[name], color="black", linewidth=width, linestyle=line)


#: Below so small a share of false discoveries an effect is marked.
LEVEL = 0.05


@styled
def plot_effects(pairwise: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Hedges' g of each emotion against the reference, with intervals over speakers.

    Args:
        pairwise: as ``pairwise_effects`` returns it, of the concept scores
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; a point is filled where q is below .05

    Raises:
        InputError: if no effect could be estimated

    Examples:
        >>> row = {"functional": "energy", "emotion": "angry", "reference": "neutral"}
        >>> table = pd.DataFrame([row | {"g": 1.0, "low": 0.5, "high": 1.5, "q": 0.01}])
        >>> plot_effects(table).axes[0].get_xlabel()
        "Hedges' g versus neutral"
    """
    check_known(pairwise["g"])
    names, emotions = pairwise["functional"].unique(), pairwise["emotion"].unique()
    palette = label_palette(list(emotions), None)
    step = 0.76 / len(emotions)
    figure, axes = canvas(ax, height=1.2 + len(names) * max(0.3, 0.13 * len(emotions)))
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
    lines_from_top(axes, list(names))
    lines_between(axes, list(names))
    axes.set_xlabel(f"Hedges' g versus {pairwise['reference'].iloc[0]}")
    legend_above(figure, axes.get_legend_handles_labels()[0], ax)
    return figure


@styled
def plot_functional_effects(
    pairwise: pd.DataFrame, effects: pd.DataFrame, most: int = 25, *, ax: Axes | None = None
) -> Figure:
    """Hedges' g of the functionals that differ most between emotions, as a heatmap.

    Args:
        pairwise: ``pairwise_effects`` of the functionals
        effects: ``emotion_effects`` of the same functionals
        most: how many functionals to show, those with the largest omega squared
        ax: Axes to draw on; a new figure by default

    Returns:
        figure; omega squared stands in brackets behind each name, and a dot behind each g whose q
        is below .05

    Raises:
        InputError: if no effect could be estimated

    Examples:
        >>> row = {"functional": "loudness", "emotion": "angry", "reference": "neutral"}
        >>> pairwise = pd.DataFrame([row | {"g": 1.0, "q": 0.01}])
        >>> effects = pd.DataFrame({"omega_squared": [0.25]}, index=["loudness"])
        >>> figure = plot_functional_effects(pairwise, effects)
        >>> figure.axes[0].texts[0].get_text(), figure.axes[0].get_yticklabels()[0].get_text()
        ('1.0•', 'loudness (.25)')
    """
    check_known(effects["omega_squared"])
    shown = effects["omega_squared"].dropna().nlargest(most)
    columns = pairwise["emotion"].unique()
    g, q = (
        pairwise.pivot(index="functional", columns="emotion", values=name).loc[shown.index, columns]
        for name in ("g", "q")
    )
    mark = q.map(lambda value: "•" if value < LEVEL else "")
    text = g.map(lambda value: "" if np.isnan(value) else f"{value:.1f}".replace("-", "−")) + mark
    width = min(8.0, 5.0 + 0.5 * len(columns))
    figure, axes = canvas(ax, width=width, height=1.2 + 0.2 * len(shown))
    limit = float(np.nanmax(g.abs().to_numpy(), initial=0.5))
    heatmap(
        axes, g, annot=text, fmt="", annot_kws={"size": 7.5}, cmap="vlag", vmin=-limit, vmax=limit,
        yticklabels=[f"{name} ({bounded(value, 2)})" for name, value in shown.items()],
        cbar_kws={"label": f"Hedges' g versus {pairwise['reference'].iloc[0]}", "shrink": 0.6},
    )  # fmt: skip
    axes.tick_params(axis="y", labelsize=7.5)
    slanted(axes)
    return figure


@styled
def plot_redundancy(correlation: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Rank correlation between concepts, lower triangle.

    Args:
        correlation: as ``redundancy`` returns it
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with an annotated heatmap, -1 to 1

    Examples:
        >>> both = pd.DataFrame([[1, 0.4], [0.4, 1]], ["energy", "pitch"], ["energy", "pitch"])
        >>> [text.get_text() for text in plot_redundancy(both).axes[0].texts]
        ['.40']
    """
    size = 1.8 + 0.52 * len(correlation)
    figure, axes = canvas(ax, width=size + 0.8, height=size)
    lower = correlation.iloc[1:, :-1]
    heatmap(
        axes, lower, mask=np.triu(np.ones_like(correlation, dtype=bool))[1:, :-1],
        annot=lower.map(lambda value: bounded(value, 2)), fmt="", cmap="vlag", vmin=-1, vmax=1,
        square=True, linewidths=1, cbar_kws={"label": "Spearman correlation", "shrink": 0.8},
    )  # fmt: skip
    axes.grid(visible=False)
    slanted(axes)
    return figure


@styled
def plot_clusters(
    correlation: pd.DataFrame, clusters: pd.DataFrame, *, ax: Axes | None = None
) -> Figure:
    """Absolute rank correlation of all functionals, in the order of their dendrogram.

    Args:
        correlation: rank correlations, as ``redundancy`` returns them
        clusters: ``functional_clusters`` of the same correlations
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with the dendrogram left, and squares around clusters of two or more, each with the
        name of its representative and the number of its members; ``clusters`` names the others

    Examples:
        >>> from sercue.statistics.effects import functional_clusters, redundancy
        >>> values = pd.DataFrame({"a": [1, 2, 3, 4], "b": [4, 3, 2, 1], "c": [1, 4, 1, 3]})
        >>> correlation = redundancy(values)
        >>> figure = plot_clusters(correlation, functional_clusters(correlation))
        >>> [text.get_text() for text in figure.axes[1].get_yticklabels()]
        ['a (2)']
    """
    number = len(clusters)
    height = max(3.0, 1.0 + 0.09 * number)
    figure, (tree, axes) = panel_grid(1, 2, ax, height=height, width_ratios=[1, 8])
    order = clusters.index
    strength = correlation.loc[order, order].abs()
    bar = {"label": "|Spearman correlation|", "location": "bottom", "shrink": 0.5, "pad": 0.02}
    # 7744 cells as pixels: as shapes they are some two megabytes of a report.
    options = {"rasterized": True, "xticklabels": False, "yticklabels": False, "cbar_kws": bar}
    heatmap(axes, strength, cmap="rocket_r", vmin=0, vmax=1, **options)
    labels = {}
    for _, members in clusters.reset_index(names="functional").groupby("cluster", sort=False):
        first, size = members.index[0], len(members)
        if size > 1:
            axes.add_patch(Rectangle((first, first), size, size, fill=False, edgecolor="black"))
            name = members.loc[members["representative"], "functional"].iloc[0]
            labels[first + size / 2] = f"{name} ({size})"
    axes.set_yticks(list(labels), list(labels.values()))
    axes.tick_params(
        axis="y", labelsize=8.5, right=True, left=False, labelleft=False, labelright=True
    )
    tree.set_axis_off()
    if number > 1:
        scipy.cluster.hierarchy.dendrogram(
            dendrogram_tree(correlation), orientation="left", no_labels=True, color_threshold=0,
            above_threshold_color=GREY, ax=tree,
        )  # fmt: skip
        # scipy draws the first leaf below; the heatmap has it on top.
        tree.invert_yaxis()
        tree.set(xticks=[], yticks=[])
    return figure


_COLOURS = {
    "emotion": "#d55e00", "speaker": "#0173b2", "interaction": "#cc78bc", "residual": "#d9d9d9",
}  # fmt: skip
_NAMES = {"interaction": "speaker × emotion"}


@styled
def plot_variance(
    concepts: pd.DataFrame, functionals: pd.DataFrame, *, ax: Axes | None = None
) -> Figure:
    """Variance components of the concepts as bars; emotion against speaker for all functionals.

    Args:
        concepts: ``variance_components`` of the concept scores: bars, and labelled points
        functionals: ``variance_components`` of the functionals: small grey points
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure: left, shares that sum to 1; right, above the diagonal a column tells more of the
        emotion than of the speaker

    Raises:
        InputError: if no share could be estimated

    Examples:
        >>> shares = {"emotion": [0.5], "speaker": [0.2], "interaction": [0.1], "residual": [0.2]}
        >>> table = pd.DataFrame(shares, index=["energy"])
        >>> bars = plot_variance(table, table).axes[0].patches
        >>> [float(round(bar.get_width(), 1)) for bar in bars]
        [0.5, 0.2, 0.1, 0.2]
    """
    check_known(concepts["emotion"])
    figure, (bars, points) = panel_grid(1, 2, ax, height=3.8, width_ratios=[1, 1])
    left = np.zeros(len(concepts))
    for name in COMPONENTS:
        width = concepts[name].fillna(0).to_numpy()
        label = _NAMES.get(name, name)
        bars.barh(concepts.index, width, left=left, color=_COLOURS[name], label=label)
        left += width
    bars.invert_yaxis()
    bars.grid(visible=False)
    bars.set(xlim=(0, 1), xlabel="Share of variance")
    bars.legend(loc="lower left", bbox_to_anchor=(-0.35, 1), ncols=2, frameon=False)
    points.scatter(functionals["speaker"], functionals["emotion"], s=12, color="#b5b5b5")
    points.scatter(
        concepts["speaker"], concepts["emotion"], s=50, color=_COLOURS["emotion"],
        edgecolor="white", zorder=3,
    )  # fmt: skip
    both = pd.concat([concepts, functionals])[["speaker", "emotion"]].to_numpy()
    limit = min(1.0, 1.08 * float(np.nanmax(both))) if np.isfinite(both).any() else 1.0
    points.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    ends = (-0.02 * limit, 1.02 * limit)
    points.set(xlim=ends, ylim=ends)
    points.set(xlabel="Variance share of speaker", ylabel="Variance share of emotion")
    points.set_title(f"Concepts and {len(functionals)} functionals (grey)", fontsize="small")
    _margin_labels(points, concepts.dropna(subset=["emotion", "speaker"]), limit)
    return figure


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
            str(name), xy=(x, y), xytext=(1.03 * limit, height - excess), va="center",
            annotation_clip=False, arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.6},
        )  # fmt: skip
