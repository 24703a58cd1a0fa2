"""Each operator as an ONNX node, worked by hand; and what ONNX export does not know."""

import numpy as np
import onnxruntime
import paddle
import pytest

from ssd_model.export.onnx_graph import Graph, declare
from ssd_model.export.onnx_nodes import NODES, convert
from ssd_model.export.onnx_suppression import suppress
from ssd_model.operators import exp, multiclass_nms
from ssd_model.scope import write_tensor

data = paddle.static.data


def run_onnx(graph: Graph, inputs, outputs, feed: dict) -> list[np.ndarray]:
    model = graph.model(inputs, outputs).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, feed)


def through_onnx(program, out, **feed: list) -> np.ndarray:
    """A Variable of a Program, computed by ONNX Runtime."""
    graph, block = Graph(), program.global_block()
    convert(graph, program, feed, [out.name], paddle.static.global_scope())
    inputs = [declare(name, block.var(name).shape) for name in feed]
    feed = {name: np.array(value, "float32") for name, value in feed.items()}
    return run_onnx(graph, inputs, [declare(out.name, out.shape)], feed)[0]


def fill(program, *values: list) -> None:
    """Give the parameters of a Program their values, in the order they were made."""
    for parameter, value in zip(program.all_parameters(), values, strict=True):
        array = np.array(value, "float32").reshape(parameter.shape)
        write_tensor(paddle.static.global_scope(), parameter.name, array)


def test_conv2d_padded_on_one_side(program):
    """[0, 0, 1, 2], [0, 3, 4, 5], [0, 6, 7, 8] and a row of zeros, in steps of two."""
    x = data("x", [None, 1, 3, 3])
    out = paddle.static.nn.conv2d(x, 1, 2, stride=2, padding=[0, 1, 1, 0], bias_attr=False)
    fill(program, [1, 2, 3, 4])
    got = through_onnx(program, out, x=[[[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]])
    assert got.tolist() == [[[[12, 37], [12, 23]]]]


def test_conv2d_with_a_bias_in_groups_dilated(program):
    """The corners of each map; the bias is an elementwise_add along axis 1."""
    x = data("x", [None, 2, 3, 3])
    out = paddle.static.nn.conv2d(x, 2, 2, dilation=2, groups=2)
    assert [op.type for op in program.global_block().ops] == ["conv2d", "elementwise_add"]
    fill(program, [1, 1, 1, 1, 1, 0, 0, 2], [0.5, -1])
    got = through_onnx(program, out, x=np.arange(18).reshape(1, 2, 3, 3))
    assert got.tolist() == [[[[16.5]], [[42]]]]


def test_depthwise_conv2d(program):
    x = data("x", [None, 2, 1, 1])
    out = paddle.static.nn.conv2d(x, 2, 1, groups=2, use_cudnn=False, bias_attr=False)
    assert program.global_block().ops[0].type == "depthwise_conv2d"
    fill(program, [3, 5])
    assert through_onnx(program, out, x=[[[[1]], [[2]]]]).ravel().tolist() == [3, 10]


def test_batch_norm(program):
    out = paddle.static.nn.batch_norm(data("x", [None, 1, 1, 2]), is_test=True, epsilon=1e-3)
    fill(program, [2], [10], [4], [0.249])  # scale, bias, mean, variance
    got = through_onnx(program, out, x=[[[[4, 5]]]])
    np.testing.assert_allclose(got.ravel(), [10, 14], rtol=1e-6)


def test_arithmetic_aligns_the_last_axes(program):
    x, y = data("x", [None, 2]), data("y", [None, 2])
    out = (x + y) * paddle.assign(np.array([2, 3], "float32")) - x
    got = through_onnx(program, out, x=[[1, 2], [3, 4]], y=[[5, 6], [7, 8]])
    assert got.tolist() == [[11, 22], [17, 32]]


def test_relu_exp_and_softmax(program):
    x = data("x", [None, 2])
    got = through_onnx(program, paddle.nn.functional.softmax(exp(x)), x=[[0, np.log(2)]])
    np.testing.assert_allclose(got, [[1 / (1 + np.e), np.e / (1 + np.e)]], atol=1e-6)
    got = through_onnx(program, paddle.nn.functional.relu(x), x=[[-1, 2]])
    assert got.tolist() == [[0, 2]]


@pytest.mark.parametrize("shape", ([0, 3, 2], [-1, 3, 2], [-1, 6], [1, 6]))
def test_transpose_and_reshape(program, shape):
    out = data("x", [None, 2, 3]).transpose([0, 2, 1]).reshape(shape)
    got = through_onnx(program, out, x=[[[1, 2, 3], [4, 5, 6]]])
    assert got.ravel().tolist() == [1, 4, 2, 5, 3, 6]
    assert got.shape == (1, 3, 2) if len(shape) == 3 else (1, 6)


def test_slice_and_concat(program):
    x = data("x", [None, 4])
    out = paddle.concat([x[:, 2:], x[:, :1], x[:, -2:-1]], axis=-1)
    assert through_onnx(program, out, x=[[1, 2, 3, 4]]).tolist() == [[3, 4, 1, 3]]


def test_every_operator_is_worked_by_hand():
    """Those above; another one needs a case of its own."""
    assert set(NODES) == {
        *("conv2d", "depthwise_conv2d", "batch_norm", "relu", "exp", "softmax", "concat"),
        *("elementwise_add", "elementwise_sub", "elementwise_mul"),
        *("transpose2", "reshape2", "slice", "assign_value"),
    }


def unknown_operators(x):
    return paddle.nn.functional.relu6(paddle.nn.functional.max_pool2d(x, 2))


def bias_of_an_activation(x):
    """What only Paddle can say: the channels of a map added to each of its places."""
    out = x.block.create_var(name="out", dtype="float32", shape=x.shape)
    means = paddle.static.data("means", [3])
    slots, axis = {"X": x, "Y": means}, {"axis": 1}
    x.block.append_op(type="elementwise_add", inputs=slots, outputs={"Out": out}, attrs=axis)
    return out


conv2d, batch_norm = paddle.static.nn.conv2d, paddle.static.nn.batch_norm
REFUSED = {
    "does not know pool2d, relu6": unknown_operators,
    "elementwise_add along axis 1 of what is no parameter: out": bias_of_an_activation,
    "conv2d with padding_algorithm SAME": lambda x: conv2d(x, 1, 3, padding="SAME"),
    "conv2d with data_format NHWC": lambda x: conv2d(x, 1, 3, data_format="NHWC"),
    "batch_norm in training": batch_norm,
    r"slice with decrease_axis \[1\]": lambda x: x[:, 0],
    "reshape2 with a Shape": lambda x: paddle.reshape(x, data("y", [2], "int32")),
    r"more than the batch may vary": lambda x: paddle.reshape(data("y", [None, None]), [0, 0]),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_is_not_known_is_refused_by_name(program, message):
    out = REFUSED[message](data("x", [None, 3, 4, 4]))
    paddle.static.Executor(paddle.CPUPlace()).run(paddle.static.default_startup_program())
    with pytest.raises(ValueError, match=message):
        convert(Graph(), program, ["x", "y"], [out.name], paddle.static.global_scope())


def test_an_input_that_varies_more_than_its_batch():
    with pytest.raises(ValueError, match=r"x has shape \[-1, 3, -1, 4\]: in ONNX only the batch"):
        declare("x", [-1, 3, -1, 4])


@pytest.mark.parametrize(("nms_top_k", "keep_top_k"), [(20, 10), (-1, -1), (400, 200)])
@pytest.mark.parametrize("background", [0, 2, -1])
def test_suppression_is_paddles(program, run, nms_top_k, keep_top_k, background):
    """Three images, the last without detections; the settings are reached, and not."""
    rng = np.random.default_rng(0)
    corner, size = rng.uniform(0, 0.6, (3, 60, 2)), rng.uniform(0.1, 0.4, (3, 60, 2))
    feed = {
        "boxes": np.concatenate([corner, corner + size], axis=2).astype("float32"),
        "scores": rng.uniform(0, 1, (3, 4, 60)).astype("float32"),
    }
    feed["scores"][2] /= 10
    boxes, scores = data("boxes", [None, 60, 4]), data("scores", [None, 4, 60])
    out = multiclass_nms(
        boxes, scores, background_label=background, score_threshold=0.3, nms_threshold=0.45,
        nms_top_k=nms_top_k, keep_top_k=keep_top_k, nms_eta=1.0, normalized=True,
    )  # fmt: skip
    rows, counts = run(feed, [out.name, out.op.output("NmsRoisNum")[0]])
    graph = Graph()
    outputs = suppress(graph, out.op, "boxes", "scores")
    inputs = [declare(name, value.shape) for name, value in zip(feed, (boxes, scores), strict=True)]
    ours, our_counts = run_onnx(graph, inputs, outputs, feed)
    assert our_counts.tolist() == counts.tolist()
    assert counts[0] > 5 and counts[2] == 0
    assert background not in ours[0, : counts[0], 0]
    for image, expected in zip(ours, np.split(rows, np.cumsum(counts)[:-1]), strict=True):
        best_first = expected[np.argsort(-expected[:, 1])]
        np.testing.assert_array_equal(image[: len(expected)], best_first)
        assert not image[len(expected) :].any()


def test_a_suppression_that_onnx_cannot_do(program):
    boxes, scores = data("boxes", [None, 60, 4]), data("scores", [None, 4, 60])
    out = multiclass_nms(
        boxes, scores, nms_eta=0.9, normalized=True,
        score_threshold=0.3, nms_top_k=400, nms_threshold=0.45, keep_top_k=200,
    )  # fmt: skip
    with pytest.raises(ValueError, match="an nms_eta of 1"):
        suppress(Graph(), out.op, "boxes", "scores")
