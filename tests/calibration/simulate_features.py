"""Simulated features that no emotion changes, of speakers who differ and who differ by emotion.

The value of a feature is

    level of the speaker + deviation of the speaker under the emotion + noise of the utterance

with the same mean under all emotions: every hypothesis of no difference between them is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from speakers import Speakers, independent, spoken

from sercue.corpora.corpus import Corpus

#: Features of one corpus; given who speaks what, they are independent of each other.
FEATURES = 25


@dataclass(frozen=True, kw_only=True)
class FeatureDesign(Speakers):
    """What is simulated: speakers, and how their features vary.

    Attributes:
        level, level_emotion, noise: standard deviations of the three parts
    """

    level: float = 1.0
    level_emotion: float = 0.5
    noise: float = 1.0


@dataclass(frozen=True)
class Features:
    """One simulated corpus: features, one row per utterance, and who speaks under which emotion."""

    values: pd.DataFrame
    corpus: Corpus


def features(design: FeatureDesign, number: int, seed: int = 0) -> Iterator[Features]:
    """Independent corpora of one design."""
    return independent(partial(_draw, design), number, seed)


def _draw(design: FeatureDesign, generator: np.random.Generator) -> Features:
    speaker, truth = spoken(design, generator)
    normal, classes = generator.standard_normal, len(design.labels)
    values = design.level * normal((design.speakers, FEATURES))[speaker]
    cells = design.level_emotion * normal((design.speakers, classes, FEATURES))
    values = values + cells[speaker, truth] + design.noise * normal(values.shape)
    table = pd.DataFrame(
        {
            "emotion": np.array(design.labels, dtype=object)[truth],
            "speaker": [f"s{number:02d}" for number in speaker],
            "partition": "test",
        }
    )
    corpus = Corpus("simulated", Path(), table, design.labels, "neutral", "none", True, True)
    names = [f"feature {number}" for number in range(FEATURES)]
    return Features(pd.DataFrame(values, table.index, names), corpus)
