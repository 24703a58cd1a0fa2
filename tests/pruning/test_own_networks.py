"""Whole networks of other kinds: cut as paddleslim's Pruner cuts them, run, trained, evaluated."""

import logging

import numpy as np
import paddle
import pytest
from paddleslim.analysis import flops
from paddleslim.prune import Pruner, collections, pruner

import utils  # noqa: F401
from pruning.cut import apply_plan, silenced
from pruning.dependencies import DEPTHWISE, HEAD, analyse
from pruning.plan import Plan
from ssd_model import kernels
from ssd_model.fusion import fused
from ssd_model.scope import empty_scope, read_tensor
from tests.helpers.indexed_graph import IndexedGraph
from tests.helpers.own_networks import CPU, WHOLE, build

# Filters that paddleslim 2.6.0 leaves whole, and why.
LEFT_BY_PADDLESLIM = {
    # Nothing reads the mask of a dropout, so it takes it for an output.
    "MobileNetV2": {"conv2d_51.w_0"},
    # It has no concat for static Programs.
    "YOLOv3-like": {"conv2d_1.w_0", "conv2d_4.w_0", "conv2d_13.w_0", "conv2d_17.w_0"},
}


@pytest.fixture(scope="module", params=WHOLE)
def case(request):
    network = build(WHOLE[request.param], (3, 64, 64))
    yield request.param, network, analyse(network.evaluation)
    empty_scope(network.scope)


@pytest.fixture
def indexed(monkeypatch):
    """paddleslim, in a tenth of its time and without its warnings."""
    for module in (collections, pruner):
        monkeypatch.setattr(module, "GraphWrapper", IndexedGraph)
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def cut_by(dependencies, names, ratio=0.3):
    return Plan(dependencies, dict.fromkeys(names, ratio))


def test_all_but_depthwise_filters_and_heads_can_be_cut(case):
    _, _, dependencies = case
    assert set(dependencies.refused.values()) <= {DEPTHWISE, HEAD}
    assert dependencies.groups.keys() | dependencies.refused.keys() == dependencies.convs.keys()


def test_shapes_are_those_of_paddleslims_pruner(case, indexed):
    name, network, dependencies = case
    masters = dependencies.masters(dependencies.groups)
    graph = IndexedGraph(network.evaluation)
    known = [c.master_name for c in collections.StaticPruningCollections(masters, graph)]
    assert set(masters) - set(known) == LEFT_BY_PADDLESLIM.get(name, set())
    pruned, _, _ = Pruner().prune(
        network.evaluation, network.scope, known, [0.3] * len(known), CPU, only_graph=True
    )
    plan = cut_by(dependencies, known)
    assert {p.name: tuple(p.shape) for p in pruned.all_parameters()} == plan.shapes
    assert flops(pruned) == plan.flops


def test_evaluation_is_quick_and_the_same(case):
    """oneDNN's kernels, and batch norm and relu fused into convolutions."""
    _, network, _ = case
    plain = network.run(network.evaluation, network.output)
    program = network.evaluation.clone()
    kernels.use_onednn(program, everywhere=True)
    tolerance = {"rtol": 1e-3, "atol": 1e-4 * np.abs(plain).max()}
    np.testing.assert_allclose(network.run(program, network.output), plain, **tolerance)
    with fused(program, network.scope, [network.output]) as (quick, scope):
        executor = paddle.static.Executor(CPU)
        (value,) = executor.run(quick, network.feed(), [network.output], scope=scope)
    np.testing.assert_allclose(value, plain, **tolerance)


def test_the_pruned_network_runs_and_trains(case):
    _, network, dependencies = case
    network.run(network.train, network.loss)  # the optimizer's state is no longer zero
    plan = cut_by(dependencies, dependencies.masters(dependencies.groups))
    assert Plan(dependencies, {}).flops == flops(network.evaluation)
    with silenced(plan, network.scope):
        expected = network.run(network.evaluation, network.output)
    train, evaluation = apply_plan(plan, [network.train, network.evaluation], network.scope)
    assert {p.name: tuple(p.shape) for p in evaluation.all_parameters()} == plan.shapes
    assert {name: read_tensor(network.scope, name).shape for name in plan.shapes} == plan.shapes
    assert flops(evaluation) == plan.flops
    found = network.run(evaluation, network.output)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.isfinite(network.run(train, network.loss))
    again = analyse(evaluation)  # for a second step
    assert again.groups.keys() == dependencies.groups.keys()
    assert again.shapes == plan.shapes
