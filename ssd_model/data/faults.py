"""What is wrong with a data folder, and what was borne.

A `Fault` keeps the data from being used, or as a `DataError` ends the run; a `Note` is told.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ssd_model.data.text import listed


class DataError(ValueError):
    """The data cannot be used. The message names what is wrong, the file, and what to do."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one file or folder."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True)
class Note(Fault):
    """One thing that was borne.

    kind: what all of its kind have in common, with {} for their number; '' if it stands alone.
    """

    kind: str = ""


def tell(notes: Iterable[Note]) -> list[str]:
    """One line for each kind of note: how many, and in which files."""
    kinds: dict[str, list[str]] = {}
    lines = []
    for note in notes:
        if note.kind:
            kinds.setdefault(note.kind, []).append(note.path.name)
        else:
            lines.append(note.what)
    for kind, names in kinds.items():
        lines.append(f"{kind.format(f'{len(names):,}')} ({listed(list(dict.fromkeys(names)))})")
    return lines
