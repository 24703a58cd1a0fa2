"""Follow the channels of feature maps through a Program, operator by operator.

An operator may pass the channels of its input on, as an activation does; line them up, as a concat
does; or tie some to others, as an addition does. `RULES` says which, once for each operator. The
channels that any other operator reads end there.
"""

from collections.abc import Callable
from math import prod

import numpy as np
import paddle
from paddle.base.framework import Operator

from pruning.channels import Channels, Walk

# Bits of an operator's op_role.
BACKWARD, OPTIMIZE = 1, 2


def forward_operators(program: paddle.static.Program) -> list[Operator]:
    """The operators that belong neither to the backward pass nor to the optimizer."""
    ops = program.global_block().ops
    return [op for op in ops if not op.attr("op_role") & (BACKWARD | OPTIMIZE)]


def follow(program: paddle.static.Program) -> Walk:
    """Follow the channels of a Program through its forward pass."""
    walk, read = Walk(program), set()
    for op in forward_operators(program):
        RULES.get(op.type, _unknown)(walk, op)
        read.update(op.input_arg_names if op.type != "fetch" else ())
    walk.finish(read)
    return walk


def _output(op: Operator) -> str:
    """The main output of an operator."""
    (slot,) = {"Out", "Output", "Y"}.intersection(op.output_names)
    return op.output(slot)[0]


def _pass_on(walk: Walk, op: Operator, name: str) -> None:
    """Give an operator's output the channels of what it reads."""
    found = walk.of(name)
    if found:
        walk.put(_output(op), found.axis, found.numbers)


def _unknown(walk: Walk, op: Operator, what: str = "") -> None:
    what = what or "whose use of channels is unknown here"
    for name in op.input_arg_names:
        walk.end(name, f"which goes into {op.type}, {what}")


def _nothing(walk: Walk, op: Operator) -> None:
    """Do nothing: the operator uses only a map's height and width."""


def _same(walk: Walk, op: Operator) -> None:
    _pass_on(walk, op, op.input("X")[0])


def _norm(walk: Walk, op: Operator) -> None:
    found = walk.of(op.input("X")[0])
    for slot in ("Scale", "Bias", "Mean", "Variance"):
        for name in op.input(slot) if slot in op.input_names and found else ():
            walk.meet(name, 0, found.numbers)
    _pass_on(walk, op, op.input("X")[0])


def _prelu(walk: Walk, op: Operator) -> None:
    (x,), (name,) = op.input("X"), op.input("Alpha")
    if op.attr("mode") == "element":
        return _unknown(walk, op, "which has a slope for each place")
    found = walk.of(x)
    for axis, size in enumerate(walk.shape(name)):
        if found and size == len(found.numbers) > 1:
            walk.meet(name, axis, found.numbers)
    return _pass_on(walk, op, x)


def _conv(walk: Walk, op: Operator) -> None:
    (name,), (x,), (out,) = op.input("Filter"), op.input("Input"), op.output("Output")
    if not walk.is_parameter(name):
        return _unknown(walk, op, "whose filter is computed")
    axis = 3 if op.attr("data_format") == "NHWC" else 1
    count, groups, found = walk.shape(name)[0], op.attr("groups") or 1, walk.of(x)
    numbers = walk.member(name, 0)
    area = prod(walk.shape(out)[1:]) // count
    walk.positions[name] = walk.positions.get(name, 0) + area
    walk.put(out, axis, numbers)
    if found and found.axis != axis:
        return _unknown(walk, op, f"which has its channels on axis {axis}")
    if groups == 1:
        return walk.meet(name, 1, found.numbers) if found else None
    first = numbers[:: count // groups]  # a group goes as a whole
    walk.tie(np.repeat(first, count // groups), numbers)
    if not found:
        return walk.end(out, f"whose groups are those of {x}, which no layer here makes")
    return walk.tie(np.repeat(first, len(found.numbers) // groups), found.numbers)


def _conv_transpose(walk: Walk, op: Operator) -> None:
    (name,), (x,) = op.input("Filter"), op.input("Input")
    found = walk.of(x)
    if (
        not walk.is_parameter(name)
        or op.attr("groups") > 1
        or op.attr("data_format") == "NHWC"
        or (found and found.axis != 1)
    ):
        return _unknown(walk, op, "which is followed as NCHW and without groups only")
    if found:
        walk.meet(name, 0, found.numbers)
    return walk.put(_output(op), 1, walk.member(name, 1))


def _matrix(walk: Walk, op: Operator) -> None:
    """Follow a fully connected layer: mul, or matmul_v2 with a parameter."""
    (x,), (name,) = op.input("X"), op.input("Y")
    found, shape = walk.of(x), walk.shape(x)
    if op.type == "mul":
        first, is_plain, row_axis = op.attr("x_num_col_dims"), op.attr("y_num_col_dims") == 1, 0
    else:
        turned = op.attr("trans_y")
        first, is_plain, row_axis = len(shape) - 1, not op.attr("trans_x"), int(turned)
    if not (walk.is_parameter(name) and len(walk.shape(name)) == 2 and is_plain and first):
        return _unknown(walk, op, "which is followed where it multiplies by a matrix of weights")
    walk.positions[name] = walk.positions.get(name, 0) + prod(shape[1:first])
    walk.put(_output(op), first, walk.member(name, 1 - row_axis))
    if found and found.axis < first:
        return _unknown(walk, op, "where they are not its columns")
    if found:
        rows = _spread(found, shape).reshape(-1, prod(shape[first:]))[0]
        walk.meet(name, row_axis, rows)
    return None


def _elementwise(walk: Walk, op: Operator) -> None:
    (x,), (y,) = op.input("X"), op.input("Y")
    ranks = {name: len(walk.shape(name)) for name in (x, y)}
    shift = {name: max(ranks.values()) - rank for name, rank in ranks.items()}
    if op.attr("axis") >= 0:
        shift[y] = op.attr("axis")
    found = {name: walk.of(name) for name in (x, y)}
    axes = {n: f.axis + shift[n] for n, f in found.items() if f and len(f.numbers) > 1}
    if not axes:
        return
    axis, source = next((axes[name], name) for name in (x, y) if name in axes)
    walk.put(_output(op), axis, found[source].numbers)
    if len(set(axes.values())) > 1:
        return _unknown(walk, op, "which joins channels on different axes")
    for name in {x, y} - {source}:
        at = axis - shift[name]
        if name in axes:
            walk.tie(found[source].numbers, found[name].numbers)
        elif at >= 0 and walk.shape(name)[at] > 1:
            if walk.is_parameter(name):
                walk.meet(name, at, found[source].numbers)
            else:
                _unknown(walk, op, f"with {name}, whose channels no layer here makes")
    return None


def _sum(walk: Walk, op: Operator) -> None:
    _together(walk, op, op.input("X"))


def _together(walk: Walk, op: Operator, names: list[str]) -> None:
    """Tie maps that must have the same channels."""
    found = [walk.of(name) for name in names]
    if not all(found) or len({channels.axis for channels in found}) > 1:
        return _unknown(walk, op, "which joins them with channels that no layer here makes")
    for channels in found[1:]:
        walk.tie(found[0].numbers, channels.numbers)
    return _pass_on(walk, op, names[0])


def _concat(walk: Walk, op: Operator) -> None:
    names = op.input("X")
    found = {name: walk.of(name) for name in names}
    axes = {channels.axis for channels in found.values() if channels}
    along = op.attr("axis") % len(walk.shape(names[0]))
    if op.input("AxisTensor") or (axes and axes != {along}):
        return _together(walk, op, names) if len(axes) == 1 else _unknown(walk, op)
    if axes:
        # Channels that no layer here makes get numbers that no layer can lose.
        parts = [
            found[name].numbers if found[name] else walk.new(walk.shape(name)[along])
            for name in names
        ]
        walk.put(_output(op), along, np.concatenate(parts))
    return None


def _reshape(walk: Walk, op: Operator) -> None:
    """Follow a reshape, flatten, squeeze or transpose if the channels stay on one axis."""
    (x,), out = op.input("X"), _output(op)
    found, before, after = walk.of(x), walk.shape(x), walk.shape(out)
    if not found:
        return None
    grid = _spread(found, before)
    if op.type == "transpose2":
        grid = grid.transpose(op.attr("axis"))
    if any(op.input(slot) for slot in op.input_names if slot != "X") or grid.size != prod(after):
        return _unknown(walk, op, "whose shape is known only when it runs")
    found = _one_axis(grid.reshape(after))
    if not found:
        return _unknown(walk, op, "which spreads them over several axes")
    if op.type == "reshape2" and op.attr("shape")[found.axis] > 0:
        walk.reshaped[out] = found.axis
    return walk.put(out, found.axis, found.numbers)


def _spread(found: Channels, shape: tuple[int, ...]) -> np.ndarray:
    """The channel numbers, broadcast to all of a Variable's elements."""
    column = found.numbers.reshape(-1, *[1] * (len(shape) - found.axis - 1))
    return np.broadcast_to(column, shape)


def _one_axis(grid: np.ndarray) -> Channels | None:
    """Channels whose numbers vary along one axis only; the second axis if they do not vary."""
    for axis in (*range(1, grid.ndim), 0):
        lines = np.moveaxis(grid, axis, 0).reshape(grid.shape[axis], -1)
        if (lines == lines[:, :1]).all():
            return Channels(axis, lines[:, 0])
    return None


def _reduce(walk: Walk, op: Operator) -> None:
    (x,) = op.input("X")
    found, rank = walk.of(x), len(walk.shape(x))
    gone = {axis % rank for axis in op.attr("dim")}
    if found and (op.attr("reduce_all") or found.axis in gone):
        return _unknown(walk, op, "which mixes them")
    if found:
        before = 0 if op.attr("keep_dim") else sum(axis < found.axis for axis in gone)
        walk.put(_output(op), found.axis - before, found.numbers)
    return None


def _softmax(walk: Walk, op: Operator) -> None:
    (x,) = op.input("X")
    found = walk.of(x)
    if found and op.attr("axis") % len(walk.shape(x)) == found.axis:
        return _unknown(walk, op, "which mixes them")
    return _pass_on(walk, op, x)


def _split(walk: Walk, op: Operator) -> None:
    (x,) = op.input("X")
    found = walk.of(x)
    if found and (op.input("AxisTensor") or op.attr("axis") % len(walk.shape(x)) == found.axis):
        return _unknown(walk, op, "which takes them apart")
    for out in op.output("Out") if found else ():
        walk.put(out, found.axis, found.numbers)
    return None


RULES: dict[str, Callable[[Walk, Operator], None]] = {
    "conv2d": _conv,
    "depthwise_conv2d": _conv,
    "conv2d_transpose": _conv_transpose,
    "mul": _matrix,
    "matmul_v2": _matrix,
    "prelu": _prelu,
    "sum": _sum,
    "concat": _concat,
    "split": _split,
    "softmax": _softmax,
    **dict.fromkeys(("batch_norm", "sync_batch_norm", "instance_norm", "affine_channel"), _norm),
    **dict.fromkeys((f"elementwise_{kind}" for kind in ("add", "sub", "mul")), _elementwise),
    **dict.fromkeys(("reduce_mean", "reduce_max", "reduce_sum"), _reduce),
    **dict.fromkeys(("reshape2", "transpose2", "squeeze2", "unsqueeze2"), _reshape),
    **dict.fromkeys(("flatten_contiguous_range", "flatten2"), _reshape),
    **dict.fromkeys(("prior_box", "density_prior_box", "anchor_generator"), _nothing),
    **dict.fromkeys(("shape", "feed", "fill_constant_batch_size_like"), _nothing),
    **dict.fromkeys(("relu", "relu6", "leaky_relu", "elu", "gelu", "silu", "swish"), _same),
    **dict.fromkeys(("hard_swish", "mish", "sigmoid", "hard_sigmoid", "tanh", "softplus"), _same),
    **dict.fromkeys(("exp", "sqrt", "abs", "square", "clip", "scale", "cast", "assign"), _same),
    **dict.fromkeys(("dropout", "pool2d", "pad3d", "roi_align"), _same),
    **dict.fromkeys(("nearest_interp", "nearest_interp_v2"), _same),
    **dict.fromkeys(("bilinear_interp", "bilinear_interp_v2"), _same),
}
"""What each operator does with the channels that it reads."""
