"""What is heard in place of an utterance's own audio, while the tokens stay.

A model that weighs what it hears must answer otherwise once the sound is another one. What a
variant leaves of the voice and of the words differs:

``own``       both
``swapped``   another voice quality and class, by preference of the same speaker and sentence
``silent``    neither
``reversed``  the voice, backwards; no words
``spliced``   the voice in short pieces, in random order; no words (Scherer 1971)
``lowpass``   intonation and rhythm below 400 Hz; hardly any words (Rogers et al. 1971)
``noise``     the long-term spectrum alone

Sources: Scherer, "Randomized splicing: A note on a simple technique for masking speech content",
Journal of Experimental Research in Personality 5 (1971), 155-159 (as Burkhardt et al., "Masking
speech contents by random splicing: Is emotional expression preserved?", ICASSP 2023, cite it).
Rogers, Scherer and Rosenthal, "Content filtering human speech: A simple electronic system",
Behavior Research Methods & Instrumentation 3 (1971), 16-18, doi:10.3758/BF03208115. On what both
leave, and that both bias what listeners hear: van Bezooijen and Boves, Journal of Psycholinguistic
Research 15 (1986), 403-417, doi:10.1007/BF01067722 (its abstract).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import scipy

from sercue.corpora.audio import FULL_SCALE
from sercue.errors import InputError

#: Of a spliced utterance, in seconds: a piece, and the cross-fade between two.
PIECE, FADE = 0.25, 0.01
#: Of the low-pass filter, in Hz; zero-phase, 16 poles in all.
CUTOFF = 400.0
# To be raised when a variant would sound otherwise, so that no answer to the former one is taken.
VERSION = 1
OWN, SWAPPED, SILENT = "own", "swapped", "silent"
#: What an utterance shares with the one that is heard in its place, the nearest first.
BY = ("speaker and sentence", "speaker", "sex", "any")

Change: TypeAlias = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class AudioVariant:
    """One way of changing what is heard.

    Attributes:
        name: as studies and tables write it
        description: one line for the report
        change: (samples, sampling rate, random generator) to samples of the same length
    """

    name: str
    description: str
    change: Change


def _splice(samples: np.ndarray, rate: int, generator: np.random.Generator) -> np.ndarray:
    """Pieces in random order; each reaches half a fade into the place of its neighbours."""
    size, half = round(PIECE * rate), round(FADE * rate / 2)
    starts = np.arange(0, len(samples), size)
    order = generator.permutation(len(starts))
    padded = np.pad(samples, half)
    made, place = np.zeros(len(padded), samples.dtype), 0
    # Equal power: neighbours are not correlated.
    fade = np.sin(np.pi / 2 * (np.arange(2 * half) + 0.5) / (2 * half))
    for number in order:
        first = starts[number]
        piece = padded[first : min(first + size, len(samples)) + 2 * half].copy()
        piece[: 2 * half] *= fade
        piece[-2 * half :] *= fade[::-1]
        made[place : place + len(piece)] += piece
        place += len(piece) - 2 * half
    return made[half : half + len(samples)]


def _lowpass(samples: np.ndarray, rate: int, generator: np.random.Generator) -> np.ndarray:
    sections = scipy.signal.butter(8, CUTOFF, fs=rate, output="sos")
    return scipy.signal.sosfiltfilt(sections, samples, padlen=min(3 * 17, len(samples) - 1))


def _noise(samples: np.ndarray, rate: int, generator: np.random.Generator) -> np.ndarray:
    """The magnitudes of the whole spectrum with random phases."""
    spectrum = np.fft.rfft(samples)
    phases = generator.uniform(0, 2 * np.pi, len(spectrum))
    phases[[0, -1]] = 0
    return np.fft.irfft(np.abs(spectrum) * np.exp(1j * phases), len(samples))


AUDIO_VARIANTS = {
    variant.name: variant
    for variant in (
        AudioVariant(OWN, "the utterance itself", lambda samples, *_: samples),
        AudioVariant(
            SWAPPED,
            "another utterance of another class, by preference of the same speaker and sentence",
            lambda samples, *_: samples,
        ),
        AudioVariant(SILENT, "silence of the same length", lambda samples, *_: samples * 0),
        AudioVariant("reversed", "the utterance backwards", lambda samples, *_: samples[::-1]),
        AudioVariant("spliced", f"pieces of {PIECE * 1000:.0f} ms in random order", _splice),
        AudioVariant("lowpass", f"what lies below {CUTOFF:.0f} Hz", _lowpass),
        AudioVariant("noise", "steady noise with the long-term spectrum of the utterance", _noise),
    )
}


def variant_digest(digest: str, name: str, seed: int) -> str:
    """What identifies the sound of a variant.

    Args:
        digest: that of the utterance's own audio, or of its partner's if the audio is swapped
        name: one of ``AUDIO_VARIANTS``
        seed: of the study

    Examples:
        >>> variant_digest("00ff", "own", 0)
        '00ff'
        >>> variant_digest("00ff", "noise", 0) == variant_digest("00ff", "noise", 1)
        False
    """
    if name in (OWN, SWAPPED):
        return digest
    made = f"{digest} {name} {seed} {VERSION} {PIECE} {FADE} {CUTOFF}"
    return hashlib.sha256(made.encode()).hexdigest()[:32]


def varied(samples: np.ndarray, sampling_rate: int, name: str, digest: str) -> np.ndarray:
    """A variant of an utterance: as long, and at the same level, unless it is silent.

    Args:
        samples: of the utterance, shape (samples,); of ``swapped``, those of its partner
        sampling_rate: in Hz
        name: one of ``AUDIO_VARIANTS``
        digest: as ``variant_digest`` gives it; what is drawn depends on it alone

    Returns:
        float32, shape (samples,), from -1 to ``FULL_SCALE``

    Examples:
        >>> varied(np.array([0.25, 0.5], np.float32), 16000, "reversed", "0a").tolist()
        [0.5, 0.25]
    """
    if name in (OWN, SWAPPED):
        return samples
    generator = np.random.default_rng(list(bytes.fromhex(digest)))
    made = AUDIO_VARIANTS[name].change(samples.astype(float), sampling_rate, generator)
    power, own = np.mean(made**2), np.mean(samples.astype(float) ** 2)
    gain = np.sqrt(own / power) if power > 0 and own > 0 else 1.0
    return np.clip(made * gain, -1, FULL_SCALE).astype(np.float32)


def partners(rows: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Of each utterance the one that is heard in its place when audio is swapped.

    It is of another class: of the same speaker and sentence if there is one, else of the same
    speaker, else of another speaker of the same sex, else of anyone. Among equals one is drawn.

    Args:
        rows: utterances with ``emotion``, ``speaker`` and, where known, ``sentence`` and ``sex``
        seed: of the draw

    Returns:
        DataFrame indexed as ``rows``: ``partner``, its entry of the index, and ``by``, one
        of ``BY``

    Raises:
        InputError: if all utterances are of one class

    Examples:
        >>> rows = pd.DataFrame({"emotion": ["sad", "happy", "sad"], "speaker": ["a", "a", "b"]})
        >>> partners(rows).loc[0].to_dict()
        {'partner': 1, 'by': 'speaker'}
    """
    if rows["emotion"].nunique() < 2:
        raise InputError("swapped audio: all utterances are of one class; valid are two or more")
    ordered = rows.sort_index(kind="stable")
    number = len(ordered)
    generator = np.random.default_rng([seed, *SWAPPED.encode()])
    ties = generator.permutation(number)
    # A value that is not known is -1, and like no other.
    code = {
        name: pd.factorize(ordered[name])[0] if name in ordered else np.full(number, -1)
        for name in ("emotion", "speaker", "sex", "sentence")
    }
    partner, shared = [], []
    for row in range(number):
        same = {name: (of == of[row]) & (of >= 0) for name, of in code.items()}
        nearness = 4 * same["speaker"] + 2 * same["sex"] + same["sentence"]
        # The order of ties begins elsewhere for each row, so that nobody is drawn by all.
        rank = nearness * number - (ties - ties[row]) % number
        best = int(np.where(same["emotion"], -number, rank).argmax())
        partner.append(ordered.index[best])
        nearest = [same["speaker"] & same["sentence"], same["speaker"], same["sex"]]
        shared.append(next((n for n, alike in enumerate(nearest) if alike[best]), len(nearest)))
    found = pd.DataFrame(
        {
            "partner": pd.Series(partner, ordered.index, dtype=object),
            "by": pd.Categorical([BY[place] for place in shared], BY),
        },
        index=ordered.index,
    )
    return found.loc[list(rows.index)]
