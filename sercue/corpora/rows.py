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
from pandas.api.typing import NaTType

from sercue.answers import plain_words, same_word
from sercue.corpora.corpus import LEFT_OUT, PARTITIONS, RATED, Corpus, first_names, speaker_folds
from sercue.errors import InputError, StorageError, refuse_unknown, shortened, unknown
from sercue.options import Options

#: Of fewer speakers all are evaluated. Drawn, three at most would test, and with three no p-value
#: of exchanged conditions can be below 2 / 2^3 = 0.25; of nine who are all tested, 2 / 2^9 = 0.004.
FEWEST = 10
SHARES: Mapping[str, float] = {"train": 0.5, "dev": 0.15, "test": 0.35}


def divided(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Rows with a partition for each speaker; of fewer than ten speakers, with folds instead.

    Tests and intervals are made over the evaluated speakers. Of two to nine speakers, all are
    evaluated: each is a fold, tested on with the others to train, unless the rows have folds of
    their own.

    Args:
        rows: ``speaker``, and where known ``emotion``, ``sex`` and ``fold``, one row per utterance
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
    drawn = speaker_partition(rows["speaker"], rows.get("emotion"), rows.get("sex"), seed=seed)
    if rows["speaker"].nunique() >= FEWEST:
        return rows.assign(partition=drawn)
    return rows.assign(partition="test", fold=rows.get("fold", speaker_folds(rows["speaker"])))


# So many partitions are drawn; of very many speakers fewer, whose classes even out by themselves.
_DRAWS, _MOST_DRAWN = 2_000, 2_000_000
# Speakers of each class without whom nothing can be fitted, tried out, or given an interval.
_NEEDED_OF_CLASS: Mapping[str, int] = {"train": 1, "dev": 1, "test": 2}


def speaker_partition(
    speakers: pd.Series,
    emotions: pd.Series | None = None,
    sex: pd.Series | None = None,
    seed: int = 0,
) -> pd.Series:
    r"""Assign whole speakers to partitions, at random, balanced by class, size and sex.

    Of 2000 random partitions with the same number of speakers in each part, the best is kept:
    first the one that lacks the fewest classes (one speaker of each class to train and in dev, two
    to test, since one speaker allows no interval); among those, one with each sex in
    proportion; among those, the one with the smallest

    .. math:: \sum_{c} \sum_{p} \frac{(n_{pc} - s_p n_c)^2}{s_p n_c^2}

    over the utterances of each class :math:`c`, plus the same over its speakers; :math:`s_p` is the
    part of the speakers in partition :math:`p`. Where all speakers have as many utterances of each
    class, all are equally good, and the first is kept. Every partition gets at least one
    speaker if there are enough; of two speakers one trains and one tests. The result does not
    depend on the order of the utterances.

    Args:
        speakers: the speaker of each utterance
        emotions: the class of each utterance, in the same order, as the corpus has it (a study may
            drop or join classes afterwards); if not given, only numbers of utterances are balanced
        sex: the sex of the speaker of each utterance, in the same order
        seed: of the random order of the speakers

    Returns:
        the partition of each utterance, indexed as ``speakers``

    Raises:
        InputError: if there are fewer than two speakers, or if a speaker has two sexes

    Examples:
        >>> speaker_partition(pd.Series(["a", "a", "b", "b", "c"]), seed=1).tolist()
        ['train', 'train', 'dev', 'dev', 'test']
    """
    pairs = pd.DataFrame({"speaker": speakers.to_numpy()})
    pairs["sex"] = "" if sex is None else sex.to_numpy()
    pairs = pairs.drop_duplicates().sort_values("speaker")
    twice = pairs["speaker"][pairs["speaker"].duplicated()]
    if len(twice):
        raise InputError(f"sex: speaker {twice.iloc[0]!r} has more than one")
    if len(pairs) < 2:
        raise InputError(
            f"speakers: found {pairs['speaker'].tolist()}, "
            "valid are at least two, so that one can train and another test"
        )
    wanted = speaker_counts(len(pairs))
    rng = np.random.default_rng(seed)
    number = max(1, min(_DRAWS, _MOST_DRAWN // len(pairs)))
    first = np.argsort(rng.permutation(len(pairs)))
    keys = np.vstack([first, rng.random((number - 1, len(pairs)))])
    sexes = pd.factorize(pairs["sex"], sort=True)[0]
    # Without regard to sex only if no partition with each sex in proportion has all classes.
    homes = np.vstack([_dealt(keys, groups, wanted) for groups in (sexes, 0 * sexes)])
    classes = np.zeros(len(speakers)) if emotions is None else emotions.to_numpy()
    counts = pd.crosstab(speakers.to_numpy(), classes).loc[pairs["speaker"]].to_numpy(dtype=float)
    lacking, distance = _imbalance(homes, counts, wanted)
    by_sex = np.repeat([0, 1], number)
    best = np.lexsort([distance, by_sex, lacking])[0]
    words = np.array(PARTITIONS, dtype=object)[homes[best]]
    return speakers.map(dict(zip(pairs["speaker"], words, strict=True))).rename("partition")


def _dealt(keys: np.ndarray, groups: np.ndarray, wanted: Mapping[str, int]) -> np.ndarray:
    """Partitions of speakers who are dealt in the order of each row of keys, shape as ``keys``.

    Places of the groups alternate in proportion, so that each stretch of places has them so.
    """
    order = pd.DataFrame({"group": np.sort(groups)})
    sizes = order.groupby("group")["group"]
    order["place"] = (sizes.cumcount() + 0.5) / sizes.transform("size")
    order = order.sort_values(["place", "group"], ignore_index=True)
    parts = np.repeat(np.arange(len(PARTITIONS)), [wanted[name] for name in PARTITIONS])
    homes = np.empty(keys.shape, dtype=np.int8)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        rank = keys[:, members].argsort(axis=1).argsort(axis=1)
        homes[:, members] = parts[order["group"] == group][rank]
    return homes


def _imbalance(
    homes: np.ndarray, counts: np.ndarray, wanted: Mapping[str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Of each drawn partition, how many speakers of classes it lacks, and its distance."""
    lacking, distance = (np.zeros(len(homes)) for _ in range(2))
    both = np.hstack([counts, counts > 0])
    total = both.sum(axis=0)
    for number, (name, speakers) in enumerate(wanted.items()):
        if speakers:
            share = speakers / len(counts)
            found = (homes == number).astype(float) @ both
            of_class = found[:, counts.shape[1] :]
            lacking += np.maximum(_NEEDED_OF_CLASS[name] - of_class, 0).sum(axis=1)
            distance += ((found - share * total) ** 2 / (share * total**2)).sum(axis=1)
    # Equal ones stay equal, whatever their sums were rounded to.
    return lacking, distance.round(9)


def speaker_counts(speakers: int) -> dict[str, int]:
    """How many speakers each partition gets: largest remainders, ties to the test partition.

    Examples:
        >>> speaker_counts(10)
        {'train': 5, 'dev': 1, 'test': 4}
        >>> speaker_counts(2)
        {'train': 1, 'dev': 0, 'test': 1}
    """
    counts = {part: int(speakers > 2 or part != "dev") for part in PARTITIONS}
    for part in PARTITIONS:
        spare = speakers - sum(counts.values())
        counts[part] += max(0, min(int(speakers * SHARES[part]) - counts[part], spare))
    while sum(counts.values()) < speakers:
        behind = max(reversed(PARTITIONS), key=lambda part: speakers * SHARES[part] - counts[part])
        counts[behind] += 1
    return counts


def stratified_sample(table: pd.DataFrame, limit: int, seed: int = 0) -> pd.DataFrame:
    """At most ``limit`` utterances, in proportion to emotions, speakers and both together.

    Utterances are taken one by one: from the emotion that is furthest behind its share, of that
    emotion from the speaker whose utterances of it are furthest behind theirs, and where several
    are, from the speaker who is furthest behind; at random within that.

    Args:
        table: utterances with columns ``emotion`` and ``speaker``
        limit: number of utterances to keep
        seed: of the random choice

    Returns:
        the chosen rows, in their order in ``table``
    """
    if limit >= len(table):
        return table
    # In random order that does not depend on the order in which the table has them.
    rows = table[["emotion", "speaker"]].reset_index()
    columns = list(map(str, rows))
    rows = rows.assign(position=np.arange(len(rows))).sort_values(columns)
    shuffled = rows.iloc[np.random.default_rng(seed).permutation(len(rows))]
    stacks: dict[tuple[str, str], list[int]] = {}
    for emotion, speaker, position in shuffled[["emotion", "speaker", "position"]].to_numpy():
        stacks.setdefault((emotion, speaker), []).append(position)
    emotion_share = (table["emotion"].value_counts() / len(table)).to_dict()
    speaker_share = (table["speaker"].value_counts() / len(table)).to_dict()
    # Of the speaker alone, turns of emotions and speakers could keep step and confound the two.
    cell_share = {cell: len(stack) / len(table) for cell, stack in stacks.items()}
    cells: Counter[tuple[str, str]] = Counter()
    emotions: Counter[str] = Counter()
    speakers: Counter[str] = Counter()
    chosen: list[int] = []
    for step in range(1, limit + 1):
        emotion, speaker = max(
            (cell for cell, stack in stacks.items() if stack),
            key=lambda cell: (
                emotion_share[cell[0]] * step - emotions[cell[0]],
                round(cell_share[cell] * step - cells[cell], 9),
                speaker_share[cell[1]] * step - speakers[cell[1]],
            ),
        )
        chosen.append(stacks[emotion, speaker].pop())
        cells[emotion, speaker] += 1
        emotions[emotion] += 1
        speakers[speaker] += 1
    return table.iloc[sorted(chosen)]


NOT_STATED = "not stated; see where the corpus comes from"
#: How corpora call their parts, in small letters.
PARTITION_NAMES = {
    "train": "train", "training": "train",
    "dev": "dev", "devel": "dev", "development": "dev",
    "val": "dev", "valid": "dev", "validation": "dev",
    "test": "test", "testing": "test",
}  # fmt: skip
_LONGEST_MESSAGE = 200  # characters of each exception
# pandas itself reads "0,5" as 5 ns, and "12 3" as 123.
_SECONDS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_DURATION = re.compile(
    r"(-?\d+ days? ?[+-]?)?\d+:\d\d:\d\d(\.\d+)?|\d+ days?|"
    r"[+-]?\d+(\.\d+)? ?(ns|us|ms|s|sec|min|h)",
    re.ASCII,
)
_LONGEST = 1e9  # seconds, some thirty years: nothing is recorded in one piece for so long
COLUMNS = ("emotion", "speaker", "partition", "sex", "session", "sentence", "fold")
#: Why an utterance cannot be used where one of these columns has nothing of it.
_NEEDED = {
    "emotion": "no label", "speaker": "no speaker", "partition": "no partition", "fold": "no fold",
}  # fmt: skip


class RowsOptions(Options):
    """What the readers of any corpus take alike.

    Attributes:
        draw_partition: make a speaker-disjoint partition even if the corpus has one; of fewer
            than ten speakers, each is a fold
        neutral_label: the neutral class; by default the label ``neutral``, however capitalised
        licence: under what terms the recordings may be used, by default as the corpus says
        may_share_audio: whether a report may hold a recording
        children: whether the speakers are children; edges of bins are then never fitted per sex
    """

    draw_partition: bool = False
    neutral_label: str | None = None
    licence: str | None = None
    may_share_audio: bool = False
    children: bool = False


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
            ``sex``, ``session``, ``sentence``, ``fold``, all text or missing, and
            ``rated_<label>``. A row that lacks emotion, speaker, or the partition or fold that
            others have, or that has a ``reason`` (and ``detail``) not to be used, goes to
            ``left_out``. The sex is kept if it is known of every row. Sentences become numbers, so
            that no transcript is stored.
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
    reason = rows["reason"] if "reason" in rows else pd.Series(None, rows.index, dtype=object)
    for column, lack in _NEEDED.items():
        if column in rows:
            nothing = rows[column].isna() | (rows[column].astype(str).str.strip() == "")
            reason = reason.mask(reason.isna() & nothing, lack)
    used, left_out = rows[reason.isna()].copy(), rows[reason.notna()]
    if used.empty:
        counts = ", ".join(f"{reason} ({n})" for reason, n in reason.value_counts().items())
        raise InputError(f"corpus {name!r}: no utterance can be used; found {counts or 'none'}")
    if "sex" in used and used["sex"].isna().any():
        used = used.drop(columns="sex")
    if "sentence" in used:
        used["sentence"] = numbered(used["sentence"])
    left_out = left_out.reindex(columns=list(LEFT_OUT)).astype(object)
    left_out = left_out.where(left_out.notna(), None).assign(reason=reason.dropna())
    left_out["detail"] = left_out["detail"].fillna("")
    if "partition" not in used:
        used = divided(used, seed)
    labels = tuple(sorted(set(used["emotion"])))
    # Of several, which are one class or refused, any.
    neutral = next((label for label in labels if plain_words(label) == "neutral"), None)
    if options.neutral_label is not None:
        neutral = same_word(options.neutral_label, labels)
        if neutral is None:
            raise unknown("neutral_label", options.neutral_label, labels)
    known = [column for column in COLUMNS if column in used]
    table = used[[*known, *used.filter(regex=f"^{RATED}")]]
    return Corpus(
        name,
        root,
        table,
        labels,
        neutral,
        options.licence or licence or NOT_STATED,
        options.may_share_audio,
        children=options.children,
        left_out=left_out,
    )


def numbered(sentences: pd.Series) -> pd.Series:
    """A number for each sentence, the same for the same words; nothing where it is not known.

    Examples:
        >>> numbered(pd.Series(["Yes  sir", "no", None, "yes sir"])).tolist()
        ['2', '1', None, '2']
    """
    words = sentences.fillna("").astype(str).map(plain_words)
    numbers = {text: str(n) for n, text in enumerate(sorted(set(words) - {""}), 1)}
    return words.map(numbers).astype(object).where(words != "", None)


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


def meant_partitions(names: pd.Series, where: str) -> pd.Series:
    """The partition that each name means, and nothing where there is none.

    Args:
        names: what a corpus calls its parts
        where: what found them, for the message

    Raises:
        InputError: unless all are known, with one to train and one to test among them
    """
    found = names.dropna().unique()
    meant = named_partitions(found)
    if meant is None:
        raise InputError(
            f"{where} found {', '.join(sorted(found))}; valid are {', '.join(PARTITION_NAMES)}, "
            "with some to train and some to test"
        )
    return names.map(meant)


def assigned_partitions(named: Mapping[str, str | Sequence[str]], option: str) -> dict[str, str]:
    """The partition of each part of a corpus, where an option maps partitions to parts.

    Raises:
        InputError: if something else than train, dev and test is mapped

    Examples:
        >>> assigned_partitions({"train": ["a", "b"], "test": "c"}, "splits")
        {'a': 'train', 'b': 'train', 'c': 'test'}
    """
    refuse_unknown(f"partition in {option}", named, PARTITIONS)
    return {name: part for part, names in named.items() for name in listed_names(names)}


def listed_names(names: str | Iterable[str]) -> list[str]:
    """Names as a list, also if an option gives one alone."""
    return [names] if isinstance(names, str) else list(names)


def captures(
    texts: Sequence[str], pattern: str | None, option: str, groups: Sequence[str]
) -> pd.DataFrame:
    r"""What a pattern says of each utterance: its speaker at least.

    Args:
        texts: paths or other text that holds the speaker
        pattern: a regular expression that is found somewhere in each text, with one group, the
            speaker, or with groups that have names
        option: the name of the option that gave it, for messages
        groups: the names that groups may have; ``speaker`` must be there

    Returns:
        one column per group and one row per text

    Raises:
        InputError: if the pattern is not valid, or naming the first five texts without a match

    Examples:
        >>> captures(["03a01Wa.wav", "08a01Na.wav"], r"^(\d\d)", "speaker", ["speaker"])
          speaker
        0      03
        1      08
    """
    valid = (
        "a regular expression with one group, the speaker, such as '^[^/]+/([^_/]+)_' for "
        f"happy/anna_01.wav, or with groups named {', '.join(groups)}"
    )
    try:
        compiled = re.compile(pattern or "")
    except re.error as error:
        raise InputError(f"{option}: found {pattern!r} ({error}), valid is {valid}") from None
    refuse_unknown(f"group in {option}", compiled.groupindex, groups)
    names: dict[str, str | int] = {name: name for name in compiled.groupindex}
    if not names and compiled.groups == 1:
        names = {"speaker": 1}
    if "speaker" not in names:
        raise InputError(f"{option}: found {pattern!r}, valid is {valid}")
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


def captured_speakers(texts: pd.Series, pattern: str | None) -> pd.Series:
    """The speakers that the option ``speaker_pattern`` finds in what is known of utterances.

    Raises:
        InputError: as ``captures``
    """
    if pattern is None:
        return texts
    known = texts[texts.notna()]
    found = captures(known.tolist(), pattern, "speaker_pattern", ["speaker"])["speaker"]
    speakers = texts.copy()
    speakers[texts.notna()] = found.to_numpy()
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


def segment_bounds(rows: pd.DataFrame, path: Path) -> tuple[pd.Series, pd.Series]:
    """Where segments start and end: 0 and NaT, the end of the file, where the rows do not say.

    Args:
        rows: ``start`` and ``end``, or one of them, or neither: seconds, durations or text
        path: where the rows are from, for messages

    Raises:
        InputError: naming the rows whose cells are no times, or not in order
    """
    starts = _durations(rows, "start", path).fillna(pd.Timedelta(0))
    ends = _durations(rows, "end", path)
    wrong = (starts < pd.Timedelta(0)) | (ends <= starts)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"corpus_root: {path}, {row_numbers(wrong)}: a segment must start at 0 or later and "
            f"end after it starts; found start {starts.iloc[first].total_seconds():g} s, "
            f"end {ends.iloc[first].total_seconds():g} s"
        )
    return starts, ends


def _durations(rows: pd.DataFrame, column: str, path: Path) -> pd.Series:
    if column not in rows:
        return pd.Series(pd.NaT, index=rows.index, dtype="timedelta64[ns]")
    cells = rows[column]
    if pd.api.types.is_timedelta64_dtype(cells):
        return cells.astype("timedelta64[ns]")
    text = cells.astype("string").str.strip()
    text = text.mask(text == "").astype(object)
    known = text.fillna("")
    durations = pd.Series(map(_duration, known), index=rows.index, dtype="timedelta64[ns]")
    bad = text.notna() & durations.isna()
    if bad.any():
        first = text[bad].iloc[0]
        comma = "; the decimal separator is a point, not a comma" if "," in first else ""
        raise InputError(
            f"corpus_root: {path}, column {column!r}, {row_numbers(bad)}: found "
            f"{shortened(first)}, valid are seconds (1.5) or a duration (0 days 00:00:01.5){comma}"
        )
    return durations


def _duration(text: str) -> pd.Timedelta | NaTType:
    """A text as a duration; NaT where it holds none, or one that no recording has."""
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        in_range = abs(seconds) < _LONGEST
        return pd.Timedelta(round(seconds * 1e9), unit="ns") if in_range else pd.NaT
    if not _DURATION.fullmatch(text):
        return pd.NaT
    return pd.to_timedelta(text, errors="coerce")


def row_numbers(bad: Iterable[bool]) -> str:
    """Which rows are bad, counting from 1, for a message."""
    numbers = (np.flatnonzero(np.asarray(bad, dtype=bool)) + 1).tolist()
    listed = first_names(numbers)
    return f"row {listed}" if len(numbers) == 1 else f"rows {listed} ({len(numbers)} in all)"
