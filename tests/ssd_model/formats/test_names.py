"""Weights of PaddleClas and PaddleDetection: our network computes with them what theirs do."""

import numpy as np
import paddle
import pytest
from PIL import Image

from ssd_model.data.loader import preprocess
from ssd_model.formats.names import rename
from ssd_model.formats.pdparams import read_pdparams
from ssd_model.programs import build_detector, new_scope
from ssd_model.scope import write_tensor
from ssd_model.weights import WeightsError, load_weights, shapes_of, write_tensors
from tests.helpers.other_mobilenets import BLOCKS, SSD, MobileNet, dynamic, state_of, static_ssd
from tests.ssd_model.formats.test_paddle_folder import save

SIZE, CLASSES = 96, 3
IMAGENET = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
HEADS = {f"conv2d_{i}.{end}" for i in range(22, 34) for end in ("w_0", "b_0")}


@pytest.fixture(scope="module")
def pixels():
    """Two photographs of noise, RGB."""
    return np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), "uint8")


@pytest.fixture(scope="module")
def detector():
    return build_detector(CLASSES + 1, is_train=False, image_size=SIZE)


def run(detector, scope, pixels, outputs):
    batch = np.stack([preprocess(Image.fromarray(image), SIZE) for image in pixels])
    return paddle.static.Executor(paddle.CPUPlace()).run(
        detector.program, feed={"image": batch}, fetch_list=outputs, scope=scope, use_prune=True
    )


def as_they_see(pixels, mean, std):
    return ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2).astype("float32")


def assert_near(got, expected):
    """Equal but for rounding, on a scale that is not nothing."""
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(got, expected, atol=1e-4 * scale)


def map_names(program):
    """The map behind conv2d_0 and behind each 1x1 convolution, in order."""
    outputs = [op.output("Out")[0] for op in program.global_block().ops if op.type == "relu"]
    return [outputs[0], *outputs[2:27:2]]


def test_paddleclas(detector, pixels, tmp_path):
    path, seen = tmp_path / "MobileNetV1_pretrained.pdparams", as_they_see(pixels, *IMAGENET)
    scope = new_scope(detector)

    def compare(theirs):
        """The report, and the maps behind each block, ours and theirs."""
        with dynamic():
            paddle.save(theirs.state_dict(), str(path))  # noqa: TID251
            expected = [value.numpy() for value in theirs.maps(paddle.to_tensor(seen))]
        report = load_weights(detector.program, path, scope)
        got = run(detector, scope, pixels, map_names(detector.program))
        return report, list(zip(got, expected, strict=True))

    with dynamic():
        theirs = MobileNet()
        state_of(theirs)
    report, maps = compare(theirs)
    assert len(report.loaded) == 27 * 5
    assert report.unused == ["out.weight", "out.bias"]
    assert set(report.fresh) >= HEADS and len(report.fresh) == 64
    (note,) = report.notes
    assert "RGB with ImageNet's means" in note and "but for the image's edge" in note
    assert note in str(report)
    # The zeros above and left of the image stand for another colour there than here.
    got, expected = maps[0]
    assert_near(got[:, :, 1:, 1:], expected[:, :, 1:, 1:])
    assert np.abs(got[:, :, 0] - expected[:, :, 0]).max() > 0.01
    # With filters that do not look there, everything is the same up to the last map.
    with dynamic():
        filters = theirs.conv1._conv.weight.numpy()
        filters[:, :, 0] = filters[:, :, :, 0] = 0
        theirs.conv1._conv.weight.set_value(filters)
    _, maps = compare(theirs)
    assert len(maps) == 14
    for got, expected in maps:
        assert_near(got, expected)


def present(name):
    """PaddleClas's present name of what it called so at first."""
    name = name.replace("._conv.", ".conv.").replace("._batch_norm.", ".bn.")
    name = name.replace("conv1.", "conv.").replace("out.", "fc.")
    block, dot, rest = name.partition(".")
    return f"blocks.{[*BLOCKS].index(block)}.{rest[1:]}" if block in BLOCKS else block + dot + rest


def vision(name):
    """The name in paddle.vision."""
    return name.replace("._conv.", ".0.").replace("._batch_norm.", ".1.").replace("out.", "fc.")


@pytest.fixture(scope="module")
def classifier():
    with dynamic():
        return state_of(MobileNet())


def test_the_names_of_paddle_vision(classifier):
    with dynamic():
        names = paddle.vision.models.mobilenet_v1().state_dict()
    assert set(names) == set(map(vision, classifier))


@pytest.mark.parametrize(
    "named", [present, vision, "Student.{}".format, "model.backbone.{}".format]
)
def test_other_names_of_the_same_classifier(classifier, detector, tmp_path, named):
    expected = rename(classifier)
    renamed = {named(name): array for name, array in classifier.items()}
    found = rename(renamed | {"Teacher." + name: 2 * array for name, array in classifier.items()})
    assert found.notes == expected.notes and len(found.arrays) == 27 * 5
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, err_msg=name)
    # And so from safetensors.
    write_tensors(tmp_path / "a.safetensors", renamed)
    report = load_weights(detector.program, tmp_path / "a.safetensors", new_scope(detector))
    assert len(report.loaded) == 27 * 5 and len(report.unused) == 2


def test_two_arrays_for_one_parameter_are_refused(classifier, detector, tmp_path):
    also = {f"backbone.{name}": 2 * array for name, array in classifier.items()}
    path = tmp_path / "a.safetensors"
    write_tensors(path, classifier | also)
    with pytest.raises(
        WeightsError, match=r"a\.safetensors: '.*' and '.*' are both batch_norm_0\.w_1"
    ):
        load_weights(detector.program, path, new_scope(detector))


def test_without_the_first_batch_norm_nothing_is_said_to_be_exact(classifier):
    (note,) = rename({n: a for n, a in classifier.items() if n != "conv1._batch_norm._mean"}).notes
    assert "conv2d_0.w_0 is converted, but not its batch norm" in note


@pytest.mark.parametrize("name", ["conv1._conv.weight", "conv1._batch_norm._mean"])
def test_a_first_layer_that_is_quantised_is_refused(classifier, detector, tmp_path, name):
    quantised = np.ones(classifier[name].shape, "int8")
    path = tmp_path / "a.safetensors"
    write_tensors(path, {**classifier, name: quantised})
    with pytest.raises(WeightsError, match="int8: quantised weights are not read"):
        load_weights(detector.program, path, new_scope(detector))


def test_paddledetection(detector, pixels, tmp_path):
    with dynamic():
        theirs = SSD(CLASSES)
        state_of(theirs)
        path = tmp_path / "ssd_mobilenet_v1_300_120e_voc.pdparams"
        paddle.save(theirs.state_dict(), str(path))  # noqa: TID251
        # mean 127.5 and deviation 127.502231, as its configs/ssd/_base_/ssd_mobilenet_reader.yml
        seen = as_they_see(pixels, 0.5, 127.502231 / 255)
        boxes, scores = theirs(paddle.to_tensor(seen))
    scope = new_scope(detector)
    report = load_weights(detector.program, path, scope, strict=True)
    assert len(report.loaded) == 199
    assert "channels of conv2d_0.w_0 are swapped" in report.notes[0]
    assert "ReLU6" in report.notes[1] and "background" in report.notes[2]
    location, confidence = run(detector, scope, pixels, [detector.location, detector.confidence])
    assert_near(location, boxes)
    assert_near(confidence, np.roll(scores, 1, axis=2))


def test_paddledetection_with_other_classes(pixels, tmp_path):
    with dynamic():
        theirs = SSD(20)
        state = state_of(theirs)
    other = build_detector(CLASSES + 1, is_train=False, image_size=SIZE)
    scores = {f"conv2d_{i}.{end}" for i in range(23, 34, 2) for end in ("w_0", "b_0")}
    path = tmp_path / "voc.pdparams"
    with dynamic():
        paddle.save(state, str(path))  # noqa: TID251
    report = load_weights(other.program, path, new_scope(other))
    assert set(report.fresh) == scores and len(report.loaded) == 187
    name = "ssd_head.scores0.bias"
    assert rename({**state, name: np.array(1.0)}).arrays["conv2d_23.b_0"].shape == ()
    # As its ssd_mobilenet_v1_coco_pretrained: without heads
    headless = {name: value for name, value in state.items() if "ssd_head" not in name}
    found = rename(headless)
    assert len(found.arrays) == 175 and not found.unused
    flipped = state["backbone.conv1._conv.weight"][:, ::-1]
    np.testing.assert_array_equal(found.arrays["conv2d_0.w_0"], flipped)
    # The background moves to the front even if the boxes' offsets are missing.
    found = rename({name: a for name, a in state.items() if name != "ssd_head.boxes0.bias"})
    scores = state["ssd_head.scores0.bias"].reshape(3, 21)
    moved = found.arrays["conv2d_23.b_0"].reshape(3, 21)
    np.testing.assert_array_equal(moved, np.roll(scores, 1, axis=1))


@pytest.mark.parametrize("head", ["loc_1pw_weights", "conf_3_bn_scale"])
def test_ssdlite_of_paddle_1_saw_imagenets_input(head):
    """As its configs/ssd/ssdlite_mobilenet_v1.yml says."""
    arrays = {
        "conv1_weights": np.ones((32, 3, 3, 3), "float32"),
        "conv1_bn_mean": np.zeros(32, "float32"),
        "conv7_1_extra1_weights": np.ones((256, 1024, 1, 1), "float32"),
    }
    assert rename(arrays).notes == []
    (note,) = rename(arrays | {head: np.ones(4)}).notes
    assert "ImageNet's means" in note


def test_paddledetection_of_paddle_1(detector, pixels, tmp_path):
    program, startup = paddle.static.Program(), paddle.static.Program()
    startup.random_seed = 5
    names = paddle.utils.unique_name.guard()
    with names, paddle.static.program_guard(program, startup):
        image = paddle.static.data("image", [None, 3, SIZE, SIZE])
        heads = static_ssd(image, CLASSES + 1)
    theirs, executor = paddle.static.Scope(), paddle.static.Executor(paddle.CPUPlace())
    executor.run(startup, scope=theirs)
    shapes, rng = shapes_of(program), np.random.default_rng(0)
    for name, shape in shapes.items():
        if "_bn_" in name:
            write_tensor(theirs, name, rng.uniform(0.5, 1.5, shape).astype("float32"))
    assert len(shapes) == 199 and "conv7_4_extra2_bn_variance" in shapes
    folder = save(program, theirs, tmp_path / "ssd_mobilenet_v1_voc")
    scope = new_scope(detector)
    report = load_weights(detector.program, folder, scope, strict=True)
    assert len(report.loaded) == 199 and report.notes == []
    batch = np.stack([preprocess(Image.fromarray(image), SIZE) for image in pixels])
    program = program.clone(for_test=True)
    names = [head.name for head in heads]
    expected = executor.run(program, feed={"image": batch}, fetch_list=names, scope=theirs)
    got = run(detector, scope, pixels, [detector.location, detector.confidence])
    for kind, width in ((0, 4), (1, CLASSES + 1)):
        flat = [head.transpose(0, 2, 3, 1).reshape(2, -1, width) for head in expected[kind::2]]
        assert_near(got[kind], np.concatenate(flat, 1))


def test_names_of_the_original_stay(detector):
    arrays = {
        name: np.zeros(shape, "float32") for name, shape in shapes_of(detector.program).items()
    }
    found = rename(arrays | {"fc_0.w_0": np.zeros(3)})
    assert list(found.arrays) == [*arrays, "fc_0.w_0"] and not found.unused and not found.notes


def test_a_network_of_ones_own_with_such_names():
    arrays = {"conv1_weights": np.ones((8, 3, 3, 3)), "fc": np.ones(8), "conv9_weights": np.ones(2)}
    found = rename(arrays, own={"conv1_weights", "fc"})
    assert found.arrays == arrays and not found.unused and not found.notes
    assert set(rename(arrays).arrays) == {"conv2d_0.w_0"}


def test_another_network_is_refused_by_its_names(detector, tmp_path):
    path = tmp_path / "resnet.pdparams"
    with dynamic():
        paddle.save(paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3)).state_dict(), str(path))  # noqa: TID251
    with pytest.raises(
        WeightsError, match=r"does not fit this network.*\n.*\n.*0\.weight, 0\.bias"
    ):
        load_weights(detector.program, path, new_scope(detector))
    assert set(read_pdparams(path)) == {"0.weight", "0.bias"}
