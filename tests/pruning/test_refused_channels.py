"""Channels that no layer could do without, on networks of a few layers."""

import paddle
import pytest
from paddle.nn import functional as F

import utils  # noqa: F401
from pruning.dependencies import DEPTHWISE, HEAD, analyse
from pruning.pattern import PatternError
from tests.helpers.own_networks import build
from tests.helpers.small_networks import (
    A,
    B,
    C,
    D,
    check,
    conv,
    linear,
    multiplier,
    pooled,
    residual,
    sigmoid,
)


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
