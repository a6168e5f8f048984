"""The corpus ``datasets``: columns, splits, and recordings inside and outside the dataset."""

import io
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sercue.corpora import CORPORA
from sercue.corpora.audio import read_utterance
from sercue.corpora.corpus import check_partitions
from sercue.corpora.saved_datasets import written_files
from sercue.errors import InputError, StorageError

read_datasets = CORPORA["datasets"].read
datasets = pytest.importorskip("datasets")

LABELS = ["happy", "neutral", "happy", "neutral", "sad", "neutral"]
SPEAKERS = ["a", "a", "b", "b", "c", "c"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCUE_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def encoded(number, suffix="wav"):
    """A recording of its own for each number, as the bytes of a file."""
    buffer = io.BytesIO()
    samples = 0.1 * np.random.default_rng(number).standard_normal(1600)
    soundfile.write(buffer, samples, 16000, format=suffix)
    return buffer.getvalue()


def inside(numbers=range(6)):
    return [{"bytes": encoded(n), "path": f"{n}.wav"} for n in numbers]


def rows(numbers=range(6), **columns):
    numbers = list(numbers)
    plain = {
        "audio": inside(numbers),
        "label": [LABELS[n] for n in numbers],
        "speaker": [SPEAKERS[n] for n in numbers],
    }
    return datasets.Dataset.from_dict(plain | columns)


def saved(dataset, folder):
    dataset.save_to_disk(folder)
    return folder


def by_file(corpus, column):
    return dict(zip(corpus.table.index.get_level_values("file"), corpus.table[column], strict=True))


def contents(corpus):
    return {file: corpus.path(file).read_bytes() for file in by_file(corpus, "speaker")}


def test_a_saved_dataset_gives_its_rows_and_the_very_bytes(tmp_path):
    corpus = read_datasets(saved(rows(), tmp_path / "saved"))
    assert by_file(corpus, "emotion") == {f"{n}.wav": LABELS[n] for n in range(6)}
    assert by_file(corpus, "speaker") == {f"{n}.wav": SPEAKERS[n] for n in range(6)}
    assert contents(corpus) == {f"{n}.wav": encoded(n) for n in range(6)}
    assert (corpus.labels, corpus.neutral_label) == (("happy", "neutral", "sad"), "neutral")
    check_partitions(corpus)


def test_recordings_are_written_once_and_again_if_they_change(tmp_path):
    first = read_datasets(saved(rows(), tmp_path / "one"))
    stamps = {path: path.stat().st_mtime_ns for path in first.root.iterdir()}
    again = read_datasets(tmp_path / "one")
    assert {path: path.stat().st_mtime_ns for path in again.root.iterdir()} == stamps
    changed = [{"bytes": encoded(n + 7), "path": f"{n}.wav"} for n in range(6)]
    other = read_datasets(saved(rows(audio=changed), tmp_path / "two"))
    assert other.root != first.root
    assert contents(other) == {f"{n}.wav": encoded(n + 7) for n in range(6)}
    assert sorted(path.name for path in (tmp_path / "cache" / "datasets").glob(".*")) == []


class Interrupted(list):
    """Recordings of which something happens in the middle of the second reading: the writing."""

    def __init__(self, recordings, happens):
        super().__init__(recordings)
        self.readings = 0
        self.happens = happens

    def __iter__(self):
        self.readings += 1
        for number, recording in enumerate(super().__iter__()):
            if self.readings == 2 and number == 3:
                self.happens()
            yield recording


def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    """Half a corpus in the cache would be taken for a whole one by the next run."""

    def full_disk():
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match="no space is left"):
        written_files({"all": Interrupted(inside(), full_disk)}, False)
    assert list((tmp_path / "cache" / "datasets").iterdir()) == []


def test_two_runs_at_a_time_end_with_the_same_files(tmp_path):
    """The one that is second finds the folder of the first where its own should be."""

    def other_run():
        written_files({"all": inside()}, False)

    files = written_files({"all": Interrupted(inside(), other_run)}, False)
    assert [Path(file).read_bytes() for file in files] == [encoded(n) for n in range(6)]
    assert len(list((tmp_path / "cache" / "datasets").iterdir())) == 1


def test_class_labels_become_their_names(tmp_path):
    """Hubs keep labels as numbers; -1 is a label that was not published."""
    names = datasets.ClassLabel(names=["sad", "happy"])
    actors = datasets.ClassLabel(names=["m02", "w02", "w03"])
    dataset = rows(label=[0, 1, 0, 1, -1, None], speaker=[0, 0, 1, 1, 2, 2])
    dataset = dataset.cast_column("label", names).cast_column("speaker", actors)
    corpus = read_datasets(saved(dataset, tmp_path / "saved"))
    assert list(by_file(corpus, "emotion").values()) == ["sad", "happy", "sad", "happy"]
    assert list(by_file(corpus, "speaker").values()) == ["m02", "m02", "w02", "w02"]
    assert corpus.left_out["reason"].tolist() == ["no label"] * 2


def split(parts):
    return datasets.DatasetDict({name: rows(numbers) for name, numbers in parts.items()})


def test_splits_are_partitions(tmp_path):
    parts = {"train": [0, 1], "validation": [2, 3], "test": [4, 5]}
    corpus = read_datasets(saved(split(parts), tmp_path / "saved"))
    assert by_file(corpus, "partition") == {
        "train/0.wav": "train", "train/1.wav": "train", "validation/2.wav": "dev",
        "validation/3.wav": "dev", "test/4.wav": "test", "test/5.wav": "test",
    }  # fmt: skip


def test_splits_that_are_no_partitions_are_pooled_and_drawn_from(tmp_path):
    """Splits without a test, and splits called otherwise, say nobody to train and to test."""
    for parts in ({"train": [0, 1], "validation": [2, 3, 4, 5]}, {"studio": [0, 1, 2, 3, 4, 5]}):
        corpus = read_datasets(saved(split(parts), tmp_path / "-".join(parts)))
        assert corpus.folds == ["speaker 1", "speaker 2", "speaker 3"]
        check_partitions(corpus)


def test_splits_that_share_speakers_are_refused_unless_partitions_are_drawn(tmp_path):
    folder = saved(split({"train": [0, 2, 4], "test": [1, 3, 5]}), tmp_path / "saved")
    with pytest.raises(InputError, match="partitions must not share a speaker"):
        check_partitions(read_datasets(folder))
    check_partitions(read_datasets(folder, draw_partition=True))


def test_the_study_may_choose_splits_and_say_what_they_are(tmp_path):
    folder = saved(split({"a": [0, 1], "b": [2, 3], "test": [4, 5]}), tmp_path / "saved")
    corpus = read_datasets(folder, splits={"train": ["a", "test"], "test": "b"})
    assert by_file(corpus, "partition") == {
        "a/0.wav": "train", "a/1.wav": "train", "test/4.wav": "train", "test/5.wav": "train",
        "b/2.wav": "test", "b/3.wav": "test",
    }  # fmt: skip
    assert sorted(by_file(read_datasets(folder, splits=["a", "b"]), "speaker")) == [
        "a/0.wav", "a/1.wav", "b/2.wav", "b/3.wav",
    ]  # fmt: skip
    with pytest.raises(InputError, match="unknown split 'tset': did you mean 'test'"):
        read_datasets(folder, splits=["a", "tset"])
    with pytest.raises(InputError, match="unknown partition in splits 'training'"):
        read_datasets(folder, splits={"training": "a"})


def test_parquet_files_in_a_folder_are_loaded(tmp_path):
    """What lies in a cloned repository of the hub."""
    (tmp_path / "repository" / "data").mkdir(parents=True)
    for part, numbers in (("train", [0, 1, 2, 3]), ("test", [4, 5])):
        rows(numbers).to_parquet(tmp_path / "repository" / "data" / f"{part}-00000.parquet")
    corpus = read_datasets(tmp_path / "repository")
    assert contents(corpus) == {
        f"{'test' if n > 3 else 'train'}/{n}.wav": encoded(n) for n in range(6)
    }
    # Nothing goes to the user's own cache.
    assert (tmp_path / "cache" / "datasets" / "arrow").is_dir()


def listing(folder, **columns):
    """A folder with a CSV file that lists recordings elsewhere."""
    (folder.parent / "wav").mkdir()
    folder.mkdir()
    files = [folder.parent / "wav" / f"{number}.wav" for number in range(6)]
    for number, file in enumerate(files):
        file.write_bytes(encoded(number))
    plain = {"audio": map(str, files), "label": LABELS, "speaker": SPEAKERS}
    pd.DataFrame(plain | columns).to_csv(folder / "list.csv", index=False)
    return folder


def audiofolder(folder, **columns):
    """A folder of recordings with the list that the library looks for."""
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.wav").write_bytes(encoded(number))
    plain = {"file_name": [f"{n}.wav" for n in range(6)], "label": LABELS, "speaker": SPEAKERS}
    pd.DataFrame(plain | columns).to_csv(folder / "metadata.csv", index=False)
    return folder


# pandas infers numbers and missing values from these: 3, and no speaker at all.
NAMES = ["03", "03", "3", "3", "1e5", "1e5"]


@pytest.mark.parametrize("make", [listing, audiofolder])
def test_a_list_of_recordings_is_read_and_its_speakers_are_text(tmp_path, make):
    """A list by itself has paths of the type large_string; an audiofolder wants torchcodec."""
    corpus = read_datasets(make(tmp_path / "folder", speaker=NAMES))
    assert by_file(corpus, "emotion") == {f"{n}.wav": LABELS[n] for n in range(6)}
    assert by_file(corpus, "speaker") == {f"{n}.wav": NAMES[n] for n in range(6)}
    assert contents(corpus) == {f"{n}.wav": encoded(n) for n in range(6)}


def test_an_audiofolder_without_a_list_has_its_folders_as_labels(tmp_path):
    for number in range(6):
        folder = tmp_path / "folder" / LABELS[number]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{SPEAKERS[number]}_{number}.wav").write_bytes(encoded(number))
    corpus = read_datasets(tmp_path / "folder", speaker="audio", speaker_pattern="^(.)_")
    assert by_file(corpus, "emotion") == {
        f"{LABELS[n]}/{SPEAKERS[n]}_{n}.wav": LABELS[n] for n in range(6)
    }


def test_times_in_a_list_are_read_as_in_a_table(tmp_path):
    folder = listing(tmp_path / "folder", start=["0,05"] * 6)
    with pytest.raises(InputError, match=r"column 'start'.* '0,05', .*not a comma"):
        read_datasets(folder, start="start")


@pytest.mark.parametrize("options", [{"revision": "main"}, {"config": "other"}])
def test_options_of_repositories_are_refused_of_saved_datasets(tmp_path, options):
    with pytest.raises(InputError, match=f"{next(iter(options))}: found .* is a folder"):
        read_datasets(saved(rows(), tmp_path / "saved"), **options)


def test_an_error_of_the_library_tells_its_cause(tmp_path):
    """It wraps what went wrong in an error that says nothing itself."""
    (tmp_path / "train.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"cannot be read \(.*Parquet") as raised:
        read_datasets(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_dataset_that_is_cut_short_is_told_in_one_line(tmp_path):
    folder = saved(rows(), tmp_path / "saved")
    (file,) = folder.glob("*.arrow")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read") as raised:
        read_datasets(folder)
    assert "\n" not in str(raised.value)


def test_recordings_outside_the_dataset_stay_where_they_are(tmp_path):
    """A column of paths, absolute or relative to the dataset; mixed with recordings inside."""
    (tmp_path / "saved" / "wav").mkdir(parents=True)
    for number in range(6):
        (tmp_path / "saved" / "wav" / f"{number}.wav").write_bytes(encoded(number))
    relative = rows(audio=[f"wav/{number}.wav" for number in range(6)])
    corpus = read_datasets(saved(relative, tmp_path / "saved"))
    assert corpus.root == tmp_path / "saved"
    assert contents(corpus) == {f"wav/{number}.wav": encoded(number) for number in range(6)}
    assert not (tmp_path / "cache").exists()
    outside = str(tmp_path / "saved" / "wav" / "0.wav")
    mixed = rows(
        audio=[{"bytes": None, "path": outside}]
        + [{"bytes": encoded(n), "path": f"{n}.wav"} for n in range(1, 6)]
    )
    corpus = read_datasets(saved(mixed, tmp_path / "mixed"))
    assert sorted(contents(corpus).values()) == sorted(encoded(number) for number in range(6))
    assert corpus.path(corpus.table.index[0][0]).samefile(outside)


def test_a_row_without_recording_is_left_out_with_its_number(tmp_path):
    audio = [{"bytes": encoded(n), "path": None} for n in range(6)]
    audio[1], audio[4] = None, {"bytes": None, "path": None}
    audio[3] = {"bytes": b"", "path": "3.wav"}
    left_out = read_datasets(saved(rows(audio=audio), tmp_path / "saved")).left_out
    assert left_out["reason"].tolist() == ["no recording"] * 3
    assert left_out["detail"].tolist() == [f"row all/00000{number}" for number in (1, 3, 4)]
    assert left_out["emotion"].tolist() == [LABELS[number] for number in (1, 3, 4)]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_recording_without_a_name_gets_the_suffix_of_its_content(tmp_path, suffix):
    """Without it no library could tell how to read the file."""
    audio = [{"bytes": encoded(n, suffix), "path": [None, "noname", ""][n % 3]} for n in range(6)]
    corpus = read_datasets(saved(rows(audio=audio), tmp_path / "saved"))
    files = list(by_file(corpus, "speaker"))
    assert files[0] == f"000000.{suffix}"
    assert files[1] == f"000001-noname.{suffix}"
    assert len(read_utterance(corpus, corpus.table.index[0])) >= 1600


def test_equal_names_do_not_overwrite_each_other(tmp_path):
    """Names are unique in their folder before they come to a hub, and often not after."""
    names = ["x.wav", "s1/X.wav", "s2/x.wav", "y.wav", "C:\\data\\z.wav", "w.wav"]
    audio = [{"bytes": encoded(n), "path": name} for n, name in enumerate(names)]
    corpus = read_datasets(saved(rows(audio=audio), tmp_path / "saved"))
    assert contents(corpus) == {
        "000000-x.wav": encoded(0), "000001-X.wav": encoded(1), "000002-x.wav": encoded(2),
        "y.wav": encoded(3), "z.wav": encoded(4), "w.wav": encoded(5),
    }  # fmt: skip


def test_names_that_a_mac_cannot_tell_apart_get_numbers(tmp_path):
    """On a disk that composes letters, one of the two would overwrite the other."""
    names = ["fr\u00f6h.wav", "fro\u0308h.wav", *(f"{n}.wav" for n in range(2, 6))]
    audio = [{"bytes": encoded(n), "path": name} for n, name in enumerate(names)]
    corpus = read_datasets(saved(rows(audio=audio), tmp_path / "saved"))
    written = {unicodedata.normalize("NFD", name).casefold() for name in contents(corpus)}
    assert len(written) == 6


def test_names_of_a_dataset_lead_nowhere_else(tmp_path):
    names = ["../../out.wav", "..", "/etc/out2.wav", ".hidden.wav", "n\n.wav", "l" * 300 + ".wav"]
    audio = [{"bytes": encoded(n), "path": name} for n, name in enumerate(names)]
    corpus = read_datasets(saved(rows(audio=audio), tmp_path / "saved"))
    assert list(by_file(corpus, "speaker"))[:5] == [
        "out.wav", "000001.wav", "out2.wav", "000003.wav", "000004.wav",
    ]  # fmt: skip
    assert [path.parent for path in tmp_path.rglob("*.wav")] == [corpus.root] * 6
    assert list(contents(corpus).values()) == [encoded(n) for n in range(6)]


def test_the_same_content_twice_stays_two_utterances(tmp_path):
    """Duplicates are for the corpus check to find, not for the reader to merge."""
    audio = [{"bytes": encoded(0), "path": "x.wav"}] * 6
    assert (
        len(set(by_file(read_datasets(saved(rows(audio=audio), tmp_path / "s")), "speaker"))) == 6
    )


def test_a_pattern_finds_the_speaker_in_the_name_of_the_recording(tmp_path):
    """The copies of EmoDB and RAVDESS on the hub have no column of speakers."""
    names = [
        "03a01Wa.wav",
        "03a02Na.wav",
        "08a01Wa.wav",
        "08a02Na.wav",
        "10a01Wa.wav",
        "10b01Na.wav",
    ]
    audio = [{"bytes": encoded(n), "path": f"wav/{name}"} for n, name in enumerate(names)]
    folder = saved(rows(audio=audio), tmp_path / "saved")
    corpus = read_datasets(folder, speaker="audio", speaker_pattern=r"^(\d\d)")
    assert by_file(corpus, "speaker") == {name: name[:2] for name in names}


def test_sex_sentence_fold_and_licence_are_passed_on(tmp_path):
    dataset = rows(
        gender=["f", "f", "m", "m", "f", "f"], session=[1, 1, 2, 2, 3, 3], text=list("abaaab")
    )
    dataset.info.license = "CC-BY-4.0"
    folder = saved(dataset, tmp_path / "saved")
    corpus = read_datasets(folder, sex="gender", fold="session", sentence="text")
    assert list(by_file(corpus, "sentence").values()) == list("121112")
    assert list(by_file(corpus, "sex").values()) == ["f", "f", "m", "m", "f", "f"]
    assert list(by_file(corpus, "fold").values()) == ["1", "1", "2", "2", "3", "3"]
    assert (corpus.licence, corpus.may_share_audio) == ("CC-BY-4.0", False)
    assert read_datasets(folder, licence="ours").licence == "ours"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": "labels"}, "unknown column in label 'labels': did you mean 'label'"),
        ({"speaker": "who"}, "unknown column in speaker 'who': Valid are: audio, label, speaker"),
        ({"audio": "file"}, "unknown column in audio 'file'"),
        ({"audio": "age"}, "audio: column 'age' holds .* valid are an audio feature"),
        ({"label": "age"}, "label: column 'age' holds .* valid are class labels, text"),
        ({"label": "ratings"}, "label: column 'ratings' holds List"),
        ({"end": "ends"}, "row 3: a segment must start .* end 0 s"),
        ({"neutral_label": "calm"}, "unknown neutral_label 'calm'"),
    ],
)
def test_what_is_not_in_the_dataset_is_named_with_what_is(tmp_path, options, message):
    dataset = rows(age=[30.5] * 6, ratings=[["sad"]] * 6, ends=[0.1, 0.1, 0.0, 0.1, 0.1, None])
    with pytest.raises(InputError, match=message):
        read_datasets(saved(dataset, tmp_path / "saved"), **options)


@pytest.mark.parametrize("content", [None, "nothing to load", "[]"])
def test_a_folder_that_is_no_dataset_says_what_is_expected(tmp_path, content):
    (tmp_path / "folder").mkdir()
    if content is not None:
        name = "dataset_dict.json" if content == "[]" else "readme.text"
        (tmp_path / "folder" / name).write_text(content)
    with pytest.raises(InputError, match=r"cannot be read .*; expected is a folder that"):
        read_datasets(tmp_path / "folder")


def test_without_the_library_the_message_says_how_to_install_it(tmp_path):
    """It is an extra; in a process of its own, so that nothing has imported it yet."""
    script = (
        "import sys; sys.modules['datasets'] = None\n"
        "from pathlib import Path; from sercue.corpora import CORPORA\n"
        "CORPORA['datasets'].read(Path('.'))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "InputError" in ran.stderr
    assert "`pip install datasets`" in ran.stderr
