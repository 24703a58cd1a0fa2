"""The HTML tutorial in a real browser, from a disk and without a net: `make test-html`.

Not part of `make test`, since it wants pages that `make html` has built.
"""

import contextlib
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from tests.helpers.browser import HTML, needs_browser, open_page
from utils.paths import ROOT
from utils.run_notebooks import NOTEBOOKS

pytestmark = [pytest.mark.html, needs_browser]

CHAPTERS = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
PAGES = sorted(str(path.relative_to(HTML)) for path in HTML.rglob("*.html"))
WIDTHS = {"phone": (390, 844), "desk": (1440, 900)}
DARK = "document.body.dataset.theme"


def test_every_page_loads_in_peace(page):
    assert {"index.html", "search.html", "glossary.html", *CHAPTERS} <= set(PAGES)
    for name in PAGES:
        open_page(page, name)
        assert page.complaints == [], name


@pytest.mark.parametrize("size", WIDTHS.values(), ids=WIDTHS)
def test_no_page_is_wider_than_the_window(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    wide = {}
    for name in PAGES:
        open_page(page, name)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > size[0]:
            wide[name] = width
    assert wide == {}


def test_pictures_speak(page):
    for name in PAGES:
        open_page(page, name)
        for image in page.locator("img").all():
            text = image.get_attribute("alt")
            assert text and not re.search(r"\.(png|svg|jpe?g)$", text), (name, text)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_its_parts(page, chapter):
    open_page(page, chapter)
    plot = page.locator(".cell_output img").first
    plot.scroll_into_view_if_needed()
    expect(plot).to_be_visible()
    assert plot.evaluate("image => image.complete && image.naturalWidth > 300")
    page.locator("details summary").first.click()
    expect(page.locator("details pre").first).to_be_visible()
    expect(page.locator(".cell_input button.copybtn").first).to_be_attached()
    expect(page.locator("a.term").first).to_be_attached()
    expect(page.locator(".related-pages a").first).to_be_visible()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_can_be_downloaded(page, chapter):
    open_page(page, chapter)
    link = page.get_by_role("link", name="Download this notebook")
    target = HTML / "notebooks" / link.get_attribute("href")
    assert target.name == Path(chapter).with_suffix(".ipynb").name
    assert target.resolve().is_file()


def test_copy_button_copies_the_code_alone(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    open_page(page, CHAPTERS[0])
    cell = page.locator(".cell_input").first
    cell.hover()
    cell.locator("button.copybtn").click()
    assert 'profile = "' in page.evaluate("navigator.clipboard.readText()")


def test_search_finds(page):
    open_page(page, "index.html")
    page.locator("input.sidebar-search").fill("detection_map")
    page.keyboard.press("Enter")
    for target in ("api/ssd_model.detection_map", "notebooks/03_compress"):
        result = page.locator(f"#search-results a[href*='{target}']").first
        expect(result).to_be_visible(timeout=15_000)
    assert page.complaints == []


def test_dark_mode_stays(page):
    open_page(page, "index.html")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    toggle = page.locator(".theme-toggle:visible").first
    for _ in range(3):  # automatic, light, dark, in an order that depends on the system's
        if page.evaluate(DARK) == "dark":
            break
        toggle.click()
    assert page.evaluate(DARK) == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    open_page(page, CHAPTERS[2])
    assert page.evaluate(DARK) == "dark"
    # What is drawn for white paper lies on white.
    plot = page.locator(".cell_output img").first
    assert plot.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"


def test_make_serve_shows_it(page):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        ["make", "-o", ".venv/.ready", "serve", f"PORT={port}", f"OUTPUT={HTML.parent}"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}/search.html?q=detection_map"
    try:
        for _ in range(100):
            with contextlib.suppress(Error):  # refused, until the server is up
                page.goto(url)
                break
            time.sleep(0.1)
        expect(page.locator("#search-results li p.context").first).to_be_visible(timeout=15_000)
    finally:
        os.killpg(server.pid, 15)
        server.wait()
