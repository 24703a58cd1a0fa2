"""Cutting Programs and scope, against paddleslim's Pruner and by running the result."""

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paddleslim.analysis import flops
from paddleslim.core import GraphWrapper
from paddleslim.prune import Pruner, criterion
from paddleslim.prune.collections import StaticPruningCollections

from pruning.criteria import CRITERIA, geometry_median, importance, l1_norm
from pruning.cut import apply_plan, silenced
from pruning.dependencies import analyse
from pruning.plan import Plan, uniform_plan
from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor, write_tensor

PATTERN = "conv2d_[1-9].w_0|conv2d_1[0-2].w_0"
CPU = paddle.CPUPlace()


@pytest.fixture(scope="module")
def train():
    return build_detector(4, is_train=True, optimizer=paddle.optimizer.AdamW(1e-3))


@pytest.fixture(scope="module")
def evaluation():
    return build_detector(4, is_train=False)


@pytest.fixture(scope="module")
def dependencies(evaluation):
    return analyse(evaluation.program)


@pytest.fixture
def scope(train, evaluation):
    scope = paddle.static.Scope()
    with paddle.static.scope_guard(scope):
        executor = paddle.static.Executor(CPU)
        executor.run(train.startup_program)
        executor.run(evaluation.startup_program)
        yield scope


def values(scope, names):
    return {name: read_tensor(scope, name) for name in names}


def batch(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(size=(2, 3, 300, 300)).astype("float32"),
        "gt_box": np.array([[[0.1, 0.1, 0.5, 0.6]], [[0.3, 0.2, 0.9, 0.9]]], "float32"),
        "gt_label": np.array([[1], [3]], "int32"),
        "gt_difficult": np.zeros((2, 1), "int32"),
    }


def test_same_filters_go_as_with_paddleslim(evaluation, dependencies, scope):
    matched = dependencies.match(PATTERN)
    expected_scope = paddle.static.Scope()
    for name, array in values(scope, dependencies.shapes).items():
        expected_scope.var(name).get_tensor().set(array, CPU)
    pruned, _, _ = Pruner().prune(
        evaluation.program, expected_scope, matched, [0.3] * len(matched), place=CPU
    )
    plan = uniform_plan(dependencies, PATTERN, 0.3)
    (ours,) = apply_plan(plan, [evaluation.program], scope)
    for p in pruned.all_parameters():
        np.testing.assert_array_equal(
            read_tensor(scope, p.name), read_tensor(expected_scope, p.name), err_msg=p.name
        )
        assert tuple(ours.global_block().var(p.name).shape) == tuple(p.shape)
    assert flops(ours) == flops(pruned) == plan.flops


def test_l1_norm_by_hand():
    weight = np.array([[[[1, -2]]], [[[0, 0.5]]]])
    np.testing.assert_array_equal(l1_norm(weight), [3, 0.5])


@pytest.mark.filterwarnings("ignore:Setting the shape on a NumPy array")  # paddleslim does
@pytest.mark.parametrize("name", CRITERIA)
def test_criteria_rank_as_paddleslims(evaluation, dependencies, scope, name, monkeypatch):
    # paddleslim's geometry_median, which only this test calls, is of numpy 1.
    monkeypatch.setattr(np, "product", np.prod, raising=False)
    filters, rng = ["conv2d_3.w_0", "conv2d_12.w_0"], np.random.default_rng(0)
    for conv in map(dependencies.convs.get, filters):
        shape = read_tensor(scope, conv.scale).shape
        write_tensor(scope, conv.scale, rng.normal(size=shape).astype("float32"))
    graph, known = GraphWrapper(evaluation.program), values(scope, dependencies.shapes)
    for group in StaticPruningCollections(filters, graph):
        expected = getattr(criterion, name)(group, known, graph)[group.master_name][0]
        ours = importance(name, dependencies.convs[group.master_name], scope)
        np.testing.assert_allclose(ours, expected, rtol=1e-4)
        np.testing.assert_array_equal(np.argsort(ours)[:20], np.argsort(expected)[:20])


def test_geometry_median_by_hand():
    weight = np.array([[[[0.0, 0]]], [[[3, 4]]], [[[0, 1]]]])
    np.testing.assert_allclose(geometry_median(weight), [6, 5 + 18**0.5, 1 + 18**0.5])


def test_criteria_that_cannot_rank(dependencies, scope):
    with pytest.raises(ValueError, match="bn_scale cannot rank conv2d_22"):
        importance("bn_scale", dependencies.convs["conv2d_22.w_0"], scope)
    with pytest.raises(ValueError, match="use one of l1_norm, geometry_median"):
        importance("l2", dependencies.convs["conv2d_1.w_0"], scope)


def test_each_layer_by_its_own_criterion(evaluation, dependencies, scope):
    conv = dependencies.convs["conv2d_1.w_0"]
    write_tensor(scope, conv.scale, np.arange(64, dtype="float32"))
    other = read_tensor(scope, "conv2d_2.w_0")
    plan = Plan(dependencies, {"conv2d_1.w_0": 0.25, "conv2d_2.w_0": 0.25})
    apply_plan(plan, [evaluation.program], scope, {"*": "l1_norm", "conv2d_1.w_0": "bn_scale"})
    np.testing.assert_array_equal(read_tensor(scope, conv.scale), np.arange(16, 64))
    keep = np.sort(np.argsort(l1_norm(other))[32:])
    np.testing.assert_array_equal(read_tensor(scope, "conv2d_2.w_0"), other[keep, 16:])


def test_silenced_channels_are_as_good_as_cut(evaluation, dependencies, scope):
    executor = paddle.static.Executor(CPU)
    plan = uniform_plan(dependencies, PATTERN, 0.3)
    before = values(scope, dependencies.shapes)
    fetches = [evaluation.location.name, evaluation.confidence.name]
    with silenced(plan, scope):
        zeroed = executor.run(evaluation.program, feed=batch(), fetch_list=fetches)
    with pytest.raises(KeyboardInterrupt), silenced(plan, scope):
        raise KeyboardInterrupt
    for name, array in before.items():
        np.testing.assert_array_equal(read_tensor(scope, name), array, err_msg=name)
    (pruned,) = apply_plan(plan, [evaluation.program], scope)
    for one, two in zip(
        zeroed, executor.run(pruned, feed=batch(), fetch_list=fetches), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)


def test_pruned_programs_train_and_evaluate_together(train, evaluation, dependencies, scope):
    executor = paddle.static.Executor(CPU)
    executor.run(train.program, feed=batch(), fetch_list=[train.loss])
    moment = next(v for v in train.program.list_vars() if v.name.startswith("conv2d_3.w_0_moment1"))
    before = read_tensor(scope, moment.name)
    keep = np.sort(np.argsort(l1_norm(read_tensor(scope, "conv2d_3.w_0")))[128 // 4 :])
    keep_in = np.sort(np.argsort(l1_norm(read_tensor(scope, "conv2d_2.w_0")))[128 // 4 :])
    plan = uniform_plan(dependencies, PATTERN, 0.25)
    trained, evaluated = apply_plan(plan, [train.program, evaluation.program], scope)
    np.testing.assert_array_equal(read_tensor(scope, moment.name), before[np.ix_(keep, keep_in)])
    losses = [
        executor.run(trained, feed=batch(), fetch_list=[train.loss.name])[0] for _ in range(4)
    ]
    assert losses[-1] < losses[0]
    detections, value = executor.run(
        evaluated, feed=batch(), fetch_list=[evaluation.nmsed_out.name, evaluation.map.name]
    )
    assert detections.shape[1] == 6 and 0 <= value <= 1
    for name, shape in plan.shapes.items():
        assert read_tensor(scope, name).shape == shape


def test_a_scope_that_does_not_fit_is_left_alone(evaluation, dependencies, scope):
    plan = uniform_plan(dependencies, PATTERN, 0.25)
    apply_plan(plan, [evaluation.program], scope)
    names = list(dependencies.shapes)
    before = values(scope, names)
    with pytest.raises(ValueError, match=r"conv2d_1\.w_0 has shape"):
        apply_plan(plan, [evaluation.program], scope)
    after = values(scope, names)
    assert all(np.array_equal(before[name], after[name]) for name in names)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_plan_gives_the_planned_shapes(evaluation, dependencies, scope, data):
    names = data.draw(st.sets(st.sampled_from(sorted(dependencies.groups)), min_size=1))
    ratios = {name: data.draw(st.floats(0, 0.95)) for name in names}
    plan = Plan(dependencies, ratios)
    executor = paddle.static.Executor(CPU)
    executor.run(evaluation.startup_program)
    (pruned,) = apply_plan(plan, [evaluation.program], scope)
    assert {p.name: tuple(p.shape) for p in pruned.all_parameters()} == plan.shapes
    assert {n: read_tensor(scope, n).shape for n in plan.shapes} == plan.shapes
    assert flops(pruned) == plan.flops
    executor.run(pruned, feed=batch(), fetch_list=[evaluation.map.name])
