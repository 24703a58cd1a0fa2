"""Sample the inputs and outputs of an eval Program's convolutions at some places of their maps.

Neighbouring places see nearly the same, so a sample of them says as much as entire maps, and fits
into memory.
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import paddle
from numpy.lib.stride_tricks import sliding_window_view
from paddle.base.framework import Operator
from paddle.static import Program

from ssd_model.place import default_place

PLACES = 1500
"""How many places of a batch's feature maps are sampled, or all if there are fewer."""

Places = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The places of a sample: the index of the image in its batch, the row, and the column."""


@dataclass(frozen=True)
class ScopedProgram:
    """A Program and the scope with its parameters."""

    program: Program
    scope: "paddle.static.Scope"

    @cached_property
    def _executor(self) -> paddle.static.Executor:
        return paddle.static.Executor(default_place())

    def run(self, feed: dict[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
        """Compute Variables from the feed; only the operators that lead to them are run."""
        with warnings.catch_warnings():
            # The Variables may not need all of the feed.
            given = "|".join(map(re.escape, feed))
            warnings.filterwarnings("ignore", f"The variable ({given}) is not found")
            return self._executor.run(
                self.program, feed=feed, fetch_list=list(names), scope=self.scope, use_prune=True
            )


@dataclass(frozen=True)
class PlainConv:
    """A convolution that mixes all channels and whose padding is explicit."""

    filter: str
    input: str
    output: str
    kernel: tuple[int, int]
    strides: tuple[int, int]
    paddings: tuple[tuple[int, int], tuple[int, int]]
    """Above and below, left and right."""
    dilations: tuple[int, int]

    def seen(self, x: np.ndarray, places: Places) -> np.ndarray:
        """What the filter sees, [K, C_in * H * W], of input [N, C_in, H, W] at K output places."""
        padded = np.pad(x, ((0, 0), (0, 0), *self.paddings))
        span = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        windows = sliding_window_view(padded, span, (2, 3))
        windows = windows[..., :: self.dilations[0], :: self.dilations[1]]
        n, row, column = places
        rows = windows[n, :, row * self.strides[0], column * self.strides[1]]
        return rows.reshape(len(n), -1)


def plain_convs(program: Program) -> list[PlainConv]:
    """List the plain convolutions of a Program, in its order."""
    return [
        PlainConv(
            op.input("Filter")[0],
            op.input("Input")[0],
            op.output("Output")[0],
            tuple(op.block.var(op.input("Filter")[0]).shape[2:]),
            tuple(op.attr("strides")),
            _edges(op.attr("paddings")),
            tuple(op.attr("dilations")),
        )
        for op in program.global_block().ops
        if op.type == "conv2d" and _is_plain(op)
    ]


def _is_plain(op: Operator) -> bool:
    explicit = op.attr("padding_algorithm") == "EXPLICIT" and op.attr("data_format") != "NHWC"
    return explicit and op.attr("groups") == 1


def _edges(paddings: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    if len(paddings) == 2:
        return (paddings[0],) * 2, (paddings[1],) * 2
    return tuple(paddings[:2]), tuple(paddings[2:])


def first_input(program: Program) -> str:
    """Name the image: what the first convolution sees, before any operator changes it."""
    ops = program.global_block().ops
    writers = {
        name: op for op in reversed(ops) if op.type != "feed" for name in op.output_arg_names
    }
    name = next(op for op in ops if op.type in ("conv2d", "depthwise_conv2d")).input("Input")[0]
    while name in writers:
        name = writers[name].input_arg_names[0]
    return name


def draw_places(images: int, map_size: tuple[int, int], rng: np.random.Generator) -> Places:
    """Draw places, at most `PLACES`, from this many maps [H, W]."""
    size = images * prod(map_size)
    at = rng.choice(size, min(PLACES, size), replace=False)
    return np.unravel_index(at, (images, *map_size))
