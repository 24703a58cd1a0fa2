"""The translatable text of a Markdown page or a notebook, and the same page in another language.

A message is a heading, a paragraph, an item of a list, a row of a table or, in a generated table,
a cell, its lines joined; also the caption of a toctree. Code, other directives and numbers are not
messages. Sphinx's own gettext works on parsed pages, which come too late here: after a run's
numbers are filled in, and for notebooks not at all.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nbformat import NotebookNode

_FENCE = re.compile(r"\s*```")
# Directives and their options, targets, comments, the line below a table's head, and lone Jinja
_MARKUP = re.compile(r"\s*(:::|:[\w-]+:|<!--|\|[-:| ]+\|$|\{% [^\n]* %\}$)")
# What stands before a text: indentation and one mark of a heading, list, quote or definition
_PREFIX = re.compile(r"\s*(?:(?:#+|[-*+]|\d+\.|>|:) +)?")
# Starts a message of its own, also without an empty line before it
_OWN = re.compile(r"\s*(?:(?:#+|[-*+]|\d+\.|:) |\||\{%)")
_GENERATED = re.compile(r"<!-- (/?)[a-z]")
_CAPTION = re.compile(r":caption: ")
_CELL = re.compile(r"[^|\s](?:[^|\n]*[^|\s])?")
_NO_PROSE = re.compile(
    r"`[^`]*`|\{\{.*?\}\}|\]\([^)]*\)|<!--.*?-->|"
    r"</?[a-z]+(?: (?!aria-label)[\w-]+(?:=\"[^\"]*\")?)*>"
)


@dataclass(frozen=True)
class Message:
    """A text and where it stands: source[start:end] is what its translation replaces."""

    start: int
    end: int
    text: str
    generated: bool = False
    """A cell that a measurement writes: the next one may write another."""


def find_messages(source: str) -> Iterator[Message]:
    """The messages of a Markdown page, in order."""
    for start, end, generated in _spans(source):
        text = " ".join(line.strip() for line in source[start:end].splitlines())
        if re.search("[A-Za-z]{2}", _NO_PROSE.sub("", text)):
            yield Message(start, end, text, generated)


def translate(source: str, translations: Mapping[str, str]) -> str:
    """A page in another language; what has no translation stays as it is."""
    pieces, done = [], 0
    for message in find_messages(source):
        own = source[message.start : message.end]
        pieces += [source[done : message.start], translations.get(message.text) or own]
        done = message.end
    return "".join([*pieces, source[done:]])


def notebook_messages(notebook: NotebookNode) -> Iterator[str]:
    """The prose of a notebook, and what its plots say to those who can't see them."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield from (message.text for message in find_messages(cell.source))
        elif alt := _image(cell).get("alt"):
            yield alt


def translate_notebook(notebook: NotebookNode, translations: Mapping[str, str]) -> None:
    """Put a notebook's prose into another language; code and outputs stay."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = translate(cell.source, translations)
        elif alt := _image(cell).get("alt"):
            _image(cell)["alt"] = translations.get(alt) or alt


def _image(cell: NotebookNode) -> dict[str, str]:
    return cell.metadata.get("mystnb", {}).get("image", {})


def _spans(source: str) -> Iterator[tuple[int, int, bool]]:
    start = end = None
    place = indent = 0
    fenced = generated = glossary = False
    for line in source.splitlines(keepends=True):
        text = line.rstrip("\n")
        first = place + _PREFIX.match(text).end()
        column = len(text) - len(text.lstrip())
        if _FENCE.match(text):
            fenced = not fenced
        if mark := _GENERATED.match(text):
            generated = not mark[1]
        if text.startswith(":::"):
            glossary = "{glossary}" in text
        skip = fenced or not text.strip() or _FENCE.match(text) or _MARKUP.match(text)
        begins = _OWN.match(text) or column < indent or (glossary and not (column and indent))
        if start is not None and (skip or begins):
            yield start, end, False
            start = None
        if skip:
            if fenced and (caption := _CAPTION.match(text)):
                yield place + caption.end(), place + len(text), False
        elif generated:
            yield from ((place + m.start(), place + m.end(), True) for m in _CELL.finditer(text))
        elif start is None:
            start, end, indent = first, place + len(text), column
            if text.lstrip().startswith(("<", "|", "#")):
                yield start, end, False
                start = None
        else:
            end = place + len(text)
        place += len(line)
    if start is not None:
        yield start, end, False
