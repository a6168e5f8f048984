"""The tables of notebook 05 that rest on tests and intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sercue.results.reasons import Shown, or_why_not
from sercue.statistics.prompt_sensitivity import FACTORS
from sercue.tables.printed import rounded, yes_or_no

if TYPE_CHECKING:
    from sercue.run import Run

_PAIR = ["condition", "reference"]


def contrasts_table(run: Run) -> Shown:
    """The planned contrasts: differences in UAR with intervals and tests."""
    columns = ["uar", "difference", "low", "high", "p", "holm_p", "permutation_p"]
    caption = "Paired differences in UAR, with intervals over speakers."
    return run.table("contrasts", run.tests.set_index(_PAIR), caption, _shown(run.tests, columns))


def mcnemar_table(run: Run) -> Shown:
    """The same contrasts by single answers."""
    columns = ["discordant_better", "discordant_worse", "odds_ratio", "mcnemar_p"]
    caption = "Utterances that only the condition, or only the reference, gets right."
    data = run.tests.set_index(_PAIR)[columns]
    return run.table("mcnemar", data, caption, _shown(run.tests, columns))


@or_why_not
def equivalence_table(run: Run) -> Shown:
    """Whether contrasts of the planned family are equal within the study's margin."""
    columns = ["difference", "low", "high", "equivalence_p", "equivalent"]
    caption = (
        f"Differences in UAR against a margin of ±{run.settings.margin:g}, by TOST; intervals of "
        "90 %, as the two one-sided tests have them."
    )
    shown = _shown(run.equivalence, columns)
    return run.table("equivalence", run.equivalence.set_index(_PAIR), caption, shown)


@or_why_not
def collapse_table(run: Run) -> Shown:
    """Whether the answers gather in one class, beyond the study's margin."""
    if "aligned" not in run.settings.conditions:
        return "Collapse is measured against 'aligned', which this study does not have."
    parts = [
        _shown_collapse(part, str(name).replace("_", " "))
        for name, part in run.collapse.groupby("measure", sort=False)
    ]
    both = run.collapse.groupby("condition", sort=False)["no_collapse"].all()
    shown = pd.concat([*parts, yes_or_no(both.to_frame("no collapse"))], axis=1)
    margin = run.settings.margin
    caption = (
        "Change of the spread of the answers against aligned, with intervals of 90 %; no collapse: "
        f"both are shown, at 5 %, to be less than {margin:g} in the harmful direction."
    )
    return run.table("collapse", run.collapse.set_index(["measure", "condition"]), caption, shown)


@or_why_not
def detectable_table(run: Run) -> Shown:
    """The smallest differences that this study would have found four times out of five."""
    table = run.detectable
    found = ["detectable", "detectable_holm"]
    # No two values of UAR are further apart than 1.
    possible = table.assign(**{name: table[name].where(table[name] <= 1) for name in found})
    caption = (
        "Differences in UAR detectable with a power of 80 %, alone and within the family; a dash: "
        "none, however large."
    )
    shown = _shown(possible, ["difference", "se", *found])
    return run.table("detectable", table.set_index(_PAIR), caption, shown)


@or_why_not
def split_gain_table(run: Run) -> Shown:
    """What of the loss from shuffling is label information, and what the utterance's own."""
    needed = {"aligned", "shuffled", "shuffled_within_class"}
    if not needed <= set(run.settings.conditions):
        return (
            "Whether alignment or mere label information helps needs the conditions aligned, "
            "shuffled and shuffled_within_class."
        )
    columns = ["difference", "low", "high", "p", "share", "share_low", "share_high"]
    caption = "aligned minus shuffled, and its two parts: the utterance's own, and the label's."
    shown = rounded(run.split_gain.set_index("part")[columns])
    shown.loc["whole", "share"] = "1"
    return run.table("split_gain", run.split_gain.set_index(["part", *_PAIR]), caption, shown)


@or_why_not
def dose_trend_table(run: Run) -> Shown:
    """Whether UAR falls with the dose."""
    columns = ["slope", "low", "high", "p", "permutation_p", "page_p", "falls_throughout"]
    table = run.dose_trend.set_index("family")
    caption = "Change in UAR from dose 0 to dose 1 along a straight line."
    return run.table("dose_trend", table, caption, rounded(yes_or_no(table[columns])))


@or_why_not
def shift_table(run: Run) -> Shown:
    """Which predicted classes gain and lose, and whether that is more than chance."""
    columns = ["moved", "most_gained", "gain", "most_lost", "loss", "shift_p"]
    caption = "Answers that move between classes; the test takes speakers as they are."
    return run.table("shift", run.shift.set_index(_PAIR), caption, _shown(run.shift, columns))


@or_why_not
def sensitivity_table(run: Run) -> Shown:
    """How much UAR varies with wording, label order, replicate and speaker."""
    table = run.components
    single = table["component"].isin(FACTORS)
    variance = table.assign(component=table["component"].where(single, "together"))
    wide = variance.pivot_table(
        index="condition", columns="component", values="variance", aggfunc="sum", sort=False
    )
    known = [name for name in (*FACTORS, "together") if name in wide]
    shown = wide[known] ** 0.5
    caption = (
        "Standard deviation of UAR that each factor makes, and all their interactions together; "
        "a dash: the condition has one level of it."
    )
    keys = ["condition", "component"]
    return run.table("components", table.set_index(keys), caption, rounded(shown))


@or_why_not
def gain_by_template_table(run: Run) -> Shown:
    """The gain from aligned tokens in each wording."""
    if not {"none", "aligned"} <= set(run.settings.conditions):
        return "The gain from aligned tokens needs the conditions none and aligned."
    columns = ["uar_reference", "uar", "difference", "low", "high", "p"]
    table = run.gain_by_template.set_index("template")
    shown = table[columns].rename(columns={"uar_reference": "UAR−", "uar": "UAR+"})
    caption = "UAR without and with aligned tokens in each wording."
    return run.table("gain_by_template", table, caption, rounded(shown))


def _shown(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Some columns, one line a contrast."""
    pairs = [f"{a} − {b}" for a, b in zip(table["condition"], table["reference"], strict=True)]
    index = pd.Index(pairs, name="contrast")
    return rounded(yes_or_no(table[columns].set_axis(index)))


def _shown_collapse(part: pd.DataFrame, name: str) -> pd.DataFrame:
    shown = rounded(part.set_index("condition")[["difference", "low", "high"]])
    return shown.rename(columns={"difference": name})
