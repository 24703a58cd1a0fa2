"""Two hosts on one machine: network namespaces with a cable between them, slow if asked for."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

ADDRESSES = ("10.77.0.1", "10.77.0.2")
CABLES = ("cable0", "cable1")
"""Its ends, one in each host."""


class NoHostsError(RuntimeError):
    """This machine cannot have them."""


@contextmanager
def two_hosts(gigabits: float | None = None) -> Iterator[Sequence[str]]:
    """Make two hosts, which reach each other at `ADDRESSES` and nothing else.

    Args:
        gigabits: a second that go through the cable, each way; None for as many as it can.

    Yields:
        Their names, for `ip netns exec`.

    Raises:
        NoHostsError: they cannot be made here, for want of a tool or of a right.
    """
    names = [f"host{rank}-{os.getpid()}" for rank in (0, 1)]
    try:
        for name in names:
            _run("ip", "netns", "add", name)
        other_end = ["type", "veth", "peer", "name", CABLES[1], "netns", names[1]]
        _run("ip", "link", "add", CABLES[0], "netns", names[0], *other_end)
        for name, cable, address in zip(names, CABLES, ADDRESSES, strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", cable)
            _run("ip", "-n", name, "link", "set", "lo", "up")
            _run("ip", "-n", name, "link", "set", cable, "up")
            if gigabits:
                # Up to `burst` bytes go at once; what would wait longer than `latency` is lost.
                limit = ["rate", f"{1000 * gigabits:g}mbit", "burst", "256kb", "latency", "50ms"]
                _run("tc", "-n", name, "qdisc", "add", "dev", cable, "root", "tbf", *limit)
        yield names
    finally:
        if shutil.which("ip"):
            for name in names:
                subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _run(*command: str) -> None:
    if not shutil.which(command[0]):
        raise NoHostsError(f"there is no {command[0]} command here, which iproute2 brings")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or f"status {done.returncode}").splitlines()[-1]
        raise NoHostsError(f"`{' '.join(command[:3])}` fails here: {said}")
