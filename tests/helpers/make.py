"""Run make."""

import os
import subprocess
import sys
from pathlib import Path

from utils.paths import ROOT


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    """Run make with the environment of this test, as if it were set up."""
    # Under `make test` this is a make inside a make, which would say so in lines of its own.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    ready = f"{sys.prefix}/.ready"
    return subprocess.run(
        ["make", f"VENV={sys.prefix}", "-o", ready, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
