"""Reading audio: against scipy, by known answer, and every message."""

import re

import audformat
import audiofile
import numpy as np
import pandas as pd
import pytest
from scipy.io import wavfile

from sercue.audio import audio_digests, read_audio
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError

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
