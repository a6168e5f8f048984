"""EmoDB: its names, its counts, its speakers."""

import os
from pathlib import Path

import audiofile
import numpy as np
import pytest

from sercue.corpora import load_corpus
from sercue.errors import InputError
from sercue.settings import read_study
from sercue.study_corpus import listed_corpus

CHECKOUT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("SERCUE_EMODB", CHECKOUT.parent / "shared" / "corpora" / "emodb"))
STUDY = CHECKOUT / "notebooks" / "studies" / "emodb.yaml"
SPEAKERS = ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
NAMES = ["03a01Wa", "03b02Nb", "08a04La", "08b10E", "10a05Ac", "10a05Fc", "16a07Ta", "16b09Nd"]


@pytest.fixture
def tree(tmp_path):
    """Eight files named as EmoDB names them; what they sound like does not matter here."""
    folder = tmp_path / "emodb" / "wav"
    folder.mkdir(parents=True)
    for name in NAMES:
        audiofile.write(str(folder / f"{name}.wav"), np.zeros(160, dtype="float32"), 16000)
    return folder.parent


def test_names_are_read_as_the_database_documents_them(tree):
    # http://emodb.bilderbar.info: positions 1-2 speaker, 3-5 text, 6 emotion, 7 version.
    table = load_corpus("emodb", tree).table.reset_index().set_index("file")
    assert table["emotion"].to_dict() == {
        "wav/03a01Wa.wav": "anger", "wav/03b02Nb.wav": "neutral", "wav/08a04La.wav": "boredom",
        "wav/08b10E.wav": "disgust", "wav/10a05Ac.wav": "fear", "wav/10a05Fc.wav": "happiness",
        "wav/16a07Ta.wav": "sadness", "wav/16b09Nd.wav": "neutral",
    }  # fmt: skip
    assert table["speaker"].unique().tolist() == ["03", "08", "10", "16"]
    sexes = table.drop_duplicates("speaker").set_index("speaker")["sex"].to_dict()
    assert sexes == {"03": "male", "08": "female", "10": "male", "16": "female"}
    assert table["sentence"].tolist() == ["a01", "b02", "a04", "b10", "a05", "a05", "a07", "b09"]


def test_root_may_be_the_wav_folder_itself(tree):
    outer, inner = load_corpus("emodb", tree), load_corpus("emodb", tree / "wav")
    assert inner.table.equals(outer.table)
    assert inner.root == outer.root


def test_a_folder_of_another_name_works(tree):
    tree.joinpath("wav").rename(tree / "recordings")
    corpus = load_corpus("emodb", tree / "recordings")
    assert corpus.table.index[0][0] == "03a01Wa.wav"
    assert corpus.path("03a01Wa.wav").is_file()


def test_files_that_are_not_named_so_are_listed(tree):
    (tree / "wav" / "03a01Xa.wav").touch()
    (tree / "wav" / "99a01Wa.wav").touch()
    (tree / "wav" / "._03a01Wa.wav").touch()  # what macOS leaves behind is no recording
    with pytest.raises(InputError, match=r"2 of 10 files .*03a01Xa\.wav, 99a01Wa\.wav\. Valid is"):
        load_corpus("emodb", tree)


def test_an_empty_folder_says_what_is_expected(tmp_path):
    with pytest.raises(InputError, match=r"corpus_root: no WAV file in .*wav/03a01Fa\.wav"):
        load_corpus("emodb", tmp_path)


@pytest.fixture
def speakers(tmp_path):
    """All ten speakers, each with one recording of each emotion."""
    (tmp_path / "wav").mkdir()
    for speaker in SPEAKERS:
        for emotion in "WLEAFTN":
            (tmp_path / "wav" / f"{speaker}a01{emotion}a.wav").touch()
    return tmp_path


def test_the_study_tests_on_each_speaker_in_turn(speakers):
    corpus = listed_corpus(read_study(STUDY, {"corpus_root": str(speakers)}))
    assert corpus.folds == [f"speaker {number}" for number in range(1, 11)]
    for fold, speaker in zip(corpus.folds, SPEAKERS, strict=True):
        table = corpus.in_fold(fold).table
        assert set(table.loc[table["partition"] == "test", "speaker"]) == {speaker}
        assert table.loc[table["partition"] == "train", "speaker"].nunique() == 9


def test_without_the_key_there_are_partitions(speakers):
    corpus = load_corpus("emodb", speakers)
    homes = corpus.table.groupby("partition")["speaker"].nunique()
    assert homes.to_dict() == {"train": 5, "dev": 1, "test": 4}
    assert corpus.folds == []


@pytest.mark.skipif(not (REAL / "wav").is_dir(), reason="EmoDB is not here (SERCUE_EMODB)")
def test_the_real_corpus_has_the_published_counts():
    # Burkhardt et al. 2005 and the corpus's own page: 535 utterances, ten speakers.
    corpus = load_corpus("emodb", REAL)
    assert corpus.table["emotion"].value_counts().to_dict() == {
        "anger": 127, "boredom": 81, "neutral": 79, "happiness": 71, "fear": 69,
        "sadness": 62, "disgust": 46,
    }  # fmt: skip
    assert corpus.table["emotion"].value_counts().to_dict() == corpus.expected[0].to_dict()
    assert len(corpus.table) == corpus.listed == 535
    # The ten sentences of Burkhardt et al. 2005, by the codes of the corpus's own page.
    assert sorted(set(corpus.table["sentence"])) == [
        "a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10",
    ]  # fmt: skip
    speakers = corpus.table.drop_duplicates("speaker")
    assert speakers["sex"].value_counts().to_dict() == {"male": 5, "female": 5}
    assert speakers["partition"].value_counts().to_dict() == {"train": 5, "test": 4, "dev": 1}
    assert speakers[speakers["partition"] == "test"]["sex"].value_counts().to_dict() == {
        "female": 2,
        "male": 2,
    }
