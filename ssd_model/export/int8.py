"""Eight-bit integers instead of floats, without training: post-training quantisation of ONNX."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from ssd_model.files import write_file


class _Batches(CalibrationDataReader):
    def __init__(self, batches: Iterable[np.ndarray]):
        self._batches = iter(batches)

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def quantize(path: Path, target: Path, batches: Iterable[np.ndarray]) -> int:
    """Write a model that computes most of its convolutions in int8, by ONNX Runtime.

    These have int8 weights, with a scale for each filter, and uint8 activations, with a scale each,
    from the range of its values on the calibration images. The others are little work and much of
    the error, and stay float32: the first convolution, the depthwise ones and the heads. Their
    filters are kept as in `quantize_weights`.

    Args:
        path: an ONNX file of `export_onnx`; target: the file to write.
        batches: calibration images, [N, 3, S, S] float32 each.

    Returns:
        Bytes of the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        fused, quantized = _fused(path, folder), Path(folder) / "quantized.onnx"
        quantize_static(
            fused,
            quantized,
            _Batches(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_stay_float(onnx.load(fused).graph),
            per_channel=True,
            # Weights of seven bits: with eight, x86 without VNNI overflows the 16 bits in which it
            # adds up two products. Elsewhere the eighth brings next to nothing.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return _write(onnx.load(quantized), path, target)


def quantize_weights(path: Path, target: Path) -> int:
    """Write a model whose filters are kept as int8 and computed with as float32.

    It needs no calibration and has a quarter of the size; it is as quick as before, for an engine
    makes floats of the filters once, when it loads them. Each filter has a scale of its own.

    Args:
        path: an ONNX file of `export_onnx`; target: the file to write.

    Returns:
        Bytes of the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _write(onnx.load(_fused(path, folder)), path, target)


def _stay_float(graph: onnx.GraphProto) -> list[str]:
    """Names of the convolutions that read the image, that are depthwise, or that are heads."""
    activated = {node.input[0] for node in graph.node if node.op_type == "Relu"}
    names = []
    for node in graph.node:
        groups = [attribute.i for attribute in node.attribute if attribute.name == "group"]
        if node.op_type == "Conv" and (
            node.input[0] == "image" or max(groups) > 1 or node.output[0] not in activated
        ):
            names.append(node.name)
    return names


def _keep_as_int8(graph: onnx.GraphProto) -> None:
    """Keep the float filters of convolutions as integers, of which the graph makes floats."""
    filters = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    constants, nodes = [], []
    for tensor in graph.initializer:
        if tensor.name not in filters:
            constants.append(tensor)
            continue
        kept, cast, scale = (f"{tensor.name}.{part}" for part in ("int8", "cast", "scale"))
        for name, array in zip((kept, scale), _as_int8(numpy_helper.to_array(tensor)), strict=True):
            constants.append(numpy_helper.from_array(array, name))
        # Not DequantizeLinear, which engines leave as it is and compute with every image.
        nodes.append(helper.make_node("Cast", [kept], [cast], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Mul", [cast, scale], [tensor.name]))
    nodes.extend(graph.node)
    for field, values in ((graph.initializer, constants), (graph.node, nodes)):
        del field[:]
        field.extend(values)


def _as_int8(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integers [C, ...] in -127..127 and the scale [C, 1, ...] of each filter."""
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest, 1) / np.float32(127)
    return np.rint(weight / scale).astype("int8"), scale


def _fused(path: Path, folder: str) -> Path:
    """A copy of a model with batch norm in the convolutions, where it costs no scale of its own."""
    fused = Path(folder) / "fused.onnx"
    quant_pre_process(path, fused, skip_symbolic_shape=True)
    return fused


def _write(model: onnx.ModelProto, path: Path, target: Path) -> int:
    """Write what became of the model in `path`, without what only ONNX Runtime has use for."""
    _keep_as_int8(model.graph)
    del model.graph.value_info[:]
    used = {node.domain for node in model.graph.node}
    imports = [
        helper.make_opsetid(entry.domain, entry.version)
        for entry in model.opset_import
        if entry.domain in used
    ]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    facts = {prop.key: prop.value for prop in onnx.load(path).metadata_props}
    helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    write_file(target, content)
    return len(content)
