"""What an utterance is like: known signals, numpy, scipy and openSMILE as oracles."""

import numpy as np
import pytest
from bad_audio import RATE, BadRecording, corpus_of, inspected, voice, write
from scipy.io import wavfile

from sercue.corpora import recordings
from sercue.corpora.audio import read_utterance
from sercue.corpora.inspection import notes_of
from sercue.features import functionals


def test_peak_level_and_offset_of_a_known_tone(tmp_path):
    # 0.5 sin: its peak is 0.5 and its mean square 1/8, which is -9.03 dB. The offset adds to the
    # peak and not to the level.
    time = np.arange(RATE) / RATE
    write(tmp_path, "tone.wav", 0.5 * np.sin(2 * np.pi * 100 * time) + 0.04, subtype="FLOAT")
    facts = inspected(tmp_path, "tone.wav").iloc[0]
    assert facts["peak"] == pytest.approx(0.54, abs=1e-6)
    assert facts["level"] == pytest.approx(-9.031, abs=1e-3)
    assert facts["offset"] == pytest.approx(0.04, abs=1e-6)
    assert facts["seconds"] == 1.0
    assert facts[["sampling_rate", "channels", "format"]].tolist() == [RATE, 1, "WAV"]


def test_peak_and_level_agree_with_scipy_and_numpy(tmp_path):
    write(tmp_path, "a.wav", voice(seed=3))
    facts = inspected(tmp_path, "a.wav").iloc[0]
    samples = wavfile.read(tmp_path / "a.wav")[1] / 2**15
    assert facts["peak"] == pytest.approx(np.abs(samples).max())
    assert facts["level"] == pytest.approx(20 * np.log10(np.std(samples)), abs=1e-4)


@pytest.mark.parametrize(
    ("samples", "share"),
    [
        # Of 100 samples: three at full scale in a row; two; three apart; three at half of it.
        ([1, 1, 1], 0.03),
        ([1, 1], 0),
        ([1, 0, 1, 0, 1], 0),
        ([0.5, 0.5, 0.5], 0),
        # Three at the top and four at the bottom, in one piece.
        ([1, 1, 1, -1, -1, -1, -1], 0.07),
    ],
)
def test_clipped_samples_are_counted_in_runs(tmp_path, samples, share):
    # The rest never repeats a value, so that it holds no run.
    rest = np.linspace(-0.4, 0.4, 1600 - 16 * len(samples))
    cycle = np.concatenate([np.r_[0.1, samples] for _ in range(16)])
    signal = np.concatenate([rest[: 1600 - len(cycle)], cycle])
    write(tmp_path, "a.wav", signal)
    clipped = inspected(tmp_path, "a.wav").iloc[0]["clipped"]
    assert clipped == pytest.approx(share * 16 * 100 / 1600)


def test_the_share_of_clipped_samples_is_that_of_a_clipped_sine(tmp_path):
    # A sine cut at half its height is at the limit for two thirds of each period:
    # sin x > 1/2 from 30 to 150 degrees.
    time = np.arange(RATE) / RATE
    write(tmp_path, "a.wav", np.clip(2 * np.sin(2 * np.pi * 50 * time), -1, 1))
    assert inspected(tmp_path, "a.wav").iloc[0]["clipped"] == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize("decibels", [-71, -69])
def test_silence_begins_70_decibels_below_full_scale(tmp_path, decibels):
    """Of the loudest 25 ms alone: a click in a long silence must not count as silence."""
    rng = np.random.default_rng(0)
    signal = np.zeros(3 * RATE)
    burst = rng.choice([-1.0, 1.0], 400)
    signal[16000:16400] = burst * 10 ** (decibels / 20)
    write(tmp_path, "a.wav", signal, subtype="FLOAT")
    silent = inspected(tmp_path, "a.wav").iloc[0]["problem"] == "silence"
    assert silent == (decibels < -70)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_the_shortest_is_what_opensmile_takes_at_any_rate(tmp_path, rate):
    """One sample decides, and it is counted after resampling."""
    smile = functionals()
    edge = round(0.06 * rate)
    for samples in range(edge - 3, edge + 3):
        write(tmp_path, f"{samples}.wav", voice(samples / rate, rate), rate)
    names = [f"{samples}.wav" for samples in range(edge - 3, edge + 3)]
    facts = inspected(tmp_path, *names)
    corpus = corpus_of(tmp_path, [BadRecording(name) for name in names])
    for key in corpus.table.index:
        known = np.isfinite(smile(read_utterance(corpus, key), RATE)).all()
        assert (facts.loc[key, "problem"] == "") == known
    assert set(facts["problem"]) == {"", "too short"}


def test_the_channel_that_is_heard_is_looked_at(tmp_path):
    write(tmp_path, "a.wav", np.stack([voice(), np.zeros(RATE)], axis=1))
    found = {
        channel: inspected(tmp_path, "a.wav", channel=channel).iloc[0]
        for channel in (None, 0, 1, 2)
    }
    problems = {channel: facts["problem"] for channel, facts in found.items()}
    assert problems == {None: "", 0: "", 1: "silence", 2: "no such channel"}
    assert found[None]["level"] == found[0]["level"]
    assert found[None]["note"] == "silent channels"
    assert found[0]["note"] == ""
    assert len({facts["audio"] for facts in found.values()}) == 4


def test_a_segment_has_the_facts_of_the_same_samples_in_a_file(tmp_path):
    samples = voice(2, seed=1)
    write(tmp_path, "long.wav", samples)
    write(tmp_path, "cut.wav", samples[4000:20000])
    facts = inspected(tmp_path, BadRecording("long.wav", segment=(0.25, 1.25)), "cut.wav")
    segment, whole = facts.drop(columns="audio").to_dict("records")
    assert segment == whole


def test_notes_of_one_recording_can_be_told_apart(tmp_path):
    samples = np.clip(8 * voice(rate=8000), -1, 1)
    write(tmp_path, "a.wav", np.stack([samples, samples], axis=1), 8000)
    facts = inspected(tmp_path, "a.wav")
    notes = notes_of(facts).set_index("note")["note_detail"].to_dict()
    assert list(notes) == [
        "clipped", "limited to full scale", "several channels", "sampling rate below 16 kHz"
    ]  # fmt: skip
    assert notes["sampling rate below 16 kHz"] == "8000 Hz"
    assert notes["several channels"] == "2 channels, averaged"


def test_what_was_limited_is_counted(tmp_path):
    """A sine of amplitude 1.25 is above 1 for 2 acos(0.8) of pi: 41 % of its samples."""
    time = np.arange(RATE) / RATE
    write(tmp_path, "a.wav", 1.25 * np.sin(2 * np.pi * 99.7 * time), subtype="FLOAT")
    write(tmp_path, "b.wav", np.sin(2 * np.pi * 99.7 * time), subtype="FLOAT")
    facts = inspected(tmp_path, "a.wav", "b.wav")
    assert facts["note"].tolist() == ["limited to full scale", ""]
    number = int(facts["note_detail"].iloc[0].split()[0].replace(",", ""))
    assert number == pytest.approx(2 * np.arccos(0.8) / np.pi * RATE, rel=0.01)
    assert facts["note_detail"].iloc[0].endswith(f"of {RATE:,} samples, up to 1.25")


def test_facts_do_not_depend_on_the_blocks_that_are_read(tmp_path, monkeypatch):
    samples = np.clip(8 * np.stack([voice(2, seed=n) for n in (1, 2)], 1), -1, 1)
    write(tmp_path, "a.wav", samples)
    at_once = inspected(tmp_path, "a.wav", cache=tmp_path / "one").iloc[0]
    assert at_once["clipped"] > 0.1
    monkeypatch.setattr(recordings, "_BLOCK", 1)
    in_frames = inspected(tmp_path, "a.wav", cache=tmp_path / "other").iloc[0]
    measured = ["seconds", "peak", "level", "offset", "clipped"]
    assert in_frames[measured].tolist() == pytest.approx(at_once[measured].tolist(), rel=1e-9)
    assert in_frames[["note", "note_detail"]].tolist() == at_once[["note", "note_detail"]].tolist()


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_32"])
def test_what_cannot_be_sought_in_is_looked_at_as_it_is_read(tmp_path, subtype):
    write(tmp_path, "a.wav", voice(2, 8000), 8000, subtype=subtype)
    facts = inspected(tmp_path, "a.wav", BadRecording("a.wav", segment=(0.5, 1.5)))
    assert facts["problem"].tolist() == ["", ""]
    assert facts["seconds"].tolist() == pytest.approx([2, 1], abs=0.02)
