"""Compute what pruning would leave; no Program is copied, run or changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lcm, prod

import paddle
import pandas as pd

from pruning.dependencies import Dependencies, optimizer_state


class PlanError(ValueError):
    """A ratio that cannot be planned."""


@dataclass(frozen=True)
class Plan:
    """The channels left in every layer.

    Args:
        dependencies: those of the network, from `analyse`.
        ratios: share of output channels to cut, in [0, 1), by filter name.

    Raises:
        PlanError: a filter cannot be cut, or a ratio would leave it without channels.
    """

    dependencies: Dependencies
    ratios: Mapping[str, float]

    def __post_init__(self):
        for name, ratio in self.ratios.items():
            self._check(name)
            group = self.dependencies.groups[name]
            if not 0 <= ratio < 1 or group.removed(ratio) >= group.blocks:
                raise PlanError(
                    f"ratio {ratio:g} would leave {name} none of its {group.channels} channels; "
                    f"it must be 0 or more and below 1 - 0.5 / {group.blocks}"
                )
        masters = self.dependencies.masters(self.ratios)
        for name in self.ratios.keys() - set(masters):
            raise PlanError(
                f"{name} is cut with another of the plan's filters: give a ratio to one of "
                f"{', '.join(self.dependencies.groups[name].filters)}"
            )

    def _check(self, name: str) -> None:
        reason = self.dependencies.why_not(name)
        if reason:
            raise PlanError(f"{name} {reason}")

    def channels_removed(self, name: str) -> int:
        """Number of output channels a filter loses, rounded as in paddleslim and the original."""
        if name not in self.ratios:
            return 0
        group = self.dependencies.groups[name]
        return group.removed(self.ratios[name]) * group.sizes[0]

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter after the cut."""
        shapes = {name: list(shape) for name, shape in self.dependencies.shapes.items()}
        for name, ratio in self.ratios.items():
            group = self.dependencies.groups[name]
            for (member, axis), size in zip(group.members, group.sizes, strict=True):
                shapes[member][axis] -= group.removed(ratio) * size
        return {name: tuple(shape) for name, shape in shapes.items()}

    @cached_property
    def flops(self) -> int:
        """Multiply-adds of the convolutions and fully connected layers for one image.

        They are counted as in `paddleslim.analysis.flops`.
        """
        return sum(map(self.layer_flops, self.dependencies.positions))

    def layer_flops(self, name: str) -> int:
        """Multiply-adds of one filter or weight matrix for one image."""
        return prod(self.shapes[name]) * self.dependencies.positions[name]

    def layer_parameters(self, name: str) -> int:
        """How many numbers a filter or matrix holds, with the batch norm or bias behind it."""
        conv = self.dependencies.convs.get(name)
        return sum(prod(self.shapes[n]) for n in (name, *(conv.vectors if conv else ())))

    @cached_property
    def parameters(self) -> int:
        """How many numbers all parameters hold, batch-norm statistics included."""
        return sum(map(prod, self.shapes.values()))

    @cached_property
    def original_flops(self) -> float:
        """FLOPs as the original's search counted them.

        It counted two for a multiply-add, divided a filter by its groups once too often, and added
        one for each element of batch norm, relu and sigmoid, and for each that a pooling sees.
        Groups and elements are those before the cut.
        """
        convs = self.dependencies.convs
        groups = {name: convs[name].groups if name in convs else 1 for name in self.shapes}
        return float(self.dependencies.uncounted) + sum(
            2 * self.layer_flops(name) / groups[name] for name in self.dependencies.positions
        )

    def rounded(self, channel_multiple: int) -> "Plan":
        """The nearest plan in which each cut layer keeps a multiple of this many channels.

        Kernels work on 8 or 16 channels at a time, so a count in between may cost as much as the
        next multiple.

        Raises:
            PlanError: the multiple is below 1.
        """
        if channel_multiple < 1:
            raise PlanError(f"channel_multiple is {channel_multiple}: it must be 1 or more")
        if channel_multiple == 1:
            return self
        ratios = {}
        for name in self.ratios:
            group = self.dependencies.groups[name]
            channels, multiple = group.channels, lcm(channel_multiple, group.sizes[0])
            multiples = (channels - self.channels_removed(name) + multiple / 2) // multiple
            kept = min(channels, max(1, int(multiples)) * multiple)
            ratios[name] = 1 - kept / channels if self.channels_removed(name) else 0.0
        return Plan(self.dependencies, ratios)

    def reached_tensors(
        self, name: str, train_program: paddle.static.Program | None = None
    ) -> pd.DataFrame:
        """List every tensor that a filter's cut reaches: its axis, its shape before and after.

        Args:
            name: the filter's name.
            train_program: a Program with the optimizer, to list the optimizer's state, too.

        Raises:
            PlanError: the filter cannot be cut.
        """
        self._check(name)
        state: dict[str, list[str]] = {}
        for tensor, parameter in optimizer_state(train_program) if train_program else ():
            state.setdefault(parameter, []).append(tensor)
        rows = [
            (tensor, axis, self.dependencies.shapes[member], self.shapes[member])
            for member, axis in self.dependencies.groups[name].members
            for tensor in (member, *state.get(member, ()))
        ]
        columns = ["tensor", "axis", "shape before", "shape after"]
        return pd.DataFrame(rows, columns=columns).set_index("tensor")

    def table(self) -> pd.DataFrame:
        """One row for each layer: channels, multiply-adds and parameters before and after.

        Layers are convolutions and weight matrices ('fc'). A convolution's parameters are its
        filter's and those of the batch norm or bias behind it.
        """
        unpruned, convs = self.unpruned, self.dependencies.convs
        rows = []
        for name in self.dependencies.positions:
            into = self.dependencies.input_axis(name)
            out = 1 - into
            before, after = unpruned.shapes[name], self.shapes[name]
            row = {
                "layer": name,
                "kind": convs[name].kind if name in convs else "fc",
                "map": "{}x{}".format(*convs[name].map_size) if name in convs else "",
                "channels before": before[out],
                "channels after": after[out],
                "inputs before": before[into],
                "inputs after": after[into],
                "FLOPs before": unpruned.layer_flops(name),
                "FLOPs after": self.layer_flops(name),
                "parameters before": unpruned.layer_parameters(name),
                "parameters after": self.layer_parameters(name),
                "reaches": self._reach(name),
            }
            rows.append(row)
        return pd.DataFrame(rows).set_index("layer")

    def _reach(self, name: str) -> str:
        """The layers that the cut of a filter reaches, in short."""
        if not self.channels_removed(name):
            return ""
        layers = [
            ("inputs of " if axis else "") + member.split(".")[0]
            for member, axis in self.dependencies.groups[name].members[1:]
        ]
        return ", ".join(dict.fromkeys(layers))

    @cached_property
    def unpruned(self) -> "Plan":
        """The plan of the same network that removes nothing."""
        return Plan(self.dependencies, {})

    @property
    def uniform_ratio(self) -> float | None:
        """The ratio that all its filters share; None if they differ, or there are none."""
        ratios = set(self.ratios.values())
        return ratios.pop() if len(ratios) == 1 else None

    @property
    def saved(self) -> float:
        """The share of the FLOPs that is cut."""
        return 1 - self.flops / self.unpruned.flops

    def summary(self) -> str:
        """FLOPs and parameters, before and after, in one line."""
        unpruned = self.unpruned
        return (
            f"FLOPs {unpruned.flops / 1e9:.3f} G -> {self.flops / 1e9:.3f} G "
            f"({self.flops / unpruned.flops - 1:+.1%}), "
            f"parameters {unpruned.parameters / 1e6:.2f} M -> {self.parameters / 1e6:.2f} M "
            f"({self.parameters / unpruned.parameters - 1:+.1%})"
        )


def uniform_plan(dependencies: Dependencies, pruned_params: str, ratio: float) -> Plan:
    """Cut the same share of channels from every filter that a pattern matches.

    Raises:
        PatternError, PlanError: see `Dependencies.match` and `Plan`.
    """
    return Plan(dependencies, dict.fromkeys(dependencies.match(pruned_params), ratio))


def total_plan(dependencies: Dependencies, prunings: Sequence[Mapping[str, float]]) -> Plan:
    """Combine prunings that were carried out one after another into one plan.

    Args:
        prunings: the ratios of each, by filter: shares of the channels that the one before left.
    """
    if len(prunings) == 1:
        return Plan(dependencies, prunings[0])
    blocks = {name: dependencies.groups[name].blocks for ratios in prunings for name in ratios}
    left = dict(blocks)
    for ratios in prunings:
        for name, ratio in ratios.items():
            left[name] -= round(left[name] * ratio)
    return Plan(dependencies, {name: 1 - kept / blocks[name] for name, kept in left.items()})
