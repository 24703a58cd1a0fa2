"""How fast it all is, beside what a user would pick instead: `make benchmark`.

Every measurement runs in a process of its own (`python -m benchmark.latency ...`), which prints
its numbers as JSON; `benchmark.__main__` runs them in turns.
"""

import resource


def peak_mb() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


_before = peak_mb()
import utils  # noqa: E402, F401  # Paddle must be set up before any module imports it.

PADDLE_MB = peak_mb() - _before
"""What it takes to import Paddle; the other engines can do without."""
