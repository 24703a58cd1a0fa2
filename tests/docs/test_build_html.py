"""`make html` refuses what should not be shown."""

import base64
import io
import json
import re

import nbformat
import paddle
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from docs import build
from docs.accessible import mend
from docs.build import HtmlError, check_notebook, read_parameters, tidy
from docs.check import find_faults
from utils.paths import ROOT


def ran(source: str = "", *outputs, tags=()):
    metadata = {"tags": list(tags)}
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata=metadata)


def test_a_notebook_that_was_not_run_to_its_end():
    with pytest.raises(HtmlError, match=r"01\.ipynb, cell 2 was not run: run `make run-notebooks`"):
        check_notebook(new_notebook(cells=[ran(), new_code_cell("1")]), "01.ipynb")
    failed = ran("1/0", new_output("error", ename="ZeroDivisionError", evalue="by zero"))
    with pytest.raises(HtmlError, match="cell 1 failed: ZeroDivisionError: by zero"):
        check_notebook(new_notebook(cells=[failed]), "01.ipynb")
    stopped = ran("train()", new_output("error", ename="KeyboardInterrupt", evalue=""))
    with pytest.raises(HtmlError, match="cell 1 was interrupted: run `make run-notebooks` again"):
        check_notebook(new_notebook(cells=[stopped]), "01.ipynb")


@pytest.mark.parametrize("profile, cells", [("standard", 1), ("smoke", 2)])
def test_parameters_are_shown_once_unless_they_differ(profile, cells):
    usual = ran('profile = "standard"  # how much\nseed = 0', tags=["parameters"])
    injected = ran(f'# Parameters\nprofile = "{profile}"', tags=["injected-parameters"])
    notebook = new_notebook(cells=[usual, injected], metadata={"papermill": {"at": "home"}})
    tidy(notebook)
    assert len(notebook.cells) == cells and not notebook.metadata


def test_the_parameters_are_those_of_the_run():
    usual = ran('profile = "standard"\nseed = 0\ndata_dir = ""', tags=["parameters"])
    injected = ran('profile = "smoke"\ntarget_ratio = 0.5', tags=["injected-parameters"])
    weights = ran('options = {"pretrained": "gone.safetensors"}', tags=["injected-parameters"])
    notebook = new_notebook(cells=[usual, ran("seed = 3"), injected, weights])
    assert read_parameters(notebook) == {"data_dir": "", "profile": "smoke", "seed": 0}


@pytest.mark.parametrize(
    "before, after",
    [
        ("<th></th>", "<td></td>"),
        ('<th class="head"><p></p></th>', '<td class="head"></td>'),
        ('<th class="blank">&nbsp;</th>', '<td class="blank"></td>'),
        ("<th>ms</th>", "<th>ms</th>"),
        (
            "<dl>\n<dd>a,</dd>\n<dd>b</dd>\n</dl>",
            '<div class="signature">\n<div>a,</div>\n<div>b</div>\n</div>',
        ),
        ("<dl>\n<dt>a</dt>\n<dd>b</dd>\n</dl>", "<dl>\n<dt>a</dt>\n<dd>b</dd>\n</dl>"),
        ('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">'),
    ],
)
def test_pages_are_mended_for_those_who_hear_them(before, after):
    assert mend(f"<html>{before}</html>") == f"<html>{after}</html>"


@pytest.mark.parametrize(
    "body, fault",
    [
        ('<a href="gone.html">', "page.html: links to gone.html, which is not there"),
        ('<a href="#gone">', "page.html: links to #gone, and there is no such place on that page"),
        ('<a href="page.html#gone">', "page.html: links to page.html#gone, and there is no"),
        ('<script src="https://cdn.example/x.js">', "page.html: fetches https://cdn.example/x.js"),
        ('<link rel="stylesheet" href="//cdn.example/x">', "page.html: fetches //cdn.example/x"),
        ('<img src="a.png">', "page.html: the picture a.png has no text alternative"),
        ('<img src="a.png" alt="a.png">', "page.html: the picture a.png has no text"),
        ('<a href="https://example.org">', ""),
        ('<p id="here"><a href="#here"><a href="a.png"><img src="a.png" alt="A plot">', ""),
    ],
)
def test_faults_of_pages(tmp_path, body, fault):
    (tmp_path / "a.png").touch()
    (tmp_path / "page.html").write_text(f"<html><body>{body}</body></html>")
    found = find_faults(tmp_path)
    assert len(found) == bool(fault) and "".join(found).startswith(fault)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one notebook and one page, its notebook run; its output folder."""
    docs, output = tmp_path / "docs", tmp_path / "build"
    for folder in (docs / "images", output / "notebooks"):
        folder.mkdir(parents=True)
    (docs / "conf.py").write_text('extensions = ["myst_nb"]\nnb_execution_mode = "off"\n')
    (docs / "index.md").write_text("# Home\n\n```{toctree}\nnotebooks/01\n```\n")
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, "png")
    plot = new_output("display_data", {"image/png": base64.b64encode(png.getvalue()).decode()})
    cell = ran("plot()", plot)
    cell.metadata["mystnb"] = {"image": {"alt": "A plot"}}
    notebook = new_notebook(cells=[new_markdown_cell("# One"), cell])
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    nbformat.write(notebook, output / "notebooks" / "01.ipynb")
    (output / "report.json").write_text(json.dumps({"classes": []}))
    monkeypatch.setattr("docs.build.DOCS", docs)
    monkeypatch.setattr("docs.build.RESULTS", tmp_path / "results")
    monkeypatch.setattr("docs.build.NOTEBOOKS", [ROOT / "notebooks" / "01.ipynb"])
    monkeypatch.setattr("docs.build.PAGES", ("index", "search"))
    monkeypatch.setattr("docs.build.BESIDE", ())
    monkeypatch.setattr("docs.build.write_scripts", lambda work, folder: None)
    return output


def test_a_whole_build(project, capsys):
    assert build.build(project) == 0
    for folder in (project / "html", project / "html" / "zh_CN"):
        assert (folder / "notebooks" / "01.html").exists()
    assert "pages: " in capsys.readouterr().out


def test_a_broken_reference_fails_the_build(project, capfd):
    (project.parent / "docs" / "index.md").write_text(
        "# Home\n\n[gone](gone.md)\n\n```{toctree}\nnotebooks/01\n```\n"
    )
    assert build.build(project) != 0
    assert "gone.md" in capfd.readouterr().err


def test_what_is_missing_is_named(project, monkeypatch, capsys):
    monkeypatch.setattr("docs.build.PAGES", ("index", "glossary"))
    assert build.build(project) == 1
    assert "no page glossary.html" in capsys.readouterr().out
    (project / "notebooks" / "01.ipynb").unlink()
    assert build.build(project) == 1
    assert "01.ipynb: make run-notebooks" in capsys.readouterr().out
    (project / "report.json").unlink()
    assert build.build(project) == 1
    assert "report.json: make run-notebooks" in capsys.readouterr().out


def test_names_that_a_terminal_cannot_show(tmp_path, monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(shown, "ascii", write_through=True))
    monkeypatch.setattr("sys.argv", ["build", "--output", str(tmp_path / "знак")])
    assert build.main() == 1
    assert rb"\u0437\u043d\u0430\u043a" in shown.getvalue()


def test_what_the_way_from_fluid_names_is_there():
    page = (ROOT / "docs" / "fluid.md").read_text()
    names = set(re.findall(r"`(paddle(?:\.\w+)+)`", page.replace("paddle.batch", "")))
    assert len(names) > 10
    for name in names - {"paddle.fluid"}:
        found = paddle
        for part in name.split(".")[1:]:
            found = getattr(found, part)
