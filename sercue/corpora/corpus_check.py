"""A corpus at a glance: its counts, and what is odd or wrong about it."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from sercue.answers import folded
from sercue.corpora.corpus import PARTITIONS, Corpus, first_names, utterance_ids
from sercue.corpora.inspection import notes_of
from sercue.corpora.recordings import DECODED_DIRECTLY, printable
from sercue.corpora.rows import FEWEST


def home_column(corpus: Corpus) -> str:
    """What keeps speakers apart: ``fold`` in a cross-validated corpus, else ``partition``.

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> home_column(example_corpus())
        'partition'
    """
    return "fold" if corpus.folds else "partition"


def homes(corpus: Corpus) -> list[str]:
    """The folds, or the partitions that have utterances, in their order."""
    return corpus.folds or corpus.partitions


def corpus_counts(corpus: Corpus, facts: pd.DataFrame | None = None) -> pd.DataFrame:
    """Speakers and utterances by partition, or by fold of a cross-validated corpus.

    Args:
        corpus: the utterances
        facts: as ``inspect_audio`` returns them, if durations are wanted

    Returns:
        one row per partition or fold and, if there are several, one for ``all``; columns
        ``speakers``, ``utterances``, one per emotion and, with facts, ``minutes``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus_counts(example_corpus(speakers=3, utterances=4)).loc["all"].to_dict()
        {'speakers': 3, 'utterances': 12, 'angry': 6, 'neutral': 6}
    """
    column, names = home_column(corpus), homes(corpus)
    groups = {name: corpus.table[corpus.table[column] == name] for name in names}
    if len(names) > 1:
        groups["all"] = corpus.table
    rows = {}
    for name, group in groups.items():
        emotions = group["emotion"].value_counts()
        row: dict[str, int | float] = {
            "speakers": group["speaker"].nunique(),
            "utterances": len(group),
            **{label: int(emotions.get(label, 0)) for label in corpus.labels},
        }
        if facts is not None:
            row["minutes"] = float(facts.loc[group.index, "seconds"].sum()) / 60
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(column)


def denominators(corpus: Corpus) -> pd.DataFrame:
    """The numbers of utterances that the corpus lists, that are left out (by reason) and used.

    Args:
        corpus: the utterances, and those left out

    Returns:
        rows ``listed``, one per reason, ``used``: listed is the sum of all others. Column
        ``utterances`` and, unless the corpus is cross-validated, one per partition; those left out
        without a partition are in ``no partition``

    Examples:
        >>> from sercue.corpora.corpus import example_corpus
        >>> corpus = example_corpus(speakers=3, utterances=4, labels=2)
        >>> lost = corpus.table.index[:3]
        >>> denominators(corpus.without(pd.DataFrame({"reason": "silence", "detail": ""}, lost)))
                           utterances  train  dev  test
        listed                     12      4    4     4
        left out: silence           3      3    0     0
        used                        9      1    4     4
    """
    left_out = corpus.left_out[["reason", "partition"]]
    parts = {"listed": pd.concat([corpus.table["partition"], left_out["partition"]])}
    for reason in left_out["reason"].value_counts().index:
        parts[f"left out: {reason}"] = left_out.loc[left_out["reason"] == reason, "partition"]
    parts["used"] = corpus.table["partition"]
    rows = {}
    for name, partition in parts.items():
        counts = {part: int((partition == part).sum()) for part in PARTITIONS}
        rest = len(partition) - sum(counts.values())
        rows[name] = {"utterances": len(partition), **counts, "no partition": rest}
    table = pd.DataFrame.from_dict(rows, orient="index")
    known = [] if corpus.folds else [name for name in PARTITIONS if table[name].any()]
    spare = ["no partition"] if known and table["no partition"].any() else []
    return table[["utterances", *known, *spare]]


#: Of a finding, from good to bad: as it should be; odd; not as it should be; a recording that
#: cannot be used, at which a study stops unless it leaves them out.
VERDICTS = ("ok", "note", "wrong", "unusable")
# Of a speaker with fewer, every single one weighs 20 % or more in what is resampled.
_FEW_UTTERANCES = 5


#: A finding about the corpus: check, found, expected, verdict, examples.
Row = tuple[str, str, str, str, str]


def check_corpus(
    corpus: Corpus, facts: pd.DataFrame, *, max_seconds: float = math.inf
) -> pd.DataFrame:
    """Compare a corpus with its published contents, and list everything unusual or wrong.

    Args:
        corpus: the utterances, before unusable ones are left out
        facts: as ``inspect_audio`` returns them
        max_seconds: the longest recording that the model takes

    Returns:
        one row per finding, all columns text: ``check``, ``found``, ``expected``, ``verdict`` (one
        of ``VERDICTS``) and ``examples``, the first five names. Empty text where there is nothing
        to say. Names of files that the corpus does not list are shown only if it has no
        pseudonyms.
    """
    facts = facts.loc[corpus.table.index]
    rows = [
        *_counted(corpus),
        *_classes(corpus),
        *_speakers(corpus),
        *_durations(facts, max_seconds),
        *_recordings(facts),
        *_duplicates(corpus, facts),
        *_names(corpus),
    ]
    columns = ["check", "found", "expected", "verdict", "examples"]
    return pd.DataFrame(rows, columns=columns).astype(object)


def _row(
    check: str, found: str, verdict: str = "ok", *, expected: str = "", names: Iterable[str] = ()
) -> Row:
    return check, found, expected, verdict, first_names(printable(str(name)) for name in names)


def _utterances(check: str, those: pd.Index, verdict: str, *, expected: str = "") -> Row:
    names = utterance_ids(those)
    return _row(check, _number(len(those)), verdict, expected=expected, names=names)


def _number(count: int, noun: str = "utterance") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _counted(corpus: Corpus) -> Iterator[Row]:
    """Counts beside the published ones; only where nothing is known to be missing."""
    listed = len(corpus.table) + len(corpus.left_out)
    complete = corpus.listed in (None, listed)
    told = "" if complete else ": not the published corpus, so that its counts are not compared"
    expected = "" if corpus.listed is None else f"{corpus.listed:,}"
    verdict = "ok" if complete else "wrong"
    yield _row("utterances listed", f"{listed:,}{told}", verdict, expected=expected)
    for reason, group in corpus.left_out.groupby("reason", sort=False):
        yield _utterances(f"left out: {reason}", group.index, "note")
    for published in corpus.expected if complete else ():
        columns = [str(name) for name in published.index.names]
        found = corpus.table.groupby(columns).size()
        check = f"utterances by {' and '.join(columns)}"
        both = pd.DataFrame({"found": found, "expected": published}).fillna(0).astype(int)
        other = both[both["found"] != both["expected"]]
        if other.empty:
            total = f"{both['found'].sum():,} in {_number(len(both), 'group')}"
            yield _row(check, total, expected=total)
        for key, counts in other.iterrows():
            named = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
            number, expected = (f"{counts[column]:,}" for column in ("found", "expected"))
            yield _row(f"{check}: {named}", number, "wrong", expected=expected)


def _classes(corpus: Corpus) -> Iterator[Row]:
    """What a part that is trained or tested on lacks cannot be learnt or measured."""
    column = home_column(corpus)
    counts = corpus.table.groupby([column, "emotion"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=list(corpus.labels), fill_value=0)
    lacking = 0
    for home in homes(corpus):
        absent = [label for label in corpus.labels if not counts.loc[home, label]]
        lacking += len(absent)
        if absent:
            verdict = "note" if column == "fold" or home == "dev" else "wrong"
            yield _row(f"classes of {column} {home}", f"none of {', '.join(absent)}", verdict)
    if column == "fold":
        alone = [label for label in corpus.labels if (counts[label] > 0).sum() == 1]
        if alone:
            found = f"{', '.join(alone)} in one fold alone"
            yield _row("classes to train on", found, "wrong", expected="in two folds or more")
    if not lacking:
        yield _row("classes", f"all {len(corpus.labels)} in every {column}")


def _speakers(corpus: Corpus) -> Iterator[Row]:
    column, groups = home_column(corpus), corpus.table.groupby("speaker")
    by_home = corpus.table.groupby(column)["speaker"].nunique()
    found = ", ".join(f"{home} {by_home[home]}" for home in homes(corpus))
    tested = len(groups) if column == "fold" else by_home.get("test", 0)
    verdict, expected = ("ok", "") if tested >= 2 else ("wrong", "2 or more to test")
    yield _row(f"speakers by {column}", found, verdict, expected=expected)
    if corpus.children:
        yield _row("age of speakers", "children: edges of bins are never fitted per sex", "note")
    made = [f"speaker {number}" for number in range(1, len(groups) + 1)]
    if len(groups) < FEWEST and corpus.folds == made:
        told = f"{len(groups)}: each is tested on in turn, with the others to train"
        yield _row("few speakers", told, "note", expected=f"{FEWEST} or more to draw partitions")
    several, few = groups[column].nunique() > 1, groups.size() < _FEW_UTTERANCES
    single = groups["emotion"].nunique() == 1
    for check, those, verdict in (
        (f"speakers in more than one {column}", several, "wrong"),
        (f"speakers with fewer than {_FEW_UTTERANCES} utterances", few, "note"),
        ("speakers with a single class", single, "note"),
    ):
        names = those.index[those]
        if len(names):
            yield _row(check, _number(len(names), "speaker"), verdict, names=names)


def _durations(facts: pd.DataFrame, max_seconds: float) -> Iterator[Row]:
    seconds = facts.loc[facts["problem"] == "", "seconds"]
    if seconds.empty:
        return
    found = f"{seconds.min():.2f} to {seconds.max():.2f} s, median {seconds.median():.2f} s"
    yield _row("durations", f"{found}, {seconds.sum() / 60:.1f} min in all")
    if max_seconds == math.inf:
        return
    long = seconds[seconds > max_seconds].sort_values(ascending=False)
    verdict, expected = "wrong" if len(long) else "ok", f"{max_seconds:g} s or less"
    yield _utterances("longer than the model takes", long.index, verdict, expected=expected)


def _recordings(facts: pd.DataFrame) -> Iterator[Row]:
    usable, bad = facts[facts["problem"] == ""], facts[facts["problem"] != ""]
    for check, column, unit in (
        ("sampling rates", "sampling_rate", " Hz"),
        ("channels", "channels", ""),
        ("formats", "format", ""),
    ):
        counts = usable[column].value_counts()
        found = ", ".join(f"{value}{unit} ({count:,})" for value, count in counts.items())
        if found:
            yield _row(check, found, "note" if len(counts) > 1 else "ok")
    if bad.empty:
        yield _row("recordings", f"all {len(facts):,} can be used")
    notes = notes_of(facts)["note"]
    for kinds, verdict in ((bad["problem"], "unusable"), (notes, "note")):
        for kind in kinds.value_counts().index:
            yield _utterances(str(kind), kinds.index[kinds == kind], verdict)


def _duplicates(corpus: Corpus, facts: pd.DataFrame) -> Iterator[Row]:
    """Utterances of the same bytes: in one part odd, across parts the test is in the training."""
    usable = facts["problem"] == ""
    column = home_column(corpus)
    table = corpus.table.assign(audio=facts["audio"])[usable]
    table = table[table["audio"].duplicated(keep=False)]
    groups = table.groupby("audio", sort=False)
    across = groups[column].transform("nunique") > 1
    labels = groups["emotion"].transform("nunique") > 1
    for check, chosen, verdict in (
        (f"same recording in more than one {column}", across, "wrong"),
        ("same recording with different labels", labels, "wrong"),
        (f"same recording twice in one {column}", ~across, "note"),
    ):
        found = table[chosen].sort_values("audio", kind="stable")
        if len(found):
            told = f"{_number(len(found))} of {_number(found['audio'].nunique(), 'recording')}"
            yield _row(check, told, verdict, names=utterance_ids(found.index))
    if table.empty:
        yield _row("same recording twice", "none")


def _names(corpus: Corpus) -> Iterator[Row]:
    files = pd.Series(corpus.table.index.get_level_values("file").unique(), dtype=object)
    alike = files[files.map(folded).duplicated(keep=False)]
    if len(alike):
        names = sorted(alike, key=lambda name: (folded(name), name))
        found = f"{_number(len(alike), 'name')} that some computers cannot tell apart"
        yield _row("names that differ in case only", found, "note", names=names)
    spelled = [
        file for file, path in corpus.files.items() if folded(Path(file).name) == folded(path.name)
    ]
    if spelled:
        found = f"{_number(len(spelled), 'file')} found by the same letters"
        yield _row("names that the disk spells otherwise", found, "note", names=spelled)
    left_out = corpus.left_out.index.get_level_values("file")
    listed = {os.path.normpath(corpus.path(file)) for file in [*files, *left_out]}
    suffixes = {*DECODED_DIRECTLY, *(Path(file).suffix.lower() for file in listed)}
    # In the folders of files that are listed, and no deeper.
    extra = []
    for folder in sorted({os.path.dirname(file) for file in listed}):
        # One that is not there has been reported with its files.
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            file = os.path.join(folder, name)
            if name[0] != "." and Path(name).suffix.lower() in suffixes and file not in listed:
                extra.append(os.path.relpath(file, corpus.root))
    shown = () if len(corpus.files) > len(spelled) else extra
    found = _number(len(extra), "file")
    yield _row("audio files that are not listed", found, "note" if extra else "ok", names=shown)
