"""Who speaks in a simulated study, and how often of which class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import numpy as np

LABELS = ("angry", "happy", "neutral", "sad")

One = TypeVar("One")


@dataclass(frozen=True, kw_only=True)
class Speakers:
    """Speakers of differing size, and the classes they speak in.

    Attributes:
        speakers: number of speakers
        utterances: mean number of utterances of a speaker
        shares: of the classes, unbalanced by default
        size_spread: standard deviation of the log of the number of utterances of a speaker
        concentration: of the Dirichlet distribution of a speaker's classes; small ones leave
            speakers without some classes
        largest: share of all utterances that one speaker has; by default nobody is set apart
        rarest: number of utterances of the rarest class over all speakers, at most; by default as
            many as fall to it
        labels: the classes
    """

    speakers: int = 24
    utterances: int = 40
    shares: tuple[float, ...] = (0.15, 0.1, 0.5, 0.25)
    size_spread: float = 0.4
    concentration: float = 10.0
    largest: float = 0.0
    rarest: int | None = None
    labels: tuple[str, ...] = LABELS

    def with_(self, **changes: Any) -> Self:
        """The same but for some values."""
        return replace(self, **changes)


def spoken(who: Speakers, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Speaker and class of each utterance, both as numbers, utterances sorted by speaker."""
    size = who.utterances * np.exp(
        who.size_spread * generator.standard_normal(who.speakers) - who.size_spread**2 / 2
    )
    number = np.maximum(2, np.round(size)).astype(int)
    if who.largest:
        number[0] = round(who.largest / (1 - who.largest) * number[1:].sum())
    shares = generator.dirichlet(who.concentration * np.array(who.shares), size=who.speakers)
    truth = [
        np.repeat(np.arange(len(who.labels)), generator.multinomial(n, share))
        for n, share in zip(number, shares, strict=True)
    ]
    speaker, spoken_class = np.repeat(np.arange(who.speakers), number), np.concatenate(truth)
    if who.rarest is not None:
        places = generator.permutation(np.flatnonzero(spoken_class == np.argmin(who.shares)))
        kept = np.delete(np.arange(len(speaker)), places[who.rarest :])
        speaker, spoken_class = speaker[kept], spoken_class[kept]
    return speaker, spoken_class


def independent(
    draw: Callable[[np.random.Generator], One], number: int, seed: int
) -> Iterator[One]:
    """Independent draws, each with a seed of its own."""
    for child in np.random.SeedSequence(seed).generate_state(number):
        yield draw(np.random.default_rng(int(child)))
