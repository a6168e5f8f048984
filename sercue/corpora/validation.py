"""What must hold for every corpus, whichever reader made it, before an hour of compute is spent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pandas as pd

from sercue.corpora.corpus import PARTITIONS, Corpus, natural_order, utterance_ids
from sercue.errors import InputError, unknown

#: What a study says to test every fold in turn.
ALL_FOLDS = "all"
#: What pandas and R write where a value is missing, and pandas reads as missing by default.
MISSING = frozenset(
    {"nan", "NaN", "-nan", "-NaN", "NaT", "NA", "<NA>", "N/A", "n/a", "#N/A", "#NA", "None",
     "NULL", "null"}
)  # fmt: skip


def check_files_exist(corpus: Corpus) -> None:
    """Every file is there.

    Raises:
        InputError: naming the first five that are not, and their number
    """
    files = corpus.table.index.get_level_values("file").unique()
    missing = [file for file in files if not corpus.path(file).is_file()]
    if missing:
        raise InputError(
            f"corpus {corpus.name!r}: {len(missing)} of {len(files)} files are not there: "
            f"{_listed(missing)} (below {corpus.root})"
        )


def check_rows(corpus: Corpus) -> None:
    """There are utterances, none is listed twice, each has a label and a speaker by name.

    Raises:
        InputError: naming the first five utterances in question and their number
    """
    if corpus.table.empty:
        raise InputError(f"corpus {corpus.name!r}: no utterance is left to use")
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
    for column in ("speaker", "sex", "session", "fold"):
        # NA may be the initials of a speaker.
        for text in sorted(MISSING - {"NA"} & set(corpus.table.get(column, ()))):
            rows = corpus.table.index[corpus.table[column] == text]
            raise InputError(
                f"corpus {corpus.name!r}: {len(rows)} utterances have the {column} {text!r}, as "
                f"programs write a missing value: {_listed(utterance_ids(rows))}; valid are names"
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
        InputError: if a label of the corpus is not listed, if a listed one is not in the corpus,
            if one that no study lists looks like a missing value, or if fewer than two are left
    """
    counts = corpus.table["emotion"].value_counts()
    for label in drop_labels:
        if label not in counts:
            raise unknown("label in drop_labels", label, corpus.labels)
    dropped = corpus.table[corpus.table["emotion"].isin(list(drop_labels))]
    reasons = {"reason": "class not in the study", "detail": dropped["emotion"]}
    kept = corpus.without(pd.DataFrame(reasons, index=dropped.index))
    present = set(kept.table["emotion"])
    if labels is None:
        ordered = tuple(label for label in corpus.labels if label in present)
        for label in ordered:
            if label in MISSING:
                raise InputError(
                    f"labels: {counts[label]} utterances of corpus {corpus.name!r} have the label "
                    f"{label!r}, as programs write a missing value. Valid are drop_labels: "
                    f"[{label!r}], which leaves them out, or labels that list it as a class"
                )
    else:
        ordered = tuple(labels)
        _check_labels(ordered, present, counts, corpus)
    if len(ordered) < 2:
        raise InputError(
            f"labels: corpus {corpus.name!r} has {_listed(ordered)} alone; valid are two or more"
        )
    neutral = corpus.neutral_label if corpus.neutral_label in ordered else None
    expected = () if len(dropped) else corpus.expected
    return replace(kept, labels=ordered, neutral_label=neutral, expected=expected)


def select_fold(corpus: Corpus, fold: str | int | None) -> Corpus:
    """Put one fold, or all in turn, to the test.

    Args:
        corpus: the corpus as its reader made it
        fold: name of the fold to test; ``"all"`` cross-validates over all of them; ``None``
            leaves the partitions as they are

    Raises:
        InputError: if the corpus has no folds, or no such fold

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3)
        >>> corpus.table["fold"] = corpus.table["speaker"]
        >>> select_fold(corpus, "all").folds
        ['s0', 's1', 's2']
    """
    if fold is None:
        return corpus
    if "fold" not in corpus.table:
        raise InputError(f"fold: found {fold!r}, but corpus {corpus.name!r} has no folds")
    folds = sorted(corpus.table["fold"].unique(), key=natural_order)
    if str(fold) in folds:
        return corpus.in_fold(str(fold))
    if fold != ALL_FOLDS:
        raise unknown("fold", str(fold), [*folds, ALL_FOLDS])
    return replace(corpus, table=corpus.table.assign(partition="test"))


def check_partitions(corpus: Corpus) -> None:
    """At least two speakers, each in one partition or fold, and someone to train and to test.

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
    if corpus.folds:
        _check_folds(corpus)
        return
    counts = table["partition"].value_counts().reindex(PARTITIONS, fill_value=0)
    for partition in ("train", "test"):
        if not counts[partition]:
            found = ", ".join(f"{counts[name]} {name}" for name in PARTITIONS)
            raise InputError(
                f"corpus {corpus.name!r}: the {partition} partition would be empty; found {found}"
            )
    _check_disjoint(corpus, "partition")


def _check_folds(corpus: Corpus) -> None:
    if len(corpus.folds) < 2:
        raise InputError(
            f"corpus {corpus.name!r}: found the fold {corpus.folds[0]!r} alone, valid are two or "
            "more: one is tested and the others train"
        )
    _check_disjoint(corpus, "fold")


def _check_disjoint(corpus: Corpus, column: str) -> None:
    homes = corpus.table.groupby("speaker")[column].unique()
    shared = homes[homes.map(len) > 1]
    if len(shared):
        order = PARTITIONS.index if column == "partition" else None
        raise InputError(
            f"corpus {corpus.name!r}: speaker {shared.index[0]!r} is in the {column}s "
            f"{' and '.join(sorted(shared.iloc[0], key=order))}; "
            f"{column}s must not share a speaker ({len(shared)} of {len(homes)} speakers do); the "
            "corpora table, folders, audformat and datasets make other partitions with "
            "corpus_options: {draw_partition: true}"
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
