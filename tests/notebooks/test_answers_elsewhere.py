"""Samples of lmms-eval from the command to the reports, in kernels of their own."""

import json

import pandas as pd
import pytest
from test_elsewhere import answers, balanced, lmms_eval

from sercue.cli import main
from sercue.report.comparison import compare_studies


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The table behind the samples, the folder that the command wrote, and its exit status."""
    folder = tmp_path_factory.mktemp("analysed")
    table = answers(12)
    speakers = table.loc[table["condition"] == "none", ["speaker"]].reset_index(drop=True)
    speakers.rename_axis("doc_id").to_csv(folder / "truth.csv")
    files = lmms_eval(table, folder, doc=False)
    given = ["--truth", str(folder / "truth.csv"), "--model-name", "qwen2-audio"]
    status = main(["analyse", *files, *given, "--out", str(folder / "out")])
    return table, folder / "out", status


def test_both_notebooks_are_done_and_no_other_is_there(analysed):
    _, folder, status = analysed
    assert status == 0
    pages = ["04_perturbation_study.html", "05_statistical_testing.html", "index.html"]
    assert sorted(path.name for path in folder.glob("*.html")) == pages


def test_numbers_are_those_of_scikit_learn(analysed):
    table, folder, _ = analysed
    uar = pd.read_csv(folder / "tables" / "uar.csv", index_col=0)["uar"]
    expected = {name: balanced(table, name) for name in ("none", "aligned")}
    assert uar.to_dict() == pytest.approx(expected, abs=1e-12)


def test_the_index_answers_and_says_where_answers_come_from(analysed):
    text = (analysed[1] / "index.html").read_text()
    assert "<dt>Gain</dt>" in text
    assert "obtained by another program" in text
    assert "samples of lmms-eval, 96 rows, digest" in text
    assert "sercue analyse none=20260101_120000_samples_emotion.jsonl" in text
    assert "Traceback" not in text


def test_no_folder_of_this_machine_is_told(analysed):
    folder = analysed[1]
    written = [p for p in folder.rglob("*") if p.suffix in (".html", ".md", ".json", ".csv")]
    assert [path.name for path in written if str(folder.parent) in path.read_text()] == []


def test_parameters_are_those_of_the_answers(analysed):
    known = json.loads((analysed[1] / "artifacts" / "provenance.json").read_text())
    assert known["model"]["name"] == "qwen2-audio"
    assert known["parameters"]["conditions"] == ["none", "aligned"]
    assert [run["outcome"] for run in known["runs"]] == ["done"]


def test_it_stands_beside_other_studies(analysed):
    rows = compare_studies([analysed[1]])
    assert rows.loc[rows["source"] == "this run", "condition"].tolist() == ["none", "aligned"]
