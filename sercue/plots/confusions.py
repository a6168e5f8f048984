"""Figures of what is answered for what: confusion matrices and predicted classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sercue.errors import InputError, unknown
from sercue.measures import INVALID
from sercue.plots.style import canvas, label_palette, readable, slanted, small_multiples, styled


@styled
def plot_confusions(confusions: pd.DataFrame, conditions: Sequence[str] | None = None) -> Figure:
    """Confusion matrices as a grid: per cent of each true class, one panel a condition.

    Args:
        confusions: as ``confusion_matrices`` returns it, shares or counts
        conditions: those to show, in this order; all by default

    Returns:
        figure; the column ``invalid`` is shown only if there is an invalid answer

    Raises:
        InputError: if a condition is unknown

    Examples:
        >>> from sercue.measures import LABELS, confusion_matrices, example_predictions
        >>> figure = plot_confusions(confusion_matrices(example_predictions(), LABELS))
        >>> [text.get_text() for text in figure.axes[1].texts][:3]
        ['75', '25', '0']
    """
    known = list(confusions.index.unique("condition"))
    shown = known if conditions is None else list(conditions)
    for name in shown:
        if name not in known:
            raise unknown("condition", name, known)
    shares = confusions.div(confusions.sum(axis=1), axis=0)
    if not shares[INVALID].any():
        shares = shares.drop(columns=INVALID)
    figure, panels = small_multiples(len(shown), panel_height=2.4, sharex=True, sharey=True)
    for axes, name in zip(panels, shown, strict=True):
        part = shares.loc[name]
        text = (100 * part).map(lambda share: "" if np.isnan(share) else f"{share:.0f}")
        options = {"fmt": "", "cmap": "Blues", "vmin": 0, "vmax": 1, "square": True}
        small = {"size": 8 if len(part) > 5 else 9}
        sns.heatmap(part, annot=text, annot_kws=small, cbar=False, ax=axes, **options)
        axes.set(title=readable(name), xlabel="", ylabel="")
        axes.tick_params(axis="y", rotation=0)
        slanted(axes)
    scale = ScalarMappable(Normalize(0, 100), "Blues")
    figure.colorbar(scale, ax=panels, label="Per cent of the true class", shrink=0.6)
    figure.supxlabel("Predicted", fontsize="medium")
    figure.supylabel("True", fontsize="medium")
    return figure


@styled
def plot_predicted_classes(confusions: pd.DataFrame, neutral_label: str | None = None) -> Figure:
    """How often each class is predicted, by condition, below how often it is true.

    A model that collapses answers one class whatever it hears: one colour fills its bar.

    Args:
        confusions: counts, as ``confusion_matrices(..., normalize=False)`` returns them
        neutral_label: the class drawn in grey

    Returns:
        figure with stacked bars; invalid answers are hatched

    Raises:
        InputError: if the table holds shares, which do not tell how often a class is true

    Examples:
        >>> from sercue.measures import LABELS, confusion_matrices, example_predictions
        >>> counts = confusion_matrices(example_predictions(), LABELS, normalize=False)
        >>> figure = plot_predicted_classes(counts, "neutral")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['truth', 'none', 'aligned']
    """
    if not all(pd.api.types.is_integer_dtype(kind) for kind in confusions.dtypes):
        raise InputError("confusions: found shares, valid are counts (normalize=False)")
    labels = [str(name) for name in confusions.columns if name != INVALID]
    conditions = list(confusions.index.unique("condition"))
    predicted = confusions.groupby(level="condition", sort=False).sum()
    truth = confusions.loc[conditions[0]].sum(axis=1).reindex(confusions.columns, fill_value=0)
    shares = pd.concat([truth.to_frame("truth").T, predicted])
    shares = shares.div(shares.sum(axis=1), axis=0)
    figure, (axes,) = canvas(height=1.2 + 0.3 * len(shares))
    palette = label_palette(labels, neutral_label) | {INVALID: "white"}
    left = np.zeros(len(shares))
    for label in [*labels, INVALID]:
        if label == INVALID and not shares[label].any():
            continue
        hatch = "////" if label == INVALID else None
        edge = "#555555" if label == INVALID else "white"
        axes.barh(
            range(len(shares)),
            shares[label],
            left=left,
            color=palette[label],
            edgecolor=edge,
            linewidth=0.5,
            hatch=hatch,
            label=label,
        )
        left += shares[label].to_numpy()
    axes.set_yticks(range(len(shares)), ["truth", *map(readable, conditions)])
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.axhline(0.5, color="black", linewidth=1)
    axes.set(xlim=(0, 1), xlabel="Share of answers")
    axes.grid(visible=False)
    figure.legend(loc="outside right upper", frameon=False)
    return figure
