"""The figures and tables of notebook 02 on stability and on other designs, and its summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sercue.plots.tokens import plot_binnings, plot_stability
from sercue.results.reasons import Shown, or_none, or_why_not
from sercue.statistics.designs import Design, readable_designs, token_balance, token_information
from sercue.tables.findings import binning_findings

if TYPE_CHECKING:
    from sercue.run import Run


@or_why_not
def stability_figure(run: Run) -> Shown:
    """The thresholds with each training speaker left out."""
    drawing = plot_stability(run.stability)
    return run.figure("stability", drawing, "Thresholds with each training speaker left out.")


@or_why_not
def stability_table(run: Run) -> Shown:
    """The share of the tokens that change with a training speaker left out."""
    left_out = run.stability[run.stability["left_out"] != "nobody"]
    changed = left_out.groupby("concept", sort=False)["changed"].agg(["mean", "max"])
    caption = "Share of test tokens that change with a speaker left out."
    return run.table("stability", changed, caption)


@or_why_not
def designs_figure(run: Run) -> Shown:
    """The binning designs on held-out speakers, that of the study shaded."""
    options = run.bin_options
    own = Design(options["bins"], options["method"], options["centre"]).name
    caption = "Binning designs on held-out speakers; shaded: that of this study."
    return run.figure("designs", plot_binnings(run.designs, own), caption)


@or_why_not
def designs_table(run: Run) -> Shown:
    """The numbers behind it, and which designs these recordings do not allow."""
    caption = "Binning designs, measured on held-out speakers."
    for reason, names in _left_out(run).items():
        caption += f" Left out: {', '.join(names)} ({reason})."
    return run.table("designs", run.designs, caption, readable_designs(run.designs))


def _left_out(run: Run) -> dict[str, list[str]]:
    """The designs that cannot be had, by the reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in run.designs.attrs["left_out"].items():
        reasons.setdefault(reason, []).append(name)
    return reasons


@or_why_not
def own_design_table(run: Run) -> Shown:
    """The design of the study on the evaluated speakers."""
    shown = readable_designs(run.own_design).drop(columns="gain")
    caption = "The design of this study on the evaluated speakers."
    return run.table("own_design", run.own_design, caption, shown)


def binning_conclusions(run: Run) -> list[str]:
    """What notebook 02 found, of what the corpus allows.

    Args:
        run: a run with its tokens
    """
    return binning_findings(
        token_balance(run.tokens, run.corpus),
        token_information(run.tokens, run.corpus),
        or_none(lambda: run.stability),
        or_none(lambda: run.designs),
        or_none(lambda: run.own_design),
        run.corpus,
        run.settings.partition,
    )
