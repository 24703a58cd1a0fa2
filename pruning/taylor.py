"""Estimate how much a filter matters to the loss, to first order."""

from collections.abc import Mapping, Sequence

import numpy as np
import paddle

from pruning.dependencies import is_update
from pruning.layer_samples import ScopedProgram
from ssd_model.progress import progress
from ssd_model.scope import copy_scope, empty_scope, read_tensor


def taylor(
    training: ScopedProgram, names: Sequence[str], batches: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Estimate, to first order, how the loss would change without each filter.

    It is the square of the sum of gradient times weight, averaged over the batches (Molchanov et
    al., Importance Estimation for Neural Network Pruning, arXiv 1906.10771, equation 8).

    Args:
        training: train Program, with its gradients, and scope; they are only read.
        names: filters.
        batches: what the Program is fed, images and ground truth.

    Returns:
        Importance [C_out] by filter.

    Raises:
        ValueError: the Program has no gradient for a filter.
    """
    block = training.program.global_block()
    wanted = [f"{name}@GRAD" for name in names]
    for name, gradient in zip(names, wanted, strict=True):
        if not block.has_var(gradient):
            raise ValueError(f"taylor needs the gradient of {name}: the Program does not train it")
    weights = {name: read_tensor(training.scope, name).astype("float64") for name in names}
    found = {name: np.zeros(len(weights[name])) for name in names}
    # Batch norm updates its statistics, so it gets a copy of the scope.
    program = _without_updates(training.program)
    network = ScopedProgram(program, copy_scope(training.scope, program))
    for batch in progress(batches, "gradients"):
        gradients = network.run(dict(batch), wanted)
        for name, gradient in zip(names, gradients, strict=True):
            change = (gradient * weights[name]).sum(axis=(1, 2, 3))
            found[name] += np.square(change) / len(batches)
    empty_scope(network.scope)
    return found


def _without_updates(program: paddle.static.Program) -> paddle.static.Program:
    """Copy a Program without its optimizer, so that the parameters stay as they are."""
    copy = program.clone()
    block = copy.global_block()
    for i, op in reversed(list(enumerate(block.ops))):
        if is_update(op):
            block._remove_op(i)
    return copy
