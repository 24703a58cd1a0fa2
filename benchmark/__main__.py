"""Run every measurement in turns; write results/speed.json and results/speed.md."""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from benchmark.latency import ENGINES
from benchmark.networks import Network
from benchmark.page import ONEDNN, OURS, tables, write_page
from ssd_model.files import write_json
from ssd_model.runtime import cores
from study.machine import machine
from utils.paths import RESULTS, ROOT

RATIOS = (0.0, 0.2, 0.5)
PACKAGES = ("paddlepaddle", "paddleslim", "onnxruntime", "openvino", "torch", "numpy")
BATCHES = (1, 2, 4, 8, 16, 32)
SIZES = (160, 224, 300, 400, 512)
GROWTH_RATIOS = tuple(step / 10 for step in range(9))
MULTIPLES = (1, 8)


def measure(module: str, *arguments: Any, **environment: str) -> dict[str, Any]:
    """Run a measurement in its own process, and return what it printed."""
    command = [sys.executable, "-m", f"benchmark.{module}", *map(str, arguments)]
    env = os.environ | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def latency(
    networks: Iterable[Network],
    engines: Iterable[str],
    batches: Iterable[int],
    *,
    rounds: int,
    runs: int,
) -> list[dict[str, Any]]:
    """Measure median milliseconds per batch, and peak memory, by engine, network and batch."""
    times, peaks = defaultdict(list), {}
    for _ in range(rounds):
        for network in networks:
            for engine in engines:
                told = measure(
                    "latency", engine, network.prefix, "--batches", *batches,
                    "--size", network.image_size, "--runs", runs,
                )  # fmt: skip
                peaks[engine, network] = told["peak_mb"]
                for batch, milliseconds in told["milliseconds"].items():
                    times[engine, network, int(batch)] += milliseconds
    return [
        {
            "engine": engine,
            "target_ratio": network.target_ratio,
            "channel_multiple": network.channel_multiple,
            "image_size": network.image_size,
            "batch": batch,
            "milliseconds": float(np.median(values)),
            "runs": len(values),
            "peak_mb": peaks[engine, network],
        }
        for (engine, network, batch), values in times.items()
    ]


def training(ratios: Iterable[float], rounds: int, runs: int) -> list[dict[str, Any]]:
    """Measure median milliseconds per image of training and evaluation, by framework."""
    told = defaultdict(list)
    for _ in range(rounds):
        for ratio in ratios:
            for framework in ("paddle", "torch"):
                one = measure("training", framework, ratio, "--runs", runs)
                told[framework, ratio].append(one)
            # Both frameworks must time the same network and loss, and compute the same.
            ours, theirs = (told[name, ratio][-1]["first_loss"] for name in ("paddle", "torch"))
            np.testing.assert_allclose(theirs, ours, rtol=1e-3, err_msg="loss of PyTorch, Paddle")
    rows = []
    for (framework, ratio), ones in told.items():
        row: dict[str, Any] = {"framework": framework, "target_ratio": ratio}
        for name in ("train", "evaluate"):
            values = [value for one in ones for value in one["milliseconds"][name]]
            row[f"{name}_ms_an_image"] = float(np.median(values))
        for name in ("wait_share", "loader_images_per_second"):
            row[name] = float(np.median([one[name] for one in ones])) if name in ones[0] else None
        rows.append(row)
    return rows


def planning(ratio: float, rounds: int) -> dict[str, float]:
    """Measure median seconds of search and cut, here and with paddleslim."""
    seconds = defaultdict(list)
    for _ in range(rounds):
        for by in ("here", "paddleslim"):
            seconds[by].append(measure("planning", by, ratio)["seconds"])
    return {by: float(np.median(values)) for by, values in seconds.items()}


def operators(runs: int) -> dict[str, dict[str, float]]:
    """Measure milliseconds of each kind of operator in a training step, by number of threads."""
    return {
        str(threads): measure("operators", 0.0, "--runs", runs, OMP_NUM_THREADS=str(threads))[
            "milliseconds"
        ]
        for threads in sorted({1, cores()})
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast it all is.")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each measurement")
    parser.add_argument("--runs", type=int, default=10, help="timed runs in each of them")
    turns = vars(parser.parse_args())
    networks = [Network(ratio) for ratio in RATIOS]
    growth = {
        "target_ratio": [Network(r, m) for m in MULTIPLES for r in GROWTH_RATIOS],
        "image_size": [Network(r, image_size=size) for r in RATIOS for size in SIZES],
    }
    flops = {}
    for network in {*networks, *growth["target_ratio"], *growth["image_size"]}:
        flops[network] = network.write()
    rows = latency(networks, ENGINES, (1, 8), **turns)
    grown = {
        "target_ratio": latency(growth["target_ratio"], (OURS, ONEDNN), (1,), **turns),
        "image_size": latency(growth["image_size"], [OURS], (1,), **turns),
        "batch": latency(networks, [OURS], BATCHES, **turns),
    }
    for row in (*rows, *(row for several in grown.values() for row in several)):
        network = Network(row["target_ratio"], row["channel_multiple"], row["image_size"])
        row["flops"] = flops[network]
    result = {
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in PACKAGES},
        "latency": rows,
        "growth": grown,
        "training": training((0.0, 0.5), **turns),
        "operators": operators(turns["runs"]),
        "planning_seconds": planning(0.5, turns["rounds"]),
    }
    write_json(RESULTS / "speed.json", result)
    write_page(RESULTS, result)
    for name, (columns, *lines) in tables(result).items():
        print(f"\n{name}", pd.DataFrame(lines, columns=columns).to_string(index=False), sep="\n")


if __name__ == "__main__":
    main()
