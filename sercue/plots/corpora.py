"""Figures of a corpus and its functionals: who speaks, how the concepts lie by emotion."""

from __future__ import annotations

import pandas as pd
import seaborn as sns
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
