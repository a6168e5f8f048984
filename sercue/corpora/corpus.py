"""The corpus table: what every reader returns and every later stage reads, and what must hold."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import audformat
import numpy as np
import pandas as pd

from sercue.answers import classes_of, folded, one_class, plain_words, same_word, spelled_alike
from sercue.errors import InputError, unknown

PARTITIONS = ("train", "dev", "test")
#: Before a label, the column with the share of the raters who chose it.
RATED = "rated_"
REQUIRED = ("emotion", "speaker", "partition")
#: Of an utterance that was listed and is not used: why, in words that can be counted, and the rest.
LEFT_OUT = ("emotion", "speaker", "partition", "reason", "detail")
#: What pandas and R write where a value is missing, and pandas reads as missing by default.
MISSING = frozenset(
    {"nan", "NaN", "NAN", "-nan", "-NaN", "NaT", "NA", "<NA>", "N/A", "n/a", "#N/A", "#NA", "None",
     "NULL", "null"}
)  # fmt: skip


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
            where known, ``sex``, ``session``, ``school``, ``sentence``, ``fold``, and
            ``rated_<label>`` of each label. Where every utterance is in ``test`` and has a fold,
            the corpus is cross-validated: each fold is tested on with all other folds as its
            training partition. ``sentence`` tells which utterances have the same words, by a code
            or a number; it may be missing. ``rated_<label>`` is the share of the raters who chose
            it, a row summing to 1 over the labels, or NaN throughout where no rater chose any.
        labels: the emotion classes, in the order in which tables show them
        neutral_label: the neutral class, or ``None`` if the corpus has none
        licence: under what terms the recordings may be used
        may_share_audio: whether a report may hold a recording
        synthetic: whether the speech is synthetic: a fixture, not evidence
        children: whether the speakers are children: edges of bins are then not fitted per sex
        channel: the one channel that is heard, counted from 0; ``None`` averages all
            that are not silent
        left_out: utterances that the corpus lists and that are not used, indexed as ``table``,
            with ``emotion``, ``speaker``, ``partition``, ``reason`` and ``detail``
        expected: what the complete corpus holds, as published: utterances of ``table`` by the
            columns that name the levels of each index
        listed: utterances that the complete corpus lists, those left out among them
        files: the path of each file name, where names are pseudonyms or are spelled differently on
            disk; otherwise empty
    """

    name: str
    root: Path
    table: pd.DataFrame
    labels: tuple[str, ...]
    neutral_label: str | None
    licence: str
    may_share_audio: bool = False
    synthetic: bool = False
    children: bool = False
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
            f"{self.table['speaker'].nunique()} {'children' if self.children else 'speakers'}, "
            f"labels {', '.join(self.labels)})"
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
        """The folds of a cross-validated corpus, in their order; otherwise empty."""
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
        """The same corpus with other rows; labels without any row are dropped."""
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


def speaker_folds(speakers: pd.Series) -> pd.Series:
    """A fold for each speaker, so that one after the other is tested on and the others train.

    Args:
        speakers: the speaker of each utterance

    Returns:
        the fold of each utterance, indexed as ``speakers``: ``speaker 1``, ``speaker 2`` and so on
        in the order of their names

    Examples:
        >>> speaker_folds(pd.Series(["YAF", "OAF", "YAF"])).tolist()
        ['speaker 2', 'speaker 1', 'speaker 2']
    """
    # Numbers, since pseudonyms leave the names of folds as they are.
    names = {name: f"speaker {n}" for n, name in enumerate(sorted(set(speakers)), 1)}
    return speakers.map(names).rename("fold")


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


def check_rows(corpus: Corpus) -> None:
    """There are utterances, none is listed twice, each has a label and a speaker by name.

    Speakers and others who are the same words are spelled in one way.

    Raises:
        InputError: naming the first five utterances in question and their number
    """
    table = corpus.table
    if table.empty:
        raise InputError(f"corpus {corpus.name!r}: no utterance is left to use")
    problems = {"are listed more than once": table.index[table.index.duplicated()].unique()}
    problems |= {f"have no {c}": table.index[table[c].isna()] for c in ("emotion", "speaker")}
    for problem, those in problems.items():
        if len(those):
            raise InputError(
                f"corpus {corpus.name!r}: {len(those)} utterances {problem}: "
                f"{first_names(utterance_ids(those))}"
            )
    for column in table.columns.intersection(["speaker", "fold", "sex", "session"]):
        names = table[column]
        for group in spelled_alike(names.dropna().astype(str)):
            raise InputError(
                f"corpus {corpus.name!r}: {column} {_spellings(names, group)} are "
                f"the same words; valid is one spelling of each {column}"
            )
        # NA may be the initials of a speaker.
        for text in sorted(MISSING - {"NA"} & set(names)):
            rows = table.index[names == text]
            raise InputError(
                f"corpus {corpus.name!r}: {len(rows)} utterances have the {column} {text!r}, as "
                "programs write a missing value: "
                f"{first_names(utterance_ids(rows))}; valid are names"
            )


def _spellings(names: pd.Series, alike: Sequence[str]) -> str:
    """How names are spelled, where they look the same by their characters, and how often."""
    counts = names.value_counts()
    return " and ".join(f"{name[:100]!a} ({counts[name]} utterances)" for name in alike[:5])


def with_found_files(corpus: Corpus) -> Corpus:
    """The same corpus with the paths of files that the disk spells otherwise than the corpus.

    Computers differ in how they compose an ü and whether they tell capital letters apart. A file
    that is not there is taken to be the only one beside it whose name is the same when folded, if
    the corpus does not list that one itself.
    """
    names = corpus.table.index.get_level_values("file").unique()
    listed = {os.path.normpath(corpus.path(file)) for file in names}
    found: dict[str, Path] = {}

    @functools.cache
    def names_in(folder: Path) -> dict[str, list[str]]:
        alike: dict[str, list[str]] = {}
        # The file is then not there, as those who look for it will tell.
        with suppress(OSError):
            for name in os.listdir(folder):
                alike.setdefault(folded(name), []).append(name)
        return alike

    for file in names:
        if os.path.exists(corpus.path(file)):
            continue
        path = Path(os.path.normpath(corpus.root))
        for part in PurePosixPath(file).parts:
            alike = [part] if (path / part).exists() else names_in(path).get(folded(part), [])
            if len(alike) != 1:
                break
            path /= alike[0]
        else:
            if str(path) not in listed:
                found[file] = path
    return replace(corpus, files={**corpus.files, **found}) if found else corpus


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
    try:
        classes = {} if labels is None else classes_of(labels)
    except ValueError as error:
        raise InputError(f"labels: {error}") from None
    listed = tuple(dict.fromkeys(classes.values()))
    alone = {same_word(label, corpus.labels): name for label, name in classes.items()}
    names = {label: classes.get(label, alone.get(label, label)) for label in corpus.labels}
    changed = any(label != name for label, name in names.items())
    if changed:
        corpus = replace(
            corpus,
            table=corpus.table.assign(emotion=corpus.table["emotion"].map(names)),
            labels=tuple(dict.fromkeys(names.values())),
            neutral_label=names.get(corpus.neutral_label or ""),
        )
    emotions = corpus.table["emotion"]
    counts = emotions.value_counts()
    drop = [same_word(label, counts.index) for label in drop_labels]
    if None in drop:
        raise unknown("label in drop_labels", drop_labels[drop.index(None)], corpus.labels)
    for label in corpus.labels:
        if not plain_words(label):
            raise InputError(
                f"corpus {corpus.name!r}: the label {label!r} has no words, so that no answer can "
                "name it; valid are labels that can be read"
            )
    for group in spelled_alike(corpus.labels):
        if not set(group) <= set(drop):
            raise InputError(
                f"corpus {corpus.name!r}: labels {_spellings(emotions, group)} are the "
                "same words; write them in one way in the corpus, or make them one class in the "
                f"study, beside its other labels: labels: {one_class(group)}"
            )
    present = [label for label in corpus.labels if label in set(counts.index.difference(drop))]
    ordered = present if labels is None else listed
    for label in present:
        if labels is None and label in MISSING:
            raise InputError(
                f"labels: {counts[label]} utterances of corpus {corpus.name!r} have the label "
                f"{label!r}, as programs write a missing value. Valid are drop_labels: "
                f"[{label!r}], which leaves them out, or labels that list it as a class"
            )
    unlisted = [f"{x!r} ({counts[x]} utterances)" for x in present if x not in ordered]
    if unlisted:
        raise InputError(
            f"labels: corpus {corpus.name!r} also has {', '.join(unlisted)}; "
            "add to labels or to drop_labels"
        )
    for label in ordered:
        if label not in present:
            dropped = " (it is in drop_labels)" if label in counts else ""
            raise InputError(f"labels: {unknown('label', label, sorted(present))}{dropped}")
    if len(ordered) < 2:
        raise InputError(
            f"labels: corpus {corpus.name!r} has {first_names(ordered)} alone; valid are two or "
            "more"
        )
    gone = emotions[emotions.isin(drop)]
    if changed or drop:
        corpus = replace(corpus, table=_merged_ratings(corpus.table, names, ordered))
    kept = corpus.without(
        pd.DataFrame({"reason": "class not in the study", "detail": gone}, index=gone.index)
    )
    return replace(
        kept,
        labels=tuple(ordered),
        neutral_label=corpus.neutral_label if corpus.neutral_label in ordered else None,
        expected=() if len(gone) or changed else corpus.expected,
    )


def _merged_ratings(
    table: pd.DataFrame, names: Mapping[str, str], labels: Sequence[str]
) -> pd.DataFrame:
    """The table with its ratings, if there are any, as shares of the labels of the study."""
    rated = [label for label in names if f"{RATED}{label}" in table]
    columns = [f"{RATED}{label}" for label in rated]
    if not rated:
        return table
    votes = table[columns].T.groupby([names[label] for label in rated]).sum().T
    return with_ratings(table.drop(columns=columns), votes, labels)


def with_ratings(table: pd.DataFrame, votes: pd.DataFrame, labels: Sequence[str]) -> pd.DataFrame:
    """The table of a corpus with what its raters chose, as shares of the labels.

    Choices of other labels are left out, and the rest are shares of what remains. Without any
    choice at all the table stays as it is.

    Args:
        table: of the corpus
        votes: label to how often it was chosen, or how large its share was; indexed as ``table``
        labels: those of the corpus

    Returns:
        the table with a column ``rated_<label>`` of each label, NaN where no label was chosen

    Examples:
        >>> table = pd.DataFrame({"emotion": ["sad", "sad"]})
        >>> votes = pd.DataFrame({"sad": [2, 0], "happy": [1, 0], "other": [1, 3]})
        >>> with_ratings(table, votes, ["happy", "sad"]).round(2).values.tolist()
        [['sad', 0.33, 0.67], ['sad', nan, nan]]
    """
    counts = votes.reindex(columns=list(labels), fill_value=0).astype(float)
    shares = counts.div(counts.sum(axis=1).replace(0, np.nan), axis=0)
    if shares.isna().all(axis=None):
        return table
    return table.assign(**{f"{RATED}{label}": shares[label].to_numpy() for label in labels})


def select_fold(corpus: Corpus, fold: str | int | None) -> Corpus:
    """Put one fold, or all in turn, to the test.

    Args:
        corpus: the corpus as its reader made it
        fold: name of the fold to test; ``"all"`` cross-validates over all of them; ``None``
            leaves the partitions as they are. In a corpus without folds, each speaker is one, as
            ``speaker_folds`` names them.

    Raises:
        InputError: if there is no such fold

    Examples:
        >>> select_fold(example_corpus(speakers=3), "all").folds
        ['speaker 1', 'speaker 2', 'speaker 3']
    """
    if fold is None:
        return corpus
    if "fold" not in corpus.table:
        each = speaker_folds(corpus.table["speaker"])
        corpus = replace(corpus, table=corpus.table.assign(fold=each))
    folds = sorted(corpus.table["fold"].unique(), key=natural_order)
    named = same_word(str(fold), folds)
    if named is not None:
        return corpus.in_fold(named)
    if fold != "all":
        raise unknown("fold", str(fold), [*folds, "all"])
    return replace(corpus, table=corpus.table.assign(partition="test"))


def check_partitions(corpus: Corpus) -> None:
    """At least two speakers, each in one partition or fold, and someone to train and to test.

    Raises:
        InputError: naming what is missing, or the speaker who is in two partitions
    """
    table, folds = corpus.table, corpus.folds
    speakers = table["speaker"].unique().tolist()
    if len(speakers) < 2:
        raise InputError(
            f"corpus {corpus.name!r}: found {len(speakers)} speaker ({first_names(speakers)}), "
            "valid are at least two: the speaker is the unit of every test"
        )
    bad = set(table["partition"]) - set(PARTITIONS)
    if bad:
        raise unknown("partition", sorted(map(str, bad))[0], PARTITIONS)
    if len(folds) == 1:
        raise InputError(
            f"corpus {corpus.name!r}: found the fold {folds[0]!r} alone, valid are two or "
            "more: one is tested and the others train"
        )
    empty = [name for name in ("train", "test") if name not in corpus.partitions]
    if empty and not folds:
        counts = table["partition"].value_counts()
        found = ", ".join(f"{counts.get(name, 0)} {name}" for name in PARTITIONS)
        raise InputError(
            f"corpus {corpus.name!r}: the {empty[0]} partition would be empty; found {found}"
        )
    column = "fold" if folds else "partition"
    homes = table.groupby("speaker")[column].unique()
    shared = homes[homes.map(len) > 1]
    if len(shared):
        order = None if folds else PARTITIONS.index
        raise InputError(
            f"corpus {corpus.name!r}: speaker {shared.index[0]!r} is in the {column}s "
            f"{' and '.join(sorted(shared.iloc[0], key=order))}; "
            f"{column}s must not share a speaker ({len(shared)} of {len(homes)} speakers do); the "
            "corpora table, folders, audformat and datasets make other partitions with "
            "corpus_options: {draw_partition: true}"
        )


def example_corpus(speakers: int = 3, utterances: int = 4, labels: int = 2) -> Corpus:
    """A corpus without audio for examples and tests; the first speaker trains, the last tests."""
    names = ("angry", "neutral", "sad", "happy", "afraid", "bored", "disgusted")[:labels]
    partition = ["train"] + ["dev"] * (speakers - 2) + ["test"]
    rows = [
        (f"s{s}_{u}.wav", names[u % labels], f"s{s}", partition[s])
        for s in range(speakers)
        for u in range(utterances)
    ]
    table = pd.DataFrame(rows, columns=["file", *REQUIRED])
    table = table.set_index(audformat.segmented_index(table.pop("file")))
    return Corpus("example", Path(), table, names, "neutral", "none", True, True)
