"""Figures of a corpus and its functionals: who speaks, what varies, what tells emotions apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sercue.corpora.corpus import Corpus
from sercue.corpus_counts import home_column, homes
from sercue.plots.style import (
    GREY,
    PARTITION_COLOURS,
    canvas,
    legend_above,
    slanted,
    small_multiples,
    styled,
)


@styled
def plot_corpus(corpus: Corpus) -> Figure:
    """Utterances of each speaker and emotion, one panel a partition, or a fold.

    Args:
        corpus: the corpus

    Returns:
        figure with a heatmap of counts a partition (of a cross-validated corpus, a fold), speakers
        across, emotions down

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> [axes.get_title() for axes in plot_corpus(example_corpus()).axes]
        ['train: 4 utterances', 'dev: 4 utterances', 'test: 4 utterances']
    """
    table = corpus.table.astype({"emotion": str, "speaker": str})
    column, present = home_column(corpus), homes(corpus)
    counts = {
        name: pd.crosstab(rows["emotion"], rows["speaker"]).reindex(corpus.labels, fill_value=0)
        for name, rows in ((name, table[table[column] == name]) for name in present)
    }
    widths = [max(count.shape[1], 2) for count in counts.values()]
    figure, panels = canvas(
        1,
        len(present),
        height=1.3 + 0.33 * len(corpus.labels),
        sharey=True,
        width_ratios=widths,
    )
    most = max(count.to_numpy().max() for count in counts.values())
    for axes, (name, count) in zip(panels, counts.items(), strict=True):
        annotated = sum(widths) <= 24
        options = {"cmap": "Blues", "vmin": 0, "vmax": 1.5 * most, "linewidths": 0.5, "fmt": "d"}
        sns.heatmap(count, ax=axes, annot=annotated, cbar=False, **options)
        number = count.to_numpy().sum()
        title = f"fold {name}: {number}" if corpus.folds else f"{name}: {number} utterances"
        axes.set(title=title, xlabel="", ylabel="")
        rotate = count.shape[1] > 3
        axes.tick_params(axis="x", rotation=90 if rotate else 0)
        axes.tick_params(axis="y", rotation=0)
    figure.supxlabel("Speaker", fontsize="medium")
    return figure


@styled
def plot_concepts(scores: pd.DataFrame, corpus: Corpus, partition: str | None = None) -> Figure:
    """Score of each concept by emotion, as boxes: six small multiples.

    Args:
        scores: concept scores, one row an utterance
        corpus: names emotion and partition of each row
        partition: the one partition to show; by default training and test rows side by side

    Returns:
        figure with one panel a concept; whiskers reach to 1.5 interquartile ranges

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
    figure, panels = small_multiples(scores.shape[1], sharex=True)
    for axes, concept in zip(panels, scores, strict=True):
        sns.boxplot(
            x=rows.loc[kept, "emotion"].astype(str).to_numpy(),
            y=scores[concept].to_numpy()[kept],
            hue=rows.loc[kept, "partition"].to_numpy(),
            order=corpus.labels,
            hue_order=shown,
            palette=PARTITION_COLOURS,
            fliersize=1.5,
            linewidth=0.8,
            width=0.75,
            saturation=0.9,
            legend=False,
            ax=axes,
        )
        axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
        axes.set(title=str(concept), xlabel="", ylabel="")
        if len(corpus.labels) > 4:
            slanted(axes)
    legend_above(figure, [Patch(color=PARTITION_COLOURS[name], label=name) for name in shown])
    figure.supylabel("Score (robust z)", fontsize="medium")
    return figure


@styled
def plot_variance(concepts: pd.DataFrame, functionals: pd.DataFrame) -> Figure:
    """Variance explained by emotion against variance explained by speaker.

    Args:
        concepts: ``variance_explained`` of the concept scores: labelled points
        functionals: ``variance_explained`` of the functionals: small grey points

    Returns:
        figure; above the diagonal a column tells more of the emotion than of the speaker

    Examples:
        >>> table = pd.DataFrame({"emotion": [0.5], "speaker": [0.2]}, index=["energy"])
        >>> plot_variance(table, table).axes[0].get_ylabel()
        'Variance explained by emotion (η²)'
    """
    figure, (axes,) = canvas(width=6.0, height=4.0)
    axes.scatter(
        functionals["speaker"],
        functionals["emotion"],
        s=14,
        color="#b5b5b5",
        label=f"{len(functionals)} functionals",
    )
    axes.scatter(
        concepts["speaker"],
        concepts["emotion"],
        s=55,
        color="#d55e00",
        edgecolor="white",
        zorder=3,
        label="concepts",
    )
    both = pd.concat([concepts, functionals])[["speaker", "emotion"]]
    limit = min(1.0, 1.08 * float(np.nanmax(both.to_numpy())))
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    axes.set(
        xlim=(-0.02 * limit, limit),
        ylim=(-0.02 * limit, limit),
        xlabel="Variance explained by speaker (η²)",
        ylabel="Variance explained by emotion (η²)",
    )
    _margin_labels(axes, concepts, limit)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 1.12), ncols=2, frameon=False, borderpad=0)
    return figure


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


def _margin_labels(axes: Axes, table: pd.DataFrame, limit: float) -> None:
    """Names of points in the right margin, spread so that none overlap, joined by thin lines."""
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
