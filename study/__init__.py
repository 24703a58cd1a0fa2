"""What pruning costs, measured: `make results` and `make baseline`."""

import utils  # noqa: F401  # Paddle must be set up before any module imports it.
