"""Which tensors are cut together when a convolution loses output channels.

paddleslim follows the channels through the graph; the rest of the project does arithmetic on
what it finds.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import paddle
from paddleslim.prune.collections import StaticPruningCollections
from paddleslim.prune.prune_worker import PRUNE_WORKER, PruneWorker

from pruning.graph import IndexedGraph
from pruning.pattern import PatternError, matching, no_match


@PRUNE_WORKER.register
class prior_box(PruneWorker):  # noqa: N801 (paddleslim finds it by the operator's name)
    """Priors take only a map's height and width, so fewer channels change nothing."""

    def _prune(self, var, pruned_axis, transforms):
        pass


@dataclass(frozen=True)
class Conv:
    """A convolution: its filter's name and shape, its output map, and what stands behind it."""

    name: str
    shape: tuple[int, int, int, int]
    """Output channels, input channels a group, height, width."""
    map_size: tuple[int, int]
    depthwise: bool
    vectors: tuple[str, ...] = ()
    """Parameters with one number a channel: the batch norm's scale first, or a bias."""
    scale: str | None = None
    """The batch norm's scale; None where a bias stands instead."""

    @property
    def kind(self) -> str:
        """'depthwise 3x3', '1x1', '3x3'."""
        size = f"{self.shape[2]}x{self.shape[3]}"
        return f"depthwise {size}" if self.depthwise else size


@dataclass(frozen=True)
class Group:
    """What goes when `master`, a convolution's filter, loses output channels."""

    master: str
    channels: int
    members: tuple[tuple[str, int], ...]
    """Parameters and the axis each is cut on, the master's own first."""


@dataclass(frozen=True)
class Dependencies:
    """Convolutions of a Program in order, and the groups of those that can be cut."""

    convs: dict[str, Conv]
    groups: dict[str, Group]
    shapes: dict[str, tuple[int, ...]]
    """Shapes of all parameters."""
    uncounted: int = field(default=0)
    """Elements through batch norm and relu, which the original's FLOPs count once each."""

    def match(self, pattern: str) -> list[str]:
        """The filters a pattern selects, by `re.match` as in the original.

        Raises:
            PatternError: bad syntax, no match, or a match that cannot be cut, with the reason.
        """
        matched = matching(re.match, pattern, self.shapes)
        if not matched:
            raise PatternError(no_match(pattern, self.shapes, self.groups))
        refused = [f"{name}: {self.why_not(name)}" for name in matched if self.why_not(name)]
        if refused:
            shown = "\n  ".join(refused[:5])
            more = f"\n  and {len(refused) - 5} more" if len(refused) > 5 else ""
            raise PatternError(
                f"pruned_params {pattern!r} also matches what can't be cut:\n  {shown}{more}"
            )
        return matched

    def why_not(self, name: str) -> str | None:
        """Why a parameter cannot be pruned by name; None if it can."""
        if name in self.groups:
            return None
        if name not in self.convs:
            return "is not a convolution's filter; it is cut with the layer it belongs to"
        if self.convs[name].depthwise:
            return "is a depthwise filter; it loses its channels with the convolution before it"
        return "is an output of the network: its channels are the offsets or classes of the priors"


def analyse(program: paddle.static.Program) -> Dependencies:
    """Follow the channels of every convolution of an eval Program."""
    block = program.global_block()
    readers = {name: op for op in reversed(block.ops) for name in op.input_arg_names}
    convs = {conv.name: conv for conv in (_conv(op, readers) for op in block.ops) if conv}
    plain = [conv.name for conv in convs.values() if not conv.depthwise]
    groups = {}
    for collection in _collections(program, plain):
        members = [(detail.name, detail.axis) for detail in collection.all_pruning_details()]
        master = collection.master_name
        groups[master] = Group(master, convs[master].shape[0], tuple(dict.fromkeys(members)))
    elementwise = [op for op in block.ops if op.type in ("batch_norm", "relu")]
    return Dependencies(
        convs,
        groups,
        {p.name: tuple(p.shape) for p in program.all_parameters()},
        sum(_elements(block.var(op.input("X")[0])) for op in elementwise),
    )


def _collections(program: paddle.static.Program, params: list[str]) -> list:
    """paddleslim's groups; it warns of each Variable that it passes over, which is expected."""
    logger = logging.getLogger("paddleslim.prune.collections")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return list(StaticPruningCollections(params, IndexedGraph(program)))
    finally:
        logger.setLevel(level)


def _conv(op, readers: dict) -> Conv | None:
    """What an operator is, if it is a convolution; `readers` are the first to read a Variable."""
    if op.type not in ("conv2d", "depthwise_conv2d"):
        return None
    name, output = op.input("Filter")[0], op.output("Output")[0]
    block, behind = op.block, readers.get(output)
    vectors, scale = (), None
    kind = behind.type if behind else None
    if kind == "batch_norm":
        vectors = tuple(behind.input(slot)[0] for slot in ("Scale", "Bias", "Mean", "Variance"))
        scale = vectors[0]
    elif kind == "elementwise_add":
        vectors = tuple(behind.input("Y"))
    map_size = tuple(block.var(output).shape[2:])
    depthwise = op.type == "depthwise_conv2d"
    return Conv(name, tuple(block.var(name).shape), map_size, depthwise, vectors, scale)


def optimizer_state(program: paddle.static.Program) -> Iterator[tuple[str, str]]:
    """(name, parameter) of every velocity or moment that has its parameter's shape."""
    block = program.global_block()
    for op in block.ops:
        if "Param" in op.input_names and "Grad" in op.input_names:
            parameter = op.input("Param")[0]
            shape = block.var(parameter).shape
            for slot in op.input_names:
                for name in op.input(slot):
                    var = block.var(name)
                    if name != parameter and var.persistable and var.shape == shape:
                        yield name, parameter


def _elements(var) -> int:
    """Elements of a Variable for one image."""
    return prod(var.shape[1:])
