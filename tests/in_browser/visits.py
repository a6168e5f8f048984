"""Pages opened in a real browser whose network is cut, and everything that goes wrong on them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Route

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 360, "height": 740}
#: Opens whatever is folded on a page, for what looks at all of it.
UNFOLD = "() => document.querySelectorAll('details').forEach(one => { one.open = true; })"


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
