"""What each recording of a corpus is like, and whether it can be used."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import soundfile

from sercue.corpora.audio import (
    LARGEST,
    SAMPLING_RATE,
    SHORTEST,
    SILENCE,
    Heard,
    Loudness,
    file_digest,
    hear,
    too_large,
    utterance_digest,
)
from sercue.corpora.corpus import Corpus
from sercue.corpora.recordings import (
    DECODED_DIRECTLY,
    Finding,
    Recording,
    RecordingError,
    misnamed,
    unreadable,
)
from sercue.errors import InputError
from sercue.running import progress_bar
from sercue.storage.files import cache_folder
from sercue.storage.tables import CACHED_FACTS, append_part, read_parts

# -26 dB of full scale, about the RMS level of speech that is neither loud nor soft: an offset of
# that size is as strong as the speech.
_OFFSET = 0.05
_CLIPPED_SHARE = 0.001
_NEAR_FULL_SCALE = 0.95
# How much weaker, in dB, the mean of channels is than the loudest of them where one is the other
# turned over. Of 30 channels of which one is heard it is less.
_CANCELLED = 30.0


def utterance_facts(
    recording: Recording, start: pd.Timedelta, end: pd.Timedelta, channel: int | None
) -> dict[str, Any]:
    """The facts of one utterance, as ``inspect_audio`` describes them.

    Args:
        recording: the file that it lies in
        start: where it begins
        end: where it ends; NaT is the end of the file
        channel: the one that is heard, counted from 0; ``None`` averages all that are not silent

    Returns:
        all columns of ``inspect_audio`` except ``audio``

    Raises:
        RecordingError: if the file cannot be decoded
    """
    there = channel is None or channel < recording.channels
    stop = None if pd.isna(end) else end.total_seconds()
    first, last = recording.bounds(start.total_seconds(), stop)
    heard = hear(recording, max(0, first), last if there else 0, channel if there else 0)
    facts: dict[str, Any] = {
        "seconds": len(heard.mono) / recording.sampling_rate,
        "sampling_rate": recording.sampling_rate,
        "channels": recording.channels,
        "format": recording.format,
        **dict.fromkeys(("peak", "level", "offset", "clipped"), np.nan),
    }
    blocks = recording.blocks(max(0, first), last)
    samples = (block if channel is None else block[:, [channel]] for block in blocks)
    sound = Loudness(recording.sampling_rate)
    if len(heard.mono) and np.isfinite(heard.peak):
        sound.add(heard.mono[:, None])
        facts |= {
            "peak": heard.peak,
            "level": float(sound.level()[0]),
            "offset": float(sound.means()[0]),
            "clipped": clipped_share(samples, heard.low, heard.high),
        }
    problem = _not_there(recording, first, last, channel) or _of_samples(heard, sound, samples)
    notes = [] if problem else _notes(recording, heard, facts, last, channel)
    return {
        **facts,
        "problem": problem.reason if problem else "",
        "detail": problem.detail if problem else "",
        "note": "; ".join(note.reason for note in notes),
        "note_detail": "; ".join(note.detail for note in notes),
    }


def clipped_share(blocks: Iterable[np.ndarray], low: np.ndarray, high: np.ndarray) -> float:
    """The share of samples that stand in a row at the largest or smallest value of their channel.

    A row has three samples or more, and its value is within 5 % of full scale: an amplifier or a
    converter at its limit gives the same value again and again, speech does not.

    Args:
        blocks: the samples, shape (samples, channels) each; not read if none is near full scale
        low: smallest sample of each channel
        high: largest sample of each channel, full scale being 1

    Returns:
        0 to 1

    Examples:
        >>> samples = np.array([[0.1, 1, 1, 1, 0.5, -1, -1, 0.2]]).T
        >>> clipped_share([samples[:2], samples[2:]], samples.min(axis=0), samples.max(axis=0))
        0.375
    """
    extremes = np.stack([low, high])
    extremes = np.where(np.abs(extremes) < _NEAR_FULL_SCALE, np.nan, extremes)
    if np.isnan(extremes).all():
        return 0.0
    flat, size = 0, 0
    # Of the two samples before a block: whether they are at an extreme, and counted.
    before = counted = np.zeros((2, *extremes.shape), bool)
    for block in blocks:
        there = np.concatenate([before, block[:, None] == extremes])
        covered = np.concatenate([counted, np.zeros_like(there[2:])])
        rows = there[:-2] & there[1:-1] & there[2:]
        for shift in range(3):
            covered[shift : shift + len(rows)] |= rows
        flat += int(covered.sum()) - int(counted.sum())
        before, counted = there[-2:], covered[-2:]
        size += block.size
    return flat / size


def _not_there(
    recording: Recording, first: int, last: int | None, channel: int | None
) -> Finding | None:
    """Why the file does not hold the samples of the utterance."""
    channels, samples = recording.channels, recording.samples
    if samples == 0:
        size = recording.path.stat().st_size
        return recording.damage or Finding("no samples", f"{size:,} bytes in all")
    if channel is not None and channel >= channels:
        return Finding("no such channel", f"channel {channel}; those of the file are {channels}")
    if first < 0 or (last is not None and last <= first and first < samples):
        return Finding("no such segment", "it must start at 0 or later and end after it starts")
    if recording.damage and (last is None or last > recording.usable):
        return recording.damage
    if first >= samples:
        length = samples / recording.sampling_rate
        starts = first / recording.sampling_rate
        return Finding("starts after the end of its file", f"{starts:.2f} s of {length:.2f} s")
    return None


def _of_samples(heard: Heard, sound: Loudness, samples: Iterable[np.ndarray]) -> Finding | None:
    if not np.isfinite(heard.peak):
        bad, size = np.sum([[(~np.isfinite(s)).sum(), s.size] for s in samples], axis=0)
        return Finding("NaN or infinite samples", f"{bad:,} of {size:,}")
    if heard.peak > LARGEST:
        return Finding("samples far above full scale", too_large(heard.peak))
    seconds = len(heard.mono) / heard.sampling_rate
    # The limit counts after resampling.
    if round(seconds * SAMPLING_RATE) < SHORTEST * SAMPLING_RATE:
        return Finding("too short", f"{seconds:.4f} s; eGeMAPS takes {SHORTEST:g} s or more")
    loudest, mean = float(sound.loudest()[0]), float(sound.means()[0])
    # Channels of which one is the other turned over leave noise when they are averaged.
    several = len(heard.loudest) - len(heard.silent) > 1
    lost = float(heard.loudest.max()) - loudest if several else np.nan
    # NaN: there are no two, or all of them are silent.
    if lost >= _CANCELLED:
        left = "nothing is left" if lost == np.inf else f"they are {lost:.0f} dB weaker"
        return Finding("channels cancel", f"{left} when averaged; choose one with channel")
    if loudest >= SILENCE:
        return None
    if abs(mean) >= 10 ** (SILENCE / 20):
        return Finding("DC only", f"no sound, only an offset of {mean:.3f}")
    found = "all zero" if loudest == -np.inf else f"{loudest:.0f} dB in its loudest 25 ms"
    return Finding("silence", found)


def _notes(
    recording: Recording,
    heard: Heard,
    facts: dict[str, Any],
    last: int | None,
    channel: int | None,
) -> list[Finding]:
    channels, rate = recording.channels, recording.sampling_rate
    notes = []
    if facts["clipped"] > _CLIPPED_SHARE:
        notes.append(Finding("clipped", f"{100 * facts['clipped']:.1f} % of samples"))
    samples = np.abs(heard.at(SAMPLING_RATE)[0])
    if above := int((samples > 1).sum()):
        found = f"{above:,} of {len(samples):,} samples, up to {samples.max():.2f}"
        notes.append(Finding("limited to full scale", found))
    if abs(facts["offset"]) > _OFFSET:
        notes.append(Finding("DC offset", f"{facts['offset']:.2f} of full scale"))
    if heard.silent:
        found = f"{len(heard.silent)} of {channels}, left out of the mean"
        notes.append(Finding("silent channels", found))
    if channel is None and channels - len(heard.silent) > 1:
        found = f"{channels - len(heard.silent)} channels, averaged"
        notes.append(Finding("several channels", found))
    if rate < SAMPLING_RATE:
        notes.append(Finding("sampling rate below 16 kHz", f"{rate} Hz"))
    if last is not None and last > recording.samples:
        after = (last - recording.samples) / rate
        notes.append(Finding("ends after its file", f"{after:.3f} s after"))
    if recording.damage:
        notes.append(Finding("its file is cut short", recording.damage.detail))
    return notes


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
    """Inspect every recording: whether it can be used, and what is unusual about it.

    It is read with ``read_audio``. The results are cached by the bytes of the file, the
    segment and the channel, so that a second call only hashes the files; a file that
    cannot be decoded is tried again each time. Nothing that is wrong with a recording is an error.

    Args:
        corpus: the utterances; of several channels, ``corpus.channel`` is looked at
        cache: folder of the cached facts, by default that of ``cache_folder()``
        workers: threads, by default one per core; each holds one utterance in memory, as mono
        progress: whether to show a progress bar

    Returns:
        one row per utterance, indexed as ``corpus.table``; NaN, NA or empty where not known:

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
    stored = read_parts(folder, CACHED_FACTS)
    known: Any = stored[~stored.index.duplicated()].to_dict("index")
    with ThreadPoolExecutor(workers or joblib.cpu_count()) as pool:
        contents = _contents(corpus, pool)
        keys = [_cache_key(corpus, key, contents[key[0]]) for key in corpus.table.index]
        # Of copies one is looked at.
        missing = dict(zip(keys, corpus.table.index, strict=True))
        files: dict[str, dict[str, Key]] = {}
        for key, utterance in missing.items():
            if key and key not in known:
                files.setdefault(utterance[0], {})[key] = utterance
        names = list(files)
        shown = progress and bool(names)
        with progress_bar(total=len(names), desc="audio", unit="file", disable=not shown) as bar:
            for first in range(0, len(names), _BATCH):
                batch = {name: files[name] for name in names[first : first + _BATCH]}
                known |= _look(corpus, batch, pool, folder)
                bar.update(len(batch))
    rows = [
        _row(corpus, utt, contents[utt[0]], known.get(key, {}))
        for key, utt in zip(keys, corpus.table.index, strict=True)
    ]
    return pd.DataFrame(rows, index=corpus.table.index, columns=list(_FACTS)).astype(_FACTS)


def notes_of(facts: pd.DataFrame) -> pd.DataFrame:
    """What is odd about usable recordings, one row per note.

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


def _look(
    corpus: Corpus, batch: dict[str, dict[str, Key]], pool: ThreadPoolExecutor, folder: Path
) -> dict[str, Facts]:
    """The facts of a batch by cache key; those of files that can be decoded are stored."""

    def one(file: str) -> list[Facts] | Finding:
        own = batch[file].values()
        try:
            recording = Recording(corpus.path(file))
            return [utterance_facts(recording, start, end, corpus.channel) for _, start, end in own]
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
        odd = {"note": "another format", "note_detail": f"{row['format']} in a {suffix} file"}
        for column, text in odd.items():
            row[column] = "; ".join(filter(None, [row[column], text]))
    return row
