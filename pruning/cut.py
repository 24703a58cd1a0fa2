"""Carry out a plan: cut Programs, and the tensors in the scope that they share.

This does what `paddleslim.prune.Pruner` does, but many times faster (results/speed.md), because the
groups are known and each tensor is cut in one go.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod

import numpy as np
import paddle
from paddle.base.framework import Operator
from paddle.static import Scope

from pruning.channel_rules import follow
from pruning.criteria import importance
from pruning.dependencies import optimizer_state
from pruning.plan import Plan
from ssd_model.scope import read_tensor, write_tensor

CutPositions = dict[str, dict[int, np.ndarray]]
"""The positions to remove, by tensor and axis."""

Criterions = Mapping[str, str | np.ndarray]
"""Criterion by filter name, '*' for all others; if measured, the importance [C_out] instead."""
L1_NORM: Criterions = {"*": "l1_norm"}


def cut_positions(plan: Plan, scope: Scope, criterions: Criterions = L1_NORM) -> CutPositions:
    """Find the positions that a plan cuts from each tensor: those of the least important filters.

    Args:
        scope: holds the parameters, not yet cut.
        criterions: how to rank filters, see `pruning.criteria`.
    """
    dependencies, gone = plan.dependencies, [np.empty(0, int)]
    for master, ratio in plan.ratios.items():
        criterion = criterions.get(master, criterions["*"])
        if isinstance(criterion, str):
            criterion = importance(criterion, dependencies.convs[master], scope)
        blocks, of_channel = np.unique(dependencies.channels[master, 0], return_inverse=True)
        # Channels that can only go together, as in a grouped convolution, rank by their mean.
        scores = np.bincount(of_channel, criterion) / dependencies.groups[master].sizes[0]
        ranking = np.argsort(scores, kind="stable")
        gone.append(blocks[ranking[: dependencies.groups[master].removed(ratio)]])
    positions: CutPositions = {}
    for master in plan.ratios:
        for member, axis in dependencies.groups[master].members:
            is_cut = np.isin(dependencies.channels[member, axis], np.concatenate(gone))
            positions.setdefault(member, {})[axis] = np.flatnonzero(is_cut)
    return positions


def apply_plan(
    plan: Plan,
    programs: Sequence[paddle.static.Program],
    scope: Scope,
    criterions: Criterions = L1_NORM,
) -> list[paddle.static.Program]:
    """Prune copies of Programs, and the tensors in their scope.

    The least important filters go. All layers are ranked before any is cut, as in PaddleSlim 2.
    PaddleSlim 1 ranked a layer after its inputs were cut, so it kept the same number of filters,
    but not always the same ones. Afterwards only the returned Programs fit the scope.

    Args:
        programs: train and eval Programs of the network that the plan is for.
        scope: holds their parameters and the optimizer's state.
        criterions: how to rank filters, see `pruning.criteria`.

    Returns:
        The pruned copies, in the order of `programs`.

    Raises:
        ValueError: the scope lacks a parameter in the shape that the plan starts from, or a
            criterion cannot rank it. In either case nothing has been changed.
    """
    _check_shapes(plan, scope)
    positions = cut_positions(plan, scope, criterions)
    state = dict(pair for program in programs for pair in optimizer_state(program))
    for name, parameter in state.items():
        if parameter in positions:
            positions[name] = positions[parameter]
    for name, axes in positions.items():
        if scope.find_var(name) is not None:
            write_tensor(scope, name, _without(read_tensor(scope, name), axes))
    return reshape_programs(plan, programs)


@contextmanager
def silenced(plan: Plan, scope: Scope, criterions: Criterions = L1_NORM) -> Iterator[None]:
    """For the length of a block, set the channels that a plan would cut to zero in the scope.

    The network computes what the pruned one would, but keeps its shapes, so the same Program can
    be run again and again. Afterwards every tensor is as it was, even after an exception.

    Raises:
        ValueError: see `apply_plan`.
    """
    _check_shapes(plan, scope)
    cut = cut_positions(plan, scope, criterions)
    before = {name: read_tensor(scope, name) for name in cut}
    try:
        for name, axes in cut.items():
            zeroed = before[name].copy()
            for axis, positions in axes.items():
                np.moveaxis(zeroed, axis, 0)[positions] = 0
            write_tensor(scope, name, zeroed)
        yield
    finally:
        for name, array in before.items():
            write_tensor(scope, name, array)


def reshape_programs(
    plan: Plan, programs: Sequence[paddle.static.Program]
) -> list[paddle.static.Program]:
    """Copy Programs and give the copies a plan's shapes, for a scope that already has them."""
    pruned = [program.clone() for program in programs]
    for program in pruned:
        block, reshaped = program.global_block(), follow(program).reshaped
        shapes = dict(plan.shapes)
        shapes |= {name: shapes[parameter] for name, parameter in optimizer_state(program)}
        for name, shape in shapes.items():
            if block.has_var(name):
                block.var(name).desc.set_shape(shape)
        for op in block.ops:
            _set_counts(plan, op, reshaped)
            op.desc.infer_shape(block.desc)
    return pruned


def _set_counts(plan: Plan, op: Operator, reshaped: dict[str, int]) -> None:
    """Correct the channel counts that an operator holds as attributes."""
    (name,) = op.input("Filter") if "Filter" in op.input_names else ("",)
    if name in plan.shapes and op.has_attr("groups") and op.attr("groups") > 1:
        left, before = plan.shapes[name][0], plan.dependencies.shapes[name][0]
        op._set_attr("groups", op.attr("groups") * left // before)
    if op.type == "reshape2" and op.output("Out")[0] in reshaped:
        (x,), (out,), shape = op.input("X"), op.output("Out"), list(op.attr("shape"))
        axis = reshaped[out]
        others = np.delete(op.block.var(out).shape, axis)
        # The count follows from the input's current size; the batch is -1 in both shapes.
        shape[axis] = prod(op.block.var(x).shape) // prod(others.tolist())
        op._set_attr("shape", shape)


def _check_shapes(plan: Plan, scope: Scope) -> None:
    for name, shape in plan.dependencies.shapes.items():
        found = scope.find_var(name)
        actual = tuple(found.get_tensor().shape()) if found else None
        if actual != shape:
            raise ValueError(
                f"{name} has shape {actual} in the scope, but the plan starts from {shape}: "
                "run the startup program, or plan for the network as it is now"
            )


def _without(array: np.ndarray, axes: dict[int, np.ndarray]) -> np.ndarray:
    for axis, positions in axes.items():
        array = np.delete(array, positions, axis)
    return array
