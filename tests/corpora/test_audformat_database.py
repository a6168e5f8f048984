"""The corpus ``audformat``: where a database keeps emotion, speaker, sex and partition."""

import os
import pickle
from pathlib import Path

import audformat
import pandas as pd
import pytest

from sercue.corpora import CORPORA
from sercue.corpora.corpus import check_partitions
from sercue.errors import InputError

read_audformat = CORPORA["audformat"].read
FILES = [f"wav/{number}.wav" for number in range(6)]
EMOTIONS = ["happy", "neutral", "happy", "neutral", "sad", "neutral"]
SPEAKERS = [3, 3, 8, 8, 9, 9]
PARTITIONS = ["train", "train", "dev", "dev", "test", "test"]


def add(db, table, index, columns, split_id=None):
    """A table with columns of the schemes of their names, where there are such schemes."""
    db[table] = audformat.Table(index, split_id=split_id)
    for column, values in columns.items():
        scheme = column if column in db.schemes else None
        db[table][column] = audformat.Column(scheme_id=scheme)
        db[table][column].set(values)


@pytest.fixture
def db():
    """The tables of EmoDB in audb: emotions with a confidence, and speakers of files."""
    db = audformat.Database("small")
    db.schemes["emotion"] = audformat.Scheme(labels=["happy", "neutral", "sad"])
    db.schemes["confidence"] = audformat.Scheme("float", minimum=0, maximum=1)
    db.schemes["speaker"] = audformat.Scheme(
        labels={3: {"gender": "male"}, 8: {"gender": "female"}, 9: {"gender": "male"}}
    )
    index = audformat.filewise_index(FILES)
    add(db, "emotion", index, {"emotion": EMOTIONS, "confidence": [0.5] * 6})
    add(db, "files", index, {"speaker": SPEAKERS})
    return db


def read(db, root, storage_format="csv", **options):
    db.save(str(root), storage_format=storage_format)
    return read_audformat(root, **options)


def column(corpus, name):
    return dict(zip(corpus.table.index.get_level_values("file"), corpus.table[name], strict=True))


@pytest.mark.parametrize("storage_format", ["csv", "parquet"])
def test_emotion_speaker_and_gender_are_found_where_audb_has_them(db, tmp_path, storage_format):
    corpus = read(db, tmp_path, storage_format)
    assert column(corpus, "emotion") == dict(zip(FILES, EMOTIONS, strict=True))
    assert column(corpus, "speaker") == dict(zip(FILES, map(str, SPEAKERS), strict=True))
    assert set(column(corpus, "sex").items()) == set(
        zip(FILES, ["male", "male", "female", "female", "male", "male"], strict=True)
    )
    assert (corpus.labels, corpus.neutral_label) == (("happy", "neutral", "sad"), "neutral")
    assert corpus.path("wav/0.wav") == tmp_path / "wav" / "0.wav"
    assert audformat.index_type(corpus.table.index) == "segmented"
    check_partitions(corpus)


def test_header_file_may_be_the_root(db, tmp_path):
    db.save(str(tmp_path), name="other")
    corpus = read_audformat(tmp_path / "other.yaml")
    assert corpus.root == tmp_path
    assert len(corpus.table) == 6


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, "not stated; see where the corpus comes from"),
        ({"license": "CC0-1.0"}, "CC0-1.0"),
        (
            {"license": "CC-BY-4.0", "license_url": "https://l.org", "usage": "research"},
            "CC-BY-4.0 (https://l.org), use: research",
        ),
        ({"usage": "restricted"}, "use: restricted"),
    ],
)
def test_licence_is_that_of_the_header_or_of_the_study(db, tmp_path, header, expected):
    for field, value in header.items():
        setattr(db, field, value)
    corpus = read(db, tmp_path)
    assert (corpus.licence, corpus.may_share_audio) == (expected, False)
    other = read_audformat(tmp_path, licence="ours", may_share_audio=True)
    assert (other.licence, other.may_share_audio) == ("ours", True)


def test_utterances_without_label_or_speaker_are_left_out(db, tmp_path):
    db["emotion"]["emotion"].set([None, *EMOTIONS[1:]])
    db["files"]["speaker"].set([3, 3, None, 8, 9, 9])
    corpus = read(db, tmp_path)
    assert len(corpus.table) == 4
    left_out = corpus.left_out.reset_index().set_index("file")
    assert left_out["reason"].to_dict() == {"wav/0.wav": "no label", "wav/2.wav": "no speaker"}
    assert left_out.loc["wav/0.wav", "speaker"] == "3"


def test_segments_take_the_speaker_of_their_file(db, tmp_path):
    """Speakers are often known of files, and emotions of turns in them."""
    index = audformat.segmented_index(
        ["wav/0.wav", "wav/0.wav", "wav/2.wav", "wav/4.wav"],
        ["0s", "1s", "0s", "0.5s"],
        ["1s", "2s", pd.NaT, "1.5s"],
    )
    db.drop_tables("emotion")
    add(db, "turns", index, {"emotion": ["happy", "sad", "neutral", "happy"]})
    corpus = read(db, tmp_path)
    pd.testing.assert_index_equal(corpus.table.index, index, exact="equiv")
    assert corpus.table["speaker"].tolist() == ["3", "3", "8", "9"]


def test_segments_with_speakers_of_their_own_keep_them(db, tmp_path):
    """In a dialogue, one file has two speakers."""
    index = audformat.segmented_index(
        ["d.wav"] * 4, ["0s", "1s", "2s", "3s"], ["1s", "2s", "3s", "4s"]
    )
    add(db, "turns", index, {"emotion": EMOTIONS[:4]})
    add(db, "who", index[::-1], {"speaker": [9, 8, 9, 3]})
    corpus = read(db, tmp_path, table="turns")
    assert corpus.table["speaker"].tolist() == ["3", "9", "8", "9"]


def test_what_is_said_of_a_segment_goes_before_what_is_said_of_its_file(db, tmp_path):
    """The file has a main speaker, and one turn in it is another's."""
    index = audformat.segmented_index(["wav/0.wav"] * 2, ["0s", "1s"], ["1s", "2s"])
    add(db, "turns", index, {"emotion": ["happy", "sad"]})
    add(db, "guests", index[1:], {"speaker": [9]})
    assert read(db, tmp_path, table="turns").table["speaker"].tolist() == ["3", "9"]


def with_splits(db):
    """Tables of the three partitions, as audb corpora name them."""
    for part in ("train", "dev", "test"):
        rows = [number for number in range(6) if PARTITIONS[number] == part]
        db.splits[part] = audformat.Split(part)
        index = audformat.filewise_index([FILES[number] for number in rows])
        emotions = {"emotion": [EMOTIONS[number] for number in rows]}
        add(db, f"emotion.categories.{part}.gold_standard", index, emotions, part)
    return [f"emotion.categories.{part}.gold_standard" for part in ("train", "dev", "test")]


def test_splits_of_tables_are_partitions(db, tmp_path):
    tables = with_splits(db)
    expected = dict(zip(FILES, PARTITIONS, strict=True))
    assert column(read(db, tmp_path, table=tables), "partition") == expected


def test_one_split_alone_is_no_partition(db, tmp_path):
    """Nobody would be tested: each of the two speakers in it is, by what the other one trained."""
    db["files"]["speaker"].set([3, 8, 8, 8, 9, 9])
    corpus = read(db, tmp_path, table=with_splits(db)[0])
    assert corpus.folds == ["speaker 1", "speaker 2"]


def test_splits_that_are_none_of_the_partitions_are_none(db, tmp_path):
    """What an "other" split is for, the database does not say: nothing is guessed."""
    tables = with_splits(db)
    db.splits["dev"] = audformat.Split("other")
    corpus = read(db, tmp_path, table=tables)
    assert column(corpus, "partition") == column(
        read_audformat(tmp_path, table="emotion"), "partition"
    )


def test_a_mapping_says_which_table_is_which_partition(db, tmp_path):
    train, dev, test = with_splits(db)
    corpus = read(db, tmp_path, table={"train": [test, dev], "test": train})
    swapped = ["test", "test", "train", "train", "train", "train"]
    assert column(corpus, "partition") == dict(zip(FILES, swapped, strict=True))
    with pytest.raises(InputError, match="unknown partition in table 'tset': did you mean 'test'"):
        read_audformat(tmp_path, table={"train": train, "tset": test})


def test_partition_and_fold_may_be_columns(db, tmp_path):
    add(db, "lists", audformat.filewise_index(FILES), {
        "part": ["training"] * 2 + ["devel"] * 2 + ["test"] * 2, "session": list("112233"),
    })  # fmt: skip
    corpus = read(db, tmp_path, partition="part", fold="lists.session")
    assert column(corpus, "partition") == dict(zip(FILES, PARTITIONS, strict=True))
    assert column(corpus, "fold") == dict(zip(FILES, "112233", strict=True))
    drawn = read_audformat(tmp_path, partition="part", draw_partition=True)
    assert column(drawn, "partition") == column(read_audformat(tmp_path), "partition")


def test_a_column_may_be_named_with_its_table_though_both_have_points(db, tmp_path):
    raters = {
        "emotion.first": EMOTIONS,
        "emotion.second": ["sad"] * 6,
        "speaker.id": list("abcabc"),
    }
    add(db, "all.raters", audformat.filewise_index(FILES), raters)
    corpus = read(db, tmp_path, table="all.raters", column="emotion.second",
                  speaker="all.raters.speaker.id")  # fmt: skip
    assert set(column(corpus, "emotion").values()) == {"sad"}
    assert column(corpus, "speaker") == dict(zip(FILES, "abcabc", strict=True))


def test_a_table_of_speakers_may_stand_for_the_labels_of_a_scheme(db, tmp_path):
    """Newer audb corpora keep what is known of speakers in a table of its own."""
    other = audformat.Database("newer")
    other["speaker"] = audformat.MiscTable(pd.Index([3, 8, 9], name="speaker", dtype="Int64"))
    other["speaker"]["gender"] = audformat.Column()
    other["speaker"]["gender"].set(["male", "female", "male"])
    other.schemes["speaker"] = audformat.Scheme("int", labels="speaker")
    index = audformat.filewise_index(FILES)
    add(other, "files", index, {"emotion": EMOTIONS, "speaker": SPEAKERS})
    corpus = read(other, tmp_path)
    assert column(corpus, "sex")["wav/2.wav"] == "female"
    assert column(corpus, "speaker")["wav/2.wav"] == "8"


def test_sex_is_not_used_if_it_is_not_known_of_everyone(db, tmp_path):
    db.schemes["speaker"].replace_labels({3: {"gender": "male"}, 8: {}, 9: {"gender": "male"}})
    assert "sex" not in read(db, tmp_path).table


def test_sentences_are_found_in_any_table(db, tmp_path):
    add(db, "texts", audformat.filewise_index(FILES), {"text": list("abcabc")})
    corpus = read(db, tmp_path, sentence="texts.text")
    assert column(corpus, "sentence") == dict(zip(FILES, "123123", strict=True))


def test_a_pattern_finds_the_speaker_in_the_path_or_in_a_column(db, tmp_path):
    corpus = read(db, tmp_path, speaker="file", speaker_pattern=r"(\d)\.wav$")
    assert column(corpus, "speaker") == {file: file[4] for file in FILES}
    with pytest.raises(InputError, match=r"speaker_pattern: .* does not match 6 of 6: wav/0.wav"):
        read_audformat(tmp_path, speaker="file", speaker_pattern="(x)")


def test_absolute_paths_of_a_database_are_found(db, tmp_path):
    """audb saves full paths unless it is told not to."""
    db.map_files(lambda file: str(tmp_path / "cache" / file))
    corpus = read(db, tmp_path / "header")
    assert corpus.root == tmp_path / "cache" / "wav"
    assert corpus.path("0.wav") == tmp_path / "cache" / "wav" / "0.wav"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "emotions"}, "unknown table 'emotions': did you mean 'emotion'"),
        ({"table": ["emotion", "nosuch"]}, "unknown table 'nosuch'"),
        (
            {"table": "emotion", "column": "emotions"},
            "unknown column of table 'emotion' 'emotions'",
        ),
        ({"table": "files"}, "column: found none in table 'files' .*valid is one of speaker"),
        ({"column": "nosuch"}, r"table: found none with a column 'nosuch'.*files \(speaker\)"),
        ({"column": "confidence"}, "column: 'confidence' holds decimal numbers"),
        ({"speaker": "who"}, r"speaker: found no 'who'; .*emotion \(emotion, confidence\)"),
        ({"sex": "age"}, "sex: found no 'age'"),
        ({"partition": "speaker"}, "partition: found 3, 8, 9; valid are train"),
        ({"neutral_label": "calm"}, "unknown neutral_label 'calm'"),
    ],
)
def test_what_is_not_in_the_database_is_named_with_what_is(db, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        read(db, tmp_path, **options)


def test_of_several_tables_of_emotions_none_is_guessed(db, tmp_path):
    with_splits(db)
    with pytest.raises(InputError, match=r"table: found emotion, emotion\.categories.* valid is"):
        read(db, tmp_path)


def test_speakers_that_differ_between_tables_are_not_guessed(db, tmp_path):
    add(db, "more", audformat.filewise_index(FILES), {"speaker": SPEAKERS[::-1]})
    with pytest.raises(InputError, match="speaker: 'speaker' is not the same wherever"):
        read(db, tmp_path)
    corpus = read_audformat(tmp_path, speaker="more.speaker")
    assert column(corpus, "speaker")["wav/0.wav"] == "9"


def test_a_speaker_of_none_of_the_files_is_an_error(db, tmp_path):
    add(db, "elsewhere", audformat.filewise_index(["x.wav"]), {"actor": ["a"]})
    with pytest.raises(InputError, match="'actor' says nothing of the 6 utterances"):
        read(db, tmp_path, speaker="actor")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_pickles_beside_a_database_are_never_opened(db, tmp_path):
    """audformat prefers them to Parquet and CSV; a pickle can run any code."""
    db.save(str(tmp_path / "db"), storage_format="csv")
    for name in ("emotion", "files"):
        (tmp_path / "db" / f"db.{name}.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    assert len(read_audformat(tmp_path / "db").table) == 6
    (tmp_path / "db" / "db.emotion.csv").unlink()
    with pytest.raises(InputError, match="with tables in Parquet or CSV; pickles"):
        read_audformat(tmp_path / "db")
    assert not (tmp_path / "mark").exists()
    # The trap works: audformat by itself falls into it.
    with pytest.raises((TypeError, AttributeError, ValueError, RuntimeError)):
        audformat.Database.load(str(tmp_path / "db"))["emotion"].df  # noqa: B018
    assert (tmp_path / "mark").exists()


def db_with_table(db, tmp_path, table):
    """A saved database whose header calls a table so."""
    db.save(str(tmp_path / "db"), storage_format="csv")
    header = tmp_path / "db" / "db.yaml"
    text = header.read_text()
    assert "  files:\n" in text
    header.write_text(text.replace("  files:\n", f"  {table}:\n"))
    return tmp_path / "db"


def test_a_table_that_leads_to_a_pickle_in_a_folder_called_as_a_table_is_refused(db, tmp_path):
    """audformat puts the name of a table into a path, and prefers a pickle that it finds there."""
    folder = db_with_table(db, tmp_path, "x.csv/files")
    trapped = folder / "db.x.csv"
    trapped.mkdir()
    (trapped / "files.csv").write_bytes((folder / "db.files.csv").read_bytes())
    (trapped / "files.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    with pytest.raises(InputError, match=r"found the table 'x\.csv/files', valid are names of"):
        read_audformat(folder)
    assert not (tmp_path / "mark").exists()
    # The trap works: audformat by itself falls into it.
    audformat.Database.load(str(folder))["x.csv/files"].df  # noqa: B018
    assert (tmp_path / "mark").exists()


def test_a_table_that_leads_out_of_the_database_is_refused(db, tmp_path):
    """A pickle elsewhere, by the absolute path that a name with enough dots makes."""
    (tmp_path / "files.pkl").write_bytes(pickle.dumps(Trap(tmp_path / "mark")))
    name = "/.." * 20 + f"{tmp_path}/files"
    with pytest.raises(InputError, match=r"found the table .*valid are names of files"):
        read_audformat(db_with_table(db, tmp_path, name))
    assert not (tmp_path / "mark").exists()


def test_a_folder_called_as_a_table_is_not_within_reach(db, tmp_path, monkeypatch):
    """Whatever audformat makes of a name, nothing but files is linked to where it reads."""
    db.save(str(tmp_path), storage_format="csv")
    (tmp_path / "db.x.csv").mkdir()
    seen = []
    load = audformat.Database.load

    def listing(root, **options):
        seen.extend(sorted(path.name for path in Path(root).iterdir()))
        return load(root, **options)

    monkeypatch.setattr(audformat.Database, "load", listing)
    read_audformat(tmp_path)
    assert seen == ["db.emotion.csv", "db.files.csv", "db.yaml"]


def test_a_header_that_makes_objects_makes_none(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "db.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{mark}']\n")
    with pytest.raises(InputError, match=r"db\.yaml cannot be read .*python/object/apply:os.mkdir"):
        read_audformat(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, r"no db\.yaml in .*expected is a folder with db\.yaml"),
        ("", "cannot be read .*no mapping"),
        ("- a\n- b\n", "cannot be read .*no mapping"),
        ("a: [", "cannot be read"),
        ("languages: 3\n", "cannot be read"),
    ],
)
def test_what_is_no_database_is_named(tmp_path, header, message):
    if header is not None:
        (tmp_path / "db.yaml").write_text(header)
    with pytest.raises(InputError, match=message):
        read_audformat(tmp_path)


def test_a_database_without_tables_says_so(tmp_path):
    with pytest.raises(InputError, match=r"none with a column 'emotion'.*has no table$"):
        read(audformat.Database("empty"), tmp_path)


def test_a_broken_table_is_named(db, tmp_path):
    db.save(str(tmp_path), storage_format="parquet")
    (tmp_path / "db.emotion.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"a table of .* cannot be read"):
        read_audformat(tmp_path)


@pytest.mark.parametrize(
    ("start", "message"),
    [('"0,5"', "a point, not a comma"), ("500", "without a unit"), ("0.5", "without a unit")],
)
def test_a_time_that_is_no_duration_is_refused(db, tmp_path, start, message):
    """audformat would read each as nanoseconds, or fail without naming the column."""
    add(
        db,
        "parts",
        audformat.segmented_index(["wav/0.wav"], ["500ms"], ["1s"]),
        {"emotion": ["sad"]},
    )
    db.save(str(tmp_path), storage_format="csv")
    table = tmp_path / "db.parts.csv"
    text = table.read_text()
    assert "0 days 00:00:00.500000" in text
    table.write_text(text.replace("0 days 00:00:00.500000", start))
    with pytest.raises(InputError, match=rf"db\.parts\.csv, column 'start'.*{message}"):
        read_audformat(tmp_path, table="parts")
