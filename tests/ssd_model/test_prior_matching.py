"""Matching priors to ground truth, on cases small enough to work out by hand."""

import numpy as np
import paddle
import pytest

from ssd_model.boxes import encode, iou
from ssd_model.prior_matching import assign_targets, bipartite_match, match_priors
from ssd_model.ssd_loss import ssd_loss

PRIORS = np.array([[0, 0, 0.4, 0.4], [0.1, 0, 0.5, 0.4], [0.6, 0.6, 1, 1]], "float32")
VARIANCES = np.tile(np.float32([0.1, 0.1, 0.2, 0.2]), (3, 1))


def test_iou():
    a = np.array([[0, 0, 2, 2]]) / 4
    b = np.array([[1, 0, 3, 2], [2, 2, 4, 4], [0, 0, 2, 2], [1, 1, 1, 2]]) / 4
    np.testing.assert_allclose(iou(a, b), [[1 / 3, 0, 1, 0]])


def test_encode():
    box = np.array([[0.1, 0.2, 0.5, 0.4]])
    prior = np.array([[0.0, 0.0, 0.4, 0.4]])
    # centre (0.3, 0.3) from (0.2, 0.2), in prior sizes 0.25; width as the prior's, height half
    expected = [[2.5, 2.5, 0, np.log(0.5) / 0.2]]
    np.testing.assert_allclose(encode(box, prior, VARIANCES[:1]), expected, rtol=1e-6)


def test_the_best_pair_goes_first():
    overlap = np.array([[0.9, 0.8, 0.0], [0.95, 0.1, 0.0]])
    np.testing.assert_array_equal(bipartite_match(overlap), [1, 0, -1])


def test_every_ground_truth_has_a_prior_and_near_priors_join():
    small = np.array([[0.0, 0.0, 0.1, 0.1], [0.1, 0.0, 0.5, 0.4]], "float32")
    np.testing.assert_array_equal(match_priors(small, PRIORS), [0, 1, -1])
    one = PRIORS[:1]
    np.testing.assert_array_equal(match_priors(one, PRIORS), [0, 0, -1])
    np.testing.assert_array_equal(match_priors(one, PRIORS, "bipartite"), [0, -1, -1])
    np.testing.assert_array_equal(match_priors(one, PRIORS, overlap_threshold=0.7), [0, -1, -1])


def test_padding_and_images_without_objects():
    gt_box = np.array([[PRIORS[2], PRIORS[0]], [[0] * 4, [0] * 4]], "float32")
    label, offsets, positive = assign_targets(
        gt_box, np.array([[2, -1], [-1, -1]]), PRIORS, VARIANCES
    )
    np.testing.assert_array_equal(label, [[0, 0, 2], [0, 0, 0]])
    np.testing.assert_array_equal(positive, [[0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(offsets, np.zeros((2, 3, 4)))


def test_a_batch_without_ground_truth_has_loss_zero(program, run):
    location = paddle.static.data("location", [None, 3, 4])
    confidence = paddle.static.data("confidence", [None, 3, 5])
    location.stop_gradient = confidence.stop_gradient = False
    gt_box = paddle.static.data("gt_box", [None, None, 4])
    gt_label = paddle.static.data("gt_label", [None, None], "int32")
    prior_box = paddle.assign(PRIORS)
    loss = ssd_loss(location, confidence, gt_box, gt_label, prior_box)
    feed = {
        "location": np.ones((2, 3, 4), "float32"),
        "confidence": np.ones((2, 3, 5), "float32"),
        "gt_box": np.zeros((2, 1, 4), "float32"),
        "gt_label": np.full((2, 1), -1, "int32"),
    }
    gradients = paddle.static.gradients([loss], [location, confidence])
    for value in run(feed, [loss, *gradients]):
        np.testing.assert_array_equal(value, np.zeros_like(value))


@pytest.mark.parametrize(
    ("ratio", "neg_overlap", "negatives"), [(1.9, 0.5, 1), (2.0, 0.5, 2), (9, 0.5, 2), (2, 0, 0)]
)
def test_the_hardest_negatives_count(program, run, ratio, neg_overlap, negatives):
    confidence = paddle.static.data("confidence", [None, 3, 2])
    gt_box = paddle.assign(PRIORS[None, 2:])
    gt_label = paddle.assign(np.array([[1]], "int32"))
    location, priors = paddle.zeros([1, 3, 4]), paddle.assign(PRIORS)
    loss = ssd_loss(
        location, confidence, gt_box, gt_label, priors, neg_pos_ratio=ratio, neg_overlap=neg_overlap
    )
    logits = np.array([[[0, 1], [0, 3], [0, 2]]], "float32")
    # The third prior is the positive; the second is the harder negative, then the first.
    costs = np.log1p(np.exp([3, 1]))[:negatives]
    expected = np.log1p(np.exp(-2)) + costs.sum()
    assert run({"confidence": logits}, [loss])[0] == pytest.approx(expected, rel=1e-5)


def test_unknown_ways_are_refused():
    for arguments in ({"match_type": "greedy"}, {"mining_type": "hard_example"}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            ssd_loss(None, None, None, None, None, **arguments)
