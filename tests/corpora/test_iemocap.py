"""IEMOCAP: its layout and what trips readers up in it, its classes, folds and published counts."""

import codecs
import shutil

import audformat
import pytest
import trees

from sercue.corpora import CORPORA
from sercue.errors import InputError

read_iemocap = CORPORA["iemocap"].read


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A tree that no test changes."""
    return trees.iemocap_tree(tmp_path_factory.mktemp("iemocap"))


@pytest.fixture
def labels(tmp_path):
    """Two sessions of label files alone, to be spoilt: a turn of each of two classes a dialogue."""
    for session in (1, 2):
        dialogue = f"Ses0{session}F_impro01"
        turns = [(f"{dialogue}_F000", "neu"), (f"{dialogue}_M000", "ang")]
        trees.write_evaluation(tmp_path / f"Session{session}", dialogue, turns)
    return tmp_path


def label_file(root, session=1):
    return root / f"Session{session}/dialog/EmoEvaluation/Ses0{session}F_impro01.txt"


def utterances(corpus):
    rows = corpus.table.reset_index()
    return rows.set_index(rows["file"].str.rpartition("/")[2])


def test_the_tree_has_the_turns_that_were_written(shared):
    """Not those of raters' files, of what macOS leaves, or of lines below a turn."""
    corpus = read_iemocap(shared)
    assert audformat.index_type(corpus.table.index) == "segmented"
    assert corpus.table.groupby(["session", "emotion"]).size().to_dict() == {
        (session, emotion): 4 for session in "12345" for emotion in corpus.labels
    }
    assert corpus.labels == ("angry", "happy", "neutral", "sad")
    assert corpus.neutral_label == "neutral"
    assert all(corpus.path(file).is_file() for file in corpus.table.index.get_level_values("file"))
    assert not corpus.may_share_audio


def test_the_speaker_is_the_letter_of_the_turn_and_not_of_the_dialogue(shared):
    """Both speak in every dialogue; its name says who wears the motion capture markers."""
    turns = utterances(read_iemocap(shared))
    assert turns.loc["Ses01F_impro01_F000.wav", ["speaker", "sex"]].tolist() == ["Ses01F", "female"]
    assert turns.loc["Ses01F_impro01_M000.wav", ["speaker", "sex"]].tolist() == ["Ses01M", "male"]
    assert turns.loc["Ses04M_script01_1_F001.wav", "speaker"] == "Ses04F"
    assert turns["speaker"].nunique() == 10
    assert set(turns.groupby("speaker").size()) == {8}
    assert turns["file"]["Ses04M_script01_1_F001.wav"] == (
        "Session4/sentences/wav/Ses04M_script01_1/Ses04M_script01_1_F001.wav"
    )


def test_each_session_is_a_fold_that_shares_no_speaker_with_the_others(shared):
    corpus = read_iemocap(shared)
    assert corpus.folds == ["1", "2", "3", "4", "5"]
    for fold in corpus.folds:
        table = corpus.in_fold(fold).table
        tested = table[table["partition"] == "test"]
        assert set(tested["speaker"]) == {f"Ses0{fold}F", f"Ses0{fold}M"}
        assert len(tested) == 16
        assert set(table[table["partition"] == "train"]["session"]) == set("12345") - {fold}


def test_other_classes_are_left_out_and_counted(shared):
    gone = read_iemocap(shared).left_out
    assert gone.groupby(["reason", "detail"]).size().to_dict() == {
        ("class not in the study", "fru"): 10,
        ("class not in the study", "xxx"): 10,
    }
    assert gone["emotion"].isna().all()


def test_excited_is_happy_only_if_merged(shared):
    apart = read_iemocap(shared, merge_excited=False)
    assert (apart.table["emotion"] == "happy").sum() == 10
    assert apart.left_out["detail"].value_counts().to_dict() == {"exc": 10, "fru": 10, "xxx": 10}


def test_improvised_only_leaves_scripted_turns_out(shared):
    corpus = read_iemocap(shared, improvised_only=True)
    assert len(corpus.table) == 40
    assert all("impro" in file for file in corpus.table.index.get_level_values("file"))
    scripted = corpus.left_out[corpus.left_out["reason"] == "scripted"]
    assert scripted["emotion"].value_counts().to_dict() == dict.fromkeys(corpus.labels, 10)
    # No published count is about this choice, so that nothing is to be compared with.
    assert corpus.expected == ()


def test_the_folder_above_may_be_named(shared, tmp_path):
    (tmp_path / "IEMOCAP_full_release").symlink_to(shared)
    above = read_iemocap(tmp_path)
    assert above.table.equals(read_iemocap(shared).table)
    assert above.path(above.table.index[0][0]).is_file()


def test_some_sessions_suffice(tmp_path):
    """Many have a part of the corpus only."""
    corpus = read_iemocap(trees.iemocap_tree(tmp_path, sessions=(2, 5)))
    assert corpus.folds == ["2", "5"]
    shutil.rmtree(tmp_path / "Session5")
    with pytest.raises(InputError, match=r"found Session2 alone .* at least two sessions"):
        read_iemocap(tmp_path)


@pytest.mark.parametrize("change", [
    lambda content: content.replace(b"\n", b"\r\n"),
    lambda content: codecs.BOM_UTF8 + content[content.index(b"[1.") :],
    lambda content: content.replace(b"\t", b"  "),
    lambda content: content.rstrip(b"\n"),
    lambda content: content.replace(b"d\xe9\xe7ue", b"d\xc3\xa9\xc3\xa7ue \x85 [7 - 8]"),
])  # fmt: skip
def test_line_ends_marks_and_encodings_change_nothing(labels, change):
    """Label files have been through many hands and systems."""
    before = read_iemocap(labels)
    path = label_file(labels)
    changed = change(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    assert read_iemocap(labels).table.equals(before.table)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\tneu\t", "\t", r"impro01\.txt, line 3: found '\[1\.0000 - 3\.0000\].*\nValid is \["),
        ("[1.0000 - 3.0000]", "1.0000 - 3.0000]", r"impro01\.txt, line 3: found '1\.0000"),
        ("Ses01F_impro01_F000", "Ses01F_impro01", r"line 3: found"),
        ("Ses01F_impro01_F000", "Ses06F_impro01_F000", r"line 3: found"),
        ("\tneu\t", "\tnue\t", "line 3: unknown label 'nue': .* ang, hap, neu, sad, exc"),
        ("Ses01F_impro01_F000", "Ses02F_impro01_F001", "line 3: unknown session '2': Valid are: 1"),
        ("Ses01F_impro01_M000", "Ses01F_impro01_F000",
         r"line 12: Ses01F_impro01_F000 is listed before, in .*impro01\.txt, line 3"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_valid_is_named_with_its_place(labels, old, new, message):
    path = label_file(labels)
    content = path.read_text("latin-1")
    assert old in content
    path.write_text(content.replace(old, new, 1), "latin-1")
    with pytest.raises(InputError, match=message):
        read_iemocap(labels)


def test_all_bad_lines_are_counted_and_five_are_shown(labels):
    """One message must do for a file that was spoilt throughout."""
    dialogue = "Ses01F_impro02"
    turns = [(f"{dialogue}_F{n:03d}", "none") for n in range(8)]
    trees.write_evaluation(labels / "Session1", dialogue, turns)
    with pytest.raises(InputError) as caught:
        read_iemocap(labels)
    assert str(caught.value).count("unknown label") == 5
    assert "and 3 more" in str(caught.value)


def test_missing_label_files_are_named(labels, tmp_path_factory):
    label_file(labels).write_text("% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n")
    with pytest.raises(InputError, match=r"Ses01F_impro01\.txt lists no turn"):
        read_iemocap(labels)
    shutil.rmtree(labels / "Session2" / "dialog")
    label_file(labels).unlink()
    with pytest.raises(InputError, match=r"no label file .*Session1/dialog/EmoEvaluation/\*\.txt"):
        read_iemocap(labels)
    with pytest.raises(InputError, match=r"no session in .*expected is a folder with Session1"):
        read_iemocap(tmp_path_factory.mktemp("empty"))


def test_a_label_file_that_cannot_be_opened_is_named(labels):
    label_file(labels).unlink()
    label_file(labels).mkdir()
    with pytest.raises(InputError, match=r"Ses01F_impro01\.txt: cannot be read \(Is a directory"):
        read_iemocap(labels)


@pytest.mark.parametrize("option", ["merge_excited", "improvised_only"])
def test_options_are_true_or_false(shared, option):
    """A study may say "no", which Python takes for true."""
    with pytest.raises(InputError, match=f"{option}: found 'no'; Input should be a valid boolean"):
        read_iemocap(shared, **{option: "no"})


# Turns of each session, as published: ang, hap, exc, neu, sad.
FULL = {
    1: (229, 135, 143, 384, 194),
    2: (137, 117, 210, 362, 197),
    3: (240, 135, 151, 320, 305),
    4: (327, 65, 238, 258, 143),
    5: (170, 143, 299, 384, 245),
}
# Turns of other labels, in all sessions.
OTHERS = {"fru": 1849, "sur": 107, "fea": 40, "dis": 2, "oth": 3, "xxx": 2507}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Label files of as many turns as the corpus has, without audio."""
    folder = tmp_path_factory.mktemp("full")
    others = [code for code, count in OTHERS.items() for _ in range(count)]
    for session, counts in FULL.items():
        named = zip(("ang", "hap", "exc", "neu", "sad"), counts, strict=True)
        codes = [code for code, count in named for _ in range(count)] + others[session - 1 :: 5]
        for part, dialogue in enumerate((f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1b")):
            turns = [
                (f"{dialogue}_{'FM'[number % 2]}{number // 2:03d}", code)
                for number, code in enumerate(codes[part::2])
            ]
            trees.write_evaluation(folder / f"Session{session}", dialogue, turns)
    return folder


def test_the_full_corpus_has_the_published_counts(full):
    """10,039 turns, 5,531 of them in four classes; and the reader expects just that."""
    corpus = read_iemocap(full)
    assert len(corpus.table) == 5531
    assert len(corpus.table) + len(corpus.left_out) == corpus.listed == 10_039
    emotions, sessions = corpus.expected
    assert corpus.table["emotion"].value_counts().to_dict() == emotions.to_dict() == {
        "neutral": 1708, "happy": 1636, "angry": 1103, "sad": 1084,
    }  # fmt: skip
    assert corpus.table["session"].value_counts().to_dict() == sessions.to_dict() == {
        "1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241,
    }  # fmt: skip
    assert (emotions.index.name, sessions.index.name) == ("emotion", "session")
    assert corpus.left_out["detail"].value_counts().to_dict() == OTHERS


def test_without_excited_the_published_595_are_happy(full):
    corpus = read_iemocap(full, merge_excited=False)
    (emotions,) = corpus.expected
    assert emotions.index.name == "emotion"
    assert corpus.table["emotion"].value_counts().to_dict() == emotions.to_dict() == {
        "neutral": 1708, "happy": 595, "angry": 1103, "sad": 1084,
    }  # fmt: skip


def test_raters_are_counted_and_actors_are_not(shared):
    """Of three raters one says neutral, one the class, one the class and other: .5 is left of it.

    What the actors said of themselves (C-F1) is no vote.
    """
    turns = utterances(read_iemocap(shared))
    rated = turns.filter(regex="^rated_")
    assert list(rated) == ["rated_angry", "rated_happy", "rated_neutral", "rated_sad"]
    # (1 + 1/2) of angry and 1 of neutral, of 2.5 votes for any of the four classes.
    assert rated.loc["Ses01F_impro01_F000.wav"].tolist() == pytest.approx([0.6, 0, 0.4, 0])
    assert rated.sum(axis=1).tolist() == pytest.approx([1] * len(rated))
    # Excited in a scripted dialogue, which counts as happy.
    assert rated.loc["Ses01M_script01_1_F001.wav", "rated_happy"] == pytest.approx(0.6)


def test_excited_is_no_vote_if_it_is_not_merged(shared):
    rated = utterances(read_iemocap(shared, merge_excited=False)).filter(regex="^rated_")
    assert rated.loc["Ses01F_impro01_F001.wav", "rated_happy"] == pytest.approx(0.6)
    assert "Ses01M_script01_1_F001.wav" not in rated.index


def test_without_lines_of_raters_there_are_no_shares(labels):
    for session in (1, 2):
        file = label_file(labels, session)
        lines = file.read_text("latin-1").splitlines()
        file.write_text("\n".join(line for line in lines if not line.startswith("C-E")), "latin-1")
    assert not read_iemocap(labels).table.filter(regex="^rated_").shape[1]
