"""Scripts and styles of the pages are formatted by prettier, which runs in the browser, too."""

import pytest

from docs.npm import Package, PackageError
from tests.helpers.browser import needs_browser
from utils.paths import ROOT

pytestmark = [pytest.mark.html, needs_browser]

PRETTIER = Package(
    "prettier",
    "3.10.1",
    "sha512-70vp3ZUYoPlFbF9uiTdXHUUCGEIp7d4+6p+8DYbkm2jP7x/3i/paXVF6dopSI3zd/CEitrZN1rc4i85xWmmXlg==",
)
PARTS = ("standalone.js", *(f"plugins/{name}.js" for name in ("babel", "estree", "postcss")))
PARSERS = {".js": "babel", ".css": "css"}
FILES = sorted(path for path in (ROOT / "docs" / "_static").iterdir() if path.suffix in PARSERS)


def test_scripts_and_styles_are_formatted(browser):
    try:
        scripts = PRETTIER.read(PARTS)
    except PackageError as error:
        pytest.skip(str(error))
    page = browser.new_page()
    for script in scripts:
        page.add_script_tag(content=script.decode())
    assert FILES
    check = """([text, parser]) =>
      prettier.check(text, { parser, plugins: prettierPlugins, printWidth: 100 })"""
    untidy = [
        path.name
        for path in FILES
        if not page.evaluate(check, [path.read_text(), PARSERS[path.suffix]])
    ]
    assert not untidy, "npx prettier@3.10.1 --write docs/_static"
