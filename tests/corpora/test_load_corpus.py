"""The registry and the checks that every corpus goes through."""

import audiofile
import numpy as np
import pandas as pd
import pytest
import yaml

from sercue.corpora import CORPORA, available_corpora, load_corpus
from sercue.errors import InputError


@pytest.fixture
def path(tmp_path):
    """Four speakers, three emotions, two utterances each, with named partitions."""
    homes = {"a": "train", "b": "train", "c": "dev", "d": "test"}
    listed = [
        (f"{s}_{e}_{u}.wav", e, s, homes[s])
        for s in homes
        for e in ("happy", "neutral", "sad")
        for u in range(2)
    ]
    for file, *_ in listed:
        audiofile.write(str(tmp_path / file), np.zeros(160, "float32"), 16000)
    table = pd.DataFrame(listed, columns=["file", "emotion", "speaker", "partition"])
    table.to_csv(tmp_path / "corpus.csv", index=False)
    return tmp_path / "corpus.csv"


def changed(path, change):
    table = pd.read_csv(path)
    change(table).to_csv(path, index=False)
    return path


def test_every_card_is_complete():
    table = available_corpora()
    assert table.index.tolist() == list(CORPORA)
    assert {"demo", "emodb", "iemocap", "fau_aibo", "ravdess", "crema_d"} < set(CORPORA)
    assert {"table", "folders", "audformat", "datasets"} < set(CORPORA)
    assert table[["description", "licence", "citation"]].map(len).gt(0).all(axis=None)
    assert table.loc["demo", "options"] == "speakers, sentences, workers"
    # What needs a root says what the root must be.
    assert all(card.layout for card in CORPORA.values() if card.needs_root)


def test_labels_set_the_order(path):
    order = ["sad", "happy", "neutral"]
    assert load_corpus("table", path).labels == ("happy", "neutral", "sad")
    assert load_corpus("table", path, labels=order).labels == tuple(order)
    words = {"sad": "sorrowful", "happy": "glad", "neutral": "calm"}
    assert load_corpus("table", path, labels=words).labels == tuple(words)


def test_dropped_labels_leave(path):
    corpus = load_corpus("table", path, drop_labels=["neutral"])
    assert corpus.labels == ("happy", "sad")
    assert corpus.neutral_label is None
    assert set(corpus.table["emotion"]) == {"happy", "sad"}
    assert load_corpus("table", path, labels=["sad", "happy"], drop_labels=["neutral"]).labels == (
        "sad",
        "happy",
    )


def test_limit_keeps_classes_and_partitions(path):
    corpus = load_corpus("table", path, limit=3)
    assert corpus.table["partition"].value_counts().to_dict() == {"train": 3, "dev": 3, "test": 3}
    for part in ("train", "dev", "test"):
        assert set(corpus.rows(part)["emotion"]) == {"happy", "neutral", "sad"}
    assert set(corpus.rows("train")["speaker"]) == {"a", "b"}
    assert corpus.labels == ("happy", "neutral", "sad")
    assert load_corpus("table", path, limit=3).table.equals(corpus.table)
    assert len(load_corpus("table", path, limit=1000).table) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels": ["happy", "neutral"]},
         r"'table' also has 'sad' \(8 utterances\); add to labels or to drop_labels"),
        ({"labels": ["happy", "neutral", "sad", "angry"]}, "labels: unknown label 'angry'"),
        ({"labels": ["happy", "neutral", "sad"], "drop_labels": ["sad"]}, "it is in drop_labels"),
        ({"labels": ["happy", "neutral", "sad", "sad"]}, r"\['sad', 'sad'\] are the same words"),
        ({"drop_labels": ["sda"]}, "unknown label in drop_labels 'sda': did you mean 'sad'"),
        ({"limit": 0}, "limit: found 0, valid are whole numbers from 1 on"),
        ({"limit": 1.5}, "limit: found 1.5"),
        ({"neutral_lable": "x"},
         "unknown option of corpus 'table' 'neutral_lable': did you mean 'neutral_label'"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_are_named(path, arguments, message):
    with pytest.raises(InputError, match=message):
        load_corpus("table", path, **arguments)


def test_a_corpus_without_options_says_so(tmp_path):
    with pytest.raises(InputError, match="option of corpus 'emodb' 'speakers': Valid are: none"):
        load_corpus("emodb", tmp_path, speakers=1)


def test_roots_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(InputError, match=r"corpus_root: found None; .*'emodb' needs it.*SSTTTEV"):
        load_corpus("emodb")
    with pytest.raises(InputError, match=r"corpus_root: nothing found at .*nowhere.*SSTTTEV"):
        load_corpus("emodb", tmp_path / "nowhere")
    with pytest.raises(InputError, match="'demo' takes none"):
        load_corpus("demo", tmp_path)


def test_missing_files_are_counted_and_the_first_named(path):
    for file in sorted(path.parent.glob("a_*.wav")):
        file.unlink()
    message = r"6 of 24 files are not there: a_happy_0\.wav, .*, a_sad_0\.wav, \.\.\. \(below"
    with pytest.raises(InputError, match=message):
        load_corpus("table", path)


def test_utterances_listed_twice_are_named(path):
    changed(path, lambda table: pd.concat([table, table.iloc[[4]]]))
    with pytest.raises(InputError, match=r"1 utterances are listed more than once: a_sad_0\.wav"):
        load_corpus("table", path)


def test_one_speaker_is_not_enough(path):
    changed(path, lambda table: table.assign(speaker="x"))
    with pytest.raises(InputError, match=r"found 1 speaker \(x\), valid are at least two"):
        load_corpus("table", path)


@pytest.mark.parametrize("empty", ["train", "test"])
def test_a_partition_that_would_be_empty_is_named(path, empty):
    changed(path, lambda table: table[table["partition"] != empty])
    with pytest.raises(InputError, match=f"the {empty} partition would be empty; found .* dev"):
        load_corpus("table", path)


def test_no_development_partition_is_fine(path):
    changed(path, lambda table: table[table["partition"] != "dev"])
    assert len(load_corpus("table", path).rows("dev")) == 0


def test_a_speaker_in_two_partitions_is_named(path):
    def move(table):
        table.loc[table["file"] == "b_sad_1.wav", "partition"] = "test"
        return table

    changed(path, move)
    with pytest.raises(
        InputError, match=r"speaker 'b' is in the partitions train and test; .*1 of 4"
    ):
        load_corpus("table", path)


def test_a_repository_is_no_path(tmp_path):
    """Only a corpus that a hub may hold takes a name of nothing on the disk."""
    with pytest.raises(InputError, match="corpus_root: nothing found at 'owner/name'"):
        load_corpus("folders", "owner/name")


def test_files_that_are_not_there_may_stay_for_the_inspection(path):
    next(path.parent.glob("*.wav")).unlink()
    assert len(load_corpus("table", path, check_files=False).table) == 24


def test_what_a_limit_leaves_out_is_remembered(path):
    corpus = load_corpus("table", path, limit=3)
    assert len(corpus.table) + len(corpus.left_out) == 24
    assert set(corpus.left_out["reason"]) == {"beyond the study's limit"}


def test_what_dropped_labels_leave_out_is_remembered(path):
    gone = load_corpus("table", path, drop_labels=["sad"]).left_out
    assert gone["reason"].tolist() == ["class not in the study"] * 8
    assert set(gone["detail"]) == {"sad"}


@pytest.mark.parametrize("channel", [-1, 0.5, True, "left"])
def test_a_channel_is_a_number_from_0(path, channel):
    with pytest.raises(InputError, match=r"channel: found .*, valid are whole numbers from 0"):
        load_corpus("table", path, channel=channel)


NFC, NFD = "fr\u00f6hlich", "fro\u0308hlich"


def respelled(path, column, old, new):
    """The same corpus with every other cell of one name spelled otherwise."""

    def change(table):
        places = table.index[table[column] == old][::2]
        table.loc[places, column] = new
        return table

    return changed(path, change)


@pytest.mark.parametrize(
    ("label", "shown"),
    [("Happy", "'Happy'"), ("happy\u200b", r"'happy\\u200b'"), ("ｈappy", r"'\\uff48appy'")],
)
def test_labels_that_are_the_same_words_are_refused(path, label, shown):
    """Both spellings are shown by their characters, and the way out for a study file."""
    path = respelled(path, "emotion", "happy", label)
    with pytest.raises(InputError, match=rf"{shown} \(4 utterances\)") as error:
        load_corpus("table", path)
    assert "'happy' (4 utterances)" in str(error.value)
    labels = yaml.safe_load(str(error.value).rpartition("labels: ")[2])
    assert labels == {"happy": "happy", label: "happy"}
    corpus = load_corpus("table", path, labels=labels | {"neutral": "calm", "sad": "sad"})
    assert corpus.labels == ("happy", "neutral", "sad")
    assert (corpus.table["emotion"] == "happy").sum() == 8


def test_one_class_of_two_spellings_is_called_as_its_words_or_as_the_first(path):
    path = respelled(path, "emotion", "happy", "Happy")
    rest = {"neutral": "neutral", "sad": "sad"}
    merged = {"Happy": "glad", "happy": "glad"}
    assert load_corpus("table", path, labels=merged | rest).labels[0] == "Happy"
    merged = {"Happy": "happy", "happy": "happy"}
    assert load_corpus("table", path, labels=merged | rest).labels[0] == "happy"


def test_a_neutral_class_of_two_spellings_is_the_neutral_class(path):
    path = respelled(path, "emotion", "neutral", "Neutral")
    labels = {"Neutral": "neutral", "neutral": "neutral", "happy": "happy", "sad": "sad"}
    assert load_corpus("table", path, labels=labels).neutral_label == "neutral"
    kept = load_corpus("table", path, drop_labels=["Neutral", "neutral"])
    assert kept.labels == ("happy", "sad")


def test_a_dropped_label_does_not_leave_its_other_spelling(path):
    path = respelled(path, "emotion", "sad", "Sad")
    with pytest.raises(InputError, match="are the same words"):
        load_corpus("table", path, drop_labels=["sad"])


def test_spellings_are_one_class_in_every_layout(tmp_path):
    """Folders named by two computers: one composes the letter, the other does not."""
    for speaker in "abcd":
        for emotion in (NFC, NFD, "sad"):
            file = tmp_path / emotion / f"{speaker}_{emotion}.wav"
            file.parent.mkdir(exist_ok=True)
            audiofile.write(str(file), np.zeros(160, "float32"), 16000)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("this disk cannot tell them apart")
    with pytest.raises(InputError, match="are the same words"):
        load_corpus("folders", tmp_path, speaker="/(.)_")
    labels = {NFC: "froh", NFD: "froh", "sad": "traurig"}
    corpus = load_corpus("folders", tmp_path, speaker="/(.)_", labels=labels)
    assert corpus.table["emotion"].value_counts().to_dict() == {NFC: 8, "sad": 4}


def test_a_study_names_a_label_in_any_spelling(path):
    """A corpus from a Mac has its letters in two parts; a study that is typed does not."""
    path = changed(path, lambda table: table.replace({"emotion": {"happy": NFD}}))
    corpus = load_corpus("table", path, labels=[NFC, "neutral", "sad"])
    assert corpus.labels == (NFC, "neutral", "sad")
    assert set(corpus.table["emotion"]) == {NFC, "neutral", "sad"}
    assert load_corpus("table", path, drop_labels=[NFC]).labels == ("neutral", "sad")


@pytest.mark.parametrize("column", ["speaker", "fold", "sex", "session"])
def test_other_names_that_are_the_same_words_are_refused(path, column):
    """One speaker under two names could train and be tested."""
    changed(path, lambda table: table.assign(**{column: table["speaker"]}))
    respelled(path, column, "d", "D")
    with pytest.raises(InputError, match=rf"{column} 'D' \(3 utterances\) and 'd' \(3 utter"):
        load_corpus("table", path)


def test_a_label_that_cannot_be_seen_is_refused(path):
    path = changed(path, lambda table: table.replace({"emotion": {"sad": "\u200b"}}))
    with pytest.raises(InputError, match=r"the label '\\u200b' has no words"):
        load_corpus("table", path)


def test_a_file_is_found_however_the_disk_composes_its_name(path):
    """The table says ü in one character, the disk in two, in the folder and in the file."""
    folder = path.parent / "u\u0308ben"
    folder.mkdir()
    (path.parent / "a_sad_0.wav").rename(folder / "u\u0308b_1.WAV")
    named = "\u00fcben/\u00fcb_1.wav"
    changed(path, lambda table: table.replace({"file": {"a_sad_0.wav": named}}))
    corpus = load_corpus("table", path)
    assert corpus.path(named).is_file()
    assert named in corpus.table.index.get_level_values("file")


def test_a_file_is_not_taken_for_another_that_is_listed_or_for_one_of_several(path):
    """Then its recording would be in the corpus twice, or a guess."""
    changed(path, lambda table: table.replace({"file": {"a_sad_0.wav": "A_SAD_1.wav"}}))
    (path.parent / "a_sad_0.wav").unlink()
    if (path.parent / "A_SAD_1.wav").exists():
        pytest.skip("this disk cannot tell them apart")
    with pytest.raises(InputError, match=r"1 of 24 files are not there: A_SAD_1\.wav"):
        load_corpus("table", path)
    for name in ("B_SAD_9.wav", "b_Sad_9.wav"):
        audiofile.write(str(path.parent / name), np.zeros(160, "float32"), 16000)
    changed(path, lambda table: table.replace({"file": {"A_SAD_1.wav": "b_sad_9.wav"}}))
    with pytest.raises(InputError, match=r"1 of 24 files are not there: b_sad_9\.wav"):
        load_corpus("table", path)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("table", {"may_share_audio": "no"}, "may_share_audio: found 'no'; .*valid boolean"),
        ("ravdess", {"self": 1}, "unknown option of corpus 'ravdess' 'self'"),
        ("folders", {"draw_partition": "false"}, "draw_partition: found 'false'"),
        ("audformat", {"speaker": 3}, "speaker: found 3; .*valid string"),
        ("iemocap", {"merge_excited": 0}, "merge_excited: found 0; .*valid boolean"),
        ("fau_aibo", {"classes": "5"}, "classes: found '5'; Input should be 2 or 5"),
    ],
)
def test_an_option_of_another_type_is_refused(tmp_path, name, options, message):
    """As a truth, the text "no" is true: recordings would be shared that must not be."""
    with pytest.raises(InputError, match=f"corpus_options: {message}"):
        load_corpus(name, tmp_path, **options)
