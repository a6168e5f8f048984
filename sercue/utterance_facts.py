"""What one utterance is like, from its samples, and whether they can be used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercue.audio import SAMPLING_RATE
from sercue.features import SHORTEST
from sercue.recordings import Finding, Recording

_FRAME_SECONDS = 0.025
# An RMS of 10 steps of 16 bits. The weaker sounds of speech lie some 30 dB below its strongest:
# they would be less than one step.
_SILENCE = -70.0
# -26 dB of full scale, about the RMS level of speech that is neither loud nor soft: an offset of
# that size is as strong as the speech.
_OFFSET = 0.05
_CLIPPED_SHARE = 0.001
_NEAR_FULL_SCALE = 0.95


def utterance_facts(
    recording: Recording, start: pd.Timedelta, end: pd.Timedelta, channel: int | None
) -> dict[str, Any]:
    """The facts of one utterance, as ``inspect_audio`` describes them.

    Args:
        recording: the file that it lies in
        start: where it begins
        end: where it ends; NaT is the end of the file
        channel: the one that is heard, counted from 0; ``None`` averages all

    Returns:
        all columns of ``inspect_audio`` except ``audio``
    """
    first, last = _bounds(recording, start, end)
    heard = recording.signal[slice(None) if channel is None else slice(channel, channel + 1)]
    heard = heard[:, max(0, first) : last]
    problem = _not_there(recording, first, last, channel, to_end=pd.isna(end))
    problem = problem or _of_samples(recording, heard)
    notes = [] if problem else _notes(recording, heard, last, channel)
    measured = heard.size > 0 and bool(np.isfinite(heard).all())
    return {
        "seconds": heard.shape[1] / recording.sampling_rate,
        "sampling_rate": recording.sampling_rate,
        "channels": len(recording.signal),
        "format": recording.format,
        "peak": float(np.abs(heard).max()) if measured else np.nan,
        "level": _decibels(_mixed(heard)) if measured else np.nan,
        "offset": float(heard.mean(dtype=float)) if measured else np.nan,
        "clipped": clipped_share(heard) if measured else np.nan,
        "problem": problem.reason if problem else "",
        "detail": problem.detail if problem else "",
        **note_columns(notes),
    }


def note_columns(notes: Sequence[Finding]) -> dict[str, str]:
    """The columns ``note`` and ``note_detail`` for what is odd about an utterance.

    Examples:
        >>> note_columns([Finding("clipped", "2.0 % of samples"), Finding("several channels", "2")])
        {'note': 'clipped; several channels', 'note_detail': '2.0 % of samples; 2'}
    """
    return {
        "note": "; ".join(note.reason for note in notes),
        "note_detail": "; ".join(note.detail for note in notes),
    }


def clipped_share(signal: np.ndarray) -> float:
    """The share of samples that stand in a row at the largest or smallest value.

    A row has three samples or more, and its value is within 5 % of full scale: an amplifier or a
    converter at its limit gives the same value again and again, speech does not.

    Args:
        signal: shape (channels, samples), full scale being 1

    Returns:
        0 to 1

    Examples:
        >>> float(clipped_share(np.array([[0.1, 1, 1, 1, 0.5, -1, -1, 0.2]])))
        0.375
    """
    flat = 0
    for channel in signal:
        for extreme in (channel.max(), channel.min()):
            if abs(extreme) >= _NEAR_FULL_SCALE:
                flat += _in_rows_of_three(channel == extreme)
    return flat / signal.size


def _in_rows_of_three(there: np.ndarray) -> int:
    rows = there[:-2] & there[1:-1] & there[2:]
    covered = np.zeros(len(there), bool)
    for shift in range(3):
        covered[shift : shift + len(rows)] |= rows
    return int(covered.sum())


def _bounds(recording: Recording, start: pd.Timedelta, end: pd.Timedelta) -> tuple[int, int]:
    """First sample and the one after the last, as ``read_audio`` rounds them; maybe beyond."""
    rate, samples = recording.sampling_rate, recording.signal.shape[1]
    first = round(start.total_seconds() * rate)
    if pd.isna(end):
        return first, max(first, samples)
    return first, first + round((end - start).total_seconds() * rate)


def _not_there(
    recording: Recording, first: int, last: int, channel: int | None, *, to_end: bool
) -> Finding | None:
    """Why the file does not hold the samples of the utterance."""
    channels, samples = recording.signal.shape
    if channel is not None and channel >= channels:
        return Finding("no such channel", f"channel {channel}; those of the file are {channels}")
    if first < 0 or (last <= first and first < samples):
        return Finding("no such segment", "it must start at 0 or later and end after it starts")
    if recording.damage and (to_end or last > recording.usable):
        return recording.damage
    if first >= samples:
        length = samples / recording.sampling_rate
        starts = first / recording.sampling_rate
        return Finding("starts after the end of its file", f"{starts:.2f} s of {length:.2f} s")
    return None


def _of_samples(recording: Recording, heard: np.ndarray) -> Finding | None:
    bad = int((~np.isfinite(heard)).sum())
    if bad:
        return Finding("NaN or infinite samples", f"{bad:,} of {heard.size:,}")
    seconds = heard.shape[1] / recording.sampling_rate
    # The limit counts after resampling.
    if round(seconds * SAMPLING_RATE) < SHORTEST * SAMPLING_RATE:
        return Finding("too short", f"{seconds:.4f} s; eGeMAPS takes {SHORTEST:g} s or more")
    return _silent(recording, heard)


def _silent(recording: Recording, heard: np.ndarray) -> Finding | None:
    mixed = _mixed(heard)
    loudest = _loudest(mixed, recording.sampling_rate)
    if loudest >= _SILENCE:
        return None
    if abs(mixed.mean()) >= 10 ** (_SILENCE / 20):
        return Finding("DC only", f"no sound, only an offset of {mixed.mean():.3f}")
    alone = max(_loudest(one.astype(float), recording.sampling_rate) for one in heard)
    if alone >= _SILENCE:
        return Finding("silence", f"its {len(heard)} channels cancel each other when averaged")
    found = "all zero" if loudest == -np.inf else f"{loudest:.0f} dB in its loudest 25 ms"
    return Finding("silence", found)


def _notes(
    recording: Recording, heard: np.ndarray, last: int, channel: int | None
) -> list[Finding]:
    channels, samples = recording.signal.shape
    rate = recording.sampling_rate
    notes = []
    if (clipped := clipped_share(heard)) > _CLIPPED_SHARE:
        notes.append(Finding("clipped", f"{100 * clipped:.1f} % of samples"))
    if abs(offset := float(heard.mean(dtype=float))) > _OFFSET:
        notes.append(Finding("DC offset", f"{offset:.2f} of full scale"))
    if channels > 1 and channel is None:
        notes.append(Finding("several channels", f"{channels} channels, averaged"))
    if rate < SAMPLING_RATE:
        notes.append(Finding("sampling rate below 16 kHz", f"{rate} Hz"))
    if last > samples:
        notes.append(Finding("ends after its file", f"{(last - samples) / rate:.3f} s after"))
    if recording.damage:
        notes.append(Finding("its file is cut short", recording.damage.detail))
    return notes


def _mixed(heard: np.ndarray) -> np.ndarray:
    return heard.mean(axis=0, dtype=float)


def _loudest(mono: np.ndarray, rate: int) -> float:
    """The level of the loudest 25 ms, without the mean of the whole, in dB of full scale."""
    centred = mono - mono.mean()
    frame = max(1, round(_FRAME_SECONDS * rate))
    starts = np.arange(0, len(centred), frame)
    power = np.add.reduceat(centred**2, starts) / np.diff(np.append(starts, len(centred)))
    return _power_decibels(power.max())


def _decibels(mono: np.ndarray) -> float:
    return _power_decibels(mono.var())


def _power_decibels(power: float) -> float:
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(power))
