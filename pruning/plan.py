"""What pruning would leave, by arithmetic alone: no Program is copied, run or changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import paddle
import pandas as pd

from pruning.dependencies import Dependencies, optimizer_state


class PlanError(ValueError):
    """A ratio that cannot be planned."""


@dataclass(frozen=True)
class Plan:
    """Channels left in every layer.

    Args:
        dependencies: of the network, from `analyse`.
        ratios: share of output channels to cut, in [0, 1), by filter name.

    Raises:
        PlanError: a filter that cannot be cut, or a ratio that leaves it without channels.
    """

    dependencies: Dependencies
    ratios: Mapping[str, float]

    def __post_init__(self):
        for name, ratio in self.ratios.items():
            self._check(name)
            channels = self.dependencies.groups[name].channels
            if not 0 <= ratio < 1 or self.channels_removed(name) >= channels:
                raise PlanError(
                    f"ratio {ratio:g} would leave {name} none of its {channels} channels; "
                    f"it must be 0 or more and below 1 - 0.5 / {channels}"
                )

    def _check(self, name: str) -> None:
        reason = self.dependencies.why_not(name)
        if reason:
            raise PlanError(f"{name} {reason}")

    def channels_removed(self, name: str) -> int:
        """Output channels that a filter loses, rounded as paddleslim and the original do."""
        return round(self.ratios.get(name, 0) * self.dependencies.shapes[name][0])

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter after the cut."""
        shapes = {name: list(shape) for name, shape in self.dependencies.shapes.items()}
        for name in self.ratios:
            for member, axis in self.dependencies.groups[name].members:
                shapes[member][axis] -= self.channels_removed(name)
        return {name: tuple(shape) for name, shape in shapes.items()}

    @cached_property
    def flops(self) -> int:
        """Multiply-adds of the convolutions for one image, as `paddleslim.analysis.flops`."""
        return sum(self.conv_flops(name) for name in self.dependencies.convs)

    def conv_flops(self, name: str) -> int:
        """Multiply-adds of one convolution for one image."""
        return prod(self.shapes[name]) * prod(self.dependencies.convs[name].map_size)

    def conv_parameters(self, name: str) -> int:
        """Numbers in a filter and in the batch norm or bias behind it."""
        return sum(prod(self.shapes[n]) for n in (name, *self.dependencies.convs[name].vectors))

    @cached_property
    def parameters(self) -> int:
        """Numbers in all parameters, batch-norm statistics included."""
        return sum(map(prod, self.shapes.values()))

    @cached_property
    def original_flops(self) -> float:
        """FLOPs as the original's search counted them.

        Two for a multiply-add, a depthwise filter divided by its groups once too often, and one
        for each element of batch norm and relu. Groups and elements are those before the cut.
        """
        total = float(self.dependencies.uncounted)
        for conv in self.dependencies.convs.values():
            groups = conv.shape[0] if conv.depthwise else 1
            total += 2 * self.conv_flops(conv.name) / groups
        return total

    def rounded(self, channel_multiple: int) -> "Plan":
        """The nearest plan whose cut layers keep a multiple of so many channels.

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
            channels = self.dependencies.groups[name].channels
            multiples = (
                channels - self.channels_removed(name) + channel_multiple / 2
            ) // channel_multiple
            kept = min(channels, max(1, int(multiples)) * channel_multiple)
            ratios[name] = 1 - kept / channels if self.channels_removed(name) else 0.0
        return Plan(self.dependencies, ratios)

    def reached_tensors(
        self, name: str, train_program: paddle.static.Program | None = None
    ) -> pd.DataFrame:
        """Every tensor that a filter's cut reaches: axis, shape before and after.

        Args:
            name: of the filter.
            train_program: with the optimizer in it; then its state is listed, too.

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
        """One row a convolution: channels, multiply-adds and parameters before and after.

        The parameters are the filter's and those of the batch norm or bias behind it.
        """
        unpruned = self.unpruned
        rows = [
            {
                "layer": conv.name,
                "kind": conv.kind,
                "map": "{}x{}".format(*conv.map_size),
                "channels before": conv.shape[0],
                "channels after": self.shapes[conv.name][0],
                "inputs before": conv.shape[1],
                "inputs after": self.shapes[conv.name][1],
                "FLOPs before": unpruned.conv_flops(conv.name),
                "FLOPs after": self.conv_flops(conv.name),
                "parameters before": unpruned.conv_parameters(conv.name),
                "parameters after": self.conv_parameters(conv.name),
                "reaches": self._reach(conv.name),
            }
            for conv in self.dependencies.convs.values()
        ]
        return pd.DataFrame(rows).set_index("layer")

    def _reach(self, name: str) -> str:
        """The layers that a cut of this plan reaches, in short."""
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
        """The ratio of all its filters; None where they differ, or there are none."""
        ratios = set(self.ratios.values())
        return ratios.pop() if len(ratios) == 1 else None

    @property
    def saved(self) -> float:
        """Share of the FLOPs that is cut."""
        return 1 - self.flops / self.unpruned.flops

    def summary(self) -> str:
        """Before and after in one line."""
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
    """One plan for what several prunings, one after the other, leave.

    Args:
        prunings: the ratios of each by filter, of the channels that the one before it left.
    """
    if len(prunings) == 1:
        return Plan(dependencies, prunings[0])
    left = {name: dependencies.shapes[name][0] for ratios in prunings for name in ratios}
    for ratios in prunings:
        for name, ratio in ratios.items():
            left[name] -= round(left[name] * ratio)
    ratios = {name: 1 - kept / dependencies.shapes[name][0] for name, kept in left.items()}
    return Plan(dependencies, ratios)
