"""Progress bars that show to people and stay quiet in logs."""

import os
import sys
from collections.abc import Iterable

from tqdm.auto import tqdm


def progress(iterable: Iterable, description: str) -> Iterable:
    """A bar in a notebook or a terminal, nothing without one.

    `make run-notebooks` sets TQDM_DISABLE, since a kernel can't tell whether anybody looks.
    """
    # A kernel has no terminal, but a person may be looking at it.
    disable = "TQDM_DISABLE" in os.environ if "ipykernel" in sys.modules else None
    return tqdm(iterable, description, leave=False, disable=disable)
