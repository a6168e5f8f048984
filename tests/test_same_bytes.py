"""The same study, with a cache of its own for all but the speech: the same bytes but for times."""

import json
import re
import shutil
from pathlib import Path

import joblib
import pandas as pd
import pytest

from sercue.cli import main
from sercue.run import open_run

TIMED = ["seconds", "notebooks", "runs", "run_count"]
# Measured once, when the model was trained.
_TRAINING = re.compile(r"[\d.]+ s on one core")
WHAT_IF = re.compile(r'<a download="what_if\.csv"[^>]*>')
_DATE = re.compile(r"on \d{4}-\d\d-\d\d\.|<dt>run time</dt><dd>[^<]*</dd>")


@pytest.fixture(scope="module")
def twice(small_study, cache, tmp_path_factory):
    """The folders of two runs of one study file that share the speech alone.

    That the speech is the same each time it is made, ``test_demo`` shows.
    """
    folder = tmp_path_factory.mktemp("again")
    (folder / "cache").mkdir()
    for made in cache.glob("demo*"):
        shutil.copytree(made, folder / "cache" / made.name)
    shutil.copy(small_study.file, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCUE_CACHE", str(folder / "cache"))
        file = folder / small_study.file.name
        assert main(["run", str(file), "--out", str(folder / "out")]) == 0
    return small_study.as_left, folder / "out"


def names(folder, pattern):
    return sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))


@pytest.mark.parametrize(
    "pattern",
    ["artifacts/*.parquet", "artifacts/binning.json", "figures/*", "tables/*", "methods.md"],
)
def test_what_two_runs_write_is_the_same(twice, pattern):
    """Features, tokens, thresholds, measures, tests, figures, tables, methods."""
    first, second = twice
    written = names(second, pattern)
    assert written
    assert written == names(first, pattern)
    assert [n for n in written if content(first / n) != content(second / n)] == []


@pytest.mark.parametrize("reuse", [False, True])
def test_what_is_read_back_is_written_as_what_is_computed(small_study, tmp_path, reuse):
    """A stage that is opened again, on the files of an earlier one or not: the same bytes."""
    copy = tmp_path / "small"
    shutil.copytree(small_study.as_left, copy)
    run = open_run(small_study.settings | {"out": str(copy)}, reuse=reuse)
    _ = run.measured, run.tokens, run.measures, run.tests
    files = names(copy, "artifacts/*.parquet")
    assert len(files) == 11
    assert [n for n in files if content(copy / n) != content(small_study.as_left / n)] == []


def test_run_again_notebooks_beside_each_other_write_the_same(small_study, tmp_path, monkeypatch):
    """Where all answers are stored, nothing depends on what another notebook has done by then."""
    monkeypatch.setattr(joblib, "cpu_count", lambda *_, **__: 2)
    first, second = small_study.as_left, shutil.copytree(small_study.as_left, tmp_path / "out")
    chosen = ["--only", "02", "03", "04"]
    assert main(["run", str(small_study.file), "--out", str(second), *chosen]) == 0
    ran = json.loads((second / "artifacts" / "provenance.json").read_text())["notebooks"]
    times = [(one["started"], one["ended"]) for _, one in sorted(ran.items())]
    assert times[2][0] < times[1][1], "03 after 02"
    for pattern in ("artifacts/*.parquet", "figures/*", "tables/*", "methods.md"):
        for name in names(first, pattern):
            # In 03, the first run asked what the second one takes from the study: its 7th digits.
            assert name == "tables/what_if.csv" or content(first / name) == content(second / name)
    # The index says which notebooks are from an earlier run.
    for name in names(first, "0*.html"):
        texts = [WHAT_IF.sub("", report(folder / name)) for folder in (first, second)]
        assert texts[0] == texts[1], name


def test_answers_are_the_same_to_the_last_bit(twice):
    """Their parts are named by chance and end with the run; sorted, the rows are the same."""
    tables = []
    for folder in twice:
        table = pd.read_parquet(folder / "artifacts" / "predictions")
        keys = ["utterance", "condition", "replicate", "template", "label_order"]
        tables.append(table.sort_values(keys, ignore_index=True))
    assert len(tables[0]) == 448
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert tables[0].to_csv() == tables[1].to_csv()


def test_a_control_that_is_the_model_under_study_has_its_very_answers(small_study):
    """Asked again, in other company, they would differ in the seventh digit."""
    artifacts = small_study.as_left / "artifacts"
    controls = pd.read_parquet(artifacts / "controls.parquet").query("model == 'grounded'")
    keys = ["utterance", "condition", "replicate", "template", "label_order"]
    both = [
        table.astype(dict.fromkeys(["utterance", "condition", "template"], "str")).set_index(keys)
        for table in (controls, pd.read_parquet(artifacts / "predictions"))
    ]
    shares = [name for name in controls if name.startswith("p_")]
    one, other = (table[shares].loc[both[0].index] for table in both)
    assert len(one) > 0
    pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_reports_are_the_same_but_for_times(twice):
    for name in names(twice[1], "*.html"):
        texts = [report(folder / name) for folder in twice]
        assert texts[0] == texts[1], name


def test_provenance_is_the_same_but_for_times(twice):
    """All that decides a result is in what is left, and both runs had the same of it."""
    held = [json.loads((one / "artifacts" / "provenance.json").read_text()) for one in twice]
    for one in held:
        for name in (*TIMED, "command"):
            del one[name]
    assert held[0] == held[1]


def content(path: Path) -> bytes:
    if path.stem == "model" and path.parent.name == "tables":
        return _TRAINING.sub("", path.read_text(encoding="utf-8")).encode()
    return path.read_bytes()


def report(path: Path) -> str:
    text = _TRAINING.sub("", path.read_text(encoding="utf-8"))
    # The command names the folder.
    text = re.sub(r'<pre class="command">.*?</pre>', "", text)
    # The table of the model, coded, has the time of training.
    text = re.sub(r'<a download="model\.\w+"[^>]*>', "", text)
    return _DATE.sub("", text)
