"""The browser of the browser tests; without one they skip and say so."""

import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason=f"none of {', '.join(NAMES)} is here: apt-get install chromium"
)
