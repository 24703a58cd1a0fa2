"""The HTML tutorial in a real browser, from a disk and without a net: `make test-html`.

Not part of `make test`, since it wants pages that `make html` has built.
"""

import contextlib
import json
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from notebooks.run import NOTEBOOKS
from pruning.dependencies import analyse
from pruning.search import nearest_uniform_plan
from ssd_model.programs import build_detector
from tests.helpers.browser import HTML, needs_browser, open_page
from utils.paths import ROOT

pytestmark = [pytest.mark.html, needs_browser]

CHAPTERS = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
PAGES = sorted(str(path.relative_to(HTML)) for path in HTML.rglob("*.html"))
WIDTHS = {"phone": (390, 844), "desk": (1440, 900)}
DARK = "document.body.dataset.theme"


def test_every_page_loads_in_peace_and_fits_the_window(page):
    assert {"index.html", "search.html", "glossary.html", *CHAPTERS} <= set(PAGES)
    wide = {}
    for name in PAGES:
        open_page(page, name)
        for width, height in WIDTHS.values():
            page.set_viewport_size({"width": width, "height": height})
            needed = page.evaluate("document.documentElement.scrollWidth")
            if needed > width:
                wide[name] = needed
        assert page.complaints == [], name
    assert wide == {}


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


def test_search_from_a_disk_shows_where_the_words_stand(page):
    page.goto((HTML / "search.html").as_uri() + "?q=calibration")
    result = page.locator("#search-results li", has=page.locator("a[href*='04_save_and_verify']"))
    expect(result.first.locator("p.context")).to_contain_text("calibration", timeout=15_000)
    assert page.complaints == []


def test_the_home_page_says_the_most_within_a_screen(page):
    open_page(page, "index.html")
    for size in WIDTHS.values():
        page.set_viewport_size({"width": size[0], "height": size[1]})
        within = {
            "what it is": page.locator("article h1 ~ p").first,
            "what it saves": page.locator("article p strong", has_text="latency").first,
            "try it": page.locator(".actions a", has_text="Try it"),
            "run it": page.locator(".actions a", has_text="Run it"),
            "the picture": page.locator("article img").first,
        }
        for what, place in within.items():
            box = place.bounding_box()
            assert box["y"] >= 0 and box["y"] + box["height"] <= size[1], (what, size)
    page.locator(".actions a", has_text="Try it").click()
    expect(page.locator("h1")).to_contain_text("Try it")
    open_page(page, CHAPTERS[-1])
    page.locator("article").get_by_role("link", name="Try it").click()
    expect(page.locator("#tryit")).to_be_visible()


def test_the_plan_of_chapter_2_follows_its_controls(page):
    open_page(page, CHAPTERS[1])
    explorer = page.locator(".explorer")
    pattern, slider = explorer.locator("input[type=text]"), explorer.locator("input[type=range]")
    classes = json.loads((HTML.parent / "report.json").read_text())["classes"]
    dependencies = analyse(build_detector(len(classes) + 1, is_train=False).program)
    pattern.fill(r"conv2d_[1-9]\.w_0$")
    slider.fill("0.35")
    explorer.locator("select").select_option("8")
    plan = nearest_uniform_plan(dependencies, r"conv2d_[1-9]\.w_0$", 0.35).rounded(8)
    expect(explorer.locator("p")).to_have_text(f"target_ratio 0.35, 9 filters: {plan.summary()}")
    rows = [row.inner_text().split("\t") for row in explorer.locator("tbody tr").all()]
    assert [int(row[2]) for row in rows] == [plan.shapes[name][0] for name in plan.ratios]
    assert explorer.locator(".plan-plot .bar").count() == 9
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(explorer.locator("p")).to_contain_text("target_ratio 0.36")
    pattern.fill("conv1_weights")
    expect(explorer.locator("p")).to_contain_text("matches none of the")
    expect(explorer.locator("table")).to_have_count(0)
    pattern.fill("(?i)conv")
    expect(explorer.locator("p")).to_contain_text("this page cannot tell what Python makes of")
    assert page.complaints == []


def test_what_scrolls_is_reached_with_the_keyboard(page):
    page.set_viewport_size({"width": 390, "height": 844})
    open_page(page, CHAPTERS[1])
    wide = page.locator(".explorer .text_html")
    expect(wide).to_have_attribute("tabindex", "0")
    wide.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.explorer .text_html').scrollLeft > 0")


def test_reduced_motion_is_respected(page):
    page.emulate_media(reduced_motion="reduce")
    moving = """() => [...document.querySelectorAll("*")].filter((element) => {
      const style = getComputedStyle(element);
      return style.transitionProperty !== "none" && style.transitionDuration !== "0s"
        || style.animationName !== "none" || style.scrollBehavior !== "auto";
    }).length"""
    for name in ("index.html", "tryit.html", CHAPTERS[1]):
        open_page(page, name)
        assert page.evaluate(moving) == 0, name


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
