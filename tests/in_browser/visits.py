"""Pages opened in a real browser whose network is cut, and what is looked for on them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import matplotlib.image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Route

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
#: Opens whatever is folded on a page, for what looks at all of it.
UNFOLD = "() => document.querySelectorAll('details').forEach(one => { one.open = true; })"
# What an <img> shows, once it is decoded; one that is broken has no size.
IMAGES = """async () => Promise.all([...document.images].map(async image => {
    image.loading = "eager";
    await image.decode().catch(() => null);
    return {alt: image.alt, width: image.naturalWidth, height: image.naturalHeight,
            shown: image.src.slice(0, 40)};
}))"""
LINKS = "links => links.map(link => [link.getAttribute('href'), link.href])"
# Whatever stands out of the window; boxes that scroll by themselves keep what is in them.
STANDS_OUT = """() => {
    const root = document.documentElement, wide = root.clientWidth + 1;
    const kept = element => {
        for (let box = element.parentElement; box && box !== document.body; box = box.parentElement)
            if (getComputedStyle(box).overflowX !== "visible") return true;
        return false;
    };
    const out = [...document.body.querySelectorAll("*")].filter(element => !kept(element) &&
        element.checkVisibility() && element.getBoundingClientRect().right > wide);
    return {scroll: root.scrollWidth - root.clientWidth,
            out: out.slice(0, 5).map(element => element.outerHTML.slice(0, 80))};
}"""
NOTHING = {"scroll": 0, "out": []}


@dataclass
class Visit:
    """An open page, what it complained of, and the addresses that it asked for."""

    page: Page
    troubles: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def visited(browser: Browser, file: Path, **options: Any) -> Iterator[Visit]:
    """Open a file as a collaborator would who is on a train: nothing but files can be had.

    Args:
        browser: the browser
        file: the page
        options: of the browser's context, such as ``viewport`` or ``color_scheme``
    """
    context = browser.new_context(**{"viewport": DESKTOP, "offline": True} | options)
    try:
        visit = _watched(context)
        visit.page.goto(file.as_uri(), wait_until="load")
        yield visit
    finally:
        context.close()


def _watched(context: BrowserContext) -> Visit:
    visit = Visit(context.new_page())
    context.on("request", lambda request: visit.requests.append(request.url))
    context.on(
        "requestfailed",
        lambda request: visit.troubles.append(f"failed request: {request.url} {request.failure}"),
    )
    context.on("weberror", lambda error: visit.troubles.append(f"page error: {error.error}"))
    context.on("dialog", lambda dialog: _refuse(visit, dialog))
    visit.page.on("console", lambda message: _note(visit, message))
    context.route("**/*", _files_only)
    return visit


def _note(visit: Visit, message: ConsoleMessage) -> None:
    if message.type == "error":
        visit.troubles.append(f"console: {message.text}")


def _refuse(visit: Visit, dialog: Dialog) -> None:
    visit.troubles.append(f"dialog: {dialog.message}")
    dialog.dismiss()


def _files_only(route: Route) -> None:
    if route.request.url.startswith("file:"):
        route.continue_()
    else:
        route.abort()


def brightness(page: Page) -> float:
    """How bright a page is, from 0 to 1, by the painted picture, whatever paints it."""
    picture = matplotlib.image.imread(io.BytesIO(page.screenshot()))
    return float(picture[..., :3].mean())


def serious(found: Any) -> list[Any]:
    """What axe takes for serious or critical, with the places where it is."""
    return [
        (finding["id"], finding["help"], [node["target"] for node in finding["nodes"]][:5])
        for finding in found.response["violations"]
        if finding["impact"] in ("serious", "critical")
    ]


def leads_somewhere(page: Page, file: Path, address: str, within: Path | None = None) -> bool:
    """Whether an address is a place in a file that was written, or elsewhere on the web.

    Or it is itself a file that the page holds to be saved.

    Args:
        page: the page that it stands on
        file: the file of that page
        address: the address, whole
        within: the folder in which files are looked for; that of the page by default
    """
    parts = urlsplit(address)
    if parts.scheme in ("https", "mailto", "data"):
        return True
    target, place = Path(unquote(parts.path)), unquote(parts.fragment)
    if not target.is_file() or not target.is_relative_to(within or file.parent):
        return False
    if target == file:
        return not place or page.evaluate("id => !!document.getElementById(id)", place)
    return not place or f'id="{place}"' in target.read_text(encoding="utf-8")
