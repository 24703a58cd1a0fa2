"""A network as it is evaluated quickest: batch norm and relu inside the convolution before them."""

from collections.abc import Iterable

from paddle.base import core
from paddle.base.framework import IrGraph, Parameter
from paddle.static import Program, Scope

from ssd_model.weights import read_tensor, write_tensor
from utils import runtime

# Paddle Inference's own, in its order. The first makes depthwise convolutions known to the others.
PASSES = (
    "depthwise_conv_onednn_pass",
    "conv_bn_fuse_pass",
    "conv_bias_onednn_fuse_pass",
    "conv_activation_onednn_fuse_pass",
)


def fuse(program: Program, scope: Scope, fetches: Iterable[str]) -> tuple[Program, Scope]:
    """A copy of an eval Program for oneDNN, and a scope with weights that fit it.

    Batch norm, by its running statistics, goes into the weights of the convolution before it, and
    relu into the operator. The copy knows nothing of later changes to `scope`.

    Args:
        fetches: names of the Variables that are wanted. Where one of them is inside what would
            be fused, two convolutions share a filter, or there is no oneDNN, Program and scope
            come back as they are.

    Raises:
        ValueError: a parameter has no value in the scope, or a batch norm's is not finite.
    """
    convolutions = (op for op in program.global_block().ops if "Filter" in op.input_names)
    filters = [name for op in convolutions for name in op.input("Filter")]
    if len(set(filters)) < len(filters) or not runtime.has_onednn():
        return program, scope
    program_, scope_ = program.clone(), Scope()
    runtime.use_onednn(program_, everywhere=True)
    for var in program.list_vars():
        found = scope.find_var(var.name) if var.persistable else None
        if found is not None and found.get_tensor()._is_initialized():
            write_tensor(scope_, var.name, read_tensor(scope, var.name))
        elif isinstance(var, Parameter):  # the passes would crash on it
            raise ValueError(
                f"{var.name} has no value in the scope: run the startup program, or load weights"
            )
    graph = core.Graph(program_.desc)
    graph.set_not_owned("__param_scope__", scope_)
    for name in PASSES:
        fusion = core.get_pass(name)
        fusion.set("disable_logs", True)
        fusion.apply(graph)
    fused = IrGraph(graph, for_test=True).to_program()
    written = {name for op in fused.global_block().ops for name in op.output_arg_names}
    return (fused, scope_) if written.issuperset(fetches) else (program, scope)
