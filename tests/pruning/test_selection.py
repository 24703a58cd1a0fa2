"""Which channels go, measured on networks small enough to know the answer."""

import numpy as np
import paddle
import pytest

from pruning.dependencies import analyse
from pruning.layer_samples import PlainConv, ScopedProgram, plain_convs
from pruning.selection import measure_eliminations, why_not_measured
from pruning.taylor import _without_updates, taylor
from ssd_model.scope import read_tensor, write_tensor

SIZE = 9


def build(layers, loss=False):
    """A network from a function of the image, its scope filled."""
    program, startup = paddle.static.Program(), paddle.static.Program()
    startup.random_seed = 1
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        y = layers(paddle.static.data("image", [None, 3, SIZE, SIZE]))
        if loss:
            label = paddle.static.data("label", [None, *y.shape[1:]])
            paddle.optimizer.SGD(0.1).minimize(paddle.mean((y - label) ** 2))
    scope = paddle.static.Scope()
    paddle.static.Executor().run(startup, scope=scope)
    return ScopedProgram(program, scope)


def conv(x, filters, size=1, **more):
    return paddle.static.nn.conv2d(x, filters, size, **{"bias_attr": False, **more})


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, 3, SIZE, SIZE)).astype("float32") for _ in range(3)]


def measure(network, batches, name="conv2d_0.w_0"):
    dependencies = analyse(network.program)
    return measure_eliminations(network, dependencies, [name], batches)[name]


@pytest.mark.parametrize("more", [{}, {"size": 3, "padding": 1}, {"size": 3, "stride": 2}])
def test_what_the_others_can_say_goes_first(batches, more):
    """Channel 2 doubles channel 4; a small channel that is read counts more than its copy."""
    network = build(lambda x: conv(conv(x, 5), 6, **more))
    weight = read_tensor(network.scope, "conv2d_0.w_0")
    weight[:3] = np.eye(3)[:, :, None, None]
    weight[2], weight[3], weight[4] = 2 * weight[0], 0.01 * np.array([[[0]], [[0]], [[1]]]), 0
    write_tensor(network.scope, "conv2d_0.w_0", weight)
    read = read_tensor(network.scope, "conv2d_1.w_0")
    read[:, 3] *= 100
    write_tensor(network.scope, "conv2d_1.w_0", read)
    found = measure(network, batches)
    assert set(found.order[:2].tolist()) in ({0, 4}, {2, 4})  # nothing in it, and one of two alike
    assert found.errors[2] < 0.01 < found.errors[3]


def test_behind_a_depthwise_convolution_what_it_lets_through_counts(batches):
    def layers(x):
        x = conv(x, 6)
        x = conv(x, 6, 3, padding=1, groups=6, use_cudnn=False)
        return conv(x, 4)

    network = build(layers)
    deaf = read_tensor(network.scope, "depthwise_conv2d_0.w_0")
    deaf[3] = 0
    write_tensor(network.scope, "depthwise_conv2d_0.w_0", deaf)
    assert measure(network, batches).order[0] == 3


def test_layers_that_see_the_same_count_together(batches):
    """Two heads on one map choose as one head that has the outputs of both."""

    def two(x):
        x = conv(x, 6)
        return paddle.concat([conv(x, 3, bias_attr=None), conv(x, 5, bias_attr=None)], 1)

    apart, together = build(two), build(lambda x: conv(conv(x, 6), 8, bias_attr=None))
    heads = [read_tensor(apart.scope, f"conv2d_{i}.w_0") for i in (1, 2)]
    write_tensor(together.scope, "conv2d_1.w_0", np.concatenate(heads))
    write_tensor(together.scope, "conv2d_0.w_0", read_tensor(apart.scope, "conv2d_0.w_0"))
    found, expected = measure(apart, batches), measure(together, batches)
    assert found.order.tolist() == expected.order.tolist()
    np.testing.assert_allclose(found.errors, expected.errors, rtol=1e-4, atol=1e-9)


def test_a_residual_group_counts_as_what_it_adds_up_to(batches):
    """Two convolutions whose outputs are added choose as one with the sum of their weights."""
    apart = build(lambda x: conv(conv(x, 6) + conv(x, 6), 4))
    together = build(lambda x: conv(conv(x, 6), 4))
    first, second, behind = (read_tensor(apart.scope, f"conv2d_{i}.w_0") for i in range(3))
    write_tensor(together.scope, "conv2d_0.w_0", first + second)
    write_tensor(together.scope, "conv2d_1.w_0", behind)
    found, expected = measure(apart, batches), measure(together, batches)
    assert found.order.tolist() == expected.order.tolist()
    np.testing.assert_allclose(found.errors, expected.errors, rtol=1e-4, atol=1e-9)


def test_a_filter_that_is_used_twice_counts_with_both_uses(batches):
    """Channel 0 is empty in one map that it reads, channel 1 in the other; 2 is small in both."""

    def layers(x):
        maps = conv(x, 3), paddle.nn.functional.avg_pool2d(conv(x, 3), 2)
        shared = [conv(each, 4, param_attr="shared") for each in maps]
        return paddle.concat([each.flatten(2) for each in shared], 2)

    network = build(layers)
    for i, scale in enumerate(((0, 1, 0.1), (3, 0, 0.1))):
        weight = np.diag(np.array(scale, "float32"))[:, :, None, None]
        write_tensor(network.scope, f"conv2d_{i}.w_0", weight)
    assert measure(network, batches).order[0] == 2


def test_a_bias_before_a_batch_norm(batches):
    def layers(x):
        x = conv(conv(x, 6), 5, bias_attr=None)
        return conv(paddle.static.nn.batch_norm(x, is_test=True), 2)

    assert sorted(measure(build(layers), batches).order) == list(range(6))


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        (lambda x: paddle.static.nn.fc(x, 3), "otherwise than channel by channel"),
        (lambda x: conv(paddle.concat([x, x], 1), 3), "otherwise than channel by channel"),
    ],
)
def test_what_cannot_be_measured_is_refused(batches, behind, why):
    network = build(lambda x: behind(conv(x, 6)))
    assert why in why_not_measured(analyse(network.program), "conv2d_0.w_0")
    with pytest.raises(ValueError, match=why):
        measure(network, batches)


def test_padding_that_is_not_given_is_refused(batches):
    network = build(lambda x: conv(conv(x, 6), 4, 3, padding="SAME"))
    with pytest.raises(ValueError, match="padding is not explicit"):
        measure(network, batches)


def test_what_cannot_be_measured_is_said(batches):
    network = build(lambda x: conv(paddle.nn.functional.relu(conv(x, 6)), 4))
    dependencies = analyse(network.program)
    with pytest.raises(ValueError, match="images"):
        measure_eliminations(network, dependencies, ["conv2d_0.w_0"], [])
    assert why_not_measured(dependencies, "conv2d_0.w_0") is None


def test_it_leaves_the_scope_as_it_was(batches):
    network = build(lambda x: conv(paddle.static.nn.batch_norm(conv(x, 6), is_test=True), 4))
    names = [p.name for p in network.program.all_parameters()]
    before = {name: read_tensor(network.scope, name) for name in names}
    measure(network, batches)
    assert not network.scope.find_var(plain_convs(network.program)[1].input)
    for name, array in before.items():
        np.testing.assert_array_equal(read_tensor(network.scope, name), array)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, [2, 1, 0, 3]])
def test_what_a_filter_sees(dilation, stride, padding):
    """Times the filter it is the output, as Paddle computes it."""
    more = {"stride": stride, "padding": padding, "dilation": dilation}
    network = build(lambda x: conv(x, 4, 3, **more))
    (layer,) = plain_convs(network.program)
    assert isinstance(layer, PlainConv)
    x = np.random.default_rng(0).normal(size=(2, 3, SIZE, SIZE)).astype("float32")
    (y,) = network.run({"image": x}, [layer.output])
    n, row, column = np.indices((2, *y.shape[2:])).reshape(3, -1)
    weight = read_tensor(network.scope, layer.filter).reshape(4, -1)
    seen = layer.seen(x, (n, row, column))
    np.testing.assert_allclose(seen @ weight.T, y[n, :, row, column], rtol=1e-4, atol=1e-5)


def test_taylor_against_differences(batches):
    """The loss is a square in one filter's weights, so a difference is its slope exactly."""
    network = build(lambda x: conv(conv(x, 5), 4), loss=True)
    weight = read_tensor(network.scope, "conv2d_0.w_0")
    label = np.random.default_rng(1).normal(size=(4, 4, SIZE, SIZE)).astype("float32")
    feeds = [{"image": batch, "label": label} for batch in batches]
    found = taylor(network, ["conv2d_0.w_0"], feeds)["conv2d_0.w_0"]
    np.testing.assert_array_equal(read_tensor(network.scope, "conv2d_0.w_0"), weight)  # no step
    (mean,) = [op for op in network.program.global_block().ops if op.type == "reduce_mean"]
    network = ScopedProgram(_without_updates(network.program), network.scope)

    def losses(channel, factor):
        changed = weight.copy()
        changed[channel] *= factor
        write_tensor(network.scope, "conv2d_0.w_0", changed)
        return np.array([network.run(feed, mean.output_arg_names)[0] for feed in feeds])

    slopes = [(losses(channel, 2) - losses(channel, 0)) / 2 for channel in range(5)]
    np.testing.assert_allclose(found, np.square(slopes).mean(axis=1), rtol=1e-3)


def test_taylor_needs_gradients(batches):
    network = build(lambda x: conv(x, 5))
    with pytest.raises(ValueError, match=r"gradient of conv2d_0.w_0"):
        taylor(network, ["conv2d_0.w_0"], [{"image": batches[0]}])
