"""How fast it all is, beside what a user would pick instead: `make benchmark`.

Every measurement runs in a process of its own (`python -m benchmark.latency ...`), which prints
its numbers as JSON; `benchmark.__main__` runs them in turns.
"""

import utils  # noqa: F401  # Paddle must be set up before any module imports it.
