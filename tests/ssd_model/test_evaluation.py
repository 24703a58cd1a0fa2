"""What a network finds in all images of a reader."""

import warnings
from pathlib import Path

import numpy as np
import paddle

from ssd_model.bootstrap import map_of
from ssd_model.data.records import Record
from ssd_model.evaluation import detect, evaluate
from ssd_model.programs import build_detector, new_scope
from tests.helpers.small_run import BATCHES, SIZE


def test_detections_of_each_image():
    """As batch by batch, and without a warning of Paddle that nobody needs the ground truth."""
    detector = build_detector(3, False, image_size=SIZE)
    scope, executor = new_scope(detector), paddle.static.Executor(paddle.CPUPlace())
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = detect(executor, detector.program, BATCHES, detector, scope=scope)
    assert len(found) == sum(len(batch["image"]) for batch in BATCHES) == 5
    outputs = [detector.nmsed_out, detector.counts]
    expected = []
    for batch in BATCHES:
        rows, counts = executor.run(detector.program, feed=batch, fetch_list=outputs, scope=scope)
        expected += np.split(rows, np.cumsum(counts)[:-1])
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape and len(one)
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_map_of_detections_is_that_of_the_program():
    detector = build_detector(3, False, image_size=SIZE)
    scope, executor = new_scope(detector), paddle.static.Executor(paddle.CPUPlace())
    arguments = executor, detector.program, BATCHES
    inside = evaluate(*arguments, [("map", detector.map.name)], scope=scope)
    records = [
        Record(Path("a.jpg"), SIZE, SIZE, boxes, labels, difficult > 0)
        for batch in BATCHES
        for boxes, labels, difficult in zip(
            batch["gt_box"], batch["gt_label"], batch["gt_difficult"], strict=True
        )
    ]
    metric = map_of(detect(*arguments, detector, scope=scope), records)
    assert metric.value() > 0
    np.testing.assert_allclose(metric.ap_by_class(), inside["map_by_class"], atol=1e-6)
