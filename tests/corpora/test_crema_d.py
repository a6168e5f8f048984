"""CREMA-D: its names, its actors, its published counts."""

import itertools

import pytest
import trees

from sercue.corpora import CORPORA
from sercue.errors import InputError

read_crema_d = CORPORA["crema_d"].read

CODES = {
    "ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad",
}  # fmt: skip
SENTENCES = ("TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")


def touched(root, names):
    (root / "AudioWAV").mkdir(parents=True, exist_ok=True)
    for name in names:
        (root / "AudioWAV" / name).touch()
    return root


def test_names_are_read_as_the_corpus_documents_them(tmp_path):
    names = ["1001_IEO_FEA_MD.wav", "1002_DFA_NEU_XX.wav", "1040_ITH_SAD_X.wav"]
    table = read_crema_d(touched(tmp_path, names)).table.reset_index().set_index("file")
    assert table["emotion"].to_dict() == {
        "AudioWAV/1001_IEO_FEA_MD.wav": "fear",
        "AudioWAV/1002_DFA_NEU_XX.wav": "neutral",
        # The one name of the published corpus with a single X.
        "AudioWAV/1040_ITH_SAD_X.wav": "sad",
    }
    assert table["speaker"].tolist() == ["1001", "1002", "1040"]
    assert table["sentence"].tolist() == ["IEO", "DFA", "ITH"]


def test_the_tree_has_the_clips_that_were_written(tmp_path):
    corpus = read_crema_d(trees.crema_d_tree(tmp_path))
    assert set(corpus.table.groupby("speaker").size()) == {7}
    assert corpus.labels == tuple(CODES.values())
    assert corpus.neutral_label == "neutral"
    assert corpus.may_share_audio
    assert all(corpus.path(file).is_file() for file in corpus.table.index.get_level_values("file"))


def test_root_may_be_the_audio_folder_itself(tmp_path):
    trees.crema_d_tree(tmp_path)
    outer, inner = read_crema_d(tmp_path), read_crema_d(tmp_path / "AudioWAV")
    assert inner.table.equals(outer.table)
    assert inner.root == outer.root


def test_files_that_are_not_named_so_are_listed(tmp_path):
    bad = ["1092_DFA_ANG_XX.wav", "1001_DFA_BOR_XX.wav", "1001_XYZ_ANG_XX.wav"]
    touched(tmp_path, ["1001_DFA_ANG_XX.wav", *bad])
    with pytest.raises(InputError, match=r"3 of 4 files .*1092_DFA_ANG_XX\.wav\. Valid is AAAA"):
        read_crema_d(tmp_path)


def test_an_empty_folder_says_what_is_expected(tmp_path):
    with pytest.raises(InputError, match=r"no WAV file in .*AudioWAV/1001_DFA_ANG_XX\.wav"):
        read_crema_d(tmp_path)


def test_the_full_corpus_has_the_published_counts(tmp_path):
    """Cao et al. 2014: 7,442 clips of 48 men and 43 women; the reader expects just that."""
    for code in CODES:
        spoken = [
            *itertools.product(range(1001, 1092), SENTENCES, ["XX"]),
            *itertools.product(
                range(1001, 1092), ["IEO"], ["XX"] if code == "NEU" else ["LO", "MD", "HI"]
            ),
        ]
        # Some of all are missing in what is published.
        count = 1087 if code == "NEU" else 1271
        touched(tmp_path, [f"{a}_{s}_{code}_{level}.wav" for a, s, level in spoken[:count]])
    corpus = read_crema_d(tmp_path)
    assert len(corpus.table) == corpus.listed == 7442
    (expected,) = corpus.expected
    assert corpus.table["emotion"].value_counts().to_dict() == expected.to_dict()
    speakers = corpus.table.drop_duplicates("speaker")
    assert speakers["sex"].value_counts().to_dict() == {"male": 48, "female": 43}
    assert speakers["fold"].nunique() == 91
    assert speakers["partition"].value_counts().to_dict() == {"train": 45, "test": 32, "dev": 14}


def test_raters_are_those_who_heard_the_voice_alone(tmp_path):
    """Of ten, seven heard what was meant; those who saw the face say nothing about speech."""
    corpus = read_crema_d(trees.crema_d_tree(tmp_path))
    rated = corpus.table.filter(regex="^rated_")
    assert list(rated) == [f"rated_{label}" for label in corpus.labels]
    row = rated.xs("AudioWAV/1001_DFA_ANG_XX.wav").iloc[0]
    assert row.to_dict() == {**dict.fromkeys(rated, 0.0), "rated_anger": 0.7, "rated_neutral": 0.3}
    assert rated.xs("AudioWAV/1001_DFA_NEU_XX.wav").iloc[0]["rated_neutral"] == 1
    assert read_crema_d(tmp_path / "AudioWAV").table.equals(corpus.table)


def test_clips_without_votes_are_not_rated_and_without_the_file_none_is(tmp_path):
    names = ["1001_IEO_FEA_MD.wav", "1002_DFA_NEU_XX.wav"]
    touched(tmp_path, names)
    assert not read_crema_d(tmp_path).table.filter(regex="^rated_").shape[1]
    trees.write_votes(tmp_path, ["1001_IEO_FEA_MD"])
    rated = read_crema_d(tmp_path).table.filter(regex="^rated_")
    assert rated.notna().all(axis=1).tolist() == [True, False]


def test_votes_that_cannot_be_read_are_named(tmp_path):
    touched(tmp_path, ["1001_IEO_FEA_MD.wav", "1002_DFA_NEU_XX.wav"])
    trees.write_votes(tmp_path, ["1001_IEO_FEA_MD"]).write_text("fileName,A\n1001_IEO_FEA_MD,3\n")
    with pytest.raises(InputError, match=r"tabulatedVotes\.csv cannot be read .* columns A, D, F"):
        read_crema_d(tmp_path)
