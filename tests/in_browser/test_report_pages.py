"""The reports of a study as a collaborator sees them: in a browser, offline, on any screen."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from visits import (
    DESKTOP,
    IMAGES,
    LINKS,
    NOTHING,
    PHONE,
    STANDS_OUT,
    UNFOLD,
    brightness,
    leads_somewhere,
    serious,
    visited,
)  # fmt: skip

from sercue.report.notebooks import notebook_files

REPORTS = [path.stem for path in notebook_files()]
every_page = pytest.mark.parametrize("name", [*REPORTS, "index"])
# All have one template: what it brings along is tried on the longest of them.
one_report = pytest.mark.parametrize("name", ["01_feature_exploration"])


@every_page
def test_a_page_complains_of_nothing_and_asks_for_nothing(name, small_study, browser):
    """One file, sent by mail and opened offline: its own address is the only one it asks for."""
    file = small_study.folder / f"{name}.html"
    with visited(browser, file) as visit:
        visit.page.mouse.wheel(0, 100_000)
        visit.page.wait_for_timeout(100)
        assert visit.troubles == []
        assert visit.requests == [file.as_uri()]


def test_every_report_leads_to_the_utterances(small_study, browser):
    """The page is written last; those written before it are told."""
    for name in REPORTS:
        with visited(browser, small_study.folder / f"{name}.html") as visit:
            visit.page.get_by_role("link", name="Utterances").first.click()
            expect(visit.page.get_by_role("heading", level=1)).to_have_text("small: utterances")
            expect(visit.page.locator("audio")).to_have_count(1)
            assert visit.troubles == []


@every_page
def test_every_image_is_drawn_and_said_in_words(name, small_study, browser):
    with visited(browser, small_study.folder / f"{name}.html") as visit:
        images = visit.page.evaluate(IMAGES)
    assert [image for image in images if not (image["width"] and image["height"])] == []
    assert [image for image in images if not image["alt"].strip()] == []
    assert images or name == "03_prompting"


@every_page
def test_every_link_leads_somewhere(name, small_study, browser):
    """To a file that was written beside the page, and there to a place that exists."""
    file = small_study.folder / f"{name}.html"
    with visited(browser, file) as visit:
        links = visit.page.eval_on_selector_all("a[href], area[href]", LINKS)
        for written, address in links:
            assert leads_somewhere(visit.page, file, address), written
    assert links


@pytest.mark.parametrize(
    ("name", "scheme", "viewport"),
    [*((name, "light", DESKTOP) for name in [*REPORTS, "index"]),
     *((name, "dark", PHONE) for name in ("04_perturbation_study", "index"))],
)  # fmt: skip
def test_axe_finds_nothing_serious(name, scheme, viewport, small_study, browser):
    """axe-core, the accessibility scanner of the field, with all its rules and all code shown."""
    look = {"color_scheme": scheme, "viewport": viewport}
    with visited(browser, small_study.folder / f"{name}.html", **look) as visit:
        visit.page.evaluate(UNFOLD)
        assert serious(Axe().run(visit.page)) == []


@every_page
def test_dark_is_dark_and_light_is_light(name, small_study, browser):
    """By the painted picture, whatever paints it."""
    paper = {}
    for scheme in ("light", "dark"):
        with visited(browser, small_study.folder / f"{name}.html", color_scheme=scheme) as visit:
            paper[scheme] = brightness(visit.page)
    assert paper["light"] > 0.7
    assert paper["dark"] < 0.4


@every_page
def test_a_phone_never_scrolls_sideways(name, small_study, browser):
    """Neither as opened nor with all code shown; only a wide table scrolls, in its own box."""
    with visited(browser, small_study.folder / f"{name}.html", viewport=PHONE) as visit:
        assert visit.page.evaluate(STANDS_OUT) == NOTHING
        visit.page.evaluate(UNFOLD)
        assert visit.page.evaluate(STANDS_OUT) == NOTHING


@every_page
def test_paper_holds_the_whole_width_and_no_menu(name, small_study, browser):
    """A4 with 1 cm margins is 718 pixels wide; links to other pages lead nowhere on paper."""
    paper = {"width": 718, "height": 1047}
    with visited(browser, small_study.folder / f"{name}.html", viewport=paper) as visit:
        visit.page.emulate_media(media="print")
        assert visit.page.evaluate(STANDS_OUT)["scroll"] == 0
        for menu in visit.page.get_by_role("navigation", include_hidden=True).all():
            expect(menu).to_be_hidden()
        assert visit.page.pdf(format="A4").startswith(b"%PDF")


@one_report
def test_code_is_folded_away_until_the_switch_is_pressed(name, small_study, browser):
    """The parameters of the run stay visible throughout: they are part of the result."""
    with visited(browser, small_study.folder / f"{name}.html") as visit:
        code = visit.page.get_by_text("sercue.open_run(").first
        parameters = visit.page.get_by_text(f'study = "{small_study.settings["study"]}"').first
        switch = code_switch(visit.page)
        for shown in (False, True, False):
            (expect(code).to_be_visible if shown else expect(code).to_be_hidden)()
            expect(parameters).to_be_visible()
            switch.click()


@one_report
def test_the_code_switch_works_without_a_mouse(name, small_study, browser):
    with visited(browser, small_study.folder / f"{name}.html") as visit:
        code_switch(visit.page).focus()
        visit.page.keyboard.press("Space")
        expect(visit.page.get_by_text("sercue.open_run(").first).to_be_visible()


def test_one_can_walk_through_all_reports_and_back_to_the_index(small_study, browser):
    """By the links a reader would press: next, next ..., previous ..., index."""
    with visited(browser, small_study.folder / f"{REPORTS[0]}.html") as visit:
        page = visit.page
        for step, order in (("next", REPORTS[1:]), ("prev", REPORTS[-2::-1])):
            for expected in order:
                page.get_by_role("link", name=re.compile(step, re.IGNORECASE)).first.click()
                assert page_name(page.url) == expected
        page.get_by_role("link", name=re.compile("index", re.IGNORECASE)).first.click()
        assert page_name(page.url) == "index"
        assert visit.troubles == []


@one_report
def test_the_contents_follow_the_reader(name, small_study, browser):
    """The entry that is marked as current is that of the section at the top of the window."""
    with visited(browser, small_study.folder / f"{name}.html") as visit:
        page = visit.page
        entries = page.locator("nav a[href^='#']:visible")
        marked = page.locator("nav a[href^='#'][aria-current]:visible")
        wanted = [link.get_attribute("href") for link in entries.all()]
        sections = [address[1:] for address in wanted if address != "#"]
        assert len(sections) >= page.locator("h2").count() > 1
        for section in (sections[1], sections[2], sections[1]):
            page.evaluate("id => document.getElementById(id).scrollIntoView()", section)
            expect(marked).to_have_attribute("href", f"#{section}")


def code_switch(page):
    """The one control that says it is about code, whatever kind of control it is."""
    name = re.compile("code", re.IGNORECASE)
    kinds = [page.get_by_role(kind, name=name) for kind in ("checkbox", "switch", "button")]
    return kinds[0].or_(kinds[1]).or_(kinds[2])


def page_name(address):
    """The page that an address is of."""
    return unquote(urlsplit(address).path).rpartition("/")[2].removesuffix(".html")
