"""Average precision, on cases small enough to work out by hand."""

import numpy as np
import pytest

from ssd_model.average_precision import AveragePrecision

LEFT, RIGHT = [0.0, 0.0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9]
FAR = [0.1, 0.6, 0.2, 0.7]


def measure(found, truth, **settings) -> AveragePrecision:
    """One image: `found` rows of class, score, box; `truth` rows of class, difficult, box."""
    metric = AveragePrecision(class_num=3, **settings)
    detections = np.array(found, "float32").reshape(-1, 6)
    metric.update(detections, np.array([len(detections)]), np.array([truth], "float32"))
    return metric


def test_a_hit_a_miss_and_a_false_alarm():
    found = [[1, 0.9, *LEFT], [1, 0.8, *FAR]]
    truth = [[1, 0, *LEFT], [1, 0, *RIGHT]]
    # Recall 0.5 at precision 1, and never more: six of the eleven points (0 to 0.5) have 1.
    assert measure(found, truth).value() == pytest.approx(6 / 11)
    assert measure(found, truth, ap_version="integral").value() == pytest.approx(0.5)


def test_a_false_alarm_that_ranks_first():
    found = [[1, 0.8, *LEFT], [1, 0.9, *FAR]]
    truth = [[1, 0, *LEFT]]
    assert measure(found, truth).value() == pytest.approx(0.5)
    assert measure(found, truth, ap_version="integral").value() == pytest.approx(0.5)


def test_the_second_detection_of_an_object_is_a_false_alarm():
    found = [[1, 0.9, *LEFT], [1, 0.8, *LEFT], [1, 0.7, *RIGHT]]
    truth = [[1, 0, *LEFT], [1, 0, *RIGHT]]
    # Precision 1 up to recall 0.5, then 2/3.
    assert measure(found, truth).value() == pytest.approx((6 + 5 * 2 / 3) / 11)


def test_difficult_objects():
    found = [[1, 0.9, *LEFT], [1, 0.8, *RIGHT]]
    truth = [[1, 1, *LEFT], [1, 0, *RIGHT]]
    assert measure(found, truth, evaluate_difficult=False).value() == pytest.approx(1)
    missed = [[1, 0.8, *RIGHT]]
    assert measure(missed, truth, evaluate_difficult=False).value() == pytest.approx(1)
    assert measure(missed, truth, evaluate_difficult=True).value() == pytest.approx(6 / 11)


def test_classes_are_apart_and_unseen_ones_do_not_count():
    found = [[1, 0.9, *LEFT], [2, 0.8, *RIGHT]]
    truth = [[1, 0, *LEFT], [-1, 0, 0, 0, 0, 0]]
    metric = measure(found, truth)
    np.testing.assert_array_equal(metric.ap_by_class(), [np.nan, 1, np.nan])
    assert metric.value() == 1


def test_a_box_on_an_object_of_another_class_is_a_false_alarm():
    found = [[1, 0.9, *LEFT], [2, 0.8, *LEFT]]
    truth = [[2, 0, *LEFT], [1, 0, *RIGHT]]
    np.testing.assert_array_equal(measure(found, truth).ap_by_class(), [np.nan, 0, 1])


def test_of_equal_scores_the_older_comes_first():
    one, other = [1, 0.5, *LEFT], [1, 0.5, *FAR]
    truth = [[1, 0, *LEFT]]
    assert measure([one, other], truth).value() == 1
    assert measure([other, one], truth).value() == 0.5


def test_merged_is_as_seen_one_after_the_other():
    seen = [[[1, 0.9, *LEFT], [1, 0.5, *FAR]], [[1, 0.7, *FAR], [2, 0.5, *RIGHT]]]
    truth = [[1, 0, *LEFT], [2, 0, *RIGHT]]
    parts = [measure(found, truth) for found in seen]
    parts[0].merge(parts[1])
    # Class 1: right at 0.9, then two false alarms, half of it found; class 2: one of two.
    np.testing.assert_allclose(parts[0].ap_by_class(), [np.nan, 6 / 11, 6 / 11])


def test_no_ground_truth_and_no_detections():
    assert measure([[1, 0.9, *LEFT]], [[-1, 0, 0, 0, 0, 0]]).value() == 0
    assert measure([], [[1, 0, *LEFT]]).value() == 0


def test_the_set_is_ranked_once_whatever_the_batches():
    rng = np.random.default_rng(0)
    images = []
    for _ in range(12):
        low = rng.uniform(0, 0.5, (4, 2))
        boxes = np.concatenate([low, low + 0.3], axis=1)
        classes, flags = rng.integers(1, 3, (4, 1)), rng.integers(0, 2, (4, 1))
        truth = np.concatenate([classes, flags, boxes], axis=1)
        noise = rng.normal(0, 0.03, boxes.shape)
        found = np.concatenate([classes, rng.uniform(size=(4, 1)), boxes + noise], axis=1)
        images.append((found, truth))
    values = []
    for size in (1, 4, 12):
        metric = AveragePrecision(class_num=3)
        for start in range(0, 12, size):
            found, truth = zip(*images[start : start + size], strict=True)
            counts = np.array([len(rows) for rows in found])
            metric.update(np.concatenate(found), counts, np.stack(truth))
        values.append(metric.value())
    assert values[0] == values[1] == values[2]
    metric.reset()
    assert metric.value() == 0


def test_a_row_of_class_minus_one_is_no_detection():
    found = [[-1, 0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(measure(found, [[2, 0, *LEFT]]).ap_by_class(), [np.nan] * 2 + [0])


def test_seven_of_ten_is_not_yet_a_recall_of_seven_tenths():
    """As in the original, which compared a float32 with a double."""
    boxes = [[0.1 * i, 0, 0.1 * i + 0.05, 0.05] for i in range(10)]
    found = [[1, 0.9, *box] for box in boxes[:7]]
    truth = [[1, 0, *box] for box in boxes]
    assert measure(found, truth).value() == pytest.approx(7 / 11)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="ap_version"):
        AveragePrecision(3, ap_version="12point")
    with pytest.raises(ValueError, match=r"overlap_threshold is -0\.5"):
        AveragePrecision(3, overlap_threshold=-0.5)
    with pytest.raises(ValueError, match="class_num is 3"):
        measure([[7, 0.9, *LEFT]], [[1, 0, *LEFT]])
    with pytest.raises(ValueError, match="do not fit counts"):
        AveragePrecision(3).update(np.zeros((2, 6)), np.array([1]), np.zeros((1, 1, 6)))
