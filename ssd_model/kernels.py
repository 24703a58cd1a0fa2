"""Which kernels compute a Program on a CPU: Paddle's own or oneDNN's."""

import platform

from paddle.base import core
from paddle.static import Program

from ssd_model.place import on_cpu


def has_onednn() -> bool:
    """Whether Programs run on a CPU for which this Paddle carries oneDNN."""
    on_x86 = platform.machine() in ("x86_64", "AMD64")
    return on_x86 and core.is_compiled_with_onednn() and on_cpu()


def use_onednn(program: Program, everywhere: bool = False) -> None:
    """Let oneDNN run the depthwise convolutions, which Paddle's own kernels do slowly on a CPU.

    Args:
        everywhere: every operator that evaluation spends time in. Not for training: oneDNN's
            gradients of batch norm and relu are slower than Paddle's.
    """
    if not has_onednn():
        return
    types = {"depthwise_conv2d", "depthwise_conv2d_grad"}
    if everywhere:
        types |= {"conv2d", "batch_norm", "relu"}
    for op in program.global_block().ops:
        if op.type in types:
            op._set_attr("use_mkldnn", True)


def without_onednn(program: Program) -> Program:
    """A copy of a Program that leaves the choice of kernels open."""
    program = program.clone()
    for op in program.global_block().ops:
        if op.has_attr("use_mkldnn"):
            op._set_attr("use_mkldnn", False)
    return program
