"""Search for the uniform plan that cuts a given share of the FLOPs."""

import math
from collections.abc import Callable, Sequence

from pruning.dependencies import Dependencies
from pruning.plan import Plan, PlanError, uniform_plan

# The original's search stops this close to target_ratio.
ORIGINAL_TOLERANCE = 0.01


def search_uniform_plan(
    dependencies: Dependencies,
    pruned_params: str,
    target_ratio: float,
    tolerance: float | None = None,
) -> Plan:
    """Find the uniform plan that cuts a share of the FLOPs, by bisecting the ratio in 0..1.

    Args:
        target_ratio: share of FLOPs to cut, in (0, 1).
        tolerance: how far from target_ratio the plan's share of FLOPs (`Plan.saved`) may be, such
            as 0.001. None stops where the original's `UniformPruneStrategy` did: within 0.01, with
            FLOPs counted as it counted them (`Plan.original_flops`).

    Raises:
        PatternError: see `Dependencies.match`.
        PlanError: target_ratio is out of range, these layers don't hold that many FLOPs, or they
            have too few channels to come that close.
    """
    near = ORIGINAL_TOLERANCE if tolerance is None else tolerance

    def saved(plan: Plan) -> float:
        if tolerance is None:
            return 1 - plan.original_flops / plan.unpruned.original_flops
        return plan.saved

    plan, got = _search(dependencies, pruned_params, target_ratio, near, saved)
    if abs(got - target_ratio) >= near:
        raise PlanError(
            f"no share of channels comes within {near:g} of target_ratio {target_ratio:g}: the "
            f"nearest saves {got:.3f}; choose that"
        )
    return plan


def nearest_uniform_plan(
    dependencies: Dependencies, pruned_params: str, target_ratio: float, tolerance: float = 0.001
) -> Plan:
    """Find the uniform plan that comes nearest to cutting a share of the FLOPs.

    Args:
        target_ratio, tolerance: see `search_uniform_plan`; if there are too few channels to come
            that close, the nearest plan is good enough.

    Raises:
        PatternError: see `Dependencies.match`.
        PlanError: target_ratio is out of range, or these layers don't hold that many FLOPs.
    """
    return _search(dependencies, pruned_params, target_ratio, tolerance, lambda plan: plan.saved)[0]


def _search(
    dependencies: Dependencies,
    pruned_params: str,
    target_ratio: float,
    tolerance: float,
    saved: Callable[[Plan], float],
) -> tuple[Plan, float]:
    """Find a uniform plan and the share of the FLOPs that it saves, as `saved` counts them."""
    check_target(target_ratio)
    matched = dependencies.match(pruned_params)

    def share(ratio: float) -> float:
        return saved(Plan(dependencies, dict.fromkeys(matched, ratio)))

    most = share(largest_uniform_ratio(dependencies, matched))
    if most < target_ratio - tolerance:
        raise out_of_reach(
            target_ratio, most, f"{len(matched)} matched layers, cut to their last channel"
        )
    ratio, got = bisect(share, target_ratio, tolerance)
    return uniform_plan(dependencies, pruned_params, ratio), got


def check_target(target_ratio: float) -> None:
    """Refuse a target that is no share of the FLOPs.

    Raises:
        PlanError: it is not in (0, 1).
    """
    if not 0 < target_ratio < 1:
        raise PlanError(f"target_ratio is {target_ratio:g}: it must lie between 0 and 1")


def out_of_reach(target_ratio: float, most: float, cut: str) -> PlanError:
    """The error for a target beyond what a cut saves.

    Args:
        most: the share that the cut saves; rounded down, so that it can be asked for.
        cut: what would be cut, and how far.
    """
    return PlanError(
        f"target_ratio {target_ratio:g} is out of reach: {cut}, would save "
        f"{math.floor(1000 * most) / 1000:g} of the work; match more layers or ask for less"
    )


def largest_uniform_ratio(dependencies: Dependencies, names: Sequence[str]) -> float:
    """The uniform ratio at which the thinnest of some layers keeps only its last channel."""
    return 1 - 1 / min(dependencies.groups[name].blocks for name in names)


def bisect(
    share: Callable[[float], float], target: float, tolerance: float, high: float = 1.0
) -> tuple[float, float]:
    """Find where in 0..high a growing function comes close to a target, and its value there.

    The search stops within the tolerance, or as close as a step function allows.
    """
    low, top, nearest = 0.0, high, (0.0, float("inf"))
    while True:
        middle = (low + high) / 2
        got = share(middle)
        nearest = min(nearest, (middle, got), key=lambda pair: abs(pair[1] - target))
        if abs(got - target) < tolerance or high - low < 1e-6 * top:
            return nearest
        low, high = (low, middle) if got > target else (middle, high)
