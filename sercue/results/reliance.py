"""The figures and tables of notebook 05 on what the answers rest on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from sercue.models.cards import TINY
from sercue.plots.reliance import (
    plot_concept_effects,
    plot_reliance,
    plot_reliance_by,
    plot_shapley,
)
from sercue.results.reasons import Shown, or_why_not
from sercue.statistics.controls import CONTROLS, THIS_MODEL, control_equivalence
from sercue.statistics.reliance import why_no_reliance
from sercue.tables.findings import shown_reliance, why_not_identified
from sercue.tables.printed import rounded, yes_or_no

if TYPE_CHECKING:
    from sercue.run import Run


@or_why_not
def reliance_figure(run: Run) -> Shown:
    """The figure of the share of the tokens in the answers, or why there is none."""
    if run.reliance.empty:
        return str(why_no_reliance(run.settings))
    table = run.reliance[run.reliance["response"] == "probability"]
    caption = "Share of the tokens in the answers, with intervals over speakers."
    return run.figure("reliance", plot_reliance_by(table), caption)


@or_why_not
def reliance_table(run: Run) -> Shown:
    """The weights behind it, or why there are none."""
    if run.reliance.empty:
        return str(why_no_reliance(run.settings))
    speakers = int(run.reliance["speakers"].max())
    caption = (
        f"Weights of audio and tokens in the probabilities of all labels, over {speakers} "
        "speakers, and the share of the tokens in these and in the label that was answered."
    )
    caption += why_not_identified(run.reliance)
    return run.table("reliance", run.reliance, caption, shown_reliance(run.reliance))


@or_why_not
def controls_figure(run: Run) -> Shown:
    """The model under study between the controls, or why it has no place there."""
    if run.control_reliance.empty:
        return run.no_controls
    tables = {str(name): table for name, table in run.control_reliance.groupby("model", sort=False)}
    caption = "Share of the tokens: the model under study between models of known reliance."
    return run.figure("controls", plot_reliance(tables, THIS_MODEL), caption)


@or_why_not
def controls_table(run: Run) -> Shown:
    """The UAR and the reliance of each control beside those of the model under study."""
    if run.control_reliance.empty:
        return run.no_controls
    whole = run.control_reliance[run.control_reliance["by"] == "all"].set_index("model")
    columns = ["w_audio", "w_cue", "share", "low", "high"]
    table = run.control_uar.join(whole[columns])
    caption = "UAR of each model on the very same prompts, and its reliance on the tokens."
    alike = _twin(run)
    if alike is not None:
        caption += f" The model under study was trained as {alike} was: it is the same model."
    return run.table("controls", table, caption)


def _twin(run: Run) -> str | None:
    """The control that was trained just as the model under study was, if there is one."""
    from sercue.models.tiny_network import SHARES

    options = run.settings.model_options
    if run.settings.model != TINY or set(options) & set(SHARES):
        return None
    recipe = options.get("recipe", "grounded")
    return recipe if recipe in CONTROLS else None


@or_why_not
def control_equivalence_table(run: Run) -> Shown:
    """Whether shuffled tokens leave the audio-bound control where no tokens do."""
    if run.controls.empty:
        return run.no_controls
    labels, margin = run.corpus.labels, run.settings.margin
    table = control_equivalence(run.controls, labels, margin).set_index("model")
    caption = f"Shuffled tokens against none, by TOST against a margin of ±{margin:g}."
    shown = rounded(yes_or_no(table.drop(columns="margin")))
    return run.table("control_equivalence", table, caption, shown)


@or_why_not
def concept_effects_figure(run: Run) -> Shown:
    """The figure of what single concepts do, or what it needs."""
    if "effects" not in run.concept_tables:
        return "No condition shows or changes single concepts: add only(each), without(each)."
    drawing = plot_concept_effects(run.concept_tables["effects"])
    return run.figure("concept_effects", drawing, "Change in UAR by single concepts.")


@or_why_not
def concept_effects_table(run: Run) -> Shown:
    """The numbers behind it, with p-values corrected for their number."""
    if "effects" not in run.concept_tables:
        return ""
    table: pd.DataFrame = run.concept_tables["effects"].set_index(["kind", "concept"])
    columns = ["effect", "low", "high", "p", "holm_p"]
    shown = rounded(table[columns])
    shown.index = pd.Index(
        [f"{kind}({concept})" for kind, concept in table.index], name="condition"
    )
    caption = "Change in UAR by single concepts; Holm's correction is over all rows."
    return run.table("concept_effects", table, caption, shown)


@or_why_not
def shapley_figure(run: Run) -> Shown:
    """The figure of each concept's Shapley value, or what it needs."""
    if "shapley" not in run.concept_tables:
        return "Shapley values need every subset of the concepts: add only(any)."
    table = run.concept_tables["shapley"]
    run.table("shapley", table.set_index("concept"), "Shapley value of each concept.")
    return run.figure("shapley", plot_shapley(table), "Shapley value of each concept, in UAR.")
