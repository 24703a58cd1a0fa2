"""Convert a static Program's operators to ONNX nodes, one by one."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from paddle.base.data_feeder import convert_dtype
from paddle.base.framework import Operator
from paddle.static import Program

from ssd_model.export.onnx_graph import Graph
from ssd_model.scope import read_tensor

Node = Callable[[Graph, Operator], None]


def convert(
    graph: Graph, program: Program, inputs: Iterable[str], outputs: Iterable[str], scope
) -> None:
    """Append the nodes that lead from some Variables of a Program to others.

    Args:
        inputs, outputs: names of the Variables; parameters become constants.

    Raises:
        ValueError: an operator, or one of its settings, is not known here.
    """
    block, wanted, ops = program.global_block(), set(outputs), []
    for op in reversed(block.ops):
        if wanted.intersection(op.output_arg_names):
            ops.append(op)
            wanted.update(set(op.input_arg_names).difference(inputs))
    unknown = {op.type for op in ops} - set(NODES)
    if unknown:
        raise ValueError(
            f"ONNX export does not know {', '.join(sorted(unknown))}: "
            f"add it to NODES in {__name__}, or end the network before it"
        )
    for name in wanted:
        if block.var(name).persistable:
            graph.constant(name, read_tensor(scope, name))
    for op in reversed(ops):
        NODES[op.type](graph, op)


def _refuse(op: Operator, what: str, condition: bool = True) -> None:
    if condition:
        raise ValueError(f"ONNX export does not know {op.type} {what}: {op.output_arg_names[0]}")


def _only(op: Operator, attribute: str, *values: Any) -> None:
    """Refuse values of an attribute that Paddle allows and ONNX does not."""
    value = op.attr(attribute)
    _refuse(op, f"with {attribute} {value}", value not in values)


def _read(op: Operator, *slots: str) -> list[str]:
    """Names of an operator's inputs in the slots that its node supports, in order."""
    for slot in op.input_names:
        _refuse(op, f"with a {slot}", bool(op.input(slot)) and slot not in slots)
    return [name for slot in slots for name in op.input(slot)]


def _renamed(kind: str, *attributes: str) -> Node:
    """A converter that only changes the operator's name; attributes are named as in Paddle."""

    def node(graph: Graph, op: Operator) -> None:
        values = {name: op.attr(name) for name in attributes}
        graph.add(kind, _read(op, "X"), op.output("Out")[0], **values)

    return node


def _elementwise(kind: str) -> Node:
    def node(graph: Graph, op: Operator) -> None:
        x, y = _read(op, "X", "Y")
        axis, shape = op.attr("axis"), op.block.var(y).shape
        # ONNX aligns the last axes; Paddle can align others, as for a convolution's bias.
        behind = len(op.block.var(x).shape) - axis - len(shape) if axis >= 0 else 0
        if behind:
            _refuse(
                op,
                f"along axis {axis} of something that is not a parameter",
                y not in graph.constants,
            )
            column = graph.constants[y].reshape(*shape, *[1] * behind)
            y = graph.constant(f"{y}.axis{axis}", column)
        graph.add(kind, [x, y], op.output("Out")[0])

    return node


def _conv(graph: Graph, op: Operator) -> None:
    _only(op, "padding_algorithm", "EXPLICIT")
    _only(op, "data_format", "NCHW", "AnyLayout")
    inputs, pads = _read(op, "Input", "Filter"), op.attr("paddings")
    top, bottom, left, right = pads if len(pads) == 4 else np.repeat(pads, 2)
    graph.add(
        "Conv",
        inputs,
        op.output("Output")[0],
        kernel_shape=op.block.var(inputs[1]).shape[2:],
        strides=op.attr("strides"),
        pads=[top, left, bottom, right],
        dilations=op.attr("dilations"),
        group=op.attr("groups"),
    )


def _batch_norm(graph: Graph, op: Operator) -> None:
    _only(op, "data_layout", "NCHW")
    _refuse(op, "in training", not (op.attr("is_test") or op.attr("use_global_stats")))
    inputs = _read(op, "X", "Scale", "Bias", "Mean", "Variance")
    graph.add("BatchNormalization", inputs, op.output("Y")[0], epsilon=op.attr("epsilon"))


def _pool(graph: Graph, op: Operator) -> None:
    _only(op, "padding_algorithm", "EXPLICIT")
    _only(op, "data_format", "NCHW", "AnyLayout")
    inputs, (out,), size = _read(op, "X"), op.output("Out"), list(op.attr("ksize"))
    kind = {"max": "Max", "avg": "Average"}[op.attr("pooling_type")]
    if op.attr("global_pooling") or (op.attr("adaptive") and size == [1, 1]):
        graph.add(f"Global{kind}Pool", inputs, out)
        return
    _only(op, "adaptive", False)
    pads = op.attr("paddings")
    top, bottom, left, right = pads if len(pads) == 4 else np.repeat(pads, 2)
    only_average = {"count_include_pad": int(not op.attr("exclusive"))}
    graph.add(
        f"{kind}Pool",
        inputs,
        out,
        kernel_shape=size,
        strides=op.attr("strides"),
        pads=[top, left, bottom, right],
        ceil_mode=int(op.attr("ceil_mode")),
        **(only_average if kind == "Average" else {}),
    )


def _matmul(graph: Graph, op: Operator) -> None:
    _only(op, "trans_x", False)
    _only(op, "trans_y", False)
    graph.add("MatMul", _read(op, "X", "Y"), op.output("Out")[0])


def _relu6(graph: Graph, op: Operator) -> None:
    (x,), (out,) = _read(op, "X"), op.output("Out")
    ends = (graph.constant(f"{out}.{end}", np.float32(end)) for end in (0, 6))
    graph.add("Clip", [x, *ends], out)


def _hard_sigmoid(graph: Graph, op: Operator) -> None:
    slope, offset = op.attr("slope"), op.attr("offset")
    graph.add("HardSigmoid", _read(op, "X"), op.output("Out")[0], alpha=slope, beta=offset)


def _hard_swish(graph: Graph, op: Operator) -> None:
    # In Paddle's operator, threshold, scale and offset are fixed: x * clip(x + 3, 0, 6) / 6.
    (x,), (out,) = _read(op, "X"), op.output("Out")
    gate = graph.add("HardSigmoid", [x], f"{out}.gate", alpha=1 / 6, beta=0.5)
    graph.add("Mul", [x, gate], out)


def _dropout(graph: Graph, op: Operator) -> None:
    _only(op, "is_test", True)
    _only(op, "dropout_implementation", "upscale_in_train")
    graph.add("Identity", _read(op, "X"), op.output("Out")[0])


def _nearest(graph: Graph, op: Operator) -> None:
    _only(op, "align_corners", False)
    _only(op, "data_layout", "NCHW")
    (x,), (out,) = _read(op, "X"), op.output("Out")
    before, after = (op.block.var(name).shape for name in (x, out))
    scales = np.array([1, 1, after[2] / before[2], after[3] / before[3]], "float32")
    inputs = [x, "", graph.constant(f"{out}.scales", scales)]
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    graph.add("Resize", inputs, out, mode="nearest", **how)


def _transpose(graph: Graph, op: Operator) -> None:
    graph.add("Transpose", _read(op, "X"), op.output("Out")[0], perm=op.attr("axis"))


def _reshape(graph: Graph, op: Operator) -> None:
    (x,), (out,) = _read(op, "X"), op.output("Out")
    # The shape that Paddle inferred; 0 in the attribute ("as before") confuses converters.
    shape = list(op.block.var(out).shape)
    _refuse(op, f"to {shape}, where more than the batch may vary", shape.count(-1) > 1)
    graph.add("Reshape", [x, graph.constant(f"{out}.shape", shape)], out)


def _slice(graph: Graph, op: Operator) -> None:
    _only(op, "decrease_axis", [])
    inputs, (out,) = _read(op, "Input"), op.output("Out")
    for name in ("starts", "ends", "axes"):
        inputs.append(graph.constant(f"{out}.{name}", op.attr(name)))
    graph.add("Slice", inputs, out)


def _assign_value(graph: Graph, op: Operator) -> None:
    (out,) = op.output("Out")
    values = [value.value() for value in op.attr("values")]
    array = np.array(values, convert_dtype(op.block.var(out).dtype))
    graph.constant(out, array.reshape(op.attr("shape")))


NODES: dict[str, Node] = {
    "conv2d": _conv,
    "depthwise_conv2d": _conv,
    "batch_norm": _batch_norm,
    "relu": _renamed("Relu"),
    "exp": _renamed("Exp"),
    "softmax": _renamed("Softmax", "axis"),
    "sigmoid": _renamed("Sigmoid"),
    "leaky_relu": _renamed("LeakyRelu", "alpha"),
    "relu6": _relu6,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _hard_swish,
    "dropout": _dropout,
    "pool2d": _pool,
    "matmul_v2": _matmul,
    "nearest_interp_v2": _nearest,
    "concat": _renamed("Concat", "axis"),
    "elementwise_add": _elementwise("Add"),
    "elementwise_sub": _elementwise("Sub"),
    "elementwise_mul": _elementwise("Mul"),
    "transpose2": _transpose,
    "reshape2": _reshape,
    "flatten_contiguous_range": _reshape,
    "slice": _slice,
    "assign_value": _assign_value,
}
"""The converter for each operator of Paddle."""
