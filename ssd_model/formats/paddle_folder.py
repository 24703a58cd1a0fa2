"""Read a folder that Paddle 1.x saved, with a file for each variable or one file for all.

`fluid.io.save_params`, `save_persistables` and `save_inference_model` write both. A file for all
variables is in the order of their sorted names, but does not hold the names.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from paddle.base.proto.framework_pb2 import ProgramDesc, VarType

from ssd_model.formats.error import WeightsError
from ssd_model.formats.lod_tensor import begins_as_tensor, read_lod_tensors
from ssd_model.formats.names import STATIC

PROGRAMS = ("__model__", "model")
MAX_PROGRAM_BYTES = 100_000_000

Shapes = Mapping[str, tuple[int, ...]]


def read_folder(folder: Path, parameters: Shapes) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the variables of a folder, by name, and list its files of other kinds.

    Args:
        parameters: shapes of the network's own parameters, see `read_combined`.

    Raises:
        WeightsError: a variable's file is damaged; there is no variable at all; or there are
            several files with many variables.
    """
    files = sorted(path for path in folder.iterdir() if path.is_file())
    tensors = [path for path in files if begins_as_tensor(path)]
    arrays, combined = {}, []
    for path in tensors:
        found = read_lod_tensors(path)
        if len(found) == 1:
            arrays[path.name] = found[0]
        else:
            combined.append(path)
    others = [path.name for path in files if path not in tensors and not _is_program(path)]
    damaged = [name for name in others if name in parameters or name in STATIC]
    if damaged:
        raise WeightsError(
            f"{folder / damaged[0]} is not a Paddle variable: save it again, or if it is "
            "a pointer of Git LFS, download the file itself"
        )
    if not tensors:
        raise WeightsError(f"{folder} holds no variables of Paddle 1.x{_hint(folder, files)}")
    if len(combined) > 1:
        names = ", ".join(path.name for path in combined)
        raise WeightsError(f"{folder} holds several files of many variables: name one of {names}")
    for path in combined:
        found = read_combined(path, parameters)
        twice = next(
            (n for n in found if not np.array_equal(found[n], arrays.get(n, found[n]))), ""
        )
        if twice:
            raise WeightsError(
                f"{folder} holds two different {twice}: a file of that name, and one in "
                f"{path.name}. Leave one network in it"
            )
        arrays |= found
    return arrays, others


def read_combined(path: Path, parameters: Shapes) -> dict[str, np.ndarray]:
    """Read a file of many variables, whose names come from the Program saved beside it.

    Without a Program, the names are those of the network's own parameters, if there are equally
    many and the kernels match.

    Args:
        parameters: shapes of the network's own parameters.

    Raises:
        WeightsError: the file is damaged, or the names do not fit it.
    """
    arrays = read_lod_tensors(path)
    if len(arrays) == 1:
        raise WeightsError(f"{path} holds one variable: name its folder, for all of them")
    program = _program_beside(path)
    shapes = _persistable(program) if program else parameters
    names = sorted(shapes)
    whose = f"in {program.name}" if program else "in this network"
    if len(names) != len(arrays):
        advice = "put the Program that it was saved with beside it, as __model__"
        if program:
            advice = f"it was not saved with that Program, which you can remove, or else {advice}"
        raise WeightsError(
            f"{path} holds {len(arrays)} variables without names, and {whose} there are "
            f"{len(names)}: {advice}"
        )
    for name, array in zip(names, arrays, strict=True):
        expected = shapes[name]
        fits = array.shape == expected if program else _same_kernel(array.shape, expected)
        if not fits:
            raise WeightsError(
                f"{path}: a variable of shape {list(array.shape)} stands where {name[:100]} "
                f"{list(expected[:8])} would be {whose}; they do not belong together"
            )
    return dict(zip(names, arrays, strict=True))


def _is_program(path: Path) -> bool:
    return path.name in PROGRAMS or path.suffix == ".pdmodel"


def _program_beside(path: Path) -> Path | None:
    """The Program that was saved with a file of many variables."""
    names = [path.with_suffix(".pdmodel").name, *PROGRAMS]
    found = [path.with_name(name) for name in names if name != path.name]
    return next((program for program in found if program.is_file()), None)


def _persistable(program: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the variables that are saved with a Program."""
    size = program.stat().st_size
    if size > MAX_PROGRAM_BYTES:
        raise WeightsError(f"{program} has {size:,} bytes, above the limit")
    try:
        blocks = ProgramDesc.FromString(program.read_bytes()).blocks
    except DecodeError as error:
        raise WeightsError(f"{program} is not a Paddle Program: {error}") from error
    shapes = {
        var.name: tuple(var.type.dense_tensor.tensor.dims)
        for block in blocks
        for var in block.vars
        if var.persistable and var.type.type == VarType.DENSE_TENSOR
    }
    if not all(isinstance(name, str) for name in shapes):
        raise WeightsError(f"{program} is damaged: a name in it is not text")
    return shapes


def _same_kernel(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    """Whether two filters or vectors differ at most in their channels."""
    return len(shape) == len(expected) and shape[2:] == expected[2:]


def _hint(folder: Path, files: list[Path]) -> str:
    named = [path.name for path in files if path.suffix in (".pdparams", ".safetensors")]
    if named:
        return f"; name the file {named[0]} itself"
    below = (path for path in sorted(folder.glob("*/*")) if path.is_file())
    inner = next((path.parent.name for path in below if begins_as_tensor(path)), None)
    return f"; name the folder {inner} in it" if inner else ""
