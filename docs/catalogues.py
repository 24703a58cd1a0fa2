"""The translations in docs/locale: `python -m docs.catalogues` brings them up to date.

Each page has a .po file. Two more are for the pages' scripts and for what frames every page: the
theme's words, and those of the modules here. A message that is new or has changed stands there
untranslated, or fuzzy with what it was.
"""

import gettext
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import furo
import nbformat
import sphinx.locale
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from docs.messages import find_messages, notebook_messages
from pruning.dependencies import DEPTHWISE, HEAD, NO_FILTER
from ssd_model.files import write_file
from utils.paths import ROOT

LOCALE = "zh_CN"
DOCS = ROOT / "docs"
FOLDER = DOCS / "locale" / LOCALE / "LC_MESSAGES"
SOURCES = (
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "results").glob("*.md")),
    *sorted((ROOT / "ssd_model").rglob("README.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
)
# How Babel reads a file, by its ending, and which calls hold a message there.
READERS = {
    ".js": ("javascript", {"words": None}),
    ".py": ("python", {"_": None}),
    ".html": ("jinja2.ext:babel_extract", {"_": None, "gettext": None}),
}


def page_name(source: Path) -> str:
    """Where a page stands among the built ones, without its ending."""
    name = source.relative_to(ROOT).with_suffix("").as_posix()
    return name.removeprefix("docs/")


def all_messages() -> dict[str, list[tuple[str, bool]]]:
    """By catalogue, its messages, and whether each must be translated."""
    pages = {page_name(source): list(_page_messages(source)) for source in SOURCES}
    scripts = _marked(sorted((DOCS / "_static").glob("*.js")))
    refusals = HEAD, NO_FILTER, DEPTHWISE  # of the explorer in chapter 2
    return pages | {
        "scripts": [(text, True) for text in (*scripts, *refusals)],
        "frame": [(text, True) for text in _frame_messages()],
    }


def _page_messages(source: Path) -> Iterator[tuple[str, bool]]:
    if source.suffix == ".ipynb":
        notebook = nbformat.read(source, as_version=4)
        yield from ((text, True) for text in notebook_messages(notebook))
    else:
        for message in find_messages(source.read_text(encoding="utf-8")):
            yield message.text, not message.generated


def _frame_messages() -> Iterator[str]:
    """What is said around every page, unless Sphinx itself says it in the other language."""
    sphinx_knows = gettext.translation("sphinx", Path(sphinx.locale.__file__).parent, [LOCALE])
    theme = sorted((Path(furo.__file__).parent / "theme" / "furo").glob("*.html"))
    for text in _marked([*sorted(DOCS.glob("*.py")), *sorted(DOCS.rglob("*.html")), *theme]):
        if sphinx_knows.gettext(text) == text:
            yield text


def _marked(sources: list[Path]) -> Iterator[str]:
    """The messages of scripts, modules and templates: what their calls mark as such."""
    for source in sources:
        method, keywords = READERS[source.suffix]
        with source.open("rb") as file:
            yield from (text for _, text, _, _ in extract(method, file, keywords))


def read_catalogue(name: str) -> Catalog:
    """The translations of a page, as they are; empty where there are none."""
    path = FOLDER / f"{name}.po"
    if not path.exists():
        return Catalog(locale=LOCALE)
    with path.open("rb") as file:
        return read_po(file, locale=LOCALE)


def translations(name: str) -> dict[str, str]:
    """The translated messages of a catalogue."""
    return {m.id: m.string for m in read_catalogue(name) if m.id and m.string and not m.fuzzy}


def update() -> None:
    """Bring every .po file up to the messages of its sources."""
    for name, messages in all_messages().items():
        catalogue = read_catalogue(name)
        # The date stays: a file changes with its messages alone.
        template = Catalog(locale=LOCALE, creation_date=catalogue.creation_date)
        for text, _ in messages:
            template.add(text)
        catalogue.update(template)
        catalogue.header_comment = f"# What {name} says, in Chinese: see docs/contributing.md."
        catalogue.project, catalogue.version = "prune-mobilenet-ssd", "0.1.0"
        catalogue.fuzzy = False
        catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
        file = BytesIO()
        write_po(file, catalogue, width=100, omit_header=False, ignore_obsolete=True)
        path = FOLDER / f"{name}.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, file.getvalue())


def find_faults() -> list[str]:
    """A line for each message that has no translation."""
    return [
        f"{name}.po: no translation of {text[:60]!r}"
        for name, messages in all_messages().items()
        for known in [translations(name)]
        for text, needed in messages
        if needed and text not in known
    ]


if __name__ == "__main__":
    update()
    faults = find_faults()
    print(*faults, sep="\n")
    sys.exit(bool(faults))
