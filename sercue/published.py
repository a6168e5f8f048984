"""Values that others have published, for the tables that show them beside one's own."""

from __future__ import annotations

from dataclasses import dataclass

from sercue.models.cards import CARDS, ENDPOINT_PREFIX, HUB_PREFIX


@dataclass(frozen=True)
class PublishedValue:
    """A UAR that a publication gives, without an interval.

    Attributes:
        model: name of the model's card
        corpus: name of the corpus reader
        condition: name of the condition
        uar: between 0 and 1
        source: where it stands
    """

    model: str
    corpus: str
    condition: str
    uar: float
    source: str


PUBLISHED = (
    PublishedValue(
        "audio-flamingo-3",
        "iemocap",
        "aligned",
        0.776,
        "Tsangko, Triantafyllopoulos and Schuller, Acoustic Cue Alignment in Audio Language Models "
        "for Speech Emotion Recognition, arXiv 2606.07309, 2026",
    ),
)


def published_values(model: str, corpus: str) -> list[PublishedValue]:
    """What is published of a model on a corpus.

    Args:
        model: as a study names it; the repository of a known model counts as that model, a folder
            does not: what lies in it cannot be told from its name
        corpus: name of the corpus reader

    Examples:
        >>> [value.uar for value in published_values("audio-flamingo-3", "iemocap")]
        [0.776]
        >>> published_values("qwen2-audio", "iemocap")
        []
    """
    known = {card.name: card.name for card in CARDS} | {
        prefix + card.repository: card.name
        for card in CARDS
        if card.repository
        for prefix in (HUB_PREFIX, ENDPOINT_PREFIX)
    }
    name = known.get(model)
    return [value for value in PUBLISHED if (value.model, value.corpus) == (name, corpus)]
