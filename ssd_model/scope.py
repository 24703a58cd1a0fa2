"""A scope's tensors, and its memory."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import paddle
from paddle.static import Program, Scope, Variable

from ssd_model.place import Place, default_place


def read_tensor(scope: Scope, name: str) -> np.ndarray:
    """A copy of a Variable's value.

    Raises:
        ValueError: it has none.
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
    # A new tensor, since setting the old one would keep the layout that oneDNN gave it.
    new = paddle.base.core.DenseTensor()
    new.set(np.ascontiguousarray(array), place)
    old._share_data_with(new)


def _place_of(tensor: paddle.base.core.DenseTensor) -> Place:
    """Where a tensor lies, in the form that `set` takes."""
    place = tensor._place()
    return paddle.CUDAPlace(place.gpu_device_id()) if place.is_gpu_place() else paddle.CPUPlace()


def weights_digest(scope: Scope, names: Iterable[str]) -> str:
    """A short name for the values of some tensors."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(read_tensor(scope, name))
    return digest.hexdigest()[:16]


def has_value(scope: Scope, name: str) -> bool:
    """Whether a Variable has a value in a scope."""
    var = scope.find_var(name)
    return var is not None and var.get_tensor()._is_initialized()


def kept_variables(scope: Scope, programs: Iterable[Program]) -> list[Variable]:
    """What Programs keep from run to run, as far as it has a value in the scope; each once."""
    every = {var.name: var for program in programs for var in program.list_vars()}
    return [var for var in every.values() if var.persistable and has_value(scope, var.name)]


def copy_scope(scope: Scope, program: Program) -> Scope:
    """A scope of its own with what a Program keeps from run to run."""
    copy = paddle.static.Scope()
    for var in kept_variables(scope, [program]):
        write_tensor(copy, var.name, read_tensor(scope, var.name))
    return copy


@contextmanager
def child_scope(scope: Scope) -> Iterator[Scope]:
    """A scope within another to run Programs in, whose feature maps are gone when this ends.

    Without it they are kept as long as the other scope is. Parameters are those of the other. An
    Executor that has run here must not run here again, so it takes one of its own.
    """
    child = scope.new_scope()
    try:
        yield child
    finally:
        child.drop_kids()


def empty_scope(scope: Scope) -> None:
    """Free what a scope holds: Paddle keeps every one until the process ends.

    The feature maps of the last run, which are in its children, go too.
    """
    scope.drop_kids()
    scope.erase(scope.local_var_names())
