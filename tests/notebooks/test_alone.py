"""Each notebook runs alone through plain papermill, with nothing left by those before it."""

import nbformat
import papermill
import pytest

from sercue.reports import notebook_files


@pytest.mark.parametrize("notebook", notebook_files(), ids=lambda path: path.stem)
def test_a_notebook_runs_alone(notebook, small_study, tmp_path):
    """What it needs and lacks it computes; the folder it writes to is new."""
    declared = papermill.inspect_notebook(str(notebook))
    parameters = small_study.settings | {"out": str(tmp_path / "out")}
    papermill.execute_notebook(
        str(notebook),
        str(tmp_path / "executed.ipynb"),
        parameters={key: value for key, value in parameters.items() if key in declared},
        progress_bar=False,
    )
    cells = nbformat.read(tmp_path / "executed.ipynb", as_version=4).cells
    summary = cells[-1].outputs[-1].data["text/html"]
    assert summary.count("<li>") >= 3
    assert (tmp_path / "out" / "artifacts" / "provenance.json").is_file()
