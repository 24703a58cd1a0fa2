"""What is wrong with a data folder: one `Fault` each, or a `DataError` that ends the run."""

from dataclasses import dataclass
from pathlib import Path


class DataError(ValueError):
    """The data cannot be used. The message names what is wrong, the file, and what to do."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one file or folder."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"
