"""The Chinese pages say all that the English ones say, with the same code, links and numbers."""

import base64
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator

import matplotlib.pyplot as plt
import nbformat
import pytest
from IPython.core.pylabtools import print_figure

from docs.catalogues import all_messages, find_faults, read_catalogue
from docs.lab import write_sources
from docs.plot_words import HOLE, draw, template, translate
from docs.translated import finish
from notebooks.run import NOTEBOOKS

FENCED = re.compile(r"^( *)```[^\n]*\n(.*?)^ *```", re.S | re.M)
# What a translation must keep, and what it is called
KEPT = {
    "code": re.compile(r"`(?:[^`<]* <)?([^`]+)`"),  # of a role, what it refers to
    "links": re.compile(r"\]\(([^)\s]+)\)"),
    "Jinja": re.compile(r"\{%[^\"]*?%\}|\{\{[^\"]*?\}\}"),
    "HTML": re.compile(r"</?[a-z]+|\b(?:id|class|for|type)=\"[^\"]*\""),
}
PLACEHOLDER = re.compile(r"(?<!\{)\{\w*\}(?!\})")


def test_nothing_is_left_untranslated_or_fuzzy():
    assert find_faults() == []
    assert all(message.string for message in read_catalogue("plots") if message.id)


def lost(name: str, text: str, translation: str) -> Iterator[str]:
    """What a translation did not keep."""
    # Terms are translated there and in the glossary alike, and may be repeated.
    for kind, pattern in KEPT.items() if "{term}" not in text else ():
        if Counter(pattern.findall(translation)) != Counter(pattern.findall(text)):
            yield f"{kind} of {text!r}"
    if text.startswith("|") and cells(translation) != cells(text):
        yield f"cells of {text!r}"
    values = [Counter(PLACEHOLDER.findall(side)) for side in (text, translation)]
    if name in ("scripts", "plots") and values[0] != values[1]:
        yield f"values of {text!r}"


@pytest.mark.parametrize("name", [*all_messages(), "plots"])
def test_a_translation_keeps_what_is_not_prose(name):
    messages = [m for m in read_catalogue(name) if m.id and m.string]
    assert messages
    assert [fault for m in messages for fault in lost(name, m.id, m.string)] == []


def cells(row: str) -> int:
    return len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`|\{\{.*?\}\}|\{%.*?%\}", "", row)))


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """What `make lab LOCALE=zh_CN` opens."""
    folder = tmp_path_factory.mktemp("zh_CN")
    write_sources(folder)
    return folder


def code_of(path) -> Iterator[str]:
    """Code cells and fenced code of a notebook."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            yield cell.source
        else:
            yield from (textwrap.dedent(code) for _, code in FENCED.findall(cell.source))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chinese_notebooks_have_the_same_code_and_links_that_lead_somewhere(lab, path):
    chinese = lab / "notebooks" / path.name
    assert list(code_of(chinese)) == list(code_of(path))
    prose = [c.source for c in nbformat.read(chinese, as_version=4).cells if c.cell_type != "code"]
    assert re.search("[\u4e00-\u9fff]", prose[0])
    for link in re.findall(r"\]\((?!https:)([^)#]+)", "\n".join(prose)):
        assert (chinese.parent / link).exists(), link


def test_a_notebook_that_a_reader_changed_is_kept(lab, capsys):
    path = lab / "notebooks" / NOTEBOOKS[0].name
    fresh = path.read_text(encoding="utf-8")
    path.write_text(fresh.replace("import re", "import this"), encoding="utf-8")
    write_sources(lab)
    assert "import this" in path.read_text(encoding="utf-8")
    assert f"{path.name} stays as you left it" in capsys.readouterr().out
    path.unlink()
    write_sources(lab)
    assert path.read_text(encoding="utf-8") == fresh
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "line, holes",
    [
        ("filters of conv2d_13.w_0, sorted", ["conv2d_13.w_0"]),
        ("1,917 priors in all; where their boxes", ["1,917"]),
        ("limit: 0.83", ["0.83"]),
        ("19x19", ["19", "19"]),
        ("mAP lost", []),
    ],
)
def test_a_plot_is_translated_but_for_numbers_and_names(line, holes):
    assert HOLE.findall(line) == holes
    lacking: set[str] = set()
    chinese = translate(line, lacking)
    assert lacking == set()
    assert HOLE.findall(chinese) == holes
    assert (chinese == line) == (line == "19x19")
    assert "{}" not in chinese


def test_what_a_plot_says_without_a_translation_is_told():
    lacking: set[str] = set()
    assert (
        translate("mAP lost\nsomething new: 3\n0.5", lacking) == "损失的 mAP\nsomething new: 3\n0.5"
    )
    assert lacking == {template("something new: 3")} == {"something new: {}"}


def test_a_figure_is_drawn_in_chinese_and_stays_as_it_was():
    figure, axes = plt.subplots(layout="constrained")
    axes.bar(["conv2d_1", "dw_2"], [1, 2])
    axes.set(ylabel="mAP lost", title="something new: 3")
    axes.set_yticks([1], ["limit: 0.80"])
    before = print_figure(figure)
    with warnings.catch_warnings(action="error"):  # as of a letter that no font has
        drawn = draw(figure)
    assert drawn["lacking"] == ["something new: {}"]
    assert base64.b64decode(drawn["image/png"]) != before
    assert axes.get_ylabel() == "mAP lost"
    assert print_figure(figure) == before
    plt.close(figure)


def test_files_that_are_the_same_are_shared(tmp_path):
    chinese = tmp_path / "zh_CN"
    for folder in (tmp_path, chinese):
        (folder / "_static" / "big").mkdir(parents=True)
        (folder / "_static" / "big" / "same.js").write_text("same")
        (folder / "_static" / "own.js").write_text(folder.name)
    (tmp_path / "_static" / "theirs.js").touch()
    (chinese / "deep").mkdir()
    (chinese / "deep" / "page.html").write_text(
        '<script src="../_static/big/same.js?v=1"></script>'
        '<script src="../_static/own.js"></script>'
        '<script src="../_static/theirs.js"></script><a href="../other.html">'
    )
    finish(tmp_path)
    found = re.findall('(?:src|href)="([^"]*)"', (chinese / "deep" / "page.html").read_text())
    assert found == [
        "../../_static/big/same.js?v=1",
        "../_static/own.js",
        "../../_static/theirs.js",
        "../other.html",
    ]
    assert not (chinese / "_static" / "big" / "same.js").exists()
    assert (chinese / "_static" / "own.js").exists()
