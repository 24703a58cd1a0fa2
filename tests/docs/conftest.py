"""A browser, and a page in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.helpers.browser import CHROMIUM, HTML, watch
from utils.paths import ROOT

# The sandbox refuses to work for root, as in a container; a test pattern stands for a camera.
ARGUMENTS = ("--no-sandbox", "--use-fake-device-for-media-stream")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def html() -> Path:
    """The folder of the built pages; without them a test skips."""
    if not HTML.exists():
        pytest.skip(f"there are no pages in {HTML}: make html")
    return HTML


@pytest.fixture
def page(browser, html) -> Iterator[Page]:
    """A page that remembers in `page.complaints` what went wrong."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield watch(context.new_page())
    context.close()


@pytest.fixture(scope="module")
def scripts(browser) -> Page:
    """An empty page with the scripts that compute in the pages, to compare with Python."""
    page = browser.new_page()
    for name in ("words", "detector", "picture", "plan", "pattern"):
        page.add_script_tag(path=ROOT / "docs" / "_static" / f"{name}.js")
    return page
