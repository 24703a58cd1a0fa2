"""Export the detector to ncnn, an engine for boards and phones; `make engines` installs it."""

import sys
from importlib.util import find_spec
from pathlib import Path

import onnx

from ssd_model.export.conversion import convert
from ssd_model.export.onnx_metadata import read_metadata
from ssd_model.files import write_file, write_json


def is_installed() -> bool:
    """Whether ncnn and its converter, pnnx, are installed."""
    return all(find_spec(name) for name in ("ncnn", "pnnx"))


def export_ncnn(path: Path, target: Path) -> int:
    """Write an ONNX file in ncnn's format, in float32, for one image at a time.

    The blob `in0` is the image, `out0` the boxes [P, 4], `out1` the scores [C, P].

    Args:
        path: an ONNX file written by `export_onnx`, without suppression.
        target: the file for the layers, `x.ncnn.param`; the weights, `x.ncnn.bin`, and the ONNX
            file's metadata, `x.ncnn.json`, are written beside it.

    Returns:
        The size of the layers and the weights in bytes.

    Raises:
        RuntimeError: pnnx failed; the message is the end of its output.
    """
    (image,) = onnx.load(path).graph.input
    sides = [dim.dim_value for dim in image.type.tensor_type.shape.dim[1:]]
    # The package's Python module would import torch, which its program does not need.
    (package,) = find_spec("pnnx").submodule_search_locations
    program = Path(package) / ("pnnx.exe" if sys.platform == "win32" else "pnnx")
    shape = ",".join(map(str, [1, *sides]))
    # Half precision, its default, changes scores by a thousandth.
    command = [program, "model.onnx", f"inputshape=[{shape}]", "fp16=0"]
    contents = convert(path, command, "model.ncnn.param", "model.ncnn.bin")
    for end, content in zip((".param", ".bin"), contents, strict=True):
        write_file(target.with_suffix(end), content)
    write_json(target.with_suffix(".json"), read_metadata(path))
    return sum(map(len, contents))
