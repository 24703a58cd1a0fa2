"""The uniform plan that cuts a share of the FLOPs."""

from collections.abc import Callable, Sequence

from pruning.dependencies import Dependencies
from pruning.plan import Plan, PlanError, uniform_plan

# The original's search stops this near to target_ratio.
ORIGINAL_TOLERANCE = 0.01


def search_uniform_plan(
    dependencies: Dependencies,
    pruned_params: str,
    target_ratio: float,
    tolerance: float | None = None,
) -> Plan:
    """The uniform plan that cuts a share of the FLOPs, its ratio found by bisecting 0..1.

    Args:
        target_ratio: share of FLOPs to cut, in (0, 1).
        tolerance: how far from it, in share of FLOPs (`Plan.saved`), is near enough; say 0.001.
            None settles where `UniformPruneStrategy` of the original did: within 0.01, of FLOPs
            counted as it did (`Plan.original_flops`).

    Raises:
        PatternError: see `Dependencies.match`.
        PlanError: target_ratio is out of range, these layers don't hold that many FLOPs, or their
            channels are too few to come so near.
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
    """The uniform plan that comes nearest to a share of the FLOPs.

    Args:
        target_ratio, tolerance: see `search_uniform_plan`; where channels are too few to come
            so near, the nearest is good enough.

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
    """A uniform plan, and the share of the FLOPs that it saves by a count of theirs."""
    check_target(target_ratio)
    matched = dependencies.match(pruned_params)

    def share(ratio: float) -> float:
        return saved(Plan(dependencies, dict.fromkeys(matched, ratio)))

    most = share(largest_uniform_ratio(dependencies, matched))
    if most < target_ratio - tolerance:
        raise PlanError(
            f"target_ratio {target_ratio:g} is out of reach: {len(matched)} matched layers, cut to "
            f"their last channel, would save {most:.2f} of the FLOPs; match more layers or "
            "ask for less"
        )
    ratio, got = bisect(share, target_ratio, tolerance)
    return uniform_plan(dependencies, pruned_params, ratio), got


def check_target(target_ratio: float) -> None:
    """Refuse a share of FLOPs that is none.

    Raises:
        PlanError: it is not in (0, 1).
    """
    if not 0 < target_ratio < 1:
        raise PlanError(f"target_ratio is {target_ratio:g}: it must lie between 0 and 1")


def largest_uniform_ratio(dependencies: Dependencies, names: Sequence[str]) -> float:
    """The uniform ratio that leaves the thinnest of some layers its last channel."""
    return 1 - 1 / min(dependencies.groups[name].blocks for name in names)


def bisect(
    share: Callable[[float], float], target: float, tolerance: float, high: float = 1.0
) -> tuple[float, float]:
    """Where in 0..high a growing function comes near a target, and its value there.

    Stops within the tolerance, or at the nearest that a function with steps allows.
    """
    low, top, nearest = 0.0, high, (0.0, float("inf"))
    while True:
        middle = (low + high) / 2
        got = share(middle)
        nearest = min(nearest, (middle, got), key=lambda pair: abs(pair[1] - target))
        if abs(got - target) < tolerance or high - low < 1e-6 * top:
            return nearest
        low, high = (low, middle) if got > target else (middle, high)
