"""The pruned network in another engine: the same boxes, the same mAP, and nearly so in int8."""

import numpy as np
import onnx
import onnxruntime
import paddle
import pytest
from PIL import Image

from pruning.artifacts import prune_only
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader, preprocess
from ssd_model.data.scenes import write_scenes
from ssd_model.detection_output import decode_boxes
from ssd_model.engines import load_onnx
from ssd_model.evaluation import evaluate
from ssd_model.export.engine_reader import engine_reader
from ssd_model.export.int8 import quantize, quantize_weights
from ssd_model.export.onnx_metadata import read_metadata
from ssd_model.export.onnx_model import export_onnx, suppression_inputs
from ssd_model.predict import predict
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
def detector(scenes):
    return build_detector(len(scenes[0].classes) + 1, is_train=False)


@pytest.fixture(scope="module")
def unpruned(detector):
    """The shipped network: Program and scope."""
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope, strict=True)
    return detector.program, scope


@pytest.fixture(scope="module")
def pruned(detector):
    """The shipped network, cut: Program and scope."""
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope, strict=True)
    _, program = prune_only(detector.program, scope, 0.2, r"conv2d_[1-9]\.w_0|conv2d_1[0-2]\.w_0")
    return program, scope


@pytest.fixture(scope="module")
def path(tmp_path_factory, detector, pruned, scenes):
    """The pruned network's ONNX file."""
    path = tmp_path_factory.mktemp("onnx") / "new folder" / "pruned.onnx"
    size = export_onnx(path, pruned[0], detector, pruned[1], scenes[0].classes)
    assert size == path.stat().st_size
    return path


@pytest.fixture(scope="module")
def batch(scenes, detector):
    loader = make_loader(scenes[1], detector.feed_list, 3)
    return np.array(next(iter(loader))[0]["image"])


def run_paddle(network, images, names):
    program, scope = network
    return paddle.static.Executor(paddle.CPUPlace()).run(
        program, feed={"image": images}, fetch_list=list(names), scope=scope, use_prune=True
    )


def check_boxes_and_scores(network, file, images):
    ours = run_paddle(network, images, suppression_inputs(network[0]))
    theirs = load_onnx(file)(images)
    assert [o.shape for o in theirs] == [(len(images), 1917, 4), (len(images), 11, 1917)]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)


def test_another_engine_finds_the_same_boxes(pruned, path, batch):
    for images in (batch, batch[:1]):
        check_boxes_and_scores(pruned, path, images)
    here, there = load_onnx(path)(batch), predict(path, batch).outputs
    for a, b in zip(here, there, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-6)


def test_the_unpruned_network_too(detector, unpruned, batch, tmp_path):
    export_onnx(tmp_path / "unpruned.onnx", unpruned[0], detector, unpruned[1])
    check_boxes_and_scores(unpruned, tmp_path / "unpruned.onnx", batch)


def test_another_engine_suppresses_the_same(detector, pruned, batch, tmp_path):
    """The same boxes of each image are left, and in Paddle's order once sorted by score."""
    program, scope = pruned
    file = tmp_path / "detections.onnx"
    export_onnx(file, program, detector, scope, suppression=True)
    rows, counts = run_paddle(pruned, batch, [detector.nmsed_out.name, detector.counts.name])
    theirs, their_counts = load_onnx(file)(batch)
    assert theirs.shape == (3, 200, 6) and their_counts.tolist() == counts.tolist()
    assert (rows[:, 1] > 0.5).any()
    for image, expected in zip(theirs, np.split(rows, np.cumsum(counts)[:-1]), strict=True):
        got = image[: len(expected)]
        assert (np.diff(got[:, 1]) <= 0).all()
        for row in expected:
            assert np.abs(got - row).max(axis=1).min() < 1e-5
        assert not image[len(expected) :].any()


def test_the_file_says_what_it_holds(detector, pruned, path, scenes, tmp_path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == ["boxes", "scores"]
    read = {name for node in model.graph.node for name in node.input}
    made = {name for node in model.graph.node for name in node.output}
    assert made - read == {"boxes", "scores"}
    assert {tensor.name for tensor in model.graph.initializer} == read - made - {"image"}
    shapes = [onnx.numpy_helper.to_array(t) for t in model.graph.initializer if "shape" in t.name]
    assert len(shapes) == 12 and all(shape[0] == -1 and (shape[1:] > 0).all() for shape in shapes)

    facts = read_metadata(path)
    assert facts["classes"] == ["background", *scenes[0].classes]
    assert facts["suppression"]["nms_threshold"] == 0.45
    assert facts["priors"]["count"] == 1917
    assert facts["priors"]["maps"][1]["size"] == [10, 10]
    assert facts["priors"]["maps"][1]["max_sizes"] == [150]
    with pytest.raises(ValueError, match="1 names of classes, but the network has 10"):
        export_onnx(tmp_path / "none.onnx", pruned[0], detector, pruned[1], ["sign"])


def test_the_metadata_say_how_to_prepare_an_image(path, scenes):
    how, photo = read_metadata(path)["preprocessing"], scenes[1].records[0].open()
    pixels = np.asarray(photo.resize(how["size"], Image.Resampling.BILINEAR), "float32")
    assert (how["resize"], how["channels"]) == ("stretched, bilinear", "BGR")
    image = (pixels[:, :, ::-1].transpose(2, 0, 1) - how["mean"]) * how["scale"]
    np.testing.assert_allclose(image, preprocess(photo), atol=1e-6)


def test_another_engine_has_the_same_map(detector, pruned, path, scenes):
    program, scope = pruned
    loader = make_loader(scenes[1], detector.feed_list, 8)
    settings = {"fetch_list": [("map", detector.map.name)], "scope": scope}
    executor = paddle.static.Executor(paddle.CPUPlace())
    ours = evaluate(executor, program, loader, **settings)
    theirs = evaluate(executor, program, engine_reader(path, loader, program), **settings)
    assert ours["map"] > 0.5
    assert theirs["map"] == pytest.approx(ours["map"], abs=1e-3)


def run_without_fusing(path, images) -> list[np.ndarray]:
    """The graph of a file as it is written: integers are looked up, all arithmetic is in floats."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})


def int8_weights(file) -> dict[str, np.ndarray]:
    """Filters of an ONNX file that are integers, by name."""
    return {
        tensor.name: onnx.numpy_helper.to_array(tensor).astype(int)
        for tensor in onnx.load(file).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    }


def test_int8_is_a_quarter_and_finds_nearly_the_same(detector, path, scenes, batch, tmp_path):
    images = (np.array(b[0]["image"]) for b in make_loader(scenes[0], detector.feed_list, 4))
    target = tmp_path / "int8.onnx"
    size = quantize(path, target, images)
    assert size == target.stat().st_size < 5.5e6 < 0.3 * path.stat().st_size
    assert read_metadata(target) == read_metadata(path)
    weights = int8_weights(target)
    kept = {name for name in weights if name.endswith(".int8")}  # and computed with as floats
    inside = {name for name in weights if name.endswith("_quantized")}
    assert len(weights) == len(kept | inside) == 47 and len(kept) == 1 + 13 + 12
    assert max(np.abs(weights[name]).max() for name in inside) == 64
    scores = load_onnx(path)(batch)[1]
    sure = scores > 0.5
    assert sure.any()
    # Integers are multiplied as their floats would be: nothing overflows.
    for run in (load_onnx(target), lambda images: run_without_fusing(target, images)):
        assert 0 < np.abs(scores - run(batch)[1])[sure].mean() < 0.04


def test_int8_weights_are_the_nearest_of_their_filters_scale(path, batch, tmp_path):
    target = tmp_path / "weights.onnx"
    size = quantize_weights(path, target)
    assert size == target.stat().st_size < 5.5e6 < 0.3 * path.stat().st_size
    assert read_metadata(target) == read_metadata(path)
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(target).graph.initializer}
    kept = int8_weights(target)
    assert len(kept) == 47
    for name, integers in kept.items():
        assert (np.abs(integers).max(axis=(1, 2, 3)) == 127).all()
        assert tensors[name.replace(".int8", ".scale")].shape == (len(integers), 1, 1, 1)
    # A head has no batch norm, so its filters can be compared with those of the first file.
    before = {t.name: onnx.numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    name = "conv2d_23.w_0"
    restored = kept[f"{name}.int8"] * tensors[f"{name}.scale"]
    steps = np.abs(restored - before[name]) / tensors[f"{name}.scale"]
    assert steps.max() <= 0.5 + 1e-4
    difference = np.abs(load_onnx(target)(batch)[1] - load_onnx(path)(batch)[1])
    assert 0 < difference.mean() < 1e-3


def test_an_operator_that_is_not_known(detector, pruned, tmp_path, monkeypatch):
    """`box_coder` has no word in ONNX, which is why the boxes are decoded by hand."""

    def box_coder(location, *priors):
        constants = map(paddle.assign, priors)
        return paddle.vision.ops.box_coder(*constants, location, code_type="decode_center_size")

    monkeypatch.setattr("ssd_model.export.onnx_model.decode_boxes", box_coder)
    with pytest.raises(ValueError, match="does not know box_coder"):
        export_onnx(tmp_path / "none.onnx", pruned[0], detector, pruned[1])
    assert not list(tmp_path.iterdir())
