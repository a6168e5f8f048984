"""Studies side by side in a browser: one page that is sent, read anywhere, and runs nothing."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from visits import (
    DESKTOP,
    IMAGES,
    LINKS,
    NOTHING,
    PHONE,
    STANDS_OUT,
    brightness,
    leads_somewhere,
    serious,
    visited,
)  # fmt: skip

from sercue.report.comparison import write_comparison

MODEL = "hf:<script>window.ran = 'model'</script>"
CORPUS = "<img src=x onerror=\"window.ran = 'corpus'\">"
COMMAND = "sercue compare '</pre><script>window.ran = 1</script>' b"
#: A4 lengthwise within its margins, in pixels of CSS.
PAPER = {"width": 1032, "height": 703}


@pytest.fixture(scope="module")
def comparison(browser_path, small_study, tmp_path_factory):
    """Three studies, one of a model and a corpus with hostile names."""
    folder = tmp_path_factory.mktemp("studies")
    folders = [small_study.evaluated_again(folder / name, level)
               for name, level in (("first", 0.8), ("second", 0.9), ("hostile", 0.95))]  # fmt: skip
    file = folders[-1] / "artifacts" / "provenance.json"
    held = json.loads(file.read_text())
    held["parameters"] |= {"model": MODEL, "corpus": CORPUS}
    held["model"]["name"], held["corpus"]["name"] = MODEL, CORPUS
    file.write_text(json.dumps(held))
    return write_comparison(folders, folder / "out", command=COMMAND)


def test_the_page_complains_of_nothing_and_asks_for_nothing(comparison, browser):
    """The hostile names among it: a request for the picture x would be one to the outside."""
    with visited(browser, comparison) as visit:
        visit.page.mouse.wheel(0, 100_000)
        visit.page.wait_for_timeout(100)
        assert visit.troubles == []
        assert visit.requests == [comparison.as_uri()]


def test_names_of_models_and_corpora_are_shown_as_text_and_run_nothing(comparison, browser):
    with visited(browser, comparison) as visit:
        assert visit.page.evaluate("window.ran") is None
        text = visit.page.locator("body").inner_text()
    assert [one for one in (MODEL, CORPUS, COMMAND) if one not in text] == []


def test_the_figure_is_drawn_and_said_in_words(comparison, browser):
    """Each condition with its number, for those who do not see it."""
    with visited(browser, comparison) as visit:
        (image,) = visit.page.evaluate(IMAGES)
    assert image["width"] > 300
    assert image["height"] > 100
    assert "shuffled" in image["alt"]


def test_every_link_leads_to_a_study_beside_it(comparison, browser):
    with visited(browser, comparison) as visit:
        links = visit.page.eval_on_selector_all("a:not([download])", LINKS)
        studies = comparison.parent.parent
        assert [written for written, _ in links] == [
            f"../{name}/index.html" for name in ("first", "second", "hostile")
        ]
        for written, address in links:
            assert leads_somewhere(visit.page, comparison, address, studies), written


@pytest.mark.parametrize(
    ("scheme", "viewport"), [("light", DESKTOP), ("dark", PHONE)], ids=["light wide", "dark narrow"]
)
def test_axe_finds_nothing_serious_in_a_comparison(scheme, viewport, comparison, browser):
    with visited(browser, comparison, color_scheme=scheme, viewport=viewport) as visit:
        assert serious(Axe().run(visit.page)) == []


def test_a_comparison_is_dark_or_light_as_its_reader_is(comparison, browser):
    paper = {}
    for scheme in ("light", "dark"):
        with visited(browser, comparison, color_scheme=scheme) as visit:
            paper[scheme] = brightness(visit.page)
    assert paper["light"] > 0.7
    assert paper["dark"] < 0.4


def test_a_comparison_never_scrolls_sideways_on_a_phone(comparison, browser):
    """Names of models may be long: the tables scroll in their boxes, the page does not."""
    with visited(browser, comparison, viewport=PHONE) as visit:
        assert visit.page.evaluate(STANDS_OUT) == NOTHING


def test_paper_holds_every_number_of_a_comparison(comparison, browser):
    """Nothing can be scrolled on paper: what stands out there is lost."""
    with visited(browser, comparison, viewport=PAPER) as visit:
        visit.page.emulate_media(media="print")
        assert visit.page.evaluate(STANDS_OUT) == NOTHING
        assert visit.page.pdf(prefer_css_page_size=True).startswith(b"%PDF")


def test_a_study_that_lies_elsewhere_is_named_without_a_link(comparison, browser, tmp_path):
    """A way to it would name folders of this machine."""
    studies = comparison.parent.parent
    page = write_comparison([studies / "first", studies / "second"], tmp_path / "out")
    with visited(browser, page) as visit:
        assert visit.page.locator("a:not([download])").count() == 0
        assert visit.page.get_by_role("listitem").all_inner_texts() == ["first", "second"]
