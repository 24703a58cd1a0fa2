"""The pruned network in another engine: the same boxes, the same mAP, and nearly so in int8."""

import numpy as np
import onnx
import paddle
import pytest

from pruning.artifacts import prune_only
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.data.scenes import write_scenes
from ssd_model.detection_output import decode_boxes
from ssd_model.evaluation import evaluate
from ssd_model.export.engine_reader import engine_reader
from ssd_model.export.engines import load_onnx
from ssd_model.export.int8 import quantize
from ssd_model.export.onnx_model import export_onnx, suppression_inputs
from ssd_model.export.predict import predict
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import load_weights
from tests.helpers import golden_values as golden
from utils.paths import BASELINE


def test_boxes_by_hand(program, run):
    """A prior of 0.2 x 0.4 around (0.5, 0.4), moved by half its size and stretched by e."""
    location = paddle.static.data("location", [1, 1, 4])
    priors = np.array([[0.4, 0.2, 0.6, 0.6]], "float32")
    variances = np.array([[0.1, 0.1, 0.2, 0.2]], "float32")
    boxes = decode_boxes(location, priors, variances)
    (got,) = run({"location": np.array([[[5, -5, 5, 0]]], "float32")}, [boxes])
    half = 0.1 * np.e
    np.testing.assert_allclose(got[0, 0], [0.6 - half, 0.0, 0.6 + half, 0.4], atol=1e-6)


def test_boxes_are_those_of_box_coder(program, run):
    priors, variances = golden.load("prior_boxes_300").values()
    offsets = np.random.default_rng(0).normal(size=(2, len(priors), 4)).astype("float32")
    location = paddle.static.data("location", [None, *offsets.shape[1:]])
    constants = paddle.assign(priors), paddle.assign(variances)
    theirs = paddle.vision.ops.box_coder(*constants, location, code_type="decode_center_size")
    ours, theirs = run({"location": offsets}, [decode_boxes(location, priors, variances), theirs])
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("scenes") / "signs", trainval=8, test=16)
    return read_data(folder, "trainval"), read_data(folder, "test")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory, scenes):
    """The shipped network, cut: detector, Program, scope, and its ONNX file."""
    detector = build_detector(len(scenes[0].classes) + 1, is_train=False)
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope, strict=True)
    _, program = prune_only(detector.program, scope, 0.2, r"conv2d_[1-9]\.w_0|conv2d_1[0-2]\.w_0")
    path = tmp_path_factory.mktemp("onnx") / "new folder" / "pruned.onnx"
    size = export_onnx(path, program, detector, scope)
    assert size == path.stat().st_size
    return detector, program, scope, path


@pytest.fixture(scope="module")
def batch(scenes, pruned):
    loader = make_loader(scenes[1], pruned[0].feed_list, 3)
    return np.array(next(iter(loader))[0]["image"])


def run_paddle(pruned, batch):
    detector, program, scope, _ = pruned
    return paddle.static.Executor(paddle.CPUPlace()).run(
        program,
        feed={detector.image.name: batch},
        fetch_list=list(suppression_inputs(program)),
        scope=scope,
        use_prune=True,
    )


def test_another_engine_finds_the_same_boxes(pruned, batch):
    for images in (batch, batch[:1]):
        ours, theirs = run_paddle(pruned, images), predict(pruned[3], images).outputs
        assert [o.shape for o in theirs] == [(len(images), 1917, 4), (len(images), 11, 1917)]
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(b, a, atol=1e-4)


def test_the_file_says_what_it_holds(pruned):
    model = onnx.load(pruned[3])
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["boxes", "scores"]
    used = {name for node in model.graph.node for name in node.input}
    used |= {value.name for value in model.graph.output}
    assert all(used.intersection(node.output) for node in model.graph.node)


def test_another_engine_has_the_same_map(pruned, scenes):
    detector, program, scope, path = pruned
    loader = make_loader(scenes[1], detector.feed_list, 8)
    settings = {"fetch_list": [("map", detector.map.name)], "scope": scope}
    executor = paddle.static.Executor(paddle.CPUPlace())
    ours = evaluate(executor, program, loader, **settings)
    theirs = evaluate(
        executor, program, engine_reader(load_onnx(path), loader, program), **settings
    )
    assert ours["map"] > 0.5
    assert theirs["map"] == pytest.approx(ours["map"], abs=1e-3)


def test_int8_is_a_quarter_and_finds_nearly_the_same(pruned, scenes, batch, tmp_path):
    detector, _, _, path = pruned
    images = (np.array(b[0]["image"]) for b in make_loader(scenes[0], detector.feed_list, 4))
    size = quantize(path, tmp_path / "int8.onnx", images)
    assert size == (tmp_path / "int8.onnx").stat().st_size < 0.3 * path.stat().st_size
    scores, quantized = load_onnx(path)(batch)[1], load_onnx(tmp_path / "int8.onnx")(batch)[1]
    sure = scores > 0.5
    assert sure.any()
    assert 0 < np.abs(scores - quantized)[sure].mean() < 0.1


def test_a_conversion_that_fails(pruned, tmp_path, monkeypatch):
    """paddle2onnx does not know `box_coder`, which is why the boxes are decoded by hand."""
    detector, program, scope, _ = pruned

    def box_coder(location, *priors):
        constants = map(paddle.assign, priors)
        return paddle.vision.ops.box_coder(*constants, location, code_type="decode_center_size")

    monkeypatch.setattr("ssd_model.export.onnx_model.decode_boxes", box_coder)
    with pytest.raises(RuntimeError, match=r"(?s)paddle2onnx failed.*unsupported operators"):
        export_onnx(tmp_path / "none.onnx", program, detector, scope)
    assert not list(tmp_path.iterdir())
