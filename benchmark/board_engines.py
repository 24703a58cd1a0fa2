"""The engines for boards that are measured. The project carries ncnn; MNN and LiteRT stay here."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ssd_model.engines import Engine, load_ncnn
from ssd_model.export import ncnn_model
from ssd_model.export.conversion import convert
from ssd_model.files import write_file
from ssd_model.runtime import cores
from utils.paths import BUILD

# The compiled module below `MNN.tools`. Importing `MNN.tools` itself would install a package by pip
# and then connect to a server of MNN's makers; this does neither.
MNN_CONVERTER = (sys.executable, "-c", "import sys, _tools; _tools.mnnconvert(sys.argv)")
LITERT_CONVERTER = BUILD / "onnx2tf" / "bin" / "onnx2tf"


@dataclass(frozen=True)
class BoardEngine:
    """An engine whose file is converted from an ONNX file."""

    ending: str
    export: Callable[[Path, Path], object]
    """Writes the ONNX file in the engine's format."""
    load_file: Callable[[Path], Engine]
    is_installed: Callable[[], bool]
    """Whether the engine and its converter are installed."""

    def write(self, prefix: Path) -> None:
        """Convert the ONNX file of a `Network`."""
        self.export(Path(f"{prefix}.onnx"), Path(f"{prefix}{self.ending}"))

    def load(self, prefix: Path) -> Engine:
        """Load what `write` wrote."""
        return self.load_file(Path(f"{prefix}{self.ending}"))


def export_mnn(path: Path, target: Path) -> None:
    """Write an ONNX file in MNN's format."""
    arguments = ("-f", "ONNX", "--modelFile", "model.onnx", "--MNNModel", "model.mnn")
    command = (*MNN_CONVERTER, *arguments, "--bizCode", "none")
    write_file(target, *convert(path, command, "model.mnn"))


def load_mnn(path: Path) -> Engine:
    """Load MNN on the CPU, in float32, with all cores."""
    from MNN import expr, nn

    # Other precisions may be half, where the processor supports it.
    settings = {"backend": "CPU", "precision": "high", "numThread": cores()}
    runtime = nn.create_runtime_manager((settings,))
    names = ["image"], ["boxes", "scores"]
    net = nn.load_module_from_file(str(path), *names, runtime_manager=runtime)

    def run(batch: np.ndarray) -> list[np.ndarray]:
        image = expr.placeholder(list(batch.shape), expr.NCHW, expr.float)
        image.write(batch)
        # What `read` returns lies in MNN's memory, which the next run uses again.
        return [np.array(output.read()) for output in net.forward([image])]

    return run


def export_litert(path: Path, target: Path) -> None:
    """Write an ONNX file in LiteRT's format; its image is [N, S, S, 3]."""
    command = (LITERT_CONVERTER, "-i", "model.onnx", "-o", "made", "--not_use_onnxsim", "-n")
    write_file(target, *convert(path, command, "made/model_float32.tflite"))


def load_litert(path: Path) -> Engine:
    """Load LiteRT on the CPU, with all cores."""
    from ai_edge_litert.interpreter import Interpreter

    run_model = Interpreter(str(path), num_threads=cores()).get_signature_runner()

    def run(batch: np.ndarray) -> list[np.ndarray]:
        outputs = run_model(image=np.ascontiguousarray(batch.transpose(0, 2, 3, 1)))
        return [outputs["boxes"], outputs["scores"]]

    return run


def _has_mnn() -> bool:
    return find_spec("MNN") is not None


def _has_litert() -> bool:
    return find_spec("ai_edge_litert") is not None and LITERT_CONVERTER.exists()


BOARD_ENGINES = {
    "ncnn": BoardEngine(".ncnn.param", ncnn_model.export_ncnn, load_ncnn, ncnn_model.is_installed),
    "MNN": BoardEngine(".mnn", export_mnn, load_mnn, _has_mnn),
    "LiteRT": BoardEngine(".tflite", export_litert, load_litert, _has_litert),
}
