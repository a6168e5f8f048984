"""A study whose corpus holds everything that can be wrong with a recording, and with its name."""

import pandas as pd
import pytest
from odd_study import LABEL, NAMES, odd_recordings

from sercue.cli import main


@pytest.fixture(scope="module")
def study(odd_study):
    return odd_study / "study.yaml"


@pytest.fixture(scope="module")
def unusable(tmp_path_factory):
    made = odd_recordings(tmp_path_factory.mktemp("recordings"))
    return {what: recording for what, recording in made.items() if recording.problem}


@pytest.fixture(scope="module")
def report(odd_study):
    """The folder of the study, run without what is no use."""
    return odd_study / "out"


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
        assert LABEL not in text
    shown = (report / "figures" / "corpus.svg").read_text()
    assert "<script" not in shown


def test_good_recordings_under_odd_names_are_used(report):
    used = pd.read_parquet(report / "artifacts" / "utterances.parquet")
    assert set(NAMES) <= set(used.index.get_level_values("file"))
