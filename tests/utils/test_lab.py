"""Notebook 2 in JupyterLab in a real browser: the slider moves the plan, the box edits it."""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import nbformat
import pytest

from tests.helpers.browser import CHROMIUM, needs_browser
from utils.paths import ROOT

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = needs_browser
MINUTES = 60_000
PATTERN = "conv2d_[1-9].w_0|conv2d_1[0-2].w_0"


@pytest.fixture
def lab(tmp_path):
    """The address of JupyterLab on a copy of notebook 2, up to the cell with the slider."""
    notebook = nbformat.read(ROOT / "notebooks/02_write_config.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells]
    (last,) = [i for i, source in enumerate(sources) if source.startswith("explore(")]
    del notebook.cells[last + 1 :]
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    cell.source += f'\nprofile, output = "smoke", {str(tmp_path / "build")!r}'
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(notebook, folder / "plan.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    environment = {k: v for k, v in os.environ.items() if k != "TQDM_DISABLE"}
    folders = {
        f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    settings = [f"--{key}={value}" for key, value in {
        "ServerApp.port": address.rsplit(":")[-1],
        "ServerApp.root_dir": folder,
        "ServerApp.allow_root": True,
        "IdentityProvider.token": "",
        "LabApp.news_url": None,
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }.items()]  # fmt: skip
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", "--no-browser", *settings],
            env=environment | {"PYTHONPATH": str(ROOT)} | folders,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(f"{address}/api/status", server, tmp_path / "server.log")
        yield f"{address}/lab/tree/plan.ipynb"
    finally:
        server.terminate()
        server.wait()


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        assert server.poll() is None, log.read_text()
        try:
            urlopen(url).close()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_the_slider_moves_the_plan(lab, tmp_path):
    errors: list[str] = []
    expect = playwright.expect
    expect.set_options(timeout=3 * MINUTES)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1400})
        page.set_default_timeout(3 * MINUTES)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(lab)
        page.get_by_text("| Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        plan = page.locator(".widget-html-content")
        picture = page.locator(".widget-image")

        def shows(left: int) -> None:
            """What the table says is left of the 64 channels of conv2d_1."""
            expect(plan).to_contain_text(re.compile(rf"conv2d_1\.w_0\s+64\s+{left}\s"))

        shows(56)
        first = picture.get_attribute("src")
        page.locator(".noUi-handle").focus()
        for _ in range(30):
            page.keyboard.press("ArrowRight")
        expect(plan).to_contain_text("target_ratio 0.5, 12 filters")
        shows(41)
        assert picture.get_attribute("src") != first

        page.get_by_role("button", name="8", exact=True).click()
        shows(40)

        box = page.get_by_label("pattern")
        box.fill("conv2d_[7-9].w_0")
        expect(plan).to_contain_text("out of reach")
        box.fill("conv2d_.*")
        expect(plan).to_contain_text("refused: conv2d_22.w_0")
        box.fill("(")
        expect(plan).to_contain_text("not a regular expression")
        expect(picture).to_be_hidden()
        box.fill(PATTERN)
        shows(40)
        picture.scroll_into_view_if_needed()
        page.screenshot(path=tmp_path / "lab.png")
        browser.close()
    assert not errors
