"""Reconstruct a network after pruning, before it is trained: the layers behind take over.

A convolution that lost inputs computes something else. Of all weights for the inputs that are left
it gets those with which its output comes nearest to what it was in the unpruned network, on a few
batches of images (He et al., Channel Pruning for Accelerating Very Deep Neural Networks, arXiv
1707.06168, 3.1: the reconstruction step). Layer by layer from the image on, so that each also makes
up for what those before it could not.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import paddle
from numpy.lib.stride_tricks import sliding_window_view
from paddle.base.framework import Operator
from paddle.static import Program

from pruning.cut import Criterions, CutPositions, cut_positions
from pruning.pattern import some
from pruning.plan import Plan
from ssd_model.progress import progress
from ssd_model.scope import child_scope, empty_scope, read_tensor, write_tensor

PLACES = 1500
"""Of a batch's feature maps so many places are looked at, or all if there are fewer."""
RIDGE = 1e-3
"""Pull towards the weights as they are, as a share of the inputs' mean square: inputs that hardly
vary, or are alike, then change little."""


@dataclass(frozen=True)
class ScopedProgram:
    """An eval Program and the scope with its parameters."""

    program: Program
    scope: paddle.static.Scope


@dataclass(frozen=True)
class _Layer:
    """A plain convolution."""

    filter: str
    input: str
    output: str
    stride: int
    padding: int


Places = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of some places of a map: the image in its batch, the row, the column."""


@dataclass(frozen=True)
class _Sample:
    places: Places
    outputs: np.ndarray
    """[K, C_out] of the unpruned network there, in the channels that are left."""


def reconstruct(
    plan: Plan,
    positions: CutPositions,
    unpruned: ScopedProgram,
    pruned: ScopedProgram,
    batches: Sequence[np.ndarray],
) -> None:
    """Refit every convolution of `pruned` that lost input channels, but for the heads.

    Nearly all that the heads see is background: the least squared error would be had at the
    objects' expense. Fully connected layers, and convolutions with groups, dilation or padding
    that differs by side, keep their weights, too.

    Args:
        plan, positions: what was cut from `unpruned` to get `pruned`, see `cut_positions`.
        unpruned: the network before the pruning; it is only read.
        pruned: the filters in its scope are replaced.
        batches: images [N, 3, S, S], a hundred or two in all. One layer's inputs are kept for all
            of them, 3 MB an image for the widest of MobileNetV1-SSD.

    Raises:
        ValueError: no images.
    """
    if not batches:
        raise ValueError("reconstruction needs images")
    executor = paddle.static.Executor(paddle.CPUPlace())

    def run(network: ScopedProgram, feed: dict, names: Sequence[str]) -> list[np.ndarray]:
        with warnings.catch_warnings():
            # It isn't needed where a layer's kept inputs lead to all that is wanted.
            warnings.filterwarnings("ignore", f"The variable {re.escape(image)} is not found")
            # use_prune: only what leads from the feed to these Variables is run.
            return executor.run(
                network.program,
                feed=feed,
                fetch_list=list(names),
                scope=network.scope,
                use_prune=True,
            )

    image = first_input(unpruned.program)
    layers = [layer for layer in _layers(unpruned.program) if _lost_inputs(plan, layer.filter)]
    _tell_what_stays(plan, {layer.filter for layer in layers})
    if not layers:
        return
    given = [{image: batch} for batch in batches]
    samples: list[list[_Sample]] = [[] for _ in layers]
    for i, feed in enumerate(given):
        rng = np.random.default_rng(i)
        outputs = run(unpruned, feed, [layer.output for layer in layers])
        for layer, taken, output in zip(layers, samples, outputs, strict=True):
            taken.append(_sample(output, positions[layer.filter].get(0, []), rng))
    # Each layer's inputs are kept until the next one's are computed from them.
    inputs: list[dict] = [{} for _ in given]
    with child_scope(pruned.scope) as inside:
        network = ScopedProgram(pruned.program, inside)
        for layer, taken in zip(progress(layers, "reconstruct"), samples, strict=True):
            weight = read_tensor(pruned.scope, layer.filter)
            gram, moment = 0.0, 0.0
            for i, sample in enumerate(taken):
                (x,) = run(network, given[i] | inputs[i], [layer.input])
                inputs[i] = {layer.input: x}
                seen = _seen(x, weight.shape[2:], layer, sample.places)
                gram, moment = gram + seen.T @ seen, moment + seen.T @ sample.outputs
            write_tensor(pruned.scope, layer.filter, _solve(gram, moment, weight))


class Reconstruction:
    """Keeps a network as it is before a pruning, to reconstruct it afterwards.

    Args:
        plan: what will be pruned.
        network: as it is; its parameters are copied.
        criterions: how filters will be ranked, see `cut_positions`.
    """

    def __init__(self, plan: Plan, network: ScopedProgram, criterions: Criterions):
        self._plan = plan
        self._positions = cut_positions(plan, network.scope, criterions)
        self._unpruned = ScopedProgram(network.program, paddle.static.Scope())
        for name in plan.shapes:
            write_tensor(self._unpruned.scope, name, read_tensor(network.scope, name))

    def carry_out(self, pruned: ScopedProgram, batches: Sequence[np.ndarray]) -> None:
        """Reconstruct the pruned network, once; what was kept is freed. See `reconstruct`."""
        reconstruct(self._plan, self._positions, self._unpruned, pruned, batches)
        empty_scope(self._unpruned.scope)


def first_input(program: Program) -> str:
    """Name of what the first convolution sees, before anything is done to it: the image."""
    ops = program.global_block().ops
    writers = {
        name: op for op in reversed(ops) if op.type != "feed" for name in op.output_arg_names
    }
    name = next(op for op in ops if op.type in ("conv2d", "depthwise_conv2d")).input("Input")[0]
    while name in writers:
        name = writers[name].input_arg_names[0]
    return name


def _layers(program: Program) -> list[_Layer]:
    return [
        _Layer(
            op.input("Filter")[0],
            op.input("Input")[0],
            op.output("Output")[0],
            op.attr("strides")[0],
            op.attr("paddings")[0],
        )
        for op in program.global_block().ops
        if op.type == "conv2d" and _is_plain(op)
    ]


def _tell_what_stays(plan: Plan, refit: set[str]) -> None:
    """Name what lost inputs and is not refit, though it is no head."""
    dependencies = plan.dependencies
    matrices = dependencies.positions.keys() - dependencies.convs.keys()
    stays = [
        name
        for name in dependencies.positions.keys() - refit
        if _lost_inputs(plan, name)
        or (name in matrices and plan.shapes[name] != dependencies.shapes[name])
    ]
    if stays:
        print(f"reconstruct: {some(sorted(stays))} stay as they are, not being plain convolutions")


def _is_plain(op: Operator) -> bool:
    """Whether `_seen` shows what a convolution sees; the others keep their weights."""
    square = all(len(set(op.attr(name))) == 1 for name in ("strides", "paddings"))
    explicit = op.attr("padding_algorithm") == "EXPLICIT" and op.attr("data_format") != "NHWC"
    return square and explicit and op.attr("groups") == 1 and set(op.attr("dilations")) == {1}


def _lost_inputs(plan: Plan, name: str) -> bool:
    if name not in plan.dependencies.groups:  # a head
        return False
    return plan.shapes[name][1] < plan.dependencies.shapes[name][1]


def _sample(output: np.ndarray, gone: Sequence[int], rng: np.random.Generator) -> _Sample:
    """Some places of an output map [N, C, H, W], and what stands there in the channels left."""
    images, channels, height, width = output.shape
    size = images * height * width
    at = rng.choice(size, min(PLACES, size), replace=False)
    places = np.unravel_index(at, (images, height, width))
    n, row, column = places
    left = np.delete(np.arange(channels), gone)
    return _Sample(places, output[n, :, row, column][:, left])


def _seen(x: np.ndarray, kernel: tuple[int, int], layer: _Layer, places: Places) -> np.ndarray:
    """What a filter sees [K, C_in * H * W] of its input [N, C_in, H, W] for each output place."""
    edge = (layer.padding, layer.padding)
    windows = sliding_window_view(np.pad(x, ((0, 0), (0, 0), edge, edge)), kernel, (2, 3))
    n, row, column = places
    return windows[n, :, row * layer.stride, column * layer.stride].reshape(len(n), -1)


def _solve(gram: np.ndarray, moment: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The filter [C_out, C_in, H, W] of least squared error, pulled a little towards `weight`."""
    gram, moment = gram.astype("float64"), moment.astype("float64")
    ridge = RIDGE * np.trace(gram) / len(gram)
    flat = weight.reshape(len(weight), -1).T
    solution = np.linalg.solve(gram + ridge * np.eye(len(gram)), moment + ridge * flat)
    return np.ascontiguousarray(solution.T.reshape(weight.shape), "float32")
