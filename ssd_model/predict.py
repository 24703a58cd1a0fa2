"""Run saved models, each in its own process.

A model that shares a process with others shares their threads and memory, and may run several
times slower than alone. And only a fresh process shows that nothing but the files is needed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssd_model.engines import load

PACKAGES = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Prediction:
    """The results of a model in a fresh process."""

    outputs: list[np.ndarray]
    milliseconds: list[float]
    """The time of each timed run; one run is one batch."""


def predict(prefix: Path, image: np.ndarray, runs: int = 0) -> Prediction:
    """Load a saved model in a fresh process and run it.

    Args:
        prefix: the prefix of the model's files, for Paddle Inference; or an ONNX file, for ONNX
            Runtime; or ncnn's `.param`.
        image: [N, 3, S, S] float32.
        runs: timed runs after the first; none by default.

    Raises:
        RuntimeError: the process failed; the message quotes the end of its error output.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "image.npy", Path(folder) / "outputs.npz"
        np.save(source, image)
        files = [Path(prefix).resolve(), source, target]
        command = [sys.executable, "-m", "ssd_model.predict", *files, str(runs)]
        done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{prefix} did not run in a fresh process: {done.stderr[-2000:]}")
        with np.load(target) as arrays:
            milliseconds = arrays["milliseconds"].tolist()
            outputs = [arrays[name] for name in arrays.files if name != "milliseconds"]
    return Prediction(outputs, milliseconds)


def compare_latency(prefixes: dict[str, Path], image: np.ndarray, runs: int, rounds: int) -> dict:
    """Compare the median milliseconds of models on one batch, each in its own processes, in turns.

    Args:
        image: [N, 3, S, S] float32, the batch.
        runs: timed runs per process; rounds: processes per model.
    """
    times: dict[str, list[float]] = {name: [] for name in prefixes}
    for _ in range(rounds):
        for name, prefix in prefixes.items():
            times[name] += predict(prefix, image, runs).milliseconds
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a saved model once, then time it.")
    parser.add_argument("prefix", type=Path)
    parser.add_argument("source", type=Path, help=".npy file with the batch")
    parser.add_argument("target", type=Path, help=".npz file for the outputs")
    parser.add_argument("runs", type=int)
    arguments = parser.parse_args()
    image = np.load(arguments.source)
    run = load(arguments.prefix)
    outputs = run(image)
    milliseconds = []
    for _ in range(arguments.runs):
        start = time.perf_counter()
        run(image)
        milliseconds.append(1e3 * (time.perf_counter() - start))
    np.savez(arguments.target, *outputs, milliseconds=milliseconds)


if __name__ == "__main__":
    main()
