"""Figures of tokens, thresholds and binning designs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.plots.style import (
    PARTITION_COLOURS,
    canvas,
    legend_above,
    lines_from_top,
    panel_grid,
    small_multiples,
    styled,
    word_levels,
    word_palette,
)
from sercue.tokens.binning import Binning, FoldBinning
from sercue.tokens.concepts import UNKNOWN


@styled
def plot_thresholds(
    scores: pd.DataFrame, binning: Binning | FoldBinning, corpus: Corpus, *, ax: Axes | None = None
) -> Figure:
    """Training scores of each concept with the bin edges, test scores as an outline.

    Of a cross-validated corpus, the edges of every fold, and one outline of all scores, each by
    the thresholds that had not seen it.

    Args:
        scores: concept scores, one row per utterance
        binning: the fitted thresholds
        corpus: names the partition of each row
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with one panel per concept; the outer 1 % of the scores may lie outside

    Examples:
        >>> from sercue.tokens.binning import fit_bins
        >>> from sercue.tokens.concepts import Concept
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(utterances=20)
        >>> features = pd.DataFrame({"loudness": range(60)}, index=corpus.table.index)
        >>> binning = fit_bins(features, corpus, concepts=[Concept("energy", {"loudness": 1})])
        >>> figure = plot_thresholds(binning.scores(features), binning, corpus)
        >>> figure.axes[0].get_title()
        'energy'
    """
    partition = corpus.table.loc[scores.index, "partition"].to_numpy()
    figure, panels = small_multiples(scores.shape[1], ax)
    for axes, concept in zip(panels, scores, strict=True):
        known = scores[concept].dropna()
        fits = np.array(binning.edges(str(concept)))
        edges = fits.mean(axis=0)
        low, high = np.quantile(known, [0.005, 0.995])
        low, high = min(low, edges[0] - 0.5), max(high, edges[-1] + 0.5)
        bins = np.linspace(low, high, 25).tolist()
        for name, fill in (("train", True), ("test", False)):
            part = scores[concept][partition == name].dropna()
            if part.empty:
                continue
            axes.hist(
                part,
                bins=bins,
                density=True,
                histtype="stepfilled" if fill else "step",
                color=PARTITION_COLOURS[name],
                alpha=0.45 if fill else 1,
                linewidth=0 if fill else 1.5,
                label=name,
            )
        for edge in fits.ravel():
            axes.axvline(edge, color="black", linewidth=1 if len(fits) == 1 else 0.5)
        axes.set(title=str(concept), xlim=(low, high), yticks=[])
        axes.set_ylim(top=1.18 * axes.get_ylim()[1])
        bounds = [low, *edges, high]
        for left, right, word in zip(bounds[:-1], bounds[1:], binning.words, strict=True):
            if right - left > 0.03 * len(word) * (high - low):
                place = ((left + right) / 2 - low) / (high - low)
                axes.text(place, 0.98, word, transform=axes.transAxes, ha="center", va="top")
    legend_above(figure, panels[0].get_legend_handles_labels()[0])
    figure.supxlabel("Score (robust z)", fontsize="medium")
    figure.supylabel("Density", fontsize="medium")
    return figure


@styled
def plot_balance(balance: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Share of each word, concept by concept, one panel per partition.

    Args:
        balance: as ``token_balance`` returns it
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with stacked bars; dashed lines stand at equal shares of the words

    Examples:
        >>> rows = [("energy", "train", "low", 0.5), ("energy", "train", "high", 0.5)]
        >>> table = pd.DataFrame(rows, columns=["concept", "partition", "word", "share"])
        >>> [float(bar.get_width()) for bar in plot_balance(table).axes[0].patches]
        [0.5, 0.5]
    """
    partitions = [name for name in PARTITIONS if name in set(balance["partition"])]
    concepts, words = balance["concept"].unique(), balance["word"].unique()
    palette = word_palette(list(words))
    figure, panels = panel_grid(
        1, len(partitions), ax, height=1.4 + 0.28 * len(concepts), sharey=True
    )
    for axes, partition in zip(panels, partitions, strict=True):
        part = balance[balance["partition"] == partition]
        wide = part.pivot(index="concept", columns="word", values="share").loc[concepts, words]
        left = np.zeros(len(concepts))
        for word in words:
            axes.barh(concepts, wide[word], left=left, color=palette[word], label=word)
            left += wide[word].to_numpy()
        known = len(set(words) - {UNKNOWN})
        for cut in range(1, known):
            axes.axvline(cut / known, color="black", linewidth=0.8, linestyle="--")
        axes.set(title=partition, xlim=(0, 1), xticks=[0, 0.5, 1], xlabel="Share of utterances")
        axes.grid(visible=False)
    panels[0].invert_yaxis()
    legend_above(figure, panels[0].get_legend_handles_labels()[0])
    return figure


@styled
def plot_tokens_by_emotion(
    tokens: pd.DataFrame, corpus: Corpus, partition: str | None = None, *, ax: Axes | None = None
) -> Figure:
    """Mean level of each concept's token under each emotion: the profile of an emotion in words.

    With three words the level is the share of ``high`` minus that of ``low``. ``unknown`` has no
    level and is left out.

    Args:
        tokens: tokens, one row per utterance
        corpus: names emotion and partition of each row
        partition: the rows to use; all by default
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with an annotated heatmap, -1 (always the lowest word) to 1 (always the highest)

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 2}, index=corpus.table.index)
        >>> [text.get_text() for text in plot_tokens_by_emotion(tokens, corpus).axes[0].texts]
        ['+1.00', '−1.00']
    """
    rows = corpus.table.loc[tokens.index]
    kept = np.ones(len(rows), dtype=bool) if partition is None else rows["partition"] == partition
    levels = word_levels(np.unique(tokens.to_numpy().astype(str)))
    numbers = tokens[kept].apply(lambda words: words.map(levels)).astype(float)
    mean = numbers.groupby(rows.loc[kept, "emotion"].astype(str).to_numpy()).mean()
    mean = mean.reindex(corpus.labels).T
    text = mean.map(lambda level: f"{level:+.2f}".replace("-", "−"))
    figure, axes = canvas(
        ax, width=min(8.0, 2.6 + 0.75 * len(corpus.labels)), height=1.0 + 0.36 * len(mean)
    )
    sns.heatmap(
        mean,
        annot=text,
        fmt="",
        cmap="vlag",
        vmin=-1,
        vmax=1,
        linewidths=1,
        cbar_kws={"label": "Mean token level"},
        ax=axes,
    )
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="both", rotation=0)
    return figure


@styled
def plot_information(information: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Mutual information of each concept's token with the emotion, partition by partition.

    Args:
        information: as ``token_information`` returns it
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with one bar per concept and partition, in bits

    Examples:
        >>> row = {"concept": "energy", "partition": "train", "information": 0.4}
        >>> float(plot_information(pd.DataFrame([row])).axes[0].patches[0].get_width())
        0.4
    """
    concepts = information["concept"].unique()
    partitions = [name for name in PARTITIONS if name in set(information["partition"])]
    figure, axes = canvas(ax, width=6.5, height=1.0 + 0.4 * len(concepts))
    thick = 0.8 / len(partitions)
    for number, partition in enumerate(partitions):
        part = information[information["partition"] == partition].set_index("concept")
        place = np.arange(len(concepts)) + (number - (len(partitions) - 1) / 2) * thick
        values = part.loc[concepts, "information"]
        colour = PARTITION_COLOURS[partition]
        axes.barh(place, values, height=0.92 * thick, color=colour, label=partition)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(concepts)), concepts)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("Mutual information with emotion (bits)")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@styled
def plot_stability(stability: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Thresholds and test tokens when each training speaker in turn is left out.

    Args:
        stability: as ``threshold_stability`` returns it
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure: left the thresholds (dots: one speaker left out; black: nobody), right the share
        of test tokens that change

    Examples:
        >>> row = {"concept": "energy", "threshold_1": -0.5, "threshold_2": 0.5}
        >>> left_out = [{"left_out": "nobody", "changed": 0.0}, {"left_out": "s1", "changed": 0.1}]
        >>> figure = plot_stability(pd.DataFrame([row | other for other in left_out]))
        >>> figure.axes[1].get_xlabel()
        'Test tokens that change (%)'
    """
    concepts = list(stability["concept"].unique())
    edges = [str(name) for name in stability if str(name).startswith("threshold_")]
    whole = stability[stability["left_out"] == "nobody"]
    parts = stability[stability["left_out"] != "nobody"]
    figure, (left, right) = panel_grid(1, 2, ax, height=1.0 + 0.36 * len(concepts), sharey=True)
    # The dots of one concept are spread by the order of the speakers, or they hide one another.
    order = parts.groupby("concept").cumcount().to_numpy()
    spread = 0.28 * (2 * order / max(order.max(initial=0), 1) - 1)
    height = parts["concept"].map(concepts.index).to_numpy(dtype=float) + spread
    shades = word_palette(edges)
    for name in edges:
        left.scatter(parts[name], height, s=14, color=shades[name], alpha=0.8)
        centre = whole["concept"].map(concepts.index).to_numpy()
        left.vlines(whole[name], centre - 0.36, centre + 0.36, color="black", linewidth=1.2)
    colour = PARTITION_COLOURS["test"]
    right.scatter(100 * parts["changed"], height, s=14, color=colour)
    left.set_xlabel("Threshold (robust z)")
    right.set_xlabel("Test tokens that change (%)")
    right.set_xlim(left=min(-0.5, right.get_xlim()[0]))
    lines_from_top(left, concepts)
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
        for cut in range(1, len(concepts)):
            axes.axhline(cut - 0.5, color="#dddddd", linewidth=0.8)
    left.set_title("Dots: one speaker or fold left out; black: all kept", fontsize="small")
    return figure


_CENTRE_COLOURS = {"none": "#6b6b6b", "speaker": "#0173b2", "sex": "#de8f05"}
_PANELS = {
    "tokens_uar": "UAR from tokens",
    "joint_information": "Joint information\n(bits)",
    "entropy": "Balance",
    "agreement": "Agreement\nbetween fits",
    "redundancy": "Redundancy",
}


@styled
def plot_binnings(
    designs: pd.DataFrame, chosen: str | None = None, *, ax: Axes | None = None
) -> Figure:
    """Every design on one line: accuracy, information, balance, stability, redundancy.

    Args:
        designs: as ``compare_binnings`` returns them
        chosen: name of the design of the study, whose line is shaded
        ax: Axes whose place the panels take; a new figure by default

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
    figure, panels = panel_grid(
        1,
        len(_PANELS),
        ax,
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
