"""How much each layer gives, on errors made up to know the answer."""

import itertools

import numpy as np
import pytest

from pruning.budget import MOST, budget_plan, flops_cost
from pruning.dependencies import analyse
from pruning.plan import Plan, PlanError
from ssd_model.programs import build_detector

PATTERN = "conv2d_([0-9]|1[0-9]|2[01]).w_0"


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_detector(4, is_train=False).program)


def curve(dependencies, name, power=2.0, scale=1.0):
    """Errors that grow from 0 to `scale`, the faster the more channels are gone."""
    channels = dependencies.groups[name].channels
    return scale * (np.arange(channels) / channels) ** power


@pytest.mark.parametrize("target", [0.05, 0.2, 0.5, 0.8])
def test_the_target_is_met_within_a_piece(dependencies, target):
    errors = {name: curve(dependencies, name) for name in dependencies.match(PATTERN)}
    plan = budget_plan(dependencies, errors, target, flops_cost(dependencies))
    assert target <= plan.saved < target + 0.01
    assert max(plan.ratios.values()) <= MOST


def test_what_costs_nothing_goes_first(dependencies):
    names = ["conv2d_3.w_0", "conv2d_9.w_0"]
    free, dear = names
    errors = {free: curve(dependencies, free, scale=1e-9), dear: curve(dependencies, dear)}
    plan = budget_plan(dependencies, errors, 0.02, flops_cost(dependencies))
    assert plan.ratios[free] > 0 and not plan.ratios[dear]


@pytest.mark.parametrize("target", [0.03, 0.08])
def test_no_other_plan_is_much_better(dependencies, target):
    """Against all plans of two layers in the same pieces; a greedy choice is near the best."""
    names = ["conv2d_5.w_0", "conv2d_11.w_0"]
    errors = {names[0]: curve(dependencies, names[0], 1.7, 2.0)}
    errors[names[1]] = curve(dependencies, names[1], 2.4, 0.7)
    found = budget_plan(dependencies, errors, target, flops_cost(dependencies))

    def error(plan):
        return sum(errors[name][plan.channels_removed(name)] for name in names)

    pieces = [np.arange(0, 58) / 64 for _ in names]
    plans = (
        Plan(dependencies, dict(zip(names, r, strict=True))) for r in itertools.product(*pieces)
    )
    best = min(error(plan) for plan in plans if plan.saved >= target)
    assert best <= error(found) < 1.1 * best


def test_neighbours_count(dependencies):
    """Of two layers that are alike but for the inputs behind them, the one saves more."""
    errors = {name: curve(dependencies, name) for name in ("conv2d_11.w_0", "conv2d_12.w_0")}
    cost = flops_cost(dependencies)
    before = {name: dependencies.shapes[name] for name in dependencies.positions}
    total = sum(cost(name, shape) for name, shape in before.items())
    assert total == Plan(dependencies, {}).flops
    plan = budget_plan(dependencies, errors, 0.05, cost)
    assert sum(cost(name, plan.shapes[name]) for name in before) == plan.flops


def test_a_cost_in_stairs(dependencies):
    """Where a single piece saves nothing, enough of them still do."""
    name = "conv2d_4.w_0"

    def cost(layer, shape):
        return float(-(-shape[0] // 64)) if layer == name else 0.0

    errors = {name: curve(dependencies, name)}
    plan = budget_plan(dependencies, errors, 0.5, cost)
    assert plan.shapes[name][0] == dependencies.shapes[name][0] // 2


def test_a_cost_of_ones_own(dependencies):
    """Where only one layer takes time, only what shortens it is cut."""

    def cost(name, shape):
        return float(shape[0]) if name == "conv2d_4.w_0" else 0.0

    errors = {name: curve(dependencies, name) for name in dependencies.match(PATTERN)}
    plan = budget_plan(dependencies, errors, 0.5, cost)
    assert {name for name, ratio in plan.ratios.items() if ratio} == {"conv2d_4.w_0"}
    assert plan.ratios["conv2d_4.w_0"] == pytest.approx(0.5)


@pytest.mark.parametrize(("target", "what"), [(0.9, "out of reach"), (1.2, "between 0 and 1")])
def test_what_cannot_be_saved_is_refused(dependencies, target, what):
    errors = {"conv2d_5.w_0": curve(dependencies, "conv2d_5.w_0")}
    with pytest.raises(PlanError, match=what):
        budget_plan(dependencies, errors, target, flops_cost(dependencies))
