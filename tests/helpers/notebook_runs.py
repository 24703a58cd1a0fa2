"""The runner of the notebooks, in a process of its own, and what a notebook printed."""

import subprocess
import sys
from pathlib import Path

import nbformat

from utils.paths import ROOT


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "notebooks.run", "--profile", "smoke", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def outputs_of(copy: Path) -> list[str]:
    """What the code cells of an executed copy printed, one text a cell."""
    cells = nbformat.read(copy, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in code]
