"""Operators of other networks than the detector, in ONNX Runtime: what Paddle computes."""

import numpy as np
import onnxruntime
import paddle
import pytest
from paddle.nn import functional as F

import utils  # noqa: F401
from ssd_model.export.onnx_graph import Graph, declare
from ssd_model.export.onnx_nodes import convert
from tests.helpers.own_networks import WHOLE, build


def agree(network):
    program, output = network.evaluation, network.output
    graph = Graph()
    convert(graph, program, ["image"], [output], network.scope)
    shapes = (program.global_block().var(name).shape for name in ("image", output))
    image, result = map(declare, ("image", output), shapes)
    session = onnxruntime.InferenceSession(graph.model([image], [result]).SerializeToString())
    (found,) = session.run(None, network.feed())
    expected = network.run(program, output)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "ResNet-50"])
def test_whole_networks(name):
    agree(build(WHOLE[name], (3, 64, 64)))


@pytest.mark.parametrize(
    "make",
    [
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        lambda x: F.avg_pool2d(x, 3, 2, 1, exclusive=False),
        lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
        lambda x: F.hardswish(x),
        lambda x: F.hardsigmoid(x),
        lambda x: F.relu6(x),
        lambda x: F.leaky_relu(x, 0.3),
        lambda x: F.interpolate(x, scale_factor=3, mode="nearest"),
    ],
)
def test_one_operator(make):
    agree(build(lambda x: make(F.conv2d(x, weight())), (3, 9, 9)))


def weight():
    large = paddle.nn.initializer.Uniform(-4, 4)  # activations reach both their ends
    return paddle.create_parameter([2, 3, 1, 1], "float32", default_initializer=large)


def test_another_adaptive_pooling_is_refused():
    network = build(lambda x: F.adaptive_avg_pool2d(F.conv2d(x, weight()), 4), (3, 9, 9))
    with pytest.raises(ValueError, match="does not know pool2d with adaptive True"):
        agree(network)
