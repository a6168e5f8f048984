"""Reading recordings, and telling their content apart from their name."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import audiofile
import audresample
import joblib
import numpy as np
import pandas as pd

from sercue.errors import InputError

if TYPE_CHECKING:
    from sercue.corpora.corpus import Corpus

SAMPLING_RATE = 16000


def read_audio(
    path: str | os.PathLike[str],
    start: float = 0.0,
    end: float | None = None,
    sampling_rate: int = SAMPLING_RATE,
    channel: int | None = None,
) -> np.ndarray:
    """Read a recording, or a segment of it, as mono at the given sampling rate.

    Args:
        path: the audio file
        start: where to begin, in seconds
        end: where to stop, in seconds; ``None`` reads to the end of the file
        sampling_rate: of the result, in Hz
        channel: the one to read, counted from 0; ``None`` averages all

    Returns:
        samples, float32, shape (samples,)

    Raises:
        InputError: naming the file, if it is not there, cannot be read, lacks that channel, holds
            no sample in that segment, or holds samples that are not finite
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such audio file")
    if start < 0 or (end is not None and end <= start):
        raise InputError(f"{path}: no segment goes from {start:g} to {end} s")
    try:
        signal, rate = audiofile.read(
            str(path),
            offset=start or None,
            duration=None if end is None else end - start,
            always_2d=True,
        )
    # A damaged header may announce more samples than there is memory for.
    except (OSError, RuntimeError, ValueError, MemoryError) as error:
        raise InputError(f"{path}: cannot be read as audio ({error})") from error
    if signal.shape[1] == 0:
        stop = "the end" if end is None else f"{end:g} s"
        segment = f" from {start:g} s to {stop}" if start or end is not None else ""
        raise InputError(f"{path}: holds no samples{segment}")
    if not np.isfinite(signal).all():
        raise InputError(f"{path}: holds samples that are not finite")
    if channel is None:
        mono = signal.mean(axis=0, keepdims=True, dtype=np.float32)
    elif channel < len(signal):
        mono = signal[channel : channel + 1]
    else:
        raise InputError(
            f"{path}: channel: found {channel}, valid are 0 to {len(signal) - 1} of this file"
        )
    return audresample.resample(mono, rate, sampling_rate)[0]


def read_utterance(
    corpus: Corpus,
    key: tuple[str, pd.Timedelta, pd.Timedelta],
    sampling_rate: int = SAMPLING_RATE,
) -> np.ndarray:
    """The samples of one utterance of a corpus.

    Args:
        corpus: where the utterance is from
        key: its row of the index: file, start, end; an end of NaT is that of the file
        sampling_rate: of the result, in Hz

    Returns:
        samples, float32, shape (samples,)

    Raises:
        InputError: as ``read_audio``
    """
    file, start, end = key
    last = None if pd.isna(end) else end.total_seconds()
    return read_audio(corpus.path(file), start.total_seconds(), last, sampling_rate, corpus.channel)


def utterance_seconds(corpus: Corpus, key: tuple[str, pd.Timedelta, pd.Timedelta]) -> float:
    """How long one utterance of a corpus is, in seconds, without reading its samples.

    Args:
        corpus: where the utterance is from
        key: its row of the index: file, start, end; an end of NaT is that of the file

    Raises:
        InputError: naming the file, if it is not there or cannot be read
    """
    file, start, end = key
    if not pd.isna(end):
        return (end - start).total_seconds()
    path = corpus.path(file)
    if not path.is_file():
        raise InputError(f"{path}: no such audio file")
    try:
        return float(audiofile.duration(str(path))) - start.total_seconds()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as audio ({error})") from error


def audio_digests(corpus: Corpus) -> pd.Series:
    """What identifies the audio of each utterance: a hash of the file's bytes, segment and channel.

    A renamed or copied recording keeps its digest; a changed one gets another.

    Args:
        corpus: the corpus whose files are read

    Returns:
        32 hexadecimal digits an utterance (of SHA-256), indexed as ``corpus.table``

    Raises:
        InputError: if a file cannot be read
    """
    index = corpus.table.index
    files = index.get_level_values("file")
    unique = files.unique()
    with ThreadPoolExecutor(joblib.cpu_count()) as pool:
        hashes = pool.map(file_digest, [corpus.path(file) for file in unique])
        digest_of = dict(zip(unique, hashes, strict=True))
    digests = [
        utterance_digest(digest_of[file], start, end, corpus.channel) for file, start, end in index
    ]
    return pd.Series(digests, index=index, name="audio", dtype=object)


def file_digest(path: Path) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of a file's bytes.

    Raises:
        InputError: if the file cannot be read
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def utterance_digest(
    content: str, start: pd.Timedelta, end: pd.Timedelta, channel: int | None = None
) -> str:
    """The digest of an utterance; a whole file with all its channels has that of the file.

    Args:
        content: that of the file's bytes
        start: where the utterance begins
        end: where it ends; NaT is the end of the file
        channel: the one that is heard, counted from 0; ``None`` for all
    """
    first = start.as_unit("ns").value
    last = None if pd.isna(end) else end.as_unit("ns").value
    if first == 0 and last is None and channel is None:
        return content
    heard = "" if channel is None else f" channel {channel}"
    return hashlib.sha256(f"{content} {first} {last}{heard}".encode()).hexdigest()[:32]
