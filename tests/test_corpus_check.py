"""The check of a corpus: each thing that can be wrong is found, named and weighed; no more."""

import shutil
from dataclasses import replace

import audformat
import numpy as np
import pandas as pd
import pytest
from bad_audio import RATE, bad_audio, voice, write

from sercue.corpora import load_corpus
from sercue.corpora.corpus import Corpus, speaker_folds
from sercue.corpora.corpus_check import VERDICTS, check_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.corpora.rows import divided

EMOTIONS = ("angry", "happy", "neutral")
# Two speakers a partition, each with two utterances of each emotion.
HOMES = {"ann": "train", "bob": "train", "eve": "test", "joe": "test"}


def sound_corpus(folder, **options):
    """24 utterances in which nothing is odd."""
    rows = [
        (f"{speaker}/{emotion}{take}.wav", emotion, speaker, home)
        for speaker, home in HOMES.items()
        for emotion in EMOTIONS
        for take in (1, 2)
    ]
    table = pd.DataFrame(rows, columns=["file", "emotion", "speaker", "partition"])
    for seed, file in enumerate(table["file"]):
        (folder / file).parent.mkdir(exist_ok=True)
        write(folder, file, voice(seed=seed))
    return Corpus("sound", folder, indexed(table), EMOTIONS, "neutral", "none", **options)


def indexed(table):
    index = audformat.segmented_index(table["file"])
    return table.drop(columns="file").set_index(index)


@pytest.fixture
def corpus(tmp_path):
    (tmp_path / "audio").mkdir()
    return sound_corpus(tmp_path / "audio")


@pytest.fixture
def checked(tmp_path):
    """Checks a corpus and gives what is not ok, by the name of the check."""

    def check(corpus, **options):
        facts = inspect_audio(corpus, cache=tmp_path / "cache", progress=False)
        table = check_corpus(corpus, facts, **options)
        assert set(table["verdict"]) <= set(VERDICTS)
        assert table.map(lambda cell: isinstance(cell, str)).all(axis=None)
        assert table["check"].is_unique
        return table[table["verdict"] != "ok"].set_index("check")

    return check


def test_nothing_is_found_where_nothing_is_wrong(corpus, checked):
    assert checked(corpus).empty


def test_the_demo_corpus_is_in_order(cache, checked):
    """What the demo is made of must not be a warning on the first page of its report."""
    demo = load_corpus("demo", speakers=6, sentences=2)
    assert checked(demo).index.tolist() == []


def test_counts_are_held_against_the_published_ones(corpus, checked):
    by_emotion = pd.Series({"angry": 8, "happy": 9, "sad": 4, "neutral": 8}).rename_axis("emotion")
    by_both = corpus.table.groupby(["partition", "emotion"]).size()
    found = checked(replace(corpus, expected=(by_emotion, by_both), listed=24))
    assert found["verdict"].tolist() == ["wrong"] * 2
    assert found[["found", "expected"]].T.to_dict("list") == {
        "utterances by emotion: happy": ["8", "9"],
        "utterances by emotion: sad": ["0", "4"],
    }


def test_a_part_of_a_corpus_is_said_to_be_one_and_no_more(corpus, checked):
    """Of three sessions out of five, no class has the published number; that is one finding."""
    by_emotion = pd.Series({"angry": 80, "happy": 90}).rename_axis("emotion")
    found = checked(replace(corpus, expected=(by_emotion,), listed=30))
    assert found.index.tolist() == ["utterances listed"]
    assert found.iloc[0]["found"].startswith("24: not the published corpus")
    assert found.iloc[0]["expected"] == "30"


def test_counts_of_several_columns_are_named_by_each(corpus, checked):
    expected = corpus.table.groupby(["partition", "emotion"]).size()
    expected["test", "angry"] += 1
    found = checked(replace(corpus, expected=(expected,)))
    assert found.index.tolist() == ["utterances by partition and emotion: test angry"]
    assert found.iloc[0][["found", "expected"]].tolist() == ["4", "5"]


def test_utterances_left_out_are_counted_among_those_listed(corpus, checked):
    reasons = pd.DataFrame(
        {"reason": ["class not in the study", "no such file"], "detail": ""},
        index=corpus.table.index[[0, 7]],
    )
    found = checked(replace(corpus.without(reasons), listed=24))
    assert found["verdict"].to_dict() == {
        "left out: class not in the study": "note",
        "left out: no such file": "note",
    }
    assert found.loc["left out: no such file", "examples"] == "bob/angry2.wav"


def test_a_class_that_a_part_lacks_is_wrong_where_it_is_trained_or_tested(corpus, checked):
    table = corpus.table
    lacking = table[~((table["partition"] == "test") & (table["emotion"] == "happy"))]
    found = checked(replace(corpus, table=lacking))
    assert found.loc["classes of partition test", ["found", "verdict"]].tolist() == [
        "none of happy",
        "wrong",
    ]


def test_a_class_that_a_fold_lacks_is_odd_and_one_of_a_single_fold_is_wrong(corpus, checked):
    """Folds are tested together; but what one fold alone has, the others cannot train for."""
    table = corpus.table.assign(fold=corpus.table["speaker"], partition="test")
    happy, neutral = table["emotion"] == "happy", table["emotion"] == "neutral"
    kept = table[~(happy & (table["fold"] != "ann")) & ~(neutral & (table["fold"] == "joe"))]
    found = checked(replace(corpus, table=kept))
    classes = found[found.index.str.startswith("classes")]
    assert classes[["found", "verdict"]].T.to_dict("list") == {
        "classes of fold bob": ["none of happy", "note"],
        "classes of fold eve": ["none of happy", "note"],
        "classes of fold joe": ["none of happy, neutral", "note"],
        "classes to train on": ["happy in one fold alone", "wrong"],
    }


def test_one_speaker_to_test_is_too_few(corpus, checked):
    found = checked(replace(corpus, table=corpus.table[corpus.table["speaker"] != "joe"]))
    assert found.loc["speakers by partition", "found"] == "train 2, test 1"
    assert found.loc["speakers by partition", "verdict"] == "wrong"


def test_folds_of_one_speaker_each_are_in_order(corpus, checked):
    """Leaving one speaker out is the rule, not a fault."""
    table = corpus.table.assign(fold=corpus.table["speaker"], partition="test")
    assert checked(replace(corpus, table=table)).empty


def test_folds_that_were_made_of_few_speakers_are_told(corpus, checked):
    table = divided(corpus.table.drop(columns="partition"))
    found = checked(replace(corpus, table=table))
    assert found["verdict"].to_dict() == {"few speakers": "note"}
    assert found["found"].item() == "4: each is tested on in turn, with the others to train"


def test_folds_of_one_speaker_each_are_not_few_by_their_names(corpus, checked):
    """Sixteen speakers, whose folds are named as those of few speakers are."""
    emotion = corpus.table["emotion"]
    table = corpus.table.assign(partition="test", speaker=corpus.table["speaker"] + emotion)
    table["fold"] = speaker_folds(table["speaker"])
    assert "few speakers" not in checked(replace(corpus, table=table)).index


def test_that_speakers_are_children_is_told(corpus, checked):
    found = checked(replace(corpus, children=True))
    assert found["verdict"].to_dict() == {"age of speakers": "note"}


def test_speakers_with_little_to_say_are_named(corpus, checked):
    table = corpus.table
    kept = table[(table["speaker"] != "bob") | (table["emotion"] == "angry")]
    found = checked(replace(corpus, table=kept))
    found = found[found.index.str.startswith("speakers")]
    assert found["verdict"].to_dict() == {
        "speakers with fewer than 5 utterances": "note",
        "speakers with a single class": "note",
    }
    assert found["examples"].tolist() == ["bob", "bob"]


def test_a_speaker_in_two_partitions_is_wrong(corpus, checked):
    table = corpus.table.copy()
    table.iloc[0, table.columns.get_loc("partition")] = "test"
    found = checked(replace(corpus, table=table))
    assert found.loc["speakers in more than one partition", ["verdict", "examples"]].tolist() == [
        "wrong",
        "ann",
    ]


def test_durations_are_told_and_those_too_long_are_named(corpus, tmp_path, checked):
    write(corpus.root, "joe/angry1.wav", voice(3, seed=50))
    write(corpus.root, "joe/angry2.wav", voice(4, seed=51))
    found = checked(corpus, max_seconds=2.5)
    row = found.loc["longer than the model takes"]
    assert row.tolist() == [
        "2 utterances",
        "2.5 s or less",
        "wrong",
        "joe/angry2.wav, joe/angry1.wav",
    ]
    assert checked(corpus, max_seconds=4.0).empty
    facts = inspect_audio(corpus, cache=tmp_path / "cache", progress=False)
    told = check_corpus(corpus, facts).set_index("check").loc["durations", "found"]
    # 22 of 1 s, one of 3 s and one of 4 s.
    assert told == "1.00 to 4.00 s, median 1.00 s, 0.5 min in all"


def test_mixed_rates_channels_and_formats_are_noted(corpus, checked):
    write(corpus.root, "ann/angry1.wav", voice(rate=44100), 44100)
    write(corpus.root, "ann/angry2.wav", np.stack([voice(seed=50), voice(seed=51)], axis=1))
    found = checked(corpus)
    assert found["verdict"].to_dict() == {
        "sampling rates": "note",
        "channels": "note",
        "several channels": "note",
    }
    assert found.loc["sampling rates", "found"] == "16000 Hz (23), 44100 Hz (1)"
    assert found.loc["channels", "found"] == "1 (23), 2 (1)"


def test_every_kind_of_bad_recording_is_a_row(tmp_path, checked):
    """All that the builder makes, in one table and without an error."""
    made = bad_audio(tmp_path / "audio")
    files, starts, ends = zip(*(recording.key for recording in made.values()), strict=True)
    table = pd.DataFrame(
        {"emotion": "neutral", "speaker": "s", "partition": "test"},
        index=audformat.segmented_index(files, starts, ends),
    )
    found = checked(Corpus("bad", tmp_path / "audio", table, ("neutral",), "neutral", "none"))
    recordings = list(made.values())
    for problem in {recording.problem for recording in recordings} - {""}:
        count = sum(recording.problem == problem for recording in recordings)
        assert found.loc[problem, "verdict"] == "unusable"
        assert found.loc[problem, "found"].startswith(f"{count} utterance")
    for note in {recording.note for recording in recordings} - {""}:
        assert found.loc[note, "verdict"] == "note"
    unusable = {recording.problem for recording in recordings} - {""}
    assert set(found.index[found["verdict"] == "unusable"]) == unusable


def test_a_copy_within_a_partition_is_odd(corpus, checked):
    shutil.copy(corpus.root / "ann/angry1.wav", corpus.root / "bob/angry2.wav")
    found = checked(corpus)
    assert found.index.tolist() == ["same recording twice in one partition"]
    assert found.iloc[0].tolist() == [
        "2 utterances of 1 recording",
        "",
        "note",
        "ann/angry1.wav, bob/angry2.wav",
    ]


def test_a_copy_in_train_and_test_is_leakage(corpus, checked):
    shutil.copy(corpus.root / "ann/angry1.wav", corpus.root / "eve/angry2.wav")
    found = checked(corpus)
    assert found["verdict"].to_dict() == {"same recording in more than one partition": "wrong"}
    assert found.iloc[0]["examples"] == "ann/angry1.wav, eve/angry2.wav"


def test_a_copy_in_two_folds_is_leakage(corpus, checked):
    shutil.copy(corpus.root / "ann/angry1.wav", corpus.root / "bob/angry2.wav")
    table = corpus.table.assign(fold=corpus.table["speaker"], partition="test")
    found = checked(replace(corpus, table=table))
    assert found["verdict"].to_dict() == {"same recording in more than one fold": "wrong"}


def test_a_copy_with_another_label_is_wrong(corpus, checked):
    shutil.copy(corpus.root / "ann/angry1.wav", corpus.root / "ann/happy1.wav")
    found = checked(corpus)
    assert found["verdict"].to_dict() == {
        "same recording with different labels": "wrong",
        "same recording twice in one partition": "note",
    }


def test_bad_recordings_are_no_copies_of_each_other(corpus, checked):
    """Files of silence have the same bytes; to call them leakage would hide what they are."""
    for file in ("ann/angry1.wav", "eve/angry2.wav"):
        write(corpus.root, file, np.zeros(RATE))
    assert checked(corpus)["verdict"].to_dict() == {"silence": "unusable"}


def test_names_that_differ_in_case_only_are_noted(corpus, checked):
    """On a disk of Windows or a Mac, one of the two overwrites the other."""
    write(corpus.root, "ann/ANGRY1.wav", voice(seed=60))
    if len(list((corpus.root / "ann").glob("*1.wav"))) < 4:
        pytest.skip("this disk cannot tell them apart")
    other = indexed(pd.DataFrame([{"file": "ann/ANGRY1.wav", **corpus.table.iloc[0]}]))
    found = checked(replace(corpus, table=pd.concat([corpus.table, other])))
    assert found.loc["names that differ in case only", "verdict"] == "note"
    assert found.iloc[0]["examples"] == "ann/ANGRY1.wav, ann/angry1.wav"


def test_a_name_that_the_disk_spells_otherwise_is_noted(corpus, checked):
    """It is found, and is not one of the files that nobody lists, whose names are still shown."""
    other = replace(corpus, files={"ann/angry1.wav": corpus.root / "ann" / "ANGRY1.WAV"})
    (corpus.root / "ann" / "angry1.wav").rename(corpus.root / "ann" / "ANGRY1.WAV")
    write(corpus.root, "ann/extra.wav", voice(seed=61))
    found = checked(other)
    assert found.loc["names that the disk spells otherwise", "examples"] == "ann/angry1.wav"
    assert found.loc["audio files that are not listed", "examples"] == "ann/extra.wav"


def test_audio_beside_the_listed_files_is_noted_and_nothing_else_is(corpus, checked):
    write(corpus.root, "ann/extra.flac", voice())
    (corpus.root / "ann" / "notes.txt").write_text("no audio")
    (corpus.root / "ann" / "._angry1.wav").write_bytes(b"what a Mac leaves behind")
    (corpus.root / "ann" / "deeper").mkdir()
    write(corpus.root, "ann/deeper/other.wav", voice())
    found = checked(corpus)
    assert found["examples"].to_dict() == {"audio files that are not listed": "ann/extra.flac"}


def test_a_file_that_was_left_out_is_listed(corpus, checked):
    reasons = pd.DataFrame({"reason": "why", "detail": ""}, index=corpus.table.index[:1])
    assert checked(corpus.without(reasons)).index.tolist() == ["left out: why"]


def test_names_beside_pseudonyms_stay_hidden(corpus, checked):
    """A report that hides the names of utterances must not show them as unlisted files."""
    files = corpus.table.index.get_level_values("file")
    hidden = {f"u{number}": corpus.root / file for number, file in enumerate(files)}
    table = corpus.table.set_index(audformat.segmented_index(list(hidden)))
    write(corpus.root, "ann/extra.wav", voice())
    found = checked(replace(corpus, table=table, files=hidden))
    row = found.loc["audio files that are not listed"]
    assert row[["found", "examples"]].tolist() == ["1 file", ""]


def test_names_on_several_lines_are_shown_on_one(corpus, checked):
    write(corpus.root, "ann/a\nb.wav", voice())
    assert checked(corpus).iloc[0]["examples"] == r"ann/a\nb.wav"


def test_more_than_five_names_are_not_listed(corpus, checked):
    for file in corpus.table.index.get_level_values("file")[:6]:
        (corpus.root / file).unlink()
    found = checked(corpus).loc["no such file"]
    assert found["found"] == "6 utterances"
    assert found["examples"].count("wav") == 5
    assert found["examples"].endswith(", ...")
