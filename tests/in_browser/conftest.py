"""A browser for the tests of this folder: the machine's own Chromium, driven by playwright."""

import os
import shutil

import pytest
from playwright.sync_api import sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
#: Set where a browser has to be there, so that no test passes by being skipped.
REQUIRED = "SERCUE_BROWSER_REQUIRED"


@pytest.fixture(scope="session")
def browser_path():
    """Where the machine's Chromium is; without one, tests are skipped unless one is required."""
    found = next(filter(None, map(shutil.which, COMMANDS)), None)
    if found is None:
        told = f"no browser: none of {', '.join(COMMANDS)} is on the PATH"
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(told)
    return found


@pytest.fixture(scope="module")
def browser(browser_path):
    """A running browser.

    One a module, no more: while it lives, an event loop runs in this thread, and notebooks that
    other modules execute need one of their own.
    """
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser_path, headless=True)
        yield running
        running.close()
