"""RAVDESS: its names, what is not speech in it, its published counts."""

import itertools
import shutil

import pytest
import trees

from sercue.corpora import CORPORA
from sercue.errors import InputError

read_ravdess = CORPORA["ravdess"].read

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def touched(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def test_names_are_read_as_the_corpus_documents_them(tmp_path):
    """Livingstone and Russo explain 03-01-06-01-02-01-12.wav: fearful, by a woman, actor 12."""
    touched(tmp_path / "Actor_12", ["03-01-06-01-02-01-12.wav"])
    touched(tmp_path / "Actor_07", ["03-01-08-02-01-02-07.wav"])
    table = read_ravdess(tmp_path).table.reset_index().set_index("file")
    assert table[["emotion", "speaker", "sex", "sentence"]].to_dict("index") == {
        "Actor_07/03-01-08-02-01-02-07.wav": {
            "emotion": "surprised", "speaker": "07", "sex": "male", "sentence": "01",
        },
        "Actor_12/03-01-06-01-02-01-12.wav": {
            "emotion": "fearful", "speaker": "12", "sex": "female", "sentence": "02",
        },
    }  # fmt: skip


def test_songs_and_videos_are_left_out_and_counted(tmp_path):
    """They come as downloads of their own and unpack into the same folders."""
    corpus = read_ravdess(trees.ravdess_tree(tmp_path))
    assert corpus.table.groupby("speaker")["emotion"].apply(tuple).to_dict() == dict.fromkeys(
        ["01", "02", "03", "04"], EMOTIONS
    )
    assert corpus.left_out.groupby(["reason", "detail"]).size().to_dict() == {
        ("song, not speech", ""): 4,
        ("video", "picture alone"): 4,
        ("video", "picture and sound"): 4,
    }
    assert (corpus.labels, corpus.neutral_label) == (EMOTIONS, "neutral")
    assert corpus.may_share_audio
    assert all(corpus.path(file).is_file() for file in corpus.table.index.get_level_values("file"))


def test_all_recordings_may_lie_in_one_folder(tmp_path):
    names = [f"03-01-0{emotion}-01-01-01-0{actor}.wav" for emotion in (1, 5) for actor in (1, 2)]
    corpus = read_ravdess(touched(tmp_path, names))
    assert corpus.table.index.get_level_values("file").tolist() == sorted(names)


def test_a_recording_that_lies_there_twice_is_refused(tmp_path):
    """A copy may end up in training and in testing."""
    root = trees.ravdess_tree(tmp_path, actors=2)
    shutil.copy(root / "Actor_01" / "03-01-01-01-01-01-01.wav", root)
    message = (
        "2 files .* share their name with another: "
        "03-01-01-01-01-01-01.wav, Actor_01/03-01-01-01-01-01-01.wav"
    )
    with pytest.raises(InputError, match=message):
        read_ravdess(root)


def test_files_that_are_not_named_so_are_listed(tmp_path):
    bad = ["03-01-09-01-01-01-01.wav", "03-01-01-01-01-01-25.wav", "03-01-01-01-01-01.wav"]
    touched(tmp_path, ["03-01-01-01-01-01-01.wav", *bad])
    with pytest.raises(InputError, match=r"3 of 4 files .*-25\.wav.*Valid is MM-VV-EE"):
        read_ravdess(tmp_path)


def test_a_folder_without_speech_says_what_is_expected(tmp_path):
    with pytest.raises(InputError, match=r"no WAV file in .*Actor_01/03-01-06"):
        read_ravdess(tmp_path)
    touched(tmp_path, ["03-02-03-01-01-01-01.wav", "03-02-03-01-01-01-02.wav"])
    with pytest.raises(InputError, match=r"none of 2 files .* is a recording of speech"):
        read_ravdess(tmp_path)


def test_the_full_corpus_has_the_published_counts(tmp_path):
    """24 actors with 60 recordings each are 1,440; the reader expects just that."""
    for actor in range(1, 25):
        spoken = itertools.product(range(1, 9), (1, 2), (1, 2), (1, 2))
        names = [
            f"03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor:02d}.wav"
            for emotion, intensity, statement, repetition in spoken
            if (emotion, intensity) != (1, 2)  # neutral speech has no strong intensity
        ]
        touched(tmp_path / f"Actor_{actor:02d}", names)
    corpus = read_ravdess(tmp_path)
    assert len(corpus.table) == corpus.listed == 1440
    (expected,) = corpus.expected
    assert corpus.table["emotion"].value_counts().to_dict() == expected.to_dict()
    assert expected.to_dict() == {e: 96 if e == "neutral" else 192 for e in EMOTIONS}
    speakers = corpus.table.drop_duplicates("speaker")
    assert speakers["fold"].nunique() == 24
    assert speakers.groupby("partition")["sex"].value_counts().to_dict() == {
        ("train", "female"): 6, ("train", "male"): 6, ("dev", "female"): 2, ("dev", "male"): 2,
        ("test", "female"): 4, ("test", "male"): 4,
    }  # fmt: skip
