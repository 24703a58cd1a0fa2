"""The pages in Chinese, made from the English ones: their sources, their words, their files."""

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from babel.messages.mofile import write_mo
from nbformat import NotebookNode

from docs.catalogues import LOCALE, SOURCES, page_name, read_catalogue, translations
from docs.messages import translate, translate_notebook
from docs.plot_words import TYPE

# A file that a page shows or loads: the way up to the pages' folder, and where it lies there
FOLDERS = ("_static", "_images", "_downloads")
FILE = re.compile(rf'(?<=")((?:\.\./)*)((?:{"|".join(FOLDERS)})/[^"?#]+)')

_ = str  # marks a message
# What the theme says in English alone, to those who hear the page
LABELS = (
    _("Toggle site navigation sidebar"),
    _("Toggle table of contents sidebar"),
    _("Toggle Light / Dark / Auto color theme"),
    _("Toggle navigation of"),
)


def translated(path: Path, known: Mapping[str, str]) -> str:
    """A page or a notebook, prose and plots translated; code and other outputs are as they were."""
    if path.suffix != ".ipynb":
        return translate(path.read_text(encoding="utf-8"), known)
    notebook = nbformat.read(path, as_version=4)
    translate_notebook(notebook, known)
    for data in _plots(notebook):
        data["image/png"] = data.pop(TYPE)["image/png"]
    return nbformat.writes(notebook) + "\n"


def translate_pages(folder: Path, target: Path) -> None:
    """Copy a folder of gathered pages, those translated that have a catalogue."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("_static"))
    for source in SOURCES:
        name = page_name(source)
        path = target / f"{name}{source.suffix}"
        if path.exists():
            path.write_text(translated(path, translations(name)), encoding="utf-8")


def drop_translated_plots(folder: Path) -> None:
    """Leave the English notebooks of a folder without the plots that are for the other pages."""
    for path in folder.glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for data in _plots(notebook):
            del data[TYPE]
        nbformat.write(notebook, path)


def lacking_words(path: Path) -> set[str]:
    """What the plots of an executed notebook say that has no translation."""
    plots = _plots(nbformat.read(path, as_version=4))
    return {line for data in plots for line in data[TYPE]["lacking"]}


def _plots(notebook: NotebookNode) -> Iterator[dict[str, Any]]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if TYPE in output.get("data", {}):
                yield output.data


def write_words(pages: Path, locale: Path) -> None:
    """Write the words of the scripts, and those around every page where Sphinx looks for them."""
    (pages / "_static").mkdir()
    words = json.dumps(translations("scripts"), ensure_ascii=False)
    (pages / "_static" / "messages.js").write_text(f"const MESSAGES = {words};\n", encoding="utf-8")
    path = locale / LOCALE / "LC_MESSAGES" / "sphinx.mo"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_mo(file, read_catalogue("frame"))


def finish(html: Path) -> None:
    """Let the pages in html/zh_CN use the English pages' files, where they are the same.

    And put what the theme says in English alone into their language.
    """
    folder = html / LOCALE
    for path in [path for name in FOLDERS for path in (folder / name).rglob("*") if path.is_file()]:
        twin = html / path.relative_to(folder)
        if twin.exists() and twin.read_bytes() == path.read_bytes():
            path.unlink()

    def lead(found: re.Match) -> str:
        up, name = found.groups()
        return f"{up}{name}" if (folder / name).exists() else f"{up}../{name}"

    frame = translations("frame")
    for page in folder.rglob("*.html"):
        text = FILE.sub(lead, page.read_text(encoding="utf-8"))
        for label in LABELS:
            text = text.replace(f'aria-label="{label}', f'aria-label="{frame.get(label, label)}')
        page.write_text(text, encoding="utf-8")
