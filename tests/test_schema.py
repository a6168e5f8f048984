"""The version in each file: old ones are read, foreign and newer ones refused, none misread."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
import soundfile

from sercue.artifacts import Artifacts
from sercue.corpora.corpus import Corpus, example_corpus
from sercue.corpora.inspection import inspect_audio
from sercue.errors import InputError, StorageError
from sercue.features import extract_features
from sercue.report.comparison import compare_studies
from sercue.report.methods import methods_text
from sercue.run import open_run
from sercue.storage.tables import (
    PREDICTIONS,
    TABLES,
    Kind,
    UnfitError,
    append_part,
    check_table,
    part_files,
    read_json,
    read_parts,
    write_json,
)
from sercue.study import run_study
from sercue.tokens.binning import Binning, FoldBinning, fit_bins
from sercue.tokens.concepts import Concept

# The small study names no contrastive baselines; tests/models/test_contrastive.py is about theirs.
WRITTEN = [name for name in TABLES if name != "zero_shot.parquet"]


class Counting:
    """A model that counts what it is asked, and prefers the first label."""

    name = identity = "counting"
    device, dtype, batch_size, sampling_rate, max_seconds = "cpu", "float32", 2, 16000, np.inf
    asked = 0

    def score(self, audios, prompts, labels):
        self.asked += sum(map(len, prompts))
        return [np.tile(-np.arange(len(labels), dtype=float), (len(p), 1)) for p in prompts]


@pytest.fixture
def corpus(tmp_path):
    made = example_corpus(speakers=2, utterances=3)
    generator = np.random.default_rng(0)
    for file in made.table.index.get_level_values("file"):
        soundfile.write(tmp_path / file, generator.normal(0, 0.1, 3200), 16000)
    return Corpus("made", tmp_path, made.table, made.labels, None, "none")


@pytest.fixture
def study(corpus, tmp_path):
    """Runs a small study whose answers lie in ``store``; how often the model was asked."""
    tokens = pd.DataFrame({"energy": ["low", "mid", "high"] * 2}, index=corpus.table.index)

    def run():
        model = Counting()
        predictions = run_study(
            corpus, tokens, model, conditions=["none", "aligned"], templates=["plain"],
            store=tmp_path / "store", progress=False,
        )  # fmt: skip
        return predictions, model.asked

    return run


def without_version(path):
    """The file as it was before files had versions: the same columns, and the settings alone."""
    table = pd.read_parquet(path)
    stamp = {k: v for k, v in table.attrs.get("sercue", {}).items() if k != "schema"}
    table.attrs = {"sercue": stamp} if stamp else {}
    table.to_parquet(path)


def with_version(path, number):
    table = pd.read_parquet(path)
    table.attrs["sercue"]["schema"]["version"] = number
    table.to_parquet(path)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_file_of_a_study_says_its_kind_and_version(small_study):
    """As plain Parquet metadata and JSON, whatever reads it."""
    folder = small_study.folder / "artifacts"
    told = {}
    for path in folder.rglob("*.parquet"):
        metadata = pyarrow.parquet.read_schema(path).metadata
        told[path] = json.loads(metadata[b"PANDAS_ATTRS"])["sercue"]["schema"]
    for path in folder.glob("*.json"):
        told[path] = json.loads(path.read_text())["schema"]
    assert {path.name for path in told if path.parent == folder} == {
        *WRITTEN, "binning.json", "provenance.json",
    }  # fmt: skip
    parts = [mark for path, mark in told.items() if path.parent != folder]
    assert parts
    assert all(mark == {"kind": "predictions", "version": 1} for mark in parts)
    kinds = {mark["kind"]: mark["version"] for mark in told.values()}
    assert kinds.pop("binning") == 2
    assert set(kinds.values()) == {1}


def test_answers_of_before_there_were_versions_are_refused_by_name(study, tmp_path):
    """Those do not say which words were scored; they may have taken hours, so they stay."""
    study()
    for path in part_files(tmp_path / "store"):
        without_version(path)
    held = contents(tmp_path / "store")
    with pytest.raises(UnfitError, match=r"part-.*: no predictions .* found version 0"):
        study()
    assert contents(tmp_path / "store") == held


def test_a_study_of_before_there_were_versions_is_read_whole(small_study, tmp_path):
    """Tables, methods, comparison: all but the answers themselves, and thresholds."""
    out = tmp_path / "out"
    shutil.copytree(small_study.folder, out)
    artifacts = out / "artifacts"
    for path in artifacts.glob("*.parquet"):
        without_version(path)
    path = artifacts / "provenance.json"
    held = json.loads(path.read_text())
    del held["schema"]
    held.pop("runs", None), held.pop("run_count", None), held.pop("packages", None)
    path.write_text(json.dumps(held))
    expected = pd.read_parquet(artifacts / "tests.parquet")
    pd.testing.assert_frame_equal(compare_studies([out]), compare_studies([small_study.folder]))
    assert methods_text(out) == methods_text(small_study.folder)
    run = open_run(small_study.settings | {"out": str(out)}, reuse=True)
    assert run._left is not None
    pd.testing.assert_frame_equal(run.tests, expected[list(run.tests)], check_dtype=False)


@pytest.mark.parametrize("number", [2, 99])
def test_newer_answers_are_refused_and_left_alone(study, tmp_path, number):
    study()
    (path,) = part_files(tmp_path / "store")[:1]
    with_version(path, number)
    held = contents(tmp_path / "store")
    with pytest.raises(InputError, match=rf"{path}: found .* of version {number},.* up to 1"):
        study()
    assert contents(tmp_path / "store") == held


FOREIGN = {
    "another table": (pd.DataFrame({"x": [1]}), "no column 'utterance'"),
    "no columns": (pd.DataFrame(), "no column 'utterance'"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_among_the_answers_is_refused_by_name(study, tmp_path, name):
    study()
    table, why = FOREIGN[name]
    table.to_parquet(tmp_path / "store" / "part-x.parquet")
    held = contents(tmp_path / "store")
    with pytest.raises(UnfitError, match=rf"part-x\.parquet: no predictions.*{why}.*elsewhere"):
        study()
    assert contents(tmp_path / "store") == held


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("valid", 1, "int64, valid is bool"),
        ("replicate", 0.5, "double, valid is int"),
        ("p_angry", "half", "string, valid is float"),
        ("prompt", 3, "int64, valid is text"),
    ],
)
def test_a_column_of_another_type_is_refused_by_name(study, tmp_path, column, value, found):
    """A number where a word should be is not an answer, however well it could be read."""
    predictions, _ = study()
    store = tmp_path / "other"
    assert column in predictions
    append_part(store, predictions.assign(**{column: value}))
    with pytest.raises(UnfitError, match=rf"column '{column}' is .*{found}"):
        read_parts(store)


def test_a_file_of_another_kind_is_refused(small_study, tmp_path):
    """Controls have the columns of predictions, and are answers of another model."""
    path = tmp_path / "part-1.parquet"
    shutil.copy(small_study.folder / "artifacts" / "controls.parquet", path)
    with pytest.raises(UnfitError, match="it says that it is of the kind 'controls'"):
        read_parts(tmp_path)


def test_compact_columns_are_the_same_columns(study, tmp_path):
    """Words that repeat may be stored once: categories are text."""
    predictions, _ = study()
    words = predictions.astype(dict.fromkeys(["condition", "truth", "model"], "category"))
    append_part(tmp_path / "compact", words)
    read = read_parts(tmp_path / "compact")
    assert read["condition"].astype(str).tolist() == predictions["condition"].tolist()


def test_only_the_metadata_is_read_to_refuse(study, tmp_path):
    """By rows that cannot be decoded behind metadata that are whole."""
    study()
    path = part_files(tmp_path / "store")[0]
    with_version(path, 7)
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(100) + content[104:])
    with pytest.raises(InputError, match="version 7"):
        read_parts(tmp_path / "store")


@pytest.mark.parametrize("name", WRITTEN)
def test_a_newer_table_stops_a_run_before_anything_is_replaced(small_study, tmp_path, name):
    out = tmp_path / "out"
    shutil.copytree(small_study.folder / "artifacts", out / "artifacts")
    with_version(out / "artifacts" / name, 2)
    held = contents_of_files(out / "artifacts")
    with pytest.raises(InputError, match=rf"{name}: found .* of version 2, sercue .* up to 1"):
        open_run(small_study.settings | {"out": str(out)})
    assert contents_of_files(out / "artifacts") == held


@pytest.mark.parametrize("name", ["provenance.json", "binning.json"])
def test_a_newer_json_file_is_refused(small_study, tmp_path, name):
    out = tmp_path / "out"
    shutil.copytree(small_study.folder, out)
    path = out / "artifacts" / name
    held = json.loads(path.read_text())
    held["schema"]["version"] = 9
    path.write_text(json.dumps(held))
    with pytest.raises(InputError, match=rf"{name}: found .* of version 9"):
        methods_text(out)
    with pytest.raises(InputError, match="update sercue, or name another folder"):
        open_run(small_study.settings | {"out": str(out)})
    assert json.loads(path.read_text()) == held


@pytest.mark.parametrize("damage", ["columns", "torn", "foreign"])
def test_a_derived_table_that_does_not_fit_is_made_again(tmp_path, caplog, damage):
    """It costs seconds; but for a reader of a finished run it is an error, since none makes it."""
    artifacts, path = Artifacts(tmp_path), tmp_path / "tokens.parquet"
    corpus = example_corpus(speakers=1, utterances=2)
    table = pd.DataFrame({"energy": ["low", "high"]}, index=corpus.table.index)
    artifacts.save("tokens.parquet", table, "these")
    assert artifacts.load("tokens.parquet", "these").equals(table)
    if damage == "columns":
        artifacts.save("tokens.parquet", table.assign(energy=[1, 2]), "these")
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:100])
    else:
        append_part(tmp_path, table).replace(path)
    assert artifacts.load("tokens.parquet", "these") is None
    assert f"{path}: no tokens" in caplog.text
    with pytest.raises(InputError, match=r"tokens\.parquet: no tokens"):
        artifacts.read("tokens.parquet")


def test_comparing_names_the_file_that_is_not_as_it_should_be(small_study, tmp_path):
    """Of a study by an early version whose contrasts had no p-values of that name, for instance."""
    out = tmp_path / "out"
    shutil.copytree(small_study.folder, out)
    path = out / "artifacts" / "tests.parquet"
    without_version(path)
    pd.read_parquet(path).drop(columns="p").to_parquet(path)
    with pytest.raises(InputError, match=rf"{path}: no tests as .* reads them: no column 'p'"):
        compare_studies([small_study.folder, out])


@pytest.mark.parametrize("name", ["tests.parquet", "measures.parquet"])
def test_comparing_refuses_what_a_newer_sercue_wrote(small_study, tmp_path, name):
    out = tmp_path / "out"
    shutil.copytree(small_study.folder, out)
    with_version(out / "artifacts" / name, 2)
    with pytest.raises(InputError, match=rf"{name}: found .* of version 2"):
        compare_studies([small_study.folder, out])


@pytest.mark.parametrize("damage", ["newer", "foreign", "old"])
@pytest.mark.parametrize("cached", [extract_features, inspect_audio])
def test_what_does_not_fit_in_a_cache_is_made_again(corpus, tmp_path, caplog, cached, damage):
    """A cache is of use only; but what another version put there stays."""
    cache = tmp_path / "cache"
    first = cached(corpus, cache=cache, progress=False)
    (path,) = cache.rglob("part-*.parquet")
    if damage == "newer":
        with_version(path, 9)
    elif damage == "foreign":
        pd.DataFrame({"x": [1]}).to_parquet(path)
    else:
        without_version(path)
    held = path.read_bytes()
    pd.testing.assert_frame_equal(first, cached(corpus, cache=cache, progress=False))
    assert path.read_bytes() == held
    parts = list(cache.rglob("part-*.parquet"))
    assert len(parts) == (1 if damage == "old" else 2)
    assert (path.name in caplog.text) == (damage != "old")


def binning_of(corpus):
    features = pd.DataFrame({"loudness": range(len(corpus.table))}, index=corpus.table.index)
    return fit_bins(features, corpus, concepts=[Concept("energy", {"loudness": 1})])


def test_thresholds_of_an_earlier_version_are_refused(tmp_path):
    """All concepts had the same words then: they cannot be told for each."""
    path = tmp_path / "binning.json"
    binning_of(example_corpus(speakers=3, utterances=3)).save(path)
    held = json.loads(path.read_text())
    path.write_text(json.dumps(held | {"schema": {"kind": "binning", "version": 1}}))
    with pytest.raises(UnfitError, match="found version 1, valid are 2 to 2"):
        Binning.load(path)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it cannot be read"),
        ("[1]", "it holds a list, valid is a mapping"),
        ('{"schema": {"kind": "tokens", "version": 1}}', "of the kind 'tokens'"),
        ('{"schema": {"kind": "binning", "version": "1"}}', "valid is a whole number"),
        ('{"schema": 1}', "valid is a whole number"),
        ("{MARK, 'concepts': [], 'locations': 3}", "entry 'locations' is int.*no entry 'scales'"),
        ("{MARK, 'folds': {'1': {}}}", "no entry 'concepts'"),
    ],
)
def test_thresholds_that_are_none_are_refused_by_name(tmp_path, text, why):
    path = tmp_path / "binning.json"
    text = text.replace("MARK", "'schema': {'kind': 'binning', 'version': 2}").replace("'", '"')
    path.write_text(text)
    with pytest.raises(UnfitError, match=rf"binning\.json: no binning .*{why}"):
        Binning.load(path)
    assert path.read_text() == text


def test_a_binning_for_each_fold_is_not_taken_for_one(tmp_path):
    binning = binning_of(example_corpus(speakers=3, utterances=3))
    FoldBinning({"a": binning, "b": binning}).save(tmp_path / "folds.json")
    with pytest.raises(InputError, match=r"one binning a fold \(a, b\), valid is one"):
        Binning.load(tmp_path / "folds.json")


def test_a_version_that_is_no_longer_read_is_refused_by_name(study, tmp_path):
    study()
    later = Kind("predictions", version=3, columns=PREDICTIONS.columns, lowest=2)
    path = part_files(tmp_path / "store")[0]
    with pytest.raises(UnfitError, match="found version 1, valid are 2 to 3"):
        check_table(path, later)
    without_version(path)
    with pytest.raises(UnfitError, match="found version 0, valid are 2 to 3"):
        check_table(path, later)


def test_a_file_that_is_being_written_is_never_seen_half(tmp_path, monkeypatch):
    """A disk that fills up in the middle: the old file stays, and nothing beside it."""
    kind = Kind("numbers")
    write_json(tmp_path / "a.json", {"x": 1}, kind)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space"):
        write_json(tmp_path / "a.json", {"x": 2}, kind)
    assert read_json(tmp_path / "a.json", kind) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def contents_of_files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
