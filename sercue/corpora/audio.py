"""Reading recordings, and telling their content apart from their name."""

from __future__ import annotations

import base64
import hashlib
import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import audresample
import joblib
import numpy as np
import pandas as pd

from sercue.corpora.recordings import FRAME_SECONDS, Recording, naming
from sercue.errors import InputError

if TYPE_CHECKING:
    from sercue.corpora.corpus import Corpus

SAMPLING_RATE = 16000
#: What eGeMAPS takes at least, in seconds: openSMILE's longest analysis window.
SHORTEST = 0.06
#: Below this level, in dB of full scale, in its loudest 25 ms a signal is silent. It is an RMS of
#: 10 steps of 16 bits. The weaker sounds of speech lie some 30 dB below its strongest: they would
#: be less than one step.
SILENCE = -70.0
#: Samples above full scale, which is 1, are limited to it if none is larger than this (6 dB above
#: it): compression and resampling overshoot by less. What is larger is scaled otherwise.
LARGEST = 2.0
#: What 16 bits can hold: the largest sample that no library wraps around, which casts to them.
FULL_SCALE = 1 - 2**-15
# Of 25 ms: what is measured at a time in double precision.
_FRAMES = 200


class Loudness:
    """Levels of signals that come block by block, each without its mean, in dB of full scale.

    Args:
        sampling_rate: in Hz
    """

    def __init__(self, sampling_rate: int) -> None:
        self._frame = max(1, round(FRAME_SECONDS * sampling_rate))
        self._frames: list[np.ndarray] = []

    def add(self, block: np.ndarray) -> None:
        """Take more samples, shape (samples, signals); all but the last are whole frames."""
        size = self._frame * _FRAMES
        for part in (block[n : n + size].astype(float) for n in range(0, len(block), size)):
            starts = np.arange(0, len(part), self._frame)
            sizes = np.diff(np.append(starts, len(part)))[:, None]
            sums, squares = (np.add.reduceat(values, starts) for values in (part, part**2))
            self._frames.append(np.stack([np.broadcast_to(sizes, sums.shape), sums, squares]))

    def means(self) -> np.ndarray:
        """The mean of each signal, shape (signals,)."""
        sizes, sums, _ = np.concatenate(self._frames, axis=1).sum(axis=1)
        return sums / sizes

    def loudest(self) -> np.ndarray:
        """The level of each signal in its loudest 25 ms, shape (signals,)."""
        return decibels(self._power(np.concatenate(self._frames, axis=1)).max(axis=0))

    def level(self) -> np.ndarray:
        """The level of each signal, shape (signals,)."""
        return decibels(self._power(np.concatenate(self._frames, axis=1).sum(axis=1)))

    def _power(self, frames: np.ndarray) -> np.ndarray:
        sizes, sums, squares = frames
        mean = self.means()
        return np.maximum(squares / sizes - 2 * mean * sums / sizes + mean**2, 0)


def decibels(power: np.ndarray) -> np.ndarray:
    """The level of a mean square, in dB of full scale."""
    with np.errstate(divide="ignore"):
        return 10 * np.log10(power)


@dataclass(frozen=True, eq=False)
class Heard:
    """What is heard of an utterance, at the sampling rate of its file.

    Attributes:
        mono: float32, shape (samples,): one channel, or the mean of those that are not silent
        sampling_rate: in Hz
        low: smallest sample of each channel that was looked at; NaN if one is NaN
        high: likewise the largest
        loudest: the level of each channel in its loudest 25 ms, in dB; empty of a single one
        silent: the channels that were left out of the mean, counted from 0
    """

    mono: np.ndarray
    sampling_rate: int
    low: np.ndarray
    high: np.ndarray
    loudest: np.ndarray
    silent: tuple[int, ...]

    @property
    def peak(self) -> float:
        """The largest absolute sample before channels were averaged; NaN if one is NaN."""
        return float(np.max([self.high, -self.low]))

    def at(self, sampling_rate: int) -> tuple[np.ndarray, np.ndarray]:
        """The utterance at another sampling rate, before and after it is limited.

        Samples of +1 and above are limited to ``FULL_SCALE``, those below -1 to -1: libraries
        assume this range, and openSMILE wraps around what is outside of it.

        Args:
            sampling_rate: in Hz

        Returns:
            samples, float32, shape (samples,), twice
        """
        samples = audresample.resample(self.mono, self.sampling_rate, sampling_rate)[0]
        if not samples.size or (samples.max() <= FULL_SCALE and samples.min() >= -1):
            return samples, samples
        return samples, np.clip(samples, -1, np.float32(FULL_SCALE))


# What is not finite is told by the peak.
@np.errstate(invalid="ignore", over="ignore")
def hear(recording: Recording, first: int, last: int | None, channel: int | None) -> Heard:
    """Read an utterance, block by block, so that no more than its mean is held in memory.

    Args:
        recording: the file that it lies in
        first: its first sample
        last: the sample after its last; ``None`` is the end of the file
        channel: the one that is heard, counted from 0; ``None`` averages all that are not silent

    Raises:
        RecordingError: if it cannot be decoded
    """
    heard = [channel] if channel is not None else list(range(recording.channels))
    several = len(heard) > 1
    mono, lows, highs = [np.zeros(0, np.float32)], [], []
    loudness = Loudness(recording.sampling_rate)
    for block in recording.blocks(first, last):
        chosen = block if several else block[:, heard]
        lows.append(chosen.min(axis=0))
        highs.append(chosen.max(axis=0))
        mono.append(_mean(chosen))
        if several:
            loudness.add(chosen)
    measured = several and len(lows) > 0
    loudest = loudness.loudest() if measured else np.zeros(0)
    silent = np.flatnonzero(loudest < SILENCE)
    # To add a channel that says nothing would only lower the level of the others.
    if 0 < len(silent) < len(heard):
        rest = [number for number in heard if number not in silent]
        mono = [_mean(block[:, rest]) for block in recording.blocks(first, last)]
    else:
        silent = silent[:0]
    none = np.zeros((1, len(heard)), np.float32)
    return Heard(
        np.concatenate(mono),
        recording.sampling_rate,
        np.min(lows or none, axis=0),
        np.max(highs or none, axis=0),
        loudest,
        tuple(silent.tolist()),
    )


def _mean(block: np.ndarray) -> np.ndarray:
    return block.mean(axis=1, dtype=np.float32)


def read_audio(
    path: str | os.PathLike[str],
    start: float = 0.0,
    end: float | None = None,
    sampling_rate: int = SAMPLING_RATE,
    channel: int | None = None,
) -> np.ndarray:
    """Read a recording, or a segment of it, as mono at the given sampling rate.

    Samples above full scale, which is 1, are limited to it: those of float files, and the
    overshoots of resampling and of MP3.

    Args:
        path: the audio file
        start: where to begin, in seconds
        end: where to stop, in seconds; ``None`` reads to the end of the file
        sampling_rate: of the result, in Hz
        channel: the one to read, counted from 0; ``None`` averages all that are not silent, which
            is to be below ``SILENCE``

    Returns:
        samples, float32, shape (samples,), from -1 to ``FULL_SCALE``

    Raises:
        InputError: naming the file, if it is not there, cannot be read, lacks that channel, holds
            no sample in that segment, or holds samples that are not finite or above ``LARGEST``
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such audio file")
    if not 0 <= start < np.inf or (end is not None and not start < end < np.inf):
        raise InputError(f"{path}: no segment goes from {start:g} to {end} s")
    recording = Recording(path, start, end)
    if channel is not None and not 0 <= channel < recording.channels:
        raise InputError(
            f"{path}: channel: found {channel}, valid are 0 to {recording.channels - 1} of this "
            "file"
        )
    heard = hear(recording, *recording.bounds(start, end), channel)
    if not len(heard.mono):
        stop = "the end" if end is None else f"{end:g} s"
        segment = f" from {start:g} s to {stop}" if start or end is not None else ""
        raise InputError(f"{path}: holds no samples{segment}")
    if not np.isfinite(heard.peak):
        raise InputError(f"{path}: holds samples that are not finite")
    if heard.peak > LARGEST:
        raise InputError(f"{path}: {too_large(heard.peak)}")
    with naming(path, f"cannot be resampled from {heard.sampling_rate} to {sampling_rate} Hz"):
        samples = heard.at(sampling_rate)[1]
    if not len(samples):
        raise InputError(f"{path}: holds no samples at {sampling_rate} Hz")
    return samples


def too_large(peak: float) -> str:
    """What is wrong with samples above ``LARGEST``.

    Examples:
        >>> too_large(6553.0)
        'its samples go up to 6,553; full scale is 1, and up to 2 is limited to it'
    """
    found = f"{peak:,.{0 if peak >= 100 else 2}f}"
    return f"its samples go up to {found}; full scale is 1, and up to {LARGEST:g} is limited to it"


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
    recording = Recording(path)
    return recording.announced / recording.sampling_rate - start.total_seconds()


def audio_digests(corpus: Corpus) -> pd.Series:
    """What identifies the audio of each utterance: a hash of the file's bytes, segment and channel.

    A renamed or copied recording keeps its digest; a changed one gets another.

    Args:
        corpus: the corpus whose files are read

    Returns:
        32 hexadecimal digits per utterance (of SHA-256), indexed as ``corpus.table``

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


def wav_base64(samples: np.ndarray, sampling_rate: int) -> str:
    """A recording as the text that requests carry: a WAV file of 32-bit floats, base64.

    Floats, since the servers decode with libsndfile or FFmpeg, which read them, and 16-bit samples
    would round what was resampled: the model hears exactly ``samples``.

    Args:
        samples: float array (samples,)
        sampling_rate: in Hz

    Examples:
        >>> text = wav_base64(np.zeros(16000), 16000)
        >>> base64.b64decode(text)[:4], len(base64.b64decode(text))
        (b'RIFF', 64058)
    """
    # It takes long to import, and nothing else here needs it.
    from scipy.io import wavfile

    file = io.BytesIO()
    wavfile.write(file, sampling_rate, np.asarray(samples, dtype=np.float32))
    return base64.b64encode(file.getvalue()).decode("ascii")
