"""The notebooks in JupyterLab itself, driven through its menus as a user does."""

import shutil

import nbformat
import pytest
from lab import running_lab
from playwright.sync_api import expect

from sercue.report.notebooks import notebook_files

NAMES = [path.name for path in notebook_files()]
#: Milliseconds: a loaded machine needs long to start a kernel, and none is measured here.
PATIENCE = 90_000


@pytest.fixture(scope="module")
def lab(browser_path, small_study, tmp_path_factory):
    """JupyterLab in a folder of the notebooks, their parameters cells edited to the small study.

    They go on from its files, without the answers, so that one of them has to ask the model.
    """
    folder, home = tmp_path_factory.mktemp("notebooks"), tmp_path_factory.mktemp("lab")
    without = shutil.ignore_patterns("prompting_*", "predictions", "control_*", "controls.parquet")
    shutil.copytree(small_study.folder, folder / "out", ignore=without)
    for path in notebook_files():
        notebook = nbformat.read(path, as_version=4)
        edit_parameters(notebook, small_study.settings | {"out": str(folder / "out")})
        nbformat.write(notebook, folder / path.name)
    with running_lab(folder, home) as running:
        yield running


@pytest.fixture
def page(lab, browser):
    """A window that looks at this server only; whatever else is asked for fails the test."""
    outside, troubles = [], []
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    context.on("weberror", lambda error: troubles.append(str(error.error)))

    def pass_on(route):
        if route.request.url.startswith(lab.origin):
            return route.continue_()
        outside.append(route.request.url)
        return route.abort()

    context.route("**/*", pass_on)
    yield context.new_page()
    context.close()
    assert outside == []
    assert troubles == []


def test_every_notebook_opens_and_shows_its_question(lab, page):
    """One after the other by a double click in the list of files; no dialogue comes between."""
    page.goto(lab.address(NAMES[0]))
    for name in NAMES:
        heading = first_heading(lab.folder / name)
        page.get_by_role("listitem").filter(has_text=name).dblclick()
        expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=PATIENCE)
        expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_notebook_runs_from_top_to_bottom(lab, page):
    """*Run All Cells*, then save: the list of its summary is seen, the file holds no error.

    Of the notebook that asks the model, with progress bars, and draws the most figures.
    """
    name = "04_perturbation_study.ipynb"
    page.goto(lab.address(name))
    expect(page.get_by_text("| Idle")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(page.locator("ul.summary li").nth(2)).to_be_visible(timeout=PATIENCE)
    # The summary may stand before other cells; those that wait are marked so.
    expect(page.get_by_text("[*]:")).to_have_count(0, timeout=PATIENCE)
    # What JupyterLab says where a progress bar is a widget that it cannot draw.
    expect(page.get_by_text("Error displaying widget")).to_have_count(0)
    sizes = page.evaluate("[...document.querySelectorAll('figure img')].map(i => i.naturalWidth)")
    assert all(sizes)
    page.keyboard.press("Control+s")
    expect(page.locator(".jp-mod-dirty")).to_have_count(0, timeout=PATIENCE)
    cells = [cell for cell in read(lab.folder / name).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    # JupyterLab holds in its page only what is near the cells in sight: figures count in the file.
    assert sum('<figure class="plot"' in str(output) for output in outputs) >= 3
    assert [output for output in outputs if output.output_type == "error"] == []


def edit_parameters(notebook, values):
    """Write values into the parameters cell, as far as it declares them."""
    (cell,) = (one for one in notebook.cells if "parameters" in one.metadata.get("tags", []))
    declared = {line.partition(" = ")[0] for line in cell.source.splitlines()}
    lines = [f"{key} = {value!r}" for key, value in values.items() if key in declared]
    cell.source = "\n".join([cell.source, *lines])


def first_heading(path):
    """The title that a notebook opens with."""
    return read(path).cells[0].source.splitlines()[0].removeprefix("# ")


def read(path):
    """A notebook as it lies on disk."""
    return nbformat.read(path, as_version=4)
