"""What every recording of a corpus is like, and which ones cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import soundfile

from sercue.audio import file_digest, utterance_digest
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.parts import append_part, read_parts
from sercue.paths import cache_folder
from sercue.progress import progress_bar
from sercue.recordings import (
    DECODED_DIRECTLY,
    Finding,
    Recording,
    RecordingError,
    misnamed,
    unreadable,
)
from sercue.schema import CACHED_FACTS
from sercue.utterance_facts import note_columns, utterance_facts

# To be raised when the same recording would get other facts.
_VERSION = 2
# Some seconds of work: what an interruption can cost.
_BATCH = 200
_FACTS = {
    "audio": "object", "seconds": "float64", "sampling_rate": "Int64", "channels": "Int64",
    "format": "object", "peak": "float64", "level": "float64", "offset": "float64",
    "clipped": "float64", "problem": "object", "detail": "object", "note": "object",
    "note_detail": "object",
}  # fmt: skip
_TEXTS = ("audio", "format", "problem", "detail", "note", "note_detail")

Key = tuple[str, pd.Timedelta, pd.Timedelta]
Facts = dict[str, Any]


def inspect_audio(
    corpus: Corpus,
    *,
    cache: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Look at every recording: whether it can be used, and what is odd about it.

    It is read as ``read_audio`` reads it. What was seen is cached by the bytes
    of the file, the segment and the channel, so that a second look only hashes the files; one that
    cannot be decoded is tried again each time. Nothing that is wrong with a recording is an error.

    Args:
        corpus: the utterances; of several channels, ``corpus.channel`` is looked at
        cache: folder of the cached facts, by default that of ``cache_folder()``
        workers: threads, by default one a core; each holds one utterance in memory, as mono
        progress: whether to show a progress bar

    Returns:
        one row an utterance, indexed as ``corpus.table``; NaN, NA or empty where not known:

        - ``audio``: as ``audio_digests`` has it
        - ``seconds``: of the utterance, as far as it lies in its file
        - ``sampling_rate``: in Hz, ``channels`` and ``format`` (WAV, FLAC ...) of the file
        - ``peak``: largest absolute sample, full scale being 1, before channels are averaged
        - ``level``: root mean square without the mean, in dB, full scale being 0
        - ``offset``: the mean, full scale being 1
        - ``clipped``: as ``clipped_share`` has it, before channels are averaged
        - ``problem``: why it cannot be used, the same words for all of a kind; ``detail``: the
          rest of it. Empty for what can be used.
        - ``note``: what is odd about a usable one, kinds joined by ``"; "``; ``note_detail``
          likewise
    """
    folder = cache_folder() if cache is None else Path(cache)
    folder = folder / f"inspection-{_VERSION}-libsndfile-{soundfile.__libsndfile_version__}"
    with ThreadPoolExecutor(workers or joblib.cpu_count()) as pool:
        contents = _contents(corpus, pool)
        keys = [_cache_key(corpus, key, contents[key[0]]) for key in corpus.table.index]
        known = _stored(folder)
        missing = dict(zip(keys, corpus.table.index, strict=True))
        missing = {key: utt for key, utt in missing.items() if key and key not in known}
        for batch in _batches(missing, progress):
            known |= _look(corpus, batch, pool, folder)
    rows = [
        _row(corpus, utt, contents[utt[0]], known.get(key, {}))
        for key, utt in zip(keys, corpus.table.index, strict=True)
    ]
    return pd.DataFrame(rows, index=corpus.table.index, columns=list(_FACTS)).astype(_FACTS)


def notes_of(facts: pd.DataFrame) -> pd.DataFrame:
    """What is odd about usable recordings, one row a note.

    Args:
        facts: as ``inspect_audio`` returns them

    Returns:
        columns ``note`` and ``note_detail`` of one note each; an utterance comes as often as it
        has notes

    Examples:
        >>> facts = pd.DataFrame({"note": ["a; b", ""], "note_detail": ["1; 2", ""]})
        >>> notes_of(facts).to_dict("list")
        {'note': ['a', 'b'], 'note_detail': ['1', '2']}
    """
    columns = ["note", "note_detail"]
    noted = facts.loc[facts["note"] != "", columns]
    split = noted.apply(lambda column: column.str.split("; "))
    return split.explode(columns)


def _contents(corpus: Corpus, pool: ThreadPoolExecutor) -> dict[str, str | Finding]:
    """The digest of each file, or why it cannot be read."""

    def one(file: str) -> str | Finding:
        path = corpus.path(file)
        try:
            return unreadable(path) or file_digest(path)
        except InputError as error:
            cause = error.__cause__
            return Finding("cannot be read", getattr(cause, "strerror", None) or "")

    files = corpus.table.index.get_level_values("file").unique()
    return dict(zip(files, pool.map(one, files), strict=True))


def _cache_key(corpus: Corpus, utterance: Key, content: str | Finding) -> str:
    """What the facts of an utterance depend on; nothing for a file that cannot be read."""
    if isinstance(content, Finding):
        return ""
    digest = utterance_digest(content, utterance[1], utterance[2], corpus.channel)
    # What else can be decoded depends on the extension and on the programs of this machine.
    suffix = corpus.path(utterance[0]).suffix.lower()
    return digest if suffix in DECODED_DIRECTLY else f"{digest}{suffix}"


def _stored(folder: Path) -> dict[str, Facts]:
    stored = read_parts(folder, CACHED_FACTS)
    stored = stored[~stored.index.duplicated()]
    rows: Any = stored.to_dict("index")
    return dict(rows)


def _batches(missing: dict[str, Key], progress: bool) -> Iterator[dict[str, dict[str, Key]]]:
    """Some files at a time, each with those of its utterances that are to be looked at."""
    files: dict[str, dict[str, Key]] = {}
    for key, utterance in missing.items():
        files.setdefault(utterance[0], {})[key] = utterance
    names = list(files)
    shown = progress and bool(names)
    with progress_bar(total=len(names), desc="audio", unit="file", disable=not shown) as bar:
        for first in range(0, len(names), _BATCH):
            batch = names[first : first + _BATCH]
            yield {name: files[name] for name in batch}
            bar.update(len(batch))


def _look(
    corpus: Corpus, batch: dict[str, dict[str, Key]], pool: ThreadPoolExecutor, folder: Path
) -> dict[str, Facts]:
    """The facts of a batch by cache key; those of files that can be decoded are stored."""

    def one(file: str) -> list[Facts] | Finding:
        utterances = batch[file].values()
        try:
            recording = Recording(corpus.path(file))
            return [
                utterance_facts(recording, start, end, corpus.channel)
                for _, start, end in utterances
            ]
        except RecordingError as error:
            return error.finding

    found = list(pool.map(one, batch))
    decoded: dict[str, Facts] = {}
    failed: dict[str, Facts] = {}
    for file, facts in zip(batch, found, strict=True):
        if isinstance(facts, Finding):
            # Before soundfile 0.14 threads mix up their messages; now nothing else is opened.
            facts = one(file)
        if isinstance(facts, Finding):
            failed |= dict.fromkeys(batch[file], _failure(facts))
        else:
            decoded |= dict(zip(batch[file], facts, strict=True))
    if decoded:
        append_part(folder, pd.DataFrame.from_dict(decoded, orient="index"), CACHED_FACTS)
    return decoded | failed


def _failure(finding: Finding) -> Facts:
    return {"problem": finding.reason, "detail": finding.detail}


def _row(corpus: Corpus, utterance: Key, content: str | Finding, facts: Facts) -> Facts:
    """The facts of one utterance, with those that go by its name and are therefore not cached."""
    row = dict.fromkeys(_TEXTS, "") | facts
    if isinstance(content, Finding):
        return row | _failure(content)
    file, start, end = utterance
    row["audio"] = utterance_digest(content, start, end, corpus.channel)
    suffix = corpus.path(file).suffix
    if row["format"] and not row["problem"] and misnamed(suffix, row["format"]):
        row |= _noted(row, Finding("another format", f"{row['format']} in a {suffix} file"))
    return row


def _noted(row: Facts, note: Finding) -> Facts:
    pairs: Sequence[tuple[str, str]] = ()
    if row["note"]:
        pairs = list(zip(row["note"].split("; "), row["note_detail"].split("; "), strict=True))
    return note_columns([*(Finding(*pair) for pair in pairs), note])
