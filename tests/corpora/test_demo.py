"""The demo corpus: reproducible, balanced, complete or not there at all."""

import hashlib
import json
import subprocess
import sys

import audiofile
import numpy as np
import parselmouth
import pytest

from sercue.corpora import demo, load_corpus, praat_speech
from sercue.errors import InputError
from sercue.storage.files import folder_written_aside


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Six speakers, two sentences, made in a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCUE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load_corpus("demo", speakers=6, sentences=2)


def contents(corpus):
    files = corpus.table.index.get_level_values("file")
    return {file: hashlib.sha256(corpus.path(file).read_bytes()).hexdigest() for file in files}


def test_same_bytes_whatever_the_workers_the_sizes_and_the_order(small, tmp_path, monkeypatch):
    # The synthesiser keeps its state within a process: without a fresh one for every speaker the
    # bytes would depend on who spoke before. One worker and one sentence speak in another order
    # than two workers and two sentences.
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    again = contents(load_corpus("demo", speakers=4, sentences=1, workers=1))
    first = contents(small)
    assert len(again) == 16
    assert again == {file: first[file] for file in again}
    assert len(set(first.values())) == len(first) == 48


def test_another_seed_gives_another_corpus(small, tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    other = contents(load_corpus("demo", speakers=3, sentences=1, seed=1))
    first = contents(small)
    assert all(first[file] != digest for file, digest in other.items())


def test_full_corpus_is_balanced_as_documented():
    table = demo.demo_table(demo.select_speakers(24), 8)
    assert len(table) == 768
    speakers = table.drop_duplicates("speaker").groupby(["partition", "sex"]).size()
    assert speakers.to_dict() == {
        ("train", "female"): 6, ("train", "male"): 6, ("dev", "female"): 2,
        ("dev", "male"): 2, ("test", "female"): 4, ("test", "male"): 4,
    }  # fmt: skip
    cells = table.groupby(["speaker", "emotion"]).size()
    assert len(cells) == 24 * 4
    assert set(cells) == {8}
    # Every speaker says every sentence in every emotion.
    assert set(table.groupby(["speaker", "sentence"]).size()) == {4}


def test_no_voice_is_heard_in_two_partitions():
    # A variant of the synthesiser is a timbre: shared, it would leak from training into test.
    homes = {}
    for speaker in demo.SPEAKERS:
        homes.setdefault(speaker.voice.variant, set()).add(speaker.partition)
    assert all(len(home) == 1 for home in homes.values())
    assert len({(s.voice, s.partition) for s in demo.SPEAKERS}) == 24


@pytest.mark.parametrize("count", range(3, 25))
def test_fewer_speakers_keep_all_partitions_in_proportion(count):
    chosen = demo.select_speakers(count)
    assert len(set(chosen)) == count
    for partition, share in {"train": 12, "dev": 4, "test": 8}.items():
        members = [s for s in chosen if s.partition == partition]
        assert len(members) >= 1
        assert abs(len(members) - count * share / 24) < 1.5
        women = sum(s.sex == "female" for s in members)
        assert abs(women - (len(members) - women)) <= 1


def test_files_are_what_the_protocol_says(small):
    for file in small.table.index.get_level_values("file"):
        path = str(small.path(file))
        assert audiofile.sampling_rate(path) == 16000
        assert audiofile.channels(path) == 1
        assert audiofile.bit_depth(path) == 16
        assert 1 < audiofile.duration(path) < 8
        # Clipping would add harmonics that no profile asks for.
        assert np.mean(np.abs(audiofile.read(path)[0]) > 0.999) < 1e-3
    assert small.synthetic
    assert small.may_share_audio
    assert small.neutral_label == "neutral"


def test_emotions_differ_in_the_published_directions(small):
    # Juslin & Laukka 2003, measured by Praat: sadness softer and lower, anger louder, joy higher
    # than neutral speech of the same speakers and sentences.
    level, pitch = {}, {}
    for (file, _, _), row in small.table.iterrows():
        sound = parselmouth.Sound(str(small.path(file)))
        f0 = sound.to_pitch().selected_array["frequency"]
        level.setdefault(row["emotion"], []).append(sound.get_intensity())
        pitch.setdefault(row["emotion"], []).append(12 * np.log2(np.median(f0[f0 > 0])))
    level, pitch = ({e: np.mean(v) for e, v in d.items()} for d in (level, pitch))
    assert level["sad"] < level["neutral"] < level["happy"] < level["angry"]
    assert pitch["sad"] < pitch["neutral"] < pitch["angry"] < pitch["happy"]


def test_the_widest_range_stays_positive():
    # Praat cannot resynthesise a negative F0; the search limits and the cap must exclude it.
    rng = np.random.default_rng(0)
    drawn = [praat_speech.vary(praat_speech.PROFILES["happy"], rng) for _ in range(2000)]
    lowest = 1 - (1 - praat_speech._SEARCH[0]) * max(p.pitch_range for p in drawn)
    assert lowest > 0
    assert max(abs(p.tilt) for p in drawn) < 1


def test_tilt_is_the_response_of_the_filter_it_names():
    # scipy's frequency response of the first-order filter is the oracle.
    scipy_signal = pytest.importorskip("scipy.signal")
    noise = np.random.default_rng(0).normal(size=1024)
    for tilt, b, a in ((0.4, [1, -0.4], [1]), (-0.4, [1], [1, -0.4])):
        got = np.abs(np.fft.rfft(praat_speech.tilted(noise, tilt)) / np.fft.rfft(noise))
        _, expected = scipy_signal.freqz(b, a, worN=513, include_nyquist=True)
        np.testing.assert_allclose(got, np.abs(expected), rtol=1e-6)


def test_envelope_is_the_moving_root_mean_square():
    samples = np.random.default_rng(0).normal(size=1000)
    envelope = praat_speech._envelope(samples, 100)
    assert len(envelope) == 1000
    assert envelope[500] == pytest.approx(np.sqrt(np.mean(samples[451:551] ** 2)))


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_record_speaker", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_corpus("demo", speakers=3, sentences=1)
    assert list((tmp_path / "demo").iterdir()) == []


def test_a_build_that_finished_meanwhile_is_kept(small, tmp_path):
    # Two processes may make the same corpus at once: the second finds it in place.
    before = contents(small)
    with folder_written_aside(small.root, lambda root: demo._complete(root, small.table)) as aside:
        (aside / "wav").mkdir()
    assert contents(small) == before


def test_a_corpus_with_a_file_gone_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    corpus = load_corpus("demo", speakers=3, sentences=1)
    before = contents(corpus)
    corpus.path(corpus.table.index[0][0]).unlink()
    assert contents(load_corpus("demo", speakers=3, sentences=1)) == before


def test_a_failing_voice_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path))
    monkeypatch.setattr(praat_speech, "__file__", str(tmp_path / "nothing.py"))
    with pytest.raises(RuntimeError, match="speaker f01 failed"):
        load_corpus("demo", speakers=3, sentences=1, workers=1)


def test_the_voice_program_needs_no_package(tmp_path):
    # It runs once a speaker: importing pandas and the like each time would double the wait.
    code = (
        f"import sys, runpy; runpy.run_path({praat_speech.__file__!r}, run_name='voice');"
        "import json; print(json.dumps(sorted(m.split('.')[0] for m in sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "audformat", "scipy", "sercue"} & set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speakers": 2}, "corpus_options: speakers: found 2; .*greater than or equal to 3"),
        ({"speakers": 25}, "speakers: found 25; .*less than or equal to 24"),
        ({"sentences": 0}, "sentences: found 0; .*greater than or equal to 1"),
        ({"sentences": 2.5}, "sentences: found 2.5; .*valid integer"),
        ({"seed": -1}, "seed: found -1, valid are whole numbers from 0 on"),
    ],
)
def test_invalid_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        load_corpus("demo", **options)
