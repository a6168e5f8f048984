"""Every recording of a corpus looked at: each bad one has its reason, no work is done twice."""

import numpy as np
import pandas as pd
import pytest
from bad_audio import RATE, BadRecording, bad_audio, corpus_of, inspected, voice, write

from sercue.corpora import inspection as module
from sercue.corpora.audio import audio_digests, read_utterance
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError
from sercue.features import functionals
from sercue.storage.tables import part_files


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """Every bad recording in one corpus, and what was found of each."""
    folder = tmp_path_factory.mktemp("bad")
    made = bad_audio(folder)
    facts = inspected(folder, *made.values(), cache=tmp_path_factory.mktemp("cache"))
    return folder, made, facts.set_index(pd.Index(made))


def test_each_bad_recording_gets_its_reason(bad):
    _, made, facts = bad
    expected = {name: recording.problem for name, recording in made.items()}
    assert facts["problem"].to_dict() == expected


def test_each_odd_recording_gets_its_note(bad):
    _, made, facts = bad
    expected = {name: recording.note for name, recording in made.items()}
    assert facts["note"].to_dict() == expected


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        # Two thirds of three seconds.
        ("cut.wav", "2.000 of 3.000 s are there"),
        ("FLAC without a length", "its header does not say how long it is"),
        ("header only", "44 bytes in all"),
        ("NaN", "1 of 16,000"),
        ("DC", "no sound, only an offset of 0.300"),
        ("one of two channels silent", "1 of 2, left out of the mean"),
        # Three steps at random, -1, 0 and 1: the loudest 400 of them are a little above their
        # mean square of 2/3 of a step of 2**-15, which is -92.1 dB.
        ("hiss of the last bit", "-92 dB in its loudest 25 ms"),
        ("channels that cancel", "nothing is left when averaged; choose one with channel"),
        (
            "channels that nearly cancel",
            "they are 66 dB weaker when averaged; choose one with channel",
        ),
        ("one sample too short", "0.0599 s; eGeMAPS takes 0.06 s or more"),
        ("segment behind the end", "3.50 s of 3.00 s"),
        ("before the cut", "2.000 of 3.000 s are there"),
        ("segment past the end", "0.200 s after"),
        ("FLAC named .wav", "FLAC in a .wav file"),
    ],
)
def test_details_say_how_much(bad, name, detail):
    _, _, facts = bad
    assert detail in facts.loc[name, ["detail", "note_detail"]].tolist()


def test_what_passes_can_be_measured_and_only_that(bad):
    """The verdict against openSMILE itself: 88 finite functionals or a reason why not.

    Of what libsndfile reads in part, without a word, and of silence and DC, openSMILE makes
    numbers all the same; those are the reasons that must not be left to it.
    """
    folder, made, facts = bad
    smile = functionals()
    unnoticed = {"cut short or damaged", "silence", "channels cancel", "DC only"}
    for name, recording in made.items():
        corpus = corpus_of(folder, [recording])
        try:
            values = smile(read_utterance(corpus, recording.key), RATE)
        except InputError:
            values = np.array(np.nan)
        problem = facts.loc[name, "problem"]
        assert problem in unnoticed or bool(problem) != bool(np.isfinite(values).all()), name


def test_reasons_name_no_file_and_no_folder(bad):
    """A reason goes into reports that may be passed on, with names of files replaced."""
    folder, made, facts = bad
    texts = " ".join(facts[["problem", "detail", "note", "note_detail"]].to_numpy().ravel())
    assert str(folder) not in texts
    assert [r.file for r in made.values() if r.file in texts.split()] == []


def test_what_cannot_be_opened_has_no_digest_and_all_else_has_that_of_its_audio(bad):
    folder, made, facts = bad
    closed = {"no such file", "a directory", "broken link", "not a regular file", "empty file"}
    opened = [name for name, recording in made.items() if recording.problem not in closed]
    digests = audio_digests(corpus_of(folder, [made[name] for name in opened]))
    assert facts.loc[opened, "audio"].tolist() == digests.tolist()
    assert (facts.drop(opened)["audio"] == "").all()


def test_a_second_look_gives_the_same_and_stores_nothing_more(tmp_path):
    """Also of failures, which are not stored: their names must not depend on other threads."""
    made = bad_audio(tmp_path / "audio")
    first = inspected(tmp_path / "audio", *made.values(), cache=tmp_path)
    parts = len(list(tmp_path.rglob("part-*.parquet")))
    for workers in (1, 8):
        corpus = corpus_of(tmp_path / "audio", made.values())
        again = inspect_audio(corpus, cache=tmp_path, workers=workers, progress=False)
        pd.testing.assert_frame_equal(again, first)
    assert len(list(tmp_path.rglob("part-*.parquet"))) == parts


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are opened to be decoded."""
    seen = []
    real = module.Recording

    def counting(path):
        seen.append(path.name)
        return real(path)

    monkeypatch.setattr(module, "Recording", counting)
    return seen


def test_a_dialogue_is_looked_at_once_for_all_its_segments(tmp_path, decoded):
    write(tmp_path, "a.wav", voice(10))
    segments = [BadRecording("a.wav", segment=(0.1 * n, 0.1 * n + 0.5)) for n in range(90)]
    facts = inspected(tmp_path, *segments)
    assert decoded == ["a.wav"]
    assert (facts["problem"] == "").all()
    np.testing.assert_allclose(facts["seconds"], 0.5)


def test_a_second_look_decodes_nothing_but_what_failed(tmp_path, decoded):
    write(tmp_path, "a.wav", voice())
    (tmp_path / "text.wav").write_text("this is not audio")
    first = inspected(tmp_path, "a.wav", "text.wav")
    decoded.clear()
    pd.testing.assert_frame_equal(inspected(tmp_path, "a.wav", "text.wav"), first)
    assert set(decoded) == {"text.wav"}
    # Mended, it is found out at once.
    write(tmp_path, "text.wav", voice(seed=1))
    assert inspected(tmp_path, "a.wav", "text.wav")["problem"].tolist() == ["", ""]


def test_a_copy_or_another_name_is_not_decoded_again_but_judged_by_its_name(tmp_path, decoded):
    """The facts are those of the content; whether the extension is right is not."""
    write(tmp_path, "a.flac", voice())
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.flac").read_bytes())
    facts = inspected(tmp_path, "a.flac", "b.wav")
    assert len(decoded) == 1
    assert facts["note"].tolist() == ["", "another format"]
    assert facts["note_detail"].tolist() == ["", "FLAC in a .wav file"]


def test_bytes_that_are_known_are_tried_again_under_a_name_that_is_not(tmp_path):
    """Reading goes by the extension: what is fine as .wav may need a program as .m4a."""
    write(tmp_path, "a.wav", voice())
    (tmp_path / "a.m4a").write_bytes((tmp_path / "a.wav").read_bytes())
    facts = inspected(tmp_path, "a.wav", "a.m4a")
    corpus = corpus_of(tmp_path, [BadRecording("a.wav"), BadRecording("a.m4a")])
    for key in corpus.table.index:
        try:
            readable = bool(len(read_utterance(corpus, key)))
        except InputError:
            readable = False
        assert (facts.loc[key, "problem"] == "") == readable


def test_a_corpus_without_recordings_has_no_facts(tmp_path):
    write(tmp_path, "a.wav", voice())
    corpus = corpus_of(tmp_path, [BadRecording("a.wav")])
    corpus = corpus.with_table(corpus.table.iloc[:0])
    facts = inspect_audio(corpus, cache=tmp_path / "cache", progress=False)
    assert facts.empty
    assert "problem" in facts


def test_an_interrupted_look_keeps_its_batches(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 1)
    for seed in range(3):
        write(tmp_path, f"{seed}.wav", voice(seed=seed))
    names = [f"{seed}.wav" for seed in range(3)]
    real = module.append_part

    def interrupted(folder, table, kind):
        if part_files(folder):
            raise KeyboardInterrupt
        return real(folder, table, kind)

    with monkeypatch.context() as patch:
        patch.setattr(module, "append_part", interrupted)
        with pytest.raises(KeyboardInterrupt):
            inspected(tmp_path, *names)
    decoded.clear()
    assert (inspected(tmp_path, *names)["problem"] == "").all()
    assert decoded == ["1.wav", "2.wav"]
