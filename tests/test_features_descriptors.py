"""Means of the low-level descriptors: openSMILE's own frames as oracle, one pass, one cache."""

import audformat
import audiofile
import numpy as np
import opensmile
import pandas as pd
import pytest
from opensmile.core.lib import OpenSMILE

from sercue import features as module
from sercue.corpora import load_corpus
from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import Corpus
from sercue.corpora.recordings import Recording
from sercue.errors import InputError
from sercue.features import (
    descriptor_columns,
    extract_descriptors,
    extract_features,
    functionals,
    missing_reasons,
)

F0 = "F0semitoneFrom27.5Hz_sma3nz"
RATE = 16000


def complex_tone(pitch, seconds):
    """Harmonics of a fundamental in Hz, weaker the higher they are, as a voice has them."""
    time = np.arange(round(seconds * RATE)) / RATE
    return 0.05 * sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 20))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A tone of 220 Hz with as long a pause, noise, and 50 ms of noise."""
    root = tmp_path_factory.mktemp("audio")
    noise = np.random.default_rng(0).normal(0, 0.05, RATE)
    tone = np.concatenate([complex_tone(220, 1), np.zeros(RATE)])
    signals = {"tone.wav": tone, "noise.wav": noise, "blip.wav": noise[: RATE // 20]}
    for name, signal in signals.items():
        audiofile.write(str(root / name), signal.astype("float32"), RATE)
    index = audformat.segmented_index(list(signals))
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index)
    return Corpus("made", root, table, ("a",), None, "none")


@pytest.fixture(scope="module")
def cache_of_all(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def descriptors(corpus, cache_of_all):
    with pytest.warns(UserWarning, match="too short"):
        return extract_descriptors(corpus, cache=cache_of_all, progress=False)


@pytest.fixture
def worked(monkeypatch):
    """How often a recording was opened to be decoded, and how often openSMILE ran."""
    counts = {"opened": 0, "ran": 0}

    def counting(real, name):
        def count(*args, **kwargs):
            counts[name] += 1
            return real(*args, **kwargs)

        return count

    monkeypatch.setattr(Recording, "__init__", counting(Recording.__init__, "opened"))
    monkeypatch.setattr(OpenSMILE, "run", counting(OpenSMILE.run, "ran"))
    return counts


def frames_of(samples):
    smile = opensmile.Smile(
        opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.LowLevelDescriptors
    )
    return smile.process_signal(samples, RATE).astype(float)


def by_hand(samples):
    """The same from the frames that openSMILE's Python package writes."""
    frames = frames_of(samples)
    voiced = frames[frames[F0] > 0]
    return pd.concat(
        [
            frames.mean().rename("mean({})".format),
            voiced.mean().rename("voiced_mean({})".format),
            pd.Series({"voiced_share": len(voiced) / len(frames), "voiced_frames": len(voiced)}),
        ]
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Three of the demo's utterances."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCUE_CACHE", str(tmp_path_factory.mktemp("demo")))
        whole = load_corpus("demo", speakers=3, sentences=1)
        yield whole.with_table(whole.table.iloc[[0, 5, 11]])


def test_values_are_means_of_opensmile_s_own_frames(demo, tmp_path):
    found = extract_descriptors(demo, cache=tmp_path, progress=False)
    assert found.index.equals(demo.table.index)
    assert set(found.dtypes.astype(str)) == {"float64"}
    for key, row in found.iterrows():
        expected = by_hand(read_utterance(demo, key))
        assert list(row.index) == list(expected.index) == descriptor_columns()
        assert 0 < row["voiced_share"] < 1
        np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-12)


def test_functionals_are_bit_for_bit_those_of_opensmile(demo, tmp_path):
    """One level per pass or two: the same samples give the same functionals."""
    found = extract_features(demo, cache=tmp_path, progress=False)
    smile = functionals()
    assert list(found) == list(smile.feature_names)
    expected = [smile(read_utterance(demo, key), RATE).ravel() for key in demo.table.index]
    np.testing.assert_array_equal(found, np.array(expected, dtype=float))


def test_functionals_of_what_has_no_voice_or_no_length_are_those_of_opensmile(
    corpus, descriptors, cache_of_all
):
    found = extract_features(corpus, cache=cache_of_all, progress=False)
    smile = functionals()
    with pytest.warns(UserWarning, match="too short"):
        expected = [smile(read_utterance(corpus, key), RATE).ravel() for key in corpus.table.index]
    np.testing.assert_array_equal(found, np.array(expected, dtype=float))


def test_pitch_of_a_known_tone_is_that_of_its_voiced_half(descriptors):
    """220 Hz are three octaves, 36 semitones, above 27.5 Hz; half of the frames are a pause."""
    tone = descriptors.iloc[0]
    assert tone[f"voiced_mean({F0})"] == pytest.approx(36, abs=0.1)
    assert tone["voiced_share"] == pytest.approx(0.5, abs=0.05)
    assert tone[f"mean({F0})"] == pytest.approx(36 * tone["voiced_share"], abs=0.1)
    # A frame every 10 ms.
    assert tone["voiced_frames"] == pytest.approx(100, abs=10)


def test_without_a_voiced_frame_there_is_no_voiced_mean(descriptors):
    noise = descriptors.iloc[1]
    assert noise["voiced_share"] == noise["voiced_frames"] == noise[f"mean({F0})"] == 0
    assert noise.filter(like="voiced_mean(").isna().all()
    assert noise.filter(regex=r"^mean\(").notna().all()
    assert noise["mean(Loudness_sma3)"] > 0


def test_what_is_too_short_is_missing_whole(descriptors):
    assert descriptors.iloc[2].isna().all()


def test_reasons_tell_no_voice_from_too_short(descriptors):
    reasons = missing_reasons(descriptors)
    assert (reasons.iloc[0] == "").all()
    unvoiced = reasons.columns.str.startswith("voiced_mean(")
    assert reasons.iloc[1].tolist() == np.where(unvoiced, "no voiced frame", "").tolist()
    assert set(reasons.iloc[2]) == {"shorter than 0.06 s"}


@pytest.mark.parametrize(
    ("first", "second"),
    [(extract_descriptors, extract_features), (extract_features, extract_descriptors)],
)
def test_each_recording_is_decoded_and_measured_once_for_both(
    demo, tmp_path, worked, first, second
):
    first(demo, cache=tmp_path, progress=False)
    assert worked == {"opened": 3, "ran": 3}
    second(demo, cache=tmp_path, progress=False)
    assert len(first(demo, cache=tmp_path, progress=False)) == 3
    assert worked == {"opened": 3, "ran": 3}


def test_rows_of_functionals_alone_are_made_again(demo, tmp_path, worked, caplog):
    """What an older version cached lacks the descriptors, wherever it lies."""
    expected = extract_descriptors(demo, cache=tmp_path, progress=False)
    (part,) = tmp_path.rglob("part-*.parquet")
    old = pd.read_parquet(part)[functionals().feature_names].astype("float32")
    old.attrs = {"sercue": {"schema": {"kind": "cached features", "version": 1}}}
    old.to_parquet(part)
    found = extract_descriptors(demo, cache=tmp_path, progress=False)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert worked["ran"] == 6
    assert "no column 'voiced_share'" in caplog.text


def test_opensmile_failing_on_its_way_names_the_recording(demo, tmp_path, monkeypatch):
    missing = module.config.EXTERNAL_OUTPUT_MULTI_CONFIG + ".none"
    monkeypatch.setattr(module.config, "EXTERNAL_OUTPUT_MULTI_CONFIG", missing)
    with pytest.raises(InputError, match=r"3 recordings cannot be .*\n.*openSMILE cannot"):
        extract_descriptors(demo, cache=tmp_path, progress=False)
