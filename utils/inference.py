"""Saved models: write them, and run them in a process of their own.

A model beside others in one process shares their threads and memory, and may run several times
slower than alone; and only a fresh process shows that the files are all that is needed.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
import paddle.inference
from paddle.static import Program, Variable

from ssd_model.weights import read_tensors, write_file, write_tensors
from utils import runtime
from utils.paths import ROOT


def save_inference_model(
    prefix: Path, program: Program, image: Variable, outputs: list[Variable], scope
) -> int:
    """Write what is needed to go from `image` to `outputs`, as `fluid.io.save_inference_model`.

    Args:
        prefix: the files are `prefix`.pdmodel and `prefix`.pdiparams.

    Returns:
        Bytes of both files.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    # The training kernels' choice would be written into the model; the predictor makes its own.
    program = runtime.without_onednn(program)
    block = program.global_block()
    with paddle.static.scope_guard(scope):
        paddle.static.save_inference_model(
            str(prefix),
            [block.var(image.name)],
            [block.var(output.name) for output in outputs],
            paddle.static.Executor(paddle.CPUPlace()),
            program=program,
        )
    _forget_call_stacks(Path(f"{prefix}.pdmodel"))
    return sum(Path(f"{prefix}{end}").stat().st_size for end in (".pdmodel", ".pdiparams"))


def _forget_call_stacks(model: Path) -> None:
    """Take out of a saved model where in this process, on this machine, its operators were made.

    Who gets the model has no use for these paths, and the file's size would depend on them.
    """
    program = Program.parse_from_string(model.read_bytes())
    for block in program.blocks:
        for op in block.ops:
            if op.has_attr("op_callstack"):
                op._remove_attr("op_callstack")
    write_file(model, program.desc.serialize_to_string())


@dataclass(frozen=True)
class Prediction:
    """What a model in a fresh process gave."""

    outputs: list[np.ndarray]
    milliseconds: list[float]
    """Of each timed run; one run is one batch."""


def predict(prefix: Path, image: np.ndarray, runs: int = 0) -> Prediction:
    """Load a saved model in a fresh process and run it.

    Args:
        prefix: of the model's files, for Paddle Inference; or an ONNX file, for ONNX Runtime.
        image: [N, 3, S, S] float32.
        runs: timed runs after the first; none by default.

    Raises:
        RuntimeError: the process failed; the message is its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "image", Path(folder) / "outputs"
        write_tensors(source, {"image": image})
        files = [Path(prefix).resolve(), source, target]
        command = [sys.executable, "-m", "utils.inference", *files, str(runs)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{prefix} did not run in a fresh process: {done.stderr[-2000:]}")
        arrays, metadata = read_tensors(target)
    outputs = [arrays[str(i)] for i in range(len(arrays))]
    return Prediction(outputs, json.loads(metadata["milliseconds"]))


def compare_latency(prefixes: dict[str, Path], image: np.ndarray, runs: int, rounds: int) -> dict:
    """Median milliseconds of several models on one batch, each in processes of its own, in turns.

    Args:
        image: [N, 3, S, S] float32, the batch.
        runs: timed runs a process; rounds: processes a model.
    """
    times: dict[str, list[float]] = {name: [] for name in prefixes}
    for _ in range(rounds):
        for name, prefix in prefixes.items():
            times[name] += predict(prefix, image, runs).milliseconds
    return {name: float(np.median(values)) for name, values in times.items()}


Engine = Callable[[np.ndarray], list[np.ndarray]]
"""From a batch [N, 3, S, S] float32 to a model's outputs."""


def load_onnx(path: Path) -> Engine:
    """ONNX Runtime on the CPU, with all cores."""
    # Here, since it need not be loaded beside Paddle.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.cores()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (image,) = (value.name for value in session.get_inputs())
    return lambda batch: session.run(None, {image: batch})


def load_paddle(prefix: Path, backend: str | None = None) -> Engine:
    """Paddle Inference on the CPU, with all cores.

    Args:
        backend: what computes: 'native', 'onednn' or 'openvino'; by default the quickest that
            the wheel carries.
    """
    if backend is None:
        # Only the wheels for Linux on x86 are built with OpenVINO.
        linux = sys.platform == "linux" and platform.machine() == "x86_64"
        backend = "openvino" if linux else "onednn"
    config = paddle.inference.Config(f"{prefix}.pdmodel", f"{prefix}.pdiparams")
    if backend == "openvino":
        config.enable_openvino_engine(paddle.inference.PrecisionType.Float32)
        # Else it keeps a copy of every model in the working folder.
        cache = tempfile.TemporaryDirectory(prefix="openvino")
        config.set_optim_cache_dir(cache.name)
    elif backend == "onednn":
        config.enable_mkldnn()
    else:
        config.disable_mkldnn()
    config.set_cpu_math_library_num_threads(runtime.cores())
    config.enable_memory_optim()
    config.disable_glog_info()
    predictor = paddle.inference.create_predictor(config)
    (image,) = predictor.get_input_names()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        predictor.get_input_handle(image).copy_from_cpu(batch)
        predictor.run()
        names = predictor.get_output_names()
        return [predictor.get_output_handle(name).copy_to_cpu() for name in names]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a saved model once, then time it.")
    parser.add_argument("prefix", type=Path)
    parser.add_argument("source", type=Path, help="safetensors file with `image`")
    parser.add_argument("target", type=Path, help="safetensors file for the outputs")
    parser.add_argument("runs", type=int)
    arguments = parser.parse_args()
    image = read_tensors(arguments.source)[0]["image"]
    load = load_onnx if arguments.prefix.suffix == ".onnx" else load_paddle
    run = load(arguments.prefix)
    outputs = run(image)
    milliseconds = []
    for _ in range(arguments.runs):
        start = time.perf_counter()
        run(image)
        milliseconds.append(1e3 * (time.perf_counter() - start))
    arrays = {str(i): output for i, output in enumerate(outputs)}
    write_tensors(arguments.target, arrays, {"milliseconds": json.dumps(milliseconds)})


if __name__ == "__main__":
    main()
