"""Figure of two programs that measure the same voice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sercue.exploration.praat_agreement import MEASURES, is_gross, praat_agreement
from sercue.plots.style import GREY, small_multiples, styled


@styled
def plot_praat_agreement(pairs: pd.DataFrame) -> Figure:
    """Bland and Altman's plot of each measure; where the scales differ, one against the other.

    Args:
        pairs: as ``praat_pairs`` returns them

    Returns:
        figure with one panel a measure: openSMILE less Praat against their mean, the bias (line)
        and limits of agreement (dashed), gross errors in red; of HNR both values

    Examples:
        >>> values = {"opensmile": [10.0, 20.0, 31.0], "praat": [9.0, 21.0, 31.0]}
        >>> pairs = pd.DataFrame(values).assign(measure="F0", utterance=list("abc"))
        >>> plot_praat_agreement(pairs).axes[0].get_title()
        'F0 (semitones)'
    """
    table = praat_agreement(pairs)
    figure, panels = small_multiples(len(table), panel_height=2.3)
    for axes, (name, row) in zip(panels, table.iterrows(), strict=True):
        measure = MEASURES[str(name)]
        part = pairs[pairs["measure"] == name].dropna(subset=["opensmile", "praat"])
        if measure.gross is None:
            axes.scatter(part["praat"], part["opensmile"], s=10, color="#0173b2")
            rank = f"{row['rank_correlation']:.2f}".replace("-", "−")
            axes.set(xlabel="Praat", ylabel="openSMILE")
            axes.set_title(f"{name} ({measure.unit}): scales differ, ρ = {rank}", fontsize="small")
        else:
            _bland_altman(axes, part, row, is_gross(part, measure).to_numpy())
            axes.set_title(f"{name} ({measure.unit})", fontsize="small")
    return figure


def _bland_altman(axes: Axes, part: pd.DataFrame, row: pd.Series, gross: np.ndarray) -> None:
    mean = ((part["opensmile"] + part["praat"]) / 2).to_numpy()
    difference = (part["opensmile"] - part["praat"]).to_numpy()
    axes.scatter(mean[~gross], difference[~gross], s=10, color="#0173b2")
    axes.scatter(mean[gross], difference[gross], s=14, color="#d1342b")
    axes.axhline(0, color=GREY, linewidth=0.6)
    if np.isfinite(row["bias"]):
        axes.axhline(row["bias"], color="black", linewidth=1.2)
    for limit in (row["low"], row["high"]):
        if np.isfinite(limit):
            axes.axhline(limit, color="black", linewidth=1, linestyle="--")
    axes.set(xlabel="Mean of both", ylabel="openSMILE − Praat")
