"""What pruning would leave, by arithmetic alone: no Program is copied, run or changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import pandas as pd

from utils.dependencies import Dependencies

# The original's search stops this near to target_ratio.
TOLERANCE = 0.01


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
            reason = self.dependencies.why_not(name)
            if reason:
                raise PlanError(f"{name} {reason}")
            channels = self.dependencies.groups[name].channels
            if not 0 <= ratio < 1 or self.cut(name) >= channels:
                raise PlanError(
                    f"ratio {ratio:g} would leave {name} none of its {channels} channels; "
                    f"it must be 0 or more and below 1 - 0.5 / {channels}"
                )

    def cut(self, name: str) -> int:
        """Output channels that a filter loses, rounded as paddleslim and the original do."""
        return round(self.dependencies.groups[name].channels * self.ratios.get(name, 0))

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter after the cut."""
        shapes = {name: list(shape) for name, shape in self.dependencies.shapes.items()}
        for name in self.ratios:
            for member, axis in self.dependencies.groups[name].members:
                shapes[member][axis] -= self.cut(name)
        return {name: tuple(shape) for name, shape in shapes.items()}

    @cached_property
    def flops(self) -> int:
        """Multiply-adds of the convolutions for one image, as `paddleslim.analysis.flops`."""
        return sum(self.conv_flops(name) for name in self.dependencies.convs)

    def conv_flops(self, name: str) -> int:
        """Multiply-adds of one convolution for one image."""
        return prod(self.shapes[name]) * prod(self.dependencies.convs[name].map_size)

    @cached_property
    def parameters(self) -> int:
        """Numbers in all parameters, batch-norm statistics included."""
        return sum(map(prod, self.shapes.values()))

    @cached_property
    def original_flops(self) -> float:
        """FLOPs as the original's search counted them.

        Two for a multiply-add, a depthwise filter divided by its groups once too often, and one
        for each element of batch norm and relu before the cut.
        """
        total = float(self.dependencies.uncounted)
        for conv in self.dependencies.convs.values():
            groups = self.shapes[conv.name][0] if conv.depthwise else 1
            total += 2 * self.conv_flops(conv.name) / groups
        return total

    def table(self) -> pd.DataFrame:
        """One row a convolution: channels and multiply-adds before and after."""
        whole = Plan(self.dependencies, {})
        rows = [
            {
                "layer": conv.name,
                "kind": conv.kind,
                "map": "{}x{}".format(*conv.map_size),
                "channels before": conv.shape[0],
                "channels after": self.shapes[conv.name][0],
                "inputs before": conv.shape[1],
                "inputs after": self.shapes[conv.name][1],
                "FLOPs before": whole.conv_flops(conv.name),
                "FLOPs after": self.conv_flops(conv.name),
            }
            for conv in self.dependencies.convs.values()
        ]
        return pd.DataFrame(rows).set_index("layer")

    def summary(self) -> str:
        """Before and after in one line."""
        whole = Plan(self.dependencies, {})
        return (
            f"FLOPs {whole.flops / 1e9:.3f} G -> {self.flops / 1e9:.3f} G "
            f"({self.flops / whole.flops - 1:+.1%}), "
            f"parameters {whole.parameters / 1e6:.2f} M -> {self.parameters / 1e6:.2f} M "
            f"({self.parameters / whole.parameters - 1:+.1%})"
        )


def uniform_plan(dependencies: Dependencies, pruned_params: str, ratio: float) -> Plan:
    """Cut the same share of channels from every filter that a pattern matches.

    Raises:
        PatternError, PlanError: see `Dependencies.match` and `Plan`.
    """
    return Plan(dependencies, dict.fromkeys(dependencies.match(pruned_params), ratio))


def search_uniform_ratio(
    dependencies: Dependencies,
    pruned_params: str,
    target_ratio: float,
    tolerance: float = TOLERANCE,
) -> float:
    """The uniform channel ratio that cuts a share of the FLOPs, found by halving 0..1.

    Settles on the same ratio as `UniformPruneStrategy` of the original with its tolerance, and
    so counts FLOPs as that did (`Plan.original_flops`).

    Args:
        target_ratio: share of FLOPs to cut, in (0, 1).
        tolerance: how far from it, in share of FLOPs, is near enough.

    Raises:
        PatternError: see `Dependencies.match`.
        PlanError: target_ratio is out of range, or these layers don't hold that many FLOPs.
    """
    if not 0 < target_ratio < 1:
        raise PlanError(f"target_ratio is {target_ratio:g}: it must lie between 0 and 1")
    matched = dependencies.match(pruned_params)
    whole = Plan(dependencies, {}).original_flops

    def share(ratio: float) -> float:
        return 1 - Plan(dependencies, dict.fromkeys(matched, ratio)).original_flops / whole

    smallest = min(dependencies.groups[name].channels for name in matched)
    most = 1 - 1 / smallest
    if share(most) < target_ratio - tolerance:
        raise PlanError(
            f"target_ratio {target_ratio:g} is out of reach: {len(matched)} matched layers, cut to "
            f"their last channel, would save {share(most):.2f} of the FLOPs; match more layers or "
            "ask for less"
        )
    low, high = 0.0, 1.0
    while True:
        ratio = (low + high) / 2
        got = share(ratio)
        if abs(got - target_ratio) < tolerance:
            return ratio
        if high - low < 1e-6:
            raise PlanError(
                f"no share of channels comes within {tolerance:g} of target_ratio "
                f"{target_ratio:g}: the nearest saves {got:.3f}; choose that"
            )
        low, high = (low, ratio) if got > target_ratio else (ratio, high)
