"""Choose the kernels that run a Program on a CPU: Paddle's own or oneDNN's."""

import platform

from paddle.base import core
from paddle.static import Program

from ssd_model.place import on_cpu


def has_onednn() -> bool:
    """Whether Programs run on a CPU for which this Paddle includes oneDNN."""
    on_x86 = platform.machine() in ("x86_64", "AMD64")
    return on_x86 and core.is_compiled_with_onednn() and on_cpu()


def use_onednn(program: Program, everywhere: bool = False) -> None:
    """Let oneDNN run the depthwise convolutions, for which Paddle's own CPU kernels are slow.

    Args:
        everywhere: let it run all operators in which evaluation spends time. Not for training:
            oneDNN's gradients of batch norm and relu are slower than Paddle's.
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
    """Copy a Program without its choice of oneDNN kernels."""
    program = program.clone()
    for op in program.global_block().ops:
        if op.has_attr("use_mkldnn"):
            op._set_attr("use_mkldnn", False)
    return program
