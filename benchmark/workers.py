"""Measure several workers beside one process: results/workers.json, tables in docs/workers.md.

`make benchmark-workers` runs this. It times them on this machine, and on two hosts made of network
namespaces, whose cable is limited; for more machines there is a model.
"""

import json
import os
import platform
import shlex
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.hosts import ADDRESSES, NoHostsError, two_hosts
from benchmark.training import BATCH, first_feed
from benchmark.worker_page import tables, write_page
from ssd_model.files import write_json
from ssd_model.runtime import cores
from ssd_model.star import free_port
from study.machine import machine
from utils.paths import BUILD, RESULTS, ROOT

FEED = BUILD / "benchmark" / "batch.npz"
"""The batch that is trained on."""
RATIOS = (0.0, 0.5)
RATES = (None, 1.0, 0.1)
"""Gbit/s between the hosts."""
TURNS = {"rounds": 3, "runs": 5}
LIMIT = 180
"""Seconds that a measurement may take."""


def measure(
    ratio: float, count: int, threads: int, runs: int, hosts: Sequence[str] = (), feed: Path = FEED
) -> dict[str, Any]:
    """Run some workers, each in its own process, and return what worker 0 printed.

    Args:
        ratio: the target_ratio of the network.
        hosts: on which host each worker runs; none for this machine.
        feed: the file of the batch.

    Raises:
        RuntimeError: a worker failed.
        subprocess.TimeoutExpired: they took longer than `LIMIT`.
    """
    first = f"{ADDRESSES[0]}:7100" if hosts else f"127.0.0.1:{free_port()}"
    common = {
        "OMP_NUM_THREADS": str(threads),
        "PADDLE_TRAINERS_NUM": str(count),
        "PADDLE_TRAINER_ENDPOINTS": first,
    }
    command = [
        sys.executable,
        "-m",
        "benchmark.worker_step",
        str(ratio),
        str(feed),
        "--runs",
        str(runs),
    ]
    prefixes = [["ip", "netns", "exec", host] for host in hosts] or [[]] * count
    started = [
        subprocess.Popen(
            [*prefix, *command],
            cwd=ROOT,
            env=os.environ | common | {"PADDLE_TRAINER_ID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, prefix in enumerate(prefixes)
    ]
    try:
        said = [process.communicate(timeout=LIMIT) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    if failed := [
        (p, errors) for p, (_, errors) in zip(started, said, strict=True) if p.returncode
    ]:
        words = [f"status {p.returncode} of {shlex.join(p.args)}: {e[-2000:]}" for p, e in failed]
        raise RuntimeError("\n".join(words))
    return json.loads(said[0][0].splitlines()[-1])


def medians(ones: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What several runs of the same measurement come to."""
    times, every = defaultdict(list), list(ones)
    for one in every:
        for part, milliseconds in one["milliseconds"].items():
            times[part] += milliseconds
    return {
        "milliseconds": {part: float(np.median(values)) for part, values in times.items()},
        "memory_mb": max(one["memory_mb"] for one in every),
        "megabytes": every[0]["megabytes"],
        "calls": every[0]["calls"],
    }


def on_this_machine(rounds: int, runs: int) -> list[dict[str, Any]]:
    """Measure one process on all cores and, in turns with it, as many workers as there are cores.

    They share a batch equally, so where their number does not divide it, they are fewer.
    """
    most = max(2, *(n for n in range(1, cores() + 1) if BATCH % n == 0))
    told = defaultdict(list)
    for _ in range(rounds):
        for ratio in RATIOS:
            for count in (1, most):
                one = measure(ratio, count, max(1, cores() // count), runs)
                told[ratio, count].append(one)
    return [
        {"target_ratio": ratio, "workers": count, **medians(ones)}
        for (ratio, count), ones in told.items()
    ]


def between_hosts(runs: int) -> list[dict[str, Any]]:
    """Measure a worker of one thread on each of two hosts, by what their cable lets through.

    Raises:
        NoHostsError: this machine cannot have them.
    """
    rows = []
    for gigabits in RATES:
        with two_hosts(gigabits) as hosts:
            rows.append({"gigabits": gigabits, **medians([measure(0.0, 2, 1, runs, hosts)])})
    return rows


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # `two_hosts` cleans up, then
    FEED.parent.mkdir(parents=True, exist_ok=True)
    np.savez(FEED, **first_feed())
    result = {
        "machine": machine(),
        "versions": {"python": platform.python_version(), "paddlepaddle": version("paddlepaddle")},
        "images": BATCH,
        "here": on_this_machine(**TURNS),
    }
    try:
        result |= {"hosts": between_hosts(TURNS["runs"]), "no_hosts": ""}
    except NoHostsError as error:
        result |= {"hosts": [], "no_hosts": str(error)}
    write_json(RESULTS / "workers.json", result)
    write_page(RESULTS, result)
    for columns, *lines in tables(result).values():
        print(pd.DataFrame(lines, columns=columns).to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
