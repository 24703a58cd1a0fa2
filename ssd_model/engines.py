"""The engines that run saved models in this process: ONNX Runtime, ncnn and Paddle Inference.

Each is imported when it is asked for: Paddle takes two seconds, and no other engine needs it.
"""

import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssd_model import runtime

Engine = Callable[[np.ndarray], list[np.ndarray]]
"""From a batch [N, 3, S, S] float32 to a model's outputs."""


def load_onnx(path: Path) -> Engine:
    """ONNX Runtime on the CPU, with all cores."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.cores()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (image,) = (value.name for value in session.get_inputs())
    return lambda batch: session.run(None, {image: batch})


def load_ncnn(param: Path) -> Engine:
    """ncnn on the CPU, in float32, with all cores; image by image.

    Args:
        param: of `export_ncnn`; the weights lie beside it.

    Raises:
        OSError: ncnn cannot read the files.
    """
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = runtime.cores()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    # It returns a status, and tells the reason on stderr.
    if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
        raise OSError(f"ncnn cannot read {param} and its .bin")

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = []
        for image in batch:
            with net.create_extractor() as extractor:
                extractor.input("in0", ncnn.Mat(image))
                outputs.append([np.array(extractor.extract(name)[1]) for name in ("out0", "out1")])
        return [np.stack(output) for output in zip(*outputs, strict=True)]

    return run


def load_paddle(prefix: Path, backend: str | None = None) -> Engine:
    """Paddle Inference on the CPU, with all cores.

    The engine raises a ValueError for a batch that does not fit the model's input.

    Args:
        backend: what computes: 'native', 'onednn' or 'openvino'; by default the quickest that
            the wheel carries.
    """
    runtime.prepare()
    import paddle.inference

    if backend is None:
        # Only the wheels for Linux on x86 are built with OpenVINO.
        linux = sys.platform == "linux" and platform.machine() == "x86_64"
        backend = "openvino" if linux else "onednn"
    config = paddle.inference.Config(f"{prefix}.pdmodel", f"{prefix}.pdiparams")
    if backend == "openvino":
        config.enable_openvino_engine(paddle.inference.PrecisionType.Float32)
    elif backend == "onednn":
        config.enable_mkldnn()
    else:
        config.disable_mkldnn()
    config.set_cpu_math_library_num_threads(runtime.cores())
    config.enable_memory_optim()
    config.disable_glog_info()
    # Else OpenVINO keeps a copy of every model in the working folder; the others keep none.
    with tempfile.TemporaryDirectory(prefix="openvino") as cache:
        config.set_optim_cache_dir(cache)
        predictor = paddle.inference.create_predictor(config)
    (image,) = predictor.get_input_names()
    shape = input_shape(prefix)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        # OpenVINO would only log that it doesn't fit, and give the outputs of the batch before.
        if any(side not in (-1, given) for side, given in zip(shape, batch.shape, strict=True)):
            raise ValueError(f"{prefix}.pdmodel takes a batch of {shape}, not of {batch.shape}")
        predictor.get_input_handle(image).copy_from_cpu(batch)
        predictor.run()
        names = predictor.get_output_names()
        return [predictor.get_output_handle(name).copy_to_cpu() for name in names]

    return run


def input_shape(prefix: Path) -> tuple[int, ...]:
    """The shape that a model in Paddle's format says its input has; -1 is any number."""
    runtime.prepare()
    from paddle.static import Program

    program = Program.parse_from_string(Path(f"{prefix}.pdmodel").read_bytes())
    block = program.global_block()
    (image,) = (op.output("Out")[0] for op in block.ops if op.type == "feed")
    return tuple(block.var(image).shape)


def load(path: Path) -> Engine:
    """The engine for a saved model: `x.onnx`, `x.ncnn.param`, or the prefix of Paddle's files."""
    return {".onnx": load_onnx, ".param": load_ncnn}.get(path.suffix, load_paddle)(path)
