"""How much of a difference in mAP may be due to the choice of test images: the paired bootstrap."""

from collections.abc import Sequence

import numpy as np

from ssd_model.average_precision import VOC_2007, AveragePrecision
from ssd_model.data.records import Record

RESAMPLES = 1000
SHARE = 0.95


def map_of(detections: Sequence[np.ndarray], records: Sequence[Record]) -> AveragePrecision:
    """Measure detections as the eval Program's `map` does.

    Args:
        detections: for each record [K, 6]: label from 1, score, box normalised to 0..1; see
            `evaluation.detect`.

    Raises:
        ValueError: there are not as many as records.
    """
    labels = [label for record in records for label in record.labels]
    metric = AveragePrecision(max(labels, default=0) + 1, **VOC_2007)
    for rows, record in zip(detections, records, strict=True):
        rows = rows[rows[:, 0] < metric.class_num]  # other classes have no AP here
        truth = np.column_stack([record.labels, record.difficult, record.boxes])
        metric.update(rows, np.array([len(rows)]), truth[None])
    return metric


def map_difference_range(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], records: Sequence[Record]
) -> tuple[float, float]:
    """Estimate between which bounds the difference of two mAPs would lie on other test images.

    Draws as many of the images, with replacement, measures both networks on these, and repeats
    that. The two bounds enclose 95 of 100 differences (Efron, 1979: Bootstrap methods). Chance in
    training is not in it; with fewer than about thirty images the range is too narrow.

    Args:
        before, after: what two networks detect, see `map_of`.

    Returns:
        The lower and the upper bound of mAP after - mAP before.
    """
    metrics = map_of(before, records), map_of(after, records)
    images, rng = len(records), np.random.default_rng(0)
    draws = rng.multinomial(images, np.full(images, 1 / images), RESAMPLES)
    values = np.array([[metric.value(times) for metric in metrics] for times in draws])
    tail = (1 - SHARE) / 2
    low, high = np.quantile(values[:, 1] - values[:, 0], [tail, 1 - tail])
    return float(low), float(high)
