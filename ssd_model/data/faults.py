"""Faults of a data folder, and notes on what was tolerated.

A `Fault` keeps the data from being used, or ends the run as a `DataError`; a `Note` is reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ssd_model.data.text import listed, printable


class DataError(ValueError):
    """The data cannot be used. The message names what is wrong, the file, and what to do."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one file or folder."""

    path: Path
    what: str

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.what}")


@dataclass(frozen=True)
class Note(Fault):
    """One thing that was tolerated.

    kind: the message for all notes of this kind, with {} for their number; '' for a single note.
    """

    kind: str = ""


def tell(notes: Iterable[Note]) -> list[str]:
    """Summarise notes in one line for each kind: how many, and in which files."""
    kinds: dict[str, list[str]] = {}
    lines = []
    for note in notes:
        if note.kind:
            kinds.setdefault(note.kind, []).append(note.path.name)
        else:
            lines.append(printable(note.what))
    for kind, names in kinds.items():
        where = listed([*map(printable, dict.fromkeys(names))])
        lines.append(f"{kind.format(f'{len(names):,}')} ({where})")
    return lines
