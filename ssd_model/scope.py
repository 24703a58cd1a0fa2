"""Read and write a scope's tensors, and free its memory."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import paddle
from paddle.static import Program, Scope, Variable

from ssd_model.place import Place, default_place
from ssd_model.runtime import return_freed_memory


def read_tensor(scope: Scope, name: str) -> np.ndarray:
    """Copy a Variable's value.

    Raises:
        ValueError: the Variable has no value.
    """
    if not has_value(scope, name):
        raise ValueError(
            f"{name} has no value in the scope: run the startup program, or load weights"
        )
    return np.array(scope.find_var(name).get_tensor())


def write_tensor(scope: Scope, name: str, array: np.ndarray) -> None:
    """Replace a Variable's value; the shape may change, the device does not."""
    old = scope.var(name).get_tensor()
    place = _place_of(old) if old._is_initialized() else default_place()
    # Setting the old tensor would keep the layout that oneDNN gave it, so use a new one.
    new = paddle.base.core.DenseTensor()
    new.set(np.ascontiguousarray(array), place)
    old._share_data_with(new)


def _place_of(tensor: paddle.base.core.DenseTensor) -> Place:
    """A tensor's device, in the form that `set` takes."""
    place = tensor._place()
    return paddle.CUDAPlace(place.gpu_device_id()) if place.is_gpu_place() else paddle.CPUPlace()


def weights_digest(scope: Scope, names: Iterable[str]) -> str:
    """Compute a short hash of some tensors' values."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(read_tensor(scope, name))
    return digest.hexdigest()[:16]


def has_value(scope: Scope, name: str) -> bool:
    """Whether a Variable has a value in a scope."""
    var = scope.find_var(name)
    return var is not None and var.get_tensor()._is_initialized()


def kept_variables(scope: Scope, programs: Iterable[Program]) -> list[Variable]:
    """List the Variables that Programs keep between runs and that have values, each once."""
    every = {var.name: var for program in programs for var in program.list_vars()}
    return [var for var in every.values() if var.persistable and has_value(scope, var.name)]


def copy_scope(scope: Scope, program: Program) -> Scope:
    """Make a new scope with copies of the Variables that a Program keeps between runs."""
    copy = paddle.static.Scope()
    for var in kept_variables(scope, [program]):
        write_tensor(copy, var.name, read_tensor(scope, var.name))
    return copy


@contextmanager
def child_scope(scope: Scope) -> Iterator[Scope]:
    """Open a scope inside another to run Programs in; what they leave there is freed at the end.

    Without it, feature maps and the last batch would live as long as the outer scope. Parameters
    are the outer scope's. Make a new Executor for it, since one that has run in a child scope must
    not run in another.
    """
    child = scope.new_scope()
    try:
        yield child
    finally:
        empty_scope(child)


def empty_scope(scope: Scope) -> None:
    """Free what a scope holds, since Paddle keeps every scope until the process ends.

    This includes the feature maps of the last run, which are in the scope's children.
    """
    scope.drop_kids()
    scope.erase(scope.local_var_names())
    return_freed_memory()
