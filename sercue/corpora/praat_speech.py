"""Emotional speech from Praat's synthesiser: one speaker's utterances, written as WAV files.

``demo.py`` runs this file as a program, one fresh interpreter per speaker, and it therefore imports
nothing but numpy and parselmouth. A fresh interpreter is what makes the corpus reproducible: the
synthesiser keeps its flutter and wave phase from one call to the next, so that the same sentence
sounds slightly different each time it is said within one process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import parselmouth
from parselmouth.praat import call, run

SAMPLING_RATE = 16000
LANGUAGE = "English (America)"
SENTENCES = (
    "The bus leaves from the old station at seven.",
    "She put the letters on the kitchen table.",
    "We will meet them near the river tomorrow.",
    "He has already told everyone about the plan.",
    "The children are playing in the garden again.",
    "I never thought it would end like this.",
    "They moved the piano into the other room.",
    "You can find the keys under the blue box.",
)
# Wide enough for formants to be lowered and still fill the band up to 8 kHz.
_SYNTHESIS_RATE = 22050
_LEVEL = 0.03  # root mean square of a neutral utterance, full scale being 1
_PITCH_LIMITS = (65.0, 550.0)  # Hz
# F0 is looked for within these ratios of the median. The widest range then leaves the lowest F0
# at 1 - 0.4 * 2.3 = 0.08 of the median: still positive, as resynthesis needs it.
_SEARCH = (0.6, 1.8)
_WIDEST_RANGE = 2.3


@dataclass(frozen=True)
class Profile:
    """How an emotion changes neutral speech; the neutral profile changes nothing.

    Attributes:
        pitch: ratio of the median F0
        pitch_range: ratio of the F0 excursions about the median
        duration: ratio of the duration
        gain: change of level, in dB
        tilt: spectral tilt in (-1, 1); above 0 lifts the high frequencies, below 0 lowers them
        breath: breath noise, relative to the envelope of the speech
        formants: ratio of the formant frequencies
    """

    pitch: float = 1.0
    pitch_range: float = 1.0
    duration: float = 1.0
    gain: float = 0.0
    tilt: float = 0.0
    breath: float = 0.0
    formants: float = 1.0


# The directions are those of the reviews by Juslin & Laukka (Psychological Bulletin 129, 2003,
# 770-814, table 7) and Scherer (Speech Communication 40, 2003, 227-256): anger and joy loud, high,
# wide, fast and bright, joy higher and anger louder; sadness soft, low, flat, slow and dull. The
# sizes are ours: large enough to be learnt, small enough beside JITTER not to be given away.
PROFILES: Mapping[str, Profile] = {
    "angry": Profile(1.12, 1.35, 0.88, 7.0, 0.45, 0.00, 1.06),
    "happy": Profile(1.35, 1.85, 0.93, 3.5, 0.18, 0.00, 1.03),
    "neutral": Profile(),
    "sad": Profile(0.92, 0.55, 1.18, -6.0, -0.35, 0.02, 0.98),
}
EMOTIONS = tuple(PROFILES)

# Standard deviations of an utterance about its profile: of the logarithm for the ratios and the
# breath noise, in dB for the gain, plain for the tilt.
JITTER = Profile(0.07, 0.17, 0.07, 2.0, 0.08, 0.5, 0.025)


@dataclass(frozen=True)
class Voice:
    """One speaker: a voice of the synthesiser with its own constant ratios.

    Attributes:
        variant: name of the voice variant in Praat
        pitch: ratio of the variant's own F0
        formants: ratio of the variant's own formant frequencies
    """

    variant: str
    pitch: float = 1.0
    formants: float = 1.0


def synthesise(variant: str, sentence: str) -> parselmouth.Sound:
    """A sentence in a neutral voice, as the synthesiser says it."""
    synthesiser = call("Create SpeechSynthesizer", LANGUAGE, variant)
    made = call(synthesiser, "To Sound", sentence, "no")
    sound = made[0] if isinstance(made, list) else made
    return sound.resample(_SYNTHESIS_RATE)


def vary(profile: Profile, rng: np.random.Generator) -> Profile:
    """One utterance's own profile, drawn about the profile of its emotion."""

    def ratio(name: str) -> float:
        return float(getattr(profile, name) * np.exp(rng.normal(0, getattr(JITTER, name))))

    def shift(name: str) -> float:
        return float(getattr(profile, name) + rng.normal(0, getattr(JITTER, name)))

    return Profile(
        pitch=ratio("pitch"),
        pitch_range=min(ratio("pitch_range"), _WIDEST_RANGE),
        duration=ratio("duration"),
        gain=shift("gain"),
        tilt=float(np.clip(shift("tilt"), -0.9, 0.9)),
        breath=ratio("breath"),
        formants=ratio("formants"),
    )


def colour(
    sound: parselmouth.Sound,
    median: float,
    voice: Voice,
    profile: Profile,
    rng: np.random.Generator,
) -> np.ndarray:
    """A neutral utterance in the given voice and with the given profile.

    Args:
        sound: the neutral utterance
        median: its median F0, in Hz
        voice: the ratios of the speaker
        profile: the changes of this utterance
        rng: draws the breath noise, the noise floor and Praat's own seed

    Returns:
        samples, shape (samples,), 16 kHz, within [-1, 1]
    """
    # Overlap-add draws from Praat's own generator, which its clock seeds.
    run(f"random_initializeWithSeedUnsafelyButPredictably ({int(rng.integers(2**31))})")
    changed = call(
        sound,
        "Change gender",
        median * _SEARCH[0],
        median * _SEARCH[1],
        voice.formants * profile.formants,
        float(np.clip(median * voice.pitch * profile.pitch, *_PITCH_LIMITS)),
        profile.pitch_range,
        profile.duration,
    )
    samples = changed.resample(SAMPLING_RATE, precision=20).values[0]
    samples = tilted(samples, profile.tilt)
    samples = samples + profile.breath * 5 * _envelope(samples) * rng.normal(size=len(samples))
    samples = samples * _LEVEL * 10 ** (profile.gain / 20) / np.sqrt(np.mean(samples**2))
    return np.clip(samples + rng.normal(0, 0.0005, len(samples)), -1, 1)


def tilted(samples: np.ndarray, tilt: float) -> np.ndarray:
    r"""Change the spectral tilt without changing the phase.

    The gain at angular frequency :math:`\omega` is :math:`|1 - a e^{-i\omega}|` for a tilt
    :math:`a > 0` (first-order pre-emphasis) and :math:`1 / |1 - |a| e^{-i\omega}|` otherwise.

    Examples:
        >>> tilted(np.array([1.0, 1.0, 1.0, 1.0]), 0.5)
        array([0.5, 0.5, 0.5, 0.5])
    """
    omega = 2 * np.pi * np.fft.rfftfreq(len(samples))
    gain = np.abs(1 - abs(tilt) * np.exp(-1j * omega))
    return np.fft.irfft(np.fft.rfft(samples) * gain ** np.sign(tilt), len(samples))


def speak(
    voice: Voice, sentences: int, seed: int, speaker: int
) -> Iterator[tuple[str, int, np.ndarray]]:
    """All utterances of a speaker: each sentence in each emotion.

    Every utterance has a random generator of its own, and the sentences are synthesised in order,
    so that the first ``n`` sentences are the same whatever the number of sentences.

    Yields:
        emotion, number of the sentence, samples
    """
    for sentence in range(sentences):
        neutral = synthesise(voice.variant, SENTENCES[sentence])
        median = float(call(neutral.to_pitch(), "Get quantile", 0, 0, 0.5, "Hertz"))
        for number, emotion in enumerate(EMOTIONS):
            rng = np.random.default_rng([seed, speaker, number, sentence])
            profile = vary(PROFILES[emotion], rng)
            yield emotion, sentence, colour(neutral, median, voice, profile, rng)


def _envelope(samples: np.ndarray, width: int = 400) -> np.ndarray:
    power = np.cumsum(np.pad(samples**2, (width // 2, width // 2)))
    return np.sqrt((power[width:] - power[:-width]) / width)


def main() -> None:
    """Read one speaker's job as JSON from standard input and write the files it asks for."""
    job = json.load(sys.stdin)
    voice = Voice(**job["voice"])
    for emotion, sentence, samples in speak(voice, job["sentences"], job["seed"], job["speaker"]):
        path = Path(job["folder"]) / f"{job['name']}_{emotion}_{sentence}.wav"
        parselmouth.Sound(samples, SAMPLING_RATE).save(str(path), parselmouth.SoundFileFormat.WAV)


if __name__ == "__main__":
    main()
