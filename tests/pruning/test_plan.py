"""The plan: pure arithmetic, against the original's five runs and paddleslim's own Pruner."""

import json
import math
import time

import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paddleslim.analysis import flops

from pruning.cut import reshape_programs
from pruning.dependencies import analyse
from pruning.pattern import PatternError
from pruning.plan import Plan, PlanError, total_plan, uniform_plan
from pruning.search import nearest_uniform_plan, search_uniform_plan
from ssd_model.programs import build_detector
from tests.helpers import golden_values as golden

RUNS = json.loads((golden.FOLDER / "uniform_pruning.json").read_text())
SEARCHES = json.loads((golden.FOLDER / "uniform_search.json").read_text())
PATTERN = RUNS[0]["pruned_params"]


@pytest.fixture(scope="module")
def eval_program():
    return build_detector(21, is_train=False).program


@pytest.fixture(scope="module")
def dependencies(eval_program):
    return analyse(eval_program)


@pytest.mark.parametrize(
    "run", RUNS, ids=lambda r: f"{r['target_ratio']}-{r['pruned_params'][:12]}"
)
def test_search_settles_where_the_original_did(dependencies, run):
    plan = search_uniform_plan(dependencies, run["pruned_params"], run["target_ratio"])
    assert plan.uniform_ratio == run["channel_ratio"]
    assert list(plan.ratios) == dependencies.match(run["pruned_params"])
    for name, shape in run["shapes"].items():
        assert plan.shapes[name] == tuple(shape), name
    assert plan.parameters == run["parameters_after"]
    assert Plan(dependencies, {}).original_flops == run["flops_before"]


@pytest.mark.parametrize("run", SEARCHES, ids=lambda r: f"{r['target_ratio']}")
def test_search_counts_as_the_original_did(dependencies, run):
    """Its groups are those before the cut, and here that decides where it ends."""
    pattern = run["pruned_params"]
    assert Plan(dependencies, {}).original_flops == run["flops_before"]
    for ratio, counted in run["tried"]:
        assert uniform_plan(dependencies, pattern, ratio).original_flops == counted
    assert (
        search_uniform_plan(dependencies, pattern, run["target_ratio"]).uniform_ratio
        == run["channel_ratio"]
    )


def test_unpruned_network(dependencies, eval_program):
    unpruned = Plan(dependencies, {})
    assert unpruned.flops == flops(eval_program) == 1_148_479_168
    assert unpruned.parameters == 5_821_433


@pytest.mark.parametrize("tolerance", [0.01, 0.001])
@pytest.mark.parametrize("target", [0.05, 0.35, 0.65, 0.8])
def test_search_reaches_any_target(dependencies, target, tolerance):
    plan = search_uniform_plan(dependencies, PATTERN, target, tolerance)
    assert math.isclose(plan.saved, target, abs_tol=tolerance)
    assert plan.saved == 1 - plan.flops / 1_148_479_168


def test_few_channels_come_as_near_as_they_can(dependencies):
    with pytest.raises(PlanError, match=r"within 0.0001 of target_ratio 0.05: the nearest saves"):
        search_uniform_plan(dependencies, "conv2d_1.w_0", 0.05, 0.0001)
    plan = nearest_uniform_plan(dependencies, "conv2d_1.w_0", 0.05, 0.0001)
    steps = [
        abs(uniform_plan(dependencies, "conv2d_1.w_0", i / 64).saved - 0.05) for i in range(64)
    ]
    assert abs(plan.saved - 0.05) == min(steps)


def test_patterns_that_are_refused(dependencies):
    for pattern, words in {
        "(": ["'('", "not a regular expression"],
        "conv9": ["matches none", "conv2d_1.w_0"],
        "conv2d_2.*": ["conv2d_22.w_0", "output of the network"],
        ".*conv2d_1.w_0": ["depthwise_conv2d_1.w_0", "with the convolution before it"],
        "batch_norm_3.w_0": ["batch_norm_3.w_0", "not a convolution's filter"],
    }.items():
        with pytest.raises(PatternError) as caught:
            dependencies.match(pattern)
        for word in words:
            assert word in str(caught.value)


def test_ratios_that_are_refused(dependencies):
    with pytest.raises(PlanError, match=r"conv2d_1\.w_0 none of its 64"):
        Plan(dependencies, {"conv2d_1.w_0": 0.999})
    with pytest.raises(PlanError, match="depthwise"):
        Plan(dependencies, {"depthwise_conv2d_1.w_0": 0.5})
    with pytest.raises(PlanError, match="between 0 and 1"):
        search_uniform_plan(dependencies, PATTERN, 1.0)
    with pytest.raises(PlanError, match="out of reach"):
        search_uniform_plan(dependencies, "conv2d_1.w_0", 0.5)


def test_a_plan_takes_milliseconds(dependencies):
    def work() -> float:
        start = time.process_time()
        plan = search_uniform_plan(dependencies, PATTERN, 0.5, tolerance=0.001)
        assert plan.parameters and len(plan.table()) == 47
        return time.process_time() - start

    assert min(work() for _ in range(5)) < 0.02


PIECES = [
    r"conv2d_[1-9]\.w_0", "conv2d_1[0-2].w_0", "conv2d_1", "conv2d_0", "conv2d_2[01]",
    "conv2d_1[3-9]$", r"(?:conv2d_(?:2|4|6|8)\.w_0)", "conv2d_.3", "depthwise", "conv2d_13.*0",
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=4),
    ratio=st.floats(-0.1, 1.1),
    multiple=st.sampled_from([1, 2, 8, 16, 100]),
)
def test_random_patterns_plan_what_they_apply(eval_program, dependencies, pieces, ratio, multiple):
    try:
        plan = uniform_plan(dependencies, "|".join(pieces), ratio).rounded(multiple)
    except (PatternError, PlanError):
        return
    (pruned,) = reshape_programs(plan, [eval_program])
    assert {p.name: tuple(p.shape) for p in pruned.all_parameters()} == plan.shapes
    assert flops(pruned) == plan.flops
    table = plan.table()
    assert table["FLOPs after"].sum() == plan.flops
    assert table["parameters after"].sum() == plan.parameters
    for name in plan.ratios:
        left = plan.shapes[name][0]
        assert left == dependencies.groups[name].channels or left % multiple == 0


def test_what_is_cut_with_a_layer(dependencies):
    train = build_detector(21, is_train=True, optimizer=paddle.optimizer.Momentum(1e-3, 0.9))
    plan = uniform_plan(dependencies, PATTERN, 0.25)
    table = plan.reached_tensors("conv2d_11.w_0", train.program)
    assert len(table) == 2 * 13 - 4  # velocities of all but the batch norms' statistics
    assert tuple(table.loc["conv2d_12.w_0_velocity_0"]) == (
        1, (1024, 512, 1, 1), (768, 384, 1, 1),
    )  # fmt: skip
    assert plan.table().loc["conv2d_11.w_0", "reaches"] == (
        "batch_norm_22, depthwise_conv2d_11, batch_norm_23, inputs of conv2d_12, "
        "inputs of conv2d_22, inputs of conv2d_23"
    )
    with pytest.raises(PlanError, match="output of the network"):
        plan.reached_tensors("conv2d_22.w_0")


def test_counts_are_rounded_to_the_nearest_multiple(dependencies):
    ratios = {"conv2d_1.w_0": 0.3, "conv2d_2.w_0": 0.99, "conv2d_3.w_0": 0.0}
    plan = Plan(dependencies, ratios).rounded(8)
    assert [plan.shapes[name][0] for name in ratios] == [48, 8, 128]
    with pytest.raises(PlanError, match="channel_multiple is 0"):
        plan.rounded(0)


def test_cuts_in_a_row(dependencies):
    prunings = [
        {"conv2d_1.w_0": 0.3, "conv2d_2.w_0": 0.5},
        {"conv2d_1.w_0": 0.3, "conv2d_3.w_0": 0.1},
    ]
    plan = total_plan(dependencies, prunings)
    assert [plan.shapes[f"conv2d_{i}.w_0"][0] for i in (1, 2, 3)] == [31, 64, 115]
    assert total_plan(dependencies, prunings[:1]).ratios == prunings[0]


def test_extras_and_feature_maps_can_be_cut(dependencies):
    plan = uniform_plan(dependencies, "conv2d_1[3-9].w_0|conv2d_2[01].w_0", 0.25)
    assert plan.shapes["conv2d_13.w_0"] == (768, 1024, 1, 1)
    assert plan.shapes["conv2d_24.w_0"] == (24, 768, 1, 1)
    assert plan.shapes["conv2d_33.w_0"] == (126, 96, 1, 1)


def test_names_do_not_depend_on_what_was_built_before(dependencies):
    paddle.static.data("stray", [1])
    again = build_detector(21, is_train=True).program
    assert [p.name for p in again.all_parameters()] == list(dependencies.shapes)
