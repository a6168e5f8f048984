"""The corpus ``table``: what it accepts, and the message for everything that it does not."""

import audformat
import audiofile
import numpy as np
import pandas as pd
import pytest

from sercue.corpora import load_corpus
from sercue.errors import InputError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "wav").mkdir()
    for number in range(6):
        audiofile.write(str(tmp_path / f"wav/{number}.wav"), np.zeros(16000, "float32"), 16000)
    return tmp_path


def rows(**columns):
    listed = {
        "file": [f"wav/{number}.wav" for number in range(6)],
        "emotion": ["happy", "neutral"] * 3,
        "speaker": ["03", "03", "08", "08", "10", "10"],
    }
    return pd.DataFrame(listed | columns)


def written(folder, table, name="corpus.csv"):
    path = folder / name
    if name.endswith("csv"):
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["corpus.csv", "corpus.parquet"])
def test_table_is_read_as_it_was_written(folder, name):
    partition = ["train"] * 2 + ["dev"] * 2 + ["test"] * 2
    listed = rows(partition=partition, session=["01"] * 6, fold=["1"] * 6, remark=["x"] * 6)
    corpus = load_corpus("table", written(folder, listed, name))
    assert corpus.table["speaker"].tolist() == ["03", "03", "08", "08", "10", "10"]
    assert corpus.table["session"].tolist() == ["01"] * 6
    assert corpus.table["partition"].tolist() == partition
    assert list(corpus.table) == ["emotion", "speaker", "partition", "session", "fold"]
    assert corpus.labels == ("happy", "neutral")
    assert corpus.neutral_label == "neutral"
    assert audformat.index_type(corpus.table.index) == "segmented"
    assert corpus.table.index.get_level_values("end").isna().all()


def test_parquet_in_audformat_layout_is_read_too(folder):
    listed = rows().set_index("file")
    path = folder / "corpus.parquet"
    listed.to_parquet(path)
    assert len(load_corpus("table", path).table) == 6


def test_whole_numbers_of_a_parquet_become_names(folder):
    listed = rows(speaker=[3, 3, 8, 8, 10, 10])
    corpus = load_corpus("table", written(folder, listed, "corpus.parquet"))
    assert corpus.table["speaker"].tolist() == ["3", "3", "8", "8", "10", "10"]


@pytest.mark.parametrize("text", ["NA", "nan", "None", "<NA>", "null"])
def test_a_label_that_looks_like_a_missing_value_is_one_only_if_the_study_says_so(folder, text):
    path = written(folder, rows(emotion=[text, "sad", "neutral"] * 2))
    with pytest.raises(InputError, match=f"labels: 2 utterances .* have the label '{text}'"):
        load_corpus("table", path)
    assert load_corpus("table", path, labels=[text, "sad", "neutral"]).labels[0] == text
    dropped = load_corpus("table", path, drop_labels=[text])
    assert dropped.labels == ("neutral", "sad")
    assert dropped.left_out["detail"].tolist() == [text] * 2


@pytest.mark.parametrize("column", ["speaker", "sex", "session", "fold"])
def test_a_speaker_or_fold_that_looks_like_a_missing_value_is_refused(folder, column):
    """All who are not known would become one speaker, and be drawn and resampled as one."""
    cells = ["03", "03", "nan", "nan", "10", "10"]
    with pytest.raises(InputError, match=f"2 utterances have the {column} 'nan'.*wav/2.wav"):
        load_corpus("table", written(folder, rows(**{column: cells})))


def test_na_may_be_the_initials_of_a_speaker(folder):
    listed = rows(speaker=["NA", "NA", "08", "08", "1e5", "1e5"])
    assert set(load_corpus("table", written(folder, listed)).table["speaker"]) == {
        "NA",
        "08",
        "1e5",
    }


def test_seconds_and_durations_name_the_same_segment(folder):
    one = rows(file=["wav/0.wav"] * 6, start=["0.1"] * 6, end=[f"0.{n}" for n in range(3, 9)])
    other = one.assign(start=["0 days 00:00:00.1"] * 6, end=[f"{n}00ms" for n in range(3, 9)])
    first = load_corpus("table", written(folder, one)).table
    second = load_corpus("table", written(folder, other, "other.csv")).table
    assert first.equals(second)
    assert first.index[0] == ("wav/0.wav", pd.Timedelta("100ms"), pd.Timedelta("300ms"))


def test_an_empty_end_is_the_end_of_the_file(folder):
    listed = rows(start=["", "0.5", "", "", "", ""], end=["", "", "0.5", "", "", ""])
    index = load_corpus("table", written(folder, listed)).table.index
    expected = audformat.segmented_index(
        [f"wav/{number}.wav" for number in range(6)],
        ["0s", "500ms", "0s", "0s", "0s", "0s"],
        [pd.NaT, pd.NaT, "500ms", pd.NaT, pd.NaT, pd.NaT],
    )
    pd.testing.assert_index_equal(index, expected)


def test_partitions_go_by_the_names_that_corpora_give_them(folder):
    """And the sex counts only where it is known of all."""
    names = ["Train", "training", "devel", "Validation", "TEST", "testing"]
    listed = rows(speaker=list("abcdef"), partition=names, sex=["f", "", "m", "f", "m", "f"])
    table = load_corpus("table", written(folder, listed)).table
    assert table["partition"].tolist() == ["train"] * 2 + ["dev"] * 2 + ["test"] * 2
    assert "sex" not in table


def test_sentences_that_are_the_same_words_have_the_same_number_and_are_not_stored(folder):
    said = ["Come in", "no", "come  IN", "", "no", "Come in"]
    table = load_corpus("table", written(folder, rows(sentence=said))).table
    assert table["sentence"].tolist() == ["1", "2", "1", None, "2", "1"]


def test_a_study_says_that_the_speakers_are_children(folder):
    path = written(folder, rows())
    assert load_corpus("table", path, children=True).children
    assert not load_corpus("table", path).children


def test_one_file_by_two_names_is_one_utterance(folder):
    listed = rows(file=["wav/0.wav", "./wav/0.wav", *(f"wav/{n}.wav" for n in range(2, 6))])
    with pytest.raises(InputError, match=r"1 utterances are listed more than once: wav/0\.wav"):
        load_corpus("table", written(folder, listed))


def test_absolute_files_are_found_wherever_the_table_lies(folder, tmp_path_factory):
    files = [str(folder / "wav" / f"{number}.wav") for number in range(6)]
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    corpus = load_corpus("table", written(elsewhere, rows(file=files)))
    assert corpus.root == folder / "wav"
    assert corpus.table.index[0][0] == "0.wav"


def test_same_corpus_through_another_reader_is_the_same(folder):
    # What emodb reads must come back through a table, named partition or not.
    tree = folder / "emodb" / "wav"
    tree.mkdir(parents=True)
    for speaker in (3, *range(8, 17)):
        for code in ("Wa", "Nb"):
            audiofile.write(
                str(tree / f"{speaker:02}a01{code}.wav"), np.zeros(160, "float32"), 16000
            )
    for seed in (0, 1, 2):
        original = load_corpus("emodb", tree.parent, seed=seed)
        listed = original.table.reset_index()[["file", "emotion", "speaker", "sex", "partition"]]
        named = written(tree.parent, listed.iloc[::-1], "named.csv")
        unnamed = written(tree.parent, listed.drop(columns="partition").iloc[::-1], "un.csv")
        for path in (named, unnamed):
            other = load_corpus("table", path, seed=seed).table.sort_index()
            expected = original.table[other.columns.tolist()].sort_index()
            pd.testing.assert_frame_equal(other, expected, check_dtype=False)


def test_neutral_label_may_be_named(folder):
    path = written(folder, rows(emotion=["anger", "calm"] * 3))
    assert load_corpus("table", path).neutral_label is None
    assert load_corpus("table", path, neutral_label="calm").neutral_label == "calm"
    with pytest.raises(InputError, match="unknown neutral_label 'clam': did you mean 'calm'"):
        load_corpus("table", path, neutral_label="clam")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"emotion": ["happy", "", "happy", "happy", None, "sad"]},
         r"nothing in column 'emotion' of rows 2, 5 \(2 in all\)"),
        ({"speaker": ["a", "b", "c", "", "e", "f"]}, "nothing in column 'speaker' of row 4"),
        ({"partition": ["train"] * 5 + ["tset"]},
         "row 6: unknown partition 'tset': did you mean 'test'"),
        ({"partition": ["train"] * 4 + ["", "test"]}, "nothing in column 'partition' of row 5"),
        ({"start": [0, 0, 0, 2, 0, 0], "end": [1, 1, 1, 1.5, 1, 1]},
         "row 4: a segment must start .* found start 2 s, end 1.5 s"),
        ({"start": [0, -1, 0, 0, 0, 0], "end": [1] * 6}, "row 2: a segment must start at 0"),
        ({"start": [0] * 6, "end": [1, 1, "soon", 1, 1, 1]},
         "column 'end', row 3: found 'soon', valid are seconds"),
        ({"start": ["0,5"] * 6},
         r"column 'start', rows 1, .* found '0,5', .* a point, not a comma"),
        ({"end": [1, "inf", 1, 1, 1, 1]}, "column 'end', row 2: found 'inf'"),
        ({"end": [1, 1, 1, 1, "1e10", 1]}, "column 'end', row 5: found '1e10'"),
        ({"end": [1, 1, 1, 1, 1, "12 3"]}, "column 'end', row 6: found '12 3'"),
        ({"end": [1, "nan", 1, 1, 1, 1]}, "column 'end', row 2: found 'nan'"),
        ({"sex": ["f", "m"] + ["f"] * 4}, "sex: speaker '03' has more than one"),
        # Read as if they were not there, segments would be whole files and speakers drawn anew.
        ({"Start": [0] * 6}, "has a column 'Start'; valid is 'start'"),
        ({" partition": ["test"] * 6}, "has a column ' partition'; valid is 'partition'"),
    ],
)  # fmt: skip
def test_bad_cells_are_named_with_their_rows(folder, columns, message):
    with pytest.raises(InputError, match=message):
        load_corpus("table", written(folder, rows(**columns)))


def test_a_missing_column_names_the_nearest(folder):
    path = written(folder, rows().rename(columns={"emotion": "emotions"}))
    with pytest.raises(InputError, match=r"no column 'emotion'; is it 'emotions'.*Expected is"):
        load_corpus("table", path)


def test_semicolons_are_recognised(folder):
    path = folder / "corpus.csv"
    rows().to_csv(path, sep=";", index=False)
    with pytest.raises(InputError, match="columns must be separated by commas"):
        load_corpus("table", path)


@pytest.mark.parametrize(("commas", "fields"), [(1, "one field"), (2, "2 fields")])
def test_rows_longer_than_the_header_are_named(folder, commas, fields):
    """pandas would take the first field for the name of the row, and the next for the file."""
    path = folder / "corpus.csv"
    header, *lines = rows().to_csv(index=False).splitlines()
    path.write_text("\n".join([header, *(line + "," * commas for line in lines)]))
    with pytest.raises(InputError, match=f"rows of .* have {fields} more than the header"):
        load_corpus("table", path)


def test_a_column_that_is_there_twice_is_refused(folder):
    """pandas would call the second one emotion.1, and it would be ignored."""
    path = folder / "corpus.csv"
    lines = rows().to_csv(index=False).splitlines()
    path.write_text("\n".join([lines[0] + ",emotion", *(line + ",sad" for line in lines[1:])]))
    with pytest.raises(InputError, match="two columns 'emotion'"):
        load_corpus("table", path)


def test_infinite_times_of_a_parquet_are_named(folder):
    path = written(folder, rows(end=[1.0, np.inf, 1, 1, 1, np.nan]), "corpus.parquet")
    with pytest.raises(InputError, match="column 'end', row 2: found 'inf'"):
        load_corpus("table", path)


def test_whatever_a_library_raises_of_a_table_becomes_one_line(folder, monkeypatch):
    path = written(folder, rows(), "corpus.parquet")

    def fails(*_):
        raise RuntimeError("something\nelse")

    monkeypatch.setattr(pd, "read_parquet", fails)
    with pytest.raises(InputError, match=r"cannot be read \(RuntimeError: something else\)"):
        load_corpus("table", path)


def test_decimal_speakers_are_refused(folder):
    # A column with a gap turns 3 into 3.0 in many programs; that is nobody's name.
    path = written(folder, rows(speaker=[3.0, 3.0, 8.0, 8.0, 10.0, 10.0]), "corpus.parquet")
    with pytest.raises(InputError, match=r"'speaker' of .* holds decimal numbers"):
        load_corpus("table", path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("corpus.csv", b"", "is empty"),
        ("corpus.csv", b"file,emotion,speaker\n", "has no rows"),
        ("corpus.csv", b"file,emotion,speaker\na,b,c,d,e\nf\n,,,,,,\n", "cannot be read|nothing"),
        ("corpus.csv", "file,emotion,speaker\na,böse,c\n".encode("latin-1"), "cannot be read"),
        ("corpus.parquet", b"not parquet", "cannot be read"),
        ("corpus.xlsx", b"x", "found 'corpus.xlsx', valid are .csv and .parquet"),
    ],
)
def test_unreadable_tables_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_corpus("table", path)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="is a folder; expected is a CSV"):
        load_corpus("table", tmp_path)


def shared_votes(**changed):
    listed = {
        "p_happy": ["1", "0.25", "", "0.5", "0", "1"],
        "p_neutral": ["0", "0.75", "", "0.5", "1", "0"],
    }
    return rows(**(listed | changed))


@pytest.mark.parametrize("name", ["corpus.csv", "corpus.parquet"])
def test_shares_of_raters_are_read(folder, name):
    listed = shared_votes()
    if name.endswith("parquet"):
        listed = listed.assign(**{
            column: pd.to_numeric(listed[column]) for column in ("p_happy", "p_neutral")
        })  # fmt: skip
    table = load_corpus("table", written(folder, listed, name)).table
    rated = table.filter(regex="^rated_")
    assert list(rated) == ["rated_happy", "rated_neutral"]
    assert rated.iloc[[0, 1, 3]].to_numpy().tolist() == [[1, 0], [0.25, 0.75], [0.5, 0.5]]
    assert rated.iloc[2].isna().all()


def test_shares_of_labels_that_a_study_makes_one_add_up(folder):
    """Spelled in two ways in the corpus, one class in the study."""
    listed = rows(
        emotion=["happy", "neutral", "Happy"] * 2, p_happy=["0.5", "0", "0.2"] * 2,
        p_Happy=["0.25", "0", "0.2"] * 2, p_neutral=["0.25", "1", "0.6"] * 2,
    )  # fmt: skip
    path = written(folder, listed)
    study = {"happy": "happy", "Happy": "happy", "neutral": "neutral"}
    table = load_corpus("table", path, labels=study).table
    assert table.filter(regex="^rated_").iloc[0].to_dict() == pytest.approx(
        {"rated_happy": 0.75, "rated_neutral": 0.25}
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"p_happy": ["0.9"] * 6}, r"rows 1, 2, 3, .*columns p_<label>: found .*sum to 1"),
        ({"p_happy": ["x"] * 6}, r"columns p_<label>: found \['x', "),
        ({"p_happy": ["-1", "0.25", "", "0.5", "0", "1"], "p_neutral": ["2"] + ["0.75"] * 5},
         r"columns p_<label>: found \['-1', '2'\]"),
    ],
)  # fmt: skip
def test_shares_that_are_none_are_refused(folder, changed, said):
    with pytest.raises(InputError, match=said):
        load_corpus("table", written(folder, shared_votes(**changed)))


def test_shares_are_told_of_every_label_or_of_none(folder):
    listed = shared_votes().drop(columns="p_neutral")
    with pytest.raises(
        InputError, match="has p_happy and no p_neutral; valid is a column of every"
    ):
        load_corpus("table", written(folder, listed))


def test_other_columns_of_that_form_change_nothing(folder):
    """A corpus without ratings is the very same as before, and so is its identity."""
    plain = load_corpus("table", written(folder, rows()))
    other = load_corpus("table", written(folder, rows(p_value=["0.1"] * 6), "other.csv"))
    assert list(other.table) == ["emotion", "speaker", "partition", "fold"]
    assert other.table.equals(plain.table)
