"""What goes together, on networks of a few layers: by hand, and at random."""

import random

import numpy as np
import paddle
import pytest
import yaml
from paddle import nn
from paddle.base.layer_helper import LayerHelper
from paddle.nn import functional as F
from paddleslim.analysis import flops

import utils  # noqa: F401
from pruning.checks import check_config
from pruning.config import ConfigError, load_config, write_config
from pruning.cut import apply_plan, cut_positions, silenced
from pruning.dependencies import DEPTHWISE, HEAD, analyse
from pruning.pattern import PatternError
from pruning.pattern_report import explain_pattern
from pruning.plan import Plan, PlanError, total_plan, uniform_plan
from ssd_model.scope import write_tensor
from tests.helpers.own_networks import build

A, B, C, D, E = (f"conv2d_{i}.w_0" for i in range(5))


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


def ranked(network, dependencies, master, order):
    """Weights of a filter by which its channels go in some order."""
    shape = dependencies.shapes[master]
    weight = np.zeros(shape, "float32")
    weight[list(order)] = np.arange(1, len(order) + 1).reshape(-1, 1, 1, 1)
    write_tensor(network.scope, master, weight)


def residual(x):
    x = conv(x, 6)
    return linear(pooled(conv(F.relu(x + norm(conv(x, 6))), 5)))


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


def multiplier(x):
    return linear(pooled(conv(conv(conv(x, 4), 8, groups=4), 5)))


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


def divided(x):
    one, other = paddle.split(conv(x, 6), 2, axis=1)
    return linear(pooled(conv(one + other, 4)))


def shuffled(x):
    x = paddle.reshape(conv(x, 6), [0, 2, 3, 16, 16])
    x = paddle.reshape(paddle.transpose(x, [0, 2, 1, 3, 4]), [0, 6, 16, 16])
    return linear(pooled(conv(x, 4)))


def mixed(x):
    return linear(pooled(conv(F.softmax(conv(x, 6), axis=1), 4)))


def given_away(x):
    x = conv(x, 6)
    return paddle.concat([paddle.flatten(x, 1), linear(pooled(conv(x, 4)))], 1)


def added_to_image(x):
    return linear(pooled(conv(x + conv(x, 3), 4)))


def uneven(x):
    wide = conv(x, 10)
    return linear(pooled(conv(wide + paddle.concat([conv(x, 4), conv(x, 6)], 1), 5)))


def groups_of_the_image(x):
    return linear(pooled(conv(conv(x, 6, groups=3), 4)))


def doubled(x):
    """Both halves of the first convolution's channels are tied to the second's."""
    one = conv(x, 3)
    return linear(pooled(conv(conv(x, 6) + paddle.concat([one, one], 1), 4)))


def made_filter(x):
    weight = paddle.create_parameter([4, 6, 1, 1], "float32")
    return linear(pooled(F.conv2d(conv(x, 6), weight * 2)))


@pytest.mark.parametrize(
    ("make", "name", "why"),
    [
        (divided, A, r"reaches conv2d_0\.tmp_1, which goes into split, which takes them apart"),
        (shuffled, A, "goes into reshape2, which spreads them over several axes"),
        (mixed, A, "goes into softmax, which mixes them"),
        (given_away, A, "reaches concat_0.tmp_0, an output of the network"),
        (added_to_image, A, "goes into elementwise_add, with image, whose channels no layer"),
        (uneven, A, r"shares its channels with conv2d_1\.w_0, conv2d_2\.w_0, some with this and"),
        (groups_of_the_image, A, DEPTHWISE.split(";")[0] + "|whose groups are those of image"),
        (made_filter, A, "goes into conv2d, whose filter is computed"),
        (residual, "batch_norm2d_0.w_0", "is not a convolution's filter"),
        (multiplier, B, DEPTHWISE),
        (lambda x: conv(conv(x, 4), 5), B, HEAD),
        (lambda x: sigmoid(conv(conv(x, 4), 5)), B, HEAD),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_refused_and_why(make, name, why):
    dependencies = analyse(build(make).evaluation)
    with pytest.raises(PatternError, match=f"{name}: .*({why})"):
        dependencies.match(name)


def test_beside_what_is_refused_the_rest_is_cut():
    network = build(uneven)
    assert analyse(network.evaluation).groups.keys() == {B, C, D}
    check(network, {B: 0.5, C: 0.5})
    network = build(doubled)
    dependencies = analyse(network.evaluation)
    assert (dependencies.groups[A].blocks, dependencies.groups[B].blocks) == (3, 3)
    plan, _ = check(network, {B: 0.4})
    assert (plan.shapes[A][0], plan.shapes[B][0], plan.shapes[C][1]) == (2, 4, 4)


def test_a_layer_that_the_train_program_has_alone():
    network = build(residual)
    block = network.train.global_block()
    with paddle.utils.unique_name.guard("more_"), paddle.static.program_guard(network.train):
        x = block.var(block.ops[0].output("Output")[0])
        conv(x, 2)
    dependencies = analyse(network.evaluation, network.train)
    assert dependencies.groups.keys() == {C}
    assert "more_conv2d_0.w_0 in one of the train and eval Programs" in dependencies.why_not(A)


def alike(rng, x, maps):
    return rng.choice([other for other in maps if other.shape == x.shape])


def as_high(rng, x, maps):
    return rng.choice([other for other in maps if other.shape[2:] == x.shape[2:]])


STEPS = [
    lambda rng, x, maps: conv(x, rng.choice([4, 6, 8]), rng.choice([1, 3])),
    lambda rng, x, maps: norm(conv(x, x.shape[1], bias=False)) + x,
    lambda rng, x, maps: x + alike(rng, x, maps),
    lambda rng, x, maps: paddle.concat([x, as_high(rng, x, maps)], 1),
    lambda rng, x, maps: F.relu6(norm(conv(x, x.shape[1], groups=x.shape[1], bias=False))),
    lambda rng, x, maps: conv(x, x.shape[1], groups=2),
    lambda rng, x, maps: x * sigmoid(conv(F.adaptive_avg_pool2d(x, 1), x.shape[1], 1)),
    lambda rng, x, maps: F.interpolate(F.max_pool2d(x, 2), scale_factor=2),
    lambda rng, x, maps: F.hardswish(norm(x)),
    lambda rng, x, maps: F.avg_pool2d(x, 3, 1, 1),
]


def random_network(rng: random.Random):
    """A few layers of all kinds in any order, each on any map that is there."""

    def make(x):
        maps = [conv(x, rng.choice([4, 6, 8]))]
        for _ in range(rng.randint(4, 10)):
            maps.append(rng.choice(STEPS)(rng, rng.choice(maps), maps))
        ends = rng.sample(maps, rng.randint(1, 2))
        return linear(paddle.concat([pooled(x) for x in (maps[-1], *ends)], 1))

    return make


@pytest.mark.parametrize("seed", range(25))
def test_any_network_is_cut_as_planned(seed):
    rng = random.Random(seed)
    network = build(random_network(rng), (3, 8, 8), seed)
    dependencies = analyse(network.evaluation, network.train)
    assert dependencies.groups.keys() | dependencies.refused.keys() == dependencies.convs.keys()
    masters = dependencies.masters(dependencies.groups)
    masters = rng.sample(masters, rng.randint(0, len(masters)))
    plan, evaluation = check(network, {name: rng.uniform(0, 0.6) for name in masters})
    assert plan.flops == flops(evaluation)
