"""Reading audio: against scipy, by known answer, and every message."""

import pickle
import re
import tracemalloc

import audformat
import audiofile
import numpy as np
import pandas as pd
import pytest
import soundfile
from bad_audio import voice
from scipy.io import wavfile

from sercue.corpora import recordings
from sercue.corpora.audio import FULL_SCALE, LARGEST, audio_digests, read_audio, utterance_seconds
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.features import functionals
from sercue.models import cards as asked

RATE = 16000


def tone(seconds=1.0, hertz=440.0, rate=RATE, amplitude=0.5):
    time = np.arange(int(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype("float32")


def corpus_of(root, keys):
    files, starts, ends = zip(*keys, strict=True)
    index = audformat.segmented_index(files, pd.to_timedelta(starts), pd.to_timedelta(ends))
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index=index)
    return Corpus("x", root, table, ("a",), None, "none")


def test_samples_are_those_that_another_reader_sees(tmp_path):
    path = tmp_path / "a.wav"
    audiofile.write(str(path), tone(), RATE, bit_depth=16)
    _, pcm = wavfile.read(path)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert samples.shape == (RATE,)
    np.testing.assert_allclose(samples, pcm / 2**15, atol=1e-7)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "a.wav"
    audiofile.write(str(path), np.stack([tone(), -tone(amplitude=0.25)]), RATE, bit_depth=16)
    np.testing.assert_allclose(read_audio(path), tone(amplitude=0.125), atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_time_frequency_and_level(tmp_path, rate):
    # The same tone sampled at the target rate is the answer; the ends ring, so they are left out.
    path = tmp_path / "a.wav"
    audiofile.write(str(path), tone(rate=rate), rate, bit_depth=16)
    samples = read_audio(path)
    assert abs(len(samples) - RATE) <= 1
    inner = slice(2000, 14000)
    np.testing.assert_allclose(samples[inner], tone()[inner], atol=5e-3)


def test_a_segment_is_cut_in_seconds(tmp_path):
    path = tmp_path / "a.wav"
    audiofile.write(str(path), tone(), RATE, bit_depth=16)
    whole = read_audio(path)
    np.testing.assert_array_equal(read_audio(path, 0.25, 0.5), whole[4000:8000])
    np.testing.assert_array_equal(read_audio(path, 0.75), whole[12000:])
    np.testing.assert_array_equal(read_audio(path, 0, 0.5), whole[:8000])
    # Annotations that end a little after the recording are common; there is nothing to add.
    np.testing.assert_array_equal(read_audio(path, 0.5, 1.2), whole[8000:])


def test_everything_unusable_is_named_with_its_reason(tmp_path):
    audiofile.write(str(tmp_path / "short.wav"), tone(0.1), RATE)
    audiofile.write(str(tmp_path / "none.wav"), np.zeros((1, 0), "float32"), RATE)
    wavfile.write(tmp_path / "nan.wav", RATE, np.array([0, np.nan, 1], "float32"))
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("this is not audio")
    for name, arguments, reason in [
        ("nowhere.wav", (), "no such audio file"),
        ("none.wav", (), "holds no samples"),
        ("empty.wav", (), "cannot be read as audio|holds no samples"),
        ("text.wav", (), "cannot be read as audio"),
        ("nan.wav", (), "not finite"),
        ("short.wav", (5.0, 6.0), "holds no samples from 5 s to 6 s"),
        ("short.wav", (5.0,), "holds no samples from 5 s to the end"),
        ("short.wav", (0.5, 0.2), "no segment goes from 0.5 to 0.2 s"),
        ("short.wav", (-1.0,), "no segment goes from -1"),
        ("short.wav", (float("nan"),), "no segment goes from nan"),
        ("short.wav", (0.0, float("inf")), "no segment goes from 0 to inf"),
        ("short.wav", (0.0, None, RATE, -1), "channel: found -1, valid are 0 to 0"),
    ]:
        with pytest.raises(InputError, match=rf"{re.escape(name)}: .*({reason})"):
            read_audio(tmp_path / name, *arguments)


def test_digests_follow_the_content_not_the_name(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"one")
    (tmp_path / "b.wav").write_bytes(b"one")
    (tmp_path / "c.wav").write_bytes(b"two")
    keys = [
        ("a.wav", "0s", "NaT"), ("b.wav", "0s", "NaT"), ("c.wav", "0s", "NaT"),
        ("a.wav", "1s", "2s"), ("b.wav", "1s", "2s"), ("a.wav", "1s", "3s"), ("a.wav", "0s", "2s"),
        ("a.wav", "1s", "NaT"),
    ]  # fmt: skip
    corpus = corpus_of(tmp_path, keys)
    digests = audio_digests(corpus)
    assert digests.index.equals(corpus.table.index)
    assert digests.str.fullmatch("[0-9a-f]{32}").all()
    # sha256 of "one", by the command line tool sha256sum.
    assert digests.iloc[0] == "7692c3ad3540bb803c020b3aee66cd88"
    a, b, c, cut, cut_copy, *others = digests
    assert a == b
    assert cut == cut_copy
    assert len({a, c, cut, *others}) == 6


def test_a_digest_of_a_missing_file_names_it(tmp_path):
    with pytest.raises(InputError, match=r"gone\.wav: cannot be read"):
        audio_digests(corpus_of(tmp_path, [("gone.wav", "0s", "NaT")]))


def test_samples_above_full_scale_are_limited_to_what_16_bits_hold(tmp_path):
    """The most that openSMILE's cast to 16 bits does not wrap around is 32767 of 32768."""
    samples = tone(amplitude=1.5)
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    expected = np.clip(samples, -1, 32767 / 32768)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), expected.astype("float32"))
    assert FULL_SCALE == 32767 / 32768


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_clipped_recording_sounds_to_opensmile_as_a_softer_one(tmp_path, rate):
    """HNR, jitter and F0 have no scale: they are those of the same recording at 0.8 of it.

    Resampling overshoots, and without a limit the overshoots change their sign in openSMILE.
    """
    loud = np.clip(8 * voice(rate=rate), -1, 1)
    scale_free = [
        "HNRdBACF_sma3nz_amean", "F0semitoneFrom27.5Hz_sma3nz_amean", "jitterLocal_sma3nz_amean"
    ]  # fmt: skip
    measured = []
    smile = functionals()
    for file, factor in (("loud.wav", 1.0), ("soft.wav", 0.8)):
        soundfile.write(tmp_path / file, factor * loud, rate, subtype="FLOAT")
        values = smile(read_audio(tmp_path / file), RATE).ravel()
        measured.append(dict(zip(smile.feature_names, values, strict=True)))
    for name in scale_free:
        assert measured[0][name] == pytest.approx(measured[1][name], rel=0.02, abs=0.001), name


def test_what_is_scaled_otherwise_is_refused(tmp_path):
    """16-bit integers that were written as floats."""
    soundfile.write(tmp_path / "a.wav", tone() * 2**15, RATE, subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav: its samples go up to 16,384; full scale"):
        read_audio(tmp_path / "a.wav")


def test_readers_and_models_refuse_the_same_samples():
    """What only computes cannot import the reader of audio, and has the limit a second time."""
    assert asked._LARGEST == LARGEST


def test_silent_channels_are_left_out_of_the_mean(tmp_path):
    """Neither digital silence nor the hum of an open input halves the level of the others."""
    hum = 1e-4 * tone(hertz=50)
    for name, channels, expected in [
        ("half", [tone(), 0 * tone()], tone()),
        ("hum", [hum, tone(), tone(amplitude=0.25)], tone(amplitude=0.375)),
        ("none", [hum, 3 * hum], 2 * hum),
    ]:
        soundfile.write(tmp_path / f"{name}.wav", np.stack(channels, 1), RATE, subtype="FLOAT")
        np.testing.assert_allclose(read_audio(tmp_path / f"{name}.wav"), expected, atol=1e-7)
    # In a segment where the other one speaks, a channel may be silent as well.
    turns = np.stack([np.r_[tone(), 0 * tone()], np.r_[0 * tone(), tone(hertz=300)]], 1)
    soundfile.write(tmp_path / "turns.wav", turns, RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "turns.wav", 0, 1), tone(), atol=1e-7)


@pytest.mark.parametrize("channel", [None, 1])
def test_blocks_are_put_together_as_they_lie_in_the_file(tmp_path, monkeypatch, channel):
    monkeypatch.setattr(recordings, "_BLOCK", 2000)
    samples = np.stack([voice(1.3, seed=n) for n in range(3)], 1).astype("float32")
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    expected = samples.mean(axis=1) if channel is None else samples[:, channel]
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", channel=channel), expected, atol=1e-7)
    part = read_audio(tmp_path / "a.wav", 0.2, 1.1, channel=channel)
    np.testing.assert_allclose(part, expected[3200:17600], atol=1e-7)


def test_of_many_channels_no_more_than_the_mean_is_held(tmp_path):
    """30 minutes of 8 channels took 3.8 GB. Here 20 s: 31 MB of floats, the mean is 4 MB."""
    rate, size = 48000, 20 * 48000
    noise = np.random.default_rng(0).normal(0, 0.1, (size, 8)).astype("float32")
    soundfile.write(tmp_path / "a.wav", noise, rate)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr(recordings, "_BLOCK", 2**16)
        tracemalloc.start()
        read_audio(tmp_path / "a.wav")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < noise.nbytes / 2


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32", "IMA_ADPCM", "ULAW"])
def test_segments_of_telephone_codecs_are_those_of_the_whole(tmp_path, subtype):
    """Some cannot be sought in; soundfile itself reads all of them from their start."""
    path = tmp_path / "a.wav"
    soundfile.write(path, voice(2, 8000), 8000, subtype=subtype)
    whole, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read_audio(path, sampling_rate=8000), whole)
    part = read_audio(path, 0.5, 1.25, sampling_rate=8000)
    np.testing.assert_array_equal(part, whole[4000:10000])
    corpus = corpus_of(tmp_path, [("a.wav", "0s", "NaT")])
    assert utterance_seconds(corpus, corpus.table.index[0]) == len(whole) / 8000


class Odd(Exception):
    """Of no type that a library has documented."""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("soundfile.SoundFile", r"a\.wav: cannot be read as audio \(first line\)"),
        ("soundfile.SoundFile.read", r"a\.wav: cannot be read as audio \(first line\)"),
        ("audresample.resample", r"a\.wav: cannot be resampled from .* \(first line\)"),
    ],
)
def test_whatever_a_library_raises_names_the_file_in_one_line(tmp_path, monkeypatch, call, message):
    soundfile.write(tmp_path / "a.wav", tone(), RATE)

    def fails(*_, **__):
        raise Odd("first line\nsecond line")

    monkeypatch.setattr(call, fails)
    with pytest.raises(InputError, match=rf"^[^\n]*{message}$") as found:
        read_audio(tmp_path / "a.wav")
    assert isinstance(found.value.__cause__, Odd)
    # As it comes back from another process.
    assert str(pickle.loads(pickle.dumps(found.value))) == str(found.value)
