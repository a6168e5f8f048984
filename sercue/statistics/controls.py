"""Models of known reliance, trained on the corpus at hand: the scale on which a share is read.

What a model saw in training decides what it relies on. ``audio-bound`` saw tokens that were drawn
at random, so that only the audio could tell it anything; ``cue-bound`` saw true tokens and mostly
no audio; ``grounded`` saw both, and tokens that were partly wrong. They are asked the very prompts
of the study, and their reliance is estimated as that of the model under study. If the instrument
works, it puts them in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sercue.corpora.audio_variants import SILENT, SWAPPED
from sercue.corpora.corpus import Corpus
from sercue.statistics.contrasts import holm
from sercue.statistics.crossing import follow, followed
from sercue.statistics.equivalence import equivalence_tests
from sercue.statistics.measures import CELL, uar_by
from sercue.statistics.reliance import (
    ChoiceFit,
    fit_evidence,
    label_evidence,
    reliance,
    share_influence,
    why_no_reliance,
)
from sercue.statistics.speakers import Clustered, primary_cell
from sercue.tokens.condition import AT

if TYPE_CHECKING:
    from sercue.settings import Settings

#: From the one that ignores the tokens to the one that uses little else.
CONTROLS = ("audio-bound", "grounded", "cue-bound")
#: How tables name the model under study.
THIS_MODEL = "this model"
#: What the controls are asked, so far as the study has it.
CONDITIONS = ("none", "aligned", "shuffled", "conflicting")
#: With other audio, of which one is silence: what answers follow, and what tokens alone give.
CROSSED_CONDITIONS = tuple(
    f"{tokens}{AT}{heard}" for heard in (SWAPPED, SILENT) for tokens in ("none", "aligned")
)
_STABLE = ("shuffled", "none")
# Below this, differences of shares are rounding.
_ROUNDING = 1e-6


def why_no_controls(settings: Settings) -> str:
    """Why a study has no controls, or an empty text if it can have them.

    Examples:
        >>> from sercue.settings import Settings
        >>> why_no_controls(Settings(controls=False))
        'This study asks for no control models (controls: false).'
    """
    if settings.made_elsewhere:
        return "The answers were made elsewhere: control models need recordings and tokens."
    if not settings.controls:
        return "This study asks for no control models (controls: false)."
    if len([name for name in CONDITIONS if name in settings.conditions]) < 2:
        return f"Control models are asked {', '.join(CONDITIONS)}; this study has not two of them."
    return why_no_reliance(settings) or ""


def trains_here(settings: Settings) -> bool:
    """Whether a study trains models itself: its own, or controls.

    Examples:
        >>> from sercue.settings import Settings
        >>> trains_here(Settings(model="qwen2-audio", controls=False))
        False
    """
    from sercue.models.cards import TINY

    return settings.model == TINY or not why_no_controls(settings)


def same_as_control(settings: Settings) -> str:
    """A note if the model under study was trained just like a control, else an empty text.

    Examples:
        >>> from sercue.settings import Settings
        >>> same_as_control(Settings())
        'The model under study is the control grounded: its place among them tests the software.'
    """
    from sercue.models.cards import TINY, TINY_SHARES

    options = settings.model_options
    recipe = options.get("recipe", "grounded")
    if settings.model != TINY or recipe not in CONTROLS or set(options) & set(TINY_SHARES):
        return ""
    return (
        f"The model under study is the control {recipe}: its place among them tests the software."
    )


def control_conditions(settings: Settings) -> list[str]:
    """The conditions that controls are asked: those of the study among ``CONDITIONS``.

    And among ``CROSSED_CONDITIONS``, which tell what the answers follow.
    """
    chosen = [*CONDITIONS, *CROSSED_CONDITIONS]
    return [name for name in chosen if name in settings.conditions]


def control_options(settings: Settings, control: str) -> dict[str, Any]:
    """Options of ``sercue-tiny`` that make it a control.

    Where the study's own model is ``sercue-tiny``, its controls are built and trained alike; what
    they see in training is their own.

    Args:
        settings: the study
        control: one of ``CONTROLS``
    """
    from sercue.models.cards import TINY, TINY_SHARES

    alike = settings.model_options if settings.model == TINY else {}
    kept = {name: value for name, value in alike.items() if name not in TINY_SHARES}
    return kept | {"recipe": control}


def control_reliance(
    answers: pd.DataFrame,
    corpus: Corpus,
    tokens: pd.DataFrame | Mapping[str, pd.DataFrame],
    *,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Reliance of each control and of the model under study, on the very same prompts.

    Args:
        answers: predictions of several models, named in a column ``model``
        corpus: the corpus
        tokens: true tokens; of a cross-validated corpus, those of each fold's view
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        the table of ``reliance`` (response ``"probability"``) of each model, with a column
        ``model``; the models by ascending share. Of all answers of each control also the difference
        of its share to that of the model under study, paired by speakers: ``difference``,
        ``difference_low``, ``difference_high``, ``p`` and ``holm_p``, corrected for the controls;
        NaN where a share has no interval
    """
    tables, fits = [], {}
    evidence = label_evidence(answers, corpus, tokens, cell=(*CELL, "model"))
    for name in evidence.table["model"].unique():
        rows = np.flatnonzero(evidence.table["model"] == name)
        own = replace(evidence, table=evidence.table.iloc[rows], shown=evidence.shown[rows])
        table = reliance(own, corpus.labels, response="probability", confidence=confidence)
        tables.append(table.assign(model=name))
        fits[str(name)] = fit_evidence(own, corpus.labels, response="probability")
    tables.sort(key=lambda table: (pd.isna(table["share"].iloc[0]), table["share"].iloc[0]))
    return pd.concat(tables, ignore_index=True).merge(
        share_differences(fits, confidence), on=["model", "by"], how="left"
    )


def share_differences(fits: Mapping[str, ChoiceFit], confidence: float) -> pd.DataFrame:
    """The share of each control less that of the model under study, on the same prompts.

    Args:
        fits: of all models, from the same prompts about the same utterances
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        one row per control, the columns that ``control_reliance`` adds
    """
    own = fits.get(THIS_MODEL)
    columns = ["difference", "difference_low", "difference_high", "p"]
    rows: dict[str, list[float]] = {}
    for name, fit in fits.items():
        if name == THIS_MODEL or own is None:
            continue
        if fit.reason or own.reason:
            rows[name] = [np.nan] * 4
            continue
        share, base = (one.weights[1] / one.weights.sum() for one in (fit, own))
        influence = share_influence(fit) - share_influence(own)
        df = np.array([min(*fit.df, *own.df)])
        found = Clustered(np.array([share - base]), influence[None], df)
        (low,), (high,) = found.interval(confidence)
        # A control that is the model under study differs from it by rounding, not by chance.
        same = np.abs(influence).max() < _ROUNDING
        rows[name] = [share - base, low, high, np.nan if same else found.p_value()[0]]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table["holm_p"] = holm(table["p"])
    return table.rename_axis("model").reset_index().assign(by="all")


def with_this_model(controls: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Answers of the controls, and those of the model under study to the same prompts.

    Args:
        controls: answers of the controls, named in a column ``model``
        predictions: those of the study
    """
    own = primary_cell(predictions)
    own = own[own["condition"].isin(controls["condition"].unique())]
    own = own[own["utterance"].isin(controls["utterance"].unique())]
    return pd.concat([controls, own.assign(model=THIS_MODEL)], ignore_index=True)


def control_uar(answers: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """UAR of each model under each condition: one row per model, one column per condition.

    Args:
        answers: as ``with_this_model`` returns them
        labels: the classes
    """
    table = uar_by(answers, labels, ["model", "condition"])
    wide = table.pivot(index="model", columns="condition", values="uar")
    wide = wide.loc[answers["model"].unique(), answers["condition"].unique()]
    return wide.rename_axis(columns=None)


def control_follow(answers: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """What the answers of each model follow where audio and tokens are of different classes.

    Args:
        answers: as ``with_this_model`` returns them
        confidence: coverage that the intervals aim at, between 0 and 1

    Returns:
        one row per model: the shares ``audio``, ``tokens`` and ``neither`` of the answers under
        ``aligned @ swapped``, see ``followed``, and ``follow_ratio``, ``low`` and ``high``, see
        ``follow``

    Raises:
        InputError: if the models were not asked with other audio
    """
    rows = {}
    for name, own in answers.groupby("model", sort=False):
        told = followed(own[own["condition"] == f"aligned{AT}{SWAPPED}"], confidence=confidence)
        ratio = follow(own, confidence=confidence).loc["follow ratio"]
        shares = told.set_index("follows")["share"]
        rows[name] = [*shares, *ratio[["value", "low", "high"]]]
    columns = ["audio", "tokens", "neither", "follow_ratio", "low", "high"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("model")


def control_equivalence(
    controls: pd.DataFrame, labels: Sequence[str], margin: float
) -> pd.DataFrame:
    """Do shuffled tokens leave the audio-bound control where no tokens do?

    It has learnt that tokens tell nothing. If shuffling them moved its answers, something else
    would move them: the presence of a token block, say.

    Args:
        controls: answers of the controls, named in a column ``model``
        labels: the classes
        margin: difference in UAR that counts as none

    Returns:
        one row per control, as ``equivalence_tests`` has it, with a column ``model``

    Raises:
        InputError: if the controls were not asked both conditions
    """
    tables = [
        equivalence_tests(rows, labels, [_STABLE], margin=margin).assign(model=name)
        for name, rows in controls.groupby("model", sort=False)
    ]
    columns = ["model", "difference", "low", "high", "margin", "equivalence_p", "equivalent"]
    return pd.concat(tables, ignore_index=True)[columns]
