"""Read tensors in Paddle 1.x's format, which the operators `save` and `save_combine` still write.

Each consists of a version, levels of detail (none here), a version, a protobuf with type and
shape, and its numbers. A file holds one tensor, or several in a row, without their names.
"""

import struct
from math import prod
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from paddle.base.proto.framework_pb2 import VarType

from ssd_model.formats.error import WeightsError

MAX_BYTES = 2_000_000_000
MAX_TENSORS = 100_000
MAX_AXES = 8
TYPES = {
    VarType.BOOL: np.bool_,
    VarType.INT8: np.int8,
    VarType.UINT8: np.uint8,
    VarType.INT16: np.int16,
    VarType.INT32: np.int32,
    VarType.INT64: np.int64,
    VarType.FP16: np.float16,
    VarType.FP32: np.float32,
    VarType.FP64: np.float64,
}


def begins_as_tensor(path: Path) -> bool:
    """Whether a file begins with version 0, as every tensor does."""
    with path.open("rb") as file:
        return file.read(4) == bytes(4)


def read_lod_tensors(path: Path) -> list[np.ndarray]:
    """Read all tensors of a file, in its order.

    Raises:
        WeightsError: the file ends too early, holds something else, or exceeds `MAX_BYTES`.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise WeightsError(f"{path} has {size:,} bytes, above the limit of {MAX_BYTES:,}")
    source, arrays = _Source(path.read_bytes()), []
    while source.place < len(source.content):
        if len(arrays) == MAX_TENSORS:
            raise WeightsError(f"{path} holds more than {MAX_TENSORS:,} tensors")
        start = source.place
        try:
            arrays.append(_read_tensor(source))
        except (ValueError, DecodeError) as error:
            raise WeightsError(
                f"{path} is incomplete, or not a Paddle tensor: number {len(arrays)}, at byte "
                f"{start:,}: {error}"
            ) from error
    return arrays


class _Source:
    """The bytes of a file, read piece by piece."""

    def __init__(self, content: bytes):
        self.content, self.place = content, 0

    def skip(self, size: int) -> int:
        """Skip this many bytes, and return the place where they begin."""
        start = self.place
        if not 0 <= size <= len(self.content) - start:
            raise ValueError(f"it ends before {size:,} bytes more")
        self.place += size
        return start

    def number(self, form: str) -> int:
        """Read the next number, in a format of `struct`."""
        return struct.unpack_from(form, self.content, self.skip(struct.calcsize(form)))[0]

    def version(self) -> None:
        """Refuse any version but 0, the only one there ever was."""
        version = self.number("<I")
        if version != 0:
            raise ValueError(f"version {version}, where 0 is known")


def _read_tensor(source: _Source) -> np.ndarray:
    source.version()
    levels = source.number("<Q")
    if levels > MAX_AXES:
        raise ValueError(f"{levels:,} levels of detail")
    for _ in range(levels):
        source.skip(source.number("<Q"))
    source.version()
    size = source.number("<i")
    start = source.skip(size)
    description = VarType.TensorDesc.FromString(source.content[start : start + size])
    if description.data_type not in TYPES:
        raise ValueError(f"numbers of type {description.data_type} are not known here")
    shape = tuple(description.dims)
    if len(shape) > MAX_AXES or min(shape, default=0) < 0:
        raise ValueError(f"its shape has {len(shape)} axes, or a negative side")
    dtype = np.dtype(TYPES[description.data_type])
    start = source.skip(prod(shape) * dtype.itemsize)
    return np.frombuffer(source.content, dtype, prod(shape), start).reshape(shape)
