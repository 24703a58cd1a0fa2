"""The translations in docs/locale, a file a page: `python -m docs.catalogues` brings them up to date.

A message that is new or has changed stands in its .po file untranslated, or fuzzy with what it was.
"""

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import nbformat
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from docs.messages import find_messages, notebook_messages
from ssd_model.files import write_file
from utils.paths import ROOT

LOCALE = "zh_CN"
FOLDER = ROOT / "docs" / "locale" / LOCALE / "LC_MESSAGES"
SOURCES = (
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "results").glob("*.md")),
    *sorted((ROOT / "ssd_model").rglob("README.md")),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
)


def page_name(source: Path) -> str:
    """Where a page stands among the built ones, without its ending."""
    name = source.relative_to(ROOT).with_suffix("").as_posix()
    return name.removeprefix("docs/")


def page_messages(source: Path) -> Iterator[tuple[str, bool]]:
    """Each message of a page, and whether it must be translated."""
    if source.suffix == ".ipynb":
        notebook = nbformat.read(source, as_version=4)
        yield from ((text, True) for text in notebook_messages(notebook))
    else:
        for message in find_messages(source.read_text(encoding="utf-8")):
            yield message.text, not message.generated


def read_catalogue(name: str) -> Catalog:
    """The translations of a page, as they are; empty where there are none."""
    path = FOLDER / f"{name}.po"
    if not path.exists():
        return Catalog(locale=LOCALE)
    with path.open("rb") as file:
        return read_po(file, locale=LOCALE)


def translations(name: str) -> dict[str, str]:
    """The translated messages of a page."""
    return {m.id: m.string for m in read_catalogue(name) if m.id and m.string and not m.fuzzy}


def update() -> None:
    """Bring every .po file up to the messages of its page."""
    for source in SOURCES:
        name, template = page_name(source), Catalog(locale=LOCALE)
        for text, _ in page_messages(source):
            template.add(text)
        catalogue = read_catalogue(name)
        catalogue.update(template)
        file = BytesIO()
        write_po(file, catalogue, width=100, omit_header=False, ignore_obsolete=True)
        path = FOLDER / f"{name}.po"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, file.getvalue())


def find_faults() -> list[str]:
    """A line for each message that has no translation."""
    return [
        f"{page_name(source)}.po: no translation of {text[:60]!r}"
        for source in SOURCES
        for known in [translations(page_name(source))]
        for text, needed in page_messages(source)
        if needed and text not in known
    ]


if __name__ == "__main__":
    update()
    faults = find_faults()
    print(*faults, sep="\n")
    sys.exit(bool(faults))
