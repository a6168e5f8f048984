"""Names that look like paths become no paths: a run writes to its folder and cache alone."""

import itertools
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import yaml
from serving import Loopback, completion

import sercue
from sercue.cli import main

# Where each would lead, from wherever it was appended: upwards, to the root, or below a folder.
ROOT = Path(tempfile.gettempdir())
LABELS = ["../../label", str(ROOT / "label_at_the_root")]
WORDS = ["../word", "word/below"]
SPEAKER = "../../speaker"
FILE = "..\\..\\file.wav"
TEMPLATE = {
    "name": "../../template",
    "instruction": "{labels}?",
    "cues": "{tokens}",
    "answer": "../answer",
}
STUDY = {
    "study": "paths",
    "corpus": "table",
    "labels": dict(zip(LABELS, WORDS, strict=True)),
    "decoding": "generate",
    "conditions": ["none", "aligned", "corrupted(0.5)"],
    "templates": [TEMPLATE, TEMPLATE | {"name": str(ROOT / "template_at_the_root")}],
    "replicates": 1,
    "label_orders": 1,
    "resamples": 100,
    "controls": False,
}


def write_corpus(folder, corpus):
    """The recordings of two classes of the demo, with new names, and the table that lists them."""
    rows = corpus.table.reset_index()
    rows = rows[rows["emotion"].isin(sorted(corpus.labels)[:2])]
    names = [FILE, *(f"{number}.wav" for number in range(1, len(rows)))]
    for source, name in zip(rows["file"], names, strict=True):
        shutil.copy(corpus.root / source, folder / name)
    new = dict(zip(sorted(set(rows["emotion"])), LABELS, strict=True))
    table = rows[["emotion", "speaker", "partition"]].assign(file=names)
    table = table.replace({"emotion": new, "speaker": {rows["speaker"].iloc[0]: SPEAKER}})
    table.to_csv(folder / "corpus.csv", index=False)
    return folder / "corpus.csv"


def files(folder):
    return {path for path in folder.rglob("*") if path.is_file()}


def test_names_that_look_like_paths_write_nothing_elsewhere(cache, tmp_path, monkeypatch):
    """All of the study lies deep below one folder, so that what leads upwards still lies there."""
    corpus = sercue.load_corpus("demo", speakers=6, sentences=2)
    deep = tmp_path / "a" / "b" / "c"
    for name in ("corpus", "here"):
        (deep / name).mkdir(parents=True)
    monkeypatch.setenv("SERCUE_CACHE", str(deep / "cache"))
    monkeypatch.chdir(deep / "here")
    table = write_corpus(deep / "corpus", corpus)
    words, out = itertools.cycle(WORDS), deep / "out"
    with Loopback(lambda _: completion(next(words), model="../../model")) as server:
        file = deep / "study.yaml"
        options = {"corpus_root": str(table), "model": "endpoint:../../model"}
        options |= {"model_options": {"base_url": server.url}}
        file.write_text(yaml.safe_dump(STUDY | options))
        before = files(tmp_path)
        assert main(["run", str(file), "--out", str(out), "--only", "04", "05"]) == 0
    written = files(tmp_path) - before
    assert {path.relative_to(deep).parts[0] for path in written} == {"out", "cache"}
    assert list(ROOT.glob("*_at_the_root*")) == []
    # The names were there to be misused.
    shown = pd.read_csv(out / "tables" / "recall.csv").to_csv()
    assert all(label in shown for label in LABELS)
    assert "../../template" in (out / "05_statistical_testing.html").read_text(encoding="utf-8")
