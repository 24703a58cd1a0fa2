"""Measure the project's speed against that of the alternatives: `make benchmark`.

Each measurement runs in its own process (`python -m benchmark.latency ...`), which prints its
numbers as JSON; `benchmark.__main__` runs them in turns.
"""

from pathlib import Path


def peak_mb() -> float:
    """Read the peak memory of this process, in MB (on Linux; elsewhere nan).

    `ru_maxrss` would not do: a new process inherits it from the one that started it.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes[0]) / 1024 if kilobytes else float("nan")


_before = peak_mb()
from ssd_model import runtime

runtime.prepare()

PADDLE_MB = peak_mb() - _before
"""The memory that importing Paddle takes; the other engines do not need it."""
