"""Numbers and names of a run in the pages."""

import json

import pytest
from docutils.core import publish_doctree
from docutils.nodes import entry, literal, problematic, system_message
from jinja2 import UndefinedError
from myst_parser.docutils_ import Parser

from docs.filling import fill_in
from utils.paths import ROOT

NAMES = ["红血球", "می\u200cرود", "a|b", "{{x}}", "$x$", "`c`", "<b>", "*x*", "_y_", "{doc}`x`"]
NAMES += [
    "[a](b)",
    "#1",
    "1. x",
    "% y",
    "a\\b",
    "~~z~~",
    "&amp;",
    "http://a.b",
    "^t^",
    "{#x}",
    "+ -",
]


def test_any_name_is_shown_as_it_is():
    page = (
        '| name |\n| --- |\n{% for name in report["names"] %}\n| {{ name | plain }} |\n{% endfor %}'
    )
    tree = publish_doctree(
        fill_in(page, {"names": NAMES}, False),
        parser=Parser(),
        settings_overrides={
            "myst_enable_extensions": ["dollarmath", "substitution", "strikethrough"]
        },
    )
    assert not list(tree.findall(lambda node: isinstance(node, literal | problematic)))
    assert not list(tree.findall(system_message))
    assert [cell.astext() for cell in tree.findall(entry)] == ["name", *NAMES]


def test_numbers():
    report = json.loads('{"map": 0.8888, "latency": null}')
    page = (
        "{{ report.map | number }} {{ report.map | number('.1f') }} {{ report.latency | number }}"
    )
    assert fill_in(page, report, False) == "0.889 0.9 not measured"
    with pytest.raises(UndefinedError, match="flops"):
        fill_in("{{ report.flops }}", report, False)


REPORT = {
    **{"profile": "standard", "data": "pets", "classes": ["cat"], "seed": 0, "cut_by": "l1_norm"},
    **{"images_trained": 9, "images_tested": 9, "target_ratio": 0.5, "pruned_params": "a|b"},
    **{f"{name}_before": 8 for name in ("flops", "parameters", "file_bytes", "latency_ms")},
    **{f"{name}_after": 4 for name in ("flops", "parameters", "file_bytes", "latency_ms")},
    **{f"map_{name}": 0.625 for name in ("baseline", "pruned", "reconstructed", "finetuned")},
    **{"map_control": 0.75, "map_coco_finetuned": None, "map_coco_control": None},
    **{"channel_ratio": None, "ap_by_class": {"cat": {}}, "shapes_match": True},
    "outputs_max_abs_difference": 0.0,
}


@pytest.mark.parametrize("page", ["index.md", "report.md"])
def test_the_range_of_the_difference(page):
    text = (ROOT / "docs" / page).read_text()
    known = fill_in(text, REPORT | {"map_difference_range": [-0.25, 0.0625]}, False)
    assert "-0.250" in known and "+0.062" in known
    # Not measured, or the report of a version that did not measure it
    unmeasured = fill_in(text, REPORT | {"map_difference_range": None}, False)
    assert unmeasured == fill_in(text, REPORT, False)
    assert "-0.250" not in unmeasured and "-0.125" in unmeasured + known


def test_a_range_from_a_few_images_is_not_on_the_first_page():
    report = REPORT | {"map_difference_range": [-0.25, 0.0625], "profile": "smoke"}
    assert "-0.250" not in fill_in((ROOT / "docs/index.md").read_text(), report, False)
