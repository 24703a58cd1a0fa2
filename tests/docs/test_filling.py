"""Numbers and names of a run in the pages."""

import json

import pytest
from docutils.core import publish_doctree
from docutils.nodes import entry, literal, problematic, system_message
from jinja2 import UndefinedError
from myst_parser.docutils_ import Parser

from docs.filling import fill_in

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
