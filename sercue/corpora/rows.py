"""From rows of utterances to a corpus with partitions: what the readers of any layout share."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from sercue.answers import plain_words, same_word
from sercue.corpora.corpus import LEFT_OUT, PARTITIONS, Corpus, first_names
from sercue.errors import InputError, StorageError, unknown
from sercue.options import Options

#: Of fewer, less than two speakers would train or test.
FEWEST = 5
SHARES: Mapping[str, float] = {"train": 0.5, "dev": 0.15, "test": 0.35}


def divided(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rows with a partition for each speaker; of fewer than five speakers, with folds instead.

    Intervals are taken over the evaluated speakers, so that there must be two at least, and
    thresholds are compared between training speakers. Of two to four speakers, all are evaluated:
    each is a fold, tested on with the others to train, unless the rows have folds of their own.

    Args:
        rows: ``speaker``, and where known ``sex`` and ``fold``, one row per utterance
        seed: of the random order of the speakers

    Returns:
        the rows with ``partition``, and with ``fold`` where all of them are in ``test``

    Raises:
        InputError: if there are fewer than two speakers, or if a speaker has two sexes

    Examples:
        >>> divided(pd.DataFrame({"speaker": ["OAF", "OAF", "YAF"]}))
          speaker partition       fold
        0     OAF      test  speaker 1
        1     OAF      test  speaker 1
        2     YAF      test  speaker 2
    """
    drawn = speaker_partition(rows["speaker"], rows.get("sex"), seed=seed)
    if rows["speaker"].nunique() >= FEWEST:
        return rows.assign(partition=drawn)
    # Numbers, since pseudonyms leave the names of folds as they are.
    names = {name: f"speaker {n}" for n, name in enumerate(sorted(set(rows["speaker"])), 1)}
    return rows.assign(partition="test", fold=rows.get("fold", rows["speaker"].map(names)))


def speaker_partition(
    speakers: pd.Series,
    sex: pd.Series | None = None,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> pd.Series:
    """Assign whole speakers to partitions, at random, balanced by sex where it is known.

    Shares count speakers, not utterances, because the speaker is the unit of resampling. Every
    partition with a share gets at least one speaker if there are enough; of two speakers one
    trains and one tests. The result depends on the seed and on who the speakers are, not on the
    order or number of their utterances.

    Args:
        speakers: the speaker of each utterance
        sex: the sex of the speaker of each utterance, in the same order
        shares: the share of the speakers that each partition gets; normalised to sum to one
        seed: of the random order of the speakers

    Returns:
        the partition of each utterance, indexed as ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, if a speaker has two sexes, or if the
            shares are not valid

    Examples:
        >>> speaker_partition(pd.Series(["a", "a", "b", "c"]), seed=1).tolist()
        ['train', 'train', 'dev', 'test']
    """
    _check_shares(shares)
    sexes = _sex_of_each(speakers, sex)
    counts = speaker_counts(len(sexes), shares)
    words = [word for word in PARTITIONS for _ in range(counts[word])]
    order = _balanced_order(sexes, np.random.default_rng(seed))
    return speakers.map(dict(zip(order, words, strict=True))).rename("partition")


def speaker_counts(speakers: int, shares: Mapping[str, float] = SHARES) -> dict[str, int]:
    """How many speakers each partition gets: largest remainders, ties to the test partition.

    Examples:
        >>> speaker_counts(10)
        {'train': 5, 'dev': 1, 'test': 4}
        >>> speaker_counts(2)
        {'train': 1, 'dev': 0, 'test': 1}
    """
    total = sum(shares.values())
    quota = {part: speakers * shares.get(part, 0) / total for part in PARTITIONS}
    needed = ("train", "test") if speakers == 2 else PARTITIONS
    counts = {part: int(shares.get(part, 0) > 0 and part in needed) for part in PARTITIONS}
    for part in PARTITIONS:
        spare = speakers - sum(counts.values())
        counts[part] += max(0, min(int(quota[part]) - counts[part], spare))
    while sum(counts.values()) < speakers:
        behind = max(reversed(PARTITIONS), key=lambda part: quota[part] - counts[part])
        counts[behind] += 1
    return counts


def stratified_sample(table: pd.DataFrame, limit: int, seed: int = 0) -> pd.DataFrame:
    """At most ``limit`` utterances, in proportion to each emotion and to each speaker.

    Utterances are taken one by one: from the emotion that is furthest behind its share, and of
    that emotion from the speaker who is furthest behind; at random within that.

    Args:
        table: utterances with columns ``emotion`` and ``speaker``
        limit: number of utterances to keep
        seed: of the random choice

    Returns:
        the chosen rows, in their order in ``table``
    """
    if limit >= len(table):
        return table
    shuffled = _shuffled_positions(table, seed)
    stacks: dict[tuple[str, str], list[int]] = {}
    for emotion, speaker, position in shuffled[["emotion", "speaker", "position"]].to_numpy():
        stacks.setdefault((emotion, speaker), []).append(position)
    emotion_share = (table["emotion"].value_counts() / len(table)).to_dict()
    speaker_share = (table["speaker"].value_counts() / len(table)).to_dict()
    emotions: Counter[str] = Counter()
    speakers: Counter[str] = Counter()
    chosen: list[int] = []
    for step in range(1, limit + 1):
        emotion, speaker = max(
            (cell for cell, stack in stacks.items() if stack),
            key=lambda cell: (
                emotion_share[cell[0]] * step - emotions[cell[0]],
                speaker_share[cell[1]] * step - speakers[cell[1]],
            ),
        )
        chosen.append(stacks[emotion, speaker].pop())
        emotions[emotion] += 1
        speakers[speaker] += 1
    return table.iloc[sorted(chosen)]


def _shuffled_positions(table: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows in random order that does not depend on the order in which the table has them."""
    rows = table[["emotion", "speaker"]].reset_index()
    rows["position"] = np.arange(len(rows))
    rows = rows.sort_values([str(column) for column in rows if column != "position"])
    return rows.iloc[np.random.default_rng(seed).permutation(len(rows))]


def _sex_of_each(speakers: pd.Series, sex: pd.Series | None) -> pd.Series:
    pairs = pd.DataFrame({"speaker": speakers.to_numpy()})
    pairs["sex"] = "" if sex is None else sex.to_numpy()
    pairs = pairs.drop_duplicates()
    twice = pairs["speaker"][pairs["speaker"].duplicated()]
    if len(twice):
        raise InputError(f"sex: speaker {twice.iloc[0]!r} has more than one")
    if len(pairs) < 2:
        raise InputError(
            f"speakers: found {pairs['speaker'].tolist()}, "
            "valid are at least two, so that one can train and another test"
        )
    return pairs.set_index("speaker")["sex"].sort_index()


def _balanced_order(sexes: pd.Series, rng: np.random.Generator) -> list[str]:
    """A random order of the speakers in which each stretch has both sexes in proportion."""
    shuffled = sexes.iloc[rng.permutation(len(sexes))].rename("sex").reset_index()
    groups = shuffled.groupby("sex")["speaker"]
    shuffled["place"] = (groups.cumcount() + 0.5) / groups.transform("size")
    return shuffled.sort_values(["place", "sex"])["speaker"].tolist()


def _check_shares(shares: Mapping[str, float]) -> None:
    for part in shares:
        if part not in PARTITIONS:
            raise unknown("partition", part, PARTITIONS)
    if any(share < 0 for share in shares.values()) or sum(shares.values()) <= 0:
        raise InputError(f"shares: found {dict(shares)}, valid are numbers of 0 or more, not all 0")


NOT_STATED = "not stated; see where the corpus comes from"
#: How corpora call their parts, in small letters.
PARTITION_NAMES = {
    "train": "train", "training": "train",
    "dev": "dev", "devel": "dev", "development": "dev",
    "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
_LONGEST_MESSAGE = 200  # characters of each exception
COLUMNS = ("emotion", "speaker", "partition", "sex", "session", "fold")
#: Why an utterance cannot be used where one of these columns has nothing of it.
_NEEDED = {
    "emotion": "no label",
    "speaker": "no speaker",
    "partition": "no partition",
    "fold": "no fold",
}


class RowsOptions(Options):
    """What the readers of any corpus take alike.

    Attributes:
        draw_partition: make a speaker-disjoint partition even if the corpus has one; of fewer
            than five speakers, each is a fold
        neutral_label: the neutral class; by default the label ``neutral``, however capitalised
        licence: under what terms the recordings may be used, by default as the corpus says
        may_share_audio: whether a report may hold a recording
    """

    draw_partition: bool = False
    neutral_label: str | None = None
    licence: str | None = None
    may_share_audio: bool = False


def corpus_of_rows(
    name: str,
    root: Path,
    rows: pd.DataFrame,
    options: RowsOptions,
    *,
    seed: int,
    licence: str | None = None,
) -> Corpus:
    """The corpus that rows of utterances make.

    Args:
        name: registry name
        root: folder that the file names of the index are relative to
        rows: index (file, start, end); ``emotion`` and ``speaker``, and where known ``partition``,
            ``sex``, ``session``, ``fold``, all text or missing. A row that lacks emotion, speaker,
            or the partition or fold that others have, or that has a ``reason`` (and ``detail``)
            not to be used, goes to ``left_out``. The sex is kept if it is known of every row.
        options: what the study says of them
        seed: of the speaker-disjoint partition that is made if the rows have none
        licence: what the corpus says of itself

    Returns:
        corpus whose labels are in alphabetical order

    Raises:
        InputError: if no row can be used, if ``neutral_label`` is no label, or if there are fewer
            than two speakers to make a partition of

    Examples:
        >>> import audformat
        >>> rows = pd.DataFrame(
        ...     {"emotion": ["sad", "Neutral", None], "speaker": ["a", "b", "b"]},
        ...     index=audformat.segmented_index(["1.wav", "2.wav", "3.wav"]),
        ... )
        >>> corpus = corpus_of_rows("table", Path(), rows, RowsOptions(), seed=0)
        >>> corpus.labels, corpus.neutral_label, corpus.left_out["reason"].tolist()
        (('Neutral', 'sad'), 'Neutral', ['no label'])
    """
    if options.draw_partition:
        rows = rows.drop(columns="partition", errors="ignore")
    used, left_out = _apart(rows, name)
    if "partition" not in used:
        used = divided(used, seed)
    labels = tuple(sorted(set(used["emotion"])))
    table = used[[column for column in COLUMNS if column in used]]
    return Corpus(
        name,
        root,
        table,
        labels,
        neutral_of(labels, options.neutral_label),
        options.licence or licence or NOT_STATED,
        options.may_share_audio,
        left_out=left_out,
    )


def neutral_of(labels: Sequence[str], named: str | None) -> str | None:
    """The neutral class: the one that is named, else the only label that says so.

    Raises:
        InputError: if the named one is no label

    Examples:
        >>> neutral_of(["Happy", "Neutral"], None)
        'Neutral'
    """
    if named is not None:
        label = same_word(named, labels)
        if label is None:
            raise unknown("neutral_label", named, labels)
        return label
    # Of several, which are one class or refused, any.
    return next((label for label in labels if plain_words(label) == "neutral"), None)


def named_partitions(names: Iterable[str]) -> dict[str, str] | None:
    """Which partition each name of a part of a corpus means.

    Returns:
        train, dev or test for each name; ``None`` unless all are known, with one to train and one
        to test among them

    Examples:
        >>> named_partitions(["train", "Validation", "test"])
        {'train': 'train', 'Validation': 'dev', 'test': 'test'}
        >>> named_partitions(["train", "validation"])
    """
    meant = {name: PARTITION_NAMES.get(plain_words(name), "") for name in names}
    complete = {"train", "test"} <= set(meant.values()) and "" not in meant.values()
    return meant if complete else None


def assigned_partitions(named: Mapping[str, str | Sequence[str]], option: str) -> dict[str, str]:
    """The partition of each part of a corpus, where an option maps partitions to parts.

    Raises:
        InputError: if something else than train, dev and test is mapped

    Examples:
        >>> assigned_partitions({"train": ["a", "b"], "test": "c"}, "splits")
        {'a': 'train', 'b': 'train', 'c': 'test'}
    """
    for partition in named:
        if partition not in PARTITIONS:
            raise unknown(f"partition in {option}", partition, PARTITIONS)
    return {name: part for part, names in named.items() for name in listed_names(names)}


def listed_names(names: str | Iterable[str]) -> list[str]:
    """Names as a list, also if an option gives one alone."""
    return [names] if isinstance(names, str) else list(names)


def captures(
    texts: Sequence[str], pattern: object, option: str, groups: Sequence[str]
) -> pd.DataFrame:
    r"""What a pattern says of each utterance: its speaker at least.

    Args:
        texts: paths or other text that holds the speaker
        pattern: a regular expression that is found somewhere in each text, with one group, the
            speaker, or with groups that have names
        option: the name of the option that gave it, for messages
        groups: the names that groups may have; ``speaker`` must be there

    Returns:
        a column a group and a row a text

    Raises:
        InputError: if the pattern is not valid, or naming the first five texts without a match

    Examples:
        >>> captures(["03a01Wa.wav", "08a01Na.wav"], r"^(\d\d)", "speaker", ["speaker"])
          speaker
        0      03
        1      08
    """
    compiled = _compiled(pattern, option, groups)
    names: dict[str, str | int] = {name: name for name in compiled.groupindex} or {"speaker": 1}
    matches = [compiled.search(text) for text in texts]
    cells = {name: [match and match[group] for match in matches] for name, group in names.items()}
    found = pd.DataFrame(cells, index=range(len(matches)), dtype=object)
    missing = (found.fillna("") == "").any(axis=1)
    if missing.any():
        first = [text for text, none in zip(texts, missing, strict=True) if none]
        raise InputError(
            f"{option}: {pattern!r} does not match {len(first)} of {len(texts)}: "
            f"{first_names(first)}"
        )
    return found


@contextmanager
def reading(what: object, valid: str) -> Iterator[None]:
    r"""Within, whatever another library raises becomes one line that says what was being read.

    A corpus may be cut short, or of another make than it says, in more ways than a list of types
    of exceptions could name.

    Args:
        what: what is read within, for the message
        valid: what it should be

    Raises:
        InputError: for every exception within that is none of this package

    Examples:
        >>> with reading("a.csv", "a table"):
        ...     raise RuntimeError("cut\nshort")
        Traceback (most recent call last):
        ...
        sercue.errors.InputError: corpus_root: a.csv cannot be read (RuntimeError: cut short); ...
    """
    try:
        yield
    except (InputError, StorageError):
        raise
    except Exception as error:
        raise InputError(
            f"corpus_root: {what} cannot be read ({_told(error)}); expected is {valid}"
        ) from error


def _told(error: BaseException) -> str:
    """What an exception and its causes say, in one line."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"[:_LONGEST_MESSAGE]
    return f"{said}; {_told(error.__cause__)}" if error.__cause__ else said


def captured_speakers(texts: pd.Series, pattern: str) -> pd.Series:
    """The speakers that the option ``speaker_pattern`` finds in what is known of utterances.

    Raises:
        InputError: as ``captures``
    """
    known = texts.notna()
    found = captures(texts[known].tolist(), pattern, "speaker_pattern", ["speaker"])["speaker"]
    speakers = texts.copy()
    speakers[known] = found.to_numpy()
    return speakers


def relative_files(files: Iterable[str], folder: Path) -> tuple[Path, list[str]]:
    """The root and the names relative to it: the given folder, unless a name is absolute.

    Examples:
        >>> root, names = relative_files(["/a/b/1.wav", "/a/c/2.wav"], Path("/d"))
        >>> root.as_posix(), names
        ('/a', ['b/1.wav', 'c/2.wav'])
    """
    files = list(files)
    if not any(os.path.isabs(file) for file in files):
        # Or "./1.wav" and "1.wav" were two recordings.
        return folder, [posixpath.normpath(file) for file in files]
    absolute = [os.path.normpath(folder / file) for file in files]
    base = Path(os.path.commonpath([os.path.dirname(file) for file in absolute]))
    return base, [Path(file).relative_to(base).as_posix() for file in absolute]


def _compiled(pattern: object, option: str, groups: Sequence[str]) -> re.Pattern[str]:
    valid = (
        "a regular expression with one group, the speaker, such as '^[^/]+/([^_/]+)_' for "
        f"happy/anna_01.wav, or with groups named {', '.join(groups)}"
    )
    if not isinstance(pattern, str):
        raise InputError(f"{option}: found {pattern!r}, valid is {valid}")
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"{option}: found {pattern!r} ({error}), valid is {valid}") from None
    named = list(compiled.groupindex)
    for name in named:
        if name not in groups:
            raise unknown(f"group in {option}", name, groups)
    if (named and "speaker" not in named) or (not named and compiled.groups != 1):
        raise InputError(f"{option}: found {pattern!r}, valid is {valid}")
    return compiled


def _apart(rows: pd.DataFrame, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that can be used, and those that cannot with the reason why."""
    reason = rows["reason"] if "reason" in rows else pd.Series(None, rows.index, dtype=object)
    for column, lack in _NEEDED.items():
        if column in rows:
            nothing = rows[column].isna() | (rows[column].astype(str).str.strip() == "")
            reason = reason.mask(reason.isna() & nothing, lack)
    usable = reason.isna()
    if not usable.any():
        counts = ", ".join(f"{reason} ({n})" for reason, n in reason.value_counts().items())
        raise InputError(f"corpus {name!r}: no utterance can be used; found {counts or 'none'}")
    used = rows[usable].copy()
    if "sex" in used and used["sex"].isna().any():
        used = used.drop(columns="sex")
    left_out = rows[~usable].reindex(columns=list(LEFT_OUT)).astype(object)
    left_out = left_out.where(left_out.notna(), None).assign(reason=reason[~usable])
    left_out["detail"] = left_out["detail"].fillna("")
    return used, left_out
