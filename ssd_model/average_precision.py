"""Mean average precision over detections, in numpy: what the `detection_map` operator computed."""

from collections.abc import Iterator

import numpy as np

from ssd_model.boxes import iou

AP_VERSIONS = ("11point", "integral")


def mean_of_classes(ap: np.ndarray) -> float:
    """mAP from the AP of each class, [class_num] with nan for those that do not count."""
    return float(np.nanmean(ap)) if np.isfinite(ap).any() else 0.0


class AveragePrecision:
    """Collects detections and ground truth batch by batch, then ranks them all at once.

    Args:
        class_num: classes, the background included.
        background_label: the class that does not count; -1 for none.
        overlap_threshold: a detection is right if its overlap (IoU) with a ground truth of its
            class is above this, and no better scored one took that ground truth.
        evaluate_difficult: count ground truth marked difficult; otherwise it is neither missed
            nor found.
        ap_version: '11point' (VOC 2007: mean of the best precision at recall 0, 0.1, ... 1) or
            'integral' (area under the curve as it is).

    Raises:
        ValueError: an unknown `ap_version`.
    """

    def __init__(
        self,
        class_num: int,
        background_label: int = 0,
        overlap_threshold: float = 0.5,
        evaluate_difficult: bool = False,
        ap_version: str = "11point",
    ):
        if ap_version not in AP_VERSIONS:
            raise ValueError(f"ap_version is {ap_version!r}: use one of {AP_VERSIONS}")
        self.class_num = class_num
        self.background_label = background_label
        self.overlap_threshold = overlap_threshold
        self.evaluate_difficult = evaluate_difficult
        self.ap_version = ap_version
        self.reset()

    def reset(self) -> None:
        """Forget everything seen so far."""
        self._positives = np.zeros(self.class_num, int)
        # Of each class, all detections so far, the best score first: ranked as they come, since
        # the accumulated value is wanted after every batch.
        self._scores = [np.empty(0) for _ in range(self.class_num)]
        self._hits = [np.empty(0, bool) for _ in range(self.class_num)]

    def update(self, detections: np.ndarray, counts: np.ndarray, label: np.ndarray) -> None:
        """Add a batch.

        Args:
            detections: [K, 6] label, score, box of all images, one after the other; label -1
                stands for none.
            counts: [N], the rows of each image.
            label: [N, M, 6] class, difficult, box, or [N, M, 5] without difficult; class -1 marks
                padding.

        Raises:
            ValueError: shapes that do not belong together, or a class outside 0..class_num - 1.
        """
        self._check(detections, counts, label)
        starts = np.cumsum(counts)[:-1]
        for rows, truth in zip(np.split(detections, starts), label, strict=True):
            for c, found, boxes, difficult in self._by_class(rows, truth):
                self._positives[c] += len(boxes) if self.evaluate_difficult else (~difficult).sum()
                scores, hits = self._judge(found, boxes, difficult)
                places = np.searchsorted(-self._scores[c], -scores, side="right")
                self._scores[c] = np.insert(self._scores[c], places, scores)
                self._hits[c] = np.insert(self._hits[c], places, hits)

    def ap_by_class(self) -> np.ndarray:
        """AP of each class, [class_num] in 0..1; nan for the background and classes unseen."""
        ap = np.full(self.class_num, np.nan)
        for c in range(self.class_num):
            if c != self.background_label and self._positives[c] > 0:
                ap[c] = self._average_precision(c)
        return ap

    def value(self) -> float:
        """mAP: the mean over the classes that have ground truth, 0 where there is none."""
        return mean_of_classes(self.ap_by_class())

    def _check(self, detections: np.ndarray, counts: np.ndarray, label: np.ndarray) -> None:
        if counts.sum() != len(detections) or len(counts) != len(label):
            raise ValueError(
                f"{len(detections)} detections and {len(label)} images do not fit counts {counts}"
            )
        classes = np.concatenate([detections[:, 0], label[..., 0].ravel()])
        if classes.size and not -1 <= classes.min() <= classes.max() < self.class_num:
            raise ValueError(
                f"classes {classes.min():.0f}..{classes.max():.0f} in a batch, but class_num is "
                f"{self.class_num}"
            )

    def _by_class(self, rows: np.ndarray, truth: np.ndarray) -> Iterator[tuple]:
        truth = truth[truth[:, 0] >= 0]
        difficult = truth[:, 1] > 0 if truth.shape[1] == 6 else np.zeros(len(truth), bool)
        rows = rows[rows[:, 0] >= 0]
        for c in np.union1d(rows[:, 0], truth[:, 0]).astype(int):
            mine = truth[:, 0] == c
            yield c, rows[rows[:, 0] == c, 1:], truth[mine, -4:], difficult[mine]

    def _judge(
        self, found: np.ndarray, boxes: np.ndarray, difficult: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores [D] and right or wrong [D] of one image's detections [D, 5] of one class."""
        found = found[np.argsort(-found[:, 0], kind="stable")]
        scores = found[:, 0]
        if len(boxes) == 0 or len(found) == 0:
            return scores, np.zeros(len(found), bool)
        overlap = iou(found[:, 1:].clip(0, 1), boxes)
        best = overlap.argmax(axis=1)
        matched = overlap.max(axis=1) > self.overlap_threshold
        hits = np.zeros(len(found), bool)
        candidates = np.flatnonzero(matched)
        hits[candidates[np.unique(best[candidates], return_index=True)[1]]] = True
        if self.evaluate_difficult:
            return scores, hits
        counted = ~(matched & difficult[best])
        return scores[counted], hits[counted]

    def _average_precision(self, c: int) -> float:
        if not len(self._hits[c]):
            return 0.0
        found = np.cumsum(self._hits[c])
        precision = found / np.arange(1, len(found) + 1)
        # The operator compared a float32 recall with a double: 7 of 10 stays below 0.7 there.
        recall = (found / self._positives[c]).astype("float32").astype("float64")
        if self.ap_version == "integral":
            return float((precision * np.diff(recall, prepend=0)).sum())
        best_from = np.maximum.accumulate(precision[::-1])[::-1]
        first = np.searchsorted(recall, np.arange(11) / 10)
        return float(np.append(best_from, 0)[first].mean())
