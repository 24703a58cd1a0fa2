"""Compare what many values of target_ratio would leave, and its latency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pruning.dependencies import Dependencies
from pruning.plan import Plan, PlanError, uniform_plan
from pruning.search import check_target, largest_uniform_ratio, nearest_uniform_plan

TARGETS = tuple(round(0.05 * i, 2) for i in range(1, 17))


@dataclass(frozen=True)
class Sweep:
    """Uniform plans for many shares of the FLOPs."""

    plans: dict[float, Plan]
    """The plans for the targets within reach, by target_ratio."""
    out_of_reach: dict[float, str]
    """The reasons why no plan reaches the other targets, by target_ratio."""
    limit: Plan
    """The largest uniform cut: the thinnest layer keeps its last channel."""

    @property
    def runs_out(self) -> list[str]:
        """The layers that would lose their last channel next."""
        channels = {name: self.limit.shapes[name][0] for name in self.limit.ratios}
        return [name for name, left in channels.items() if left == min(channels.values())]

    def table(self, latency: Mapping[int, float] | None = None) -> pd.DataFrame:
        """One row for each target: channels cut, FLOPs, parameters, fewest channels left.

        Args:
            latency: measured milliseconds by FLOPs, see `measure_latency`. Values between two
                measurements are interpolated; beyond them there are none.
        """
        rows = [
            {
                "channels cut": max(plan.ratios.values()),
                "FLOPs cut": plan.saved,
                "FLOPs (M)": plan.flops / 1e6,
                "parameters (M)": plan.parameters / 1e6,
                "fewest channels": min(plan.shapes[name][0] for name in plan.ratios),
            }
            | ({"latency (ms), predicted": between(plan.flops, latency)} if latency else {})
            for plan in self.plans.values()
        ]
        return pd.DataFrame(rows, pd.Index(self.plans, name="target_ratio"))


def sweep(
    dependencies: Dependencies,
    pruned_params: str,
    targets: Sequence[float] = TARGETS,
    channel_multiple: int = 1,
) -> Sweep:
    """Plan uniform pruning for many targets, each met within 0.001 if the channels allow.

    Args:
        channel_multiple: the plans are then rounded, see `Plan.rounded`.

    Raises:
        PatternError: see `Dependencies.match`.
        PlanError: a target or the multiple is out of range.
    """
    names = dependencies.match(pruned_params)
    plans, out_of_reach = {}, {}
    for target in sorted(targets):
        check_target(target)
        try:
            plan = nearest_uniform_plan(dependencies, pruned_params, target)
        except PlanError as error:
            out_of_reach[target] = str(error)
            continue
        plans[target] = plan.rounded(channel_multiple)
    largest = largest_uniform_ratio(dependencies, names)
    return Sweep(plans, out_of_reach, uniform_plan(dependencies, pruned_params, largest))


def between(flops: float, latency: Mapping[int, float]) -> float:
    """Interpolate milliseconds linearly between measured points; nan beyond them."""
    points = sorted(latency.items())
    known, times = zip(*points, strict=True)
    return float(np.interp(flops, known, times, left=np.nan, right=np.nan))
