"""How fast it all is, beside what a user would pick instead: `make benchmark`.

Every measurement runs in a process of its own (`python -m benchmark.latency ...`), which prints
its numbers as JSON; `benchmark.__main__` runs them in turns.
"""

from pathlib import Path


def peak_mb() -> float:
    """The most memory that this process has held, in MB (Linux; elsewhere nan).

    Not `ru_maxrss`: a new process takes that over from the one that started it.
    """
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    kilobytes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes[0]) / 1024 if kilobytes else float("nan")


_before = peak_mb()
from ssd_model import runtime

runtime.prepare()

PADDLE_MB = peak_mb() - _before
"""What it takes to import Paddle; the other engines can do without."""
