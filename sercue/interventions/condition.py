"""A condition: one way of changing the tokens while the audio stays the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sercue.errors import InputError
from sercue.interventions.material import Material

Change = Callable[[Material, np.random.Generator], pd.DataFrame | None]


def no_remarks(material: Material) -> str:
    """Nothing to say of what a condition does to this material."""
    return ""


@dataclass(frozen=True)
class Condition:
    """One way of changing the tokens.

    A condition of one's own is a function and two strings, as the example shows; ``run_study``
    takes it beside the names of ours, ``conditions=["none", "aligned", exaggerated]``.

    Attributes:
        name: as studies and tables write it, for instance ``corrupted(0.5)``
        description: one line for the report
        change: (material, random generator) to the tokens shown, indexed as ``material.tokens``,
            or ``None`` for no token block. A column that is left out is a concept that the prompt
            does not show.
        stochastic: whether replicates differ
        stream: conditions with the same stream draw the same random numbers, so that
            ``corrupted(0.25)`` changes a subset of what ``corrupted(0.5)`` changes; the name by
            default
        remarks: what the report has to say of this condition on this very material, for instance
            that a speaker has one utterance only; an empty text if nothing

    Examples:
        >>> def exaggerate(material, generator):
        ...     words = material.words
        ...     return material.tokens.replace({words[-2]: words[-1], words[1]: words[0]})
        >>> exaggerated = Condition("exaggerated", "all but extremes moved outward", exaggerate)
        >>> own = pd.DataFrame({"energy": ["low", "very high"], "pitch": ["high", "mid"]})
        >>> words = ("very low", "low", "mid", "high", "very high")
        >>> exaggerated.show(Material(own, words), seed=0).to_numpy().tolist()
        [['very low', 'very high'], ['very high', 'mid']]
    """

    name: str
    description: str
    change: Change
    stochastic: bool = False
    stream: str | None = None
    remarks: Callable[[Material], str] = no_remarks

    def show(self, material: Material, *, seed: int, replicate: int = 0) -> pd.DataFrame | None:
        """The tokens that this condition shows.

        Random numbers are drawn for the utterances in the order of their index, so what an
        utterance is shown does not depend on the order of the rows. It does depend on which
        other utterances are evaluated: who is exchanged with whom can be decided no other way.

        Args:
            material: the evaluated utterances, and the training ones
            seed: the study's seed
            replicate: number of the repetition, from 0

        Returns:
            tokens with the index of ``material.tokens``, or ``None`` for no token block

        Raises:
            InputError: if the material is not enough for this condition, or if a condition of
                one's own returns other rows, no column, or an empty cell
        """
        order = _order(material)
        training = material.training
        ordered = replace(
            material.take(order),
            training=None if training is None else training.take(_order(training)),
        )
        stream = self.name if self.stream is None else self.stream
        generator = np.random.default_rng([seed, replicate, *stream.encode()])
        shown = self.change(ordered, generator)
        if shown is None:
            return None
        self._check(shown, ordered)
        return shown.iloc[np.argsort(order)]

    def replicates(self, number: int) -> range:
        """The replicates to run: one where nothing is random."""
        return range(number if self.stochastic else 1)

    def _check(self, shown: pd.DataFrame, material: Material) -> None:
        if not shown.index.equals(material.tokens.index):
            raise InputError(
                f"condition {self.name!r}: returned rows {list(shown.index[:3])} ..., valid are "
                "those of material.tokens, in their order"
            )
        if not shown.shape[1] or shown.isna().to_numpy().any():
            raise InputError(
                f"condition {self.name!r}: returned no column or an empty cell; valid is a word "
                "in each cell, or None for no token block"
            )


def _order(material: Material) -> np.ndarray:
    """Positions of the rows in the order of their index."""
    index = material.tokens.index
    return pd.Series(np.arange(len(index)), index).sort_index(kind="stable").to_numpy()
