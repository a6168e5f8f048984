"""Figures of tokens, thresholds and binning designs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sercue.corpora.corpus import PARTITIONS, Corpus
from sercue.notation import shortest
from sercue.plots.style import (
    PARTITION_COLOURS,
    canvas,
    check_known,
    heatmap,
    legend_above,
    lines_between,
    lines_from_top,
    panel_grid,
    small_multiples,
    styled,
    word_palette,
)
from sercue.tokens.binning import Binning, FoldBinning
from sercue.tokens.concepts import UNKNOWN, Words

_SEX_LINES = ("--", ":", "-.")


@styled
def plot_thresholds(
    scores: pd.DataFrame, binning: Binning | FoldBinning, corpus: Corpus, *, ax: Axes | None = None
) -> Figure:
    """Training scores of each ordinal concept with the bin edges, test scores as an outline.

    Of a cross-validated corpus, the edges of every fold, and one outline of all scores, each by
    the thresholds that had not seen it.

    Args:
        scores: concept scores, one row per utterance
        binning: the fitted thresholds
        corpus: names the partition of each row
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with one panel per ordinal concept. Of the outer 1 % of the scores, those that lie
        beyond the axis are counted below it. Where each sex has edges of its own, the lines are
        dashed and dotted.

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
    every = {sex for concept in scores for sex, _ in binning.edges(str(concept))} - {""}
    styles = dict(zip(sorted(every), _SEX_LINES, strict=False))
    for axes, concept in zip(panels, scores, strict=True):
        known = scores[concept].dropna()
        fits = binning.edges(str(concept))
        edges = np.mean([fit for _, fit in fits], axis=0)
        low, high = np.quantile(known, [0.005, 0.995])
        low, high = min(low, edges[0] - 0.5), max(high, edges[-1] + 0.5)
        beyond = int(((known < low) | (known > high)).sum())
        bins = np.linspace(low, high, 25).tolist()
        for name, fill in (("train", True), ("test", False)):
            part = scores[concept][partition == name].dropna()
            if part.empty:
                continue
            axes.hist(
                part, bins=bins, density=True, histtype="stepfilled" if fill else "step",
                color=PARTITION_COLOURS[name], alpha=0.45 if fill else 1,
                linewidth=0 if fill else 1.5, label=name,
            )  # fmt: skip
        thin = 1 if len(fits) == len({sex for sex, _ in fits}) else 0.5
        for sex, fit in fits:
            for edge in fit:
                axes.axvline(edge, color="black", linewidth=thin, linestyle=styles.get(sex, "-"))
        told = f"{beyond} of {len(known)} scores lie beyond" if beyond else ""
        axes.set(title=str(concept), xlim=(low, high), yticks=[])
        axes.set_xlabel(told, fontsize="small")
        axes.set_ylim(top=1.18 * axes.get_ylim()[1])
        bounds, words = [low, *edges, high], binning.words[str(concept)].each
        for left, right, word in zip(bounds[:-1], bounds[1:], words, strict=True):
            # Edges of each sex have no place that is that of a word for both.
            if not fits[0][0] and right - left > 0.04 * len(word) * (high - low):
                place = ((left + right) / 2 - low) / (high - low)
                axes.text(place, 0.98, word, transform=axes.transAxes, ha="center", va="top")
    lines = [
        Line2D([], [], color="black", linestyle=style, label=sex) for sex, style in styles.items()
    ]
    legend_above(figure, [*panels[0].get_legend_handles_labels()[0], *lines])
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
        figure with stacked bars; dashed lines stand at equal shares of ordered words

    Examples:
        >>> rows = [("energy", "train", "low", 0.5, -1), ("energy", "train", "high", 0.5, 1)]
        >>> names = ["concept", "partition", "word", "share", "level"]
        >>> figure = plot_balance(pd.DataFrame(rows, columns=names))
        >>> [float(bar.get_width()) for bar in figure.axes[0].patches]
        [0.5, 0.5]
    """
    partitions = [name for name in PARTITIONS if name in set(balance["partition"])]
    concepts = list(balance["concept"].unique())
    palette = _palette(balance)
    height = 1.6 + 0.28 * len(concepts)
    figure, panels = panel_grid(1, len(partitions), ax, height=height, sharey=True)
    for axes, partition in zip(panels, partitions, strict=True):
        for place, concept in enumerate(concepts):
            here = (balance["partition"] == partition) & (balance["concept"] == concept)
            left = 0.0
            for word, share in balance.loc[here, ["word", "share"]].itertuples(index=False):
                axes.barh(place, share, left=left, color=palette[word])
                left += share
            ordered = balance.loc[here, "level"].notna().sum()
            cuts = np.arange(1, ordered) / max(ordered, 1)
            axes.vlines(cuts, place - 0.4, place + 0.4, color="black", lw=0.8, linestyle="--")
        axes.set_yticks(range(len(concepts)), concepts)
        axes.set(title=partition, xlim=(0, 1), xticks=[0, 0.5, 1], xlabel="Share of utterances")
        axes.grid(visible=False)
    panels[0].invert_yaxis()
    named: dict[str, list[str]] = {}
    for word, colour in palette.items():
        named.setdefault(colour, []).append(word)
    patches = [Patch(color=colour, label=" / ".join(own)) for colour, own in named.items()]
    legend_above(figure, patches)
    return figure


def _palette(balance: pd.DataFrame) -> dict[str, str]:
    """Words of one level have one colour, light is low and dark is high; unknown is grey."""
    words = balance.drop_duplicates("word").sort_values("level", kind="stable")
    level = dict(zip(words["word"].astype(str), words["level"], strict=True))
    levels = sorted({value for value in level.values() if not np.isnan(value)})
    shades = sns.color_palette("crest", len(levels)).as_hex()
    nominal = [word for word, value in level.items() if np.isnan(value) and word != UNKNOWN]
    tints = sns.color_palette("Set2").as_hex()[1:]  # the first is like a shade of the levels
    return (
        {word: shades[levels.index(v)] for word, v in level.items() if not np.isnan(v)}
        | dict(zip(nominal, cycle(tints), strict=False))
        | ({UNKNOWN: "#b5b5b5"} if UNKNOWN in level else {})
    )


@styled
def plot_tokens_by_emotion(
    tokens: pd.DataFrame,
    corpus: Corpus,
    words: Mapping[str, Words],
    partition: str | None = None,
    *,
    ax: Axes | None = None,
) -> Figure:
    """Mean level of each ordinal concept's token under each emotion, and shares of nominal words.

    With three words the level is the share of the highest minus that of the lowest. ``unknown``
    has no level and is left out.

    Args:
        tokens: tokens, one row per utterance
        corpus: names emotion and partition of each row
        words: the words of each concept, as ``Binning.words``
        partition: the rows to use; all by default
        ax: Axes whose place the panels take; a new figure by default

    Returns:
        figure with an annotated heatmap, -1 (always the lowest word) to 1 (always the highest), and
        below it, where a concept is nominal, one of the share of each of its words, 0 to 1

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=2, utterances=2)
        >>> tokens = pd.DataFrame({"energy": ["high", "low"] * 2}, index=corpus.table.index)
        >>> words = {"energy": Words(("low", "mid", "high"))}
        >>> figure = plot_tokens_by_emotion(tokens, corpus, words)
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['+1.00', '−1.00']
    """
    rows = corpus.table.loc[tokens.index]
    kept = np.ones(len(rows), dtype=bool) if partition is None else rows["partition"] == partition
    emotion = rows.loc[kept, "emotion"].astype(str).to_numpy()
    ordinal = {c: tokens.loc[kept, c].map(w.levels) for c, w in words.items() if w.ordered}
    nominal = {
        f"{concept} {word}": (tokens.loc[kept, concept] == word).astype(float)
        for concept, own in words.items()
        if not own.ordered
        for word in own.known
    }
    both = (
        (pd.DataFrame(ordinal), "vlag", -1, "{:+.2f}", "Mean token level"),
        (pd.DataFrame(nominal), "Purples", 0, "{:.2f}", "Share of the word"),
    )
    tables = [table for table in both if table[0].shape[1]]
    heights = [values.shape[1] for values, *_ in tables]
    size = {"width": min(8.0, 3.2 + 0.75 * len(corpus.labels)),
            "height": 1.0 * len(tables) + 0.36 * sum(heights)}  # fmt: skip
    figure, panels = panel_grid(len(tables), 1, ax, height_ratios=heights, **size)
    for axes, (values, colours, least, form, label) in zip(panels, tables, strict=True):
        mean = values.astype(float).groupby(emotion).mean().reindex(corpus.labels).T
        text = mean.map(lambda value, form=form: form.format(value).replace("-", "−"))
        options = {"cmap": colours, "vmin": least, "vmax": 1, "linewidths": 1, "fmt": ""}
        heatmap(axes, mean, annot=text, cbar_kws={"label": label}, **options)
        axes.tick_params(axis="x", rotation=0)
    return figure


@styled
def plot_information(information: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Mutual information of each concept's token with the emotion, partition by partition.

    Args:
        information: as ``token_information`` returns it
        ax: Axes to draw on; a new figure by default

    Returns:
        figure with one bar per concept and partition, in bits

    Raises:
        InputError: if it is not known in any partition

    Examples:
        >>> row = {"concept": "energy", "partition": "train", "information": 0.4}
        >>> float(plot_information(pd.DataFrame([row])).axes[0].patches[0].get_width())
        0.4
    """
    check_known(information["information"])
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
        >>> row = {"concept": "energy", "sex": "", "threshold_1": -0.5, "threshold_2": 0.5}
        >>> left_out = [{"left_out": "nobody", "changed": 0.0}, {"left_out": "s1", "changed": 0.1}]
        >>> figure = plot_stability(pd.DataFrame([row | other for other in left_out]))
        >>> figure.axes[1].get_xlabel()
        'Test tokens that change (%)'
    """
    sexes = stability["sex"].map(lambda sex: f" ({sex})" if sex else "")
    stability = stability.assign(concept=stability["concept"] + sexes)
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
        lines_between(axes, concepts)
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
    widths, height = [1.7, 1, 1, 1, 1], 1.1 + 0.24 * len(designs)
    figure, panels = panel_grid(
        1, len(_PANELS), ax, height=height, sharey=True, width_ratios=widths
    )
    for axes, (name, label) in zip(panels, _PANELS.items(), strict=True):
        axes.scatter(designs[name], place, s=24, color=colours, zorder=3)
        axes.set_xlabel(label, fontsize="small")
        axes.grid(axis="y", visible=False)
        axes.locator_params(axis="x", nbins=4 if name == "tokens_uar" else 2, min_n_ticks=2)
        axes.xaxis.set_major_formatter(lambda value, _: shortest(round(value, 6)))
        axes.margins(x=0.12)
        if chosen in designs.index:
            line = list(designs.index).index(chosen)
            axes.axhspan(line - 0.5, line + 0.5, color="#f0e442", alpha=0.35, zorder=0)
    first, uar, se = panels[0], designs["tokens_uar"], designs["tokens_se"]
    first.hlines(place, uar - se, uar + se, color=colours)
    first.scatter(designs["functionals_uar"], place, marker="|", s=70, color=colours)
    first.set_yticks(place, designs.index, fontsize="small")
    first.set_ylim(len(designs) - 0.5, -0.5)
    return figure
