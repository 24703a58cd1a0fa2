"""Find the tensors that are cut together when a convolution loses output channels.

`pruning.channel_rules` follows the channels through the graph; the rest of the project does
arithmetic on what it finds.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
import paddle

from pruning.channel_rules import follow, forward_operators
from pruning.channels import Walk
from pruning.pattern import PatternError, matching, no_match, some

HEAD = "is an output of the network, which needs all of its channels"
NO_FILTER = "is not a convolution's filter; it follows the layer it belongs to"
DEPTHWISE = "is a depthwise filter; it loses its channels with the convolution before it"


@dataclass(frozen=True)
class Conv:
    """A convolution: its filter's name and shape, its output map, and what follows it."""

    name: str
    shape: tuple[int, int, int, int]
    """Output channels, input channels per group, height, width."""
    map_size: tuple[int, int]
    depthwise: bool
    vectors: tuple[str, ...] = ()
    """Parameters with one number per channel: a bias, or the batch norm's, its scale first."""
    scale: str | None = None
    """The batch norm's scale; None if there is no batch norm."""
    groups: int = 1

    @property
    def kind(self) -> str:
        """A short description: 'depthwise 3x3', '1x1', '3x3' or '3x3, 32 groups'."""
        size = f"{self.shape[2]}x{self.shape[3]}"
        grouped = "" if self.groups == 1 else f", {self.groups} groups"
        return f"depthwise {size}" if self.depthwise else size + grouped


@dataclass(frozen=True)
class Group:
    """All that is cut when `master`, a convolution's filter, loses output channels."""

    master: str
    channels: int
    members: tuple[tuple[str, int], ...]
    """Parameters and the axis each is cut on, the master first."""
    blocks: int
    """How many blocks the master has: channels or, in a grouped convolution, its groups."""
    sizes: tuple[int, ...]
    """How many positions on its axis each member loses with one block of the master."""
    filters: tuple[str, ...]
    """Filters that lose the same channels, such as those a residual addition joins, in order."""

    def removed(self, ratio: float) -> int:
        """Number of blocks that a ratio removes, rounded as in paddleslim and the original."""
        return round(ratio * self.blocks)


@dataclass(frozen=True)
class Dependencies:
    """The convolutions of a Program, in order, and the groups of those that can be cut."""

    convs: dict[str, Conv]
    groups: dict[str, Group]
    shapes: dict[str, tuple[int, ...]]
    """Shapes of all parameters."""
    refused: dict[str, str]
    """Why the other convolutions can't be cut."""
    positions: dict[str, int]
    """How often one image uses each filter and each weight matrix: its output positions."""
    uncounted: int = 0
    """Elements of batch norm, relu, sigmoid and pooling, which the original counts as FLOPs."""
    channels: dict[tuple[str, int], np.ndarray] = field(default_factory=dict, compare=False)
    """A number for each channel, by parameter and axis; tied channels share a number."""

    def match(self, pattern: str) -> list[str]:
        """The filters that a pattern selects by `re.match`, as in the original.

        They come in the order of the Program. Of filters that are cut together, the first match
        stands for all, as in paddleslim.

        Raises:
            PatternError: the syntax is wrong, nothing matches, or a match cannot be cut, and why.
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
        return self.masters(name for name in self.convs if name in matched)

    def masters(self, names: Iterable[str]) -> list[str]:
        """Of some filters, the first of each set that is cut together."""
        first: dict[tuple[str, ...], str] = {}
        for name in names:
            first.setdefault(self.groups[name].filters, name)
        return list(first.values())

    def input_axis(self, name: str) -> int:
        """The axis on which a filter or weight matrix has its inputs."""
        return 1 if name in self.convs else 0

    def why_not(self, name: str) -> str | None:
        """The reason why a parameter cannot be pruned by name; None if it can."""
        if name in self.groups:
            return None
        if name not in self.convs:
            return NO_FILTER
        return self.refused[name]


def analyse(
    program: paddle.static.Program, train_program: paddle.static.Program | None = None
) -> Dependencies:
    """Follow the channels of every convolution of an eval Program.

    Args:
        train_program: the same network's. A filter followed by different layers there can't be cut.
    """
    if train_program is not None:
        return _in_both(analyse(program), analyse(train_program))
    ops = forward_operators(program)
    readers = {name: op for op in reversed(ops) for name in op.input_arg_names}
    parameters = {p.name: tuple(p.shape) for p in program.all_parameters()}
    convs: dict[str, Conv] = {}
    for op in ops:
        conv = _conv(op, readers, parameters)
        if conv:
            convs.setdefault(conv.name, conv)
    walk = follow(program)
    ties = _Ties(walk, convs)
    heads = _heads(ops, parameters)
    groups, refused = {}, {}
    for conv in convs.values():
        reason = HEAD if conv.name in heads else ties.why_not(conv.name)
        if reason or conv.depthwise:
            refused[conv.name] = reason or DEPTHWISE
        else:
            groups[conv.name] = ties.group(conv)
    return Dependencies(
        convs,
        groups,
        parameters,
        refused,
        walk.positions,
        sum(map(_original_elements, ops)),
        ties.channels,
    )


def _in_both(evaluation: Dependencies, train: Dependencies) -> Dependencies:
    refused = dict(evaluation.refused)
    for name, group in evaluation.groups.items():
        if name not in train.groups:
            why = train.refused.get(name, "is not there")
            refused[name] = f"{why}: so it is in the train Program, unlike in the eval Program"
        elif other := set(train.groups[name].members) ^ set(group.members):
            shown = some(sorted(member for member, _ in other))
            refused[name] = f"is cut with {shown} in one of the train and eval Programs alone"
    groups = {name: group for name, group in evaluation.groups.items() if name not in refused}
    return replace(evaluation, groups=groups, refused=refused)


def _heads(ops: list, parameters: dict[str, tuple[int, ...]]) -> set[str]:
    """Filters that are followed by no layer with a filter or matrix of its own."""
    leading: set[str] = set()  # Variables that lead to such a layer
    filters: set[str] = set()  # filters that lead to one
    for op in reversed(ops):
        has_weights = any(len(parameters.get(name, ())) > 1 for name in op.input_arg_names)
        if leads := not leading.isdisjoint(op.output_arg_names):
            filters.update(op.input_arg_names)
        if has_weights or leads:
            leading.update(op.input_arg_names)
    return parameters.keys() - filters


class _Ties:
    """The channels of a network, and which of them can only go together."""

    def __init__(self, walk: Walk, convs: dict[str, Conv]):
        tied = walk.tied()
        self._convs = convs
        self.channels = {member: tied[numbers] for member, numbers in walk.members.items()}
        self._why: dict[int, str] = {}
        for numbers, why in walk.ends:
            for number in np.unique(tied[numbers]).tolist():
                self._why.setdefault(number, why)
        self._sizes: dict[int, dict[tuple[str, int], int]] = {}
        for member, numbers in self.channels.items():
            for number, size in zip(*np.unique(numbers, return_counts=True), strict=True):
                self._sizes.setdefault(int(number), {})[member] = int(size)

    def why_not(self, name: str) -> str | None:
        """The reason why a filter can't lose channels; None if it can."""
        numbers = np.unique(self.channels[name, 0]).tolist()
        for number in numbers:
            if number in self._why:
                return self._why[number]
        if len(numbers) == 1:
            return "has a single channel, or its channels are all tied to one another"
        first = self._sizes[numbers[0]]
        uneven = next((n for n in numbers if self._sizes[n] != first), None)
        if uneven is None:
            return None
        members = {member for number in numbers for member in self._sizes[number]} - {(name, 0)}
        others = [conv for conv in self._convs if (conv, 0) in members]
        return (
            f"shares its channels with {some(others) or 'parts of others'}, some with this and "
            "some with that: it is cut with them"
        )

    def group(self, conv: Conv) -> Group:
        """The group of a filter: all that its channels take with them."""
        own = (conv.name, 0)
        numbers = np.unique(self.channels[own])
        sizes = self._sizes[int(numbers[0])]
        sizes = {own: sizes[own], **sizes}
        together = [name for name in self._convs if (name, 0) in sizes]
        filters = tuple(name for name in together if not self._convs[name].depthwise)
        return Group(
            conv.name, conv.shape[0], tuple(sizes), len(numbers), tuple(sizes.values()), filters
        )


def _conv(op, readers: dict, parameters: dict[str, tuple[int, ...]]) -> Conv | None:
    """The convolution that an operator is, if any; `readers`: the first to read each Variable."""
    if op.type not in ("conv2d", "depthwise_conv2d") or op.input("Filter")[0] not in parameters:
        return None
    name, output = op.input("Filter")[0], op.output("Output")[0]
    map_size = tuple(op.block.var(output).shape[2:])
    if op.attr("data_format") == "NHWC":
        map_size = tuple(op.block.var(output).shape[1:3])
    vectors, scale = _vectors(output, readers, parameters)
    shape, groups = parameters[name], op.attr("groups") or 1
    depthwise = groups > 1 and shape[1] == 1
    return Conv(name, shape, map_size, depthwise, vectors, scale, groups)


def _vectors(
    name: str, readers: dict, parameters: dict[str, tuple[int, ...]]
) -> tuple[tuple[str, ...], str | None]:
    """The vectors of the bias and batch norm that follow a Variable, and the norm's scale."""
    behind, vectors = readers.get(name), ()
    if behind and behind.type == "elementwise_add":
        (bias,) = behind.input("Y")
        if bias not in parameters:  # paddle.nn.Conv2D reshapes it first
            writers = [op for op in behind.block.ops if bias in op.output_arg_names]
            bias = writers[0].input("X")[0] if writers and writers[0].type == "reshape2" else ""
        if len(parameters.get(bias, ())) != 1:
            return (), None
        vectors, behind = (bias,), readers.get(behind.output("Out")[0])
    if behind and behind.type == "batch_norm":
        norm = tuple(behind.input(slot)[0] for slot in ("Scale", "Bias", "Mean", "Variance"))
        return vectors + norm, norm[0]
    return vectors, None


def is_update(op) -> bool:
    """Whether an operator is an optimizer's step for a parameter."""
    return "Param" in op.input_names and "Grad" in op.input_names


def optimizer_state(program: paddle.static.Program) -> Iterator[tuple[str, str]]:
    """(name, parameter) of every velocity or moment that has its parameter's shape."""
    block = program.global_block()
    for op in block.ops:
        if is_update(op):
            parameter = op.input("Param")[0]
            shape = block.var(parameter).shape
            for slot in op.input_names:
                for name in op.input(slot):
                    var = block.var(name)
                    if name != parameter and var.persistable and var.shape == shape:
                        yield name, parameter


def _original_elements(op) -> int:
    """What the original counts as FLOPs for one image besides convolutions and matrices."""
    if op.type == "pool2d":
        return _elements(op, "Out") * op.attr("ksize")[0] ** 2
    return _elements(op, "X") if op.type in ("batch_norm", "relu", "sigmoid") else 0


def _elements(op, slot: str) -> int:
    """The number of a Variable's elements for one image."""
    (name,) = op.output(slot) if slot == "Out" else op.input(slot)
    return prod(op.block.var(name).shape[1:])
