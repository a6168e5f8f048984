"""The same recordings, whichever reader they come through, give the same tokens."""

import os
import re
import shutil
from pathlib import Path

import audformat
import audiofile
import numpy as np
import pandas as pd
import pytest

from sercue.corpora import CORPORA, load_corpus
from sercue.corpora.audio import audio_digests
from sercue.features import extract_features
from sercue.tokens.binning import fit_bins
from sercue.tokens.schemes import read_scheme

SERCUE = read_scheme("sercue").concepts

CHECKOUT = Path(__file__).resolve().parents[2]
REAL = Path(os.environ.get("SERCUE_EMODB", CHECKOUT.parent / "shared" / "corpora" / "emodb"))
LETTERS = {"angry": "W", "happy": "F", "neutral": "N", "sad": "T"}
NUMBERS = {"female": ["08", "09", "13", "14", "16"], "male": ["03", "10", "11", "12", "15"]}
SEED = 3


def synthetic(folder):
    """The demo corpus under names of EmoDB: 40 files of ten speakers, as few as are divided."""
    corpus = load_corpus("demo", speakers=12, sentences=1)
    voices = corpus.table.drop_duplicates("speaker")
    number = {
        speaker: name
        for sex, group in voices.groupby("sex")
        for speaker, name in zip(group["speaker"], NUMBERS[sex], strict=False)
    }
    for (file, _, _), row in corpus.table[corpus.table["speaker"].isin(list(number))].iterrows():
        text = int(re.findall(r"\d+", file)[-1]) + 1
        name = f"{number[row['speaker']]}a{text:02}{LETTERS[row['emotion']]}a.wav"
        shutil.copy(corpus.path(file), folder / name)


def sampled(folder):
    """Every ninth file of the real EmoDB: 60 files of all ten speakers."""
    if not (REAL / "wav").is_dir():
        pytest.skip("EmoDB is not here (SERCUE_EMODB)")
    for path in sorted((REAL / "wav").glob("*.wav"))[::9]:
        shutil.copy(path, folder / path.name)


@pytest.fixture
def emodb(cache, tmp_path):
    """EmoDB in its own layout, through its own reader; real recordings where they are at hand."""

    def read(files):
        folder = tmp_path / "emodb" / "wav"
        folder.mkdir(parents=True)
        files(folder)
        return CORPORA["emodb"].read(folder.parent, seed=SEED)

    return read


def as_table(original, place):
    """A CSV beside the recordings that names no partition."""
    listed = original.table.reset_index()[["file", "emotion", "speaker", "sex"]]
    listed.iloc[::-1].to_csv(original.root / "corpus.csv", index=False)
    return CORPORA["table"].read(original.root / "corpus.csv", seed=SEED)


def as_audformat(original, place):
    """What audb publishes: emotions in one table, speakers in another, sex in a scheme."""
    sexes = original.table.groupby("speaker")["sex"].first()
    db = audformat.Database("emodb", license="CC0-1.0")
    db.schemes["emotion"] = audformat.Scheme(labels=list(original.labels))
    db.schemes["speaker"] = audformat.Scheme(
        labels={speaker: {"gender": sex} for speaker, sex in sexes.items()}
    )
    files = original.table.index.get_level_values("file")
    for name, column in (("emotion", "emotion"), ("files", "speaker")):
        db[name] = audformat.Table(audformat.filewise_index(files))
        db[name][column] = audformat.Column(scheme_id=column)
        db[name][column].set(original.table[column].to_numpy())
    db.save(str(original.root))
    return CORPORA["audformat"].read(original.root, seed=SEED)


def as_folders(original, place):
    """A folder an emotion, and in it one for each sex."""
    for (file, _, _), row in original.table.iterrows():
        folder = place / row["emotion"] / row["sex"]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(original.path(file), folder)
    return CORPORA["folders"].read(place, seed=SEED, speaker=r"/(?P<sex>\w+)/(?P<speaker>\d\d)")


def as_datasets(original, place):
    """The encoded bytes inside a dataset that was saved to disk."""
    datasets = pytest.importorskip("datasets")
    rows = original.table.reset_index()
    paths = [original.path(file) for file in rows["file"]]
    columns = {
        "audio": [{"bytes": path.read_bytes(), "path": path.name} for path in paths],
        "emotion": rows["emotion"].tolist(),
        "actor": rows["speaker"].tolist(),
        "gender": rows["sex"].tolist(),
    }
    datasets.Dataset.from_dict(columns).save_to_disk(place / "saved")
    return CORPORA["datasets"].read(
        place / "saved", seed=SEED, label="emotion", speaker="actor", sex="gender"
    )


def tokens_by_content(corpus):
    """The tokens of each recording, whatever its name, and its partition."""
    features = extract_features(corpus, progress=False)
    tokens = fit_bins(features, corpus, concepts=SERCUE).transform(features)
    tokens = tokens.assign(partition=corpus.table["partition"], emotion=corpus.table["emotion"])
    return tokens.set_index(audio_digests(corpus).to_numpy()).sort_index()


@pytest.mark.parametrize(
    ("files", "reader"),
    [(synthetic, as_table), (synthetic, as_audformat), (synthetic, as_folders),
     (synthetic, as_datasets), (sampled, as_table)],
)  # fmt: skip
def test_every_reader_leads_to_the_tokens_of_emodb(emodb, files, reader, tmp_path):
    """Thresholds come from the training speakers: partition, content and tokens must all agree."""
    original = emodb(files)
    other = reader(original, tmp_path / "other")
    expected, found = tokens_by_content(original), tokens_by_content(other)
    assert expected.index.is_unique
    assert expected.drop(columns=["partition", "emotion"]).nunique().ge(3).all()
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)


def joined(folder, files):
    """All recordings in one file, and where each lies in it, in seconds."""
    signals = [audiofile.read(str(file), always_2d=True)[0][0] for file in files]
    edges = np.cumsum([0] + [len(signal) for signal in signals]) / 16000
    audiofile.write(str(folder / "long.wav"), np.concatenate(signals), 16000)
    return edges[:-1].tolist(), edges[1:].tolist()


@pytest.fixture
def long(cache, tmp_path):
    """Twelve recordings of three speakers, apart and joined."""
    corpus = load_corpus("demo", speakers=3, sentences=1)
    files = [corpus.path(file) for file in corpus.table.index.get_level_values("file")]
    return corpus, tmp_path, *joined(tmp_path, files)


def test_segments_of_a_database_are_the_recordings_that_were_joined(long):
    """The start and end of an audformat table reach openSMILE to the sample."""
    corpus, folder, starts, ends = long
    index = audformat.segmented_index(
        ["long.wav"] * len(starts),
        pd.to_timedelta(starts, unit="s"),
        pd.to_timedelta(ends, unit="s"),
    )
    db = audformat.Database("long")
    db["turns"] = audformat.Table(index)
    for column in ("emotion", "speaker"):
        db["turns"][column] = audformat.Column()
        db["turns"][column].set(corpus.table[column].to_numpy())
    db.save(str(folder))
    found = extract_features(CORPORA["audformat"].read(folder), progress=False)
    expected = extract_features(corpus, progress=False)
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-6)


def test_segments_of_a_dataset_are_the_recordings_that_were_joined(long):
    """Rows with start and end share one recording, which is written once."""
    datasets = pytest.importorskip("datasets")
    corpus, folder, starts, ends = long
    content = {"bytes": (folder / "long.wav").read_bytes(), "path": "long.wav"}
    columns = {"audio": [content] * len(starts), "from": starts, "to": ends}
    columns |= {name: corpus.table[name].tolist() for name in ("emotion", "speaker")}
    datasets.Dataset.from_dict(columns).save_to_disk(folder / "saved")
    read = CORPORA["datasets"].read(folder / "saved", label="emotion", start="from", end="to")
    assert set(read.table.index.get_level_values("file")) == {"long.wav"}
    assert [path.name for path in read.root.iterdir()] == ["long.wav"]
    found = extract_features(read, progress=False)
    expected = extract_features(corpus, progress=False)
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-6)
