"""Audio crossed with tokens: coverage of effects, pulls and follow ratio; their type-I errors."""

from __future__ import annotations

import numpy as np
import pandas as pd
from checks import Check, Outcomes, holds, rejected
from simulate_crossing import CrossedDesign, CrossedStudy, crossed, true_effects

from sercue.statistics.crossing import audio_effects, follow

_EFFECTS = ("loss without tokens", "tokens", "interaction")
_PULLS = ("pull of audio", "pull of tokens")


def crossing(study: CrossedStudy, truth: np.ndarray) -> Outcomes:
    """Intervals of effects, pulls and ratio of known size."""
    found = _found(study)
    return {
        f"audio crossed with tokens, {name}": holds(
            found.loc[name, "low"], found.loc[name, "high"], true
        )
        for name, true in zip(found.index, truth, strict=True)
    }


def blind_crossing(study: CrossedStudy, truth: np.ndarray) -> Outcomes:
    """Tests where tokens tell nothing, and any block of them makes one label more probable."""
    return _tested(study, "tokens that tell nothing", ("tokens", "pull of tokens"))


def deaf_crossing(study: CrossedStudy, truth: np.ndarray) -> Outcomes:
    """Tests of a model that hears nothing."""
    return _tested(
        study, "audio that is not heard", ("loss without tokens", "interaction", "pull of audio")
    )


def _tested(study: CrossedStudy, of: str, names: tuple[str, ...]) -> Outcomes:
    found = _found(study)
    return {f"{of}: {name}": rejected(found.loc[name, "p"]).item() for name in names}


def _found(study: CrossedStudy) -> pd.DataFrame:
    rows = study.predictions()
    effects = audio_effects(rows, study.labels).set_index("effect").loc[list(_EFFECTS)]
    columns = ["low", "high", "p"]
    return pd.concat([effects[columns], follow(rows)[columns]])


def _true(design: CrossedDesign) -> np.ndarray:
    return np.array(list(true_effects(design).values()))


_BLIND = CrossedDesign(weights=(1.5, 0.0), spread=(0.5, 0.0), block=0.8)
_DEAF = CrossedDesign(weights=(0.0, 1.0), spread=(0.0, 0.4))
CHECKS = (
    Check(crossing, "coverage", CrossedDesign(), crossed, _true, share=1 / 12),
    Check(blind_crossing, "error", _BLIND, crossed, share=1 / 12),
    Check(deaf_crossing, "error", _DEAF, crossed, share=1 / 12),
)
