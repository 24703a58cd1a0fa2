"""Parameters on disk: safetensors, never pickle, written whole or not at all."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paddle
from paddle.static import Scope
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ssd_model.files import write_file
from ssd_model.scope import read_tensor, write_tensor

CHECKSUM = "sha256"
"""Key of the checksum in a file's metadata."""


class WeightsError(ValueError):
    """A weights file that cannot be read, or does not fit the network."""


@dataclass(frozen=True)
class LoadReport:
    """What a weights file gave to a network, by parameter name."""

    loaded: list[str]
    fresh: dict[str, str]
    """Parameters of the network that keep their values, and why."""
    unused: list[str]
    """Tensors of the file that the network has no place for."""

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} parameters loaded, {len(self.fresh)} start fresh"]
        lines += [f"  {name}: {why}" for name, why in self.fresh.items()]
        if self.unused:
            lines.append(f"{len(self.unused)} tensors of the file unused: {', '.join(self.unused)}")
        return "\n".join(lines)


def save_weights(
    program: paddle.static.Program,
    path: Path,
    scope: "Scope | None" = None,
    dtype: str = "float32",
    metadata: dict[str, str] | None = None,
) -> None:
    """Write the parameters of a Program, batch-norm statistics included.

    Args:
        dtype: 'float32', or 'float16' for half the size (a tensor that would overflow stays).
        metadata: kept in the file's header.
    """
    scope = scope or paddle.static.global_scope()
    arrays = {p.name: read_tensor(scope, p.name) for p in program.all_parameters()}
    if dtype == "float16":
        arrays = {name: _as_float16(array) for name, array in arrays.items()}
    write_tensors(path, arrays, metadata)


def load_weights(
    program: paddle.static.Program, path: Path, scope: "Scope | None" = None, strict: bool = False
) -> LoadReport:
    """Fill the parameters of a Program that a file has, by name and shape.

    The startup program must have run. What does not fit (say, the heads of another number of
    classes) keeps its value and is named in the report.

    Raises:
        WeightsError: the file cannot be read; nothing in it fits; or, with `strict`, anything at
            all does not fit. The scope is then as it was.
    """
    scope = scope or paddle.static.global_scope()
    arrays, _ = read_tensors(path)
    parameters = {p.name: tuple(p.shape) for p in program.all_parameters()}
    fresh = {}
    for name, shape in parameters.items():
        if name not in arrays:
            fresh[name] = "not in the file"
        elif arrays[name].shape != shape:
            fresh[name] = (
                f"the file has shape {list(arrays[name].shape)}, the network {list(shape)}"
            )
    loaded = [name for name in parameters if name not in fresh]
    unused = [name for name in arrays if name not in parameters]
    report = LoadReport(loaded, fresh, unused)
    if not loaded or (strict and (fresh or unused)):
        raise WeightsError(f"{path} does not fit this network: {report}")
    for name in loaded:
        write_tensor(scope, name, arrays[name].astype("float32"))
    return report


def write_tensors(path: Path, arrays: dict[str, np.ndarray], metadata: dict | None = None) -> None:
    """Write a safetensors file with a checksum in its header.

    Args:
        metadata: texts by name.

    Raises:
        OSError: see `write_file`.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = metadata or {}
    write_file(path, save(arrays, metadata | {CHECKSUM: _checksum(arrays, metadata)}))


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    Raises:
        WeightsError: the file is missing, is not whole, or its checksum does not fit.
    """
    try:
        with safe_open(path, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except (SafetensorError, OSError, AttributeError, TypeError, ValueError) as error:
        # AttributeError: a type of numbers that numpy lacks
        raise WeightsError(f"{path} is not a whole safetensors file: {error}") from error
    checksum = metadata.pop(CHECKSUM, None)
    if checksum and checksum != _checksum(arrays, metadata):
        raise WeightsError(f"{path} is damaged: its checksum does not fit")
    return arrays, metadata


def _checksum(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    """SHA-256 of everything that a file says."""
    shapes = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    digest = hashlib.sha256(json.dumps([metadata, shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(arrays[name])
    return digest.hexdigest()


def _as_float16(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = array.astype("float16")
    return half if np.isfinite(half).all() else array
