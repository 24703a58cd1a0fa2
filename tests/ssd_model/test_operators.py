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
    *_, boxes, variances = mobilenet_ssd(image, 21)
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


@pytest.mark.parametrize("name", golden.names("detection_output"))
def test_detection_output(program, run, name):
    g = golden.load(name)
    feed = {"location": g["location"], "confidence": g["confidence"]}
    priors = golden.load("prior_boxes_300")
    detections = detection_output(*data(**feed), *fixed(**priors), nms_threshold=0.45)
    got, counts = run({**feed, **priors}, [detections, detection_counts(detections)])
    np.testing.assert_array_equal(counts, g["counts"])
    np.testing.assert_allclose(got, g["detections"], atol=1e-5)


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
