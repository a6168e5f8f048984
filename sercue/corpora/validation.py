"""What must hold for every corpus, whichever reader made it, before an hour of compute is spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from sercue.corpora.corpus import PARTITIONS, Corpus, utterance_ids
from sercue.errors import InputError, unknown


def check_rows(corpus: Corpus) -> None:
    """Every file is there, no utterance is listed twice, every utterance has a label.

    Raises:
        InputError: naming the first five utterances in question and their number
    """
    files = corpus.table.index.get_level_values("file").unique()
    missing = [file for file in files if not corpus.path(file).is_file()]
    if missing:
        raise InputError(
            f"corpus {corpus.name!r}: {len(missing)} of {len(files)} files are not there: "
            f"{_listed(missing)} (below {corpus.root})"
        )
    twice = corpus.table.index[corpus.table.index.duplicated()].unique()
    if len(twice):
        raise InputError(
            f"corpus {corpus.name!r}: {len(twice)} utterances are listed more than once: "
            f"{_listed(utterance_ids(twice))}"
        )
    for column in ("emotion", "speaker"):
        empty = corpus.table.index[corpus.table[column].isna()]
        if len(empty):
            raise InputError(
                f"corpus {corpus.name!r}: {len(empty)} utterances have no {column}: "
                f"{_listed(utterance_ids(empty))}"
            )


def select_labels(
    corpus: Corpus, labels: Iterable[str] | None, drop_labels: Sequence[str]
) -> Corpus:
    """Leave out the dropped labels and put the others in the order that the study gives.

    Args:
        corpus: the corpus as its reader made it
        labels: the labels of the study in their order; ``None`` keeps the corpus's own
        drop_labels: labels whose utterances are left out

    Raises:
        InputError: if a label of the corpus is not listed, or a listed one is not in the corpus
    """
    counts = corpus.table["emotion"].value_counts()
    for label in drop_labels:
        if label not in counts:
            raise unknown("label in drop_labels", label, corpus.labels)
    kept = corpus.table[~corpus.table["emotion"].isin(list(drop_labels))]
    present = set(kept["emotion"])
    if labels is None:
        ordered = tuple(label for label in corpus.labels if label in present)
    else:
        ordered = tuple(labels)
        _check_labels(ordered, present, counts, corpus)
    neutral = corpus.neutral_label if corpus.neutral_label in ordered else None
    return replace(corpus, table=kept, labels=ordered, neutral_label=neutral)


def check_partitions(corpus: Corpus) -> None:
    """At least two speakers, each in one partition only, and someone to train and to test.

    Raises:
        InputError: naming what is missing, or the speaker who is in two partitions
    """
    table = corpus.table
    speakers = table["speaker"].unique().tolist()
    if len(speakers) < 2:
        raise InputError(
            f"corpus {corpus.name!r}: found {len(speakers)} speaker ({_listed(speakers)}), "
            "valid are at least two: the speaker is the unit of every test"
        )
    bad = set(table["partition"]) - set(PARTITIONS)
    if bad:
        raise unknown("partition", sorted(map(str, bad))[0], PARTITIONS)
    counts = table["partition"].value_counts().reindex(PARTITIONS, fill_value=0)
    for partition in ("train", "test"):
        if not counts[partition]:
            found = ", ".join(f"{counts[name]} {name}" for name in PARTITIONS)
            raise InputError(
                f"corpus {corpus.name!r}: the {partition} partition would be empty; found {found}"
            )
    _check_disjoint(corpus)


def _check_disjoint(corpus: Corpus) -> None:
    homes = corpus.table.groupby("speaker")["partition"].unique()
    shared = homes[homes.map(len) > 1]
    if len(shared):
        raise InputError(
            f"corpus {corpus.name!r}: speaker {shared.index[0]!r} is in the partitions "
            f"{' and '.join(sorted(shared.iloc[0], key=PARTITIONS.index))}; "
            f"partitions must not share a speaker ({len(shared)} of {len(homes)} speakers do)"
        )


def _check_labels(
    ordered: tuple[str, ...], present: set[str], counts: pd.Series, corpus: Corpus
) -> None:
    repeated = sorted({label for label in ordered if ordered.count(label) > 1})
    if repeated:
        raise InputError(f"labels: {_listed(repeated)} listed more than once")
    unlisted = [label for label in corpus.labels if label in present and label not in ordered]
    if unlisted:
        found = ", ".join(f"{label!r} ({counts[label]} utterances)" for label in unlisted)
        raise InputError(
            f"labels: corpus {corpus.name!r} also has {found}; add to labels or to drop_labels"
        )
    for label in ordered:
        if label not in present:
            dropped = " (it is in drop_labels)" if label in counts else ""
            raise InputError(f"labels: {unknown('label', label, sorted(present))}{dropped}")


def _listed(names: Iterable[object], most: int = 5) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")
