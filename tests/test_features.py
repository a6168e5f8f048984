"""eGeMAPS functionals: openSMILE's own reading and Praat as oracles, and the cache."""

import os
import shutil
from pathlib import Path

import audformat
import audiofile
import numpy as np
import pandas as pd
import parselmouth
import pytest

from sercue import features as module
from sercue.corpora import load_corpus
from sercue.corpora.audio import read_audio
from sercue.corpora.corpus import Corpus
from sercue.errors import InputError
from sercue.features import extract_all, extract_features, extract_heard, functionals

CHECKOUT = Path(__file__).resolve().parents[1]
EMODB = Path(os.environ.get("SERCUE_EMODB", CHECKOUT.parent / "shared" / "corpora" / "emodb"))
F0 = "F0semitoneFrom27.5Hz_sma3nz_percentile50.0"
HNR = "HNRdBACF_sma3nz_amean"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """48 utterances of six synthetic speakers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCUE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load_corpus("demo", speakers=6, sentences=2)


@pytest.fixture(scope="module")
def extracted(demo, tmp_path_factory):
    return extract_features(demo, cache=tmp_path_factory.mktemp("features"), progress=False)


@pytest.fixture
def few(demo, tmp_path):
    """Four utterances in a folder of their own, to be changed at will."""
    files = demo.table.index.get_level_values("file")[:4]
    (tmp_path / "audio").mkdir()
    names = [Path(file).name for file in files]
    for file, name in zip(files, names, strict=True):
        shutil.copy(demo.path(file), tmp_path / "audio" / name)
    return corpus_of(tmp_path / "audio", names)


def corpus_of(root, files):
    index = audformat.segmented_index(files)
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index=index)
    return Corpus("few", root, table, ("a",), None, "none")


@pytest.fixture
def counted(monkeypatch):
    """The number of utterances that openSMILE has seen."""
    seen = []
    real = module._extract

    def counting(corpus, batch, *rest):
        seen.extend(batch.index.get_level_values("file"))
        return real(corpus, batch, *rest)

    monkeypatch.setattr(module, "_extract", counting)
    return seen


@pytest.mark.slow
def test_values_are_those_of_opensmile_itself(demo, extracted):
    # openSMILE reads the file on its own; all 88 columns, in name and value.
    assert extracted.shape == (48, 88)
    assert extracted.index.equals(demo.table.index)
    smile = functionals()
    for key in demo.table.index[[0, 17, 47]]:
        expected = smile.process_file(str(demo.path(key[0])))
        assert list(expected) == list(extracted)
        np.testing.assert_allclose(
            extracted.loc[key].to_numpy(float), expected.iloc[0], rtol=1e-5, atol=1e-6
        )


def test_threads_change_nothing(demo, extracted, tmp_path):
    # All threads share one extractor; if it kept state, eight at once would differ from one.
    part = demo.with_table(demo.table.iloc[::3])
    for workers in (1, 8):
        again = extract_features(part, cache=tmp_path / str(workers), workers=workers)
        pd.testing.assert_frame_equal(again, extracted.iloc[::3], check_exact=True)


def test_median_f0_agrees_with_praat(demo, extracted):
    check_f0(demo, extracted)


@pytest.mark.slow
def test_hnr_agrees_with_praat(demo, extracted):
    check_hnr(demo, extracted)


@pytest.mark.skipif(not (EMODB / "wav").is_dir(), reason="EmoDB is not here (SERCUE_EMODB)")
def test_real_speech_agrees_with_praat(tmp_path):
    corpus = load_corpus("emodb", EMODB, limit=16)
    features = extract_features(corpus, cache=tmp_path, progress=False)
    # One utterance in twenty, at most, has a gross error.
    check_f0(corpus, features, gross=0.05)
    check_hnr(corpus, features)


def check_f0(corpus, features, gross=0.0):
    """Praat's autocorrelation and openSMILE's subharmonic summation find the same pitch.

    F0 within an utterance spreads over about 3 semitones and its 15 or so syllables are the
    independent pieces, so that the median of two disjoint halves would differ by about
    1.25 * 3 / sqrt(15), one semitone. Both programs look at the same syllables: half of that must
    hold for the typical utterance. An octave error is 12 semitones; none may come near it.
    """
    praat = np.array([12 * np.log2(praat_f0(sound) / 27.5) for sound in sounds(corpus)])
    difference = np.abs(features[F0].to_numpy() - praat)
    assert np.corrcoef(features[F0], praat)[0, 1] > 0.95
    assert np.median(difference) < 0.5
    assert (difference >= 6).mean() <= gross


def check_hnr(corpus, features):
    """Both measure the same quality, though not on the same scale.

    openSMILE saturates above some 10 dB (next test), so that no equality is asked for. Without a
    relation, 48 pairs correlate by more than .46 once in a thousand; and where two measures agree
    their difference spreads less than the quantity itself.
    """
    praat = np.array([praat_hnr(sound) for sound in sounds(corpus)])
    smile = features[HNR].to_numpy()
    assert np.corrcoef(smile, praat)[0, 1] > 0.46
    assert np.std(smile - praat) < np.std(praat)


def test_hnr_follows_a_known_noise_level():
    # A harmonic complex in white noise: its HNR is the signal-to-noise ratio that was mixed.
    # Praat gives it back; openSMILE must rise with it, step by step.
    rng = np.random.default_rng(0)
    time = np.arange(32000) / 16000
    tone = sum(np.sin(2 * np.pi * 220 * k * time + rng.uniform(0, 6)) / k for k in range(1, 30))
    smile, column = functionals(), functionals().feature_names.index(HNR)
    measured = []
    for ratio in (0, 5, 10, 15, 20):
        mixed = tone / tone.std() + rng.normal(0, 10 ** (-ratio / 20), len(time))
        sound = parselmouth.Sound(0.05 * mixed, 16000)
        assert praat_hnr(sound) == pytest.approx(ratio, abs=0.6)
        measured.append(smile((0.05 * mixed).astype("float32"), 16000).ravel()[column])
    assert (np.diff(measured) > 0.5).all()


def sounds(corpus):
    for file, _, _ in corpus.table.index:
        yield parselmouth.Sound(read_audio(corpus.path(file)).astype(float), 16000)


def praat_f0(sound):
    f0 = sound.to_pitch_ac(pitch_floor=75, pitch_ceiling=500).selected_array["frequency"]
    return np.median(f0[f0 > 0])


def praat_hnr(sound):
    """The mean over voiced frames, as openSMILE takes it."""
    pitch = sound.to_pitch_ac(pitch_floor=75, pitch_ceiling=500)
    voiced = pitch.xs()[pitch.selected_array["frequency"] > 0]
    harmonicity = sound.to_harmonicity_ac(time_step=0.02, periods_per_window=4.5)
    nearest = np.abs(harmonicity.xs()[:, None] - voiced).argmin(axis=0)
    values = harmonicity.values[0][nearest]
    return values[values > -200].mean()


def test_what_is_heard_backwards_has_the_pitch_that_praat_finds_in_it(demo, extracted, tmp_path):
    """Of the recording reversed here, at its own level."""
    corpus = demo.with_table(demo.table.iloc[[0, 20, 40]])
    heard = extract_heard(corpus, "reversed", cache=tmp_path, progress=False)
    assert list(heard[extracted.columns]) == list(extracted)
    for key in corpus.table.index:
        samples = read_audio(corpus.path(key[0]))[::-1]
        f0 = parselmouth.Sound(samples.astype(float), 16000).to_pitch().selected_array["frequency"]
        semitones = 12 * np.log2(np.median(f0[f0 > 0]) / 27.5)
        assert heard.loc[key, F0] == pytest.approx(semitones, abs=1)
        level = 10 * np.log10(np.mean(samples.astype(float) ** 2))
        assert heard.loc[key, "equivalentSoundLevel_dBp"] == pytest.approx(level, abs=0.2)
    assert not np.allclose(heard.loc[key, extracted.columns], extracted.loc[key])


def test_other_audio_is_cached_beside_the_recordings_by_its_seed(few, tmp_path, counted):
    names = sorted(path.name for path in (tmp_path / "audio").iterdir())
    corpus = corpus_of(tmp_path / "audio", names)
    own = extract_all(corpus, cache=tmp_path / "cache", progress=False)
    first = [
        extract_heard(corpus, "spliced", seed=seed, cache=tmp_path / "cache", progress=False)
        for seed in (0, 1, 0)
    ]
    assert len(counted) == 12
    assert first[2].equals(first[0])
    assert not first[1].equals(first[0])
    assert extract_all(corpus, cache=tmp_path / "cache", progress=False).equals(own)
    assert len(counted) == 12


def test_a_second_run_extracts_nothing(few, tmp_path, counted):
    first = extract_features(few, cache=tmp_path / "cache")
    assert len(counted) == 4
    second = extract_features(few, cache=tmp_path / "cache")
    assert len(counted) == 4
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_a_renamed_file_is_found_and_a_changed_one_extracted(few, tmp_path, counted):
    first = extract_features(few, cache=tmp_path / "cache")
    names = few.table.index.get_level_values("file").tolist()
    few.path(names[0]).rename(few.path("renamed.wav"))
    samples, rate = audiofile.read(str(few.path(names[1])))
    audiofile.write(str(few.path(names[1])), 0.5 * samples, rate)
    counted.clear()
    second = extract_features(
        corpus_of(few.root, ["renamed.wav", *names[1:]]), cache=tmp_path / "cache"
    )
    assert counted == [names[1]]
    np.testing.assert_array_equal(second.iloc[0], first.iloc[0])
    # Half the amplitude is 20 log10(1/2) dB.
    change = (second - first.to_numpy()).iloc[1]["equivalentSoundLevel_dBp"]
    assert change == pytest.approx(-6.02, abs=0.05)


def test_the_same_audio_twice_is_extracted_once(few, tmp_path, counted):
    name = few.table.index[0][0]
    shutil.copy(few.path(name), few.path("copy.wav"))
    features = extract_features(corpus_of(few.root, [name, "copy.wav"]), cache=tmp_path / "cache")
    assert len(counted) == 1
    np.testing.assert_array_equal(features.iloc[0], features.iloc[1])


def test_an_interrupted_run_keeps_its_batches(few, tmp_path, counted, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 2)
    real = module._extract

    def interrupted(corpus, batch, *rest):
        if counted:
            raise KeyboardInterrupt
        return real(corpus, batch, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_extract", interrupted)
        with pytest.raises(KeyboardInterrupt):
            extract_features(few, cache=tmp_path / "cache")
    assert len(counted) == 2
    assert len(extract_features(few, cache=tmp_path / "cache")) == 4
    assert len(counted) == 4


@pytest.mark.parametrize("damage", [b"", b"PAR1 torn"])
def test_a_torn_part_is_set_aside_and_its_rows_redone(few, tmp_path, counted, damage):
    first = extract_features(few, cache=tmp_path / "cache")
    (part,) = (tmp_path / "cache").rglob("part-*.parquet")
    part.write_bytes(damage or part.read_bytes()[:-100])
    counted.clear()
    second = extract_features(few, cache=tmp_path / "cache")
    assert len(counted) == 4
    assert len(list((tmp_path / "cache").rglob("*.torn"))) == 1
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_segments_are_utterances_of_their_own(few, tmp_path):
    name = few.table.index[0][0]
    index = audformat.segmented_index([name, name], ["0s", "0.5s"], ["1s", "1.5s"])
    table = pd.DataFrame({"emotion": "a", "speaker": "s", "partition": "train"}, index=index)
    corpus = Corpus("cut", few.root, table, ("a",), None, "none")
    features = extract_features(corpus, cache=tmp_path / "cache")
    samples = read_audio(few.path(name))
    expected = functionals()(samples[8000:24000], 16000).ravel()
    np.testing.assert_allclose(features.iloc[1], expected, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(features.iloc[0], features.iloc[1])


def test_bad_recordings_are_named_after_the_others_are_done(few, tmp_path, counted):
    names = few.table.index.get_level_values("file").tolist()
    few.path("text.wav").write_text("this is not audio")
    audiofile.write(str(few.path("none.wav")), np.zeros((1, 0), "float32"), 16000)
    listed = [*names[:2], "text.wav", "none.wav", *names[2:]]
    message = r"2 recordings cannot be processed:\n.*text\.wav: cannot.*\n.*none\.wav: holds no"
    with pytest.raises(InputError, match=message):
        extract_features(corpus_of(few.root, listed), cache=tmp_path / "cache")
    counted.clear()
    extract_features(few, cache=tmp_path / "cache")
    assert counted == []


def test_silence_is_finite_or_missing_never_an_error(few, tmp_path):
    # A silent channel is a recording too: concepts turn what cannot be measured into "unknown".
    audiofile.write(str(few.path("silence.wav")), np.zeros(16000, "float32"), 16000)
    features = extract_features(corpus_of(few.root, ["silence.wav"]), cache=tmp_path / "cache")
    assert features[F0].item() == 0


@pytest.mark.filterwarnings("ignore:Segment too short")
def test_an_utterance_shorter_than_the_window_is_missing(few, tmp_path):
    audiofile.write(str(few.path("blip.wav")), np.ones(800, "float32") / 2, 16000)
    features = extract_features(corpus_of(few.root, ["blip.wav"]), cache=tmp_path / "cache")
    assert features.isna().all(axis=None)


def test_opensmile_failing_in_any_way_names_the_recording(few, tmp_path, monkeypatch):
    class Broken:
        columns = ("a",)

        def __call__(self, *_):
            raise KeyError("odd\nand more")

    monkeypatch.setattr(module, "Extractor", Broken)
    with pytest.raises(InputError, match=r"4 recordings cannot be processed:\n.*openSMILE cannot"):
        extract_features(few, cache=tmp_path / "cache", progress=False)


def test_functionals_from_before_samples_were_limited_are_not_taken(few, tmp_path, counted):
    """An older cache holds wrong values of loud recordings; its folder has no version."""
    cache = tmp_path / "cache"
    extract_features(few, cache=cache, progress=False)
    (made,) = cache.iterdir()
    made.rename(cache / f"eGeMAPSv02-{module.opensmile.__version__}")
    extract_features(few, cache=cache, progress=False)
    assert len(counted) == 8
