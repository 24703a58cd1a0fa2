"""Speed up evaluation by fusing batch norm and relu into the convolution before them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from paddle.base import core
from paddle.base.framework import IrGraph
from paddle.static import Program, Scope

from ssd_model import kernels
from ssd_model.scope import empty_scope, read_tensor, write_tensor

# Paddle Inference's passes, in its order. The first lets the others handle depthwise convolutions.
PASSES = (
    "depthwise_conv_onednn_pass",
    "conv_bn_fuse_pass",
    "conv_bias_onednn_fuse_pass",
    "conv_activation_onednn_fuse_pass",
)


@contextmanager
def fused(
    program: Program, scope: Scope, fetches: Iterable[str]
) -> Iterator[tuple[Program, Scope]]:
    """Yield a fused copy of an eval Program for oneDNN, and a scope with the weights for it.

    Batch norm is folded into the weights of the convolution before it, and relu into its operator.
    Later changes to `scope` do not reach the copy; its weights are freed when the context ends.

    The Program and scope come unchanged if they cannot be fused: if there is no oneDNN, if batch
    norm uses the batch's statistics, if a weight is read twice or is not finite, or if fusing would
    hide a Variable that is to be fetched.

    Args:
        fetches: names of the Variables to be fetched.

    Raises:
        ValueError: a parameter has no value in the scope.
    """
    weights = _weights(program, scope)
    if not (kernels.has_onednn() and _can_be_fused(program, weights)):
        yield program, scope
        return
    copy, folded = program.clone(), Scope()
    kernels.use_onednn(copy, everywhere=True)
    for name, array in weights.items():
        write_tensor(folded, name, array)
    graph = core.Graph(copy.desc)
    graph.set_not_owned("__param_scope__", folded)
    for name in PASSES:
        fusion = core.get_pass(name)
        fusion.set("disable_logs", True)
        fusion.apply(graph)
    copy = IrGraph(graph, for_test=True).to_program()
    written = {name for op in copy.global_block().ops for name in op.output_arg_names}
    try:
        yield (copy, folded) if written.issuperset(fetches) else (program, scope)
    finally:
        empty_scope(folded)


def _weights(program: Program, scope: Scope) -> dict[str, np.ndarray]:
    """The tensors that operators read from the scope, by name."""
    block = program.global_block()
    names = {name for op in block.ops for name in op.input_arg_names if block.has_var(name)}
    return {name: read_tensor(scope, name) for name in names if block.var(name).persistable}


def _can_be_fused(program: Program, weights: dict[str, np.ndarray]) -> bool:
    """Whether fusing would leave the results unchanged, which the passes do not check."""
    ops = program.global_block().ops
    reads = Counter(name for op in ops for name in op.input_arg_names)
    norms = [op for op in ops if op.type == "batch_norm"]
    slots = [(op, slot) for op in norms for slot in ("Scale", "Bias", "Mean", "Variance")]
    slots += [(op, "Filter") for op in ops if "Filter" in op.input_names]
    inside = [op.input(slot)[0] for op, slot in slots]
    return all(op.attr("is_test") for op in norms) and all(
        reads[name] == 1 and np.isfinite(weights[name]).all() for name in inside
    )
