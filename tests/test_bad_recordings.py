"""A study whose corpus holds everything that can be wrong with a recording, and with its name."""

import shutil

import pandas as pd
import pytest
import yaml
from bad_audio import bad_audio

from sercue.cli import main
from sercue.corpora import load_corpus

#: What a browser, LaTeX or matplotlib would take for an instruction.
SPEAKER = "<b onclick=alert(1)>$\\frac$ & 'Ann'_1%"
NAMES = [
    "<script>alert(2)<.wav", " a space before.wav", "it's \"quoted\".wav", "new\nline.wav",
    "驚き שלום.wav", "$x^$ & 100%.wav", "d,e;f\t.wav",
]  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    return tmp_path_factory.mktemp("recordings"), {}


@pytest.fixture(scope="module")
def study(cache, bad):
    """Speech of six synthetic speakers, some of it under odd names, among bad recordings."""
    folder, made = bad
    made |= bad_audio(folder)
    demo = load_corpus("demo", speakers=6, sentences=2).table.reset_index()
    source = load_corpus("demo", speakers=6, sentences=2)
    files = [*NAMES, *(f"speech_{number}.wav" for number in range(len(NAMES), len(demo)))]
    for own, new in zip(demo["file"], files, strict=True):
        shutil.copy(source.path(own), folder / new)
    first = demo["speaker"].iloc[0]
    speech = demo[["emotion", "speaker", "partition"]].assign(file=files, start=0.0, end=None)
    speech["speaker"] = speech["speaker"].replace(first, SPEAKER)
    rows = pd.DataFrame(
        [(r.file, *r.segment) for r in made.values()], columns=["file", "start", "end"]
    )
    rows = rows.assign(emotion="sad", speaker=SPEAKER, partition=demo["partition"].iloc[0])
    pd.concat([speech, rows]).to_csv(folder / "corpus.csv", index=False)
    settings = {
        "study": "bad",
        "corpus": "table",
        "corpus_root": str(folder / "corpus.csv"),
        "model_options": {"epochs": 1},
        "controls": False,
        "conditions": ["none", "aligned"],
        "templates": ["plain"],
        "label_orders": 1,
        "resamples": 200,
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    return folder / "study.yaml"


@pytest.fixture(scope="module")
def unusable(study, bad):
    return {what: recording for what, recording in bad[1].items() if recording.problem}


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    """The folder of the study, run without what is no use."""
    out = tmp_path_factory.mktemp("out")
    arguments = ["--out", str(out), "--only", "01", "--set", "bad_audio=leave_out"]
    assert main(["run", str(study), *arguments]) == 0
    return out


def test_check_lists_every_kind_and_the_study_does_not_start(study, unusable, capsys):
    """What is wrong is a list, not the first thing that came along."""
    assert main(["check", str(study)]) == 2
    printed = capsys.readouterr()
    for reason in {recording.problem for recording in unusable.values()}:
        assert f"unusable: {reason}: " in printed.out
    assert f"{len(unusable)} of " in printed.err
    assert "set bad_audio: leave_out to go on without them" in printed.err
    assert "\nline.wav" not in printed.out


def test_run_stops_before_the_first_notebook(study, tmp_path, capsys):
    assert main(["run", str(study), "--out", str(tmp_path / "out")]) == 2
    assert not list(tmp_path.glob("out/*.html"))


def test_all_that_is_left_out_is_in_the_denominators(report, unusable):
    table = pd.read_csv(report / "tables" / "denominators.csv", index_col=0)["utterances"]
    counts = pd.Series([recording.problem for recording in unusable.values()]).value_counts()
    for reason, number in counts.items():
        assert table[f"left out: {reason}"] == number
    assert table["listed"] == table["used"] + len(unusable)
    left_out = pd.read_parquet(report / "artifacts" / "left_out.parquet")
    assert sorted(left_out["reason"]) == sorted(r.problem for r in unusable.values())


def test_every_name_is_text_and_nothing_else(report):
    """A report is opened by people who have not made its corpus."""
    for page in report.glob("*.html"):
        text = page.read_text()
        assert "<script>alert" not in text
        assert "<b onclick" not in text
    shown = (report / "figures" / "corpus.svg").read_text()
    assert "<script" not in shown


def test_good_recordings_under_odd_names_are_used(report):
    used = pd.read_parquet(report / "artifacts" / "utterances.parquet")
    assert set(NAMES) <= set(used.index.get_level_values("file"))
