"""Six interpretable acoustic concepts, and what of the eGeMAPS functionals is a measurement.

A concept is a signed set of functionals; ``binning`` makes words of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

UNKNOWN = "unknown"
WORDS = {3: ("low", "mid", "high"), 5: ("very low", "low", "mid", "high", "very high")}

# openSMILE writes zero, not "missing", for a functional of voiced frames where there is no voiced
# frame. A median F0 of 0 semitones is 27.5 Hz, below any voice, so it marks such an utterance.
_F0_MEDIAN = "F0semitoneFrom27.5Hz_sma3nz_percentile50.0"
_VOICED_ONLY = (
    "F0",
    "jitter",
    "shimmer",
    "HNR",
    "logRelF0",
    "F1",
    "F2",
    "F3",
    "V_sma3nz",
    "slopeV",
)


@dataclass(frozen=True)
class Concept:
    """A named, signed set of eGeMAPS functionals.

    Attributes:
        name: the word that the prompt shows
        functionals: functional name to sign, +1 or -1
    """

    name: str
    functionals: Mapping[str, int]


CONCEPTS: tuple[Concept, ...] = (
    Concept("energy", {"loudness_sma3_amean": 1, "equivalentSoundLevel_dBp": 1}),
    Concept("pitch", {_F0_MEDIAN: 1}),
    Concept(
        "dynamics",
        {"F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2": 1, "loudness_sma3_stddevNorm": 1},
    ),
    Concept(
        "brightness",
        {
            "alphaRatioV_sma3nz_amean": 1,
            "hammarbergIndexV_sma3nz_amean": -1,
            "slopeV500-1500_sma3nz_amean": 1,
        },
    ),
    Concept(
        "formants",
        {
            "F1frequency_sma3nz_amean": 1,
            "F2frequency_sma3nz_amean": 1,
            "F3frequency_sma3nz_amean": 1,
        },
    ),
    Concept(
        "voice quality",
        {
            "HNRdBACF_sma3nz_amean": 1,
            "jitterLocal_sma3nz_amean": -1,
            "shimmerLocaldB_sma3nz_amean": -1,
        },
    ),
)


def measurable(features: pd.DataFrame) -> pd.DataFrame:
    """The functionals with NaN wherever openSMILE had nothing to measure.

    Without a voiced frame every functional of voiced frames is zero by convention; that zero is
    not a measurement. Infinite values (the level of digital silence) are not either.
    """
    values = features.astype(float).replace([np.inf, -np.inf], np.nan)
    if _F0_MEDIAN in values:
        voiced = [name for name in values if _needs_voice(str(name))]
        values.loc[values[_F0_MEDIAN] <= 0, voiced] = np.nan
    return values


def _needs_voice(functional: str) -> bool:
    return functional.startswith(_VOICED_ONLY) or "V_sma3nz" in functional
