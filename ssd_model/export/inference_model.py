"""Save a network in Paddle's own format for inference."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import paddle
from paddle.static import Program, Scope, Variable

from ssd_model import kernels
from ssd_model.engines import input_shape
from ssd_model.files import write_file, write_json
from ssd_model.place import default_place

FILES = (".pdmodel", ".pdiparams")
DESCRIPTION = ".classes.json"
"""The ending of the file beside a model that names its classes."""


class ModelError(ValueError):
    """A saved model cannot be used."""


@dataclass(frozen=True)
class Description:
    """Facts about a saved model that its files do not hold."""

    classes: tuple[str, ...]
    """The class names, without the background."""
    image_size: int
    """The side of its input in pixels."""


def save_inference_model(
    prefix: Path,
    program: Program,
    image: Variable,
    outputs: list[Variable],
    scope: Scope,
    classes: Sequence[str] | None = None,
) -> int:
    """Save the part from `image` to `outputs`, like `fluid.io.save_inference_model`.

    Args:
        prefix: the files are `prefix`.pdmodel and `prefix`.pdiparams.
        classes: names without the background, saved in `prefix`.classes.json for `make detect`.

    Returns:
        The size of the model's two files in bytes.
    """
    prefix.parent.mkdir(parents=True, exist_ok=True)
    # The choice of training kernels would be saved in the model; the predictor makes its own.
    program = kernels.without_onednn(program)
    block = program.global_block()
    with paddle.static.scope_guard(scope):
        paddle.static.save_inference_model(
            str(prefix),
            [block.var(image.name)],
            [block.var(output.name) for output in outputs],
            paddle.static.Executor(default_place()),
            program=program,
        )
    _forget_call_stacks(Path(f"{prefix}.pdmodel"))
    if classes is not None:
        description = {"classes": list(classes), "image_size": image.shape[2]}
        checksums = {"sha256": _checksum(prefix)}
        write_json(Path(f"{prefix}{DESCRIPTION}"), description | checksums)
    return sum(Path(f"{prefix}{end}").stat().st_size for end in FILES)


def read_description(prefix: Path) -> Description:
    """Read the classes of a saved model and the size of its input.

    Raises:
        ModelError: the model or its description is missing, or they do not belong together.
    """
    missing = [end for end in (*FILES, DESCRIPTION) if not Path(f"{prefix}{end}").is_file()]
    if missing:
        raise ModelError(
            f"there is no {prefix}{missing[0]}: `make run-notebooks` saves models with their "
            "classes under build/models"
        )
    path = Path(f"{prefix}{DESCRIPTION}")
    try:
        content = json.loads(path.read_bytes())
        classes, size, checksum = (content[key] for key in ("classes", "image_size", "sha256"))
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} does not describe a model: {error!r}") from error
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise ModelError(f'{path} does not describe a model: its "classes" are not a list of names')
    if checksum != _checksum(prefix):
        raise ModelError(
            f"{path} is not of this model: its files have changed since. Save it again, or put the "
            "three files together that belong together"
        )
    side = input_shape(prefix)[2]
    if size != side:
        raise ModelError(f'{path} is not of this model: its "image_size" is {size}; make it {side}')
    return Description(tuple(classes), side)


def _checksum(prefix: Path) -> str:
    """Compute the SHA-256 of a model's files."""
    digest = hashlib.sha256()
    for end in FILES:
        digest.update(Path(f"{prefix}{end}").read_bytes())
    return digest.hexdigest()


def _forget_call_stacks(model: Path) -> None:
    """Remove from a saved model the call stacks that show where its operators were made.

    Users of the model have no use for these paths, and the file's size would depend on them.
    """
    program = Program.parse_from_string(model.read_bytes())
    for block in program.blocks:
        for op in block.ops:
            if op.has_attr("op_callstack"):
                op._remove_attr("op_callstack")
    write_file(model, program.desc.serialize_to_string())
