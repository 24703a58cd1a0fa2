"""The browser of the browser tests, and the pages that it opens; without them they skip."""

import os
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page

from utils.paths import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is here: apt-get install chromium"
)

HTML = ROOT / os.environ.get("OUTPUT", "build") / "html"
"""What `make html` built."""


def open_page(page: Page, name: str, folder: Path = HTML) -> None:
    page.goto((folder / name).as_uri())


def watch(page: Page) -> Page:
    """The page, which from now on remembers in `page.complaints` what went wrong."""
    page.complaints = []
    page.on("console", lambda m: m.type == "error" and page.complaints.append(m.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("requestfailed", lambda request: page.complaints.append(f"failed: {request.url}"))
    page.on("request", lambda request: _note_outgoing(page, request.url))
    return page


def _note_outgoing(page: Page, url: str) -> None:
    if not url.startswith(("file:", "data:", "blob:", "about:", "http://127.0.0.1:")):
        page.complaints.append(f"outgoing: {url}")
