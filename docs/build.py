"""Build the HTML tutorial from the executed notebooks: `make html`.

Nothing is run again. What Sphinx reads is gathered in <output>/docs, laid out as the project is,
so that links between notebooks, pages and results hold in both.
"""

import argparse
import ast
import base64
import json
import shutil
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from sphinx.cmd.build import build_main

from docs.accessible import mend_pages
from docs.catalogues import LOCALE
from docs.check import find_faults
from docs.dependencies import as_json
from docs.translated import (
    drop_translated_plots,
    finish,
    lacking_words,
    translate_pages,
    write_words,
)
from docs.tryit import NoModelError, write_script, write_tryit
from notebooks.run import NOTEBOOKS
from pruning.dependencies import analyse
from ssd_model.programs import build_detector
from utils.paths import RESULTS, ROOT, relative
from utils.workspace import Workspace

DOCS = ROOT / "docs"
BESIDE = ("ssd_model/data/scenes/README", "ssd_model/pretrained/README")
"""Pages that stand beside what they tell of."""
PAGES = (
    *("index", "tryit", "report", "data", "board", "own_network", "workers"),
    *("glossary", "fluid", "api", "contributing", "search"),
    *BESIDE,
)


class HtmlError(ValueError):
    """What the pages are made from is not there, or not fit to be shown."""


def check_notebook(notebook: NotebookNode, path: Path) -> None:
    """Refuse an executed notebook that stopped early.

    Raises:
        HtmlError: a cell that was not run, or one that failed.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        if cell.execution_count is None:
            raise HtmlError(f"{path}, cell {number} was not run: run `make run-notebooks`")
        for output in cell.outputs:
            if output.output_type == "error":
                what = f"failed: {output.ename}: {output.evalue}"
                if output.ename == "KeyboardInterrupt":
                    what = "was interrupted: run `make run-notebooks` again, and it goes on"
                raise HtmlError(f"{path}, cell {number} {what}")


def tidy(notebook: NotebookNode) -> None:
    """Drop what only says how the notebook was run, unless its parameters were others."""
    notebook.metadata.pop("papermill", None)
    cells = notebook.cells
    for cell in cells:
        cell.metadata.pop("papermill", None)
    tags = [cell.metadata.get("tags", []) for cell in cells]
    injected = next((i for i, tag in enumerate(tags) if "injected-parameters" in tag), None)
    if injected is not None:
        usual = next(cell for cell, tag in zip(cells, tags, strict=True) if "parameters" in tag)
        if _values(cells[injected].source).items() <= _values(usual.source).items():
            del cells[injected]


def read_parameters(notebook: NotebookNode) -> dict[str, object]:
    """The parameters of `Workspace` that a notebook was run with."""
    values: dict[str, object] = {}
    for cell in notebook.cells:
        if {"parameters", "injected-parameters"} & set(cell.metadata.get("tags", [])):
            values |= _values(cell.source)
    # Without the options of training: the weights that they name may be gone since.
    names = ("output", "data_dir", "profile", "seed")
    return {name: values[name] for name in names if name in values}


def first_picture(notebook: NotebookNode) -> bytes | None:
    """The first plot of an executed notebook, as PNG."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output.data["image/png"])
    return None


def gather(output: Path, folder: Path) -> None:
    """Copy pages, results, executed notebooks and the report into one folder.

    Raises:
        HtmlError: a notebook or the report is missing; or see `check_notebook`.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DOCS, folder, ignore=shutil.ignore_patterns("_*", "*.py", "images"))
    shutil.copytree(DOCS / "images", folder / "docs" / "images")
    if RESULTS.exists():
        shutil.copytree(RESULTS, folder / "results")
    for page in BESIDE:
        source, target = (ROOT / page).parent, (folder / page).parent
        target.mkdir(parents=True, exist_ok=True)
        for path in (source / "README.md", *source.glob("*.png")):
            shutil.copy(path, target)
    report = output / "report.json"
    if not report.exists():
        raise HtmlError(f"there is no {report}: make run-notebooks")
    shutil.copy(report, folder)
    (folder / "notebooks").mkdir()
    for source in NOTEBOOKS:
        path = output / "notebooks" / source.name
        if not path.exists():
            raise HtmlError(f"there is no {path}: make run-notebooks")
        notebook = nbformat.read(path, as_version=4)
        check_notebook(notebook, path)
        parameters = read_parameters(notebook)
        tidy(notebook)
        nbformat.write(notebook, folder / "notebooks" / source.name)
    write_result(folder)
    write_scripts(Workspace(**parameters | {"output": str(output)}), folder / "_static")


def write_result(folder: Path) -> None:
    """Write the home page's picture: the last notebook's first, both networks' detections.

    Raises:
        HtmlError: there is none.
    """
    path = folder / "notebooks" / NOTEBOOKS[-1].name
    picture = first_picture(nbformat.read(path, as_version=4))
    if picture is None:
        raise HtmlError(f"{path} has no picture of the result: make run-notebooks")
    (folder / "docs" / "images" / "result.png").write_bytes(picture)


def plot_faults(folder: Path) -> list[str]:
    """What plots say that has no translation; names of classes need none."""
    return [
        f"{source.name}: plots.po has no translation of {line!r}"
        for source in NOTEBOOKS
        for line in sorted(lacking_words(folder / "notebooks" / source.name))
    ]


def write_scripts(work: Workspace, folder: Path) -> None:
    """Write what the pages compute with: the run's networks, and how their channels hang together.

    Raises:
        HtmlError: notebook 4 left no model.
    """
    try:
        write_tryit(work, folder / "tryit")
    except NoModelError as error:
        raise HtmlError(str(error)) from error
    # The data may be gone since.
    classes = json.loads(work.report_file.read_text(encoding="utf-8"))["classes"]
    dependencies = analyse(build_detector(len(classes) + 1, is_train=False).program)
    write_script(folder / "dependencies.js", "DEPENDENCIES", as_json(dependencies))


def run_sphinx(folder: Path, html: Path, *options: str) -> int:
    """Build pages from a folder of gathered ones; returns the exit status."""
    return build_main(
        ["-c", str(DOCS), "-W", "--keep-going", "-n", "-q", "-E", *options,
         "-d", f"{folder}-doctrees", str(folder), str(html)]
    )  # fmt: skip


def build(output: Path) -> int:
    """Build `output`/html, and in it the same pages in Chinese; returns the exit status."""
    folder, html = output / "docs", output / "html"
    chinese = output / f"docs-{LOCALE}"
    try:
        gather(output, folder)
    except HtmlError as error:
        print(error)
        return 1
    # A page that is gone must not linger.
    shutil.rmtree(html, ignore_errors=True)
    lacking = plot_faults(folder)
    translate_pages(folder, chinese)
    write_result(chinese)
    drop_translated_plots(folder / "notebooks")
    write_words(chinese, output / "locale")
    status = run_sphinx(folder, html) or run_sphinx(
        *(chinese, html / LOCALE, "-D", f"language={LOCALE}", "-D", f"locale_dirs={output}/locale")
    )
    if status:
        return status
    finish(html)
    mend_pages(html)
    pages = [*PAGES, *(f"notebooks/{path.stem}" for path in NOTEBOOKS)]
    pages += ["results/README", "results/speed"] * RESULTS.exists()
    pages += [f"{LOCALE}/{page}" for page in pages]
    faults = [f"no page {page}.html" for page in pages if not (html / f"{page}.html").exists()]
    faults += [*find_faults(html), *lacking]
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(list(html.rglob('*.html')))} pages: {relative(html / 'index.html')}")
    return 1 if faults else 0


def _values(source: str) -> dict[str, object]:
    """The constants that a cell of parameters assigns."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
    }


def main() -> int:
    sys.stdout.reconfigure(errors="backslashreplace")  # names of the user's in any encoding
    parser = argparse.ArgumentParser(description="Build the HTML tutorial.")
    parser.add_argument("--output", default="build", help="where the notebooks were run")
    return build(ROOT / parser.parse_args().output)


if __name__ == "__main__":
    sys.exit(main())
