"""Each notebook runs alone through plain papermill, with nothing left by those before it."""

import nbformat
import papermill
import pytest

from sercue.report.notebooks import notebook_files
from sercue.run import open_run

SHORT = {"conditions": ["none", "aligned"], "templates": ["plain"], "label_orders": 1,
         "replicates": 1, "resamples": 100, "controls": False}  # fmt: skip


@pytest.mark.parametrize("notebook", notebook_files(), ids=lambda path: path.stem)
def test_a_notebook_runs_alone(notebook, small_study, tmp_path):
    """What it needs and lacks it computes; the folder it writes to is new."""
    parameters = small_study.settings | SHORT | {"out": str(tmp_path / "out")}
    papermill.execute_notebook(
        str(notebook),
        str(tmp_path / "executed.ipynb"),
        parameters=parameters,
        progress_bar=False,
    )
    cells = nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells
    place = [cell.source.strip() for cell in cells].index("## Summary")
    summary = cells[place + 1].outputs[-1].data["text/html"]
    assert summary.count("<li>") >= 3
    assert (tmp_path / "out" / "artifacts" / "provenance.json").is_file()


def test_05_computes_what_a_run_of_01_alone_did_not_leave(small_study, tmp_path):
    """The corpus lies in the artifacts and the predictions do not: half a study is none."""
    parameters = small_study.settings | SHORT | {"out": str(tmp_path / "out")}
    _ = open_run(parameters).features
    assert len(open_run(parameters, reuse=True).tests) == 1
