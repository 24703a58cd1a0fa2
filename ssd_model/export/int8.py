"""Eight-bit integers instead of floats, without training: post-training quantisation of ONNX."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
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
    """Write a model whose convolutions compute with int8 weights and uint8 activations.

    Each filter has a scale of its own; each activation has one, from the range of its values on
    the calibration images. All else stays float32. By ONNX Runtime.

    Args:
        path: an ONNX file of `export_onnx`; target: the file to write.
        batches: calibration images, [N, 3, S, S] float32 each.

    Returns:
        Bytes of the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        fused, quantized = Path(folder) / "fused.onnx", Path(folder) / "quantized.onnx"
        # Batch norm goes into the convolutions, where it costs no scale of its own.
        quant_pre_process(path, fused, skip_symbolic_shape=True)
        quantize_static(
            fused,
            quantized,
            _Batches(batches),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        content = quantized.read_bytes()
    write_file(target, content)
    return len(content)
