"""What of a page is translatable, and how its translation gets into it."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from docs.catalogues import SOURCES
from docs.messages import find_messages, notebook_messages, translate, translate_notebook

PIECES = {
    "a heading": ("## Two words\n", ["Two words"]),
    "a paragraph on two lines": (
        "one line\nand another\n\nmore\n",
        ["one line and another", "more"],
    ),
    "an item inside an item": (
        "- outer\n  - inner, over\n    two lines\n- last\n",
        ["outer", "inner, over two lines", "last"],
    ),
    "a numbered item": ("1. first\n   and on\n2. second\n", ["first and on", "second"]),
    "a table": (
        "| a name | value |\n| --- | ---: |\n| rows | 3 |\n| 1 | 2 |\n",
        ["| a name | value |", "| rows | 3 |"],
    ),
    "a table that is generated": (
        "<!-- ratios -->\n| one ms | two |\n|---|---|\n| 3 | four |\n<!-- /ratios -->\nafter\n",
        ["one ms", "two", "four", "after"],
    ),
    "a glossary": (
        ":::{glossary}\n:sorted:\n\nmAP\nmean AP\n  What it is,\n  in words.\n:::\n",
        ["mAP", "mean AP", "What it is, in words."],
    ),
    "code between fences": (
        "text\n```python\nnot = 'text'\n```\nmore text\n",
        ["text", "more text"],
    ),
    "code in a list": ("- do:\n  ```console\n  $ make it\n  ```\n- done\n", ["do:", "done"]),
    "the caption of a toctree": (
        "```{toctree}\n:hidden:\n:caption: The words\n\nindex\n```\n",
        ["The words"],
    ),
    "lone Jinja": ("{% if x %}\nsome text\n{% endif %}\n", ["some text"]),
    "Jinja over lines": (
        '{% for name in [\n  "a name",\n] %}\n| {{ name }} |\n',
        ['{% for name in [ "a name", ] %}'],
    ),
    "a folded solution": (
        "<details><summary>Solution</summary>\n\nWhy it is.\n\n```python\n1\n```\n</details>\n",
        ["<details><summary>Solution</summary>", "Why it is."],
    ),
    "a directive": (":::{container} actions\n[Try it](tryit.md)\n:::\n", ["[Try it](tryit.md)"]),
    "code, numbers and links without words": ("`code`\n\n1,234\n\n[`x`](y.md)\n", []),
}


@pytest.mark.parametrize("source, expected", PIECES.values(), ids=PIECES)
def test_the_messages_of(source, expected):
    assert [message.text for message in find_messages(source)] == expected


@pytest.mark.parametrize("source, expected", PIECES.values(), ids=PIECES)
def test_only_messages_are_replaced(source, expected):
    changed = translate(source, {text: text.replace("e", "é") for text in expected})
    assert changed.count("é") == sum(text.count("e") for text in expected)
    assert " ".join(changed.replace("é", "e").split()) == " ".join(source.split())


def test_a_translation_stands_where_its_message_stood():
    source = "# A title\n\n- one\n  item\n  ```\n  one\n  ```\n\nrest\n"
    known = {"A title": "题目", "one item": "一项", "one": "不该出现"}
    assert translate(source, known) == "# 题目\n\n- 一项\n  ```\n  one\n  ```\n\nrest\n"


def test_a_cell_that_is_generated_may_go_without():
    page = "words\n<!-- speed -->\n| engine |\n<!-- /speed -->\n"
    found = {message.text: message.generated for message in find_messages(page)}
    assert found == {"words": False, "engine": True}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_without_translations_a_page_stays_as_it_is(path):
    if path.suffix == ".md":
        source = path.read_text(encoding="utf-8")
        assert translate(source, {}) == source
    else:
        notebook = nbformat.read(path, as_version=4)
        translate_notebook(notebook, {})
        assert notebook == nbformat.read(path, as_version=4)


def test_a_notebook_is_translated_but_for_its_code():
    plot = new_code_cell("title('A plot')", metadata={"mystnb": {"image": {"alt": "A plot"}}})
    notebook = new_notebook(cells=[new_markdown_cell("Look at it."), plot, new_code_cell("# why")])
    assert list(notebook_messages(notebook)) == ["Look at it.", "A plot"]
    translate_notebook(notebook, {"Look at it.": "看一看。", "A plot": "一幅图", "# why": "不"})
    assert [cell.source for cell in notebook.cells] == ["看一看。", "title('A plot')", "# why"]
    assert plot.metadata.mystnb.image.alt == "一幅图"
