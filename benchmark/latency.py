"""One engine, one network: milliseconds of a batch, and peak memory."""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmark import PADDLE_MB, peak_mb
from benchmark.board_engines import BOARD_ENGINES
from benchmark.networks import CLASS_NUM
from ssd_model.engines import Engine, load_onnx, load_paddle
from ssd_model.runtime import cores
from ssd_model.weights import read_tensors


def load_openvino(path: Path) -> Engine:
    """OpenVINO on the CPU, tuned for latency."""
    import openvino

    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": cores()}
    model = openvino.Core().compile_model(path, "CPU", settings)
    return lambda batch: list(model(batch).values())


def load_torch(prefix: Path) -> Engine:
    """Eager PyTorch, channels_last."""
    import torch

    from benchmark.torch_ssd import MobileNetSSD, boxes_and_scores

    torch.set_num_threads(cores())
    network = MobileNetSSD(read_tensors(Path(f"{prefix}.safetensors"))[0], CLASS_NUM).eval()
    network = network.to(memory_format=torch.channels_last)

    reference = read_tensors(Path(f"{prefix}.reference"))[0]
    priors = [torch.from_numpy(reference[name]) for name in ("priors", "variances")]

    @torch.inference_mode()
    def run(batch: np.ndarray) -> list[np.ndarray]:
        image = torch.from_numpy(batch).contiguous(memory_format=torch.channels_last)
        return [output.numpy() for output in boxes_and_scores(*network(image), *priors)]

    return run


ENGINES = {
    "Paddle": lambda prefix: load_paddle(prefix, "native"),
    "Paddle, oneDNN": lambda prefix: load_paddle(prefix, "onednn"),
    "Paddle, OpenVINO": lambda prefix: load_paddle(prefix, "openvino"),
    "ONNX Runtime": lambda prefix: load_onnx(Path(f"{prefix}.onnx")),
    "OpenVINO": lambda prefix: load_openvino(Path(f"{prefix}.onnx")),
    "PyTorch": load_torch,
}
"""What `make benchmark` measures."""


def main() -> None:
    engines = ENGINES | {name: engine.load for name, engine in BOARD_ENGINES.items()}
    parser = argparse.ArgumentParser(description="Time one engine on one network.")
    parser.add_argument("engine", choices=engines)
    parser.add_argument("prefix", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", required=True)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    run = engines[arguments.engine](arguments.prefix)
    _check(run, Path(f"{arguments.prefix}.reference"))
    milliseconds = {}
    for batch in arguments.batches:
        shape = batch, 3, arguments.size, arguments.size
        images = np.random.default_rng(0).uniform(-1, 1, shape).astype("float32")
        for _ in range(3):  # The first runs choose kernels and get their memory.
            run(images)
        milliseconds[batch] = [_timed(run, images) for _ in range(arguments.runs)]
    not_theirs = 0 if arguments.engine.startswith("Paddle") else PADDLE_MB
    print(json.dumps({"milliseconds": milliseconds, "peak_mb": peak_mb() - not_theirs}))


def _check(run: Engine, path: Path) -> None:
    """What is timed must be the same network, and compute the same."""
    reference = read_tensors(path)[0]
    for name, output in zip(("boxes", "scores"), run(reference["image"]), strict=True):
        np.testing.assert_allclose(output, reference[name], atol=1e-3, err_msg=name)


def _timed(run: Engine, images: np.ndarray) -> float:
    start = time.perf_counter()
    run(images)
    return 1e3 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
