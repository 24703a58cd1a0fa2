"""A script for Paddle's launcher: the small run of `tests.helpers.killed_run` in a given folder."""

import utils  # noqa: F401  isort: skip

import sys
from pathlib import Path

from ssd_model import workers
from tests.helpers import killed_run

root = Path(sys.argv[1])
run = killed_run.build(root / "voc", batch=4)
killed_run.compress(*run, root, f"worker-{workers.rank()}")
