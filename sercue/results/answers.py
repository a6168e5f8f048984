"""The figures and tables of notebook 04: what the answers are under each condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sercue.plots.results import plot_dose_response, plot_neutral_shift, plot_uar
from sercue.results.reasons import Shown, or_why_not
from sercue.tables.findings import invalid_answers
from sercue.tables.printed import rounded, yes_or_no
from sercue.tokens.catalogue import describe_conditions, facts_by_name, main_conditions, one_of_each

if TYPE_CHECKING:
    from sercue.run import Run

_UAR = ["condition", "uar", "uar_low", "uar_high", "accuracy", "macro_f1"]


@or_why_not
def conditions_table(run: Run) -> Shown:
    """What each condition shows; of those about concepts one of each kind, the file has all."""
    names = run.settings.conditions
    table = describe_conditions(names, run.material, seed=run.settings.seed)
    kept = one_of_each(list(table.index))
    left = len(table) - len(kept)
    more = f" {left} more show, leave out or mirror other concepts." if left else ""
    caption = f"The conditions of this study.{more}"
    shown = yes_or_no(table.loc[kept])
    if not any(shown["remarks"]):
        shown = shown.drop(columns="remarks")
    return run.table("conditions", table, caption, rounded(shown))


def uar_figure(run: Run) -> Shown:
    """UAR by condition with its interval, beside floors and ceilings."""
    drawing = plot_uar(main_conditions(run.intervals), run.references)
    return run.figure("uar", drawing, "UAR by condition, with intervals over speakers.")


def uar_table(run: Run) -> Shown:
    """The numbers behind it; the file has those of conditions about single concepts, too."""
    table = run.measures[_UAR]
    shown = rounded(main_conditions(table).set_index("condition"))
    caption = "UAR by condition with its interval, beside floors and ceilings."
    return run.table("uar", table.set_index("condition"), caption, shown)


@or_why_not
def dose_response_figure(run: Run) -> Shown:
    """UAR against the share of replaced tokens, or why there is no such figure."""
    if facts_by_name(run.settings.conditions)["dose"].isna().all():
        return "No condition of this study has a dose, such as corrupted(0.5)."
    caption = "UAR against the share of tokens replaced, with intervals over speakers."
    return run.figure("dose_response", plot_dose_response(run.intervals), caption)


@or_why_not
def recall_table(run: Run) -> Shown:
    """Recall of each class by condition."""
    names = {f"recall_{label}": label for label in run.corpus.labels}
    table = run.measures[["condition", *names]].rename(columns=names)
    shown = rounded(main_conditions(table).set_index("condition"))
    caption = "Recall of each class by condition."
    return run.table("recall", table.set_index("condition"), caption, shown)


@or_why_not
def neutral_shift_figure(run: Run) -> Shown:
    """The shift towards neutral, or why there is no such figure."""
    neutral = run.corpus.neutral_label
    if neutral is None:
        return f"Corpus {run.corpus.name!r} names no neutral class, so no shift is reported."
    caption = f"Change of the answer {neutral!r} to utterances of other classes."
    rows = run.measures[~run.measures["baseline"]]
    return run.figure("neutral_shift", plot_neutral_shift(main_conditions(rows)), caption)


@or_why_not
def answers_table(run: Run) -> Shown:
    """How spread the answers are, and how many differ from those under none and aligned."""
    columns = ["entropy", "commonest", "commonest_share", "flip_none", "flip_aligned",
               "kappa_none", "kappa_aligned", "invalid_rate"]  # fmt: skip
    rows = run.measures[~run.measures["baseline"]]
    table = rows[["condition", *(name for name in columns if name in rows)]]
    agreement = [name for name in columns if name.startswith("kappa_") and name in rows]
    shown = rounded(main_conditions(table).set_index("condition").drop(columns=agreement))
    caption = "Spread of the answers, and how many differ from none and aligned."
    if invalid := invalid_answers(run.main_predictions):
        caption += f" {invalid}"
    return run.table("answers", table.set_index("condition"), caption, shown)
