"""One page from a notebook made here: contents, neighbours, what is folded, what is kept."""

import html
import os
import re
import shutil

import nbformat
import pytest

from sercue.artifacts import made_from
from sercue.provenance import record
from sercue.report import pages as pages_module
from sercue.report.pages import Page, renew_page, write_page
from sercue.settings import Settings

NAMES = ["01_first.ipynb", "02_second.ipynb", "03_third.ipynb"]


def code(source, tag=None, outputs=()):
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    cell.metadata["tags"] = [tag] if tag else []
    return cell


def prose(text):
    return nbformat.v4.new_markdown_cell(text)


@pytest.fixture
def write(tmp_path):
    """Writes the page of the second of three notebooks, of which some have been executed."""

    def written(cells, executed=NAMES, **settings):
        study = Settings(study="s", **settings)
        for name in executed:
            notebook = nbformat.v4.new_notebook(cells=cells)
            nbformat.write(notebook, tmp_path / name)
        pages = [Page.of(tmp_path / name, tmp_path) for name in NAMES]
        write_page(pages[1], pages, study)
        return pages[1].html.read_text(encoding="utf-8")

    return written


def entries(text):
    """Address and words of the entries of the contents."""
    listed = text.split('class="rail"')[1].split("</ol>")[0]
    found = re.findall(r'<a href="#([^"]*)">(.*?)</a>', listed)
    return [(html.unescape(address), html.unescape(words)) for address, words in found]


def test_the_contents_list_each_section_and_lead_to_it(write):
    """Anchors are nbconvert's own; ours must be the same whatever stands in a heading."""
    text = write([prose("# T\n\n## A & `b`: *c*?\n\nx\n\n## Two"), prose("## Dose, labels")])
    assert [words for _, words in entries(text)] == ["A & b: c?", "Two", "Dose, labels"]
    ids = [html.unescape(found) for found in re.findall(r'<h2 id="([^"]*)"', text)]
    assert [address for address, _ in entries(text)] == ids


def test_a_heading_within_code_is_no_section(write):
    text = write([prose("## One"), prose("```\n## Two\n```")])
    assert [words for _, words in entries(text)] == ["One"]


def test_neighbours_are_the_nearest_reports_that_were_written(write):
    text = write([prose("# T")], executed=NAMES[1:])
    assert 'rel="prev"' not in text
    assert text.count('href="03_third.html" rel="next"') == 2, "above and below"
    assert 'href="01_first.html"' not in text
    assert "01 first" in text, "a report that is not there is named, without a link"


def test_links_are_renewed_without_rendering_a_page_again(write, tmp_path, monkeypatch):
    """The first page is looked at while the last notebook runs, and must lead to what is there."""
    first = write([prose("# T\n\n## One")], executed=NAMES[1:2])
    assert 'rel="next"' not in first
    pages = [Page.of(tmp_path / name, tmp_path) for name in NAMES]
    shutil.copy(pages[1].notebook, pages[2].notebook)
    monkeypatch.setattr(pages_module, "HTMLExporter", None)
    renew_page(pages[1], pages, Settings(study="s"))
    renewed = pages[1].html.read_text(encoding="utf-8")
    monkeypatch.undo()
    write_page(pages[1], pages, Settings(study="s"))
    assert renewed == pages[1].html.read_text(encoding="utf-8")
    assert renewed.count('href="03_third.html" rel="next"') == 2


def test_a_page_is_called_out_of_date_once_it_is(write, tmp_path):
    write([prose("# T")])
    pages = [Page.of(tmp_path / name, tmp_path) for name in NAMES]
    made = {pages[1].html.stem: {"made_from": made_from("02_second", Settings(study="s"), {})}}
    record(tmp_path / "artifacts" / "provenance.json", notebooks=made)
    shown = []
    for seed in (0, 1, 0):
        renew_page(pages[1], pages, Settings(study="s", seed=seed))
        shown.append("This page is out of date" in pages[1].html.read_text(encoding="utf-8"))
    assert shown == [False, True, False]


@pytest.mark.parametrize("left", ["older", "cut", "empty", "missing"])
def test_a_page_that_was_not_written_to_its_end_is_rendered(left, write, tmp_path):
    """The run was killed before it wrote the page, or the power was lost."""
    whole = write([prose("# T")])
    pages = [Page.of(tmp_path / name, tmp_path) for name in NAMES]
    if left == "missing":
        pages[1].html.unlink()
    elif left == "older":
        pages[1].html.write_text(whole.replace("<h1", "<h1 class='old'"), encoding="utf-8")
        os.utime(pages[1].html, (0, 0))
    else:
        pages[1].html.write_text(whole[: len(whole) // 2 if left == "cut" else 0])
    renew_page(pages[1], pages, Settings(study="s"))
    assert pages[1].html.read_text(encoding="utf-8") == whole


def test_parameters_are_open_and_other_code_is_folded(write):
    """Whoever reads the numbers must see of which study they are."""
    text = write(
        [code("limit = 1", "parameters"), code("limit = 2", "injected-parameters"), code("x = 3")]
    )
    folds = re.findall(r'<details class="code"([^>]*)>\s*<summary>(.*?)</summary>', text)
    assert [(words, "open" in marks, "data-keep" in marks) for marks, words in folds] == [
        ("Default parameters", False, True),
        ("Parameters of this run", True, True),
        ("Code", False, False),
    ]


def test_a_cell_that_failed_is_open_and_found_from_the_top(write):
    raised = nbformat.v4.new_output(
        "error", ename="InputError", evalue="a < b", traceback=["InputError: a < b"]
    )
    text = write([code("1 / 0", outputs=[raised])])
    assert "InputError: a &lt; b" in text
    assert 'href="#error"' in text
    assert re.search(r'<section class="cell failed" id="error">\s*<details[^>]*open', text)


def test_a_page_names_no_folder_of_this_machine(write, tmp_path):
    """Not in the parameters, not in a message, not in a traceback: reports are sent to others."""
    line = f"{tmp_path}/corpus/a.wav: not found"
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=line),
        nbformat.v4.new_output("error", ename="E", evalue=line, traceback=[line]),
    ]
    cell = code(f'corpus_root = "{tmp_path}/corpus"', "injected-parameters", outputs)
    text = write([cell], corpus="emodb", corpus_root=str(tmp_path / "corpus"))
    assert str(tmp_path) not in text
    assert "corpus/a.wav: not found" in text


def test_a_browser_is_told_to_fetch_nothing(write):
    """Even if an output of a notebook held an address, it would not be asked for."""
    text = write([prose("# T")])
    policy = re.search(r'http-equiv="Content-Security-Policy"', text)
    assert policy
    assert "default-src 'none'" in text
    assert "http:" not in text
    assert "https:" not in text
