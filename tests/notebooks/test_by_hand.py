"""Notebooks run by hand in JupyterLab: the study stays as it is, and nothing is asked twice."""

import os
import shutil

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from sercue.storage.files import project_folder

# The network loads when it is first asked.
NOT_ASKED = "assert 'answering' not in vars(run.model)"


@pytest.fixture(scope="module")
def project(small_study, tmp_path_factory):
    """A clone in which the small study was run: its kernels find reports and caches there."""
    folder = tmp_path_factory.mktemp("project")
    for part in ("sercue", "notebooks"):
        shutil.copytree(project_folder() / part, folder / part)
    shutil.copytree(small_study.as_left, folder / "reports" / "small")
    return folder


def run_all(project, number, cells, settings):
    """All cells of a notebook whose parameters were edited, and some more, in a kernel."""
    file = next((project / "notebooks").glob(f"{number}_*.ipynb"))
    notebook = nbformat.read(file, as_version=4)
    place = next(
        n for n, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", [])
    )
    edited = "\n".join(f"{key} = {value!r}" for key, value in settings.items())
    notebook.cells[place].source += f"\n{edited}"
    for before, source in cells:
        at = place + 1 if before else len(notebook.cells)
        notebook.cells.insert(at, nbformat.v4.new_code_cell(source))
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=900, resources={"metadata": {"path": str(project)}}
    )
    client.execute(env=os.environ | {"PYTHONPATH": str(project)})
    return notebook


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("number", ["04", "05"])
def test_a_notebook_run_by_hand_leaves_the_study_as_it_is(number, project, small_study):
    before = contents(project / "reports")
    run_all(project, number, [(False, NOT_ASKED)], small_study.settings)
    assert contents(project / "reports") == before
    assert list((project / "scratch" / "small" / "tables").glob("*.csv"))


def test_a_misspelt_parameter_in_a_cell_of_its_own_is_an_error(project, small_study):
    with pytest.raises(CellExecutionError) as error:
        run_all(project, "04", [(True, "conditons = ['none']")], small_study.settings)
    assert "unknown study key 'conditons': did you mean 'conditions'?" in str(error.value)
