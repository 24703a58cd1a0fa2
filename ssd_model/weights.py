"""Weights on disk: write safetensors, completely or not at all; read others' formats, too."""

import glob
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import paddle
from paddle.static import Scope
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ssd_model.files import write_file
from ssd_model.formats.error import WeightsError
from ssd_model.formats.names import Pretrained, rename
from ssd_model.formats.paddle_folder import read_combined, read_folder
from ssd_model.formats.pdparams import is_pickle, read_pdparams
from ssd_model.scope import read_tensor, write_tensor

CHECKSUM = "sha256"
"""The key of the checksum in a file's metadata."""


ARCHIVES = (".tar", ".gz", ".tgz", ".zip")
ACCEPTED = "safetensors, a folder that Paddle 1.x saved, and .pdparams or .pdiparams files"
SHOWN = 8
"""How many names of a list are shown."""

NOT_NUMPYS = ("BF", "F8", "F4")
"""How the number types of safetensors begin that numpy alone does not have."""

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class LoadReport:
    """What a network took from a weights file, by parameter name."""

    loaded: list[str]
    fresh: dict[str, str]
    """Parameters of the network that keep their values, and why."""
    unused: list[str]
    """Arrays in the file that the network has no use for."""
    notes: list[str] = field(default_factory=list)
    """Sentences on what was changed."""

    def __str__(self) -> str:
        lines = [f"{len(self.loaded)} parameters loaded, {len(self.fresh)} start fresh"]
        by_reason: dict[str, list[str]] = {}
        for name, why in self.fresh.items():
            by_reason.setdefault(why, []).append(name)
        reasons = [f"  {_some(names)}: {why}" for why, names in by_reason.items()]
        lines += reasons[: 2 * SHOWN]
        if len(reasons) > 2 * SHOWN:
            lines.append(f"  and so on, for {len(reasons) - 2 * SHOWN} other reasons")
        if self.unused:
            lines.append(
                f"not used of what is in the file: {len(self.unused)} ({_some(self.unused)})"
            )
        return "\n".join(lines + self.notes)


def save_weights(
    program: paddle.static.Program,
    path: Path,
    scope: Scope,
    dtype: str = "float32",
    metadata: dict[str, str] | None = None,
) -> None:
    """Write the parameters of a Program, batch-norm statistics included.

    Args:
        dtype: 'float32', or 'float16' for half the size (tensors that would overflow stay float32).
        metadata: texts for the file's header, by name.
    """
    arrays = {p.name: read_tensor(scope, p.name) for p in program.all_parameters()}
    if dtype == "float16":
        arrays = {name: _as_float16(array) for name, array in arrays.items()}
    write_tensors(path, arrays, metadata)


def load_weights(
    program: paddle.static.Program, path: Path, scope: Scope, strict: bool = False
) -> LoadReport:
    """Fill a Program's parameters from a file, by name and shape.

    The startup program must have run. Parameters that do not fit (for example, the heads for
    another number of classes) keep their values and are named in the report.

    Args:
        path: see `read_weights`.

    Raises:
        WeightsError: the file cannot be read; nothing in it fits; or, with `strict`, something
            does not fit. The scope is then unchanged.
    """
    return fill_parameters(program, read_weights(path, shapes_of(program)), path, scope, strict)


def shapes_of(program: paddle.static.Program) -> dict[str, tuple[int, ...]]:
    """Get the shape of each parameter of a Program."""
    return {p.name: tuple(p.shape) for p in program.all_parameters()}


def read_weights(path: Path, shapes: Shapes) -> Pretrained:
    """Read a file or folder of weights, under this network's names.

    It may be a safetensors file; a folder that Paddle 1.x saved, or a file of many variables in it;
    or a `.pdparams` file, none of whose code is run. Names and input of PaddleClas's MobileNetV1
    and PaddleDetection's SSD are converted to this network's, see `ssd_model.formats.names`.

    Args:
        shapes: shapes of the network's parameters.

    Raises:
        WeightsError: the path is none of these, or is damaged.
    """
    path = Path(path)
    arrays, others = _read_arrays(path, shapes)
    try:
        found = rename(arrays, shapes)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    return replace(found, unused=found.unused + others)


def _read_arrays(path: Path, shapes: Shapes) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the arrays of a file or folder under its own names; list a folder's other files."""
    if path.is_dir():
        return read_folder(path, shapes)
    if re.search("(^|/)https?:/", str(path)):
        raise WeightsError(f"{path} is an address: download the file, and name that")
    if not path.exists():
        near = sorted(each.name for each in path.parent.glob(f"{glob.escape(path.name)}.*"))
        hint = f"; there is {_some(near)}" if near else ""
        raise WeightsError(f"{path}: no such weights file{hint}")
    if not path.is_file():
        raise WeightsError(f"{path} is neither a file nor a folder")
    if path.suffix.lower() in ARCHIVES:
        raise WeightsError(f"{path} is an archive: unpack it, and name the file or folder in it")
    beginning = _beginning(path)
    if beginning[8:9] == b"{":  # of a safetensors file
        return read_tensors(path)[0], []
    if is_pickle(beginning):
        return read_pdparams(path), []
    if beginning[:4] == bytes(4):
        return read_combined(path, shapes), []
    raise WeightsError(f"{path} {_what_else(path, beginning)}. Accepted are {ACCEPTED}")


def fill_parameters(
    program: paddle.static.Program,
    found: Pretrained,
    path: Path,
    scope: Scope,
    strict: bool = False,
) -> LoadReport:
    """Fill a Program's parameters from what `read_weights` returned; see `load_weights`.

    Args:
        path: the file or folder that was read, for messages.
    """
    arrays, shapes = found.arrays, shapes_of(program)
    fresh = {}
    for name, shape in shapes.items():
        if name not in arrays:
            fresh[name] = "not in the file"
        elif arrays[name].shape != shape:
            fresh[name] = (
                f"the file has shape {list(arrays[name].shape)}, the network {list(shape)}"
            )
    loaded = [name for name in shapes if name not in fresh]
    unused = [name for name in arrays if name not in shapes] + found.unused
    report = LoadReport(loaded, fresh, unused, found.notes)
    if not loaded or (strict and (fresh or unused)):
        raise WeightsError(f"{path} does not fit this network: {report}")
    filled = {name: _as_float32(name, arrays[name], path) for name in loaded}
    for name, array in filled.items():
        write_tensor(scope, name, array)
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
    """Read the tensors and metadata of a safetensors file.

    Raises:
        WeightsError: the file is missing or incomplete, or its checksum does not match.
    """
    try:
        with safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118
                if (kind := file.get_slice(name).get_dtype()).startswith(NOT_NUMPYS):
                    raise WeightsError(f"{path}: {name} is of type {kind}: save it as float32")
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weights file") from None
    except WeightsError:
        raise
    except (SafetensorError, OSError, AttributeError, TypeError, ValueError) as error:
        # AttributeError: a number type that numpy lacks
        raise WeightsError(f"{path} is not a complete safetensors file: {error}") from error
    checksum = metadata.pop(CHECKSUM, None)
    if checksum and checksum != _checksum(arrays, metadata):
        raise WeightsError(f"{path} is damaged: its checksum does not fit")
    return arrays, metadata


def _checksum(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> str:
    """Compute the SHA-256 of everything in a file."""
    shapes = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    digest = hashlib.sha256(json.dumps([metadata, shapes], sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(arrays[name])
    return digest.hexdigest()


def _as_float32(name: str, array: np.ndarray, path: Path) -> np.ndarray:
    if array.dtype.kind != "f":
        raise WeightsError(
            f"{path}: {name} holds numbers of type {array.dtype}: quantised weights are not read"
        )
    with np.errstate(over="ignore"):
        single = array.astype("float32")
    if not np.isfinite(single).all():
        raise WeightsError(f"{path} is damaged: {name} holds values that are not numbers")
    return single


def _as_float16(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = array.astype("float16")
    return half if np.isfinite(half).all() else array


def _beginning(path: Path) -> bytes:
    """The first bytes of a file, which show its format."""
    try:
        with path.open("rb") as file:
            return file.read(9)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror})") from error


def _what_else(path: Path, beginning: bytes) -> str:
    """Say what a file is that holds no weights which are read."""
    if not beginning:
        return "is empty"
    if beginning.startswith(b"PK"):
        return "is a zip archive, as PyTorch saves weights, which are not read"
    if beginning.startswith((b"version ", b"<")):
        return "is a web page or a pointer of Git LFS: download the file itself"
    if path.suffix == ".pdmodel":
        return "is a Program without weights: name the .pdiparams beside it"
    return "is not a file of weights"


def _some(names: Iterable[str]) -> str:
    """List a few names, and say how many more there are."""
    names = [name if len(name) <= 100 else f"{name[:100]}..." for name in names]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
