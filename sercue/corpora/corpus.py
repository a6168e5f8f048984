"""The corpus table: what every reader returns and every later stage reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import audformat
import numpy as np
import pandas as pd

from sercue.errors import InputError

PARTITIONS = ("train", "dev", "test")
REQUIRED = ("emotion", "speaker", "partition")
#: Of an utterance that was listed and is not used: why, in words that can be counted, and the rest.
LEFT_OUT = ("emotion", "speaker", "partition", "reason", "detail")


def nothing_left_out() -> pd.DataFrame:
    """The table of utterances that are not used, when all are."""
    empty = {column: pd.Series(dtype=object) for column in LEFT_OUT}
    return pd.DataFrame(empty).set_index(audformat.segmented_index())


@dataclass(frozen=True, eq=False)
class Corpus:
    """A corpus of labelled utterances.

    Attributes:
        name: registry name
        root: folder that the file names of the index are relative to
        table: one row per utterance; index (file, start, end) as audformat has it, ``end`` NaT for
            a whole file; columns ``emotion``, ``speaker``, ``partition`` (train, dev, test) and,
            where known, ``sex``, ``session``, ``fold``. Where every utterance is in ``test`` and
            has a fold, the corpus is cross-validated: each fold is tested on with all other
            folds as its training partition.
        labels: the emotion classes, in the order in which tables show them
        neutral_label: the neutral class, or ``None`` if the corpus has none
        licence: under what terms the recordings may be used
        may_share_audio: whether a report may hold a recording
        synthetic: whether the speech is made by a program: a fixture, not evidence
        channel: the one channel that is heard, counted from 0; ``None`` averages all
            that are not silent
        left_out: utterances that the corpus lists and that are not used, indexed as ``table``,
            with ``emotion``, ``speaker``, ``partition``, ``reason`` and ``detail``
        expected: what the complete corpus holds, as published: utterances of ``table`` by the
            columns that name the levels of each index
        listed: utterances that the complete corpus lists, those left out among them
        files: the path of each name of a file, where names are pseudonyms, or where the disk
            spells a name otherwise; else nothing
    """

    name: str
    root: Path
    table: pd.DataFrame
    labels: tuple[str, ...]
    neutral_label: str | None
    licence: str
    may_share_audio: bool = False
    synthetic: bool = False
    channel: int | None = None
    left_out: pd.DataFrame = field(default_factory=nothing_left_out)
    expected: tuple[pd.Series, ...] = ()
    listed: int | None = None
    files: Mapping[str, Path] = field(default_factory=dict)

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
        parts = f"{len(self.folds)} folds" if self.folds else parts
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
        return self.files.get(file, self.root / file)

    @property
    def folds(self) -> list[str]:
        """The folds of a cross-validated corpus, in their order; none of any other."""
        if "fold" not in self.table or set(self.table["partition"]) != {"test"}:
            return []
        return sorted(self.table["fold"].unique(), key=natural_order)

    def in_fold(self, fold: str) -> Corpus:
        """The same corpus with one fold to test and all others to train.

        Examples:
            >>> corpus = example_corpus(speakers=3)
            >>> corpus.table["fold"] = corpus.table["speaker"]
            >>> corpus.in_fold("s1").rows("test")["speaker"].unique().tolist()
            ['s1']
        """
        tested = self.table["fold"] == fold
        partition = tested.map({True: "test", False: "train"})
        return replace(self, table=self.table.assign(partition=partition))

    def without(self, reasons: pd.DataFrame) -> Corpus:
        """The same corpus without some utterances, which are remembered in ``left_out``.

        Args:
            reasons: ``reason`` and ``detail`` of each utterance to leave out, indexed as ``table``
        """
        gone = self.table.loc[reasons.index, list(REQUIRED)].join(reasons[["reason", "detail"]])
        kept = self.table[~self.table.index.isin(reasons.index)]
        return replace(self, table=kept, left_out=pd.concat([self.left_out, gone]))

    def with_table(self, table: pd.DataFrame) -> Corpus:
        """The same corpus with other rows; labels that no row has any more are dropped."""
        present = set(table["emotion"])
        labels = tuple(label for label in self.labels if label in present)
        neutral = self.neutral_label if self.neutral_label in labels else None
        return replace(self, table=table, labels=labels, neutral_label=neutral)


def natural_order(name: str) -> tuple[int, str]:
    """Sorts names of folds so that 2 comes before 10.

    Examples:
        >>> sorted(["10", "9", "b"], key=natural_order)
        ['9', 'b', '10']
    """
    return len(name), name


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


def first_names(names: Iterable[object]) -> str:
    """The first five of some names, for a message.

    Examples:
        >>> first_names("abcdefg")
        'a, b, c, d, e, ...'
    """
    listed = [str(name) for name in names]
    return ", ".join(listed[:5]) + (", ..." if len(listed) > 5 else "")


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
