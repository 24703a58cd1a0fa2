"""Match prior boxes to ground truth (Liu et al., SSD, arXiv 1512.02325, 2.2)."""

import numpy as np

from ssd_model.boxes import encode, iou

# An overlap below this is none to the original's `bipartite_match`.
EPSILON = 1e-6


def bipartite_match(overlap: np.ndarray) -> np.ndarray:
    """Give each ground truth the prior it overlaps most, the best pair first.

    Args:
        overlap: [G, P] in 0..1.

    Returns:
        [P] int: the row matched to each column, -1 for none, as in the original's
        `bipartite_match`. Of equal overlaps, the first in the array is taken; from 130 rows on, the
        original sorted them in no defined order.
    """
    matched = np.full(overlap.shape[1], -1)
    left = overlap.copy()
    for _ in range(min(overlap.shape)):
        row, column = np.unravel_index(left.argmax(), left.shape)
        if left[row, column] < EPSILON:
            break
        matched[column] = row
        left[row, :] = -1
        left[:, column] = -1
    return matched


def match_priors(
    gt_box: np.ndarray,
    priors: np.ndarray,
    match_type: str = "per_prediction",
    overlap_threshold: float = 0.5,
) -> np.ndarray:
    """Match priors [P, 4] to the ground truth [G, 4] of one image.

    Every ground truth gets its best prior. With 'per_prediction', every other prior that overlaps
    some ground truth by `overlap_threshold` or more is matched, too.

    Returns:
        [P] int: index of the matched ground truth, -1 for none.
    """
    if len(gt_box) == 0:
        return np.full(len(priors), -1)
    overlap = iou(gt_box, priors)
    matched = bipartite_match(overlap)
    if match_type == "per_prediction":
        best = overlap.max(axis=0)
        free = (matched == -1) & (best >= max(overlap_threshold, EPSILON))
        matched[free] = overlap.argmax(axis=0)[free]
    return matched


def assign_targets(
    gt_box: np.ndarray,
    gt_label: np.ndarray,
    priors: np.ndarray,
    variances: np.ndarray,
    background_label: int = 0,
    match_type: str = "per_prediction",
    overlap_threshold: float = 0.5,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute what each prior should predict, for each image of a batch.

    Args:
        gt_box: [N, M, 4], gt_label: [N, M], padded with label -1.
        priors, variances: [P, 4].

    Returns:
        label [N, P] int64, the class or `background_label`; offsets [N, P, 4] float32, 0 if
        unmatched; positive [N, P] float32, 1 if matched.
    """
    shape = len(gt_box), len(priors)
    label = np.full(shape, background_label, "int64")
    offsets = np.zeros((*shape, 4), "float32")
    positive = np.zeros(shape, "float32")
    for i, (boxes, labels) in enumerate(zip(gt_box, gt_label, strict=True)):
        real = labels >= 0
        boxes, labels = boxes[real], labels[real]
        matched = match_priors(boxes, priors, match_type, overlap_threshold)
        hit = np.flatnonzero(matched >= 0)
        label[i, hit] = labels[matched[hit]]
        offsets[i, hit] = encode(boxes[matched[hit]], priors[hit], variances[hit])
        positive[i, hit] = 1
    return label, offsets, positive
