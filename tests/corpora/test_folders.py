"""The corpus ``folders``: where emotion, speaker and partition come from, and what is not read."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from unprivileged import run_unprivileged

from sercue.corpora import CORPORA
from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import check_partitions, check_rows
from sercue.errors import InputError

read_folders = CORPORA["folders"].read
SPEAKER = r"([^/_]+)_[^/]*$"


def tree(root, files):
    """Files that need not be recordings: nothing here opens them."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return root


def by_file(corpus, column):
    return dict(zip(corpus.table.index.get_level_values("file"), corpus.table[column], strict=True))


def test_emotion_is_the_folder_and_speaker_what_the_pattern_finds(tmp_path):
    files = [
        "sad/anna_1.wav", "sad/day1/ben_1.flac", "Neutral/anna_2.MP3", "Neutral/c_1.ogg",
        "Neutral/d_1.opus", "sad/e_1.AIFF",
    ]  # fmt: skip
    root = tree(tmp_path, files)
    corpus = read_folders(root, speaker=SPEAKER)
    assert by_file(corpus, "emotion") == {
        "sad/anna_1.wav": "sad", "sad/day1/ben_1.flac": "sad",
        "Neutral/anna_2.MP3": "Neutral", "Neutral/c_1.ogg": "Neutral",
        "Neutral/d_1.opus": "Neutral", "sad/e_1.AIFF": "sad",
    }  # fmt: skip
    assert by_file(corpus, "speaker") == {
        "sad/anna_1.wav": "anna", "sad/day1/ben_1.flac": "ben",
        "Neutral/anna_2.MP3": "anna", "Neutral/c_1.ogg": "c",
        "Neutral/d_1.opus": "d", "sad/e_1.AIFF": "e",
    }  # fmt: skip
    assert (corpus.labels, corpus.neutral_label) == (("Neutral", "sad"), "Neutral")
    assert not corpus.may_share_audio
    check_rows(corpus)
    check_partitions(corpus)


def test_top_folders_called_as_partitions_are_partitions(tmp_path):
    root = tree(tmp_path, ["Train/sad/a_1.wav", "val/sad/x/b_1.wav", "TEST/happy/c_1.wav"])
    corpus = read_folders(root, speaker=SPEAKER)
    assert by_file(corpus, "partition") == {
        "Train/sad/a_1.wav": "train", "val/sad/x/b_1.wav": "dev", "TEST/happy/c_1.wav": "test",
    }  # fmt: skip
    assert set(by_file(corpus, "emotion").values()) == {"sad", "happy"}


def test_partitions_are_drawn_where_the_tree_has_nobody_to_test_or_the_study_says_so(tmp_path):
    """Published test labels are often missing; speakers often recur in splits of others."""
    shared = [f"{part}/sad/{s}_1.wav" for part in ("train", "test") for s in "abcdefghij"]
    untested = [f"{part}/sad/{part}{s}_1.wav" for part in ("train", "val") for s in "abcde"]
    drawn = read_folders(tree(tmp_path / "1", shared), speaker=SPEAKER, draw_partition=True)
    for corpus in (drawn, read_folders(tree(tmp_path / "2", untested), speaker=SPEAKER)):
        assert set(corpus.table["partition"]) == {"train", "dev", "test"}
        check_partitions(corpus)
    with pytest.raises(InputError, match="partitions must not share a speaker"):
        check_partitions(read_folders(tmp_path / "1", speaker=SPEAKER))


def test_named_groups_tell_more_than_the_speaker(tmp_path):
    """TESS has the speaker in the folder of the emotion, other corpora folders of speakers."""
    root = tree(tmp_path, ["OAF_angry/1.wav", "OAF_Fear/1.wav", "YAF_angry/1.wav"])
    corpus = read_folders(root, speaker=r"^(?P<speaker>(OAF|YAF))_(?P<emotion>[^/]+)/")
    assert corpus.labels == ("Fear", "angry")
    assert set(corpus.table["speaker"]) == {"OAF", "YAF"}


def test_groups_for_sex_partition_sentence_and_fold(tmp_path):
    root = tree(tmp_path, ["sad/f1_training_A_1.wav", "sad/m1_test_B_1.wav", "joy/m2_val_B_2.wav"])
    pattern = r"/(?P<speaker>(?P<sex>[fm])\d)_(?P<partition>[a-z]+)_(?P<fold>[AB])_(?P<sentence>\d)"
    table = read_folders(root, speaker=pattern).table
    told = table.set_index("speaker")[["sex", "partition", "fold", "sentence"]]
    assert told.to_dict("index") == {
        "f1": {"sex": "f", "partition": "train", "fold": "A", "sentence": "1"},
        "m1": {"sex": "m", "partition": "test", "fold": "B", "sentence": "1"},
        "m2": {"sex": "m", "partition": "dev", "fold": "B", "sentence": "2"},
    }
    with pytest.raises(InputError, match="its group partition found A, B; valid are train"):
        read_folders(root, speaker=r"/(?P<speaker>..)_[a-z]+_(?P<partition>[AB])")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (None, r"speaker: found None, valid is a regular expression with one group.*anna_01\.wav"),
        (3, "speaker: found 3; Input should be a valid string"),
        ("(", r"speaker: found '\(' \(missing \)"),
        ("anna", "speaker: found 'anna', valid is a regular expression with one group"),
        ("(a)(b)", "valid is a regular expression with one group"),
        ("(?P<sex>a)", "or with groups named speaker, emotion, sex, partition"),
        ("(?P<spaeker>a)", "unknown group in speaker 'spaeker': did you mean 'speaker'"),
        (r"(\d)_", r"does not match 7 of 7: sad/a_0.wav, .*a_4.wav, \.\.\.$"),
        (r"_([0-5])\.", r"does not match 1 of 7: sad/a_6\.wav$"),
    ],
)
def test_a_pattern_that_does_not_tell_the_speaker_is_refused(tmp_path, pattern, message):
    root = tree(tmp_path, [f"sad/a_{number}.wav" for number in range(7)])
    with pytest.raises(InputError, match=message):
        read_folders(root, speaker=pattern)


def test_a_group_that_finds_nothing_is_no_speaker(tmp_path):
    """An optional group matches every path; an empty name is nobody's."""
    root = tree(tmp_path, ["sad/a_.wav", "sad/a_1.wav"])
    for pattern in (r"_(\d?)\.", r"_(\d)?\."):
        with pytest.raises(InputError, match=r"does not match 1 of 2: sad/a_\.wav"):
            read_folders(root, speaker=pattern)


def test_hidden_files_and_texts_are_not_listed(tmp_path):
    root = tree(
        tmp_path,
        [
            "sad/a_1.wav", "sad/b_1.wav", "sad/._a_1.wav", ".git/sad/a_1.wav", "sad/.old/a_2.wav",
            "sad/a_1.txt", "readme.md", "labels.csv",
        ],
    )  # fmt: skip
    corpus = read_folders(root, speaker=SPEAKER)
    assert sorted(by_file(corpus, "emotion")) == ["sad/a_1.wav", "sad/b_1.wav"]
    assert corpus.left_out.empty


def test_recordings_that_cannot_be_used_are_left_out_with_a_reason(tmp_path):
    files = ["sad/a_1.wav", "sad/b_1.wav", "intro_1.wav", "sad/c_1.m4a", "sad/no speaker.wma"]
    left_out = read_folders(tree(tmp_path, files), speaker=SPEAKER).left_out.reset_index()
    assert left_out.set_index("file")[["reason", "detail"]].to_dict("index") == {
        "intro_1.wav": {"reason": "no label", "detail": ""},
        "sad/c_1.m4a": {"reason": "format not read", "detail": ".m4a"},
        "sad/no speaker.wma": {"reason": "format not read", "detail": ".wma"},
    }


def test_partitions_beside_emotions_are_refused(tmp_path):
    root = tree(tmp_path, ["train/sad/a_1.wav", "test/sad/b_1.wav", "happy/c_1.wav"])
    with pytest.raises(InputError, match=r"some are partitions \(test, train\) .* \(happy\)"):
        read_folders(root, speaker=SPEAKER)


@pytest.mark.parametrize("files", [[], ["sad/a_1.txt"], ["sad/a_1.m4a"]])
def test_a_tree_without_recordings_says_what_is_expected(tmp_path, files):
    with pytest.raises(InputError, match=r"no recording \(\.wav, .*expected is a folder with"):
        read_folders(tree(tmp_path, files), speaker=SPEAKER)


def test_a_file_is_no_tree(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(InputError, match=r"a\.wav is no folder"):
        read_folders(tmp_path / "a.wav", speaker=SPEAKER)


def test_links_are_followed_but_not_in_circles(tmp_path):
    tree(tmp_path / "elsewhere", ["a_1.wav", "b_1.wav"])
    root = tree(tmp_path / "root", ["happy/a_2.wav"])
    (root / "sad").symlink_to(tmp_path / "elsewhere")
    (root / "happy" / "above").symlink_to(root)
    (root / "happy" / "itself").symlink_to(root / "happy")
    assert sorted(by_file(read_folders(root, speaker=SPEAKER), "emotion")) == [
        "happy/a_2.wav", "sad/a_1.wav", "sad/b_1.wav",
    ]  # fmt: skip


def test_broken_links_and_folders_called_as_recordings_stay_to_be_reported(tmp_path):
    """Whoever checks the files must see them: they are not silently fewer."""
    root = tree(tmp_path, ["sad/a_1.wav", "sad/b_2.wav/inside_1.wav"])
    (root / "sad" / "c_3.wav").symlink_to(root / "gone.wav")
    files = sorted(by_file(read_folders(root, speaker=SPEAKER), "emotion"))
    assert files == ["sad/a_1.wav", "sad/b_2.wav", "sad/c_3.wav"]


def test_a_folder_that_may_not_be_read_is_named():
    imports = "from pathlib import Path; from sercue.corpora import CORPORA"
    look = """
try:
    CORPORA["folders"].read(Path(sys.argv[1]), speaker=sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = tree(folder, ["sad/a_1.wav", "happy/b_1.wav"])
        (root / "sad").chmod(0)
        try:
            printed = run_unprivileged(imports, look, root, SPEAKER)
        finally:
            (root / "sad").chmod(0o755)
    assert printed.startswith("InputError")
    assert "sad cannot be read" in printed


@pytest.mark.parametrize(
    "name", ["a b_1.wav", "a'\"_1.wav", "a\n_1.wav", "<b>a_1.wav", "音声_1.wav"]
)
def test_odd_names_are_names(tmp_path, name):
    root = tree(tmp_path, [f"sad/{name}", "sad/b_1.wav"])
    corpus = read_folders(root, speaker=r"/([^/_]+)_1")
    assert by_file(corpus, "speaker")[f"sad/{name}"] == name.removesuffix("_1.wav")
    assert corpus.path(f"sad/{name}").is_file()


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_format_that_is_listed_can_be_heard(tmp_path, suffix):
    """A tone of 200 Hz at 22,050 Hz, written by libsndfile; lossy formats keep its pitch."""
    (tmp_path / "sad").mkdir()
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(22050) / 22050)
    for speaker in "ab":
        soundfile.write(tmp_path / "sad" / f"{speaker}_1.{suffix}", tone, 22050)
    corpus = read_folders(tmp_path, speaker=SPEAKER)
    heard = read_utterance(corpus, corpus.table.index[0])
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * 16000 / len(heard) == pytest.approx(200, abs=1.5)
