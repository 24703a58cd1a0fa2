"""The Chinese pages in a real browser, from a disk: the switch, the search, and what they say."""

import re

import pytest
from playwright.sync_api import expect

from docs.catalogues import LOCALE, translations
from notebooks.run import NOTEBOOKS
from tests.helpers.browser import HTML, needs_browser, open_page

pytestmark = [pytest.mark.html, needs_browser]

PAGES = sorted(str(path.relative_to(HTML / LOCALE)) for path in (HTML / LOCALE).rglob("*.html"))
CHAPTERS = [f"notebooks/{path.stem}.html" for path in NOTEBOOKS]
PROSE = """() => {
  const article = document.querySelector("article").cloneNode(true);
  article.querySelectorAll("pre, code, .cell_output").forEach((element) => element.remove());
  return article.textContent;
}"""


def test_the_switch_stays_on_the_page(page):
    assert {"index.html", "search.html", "genindex.html", *CHAPTERS} <= set(PAGES)
    for name in PAGES:
        open_page(page, name)
        expect(page.locator("html")).to_have_attribute("lang", "en")
        switch = page.locator(".language a")
        expect(switch).to_have_attribute("hreflang", "zh-CN")
        switch.focus()
        page.keyboard.press("Enter")
        page.wait_for_url((HTML / LOCALE / name).as_uri())
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        page.locator(".language a").click()
        page.wait_for_url((HTML / name).as_uri())


def test_the_switch_stays_at_the_heading(page):
    page.goto((HTML / "data.html").as_uri() + "#the-baseline")
    heading = page.locator("#the-baseline > h2")
    expect(heading).to_be_in_viewport()
    page.locator(".language a").click()
    page.wait_for_url((HTML / LOCALE / "data.html").as_uri() + "#the-baseline")
    expect(heading).to_be_in_viewport()
    expect(heading).to_contain_text(re.compile("[\u4e00-\u9fff]"))


def test_the_api_leads_to_its_chinese_page_and_back(page):
    open_page(page, "api/pruning.plan.html")
    page.locator(".language a").click()
    page.wait_for_url((HTML / LOCALE / "api.html").as_uri())
    page.locator("article").get_by_role("link", name="pruning", exact=True).click()
    page.wait_for_url((HTML / "api" / "pruning.html").as_uri() + "#module-pruning")


def test_chinese_is_found_from_a_disk(page):
    for words, target in (
        ("重建", "03_compress"),
        ("深度卷积", "01_inspect"),
        ("detection_map", "fluid"),
    ):
        open_page(page, f"{LOCALE}/index.html")
        page.locator("input.sidebar-search").fill(words)
        page.keyboard.press("Enter")
        found = page.locator("#search-results li", has=page.locator(f"a[href*='{target}']")).first
        expect(found.locator("p.context")).to_contain_text(words, timeout=15_000)
    page.goto((HTML / LOCALE / "search.html").as_uri() + "?q=" + "饕餮")
    expect(page.locator("#search-results")).to_contain_text("没有匹配到")
    assert page.complaints == []


def test_no_markup_is_left_in_the_prose(page):
    faults = []
    for name in PAGES:
        open_page(page, f"{LOCALE}/{name}")
        text = page.evaluate(PROSE)
        faults += [
            f"{name}: {found}" for found in re.findall(r".{0,20}(?:\*|`|\{\{|\]\().{0,20}", text)
        ]
    assert faults == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_has_plots_of_its_own_and_terms(page, chapter):
    sources = []
    for name in (chapter, f"{LOCALE}/{chapter}"):
        open_page(page, name)
        plots = page.locator(".cell_output img").all()
        sources.append([plot.evaluate("image => image.src") for plot in plots])
        assert all(plot.evaluate("image => image.decode().then(() => true)") for plot in plots)
    assert len(sources[0]) == len(sources[1]) > 0
    assert set(sources[0]) != set(sources[1])
    term = page.locator("a.term").filter(has_text=re.compile("[\u4e00-\u9fff]")).first
    expect(term).to_be_attached()
    expect(
        page.get_by_role("link", name=translations("frame")["Download this notebook"])
    ).to_be_visible()


def test_chapter_2_plans_in_chinese(page):
    open_page(page, f"{LOCALE}/{CHAPTERS[1]}")
    explorer, words = page.locator(".explorer"), translations("scripts")
    expect(explorer.locator("th").nth(1)).to_have_text(words["channels after"])
    explorer.locator("input[type=text]").fill("(")
    expect(explorer.locator("p")).to_contain_text("不是正则表达式")
    assert page.complaints == []


def test_try_it_works_in_chinese(page):
    words = translations("scripts")
    open_page(page, f"{LOCALE}/tryit.html")
    if page.evaluate("ABOUT.engine") is None:
        pytest.skip("the engine could not be fetched when the pages were made")
    page.locator("#tryit-load").click()
    expect(page.locator("#tryit-status")).to_contain_text("加载用时", timeout=60_000)
    page.wait_for_function("tryit.state.found.pruned", timeout=60_000)
    expect(page.locator("#tryit-caption-pruned")).to_contain_text(words["pruned"])
    expect(page.locator("#tryit-caption-pruned")).to_contain_text("个检测结果")
    assert page.complaints == []


def test_the_chinese_pages_bring_no_engine_of_their_own():
    assert not (HTML / LOCALE / "_static" / "tryit").exists()
