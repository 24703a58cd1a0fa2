"""axe finds nothing on the pages that keeps a reader out, in light or in dark."""

import pytest

from docs.npm import Package, PackageError
from notebooks.run import NOTEBOOKS
from tests.helpers.browser import HTML, needs_browser, open_page

pytestmark = [pytest.mark.html, needs_browser]

AXE = Package(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
)
PAGES = sorted(str(path.relative_to(HTML)) for path in HTML.rglob("*.html"))
# Those of the API are made by one template, and the index of all names is long and plain.
API = [name for name in PAGES if name.startswith("api/")]
LOOKED_AT = [name for name in PAGES if name not in API and name != "genindex.html"] + API[::20]
RUN = """async (rules) => {
  const { violations } = await axe.run({ resultTypes: ["violations"], ...rules });
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`);
}"""
THEMES = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}


@pytest.fixture(scope="module")
def axe() -> str:
    try:
        (script,) = AXE.read(["axe.min.js"])
    except PackageError as error:
        pytest.skip(str(error))
    return script.decode()


def test_axe_finds_nothing(page, axe):
    assert len(LOOKED_AT) > len(NOTEBOOKS)
    page.add_init_script(axe)
    page.emulate_media(reduced_motion="reduce")  # else colours are looked at while they change
    faults = []
    for name in LOOKED_AT:
        open_page(page, name)
        for theme, rules in THEMES.items():
            page.emulate_media(color_scheme=theme)
            found = page.evaluate(RUN, rules)
            if found:  # on a busy machine the page's scripts may not have ended yet
                page.wait_for_timeout(2000)
                found = page.evaluate(RUN, rules)
            faults += [f"{name}, {theme}: {fault}" for fault in found]
    assert faults == []
