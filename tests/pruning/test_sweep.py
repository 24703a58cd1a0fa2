"""The sweep: each plan's numbers, the limit, targets out of reach, predicted latency."""

import math

import pytest

from pruning.dependencies import analyse
from pruning.latency import measure_latency
from pruning.plan import PlanError
from pruning.target_sweep import TARGETS, between, sweep
from ssd_model.programs import build_detector
from utils.plots import plot_channels

PATTERN = "conv2d_[1-9].w_0|conv2d_1[0-2].w_0"


@pytest.fixture(scope="module")
def detector():
    return build_detector(4, is_train=False, image_size=96)


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_detector(4, is_train=False).program)


def test_every_target_is_met(dependencies):
    found = sweep(dependencies, PATTERN)
    assert tuple(found.plans) == TARGETS and (TARGETS[0], TARGETS[-1]) == (0.05, 0.8)
    for target, plan in found.plans.items():
        assert math.isclose(plan.saved, target, abs_tol=0.001)
    table = found.table()
    assert list(table.index) == list(TARGETS)
    assert list(table["fewest channels"]) == [
        plan.shapes["conv2d_1.w_0"][0] for plan in found.plans.values()
    ]
    assert table.loc[0.2, "FLOPs (M)"] == found.plans[0.2].flops / 1e6


def test_where_a_layer_runs_out(dependencies):
    found = sweep(dependencies, "conv2d_[7-9].w_0|conv2d_1[01].w_0")
    assert found.runs_out == [f"conv2d_{i}.w_0" for i in range(7, 12)]
    assert {found.limit.shapes[name][0] for name in found.runs_out} == {1}
    assert max(found.plans) < found.limit.saved < min(found.out_of_reach)
    assert "out of reach" in found.out_of_reach[0.8]
    assert sorted([*found.plans, *found.out_of_reach]) == list(TARGETS)
    labels = [label.get_text() for label in plot_channels(found).axes[0].get_yticklabels()]
    assert labels[len(found.plans)] == f"limit: {found.limit.saved:.2f}"


def test_nothing_in_reach_is_an_empty_table(dependencies):
    found = sweep(dependencies, "conv2d_18.w_0$")
    assert not found.plans and found.table().empty


def test_what_is_said_to_be_the_most_can_be_had(dependencies):
    [said] = sweep(dependencies, PATTERN, [0.99]).out_of_reach.values()
    most = float(said.split("would save ")[1].split()[0])
    assert sweep(dependencies, PATTERN, [most]).plans


def test_channels_in_multiples(dependencies):
    for plan in sweep(dependencies, PATTERN, channel_multiple=8).plans.values():
        assert all(plan.shapes[name][0] % 8 == 0 for name in plan.ratios)


def test_targets_out_of_range(dependencies):
    with pytest.raises(PlanError, match="between 0 and 1"):
        sweep(dependencies, PATTERN, [0.2, 1.5])


def test_latency_is_predicted_between_measured_points_only(dependencies):
    assert between(150, {100: 1.0, 200: 3.0}) == 2.0
    assert math.isnan(between(99, {100: 1.0, 200: 3.0}))
    plans = sweep(dependencies, PATTERN, [0.1, 0.5, 0.8]).plans
    latency = {plans[0.1].flops: 9.0, plans[0.5].flops: 5.0}
    column = sweep(dependencies, PATTERN, [0.1, 0.3, 0.5, 0.8]).table(latency)
    predicted = column["latency (ms), predicted"]
    assert predicted[0.1] == 9 and predicted[0.5] == 5 and 6.9 < predicted[0.3] < 7.1
    assert math.isnan(predicted[0.8])


def test_latency_is_measured(detector, tmp_path):
    plan = sweep(analyse(detector.program), PATTERN, [0.5]).plans[0.5]
    network = detector.program, detector.startup_program, detector.image
    latency = measure_latency([plan], *network, [detector.location], tmp_path, runs=2)
    assert list(latency) == [plan.flops] and latency[plan.flops] > 0
