"""FAU-Aibo: the labels and schools of the 2009 challenge, its layouts, its published counts."""

import re

import audformat
import pytest
import trees

from sercue.artifacts import Artifacts
from sercue.corpora import CORPORA
from sercue.errors import InputError

read_fau_aibo = CORPORA["fau_aibo"].read
# Chunks by class in Ohm and Mont (Schuller, Steidl, Batliner 2009).
FULL = {
    2: {"NEG": (3358, 2465), "IDL": (6601, 5792)},
    5: {"A": (881, 611), "E": (2093, 1508), "N": (5590, 5377), "P": (674, 215), "R": (721, 546)},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A tree that no test changes."""
    return trees.fau_aibo_tree(tmp_path_factory.mktemp("fau_aibo"))


@pytest.mark.parametrize(
    ("classes", "labels", "neutral", "of_a_child"),
    [
        (2, ("NEG", "IDL"), "IDL", {"NEG": 4, "IDL": 6}),
        (5, ("A", "E", "N", "P", "R"), "N", {"A": 2, "E": 2, "N": 2, "P": 2, "R": 2}),
    ],
)
def test_the_tree_has_the_chunks_that_were_written(shared, classes, labels, neutral, of_a_child):
    corpus = read_fau_aibo(shared, classes=classes)
    assert (corpus.labels, corpus.neutral_label) == (labels, neutral)
    assert audformat.index_type(corpus.table.index) == "segmented"
    for _, chunks in corpus.table.groupby("speaker"):
        assert chunks["emotion"].value_counts().to_dict() == of_a_child
    assert all(corpus.path(file).is_file() for file in corpus.table.index.get_level_values("file"))
    assert not corpus.may_share_audio


def test_two_classes_are_the_default(shared):
    assert read_fau_aibo(shared).labels == ("NEG", "IDL")


def test_children_of_the_same_number_are_not_the_same_child(shared):
    """Numbers repeat in both schools: alone they would put one speaker into train and test."""
    speakers = read_fau_aibo(shared).table.groupby("speaker")["partition"].unique()
    assert {speaker: list(homes) for speaker, homes in speakers.items()} == {
        "Ohm_01": ["train"], "Ohm_02": ["train"], "Ohm_03": ["dev"], "Ohm_04": ["dev"],
        "Mont_01": ["test"], "Mont_02": ["test"], "Mont_03": ["test"], "Mont_04": ["test"],
    }  # fmt: skip


def read_lines(folder, lines, **options):
    trees.write_chunk_labels(folder, 2, lines)
    return read_fau_aibo(folder, **options)


def test_the_last_two_children_of_ohm_are_the_development_partition(tmp_path):
    """By their numbers, in which there are gaps, and not in the order of the lines."""
    children = ["Ohm_32", "Ohm_08", "Mont_33", "Ohm_31", "Ohm_01"]
    corpus = read_lines(tmp_path, [f"{child}_000_00 NEG 1" for child in children])
    assert corpus.table.set_index("speaker")["partition"].to_dict() == {
        "Ohm_01": "train", "Ohm_08": "train", "Ohm_31": "dev", "Ohm_32": "dev", "Mont_33": "test",
    }  # fmt: skip


@pytest.mark.parametrize(("children", "partitions"), [(1, ["train"]), (2, ["train"]),
                                                      (3, ["train", "dev"])])  # fmt: skip
def test_of_fewer_than_three_children_of_ohm_all_train(tmp_path, children, partitions):
    lines = [f"Ohm_{child:02d}_000_00 NEG 1" for child in range(children)]
    corpus = read_lines(tmp_path, [*lines, "Mont_01_000_00 IDL 1"])
    assert corpus.partitions == [*partitions, "test"]


#: Label confidence of one chunk of each of four children of Ohm and one of Mont.
CONFIDENCE = {"Ohm_01": "1", "Ohm_02": "0.600", "Ohm_03": "0.599", "Ohm_04": "1.0", "Mont_01": "0"}
UNSURE = [f"{child}_000_00 IDL {confidence}" for child, confidence in CONFIDENCE.items()]
SURE = [f"{child}_001_00 NEG 1" for child in CONFIDENCE]


def test_chunks_of_low_label_confidence_are_left_out_and_counted(tmp_path):
    corpus = read_lines(tmp_path, UNSURE + SURE, min_label_confidence=0.6)
    gone = corpus.left_out.reset_index()
    assert gone["file"].tolist() == ["wav/Ohm_03_000_00.wav", "wav/Mont_01_000_00.wav"]
    assert gone["partition"].tolist() == ["dev", "test"]
    assert gone["reason"].tolist() == ["label confidence below 0.6"] * 2
    assert gone["detail"].tolist() == ["0.599", "0"]
    assert len(corpus.table) == 8
    # What is published are the numbers of all chunks.
    assert corpus.expected == ()


def test_no_chunk_is_left_out_by_default(tmp_path):
    corpus = read_lines(tmp_path, UNSURE + SURE)
    assert (len(corpus.table), len(corpus.left_out), len(corpus.expected)) == (10, 0, 1)


def test_children_without_a_sure_label_count_where_partitions_are_made(tmp_path):
    """Or another child, who trained without the option, would be in the development partition."""
    lines = ["Ohm_04_000_00 NEG 0.4", *(line for line in SURE if "Ohm_04" not in line)]
    corpus = read_lines(tmp_path, lines, min_label_confidence=0.5)
    assert set(corpus.rows("train")["speaker"]) == {"Ohm_01", "Ohm_02"}
    assert set(corpus.rows("dev")["speaker"]) == {"Ohm_03"}


def test_a_class_without_a_sure_label_is_no_class_of_the_corpus(tmp_path):
    corpus = read_lines(tmp_path, ["Ohm_01_000_00 IDL 0.4", *SURE], min_label_confidence=0.5)
    assert (corpus.labels, corpus.neutral_label) == (("NEG",), None)


@pytest.mark.parametrize("confidence", [-0.1, 1.1, "0.5", True])
def test_a_label_confidence_is_from_0_to_1(tmp_path, confidence):
    message = re.escape(f"min_label_confidence: found {confidence!r}; Input should be")
    with pytest.raises(InputError, match=message):
        read_fau_aibo(tmp_path, min_label_confidence=confidence)


def test_what_is_stored_of_the_corpus_says_that_the_speakers_are_children(shared, tmp_path):
    corpus = read_fau_aibo(shared)
    assert corpus.children
    assert "8 children" in repr(corpus)
    artifacts = Artifacts(tmp_path)
    artifacts.save_corpus(corpus, corpus.table["speaker"], "settings", "content")
    stored, *_ = artifacts.load_corpus("settings")
    assert stored.children
    assert "sex" not in stored.table


@pytest.mark.parametrize(
    ("labels", "audio"),
    [("labels", "wav"), (".", "wav"), (".", "default")],
)
def test_labels_may_lie_elsewhere(tmp_path, labels, audio):
    root = trees.fau_aibo_tree(tmp_path, children=1, labels=labels, audio=audio)
    for classes in (2, 5):
        corpus = read_fau_aibo(root, classes=classes)
        assert len(corpus.table) == 20
        assert corpus.path(corpus.table.index[0][0]).is_file()


def test_windows_line_ends_and_empty_lines_change_nothing(tmp_path):
    lines = ["Ohm_01_000_00 NEG 0.6", "Mont_01_000_00 IDL 1"]
    before = read_fau_aibo(trees.write_chunk_labels(tmp_path / "a", 2, lines).parent)
    text = "\ufeff" + "\r\n\r\n".join(lines) + "  \r\n"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "chunk_labels_2cl_corpus.txt").write_bytes(text.encode())
    after = read_fau_aibo(tmp_path / "b")
    assert len(after.table) == 2
    assert after.table.equals(before.table)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Ohm_01_001_00 NEG", r"2cl_corpus\.txt, line 2: found 'Ohm_01_001_00 NEG'\nValid is Ohm_"),
        ("Ohm_01 NEG 0.5", r"line 2: found 'Ohm_01 NEG 0.5'"),
        ("Ohm_01_001_00 N 0.5", r"line 2: unknown label 'N': .*NEG, IDL\nValid"),
        ("Ulm_01_001_00 NEG 0.5", r"line 2: unknown school 'Ulm': .*Ohm, Mont\nValid"),
        ("Ohm_01_000_00 IDL 0.5", r"Ohm_01_000_00 is listed before, in .*corpus\.txt, line 1"),
    ],
)
def test_a_line_that_is_not_valid_is_named_with_its_place(tmp_path, line, message):
    trees.write_chunk_labels(tmp_path, 2, ["Ohm_01_000_00 NEG 0.6", line, "Mont_01_000_00 IDL 1"])
    with pytest.raises(InputError, match=message):
        read_fau_aibo(tmp_path)


def test_missing_and_empty_label_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no chunk_labels_5cl_corpus\.txt in .*expected is"):
        read_fau_aibo(tmp_path, classes=5)
    path = trees.write_chunk_labels(tmp_path, 5, [])
    with pytest.raises(InputError, match=f"{path} is empty"):
        read_fau_aibo(tmp_path, classes=5)


@pytest.mark.parametrize("classes", [3, "2", True, [2]])
def test_classes_are_two_or_five(tmp_path, classes):
    message = re.escape(f"classes: found {classes!r}; Input should be 2 or 5")
    with pytest.raises(InputError, match=message):
        read_fau_aibo(tmp_path, classes=classes)


@pytest.mark.parametrize("classes", [2, 5])
def test_the_full_corpus_has_the_published_counts(tmp_path, classes):
    """18,216 chunks: 9,959 of Ohm, 8,257 of Mont, 51 children; the reader expects just that."""
    lines = []
    for school, children, number in (("Ohm", 26, 0), ("Mont", 25, 1)):
        labels = [label for label, counts in FULL[classes].items() for _ in range(counts[number])]
        lines += [
            f"{school}_{turn % children + 1:02d}_{turn // children:03d}_00 {label} 0.8"
            for turn, label in enumerate(labels)
        ]
    trees.write_chunk_labels(tmp_path, classes, lines)
    corpus = read_fau_aibo(tmp_path, classes=classes)
    # 9,959 is 26 x 383 + 1: each child of Ohm has 383 chunks, and the first has one more.
    counts = corpus.table["partition"].value_counts().to_dict()
    assert counts == {"train": 9959 - 2 * 383, "dev": 2 * 383, "test": 8257}
    assert corpus.table["school"].value_counts().to_dict() == {"Ohm": 9959, "Mont": 8257}
    assert len(corpus.table) == corpus.listed == 18_216
    assert corpus.table["speaker"].nunique() == 51
    (expected,) = corpus.expected
    assert expected.to_dict() == corpus.table.groupby(expected.index.names).size().to_dict()
    assert expected["Ohm"].to_dict() == {e: counts[0] for e, counts in FULL[classes].items()}
    assert expected["Mont"].to_dict() == {e: counts[1] for e, counts in FULL[classes].items()}


def test_what_confidence_leaves_is_that_of_the_other_labels(tmp_path):
    """Of two classes it is the other one's; of five, the file does not say whose."""
    corpus = read_lines(tmp_path / "2", ["Ohm_01_000_00 NEG 0.75", "Mont_01_000_00 IDL 1"])
    rated = corpus.table.filter(regex="^rated_")
    assert rated.to_numpy().tolist() == [[0.75, 0.25], [0, 1]]
    lines = ["Ohm_01_000_00 A 0.6", "Mont_01_000_00 N 1"]
    trees.write_chunk_labels(tmp_path / "5", 5, lines)
    rated = read_fau_aibo(tmp_path / "5", classes=5).table.filter(regex="^rated_")
    assert rated.iloc[0].tolist() == pytest.approx([0.6] + [0.1] * (rated.shape[1] - 1))
