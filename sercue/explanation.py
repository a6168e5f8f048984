"""What a run's answers rest on: audio against tokens, and concept by concept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from sercue.statistics.attribution import concept_effects, shapley, subset_conditions
from sercue.statistics.reliance import RESPONSES, label_evidence, reliance
from sercue.tables.printed import rounded, with_interval
from sercue.tokens.catalogue import about_concepts, parse_conditions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sercue.corpora.corpus import Corpus
    from sercue.settings import Settings

_SHOWN = ["w_audio", "w_audio_low", "w_audio_high", "w_cue", "w_cue_low", "w_cue_high",
          "share", "low", "high"]  # fmt: skip


def why_no_reliance(settings: Settings) -> str | None:
    """Why a study cannot tell what its model relies on, or ``None`` if it can.

    Examples:
        >>> from sercue.settings import Settings
        >>> why_no_reliance(Settings()) is None
        True
        >>> why_no_reliance(Settings(conditions=["aligned"]))
        "The condition 'none' is needed: it tells what the model makes of the audio."
    """
    if settings.decoding != "score":
        return "Generated answers tell no probabilities of labels, which reliance needs."
    if "none" not in settings.conditions:
        return "The condition 'none' is needed: it tells what the model makes of the audio."
    if settings.conditions == ["none"]:
        return "A condition with tokens is needed beside 'none'."
    return None


def study_reliance(
    predictions: pd.DataFrame,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    settings: Settings,
) -> pd.DataFrame:
    """Reliance by both responses, stacked; see ``reliance``.

    Args:
        predictions: those of the study
        corpus: the corpus
        tokens: true tokens; of a cross-validated corpus, those of each fold's view
        settings: the study

    Returns:
        the tables of ``reliance`` with a column ``response``
    """
    evidence = label_evidence(predictions, corpus, tokens, seed=settings.seed)
    tables = [
        reliance(evidence, corpus.labels, response=response, confidence=settings.confidence)
        for response in RESPONSES
    ]
    return pd.concat([t.assign(response=r) for t, r in zip(tables, RESPONSES, strict=True)])


def shown_reliance(table: pd.DataFrame) -> pd.DataFrame:
    """A table of reliance as a report prints it: one line a group, the shares of both responses."""
    keys = ["by", "group"]
    by = {name: rows.set_index(keys) for name, rows in table.groupby("response", sort=False)}
    shown = by["probability"][_SHOWN].rename(columns={"share": "share (probability)"})
    chosen = by["choice"][_SHOWN[-3:]].add_prefix("choice ").loc[shown.index]
    chosen.columns = ["share (choice)", "share (choice)_low", "share (choice)_high"]
    shown = shown.rename(columns={n: f"share (probability)_{n}" for n in ("low", "high")})
    words = {"all": "all answers", "condition": "under {}", "truth": "of true {}"}
    printed = rounded(shown.join(chosen), digits=2)
    names = [words[kind].format(group) for kind, group in printed.index]
    return printed.set_axis(pd.Index(names, name="answers"))


def why_not_identified(table: pd.DataFrame) -> str:
    """Where a share is not identified, and why; an empty text if it is everywhere."""
    rows = table[(table["reason"] != "") & (table["response"] == "probability")]
    return "".join(f" {row['group']}: {row['reason']}." for row in rows.to_dict("records"))


def reliance_finding(table: pd.DataFrame, confidence: float) -> str:
    """What the answers rest on, in a sentence that says no more than the interval does."""
    row = table[(table["by"] == "all") & (table["response"] == "probability")].iloc[0]
    if row["reason"]:
        return f"What the model relies on cannot be told: {row['reason']}."
    share = with_interval(row["share"], row["low"], row["high"]).replace("-", "−")
    return (
        f"Of the weight that the answers give to audio and tokens, the tokens have {share} "
        f"({confidence:.0%} interval over speakers; 0 is the audio alone, 1 the tokens alone)."
    )


def concept_tables(
    predictions: pd.DataFrame, labels: Sequence[str], settings: Settings
) -> dict[str, pd.DataFrame]:
    """Effects of single concepts, and Shapley values, as far as the conditions allow them.

    Returns:
        ``effects`` and ``shapley``, each only if the study has conditions for it
    """
    names = {condition.name for condition in parse_conditions(settings.conditions)}
    options = settings.only(("confidence",))
    tables = {}
    if any(map(about_concepts, names)):
        tables["effects"] = concept_effects(predictions, labels, **options)
    if set(subset_conditions()) <= names:
        tables["shapley"] = shapley(predictions, labels, **options)
    return tables
