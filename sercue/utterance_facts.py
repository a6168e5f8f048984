"""What one utterance is like, from its samples, and whether they can be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sercue.audio import LARGEST, SAMPLING_RATE, SILENCE, Heard, Loudness, hear, too_large
from sercue.features import SHORTEST
from sercue.recordings import Finding, Recording

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
        return recording.damage or Finding(
            "no samples", f"{recording.path.stat().st_size:,} bytes in all"
        )
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
    return _cancelled(heard, sound) or _silent(heard, sound)


def _cancelled(heard: Heard, sound: Loudness) -> Finding | None:
    """Channels of which one is the other turned over leave noise when they are averaged."""
    if len(heard.loudest) - len(heard.silent) < 2:
        return None
    lost = float(heard.loudest.max() - sound.loudest()[0])
    # NaN: all of them are silent.
    if not lost >= _CANCELLED:
        return None
    left = "nothing is left" if lost == np.inf else f"they are {lost:.0f} dB weaker"
    return Finding("channels cancel", f"{left} when averaged; choose one with channel")


def _silent(heard: Heard, sound: Loudness) -> Finding | None:
    loudest, mean = float(sound.loudest()[0]), float(sound.means()[0])
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
        notes.append(
            Finding("several channels", f"{channels - len(heard.silent)} channels, averaged")
        )
    if rate < SAMPLING_RATE:
        notes.append(Finding("sampling rate below 16 kHz", f"{rate} Hz"))
    if last is not None and last > recording.samples:
        after = (last - recording.samples) / rate
        notes.append(Finding("ends after its file", f"{after:.3f} s after"))
    if recording.damage:
        notes.append(Finding("its file is cut short", recording.damage.detail))
    return notes
