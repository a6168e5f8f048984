"""Tables and figures of a report in a browser: cut, scrolled, enlarged, saved, folded, printed."""

import shutil

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from visits import NOTHING, PHONE, STANDS_OUT, serious, visited

from sercue.report import pages as pages_module
from sercue.report.pages import Page, write_page
from sercue.settings import Settings
from sercue.tables.exhibits import figure_exhibit, table_exhibit

COLUMNS = 20


def exhibits(folder):
    """A figure, a table wider than any report, one of a few columns, and a folded one."""
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot([0, 1], label="a line")
    wide = pd.DataFrame({f"measure {n}": [n + 0.5] * 30 for n in range(COLUMNS)})
    wide.index = pd.Index([f"condition {n}" for n in range(30)], name="condition")
    grouped = pd.DataFrame(
        {f"measure {n}": [0.1, 0.2, 0.3] for n in range(COLUMNS)},
        index=pd.MultiIndex.from_tuples([("x", "a"), ("x", "b"), ("y", "c")], names=["one", "two"]),
    )
    tables = folder / "tables"
    return [
        figure_exhibit(figure, "A line.", folder / "figures" / "line.svg"),
        table_exhibit(wide, "Wide.", tables / "wide"),
        table_exhibit(wide[["measure 1"]], "Narrow.", tables / "narrow"),
        table_exhibit(wide[["measure 2"]], "Folded.", tables / "folded", folded=True),
        table_exhibit(grouped, "Grouped.", tables / "grouped"),
    ]


def written(folder):
    """The page of a notebook that shows these."""
    data = [nbformat.v4.new_output("display_data", {"text/html": exhibit._repr_html_()})
            for exhibit in exhibits(folder)]  # fmt: skip
    cells = [nbformat.v4.new_markdown_cell("# Title\n\n## Section\n\nWords."),
             nbformat.v4.new_code_cell("run.show()", outputs=data)]  # fmt: skip
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "01_made.ipynb")
    page = Page.of(folder / "01_made.ipynb", folder)
    write_page(page, [page], Settings(study="made"))
    return page.html


@pytest.fixture(scope="module")
def report(browser_path, tmp_path_factory):
    """The page alone in a folder, as it is sent to somebody; its files lie elsewhere."""
    folder = tmp_path_factory.mktemp("study")
    alone = tmp_path_factory.mktemp("alone") / "page.html"
    shutil.copy(written(folder), alone)
    return alone, folder


@pytest.fixture(params=[1280, 1024, 768, 380])
def page(request, report, browser):
    viewport = {"width": request.param, "height": 900}
    with visited(browser, report[0], viewport=viewport) as visit:
        yield visit.page
        assert visit.troubles == []
        assert visit.requests == [report[0].as_uri()]


def frame(page, caption):
    """The frame of the exhibit with this caption."""
    return page.locator("figure").filter(has_text=caption).locator(".frame")


def test_a_table_that_is_cut_says_so_until_its_end_is_seen(page):
    wide, box = frame(page, "Wide."), page.get_by_role("region", name="Table: Wide.")
    assert page.evaluate(STANDS_OUT) == NOTHING
    expect(wide).to_have_class("frame wide more-right")
    assert hint(page, "Wide.") != "none"
    assert hint(page, "Narrow.") == "none"
    box.focus()
    expect(box).to_be_focused()
    for _ in range(60):
        page.keyboard.press("ArrowRight")
    expect(wide).to_have_class("frame wide more-left")
    expect(page.get_by_role("columnheader", name=f"measure {COLUMNS - 1}").first).to_be_in_viewport(
        ratio=0.95
    )


def hint(page, caption):
    """What stands behind a caption about scrolling."""
    found = page.locator("figcaption").filter(has_text=caption)
    return found.evaluate("caption => getComputedStyle(caption, '::after').content")


@pytest.mark.parametrize(("caption", "name"), [("Wide.", "condition 7"), ("Grouped.", "x")])
def test_names_of_rows_stay_where_the_numbers_scroll(caption, name, page):
    """Only those in the first column: the others would lie on top of them."""
    table = page.locator("figure").filter(has_text=caption)
    header = table.locator("tbody th").get_by_text(name, exact=True)
    before = header.bounding_box()["x"]
    table.locator(".scroll").evaluate("box => { box.scrollLeft = 200; }")
    assert header.bounding_box()["x"] == before
    if caption == "Grouped.":
        second = table.locator("tbody th").get_by_text("b", exact=True)
        assert second.bounding_box()["x"] < before


def test_a_figure_fits_the_screen(page):
    image = page.locator("figure.plot img").bounding_box()
    assert image["x"] >= 0
    assert image["x"] + image["width"] <= page.viewport_size["width"]


def test_a_figure_opens_large_and_closes_again(page):
    """By mouse and by keyboard; the reader is back where he was."""
    dialog, button = page.get_by_role("dialog"), page.get_by_role("button", name="Enlarge")
    small = page.locator("figure.plot img").bounding_box()["width"]
    button.focus()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    assert dialog.locator("img").bounding_box()["width"] > small
    assert serious(Axe().run(page)) == []
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()
    page.locator("figure.plot img").click()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()


def test_what_is_saved_is_what_the_study_saved(report, browser):
    """From the page alone: no file of the study is beside it."""
    alone, folder = report
    with visited(browser, alone, accept_downloads=True) as visit:
        for file in ("tables/wide.csv", "tables/wide.tex", "figures/line.svg", "figures/line.pdf"):
            name = file.partition("/")[2]
            with visit.page.expect_download() as download:
                visit.page.locator(f'a[download="{name}"]').click()
            assert download.value.suggested_filename == name
            assert download.value.path().read_bytes() == (folder / file).read_bytes()
        assert visit.troubles == []


def test_of_a_large_file_a_page_says_where_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(pages_module, "_LARGEST", 100)
    text = written(tmp_path).read_text(encoding="utf-8")
    assert "<span>CSV: tables/wide.csv</span>" in text
    assert 'download="wide.csv"' not in text


def test_a_folded_table_opens_and_is_open_on_paper(page):
    cell = page.locator("figure").filter(has_text="Folded.").locator("td").first
    expect(cell).to_be_hidden()
    page.emulate_media(media="print")
    expect(cell).to_be_visible()
    expect(page.get_by_text("Show the table")).to_be_hidden()
    page.emulate_media(media="screen")
    page.get_by_text("Show the table (30 rows)").click()
    expect(cell).to_be_visible()


def test_paper_has_no_buttons_and_no_hints(page):
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Enlarge", include_hidden=True)).to_be_hidden()
    assert hint(page, "Wide.") == "none"


def test_the_foot_of_a_page_stands_below_its_text(page):
    """Their left edges are in line at every width."""
    left = """element => element.getBoundingClientRect().left +
        parseFloat(getComputedStyle(element).paddingLeft)"""
    assert page.locator("main").evaluate(left) == page.locator("footer").evaluate(left)


def test_axe_finds_nothing_serious_in_exhibits(report, browser):
    with visited(browser, report[0], viewport=PHONE, color_scheme="dark") as visit:
        assert serious(Axe().run(visit.page)) == []
