"""What must hold for every corpus, whichever reader made it, before an hour of compute is spent."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pandas as pd

from sercue.answers import folded, plain_words, same_word, spelled_alike
from sercue.corpora.corpus import PARTITIONS, Corpus, natural_order, utterance_ids
from sercue.errors import InputError, unknown
from sercue.plain_values import classes_of, one_class

#: What a study says to test every fold in turn.
ALL_FOLDS = "all"
#: What pandas and R write where a value is missing, and pandas reads as missing by default.
MISSING = frozenset(
    {"nan", "NaN", "NAN", "-nan", "-NaN", "NaT", "NA", "<NA>", "N/A", "n/a", "#N/A", "#NA", "None",
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


def with_found_files(corpus: Corpus) -> Corpus:
    """The same corpus with the paths of files that the disk spells otherwise than the corpus.

    Computers differ in how they compose an ü and whether they tell capital letters apart. A file
    that is not there is taken to be the only one beside it whose name is the same when folded, if
    the corpus does not list that one itself.
    """
    names = corpus.table.index.get_level_values("file").unique()
    missing = [file for file in names if not os.path.exists(corpus.path(file))]
    if not missing:
        return corpus
    listed = {os.path.normpath(corpus.path(file)) for file in names}
    in_folder = functools.cache(_names_in)
    found = {file: _spelled_otherwise(corpus.root, file, in_folder) for file in missing}
    new = {file: path for file, path in found.items() if path and str(path) not in listed}
    return replace(corpus, files={**corpus.files, **new})


def _names_in(folder: Path) -> dict[str, list[str]]:
    """The names in a folder, by what they are when folded."""
    names: dict[str, list[str]] = {}
    try:
        for name in os.listdir(folder):
            names.setdefault(folded(name), []).append(name)
    except OSError:
        pass  # The file is then not there, as those who look for it will tell.
    return names


def _spelled_otherwise(
    root: Path, file: str, in_folder: Callable[[Path], Mapping[str, list[str]]]
) -> Path | None:
    path = Path(os.path.normpath(root))
    for part in PurePosixPath(file).parts:
        alike = [part] if (path / part).exists() else in_folder(path).get(folded(part), [])
        if len(alike) != 1:
            return None
        path /= alike[0]
    return path


def check_rows(corpus: Corpus) -> None:
    """There are utterances, none is listed twice, each has a label and a speaker by name.

    Speakers and others who are the same words are spelled in one way.

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
    for column in ("speaker", "fold", "sex", "session"):
        if column not in corpus.table:
            continue
        names = corpus.table[column]
        for group in spelled_alike(names.dropna().astype(str)):
            raise InputError(
                f"corpus {corpus.name!r}: {column} {_spellings(corpus, column, group)} are "
                f"the same words; valid is one spelling of each {column}"
            )
        # NA may be the initials of a speaker.
        for text in sorted(MISSING - {"NA"} & set(names)):
            rows = corpus.table.index[names == text]
            raise InputError(
                f"corpus {corpus.name!r}: {len(rows)} utterances have the {column} {text!r}, as "
                f"programs write a missing value: {_listed(utterance_ids(rows))}; valid are names"
            )


def _spellings(corpus: Corpus, column: str, names: Sequence[str]) -> str:
    """How names are spelled, where they look the same by their characters, and how often."""
    counts = corpus.table[column].value_counts()
    told = [f"{name[:100]!a} ({counts[name]} utterances)" for name in names[:5]]
    return " and ".join(told)


def select_labels(
    corpus: Corpus, labels: Iterable[str] | None, drop_labels: Sequence[str]
) -> Corpus:
    """Leave out the dropped labels and put the others in the order that the study gives.

    Args:
        corpus: the corpus as its reader made it
        labels: the labels of the study in their order, as ``classes_of`` takes them; ``None``
            keeps the corpus's own. A label that the corpus spells otherwise, in one way, is called
            as the study calls it.
        drop_labels: labels whose utterances are left out

    Raises:
        InputError: if a label of the corpus is not listed, or a listed one is not in the corpus;
            if two labels of the corpus are the same words, and the study does not make them one;
            if one that the study does not list looks like a missing value, or if fewer than two
            are left
    """
    classes = {} if labels is None else _classes(labels, corpus)
    corpus, spelled = _called(corpus, classes), corpus
    counts = corpus.table["emotion"].value_counts()
    drop = [same_word(label, counts.index) for label in drop_labels]
    if None in drop:
        raise unknown("label in drop_labels", drop_labels[drop.index(None)], corpus.labels)
    _check_spellings(corpus, drop)
    dropped = corpus.table[corpus.table["emotion"].isin(drop)]
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
        ordered = tuple(dict.fromkeys(classes[label] for label in labels))
        _check_labels(ordered, present, counts, corpus)
    if len(ordered) < 2:
        raise InputError(
            f"labels: corpus {corpus.name!r} has {_listed(ordered)} alone; valid are two or more"
        )
    neutral = corpus.neutral_label if corpus.neutral_label in ordered else None
    changed = len(dropped) or corpus is not spelled
    expected = () if changed else corpus.expected
    return replace(kept, labels=ordered, neutral_label=neutral, expected=expected)


def _classes(labels: Iterable[str], corpus: Corpus) -> dict[str, str]:
    """The class of each label of the study, and of each of the corpus that is the same word."""
    try:
        classes = classes_of(labels)
    except ValueError as error:
        raise InputError(f"labels: {error}") from None
    others = [label for label in corpus.labels if label not in classes]
    alone = {same_word(label, corpus.labels): label for label in classes}
    return classes | {label: classes[alone[label]] for label in others if label in alone}


def _called(corpus: Corpus, classes: Mapping[str, str]) -> Corpus:
    """The same corpus with its labels called as the study calls them."""
    names = {label: classes.get(label, label) for label in corpus.labels}
    if all(label == name for label, name in names.items()):
        return corpus
    table = corpus.table.assign(emotion=corpus.table["emotion"].map(names))
    neutral = None if corpus.neutral_label is None else names[corpus.neutral_label]
    labels = tuple(dict.fromkeys(names.values()))
    return replace(corpus, table=table, labels=labels, neutral_label=neutral)


def _check_spellings(corpus: Corpus, dropped: Sequence[str | None]) -> None:
    for label in corpus.labels:
        if not plain_words(label):
            raise InputError(
                f"corpus {corpus.name!r}: the label {label!r} has no words, so that no answer can "
                "name it; valid are labels that can be read"
            )
    for group in spelled_alike(corpus.labels):
        if not set(group) <= set(dropped):
            raise InputError(
                f"corpus {corpus.name!r}: labels {_spellings(corpus, 'emotion', group)} are the "
                "same words; write them in one way in the corpus, or make them one class in the "
                f"study, beside its other labels: labels: {one_class(group)}"
            )


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
    named = same_word(str(fold), folds)
    if named is not None:
        return corpus.in_fold(named)
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
