"""The corpus table: what every reader returns and every later stage reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import audformat
import numpy as np
import pandas as pd

from sercue.errors import InputError

PARTITIONS = ("train", "dev", "test")
REQUIRED = ("emotion", "speaker", "partition")


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus of labelled utterances.

    Attributes:
        name: registry name
        root: folder that the file names of the index are relative to
        table: one row an utterance; index (file, start, end) as audformat has it, ``end`` NaT for
            a whole file; columns ``emotion``, ``speaker``, ``partition`` (train, dev, test) and,
            where known, ``sex``, ``session``, ``fold``
        labels: the emotion classes, in the order in which tables show them
        neutral_label: the neutral class, or ``None`` if the corpus has none
        licence: under what terms the recordings may be used
        may_share_audio: whether a report may hold a recording
        synthetic: whether the speech is made by a program: a fixture, not evidence
    """

    name: str
    root: Path
    table: pd.DataFrame
    labels: tuple[str, ...]
    neutral_label: str | None
    licence: str
    may_share_audio: bool = False
    synthetic: bool = False

    def __post_init__(self) -> None:
        missing = [column for column in REQUIRED if column not in self.table]
        if missing:
            raise InputError(
                f"corpus {self.name!r}: no column {', '.join(missing)}; "
                f"found {', '.join(self.table.columns)}"
            )

    def __repr__(self) -> str:
        counts = self.table["partition"].value_counts()
        parts = ", ".join(f"{counts.get(name, 0)} {name}" for name in PARTITIONS)
        return (
            f"Corpus({self.name!r}: {len(self.table)} utterances ({parts}), "
            f"{self.table['speaker'].nunique()} speakers, labels {', '.join(self.labels)})"
        )

    @property
    def partitions(self) -> list[str]:
        """The partitions that have utterances, in the order train, dev, test."""
        present = set(self.table["partition"])
        return [name for name in PARTITIONS if name in present]

    def rows(self, partition: str) -> pd.DataFrame:
        """The rows of one partition."""
        return self.table[self.table["partition"] == partition]

    def path(self, file: str) -> Path:
        """The absolute path of a file of the index."""
        return self.root / file

    def with_table(self, table: pd.DataFrame) -> Corpus:
        """The same corpus with other rows; labels that no row has any more are dropped."""
        present = set(table["emotion"])
        labels = tuple(label for label in self.labels if label in present)
        neutral = self.neutral_label if self.neutral_label in labels else None
        return replace(self, table=table, labels=labels, neutral_label=neutral)


def utterance_ids(index: pd.Index) -> pd.Index:
    """Readable names of utterances: the file, and the seconds of the segment if it is one.

    Examples:
        >>> index = audformat.segmented_index(["a.wav", "a.wav"], ["0s", "1.5s"], [pd.NaT, "2s"])
        >>> utterance_ids(index).tolist()
        ['a.wav', 'a.wav[1.500-2.000]']
    """
    files = index.get_level_values("file")
    first, last = (
        pd.TimedeltaIndex(index.get_level_values(level)).total_seconds()
        for level in ("start", "end")
    )
    names = [
        f if s == 0 and np.isnan(e) else f"{f}[{s:.3f}-{'end' if np.isnan(e) else f'{e:.3f}'}]"
        for f, s, e in zip(files, first, last, strict=True)
    ]
    return pd.Index(names, name="utterance")


def example_corpus(speakers: int = 3, utterances: int = 4, labels: int = 2) -> Corpus:
    """A corpus without audio for examples and tests; the first speaker trains, the last tests."""
    names = ("angry", "neutral", "sad", "happy", "afraid", "bored", "disgusted")[:labels]
    index = audformat.segmented_index(
        [f"s{s}_{u}.wav" for s in range(speakers) for u in range(utterances)]
    )
    partition = ["train"] + ["dev"] * (speakers - 2) + ["test"]
    table = pd.DataFrame(
        {
            "emotion": [names[u % labels] for _ in range(speakers) for u in range(utterances)],
            "speaker": [f"s{s}" for s in range(speakers) for _ in range(utterances)],
            "partition": [partition[s] for s in range(speakers) for _ in range(utterances)],
        },
        index=index,
    )
    return Corpus("example", Path(), table, names, "neutral", "none", True, True)
