"""Layers for networks of a few layers, some such networks, and a cut of them that is checked."""

import numpy as np
import paddle
from paddle import nn
from paddle.base.layer_helper import LayerHelper
from paddle.nn import functional as F

from pruning.cut import apply_plan, silenced
from pruning.dependencies import analyse
from pruning.plan import Plan

A, B, C, D = (f"conv2d_{i}.w_0" for i in range(4))


def conv(x, filters, size=3, stride=1, groups=1, bias=True):
    bias = None if bias else False
    return nn.Conv2D(x.shape[1], filters, size, stride, size // 2, 1, groups, bias_attr=bias)(x)


def norm(x):
    return nn.BatchNorm2D(x.shape[1])(x)


def sigmoid(x):
    """The operator, which paddle.nn.functional no longer gives to a static Program."""
    helper = LayerHelper("sigmoid")
    out = helper.create_variable_for_type_inference(x.dtype)
    helper.append_op(type="sigmoid", inputs={"X": [x]}, outputs={"Out": [out]})
    return out


def linear(x, outputs=4):
    return nn.Linear(x.shape[-1], outputs)(x)


def pooled(x):
    """To [N, C]."""
    return paddle.flatten(F.adaptive_avg_pool2d(x, 1), 1)


def residual(x):
    x = conv(x, 6)
    return linear(pooled(conv(F.relu(x + norm(conv(x, 6))), 5)))


def multiplier(x):
    return linear(pooled(conv(conv(conv(x, 4), 8, groups=4), 5)))


def check(network, ratios):
    """Cut by ratio, and see whether it computes what the silenced network does, and trains."""
    dependencies = analyse(network.evaluation, network.train)
    plan = Plan(dependencies, ratios)
    with silenced(plan, network.scope):
        expected = network.run(network.evaluation, network.output)
    train, evaluation = apply_plan(plan, [network.train, network.evaluation], network.scope)
    assert {p.name: tuple(p.shape) for p in evaluation.all_parameters()} == plan.shapes
    found = network.run(evaluation, network.output)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.isfinite(network.run(train, network.loss))
    return plan, evaluation
