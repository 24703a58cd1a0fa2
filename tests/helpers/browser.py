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
