"""Progress bars for people, which stay out of logs."""

import os
import sys
from collections.abc import Iterable

from tqdm.auto import tqdm


def progress(iterable: Iterable, description: str) -> Iterable:
    """Show a progress bar in a notebook or a terminal, and nothing elsewhere.

    `make run-notebooks` sets TQDM_DISABLE, since a kernel can't know whether anybody is looking.
    """
    # A kernel has no terminal, but somebody may be looking at the notebook.
    disable = "TQDM_DISABLE" in os.environ if "ipykernel" in sys.modules else None
    return tqdm(iterable, description, leave=False, disable=disable)
