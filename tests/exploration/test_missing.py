"""What openSMILE cannot measure is named with its reason: on recordings made for each."""

from dataclasses import replace

import audformat
import audiofile
import numpy as np
import opensmile
import pandas as pd
import pytest

from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import Corpus
from sercue.features import extract_all, extract_features, missing_functionals, missing_reasons
from sercue.tokens.schemes import read_scheme

F0 = "F0semitoneFrom27.5Hz_sma3nz_percentile50.0"
LEVEL = "equivalentSoundLevel_dBp"
SERCUE = read_scheme("sercue").concepts
PAPER = read_scheme("paper").concepts
FEW = "1 to 9 voiced frames (values are kept)"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A vowel that glides up and down, noise, and 50 ms of noise."""
    root = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    time = np.arange(32000) / 16000
    phase = 2 * np.pi * np.cumsum(150 + 40 * np.sin(2 * np.pi * 1.5 * time)) / 16000
    vowel = sum(np.sin(k * phase) / k for k in range(1, 20))
    noise = rng.normal(size=16000)
    for name, signal in (("vowel", vowel), ("noise", noise), ("blip", noise[:800])):
        audiofile.write(str(root / f"{name}.wav"), (0.05 * signal).astype("float32"), 16000)
    index = audformat.segmented_index(["vowel.wav", "noise.wav", "blip.wav"])
    emotion = ["angry", "angry", "neutral"]
    table = pd.DataFrame({"emotion": emotion, "speaker": "s", "partition": "train"}, index)
    return Corpus("made", root, table, ("angry", "neutral"), "neutral", "none")


@pytest.fixture(scope="module")
def features(corpus, tmp_path_factory):
    with pytest.warns(UserWarning, match="too short"):
        return extract_features(corpus, cache=tmp_path_factory.mktemp("cache"), progress=False)


def test_each_recording_lacks_what_it_must(features):
    """A vowel lacks nothing; noise has no voice but a level; a blip has nothing at all."""
    vowel, noise, blip = missing_reasons(features).to_numpy()
    reasons = missing_reasons(features)
    assert set(vowel) <= {"", "no slope (0 is kept)"}
    assert reasons[F0].tolist() == ["", "no voiced frame", "shorter than 0.06 s"]
    assert reasons[LEVEL].tolist() == ["", "", "shorter than 0.06 s"]
    assert {"", "no voiced frame"} <= set(noise)
    assert set(blip) == {"shorter than 0.06 s"}


def test_shares_are_of_all_and_of_each_emotion(features, corpus):
    """Two of three lack something: one of two angry, the one that is neutral."""
    table = missing_functionals(features, corpus, SERCUE)
    assert table.loc["any", ["utterances", "angry", "neutral"]].tolist() == [2, 0.5, 1.0]
    assert table.loc["any", "share"] == pytest.approx(2 / 3)
    voice = table.loc["no voiced frame"]
    assert voice["utterances"] == 1
    assert "pitch" in voice["concepts"]
    assert "energy" not in voice["concepts"]
    assert table.loc["shorter than 0.06 s", "functionals"] == 88


def test_a_kept_zero_is_not_missing():
    """A flat slope of 0 and an infinite level: only the second makes a token unknown."""
    index = audformat.segmented_index(["a.wav", "b.wav"])
    table = pd.DataFrame({"emotion": "angry", "speaker": "s", "partition": "train"}, index)
    corpus = Corpus("made", ".", table, ("angry",), None, "none")
    slope = "loudness_sma3_meanRisingSlope"
    features = pd.DataFrame({slope: [0.0, 1.0], LEVEL: [-20.0, -np.inf]}, index)
    found = missing_functionals(features, corpus, SERCUE)
    assert found["utterances"].to_dict() == {
        "any": 1,
        "infinite level (digital silence)": 1,
        "no slope (0 is kept)": 1,
    }
    assert found["concepts"].tolist() == ["energy", "energy", ""]


@pytest.fixture(scope="module")
def hardly_voiced(tmp_path_factory):
    """60 ms and 150 ms of a vowel in a second of faint noise, and noise alone."""
    root = tmp_path_factory.mktemp("grunts")
    rng = np.random.default_rng(0)
    vowel = sum(np.sin(2 * np.pi * 150 * k * np.arange(2400) / 16000) / k for k in range(1, 20))
    for name, samples in (("grunt", 960), ("word", 2400), ("noise", 0)):
        signal = 0.01 * rng.normal(size=16000)
        signal[4000 : 4000 + samples] += 0.3 * vowel[:samples]
        audiofile.write(str(root / f"{name}.wav"), signal.astype("float32"), 16000)
    index = audformat.segmented_index(["grunt.wav", "word.wav", "noise.wav"])
    emotion = ["angry", "angry", "neutral"]
    table = pd.DataFrame({"emotion": emotion, "speaker": "s", "partition": "train"}, index)
    corpus = Corpus("made", root, table, ("angry", "neutral"), "neutral", "none")
    return corpus, extract_all(corpus, cache=root / "cache", progress=False)


def test_utterances_of_few_voiced_frames_have_a_row_of_their_own(hardly_voiced):
    """Ten frames or more of openSMILE's own with F0 > 0 are enough; none at all is another row."""
    corpus, measured = hardly_voiced
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors
    )
    frames = [smile.process_signal(read_utterance(corpus, key), 16000) for key in measured.index]
    voiced = [int((one["F0semitoneFrom27.5Hz_sma3nz"] > 0).sum()) for one in frames]
    assert [1 <= number <= 9 for number in voiced] == [True, False, False]
    assert measured["voiced_frames"].tolist() == voiced
    table = missing_functionals(measured, corpus, PAPER)
    assert table.loc[FEW, ["utterances", "angry", "neutral"]].tolist() == [1, 0.5, 0.0]
    assert table.loc[FEW, "functionals"] == table.loc["no voiced frame", "functionals"]
    assert table.loc["any", "utterances"] == 1
    assert FEW not in missing_functionals(measured.iloc[1:], corpus, PAPER).index


def test_a_rule_for_speech_without_voice_leaves_no_unknown_token(hardly_voiced):
    """The paper's voice quality of noise is UNVOICED; without that rule it is unknown."""
    corpus, measured = hardly_voiced
    found = missing_functionals(measured, corpus, PAPER).loc["no voiced frame", "concepts"]
    assert found == "PITCH, BRIGHTNESS, FORMANTS"
    quality = PAPER[-1]
    rules = {word: rule for word, rule in quality.rules.items() if word != "UNVOICED"}
    unruled = [replace(quality, rules=rules)]
    table = missing_functionals(measured, corpus, unruled)
    assert table.loc["no voiced frame", "concepts"] == "VOICE_QUALITY"
