"""What is calibrated: the checks by subject, and how one is made on a simulated study."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from speakers import Speakers

LEVEL = 0.05
#: Of each quantity: whether the interval held the truth, or the test rejected; an array where one
#: study has several of a kind, NaN where it cannot be judged.
Outcomes = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """A kind of check and the design it is made on.

    Attributes:
        made: of each simulated study and the truth
        goal: ``"coverage"`` of 95 % intervals, ``"error"`` of tests at 5 %, ``"family"`` of any
            error in a family of tests, or ``"power"``
        design: what is simulated, but for speakers
        studies: makes independent studies of a design, their number and the seed given
        truth: of the design
        share: of the simulated studies that this check is made on; those of choices that were not
            taken see fewer, as do those whose studies have many tests each
        goals: of the quantities that have another goal than the check
    """

    made: Callable[[Any, np.ndarray], Outcomes]
    goal: str
    design: Speakers
    studies: Callable[[Any, int, int], Iterator[Any]]
    truth: Callable[[Any], np.ndarray] = lambda design: np.zeros(0)
    share: float = 1.0
    goals: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What ``--only`` takes."""
        return self.made.__name__


def holds(low: float, high: float, truth: float) -> float:
    """Whether an interval holds the truth; NaN without an interval."""
    return np.nan if np.isnan(low) else float(low <= truth <= high)


def rejected(p: ArrayLike) -> np.ndarray:
    """Whether each test rejects at ``LEVEL``; NaN without a p-value."""
    values = np.asarray(p, dtype=float)
    return np.where(np.isnan(values), np.nan, values <= LEVEL)
