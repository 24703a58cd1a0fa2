"""Compute with boxes in numpy. They are [xmin, ymin, xmax, ymax], normalised to 0..1."""

import numpy as np


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of every pair of boxes.

    Args:
        a: [A, 4], b: [B, 4].

    Returns:
        [A, B] in 0..1; 0 if a pair does not overlap or has no area.
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=2)
    union = area(a)[:, None] + area(b)[None] - intersection
    return np.where(intersection > 0, intersection / np.maximum(union, 1e-12), 0)


def area(boxes: np.ndarray) -> np.ndarray:
    """Compute the areas [N] of boxes [N, 4]; 0 for a box that is empty or inverted."""
    return np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)


def encode(boxes: np.ndarray, priors: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """Encode boxes as offsets from priors, like `box_coder(code_type='encode_center_size')`.

    Args:
        boxes, priors, variances: [N, 4] each, row by row; boxes must have an area.

    Returns:
        [N, 4]: (dx, dy) in prior sizes, (log dw, log dh), each divided by its variance.
    """
    size, prior_size = boxes[:, 2:] - boxes[:, :2], priors[:, 2:] - priors[:, :2]
    shift = (boxes[:, :2] + boxes[:, 2:] - priors[:, :2] - priors[:, 2:]) / 2
    return np.concatenate([shift / prior_size, np.log(size / prior_size)], axis=1) / variances
