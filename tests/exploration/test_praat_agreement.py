"""Agreement with Praat: sounds of known pitch and formants, and arithmetic by hand."""

import sys

import audformat
import audiofile
import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.features import extract_features
from sercue.statistics.praat_agreement import (
    MEASURES,
    measured_by_praat,
    praat_agreement,
    praat_pairs,
)

RATE = 16000


def vowel(f0, formants=(700, 1220, 2600, 3500, 4500), seconds=1.0):
    """A train of pulses through resonators: pitch and formants are what was put in."""
    signal = np.zeros(int(seconds * RATE))
    signal[:: round(RATE / f0)] = 1
    for frequency in formants:
        radius = np.exp(-np.pi * 80 / RATE)
        pole = 2 * radius * np.cos(2 * np.pi * frequency / RATE)
        signal = lfilter([1], [1, -pole, radius**2], signal)
    return 0.3 * signal / np.abs(signal).max()


@pytest.mark.parametrize("f0", [100, 200, 320])
def test_praat_finds_the_pitch_that_was_made(f0):
    """In semitones above 27.5 Hz, to a tenth: pulses lie on whole samples."""
    period = RATE / round(RATE / f0)
    assert measured_by_praat(vowel(f0))["F0"] == pytest.approx(12 * np.log2(period / 27.5), abs=0.1)


def test_pitch_is_that_of_the_voiced_frames():
    """Of a vowel and as much silence again on both sides, it is that of the vowel."""
    silence = np.zeros(RATE)
    found = measured_by_praat(np.concatenate([silence, vowel(100), silence]))
    assert found["F0"] == pytest.approx(12 * np.log2(100 / 27.5), abs=0.1)


def test_praat_finds_the_formants_that_were_made():
    """The resonators' frequencies, to 8 % (linear prediction is drawn to harmonics)."""
    found = measured_by_praat(vowel(100))
    np.testing.assert_allclose([found[f"F{n}"] for n in (1, 2, 3)], [700, 1220, 2600], rtol=0.08)


def test_hnr_falls_with_noise():
    """A periodic sound with noise at 10 dB below it has an HNR of 10 dB."""
    tone = sum(np.sin(2 * np.pi * 200 * k * np.arange(RATE) / RATE) / k for k in range(1, 20))
    noise = np.random.default_rng(0).normal(0, tone.std() * 10**-0.5, RATE)
    assert measured_by_praat(0.1 * (tone + noise))["HNR"] == pytest.approx(10, abs=0.8)


@pytest.mark.parametrize(
    "signal",
    [np.zeros(RATE), 0.05 * np.random.default_rng(1).normal(size=RATE), np.ones(100)],
    ids=["silence", "noise", "too short"],
)
def test_without_voice_nothing_is_made_up(signal):
    assert np.isnan(list(measured_by_praat(signal).values())).all()


def test_the_two_programs_agree_on_known_vowels(tmp_path, monkeypatch):
    """Eight pulse trains between 100 and 320 Hz: the same F0, the same order, no gross error."""
    names = [f"{f0}.wav" for f0 in (100, 125, 160, 180, 200, 250, 280, 320)]
    for name in names:
        samples = vowel(int(name[:3])).astype("float32")
        audiofile.write(str(tmp_path / name), samples, RATE)
    index = audformat.segmented_index(names)
    columns = {"emotion": "angry", "speaker": list("aabbccdd"), "partition": "train"}
    corpus = Corpus("made", tmp_path, pd.DataFrame(columns, index), ("angry",), None, "none")
    features = extract_features(corpus, cache=tmp_path / "cache", progress=False)
    pairs = praat_pairs(features, corpus, cache=tmp_path)
    assert len(pairs) == 8 * len(MEASURES)
    found = praat_agreement(pairs).loc["F0"]
    assert found["rank_correlation"] == pytest.approx(1)
    assert abs(found["bias"]) < 0.3
    assert found["gross"] == 0
    # What was measured is not measured again.
    module = sys.modules["sercue.statistics.praat_agreement"]
    monkeypatch.setattr(module, "side_by_side", lambda *_: pytest.fail("measured again"))
    again = praat_pairs(features, corpus, utterances=3, cache=tmp_path)
    assert len(again) == 3 * len(MEASURES)
    assert len(again.merge(pairs)) == len(again)


def pairs_of(measure, opensmile, praat):
    table = pd.DataFrame({"opensmile": opensmile, "praat": praat})
    return table.assign(measure=measure, utterance=range(len(table)))


def test_bias_and_limits_by_hand():
    """Differences 1, -1, 0, 4: mean 1, standard deviation sqrt(14 / 3)."""
    table = praat_agreement(pairs_of("F0", [11, 19, 30, 44], [10.0, 20, 30, 40]))
    half = 1.96 * np.sqrt(14 / 3)
    assert table.loc["F0", ["bias", "low", "high"]].tolist() == pytest.approx(
        [1, 1 - half, 1 + half]
    )


def test_octave_jumps_are_gross_errors():
    """12 semitones are one; 5.9 are not; 31 % of a formant is, 29 % is not."""
    pitch = praat_agreement(pairs_of("F0", [32, 25.9, 20, 20], [20.0, 20, 20.1, 32]))
    assert pitch.loc["F0", "gross"] == 0.5
    formant = praat_agreement(pairs_of("F1", [655, 645, 345, 500], [500.0] * 4))
    assert formant.loc["F1", "gross"] == 0.5


def test_hnr_has_no_bias_because_it_has_no_common_scale():
    """A saturating scale keeps the ranks; a bias in dB would say nothing."""
    praat = np.array([0.0, 5, 10, 15, 20])
    found = praat_agreement(pairs_of("HNR", 10 * np.tanh(praat / 10), praat)).loc["HNR"]
    assert found[["bias", "low", "high", "gross"]].isna().all()
    assert found["rank_correlation"] == pytest.approx(1)


def test_what_one_program_misses_is_counted_apart():
    """No voiced frame in one of two programs is neither agreement nor a difference."""
    table = praat_agreement(
        pairs_of("F0", [10, np.nan, 30, np.nan, 12], [10.0, 20, np.nan, np.nan, 11])
    )
    assert table.loc["F0", ["utterances", "one_only"]].tolist() == [2, 2]


def test_praat_failing_in_any_way_names_the_recording(tmp_path, monkeypatch):
    audiofile.write(str(tmp_path / "a.wav"), vowel(120), RATE)
    index = audformat.segmented_index(["a.wav"])
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index=index)
    corpus = Corpus("one", tmp_path, table, ("a",), None, "none")

    def fails(*_):
        raise KeyError("odd")

    # A function of the package bears the module's name.
    module = sys.modules["sercue.statistics.praat_agreement"]
    monkeypatch.setattr(module, "measured_by_praat", fails)
    with pytest.raises(InputError, match=r"a\.wav: Praat cannot measure it"):
        module._measured(corpus, index[0])
