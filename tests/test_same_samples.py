"""What openSMILE measures is what the model hears: the same samples, whatever the file is like."""

import audformat
import numpy as np
import pandas as pd
import pytest
import soundfile
from bad_audio import voice

from sercue import features as features_module
from sercue.corpora.corpus import Corpus
from sercue.corpora.inspection import inspect_audio
from sercue.features import extract_features
from sercue.study import run_study

CONCEPTS = ["energy", "pitch"]


class Listener:
    """A model that keeps what it hears."""

    name = identity = "listener"
    device, dtype, batch_size, sampling_rate, max_seconds = "cpu", "float32", 8, 16000, np.inf

    def __init__(self):
        self.heard = []

    def score(self, audios, prompts, labels):
        self.heard += list(audios)
        return [np.zeros((len(texts), len(labels))) for texts in prompts]


class Smile:
    """openSMILE itself; it keeps what it measures."""

    def __init__(self, smile):
        self.smile, self.measured = smile, []
        self.columns = smile.columns

    def __call__(self, signal, rate):
        assert rate == 16000
        self.measured.append(signal)
        return self.smile(signal, rate)


@pytest.fixture
def both(tmp_path, monkeypatch):
    """What openSMILE and the model get of a corpus, one pair an utterance."""

    def listen(corpus):
        smile, model = Smile(features_module.Extractor()), Listener()
        monkeypatch.setattr(features_module, "Extractor", lambda: smile)
        extract_features(corpus, cache=tmp_path / "cache", workers=1, progress=False)
        tokens = pd.DataFrame("mid", index=corpus.table.index, columns=CONCEPTS)
        run_study(corpus, tokens, model, conditions=["none"], templates=["plain"], progress=False)
        return list(zip(smile.measured, model.heard, strict=True))

    return listen


def corpus_of(folder, file, segments, channel=None):
    starts, ends = zip(*segments, strict=True)
    index = audformat.segmented_index([file] * len(segments), starts, ends)
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "test"}, index=index)
    return Corpus("segments", folder, table, ("a", "b"), None, "none", channel=channel)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff"])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_segments_of_any_format_and_rate(both, tmp_path, suffix, rate):
    file = f"dialogue{suffix}"
    # Opus knows no 44.1 kHz.
    rate = 48000 if (suffix, rate) == (".opus", 44100) else rate
    coding = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    soundfile.write(tmp_path / file, voice(3, rate), rate, **coding)
    corpus = corpus_of(tmp_path, file, [("0s", "1s"), ("1.25s", "2s"), ("2s", pd.NaT)])
    assert (inspect_audio(corpus, cache=tmp_path / "facts")["problem"] == "").all()
    pairs = both(corpus)
    for (measured, heard), seconds in zip(pairs, (1, 0.75, 1), strict=True):
        np.testing.assert_array_equal(measured, heard)
        # MP3 and Ogg may pad; a tenth of a second of it would be another utterance.
        assert len(heard) / 16000 == pytest.approx(seconds, abs=0.06)
    # The middle of the first segment is the buzz that was written, in spite of any coding.
    expected = voice(3, 16000)[4000:12000]
    assert np.corrcoef(pairs[0][0][4000:12000], expected)[0, 1] > 0.9


@pytest.mark.parametrize(("channel", "expected"), [(None, 1.5), (0, 1.0), (1, 2.0)])
def test_one_channel_or_the_mean_of_all(both, tmp_path, channel, expected):
    """The right one is twice as loud as the left one, so that the mean is one and a half."""
    left = 0.3 * voice(1)
    soundfile.write(tmp_path / "both.wav", np.stack([left, 2 * left], axis=1), 16000)
    corpus = corpus_of(tmp_path, "both.wav", [("0s", pd.NaT)], channel)
    ((measured, heard),) = both(corpus)
    np.testing.assert_array_equal(measured, heard)
    np.testing.assert_allclose(heard, expected * left, atol=1e-4)


def test_another_channel_is_measured_again(both, tmp_path):
    """The cache must not hand the functionals of one channel to the other."""
    left = 0.3 * voice(1)
    soundfile.write(tmp_path / "both.wav", np.stack([left, 2 * left], axis=1), 16000)
    first, second = (
        extract_features(
            corpus_of(tmp_path, "both.wav", [("0s", pd.NaT)], channel),
            cache=tmp_path / "cache",
            progress=False,
        )
        for channel in (0, 1)
    )
    change = (second - first)["equivalentSoundLevel_dBp"].item()
    assert change == pytest.approx(20 * np.log10(2), abs=0.05)
