"""How much each layer gives, on errors made up to know the answer."""

import itertools

import numpy as np
import paddle
import pytest
from paddle.nn import functional as F

from pruning.budget import MOST, budget_plan, flops_cost
from pruning.dependencies import analyse
from pruning.plan import Plan, PlanError
from ssd_model.programs import build_detector
from tests.helpers.own_networks import build
from tests.helpers.small_networks import conv, linear, pooled

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
    """Two layers of one size whose errors grow alike; more is read from the first.

    A channel of conv2d_9 saves 361 * (512 + 9 + 512) multiply-adds: its own, the depthwise filter's
    and those of conv2d_10. One of conv2d_11 saves 361 * 512 + 100 * (9 + 1024), and 361 * 24 in the
    heads. Where the error grows with the square, what a layer gives grows with what it saves.
    """
    first, second = "conv2d_9.w_0", "conv2d_11.w_0"
    errors = {name: curve(dependencies, name) for name in (first, second)}
    plan = budget_plan(dependencies, errors, 0.1, flops_cost(dependencies))
    saved = 361 * (512 + 9 + 512), 361 * 512 + 100 * (9 + 1024) + 361 * 24
    assert plan.ratios[first] / plan.ratios[second] == pytest.approx(saved[0] / saved[1], rel=0.05)


def grouped(x):
    """A convolution in 8 groups of 8 filters, of which only whole groups are cut."""
    return linear(pooled(conv(conv(conv(x, 64), 64, groups=8), 32)))


def flattened(x):
    """Each channel is four inputs of the matrix behind it."""
    return linear(paddle.flatten(F.max_pool2d(conv(conv(x, 32), 64), 4), 1), 4096)


@pytest.mark.parametrize("network", [grouped, flattened])
@pytest.mark.parametrize("target", [0.2, 0.5])
def test_what_is_priced_is_what_is_cut(network, target):
    dependencies = analyse(build(network).evaluation)
    names = dependencies.masters(dependencies.groups)
    errors = {name: curve(dependencies, name) for name in names}
    plan = budget_plan(dependencies, errors, target, flops_cost(dependencies))
    assert target <= plan.saved < target + 0.1


def test_cut_layers_keep_a_multiple_even_of_odd_numbers():
    """As those of a network that was cut before."""
    dependencies = analyse(build(lambda x: linear(pooled(conv(conv(x, 45), 90)))).evaluation)
    names = dependencies.masters(dependencies.groups)
    errors = {name: curve(dependencies, name) for name in names}
    plan = budget_plan(dependencies, errors, 0.5, flops_cost(dependencies), multiple=8)
    kept = [plan.shapes[name][0] for name in plan.ratios]
    assert all(left % 8 == 0 or left in (45, 90) for left in kept) and kept != [45, 90]


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
