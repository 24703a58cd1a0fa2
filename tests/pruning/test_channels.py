"""Which channels go together, on networks of a few layers."""

import numpy as np
import paddle
import pytest
import yaml
from paddle import nn
from paddle.nn import functional as F
from paddleslim.analysis import flops

import utils  # noqa: F401
from pruning.checks import check_config
from pruning.config import ConfigError, load_config, write_config
from pruning.cut import cut_positions
from pruning.dependencies import analyse
from pruning.pattern_report import explain_pattern
from pruning.plan import Plan, PlanError, total_plan, uniform_plan
from ssd_model.scope import write_tensor
from tests.helpers.own_networks import build
from tests.helpers.small_networks import (
    A,
    B,
    C,
    check,
    conv,
    linear,
    multiplier,
    norm,
    pooled,
    residual,
    sigmoid,
)


def ranked(network, dependencies, master, order):
    """Weights of a filter by which its channels go in some order."""
    shape = dependencies.shapes[master]
    weight = np.zeros(shape, "float32")
    weight[list(order)] = np.arange(1, len(order) + 1).reshape(-1, 1, 1, 1)
    write_tensor(network.scope, master, weight)


def joined(x):
    return linear(pooled(conv(paddle.concat([conv(x, 4), conv(x, 6)], axis=1), 5)))


def flattened(x):
    return linear(paddle.flatten(F.max_pool2d(conv(x, 6), 4), 1), 8)


def reshaped(x):
    x = F.max_pool2d(conv(x, 6), 4)
    return linear(paddle.reshape(x, [-1, 6 * 16]), 8)


def multiplied(x):
    """fc of Paddle 1.x: mul, which flattens by itself."""
    return paddle.static.nn.fc(F.max_pool2d(conv(x, 6), 4), 8)


def turned(x):
    x = paddle.transpose(conv(x, 6), [0, 2, 3, 1])
    return paddle.mean(linear(F.relu(x)), [1, 2])


def upsampled(x):
    x = conv(x, 6)
    small = conv(x, 4, stride=2)
    near = F.interpolate(small, scale_factor=2, mode="nearest")
    smooth = F.interpolate(small, scale_factor=2, mode="bilinear")
    return linear(pooled(conv(paddle.concat([x, near, smooth], 1), 5)))


def activated(x):
    for function in (F.relu6, F.hardswish, F.swish, F.leaky_relu, sigmoid, F.hardsigmoid, F.mish):
        x = function(norm(conv(x, 4, bias=False)))
    x = F.dropout(F.elu(F.silu(x)), 0.2) * 0.5 + 1
    return linear(pooled(conv(nn.PReLU(4)(x), 3)))


def gated(x):
    """Squeeze and excitation, by convolutions."""
    x = F.relu(conv(x, 8))
    gate = F.relu(conv(F.adaptive_avg_pool2d(x, 1), 4, 1))
    return linear(pooled(conv(x * F.hardsigmoid(conv(gate, 8, 1)), 5)))


def gated_by_matrices(x):
    x = F.relu(conv(x, 8))
    gate = sigmoid(linear(F.relu(linear(pooled(x), 4)), 8))
    return linear(pooled(conv(x * paddle.reshape(gate, [-1, 8, 1, 1]), 5)))


def grouped(x):
    return linear(pooled(conv(F.relu(norm(conv(conv(x, 12), 6, groups=3, bias=False))), 5)))


def shared(x):
    """One filter, on two maps."""
    layer = nn.Conv2D(6, 6, 3, 1, 1)
    x = conv(x, 6)
    return linear(pooled(layer(layer(x))))


def transposed(x):
    return linear(pooled(conv(nn.Conv2DTranspose(6, 4, 2, 2)(conv(x, 6)), 5)))


def several_levels(x):
    x = conv(x, 6)
    return linear(paddle.concat([paddle.mean(x, [2, 3]), paddle.max(x, [2, 3])], 1))


KINDS = [
    residual, joined, flattened, reshaped, multiplied, turned, upsampled, activated, gated,
    gated_by_matrices, grouped, multiplier, shared, transposed, several_levels,
]  # fmt: skip


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_what_is_cut_computes_as_if_it_were_zero(make):
    network = build(make)
    dependencies = analyse(network.evaluation)
    assert dependencies.groups
    masters = dependencies.masters(dependencies.groups)
    plan, evaluation = check(network, dict.fromkeys(masters, 0.5))
    assert all(plan.channels_removed(name) for name in masters)
    assert plan.table()["FLOPs after"].sum() == plan.flops
    if make not in (multiplied, turned):  # paddleslim counts a matrix as if its input were flat
        assert Plan(dependencies, {}).flops == flops(network.evaluation)
        assert plan.flops == flops(evaluation)


@pytest.mark.parametrize(
    ("make", "weight", "positions"),
    [
        # The second convolution's channels stand behind the four of the first.
        (joined, (B, C, 1), [4 + 1, 4 + 4]),
        # A channel is 16 rows in a row; turned, it is one.
        (flattened, (A, "linear_0.w_0", 0), [*range(16, 32), *range(64, 80)]),
        (reshaped, (A, "linear_0.w_0", 0), [*range(16, 32), *range(64, 80)]),
        (multiplied, (A, "fc_0.w_0", 0), [*range(16, 32), *range(64, 80)]),
        (turned, (A, "linear_0.w_0", 0), [1, 4]),
        (several_levels, (A, "linear_0.w_0", 0), [1, 4, 6 + 1, 6 + 4]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_positions_by_hand(make, weight, positions):
    network, (master, reached, axis) = build(make), weight
    dependencies = analyse(network.evaluation)
    ranked(network, dependencies, master, [4, 1, 0, 5, 3, 2])
    cut = cut_positions(Plan(dependencies, {master: 1 / 3}), network.scope)
    assert cut[master][0].tolist() == [1, 4]
    assert cut[reached][axis].tolist() == positions


def test_a_residual_group_goes_by_the_filter_that_is_named_first():
    network = build(residual)
    dependencies = analyse(network.evaluation)
    assert dependencies.groups[B].filters == (A, B)
    assert dependencies.match(r"conv2d_.\.w_0") == [A, C]
    assert dependencies.match("conv2d_1.w_0|conv2d_2.w_0") == [B, C]
    ranked(network, dependencies, A, range(6))
    ranked(network, dependencies, B, range(5, -1, -1))
    for pattern, gone in (("conv2d_[01].w_0", [0, 1]), ("conv2d_1.w_0", [4, 5])):
        cut = cut_positions(uniform_plan(dependencies, pattern, 1 / 3), network.scope)
        for member, axis in [(A, 0), (B, 0), (B, 1), (C, 1), ("batch_norm2d_0.w_2", 0)]:
            assert cut[member][axis].tolist() == gone
    with pytest.raises(PlanError, match=r"give a ratio to one of conv2d_0\.w_0, conv2d_1\.w_0"):
        Plan(dependencies, {A: 0.5, B: 0.5})
    report = explain_pattern(dependencies, "conv2d_[01]")
    assert report.table().loc[B, "what happens"] == "cut with conv2d_0.w_0"
    assert "together: conv2d_1.w_0 with conv2d_0.w_0" in str(report)


def test_a_criterion_of_a_filter_that_another_leads_is_refused(tmp_path):
    path = tmp_path / "compress.yaml"
    write_config(path, 0, tmp_path / "checkpoints", 0.2, "conv2d_[01].w_0", metric_name="loss")
    content = yaml.safe_load(path.read_text())
    content["pruners"]["pruner_1"]["criterions"][B] = "bn_scale"
    path.write_text(yaml.safe_dump(content))
    dependencies = analyse(build(residual).evaluation)
    with pytest.raises(ConfigError, match=r"conv2d_1\.w_0', which is cut with 'conv2d_0\.w_0'"):
        check_config(load_config(path), path, dependencies, ["loss"], None, True, True)


def test_groups_go_whole():
    network = build(grouped)
    dependencies = analyse(network.evaluation)
    assert dependencies.convs[B].kind == "3x3, 3 groups"
    weight = np.ones(dependencies.shapes[A], "float32")
    weight[4:8] = 0.9  # less in all, though channel 0 is the least
    weight[0] = 0.8
    write_tensor(network.scope, A, weight)
    plan = Plan(dependencies, {A: 0.4})
    cut = cut_positions(plan, network.scope)
    assert cut[A][0].tolist() == [4, 5, 6, 7]
    assert cut[B] == {0: pytest.approx([2, 3])}
    assert plan.shapes[B] == (4, 4, 3, 3)
    with pytest.raises(PlanError, match=r"conv2d_0\.w_0 none of its 12 channels"):
        Plan(dependencies, {A: 0.9})
    assert plan.rounded(8).shapes[A][0] == 8
    assert total_plan(dependencies, [{A: 0.4}, {A: 0.5}]).shapes[A][0] == 4
