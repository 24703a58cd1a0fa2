"""The lost operators, against what the original system computed."""

import numpy as np
import paddle
import pytest

from ssd_model.detection_map import DetectionMAP, detection_map
from ssd_model.detection_output import detection_counts, detection_output
from ssd_model.multi_box_head import multi_box_head
from ssd_model.network import mobilenet_ssd
from ssd_model.operators import reduce_sum
from ssd_model.ssd_loss import ssd_loss
from tests.helpers import golden_values as golden


def data(**arrays: np.ndarray) -> list[paddle.static.Variable]:
    """Input Variables as the arrays are; the first axis stays open."""
    return [paddle.static.data(k, [None, *v.shape[1:]], str(v.dtype)) for k, v in arrays.items()]


def fixed(**arrays: np.ndarray) -> list[paddle.static.Variable]:
    """Input Variables of exactly the arrays' shapes."""
    return [paddle.static.data(k, v.shape, str(v.dtype)) for k, v in arrays.items()]


def test_priors(program, run):
    expected = golden.load("prior_boxes_300")
    image = paddle.static.data("image", [None, 3, 300, 300])
    _, _, boxes, variances, _ = mobilenet_ssd(image, 21)
    got = run({"image": np.zeros((1, 3, 300, 300), "float32")}, [boxes, variances])
    np.testing.assert_allclose(got[0], expected["boxes"], atol=1e-6)
    np.testing.assert_allclose(got[1], expected["variances"], atol=1e-6)


def heads(feature_maps: int = 3, **arguments):
    image = paddle.static.data("image", [None, 3, 300, 300])
    maps = [paddle.static.data(f"map{i}", [None, 8, 9 - i, 9 - i]) for i in range(feature_maps)]
    return multi_box_head(maps, image, 300, 5, [[2.0]] * feature_maps, **arguments)


def test_no_aspect_ratios_means_squares(program):
    image = paddle.static.data("image", [None, 3, 300, 300])
    maps = [paddle.static.data("map", [None, 8, 9, 9])]
    locations, *_ = multi_box_head(maps, image, 300, 5, None, min_sizes=[[30.0]])
    assert locations.shape[1:] == (81, 4)


def test_spread_prior_sizes(program, run):
    """20 to 90 percent over three maps: 30..60, 60..270 and 270..480 pixels, as documented."""
    locations, confidences, boxes, _ = heads(min_ratio=20, max_ratio=90)
    # sizes: one a ratio (1, 2, 1/2) and the middle of smallest and largest
    assert locations.shape[1:] == (4 * (81 + 64 + 49), 4)
    assert confidences.shape[1:] == (4 * (81 + 64 + 49), 5)
    feed = {f"map{i}": np.zeros((1, 8, 9 - i, 9 - i), "float32") for i in range(3)}
    feed["image"] = np.zeros((1, 3, 300, 300), "float32")
    widths = np.ptp(run(feed, [boxes])[0][:, ::2], axis=1) * 300
    assert widths[0] == pytest.approx(30)
    assert widths[81 * 4] == pytest.approx(60)
    assert widths[(81 + 64) * 4] == pytest.approx(270)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "plain"),
        ({"steps": [15, 31]}, "steps"),
        ({"step_w": [14, 30], "step_h": [18, 28]}, "w_and_h"),
        # The other direction by hand: 128 x 96 pixels over 8 x 6 and 4 x 3 cells
        ({"step_w": [14, 30]}, "w_and_auto"),
        ({"step_w": [14, 30], "step_h": [0, 0]}, "w_and_auto"),
        ({"step_h": [18, 28]}, "h_and_auto"),
    ],
)
def test_distances_of_the_priors(program, run, arguments, expected):
    image = paddle.static.data("image", [None, 3, 96, 128])
    maps = [paddle.static.data(f"map{h}", [None, 8, h, w]) for h, w in ((6, 8), (3, 4))]
    sizes = {"min_sizes": [20.0, 40.0], "max_sizes": [[], 60.0]}
    *_, boxes, _ = multi_box_head(maps, image, 96, 5, [[2.0]] * 2, **sizes, **arguments)
    feed = {v.name: np.zeros((1, *v.shape[1:]), "float32") for v in (image, *maps)}
    np.testing.assert_allclose(
        run(feed, [boxes])[0], golden.load("prior_steps")[expected], atol=1e-6
    )


def test_one_map_gives_the_shapes_of_several(program):
    locations, confidences, boxes, variances = heads(1, min_sizes=[30.0])
    assert locations.shape[1:] == (243, 4) and confidences.shape[1:] == (243, 5)
    assert boxes.shape == variances.shape == (243, 4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs min_sizes, or both"),
        ({"max_sizes": [60, 90, 120]}, "max_sizes, but no min_sizes"),
        ({"min_ratio": 20, "max_ratio": 20}, "too narrow"),
        ({"min_sizes": [30, 60]}, "min_sizes has 2 entries for 3"),
        ({"min_ratio": 20, "max_ratio": 90, "steps": [8]}, "steps has 1 entries"),
        ({"min_ratio": 20, "max_ratio": 90, "feature_maps": 2}, "three or more"),
    ],
)
def test_heads_that_are_refused(program, arguments, words):
    with pytest.raises(ValueError, match=words):
        heads(**arguments)


@pytest.mark.parametrize("name", golden.names("ssd_loss"))
def test_ssd_loss_and_gradients(program, run, name):
    g = golden.load(name)
    counts = g["gt_counts"]
    feed = {
        "location": g["location"],
        "confidence": g["confidence"],
        "gt_box": golden.pad(g["gt_box"], counts, 0),
        "gt_label": golden.pad(g["gt_label"].reshape(-1), counts, -1),
    }
    priors = golden.load("prior_boxes_300")
    inputs = data(**feed) + fixed(**priors)
    for predicted in inputs[:2]:
        predicted.stop_gradient = False
    loss = ssd_loss(*inputs)
    gradients = paddle.static.gradients([reduce_sum(loss)], inputs[:2])
    got = run({**feed, **priors}, [loss, *gradients])
    for value, key in zip(got, ("loss", "grad_location", "grad_confidence"), strict=True):
        scale = np.abs(g[key]).max()
        np.testing.assert_allclose(value, g[key], rtol=1e-5, atol=1e-5 * scale, err_msg=key)


@pytest.mark.parametrize("objects, agrees", [(129, 1e-5), (150, 5e-3)])
def test_ssd_loss_of_a_crowd(program, run, objects, agrees):
    """From 130 objects on the original sorts equal overlaps in no certain order."""
    g = golden.load("crowded_loss")
    keys = "location", "confidence", "gt_box", "gt_label"
    feed = {key: g[f"{key}_{objects}"] for key in keys}
    feed = {key: v if v.shape[0] == 1 else v[None] for key, v in feed.items()}
    priors = {key: g[key] for key in ("prior_box", "prior_box_var")}
    (loss,) = run({**feed, **priors}, [ssd_loss(*fixed(**feed), *fixed(**priors))])
    np.testing.assert_allclose(loss, g[f"loss_{objects}"], rtol=agrees)


def test_ground_truth_that_no_prior_overlaps(program, run):
    """Loss 0, where the original divided by 0."""
    priors = golden.load("prior_boxes_300")
    feed = {
        "location": np.ones((1, 1917, 4), "float32"),
        "confidence": np.ones((1, 1917, 5), "float32"),
        "gt_box": np.array([[[5, 5, 6, 6]]], "float32"),
        "gt_label": np.array([[1]], "int32"),
    }
    loss = ssd_loss(*fixed(**feed), *fixed(**priors))
    assert run({**feed, **priors}, [loss])[0] == 0


@pytest.mark.parametrize("name", golden.names("detection_output"))
def test_detection_output(program, run, name):
    g = golden.load(name)
    feed = {"location": g["location"], "confidence": g["confidence"]}
    priors = golden.load("prior_boxes_300")
    detections = detection_output(*data(**feed), *fixed(**priors), nms_threshold=0.45)
    got, counts = run({**feed, **priors}, [detections, detection_counts(detections)])
    np.testing.assert_array_equal(counts, g["counts"])
    np.testing.assert_allclose(got, g["detections"], atol=1e-5)


def test_detection_output_with_its_index(program, run):
    g = golden.load("nms_index")
    feed = {key: g[key] for key in ("location", "confidence", "prior_box", "prior_box_var")}
    inputs = fixed(**feed)
    detections, index = detection_output(*inputs, nms_threshold=0.45, return_index=True)
    got, rows, counts = run(feed, [detections, index, detection_counts(detections)])
    np.testing.assert_array_equal(rows, g["index"])
    np.testing.assert_array_equal(counts, g["counts"])
    np.testing.assert_allclose(got, g["detections"], atol=1e-5)


# Three boxes of one class, the best score first; the second overlaps the first by 0.8, the third
# the first by 0.4 and the second by 0.5
NESTED = np.array([[0, 0, 1, 1], [0, 0, 1, 0.8], [0, 0, 1, 0.4]], "float32")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"nms_threshold": 0.9}, [(1, 0.9), (1, 0.8), (1, 0.7)]),
        # After the first box 0.9 * 0.6 = 0.54: the second goes, the third stays
        ({"nms_threshold": 0.9, "nms_eta": 0.6}, [(1, 0.9), (1, 0.7)]),
        ({"nms_threshold": 0.3, "background_label": 1}, [(0, 0.3)]),
        ({"nms_threshold": 0.3, "background_label": -1}, [(0, 0.3), (1, 0.9)]),
    ],
)
def test_arguments_that_the_original_ignored(program, run, arguments, expected):
    scores = np.array([[[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]], "float32")
    feed = {"location": np.zeros((1, 3, 4), "float32"), "confidence": np.log(scores)}
    priors = {"prior_box": NESTED, "prior_box_var": np.full((3, 4), 0.1, "float32")}
    (got,) = run(
        {**feed, **priors}, [detection_output(*fixed(**feed), *fixed(**priors), **arguments)]
    )
    np.testing.assert_allclose(got[:, :2], expected, atol=1e-6)


@pytest.mark.parametrize("difficult", [True, False])
@pytest.mark.parametrize("version", ["11point", "integral"])
@pytest.mark.parametrize("name", golden.names("detection_map"))
def test_detection_map(program, run, monkeypatch, name, version, difficult):
    g = golden.load(name)
    class_num = int(name.split("classes")[0].split("_")[-1])
    nmsed_out = paddle.static.data("detections", [None, 6])
    counts = paddle.static.data("counts", [None], "int32")
    # The golden detections are fed, so no operator can tell how many belong to each image.
    monkeypatch.setattr("ssd_model.detection_map.detection_counts", lambda _: counts)
    label = paddle.static.data("label", [None, None, 6])
    settings = {"evaluate_difficult": difficult, "ap_version": version}
    batch_map = detection_map(nmsed_out, label, class_num, overlap_threshold=0.5, **settings)
    metric = DetectionMAP(
        nmsed_out, label[:, :, 0], label[:, :, 2:], label[:, :, 1], class_num, **settings
    )
    fetches = [batch_map, *metric.get_map_var()]
    for sweep in range(2):
        for i in range(3):
            feed = {
                "detections": g[f"detections_{i}"],
                "counts": g[f"detection_counts_{i}"].astype("int32"),
                "label": golden.pad(g[f"labels_{i}"], g[f"label_counts_{i}"], -1),
            }
            got = run(feed, fetches)
            batch = g[f"batch_{version}_{difficult}"][i]
            accumulated = g[f"accumulated_{version}_{difficult}"][i]
            np.testing.assert_allclose(
                np.concatenate(got), [batch, batch, accumulated], atol=1e-5, err_msg=f"{sweep, i}"
            )
        metric.reset(paddle.static.Executor(paddle.CPUPlace()))


@pytest.mark.parametrize("background_label, counted", [(-1, True), (0, False)])
def test_ground_truth_of_class_0(program, run, monkeypatch, background_label, counted):
    """The original counts class 0 whatever `background_label` says."""
    g = golden.load("map_of_class_0")
    nmsed_out, counts, label = (
        paddle.static.data("detections", [None, 6]),
        paddle.static.data("counts", [None], "int32"),
        paddle.static.data("label", [None, None, 6]),
    )
    monkeypatch.setattr("ssd_model.detection_map.detection_counts", lambda _: counts)
    settings = {"overlap_threshold": 0.5, "ap_version": "11point"}
    found = detection_map(nmsed_out, label, 4, background_label, **settings)
    feed = {
        "detections": g["detections"],
        "counts": g["detection_counts"].astype("int32"),
        "label": golden.pad(g["labels"], g["label_counts"], -1),
    }
    assert np.isclose(run(feed, [found])[0], g["map"], atol=1e-5) == counted
