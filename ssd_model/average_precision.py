"""Compute mean average precision in numpy, as the `detection_map` operator did."""

import numpy as np

from ssd_model.boxes import iou

AP_VERSIONS = ("11point", "integral")
VOC_2007 = {"overlap_threshold": 0.5, "evaluate_difficult": False, "ap_version": "11point"}
"""The settings of the mAP that this project reports, those of the VOC 2007 challenge."""


def mean_of_classes(ap: np.ndarray) -> float:
    """Average the AP of each class, [class_num], to mAP; nan marks classes that do not count."""
    return float(np.nanmean(ap)) if np.isfinite(ap).any() else 0.0


class AveragePrecision:
    """Collects detections and ground truth batch by batch, and ranks them over the whole set.

    Args:
        class_num: classes, the background included.
        background_label: the class that does not count; -1 for none.
        overlap_threshold: 0 to 1; a detection is right if its overlap (IoU) with a ground truth of
            its class is above this, and no detection with a better score took that ground truth.
        evaluate_difficult: count ground truth marked difficult; otherwise it counts as neither
            missed nor found.
        ap_version: '11point' (VOC 2007: mean of the best precision at recall 0, 0.1, ... 1) or
            'integral' (area under the curve as it is).

    Raises:
        ValueError: `ap_version` is unknown, or `overlap_threshold` is outside 0 to 1.
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
        if not 0 <= overlap_threshold <= 1:
            raise ValueError(f"overlap_threshold is {overlap_threshold}: it must be from 0 to 1")
        self.class_num = class_num
        self.background_label = background_label
        self.overlap_threshold = overlap_threshold
        self.evaluate_difficult = evaluate_difficult
        self.ap_version = ap_version
        self.reset()

    def reset(self) -> None:
        """Forget everything seen so far."""
        self._positives = np.zeros((0, self.class_num), int)  # a row for each image
        # All detections of each class so far, the best score first. They are ranked as they come,
        # since the accumulated value is needed after every batch.
        self._scores = [np.empty(0) for _ in range(self.class_num)]
        self._hits = [np.empty(0, bool) for _ in range(self.class_num)]
        self._images = [np.empty(0, int) for _ in range(self.class_num)]

    def update(self, detections: np.ndarray, counts: np.ndarray, label: np.ndarray) -> None:
        """Add a batch.

        Args:
            detections: [K, 6] label, score, box of all images, one image after another; label -1
                means no detection.
            counts: [N], the number of rows of each image.
            label: [N, M, 6] class, difficult, box, or [N, M, 5] without difficult; class -1 marks
                padding.

        Raises:
            ValueError: the shapes do not match, or a class is outside 0..class_num - 1.
        """
        self._check(detections, counts, label)
        judged, positives, first = [np.empty((0, 4))], [], len(self._positives)
        for found, truth in zip(np.split(detections, np.cumsum(counts)[:-1]), label, strict=True):
            truth = truth[truth[:, 0] >= 0]
            difficult = truth[:, 1] > 0 if truth.shape[1] == 6 else np.zeros(len(truth), bool)
            counted = truth if self.evaluate_difficult else truth[~difficult]
            classes = counted[:, 0].astype(int)
            rows = self._judge(found[found[:, 0] >= 0], truth, difficult)
            judged.append(np.insert(rows, 3, first + len(positives), axis=1))
            positives.append(np.bincount(classes, minlength=self.class_num))
        self._positives = np.concatenate([self._positives, positives])
        classes, scores, hits, images = np.concatenate(judged).T
        for c in np.unique(classes).astype(int):
            mine = classes == c
            self._rank(c, scores[mine], hits[mine] > 0, images[mine].astype(int))

    def merge(self, other: "AveragePrecision") -> None:
        """Add what another instance with the same settings has seen."""
        first = len(self._positives)
        self._positives = np.concatenate([self._positives, other._positives])
        for c in range(self.class_num):
            self._rank(c, other._scores[c], other._hits[c], first + other._images[c])

    def ap_by_class(self, times: np.ndarray | None = None) -> np.ndarray:
        """AP of each class, [class_num] in 0..1; nan for the background and unseen classes.

        Args:
            times: [N] int, how often each image counts, in the order of their arrival; by default
                once.
        """
        positives = self._positives.sum(axis=0) if times is None else times @ self._positives
        ap = np.full(self.class_num, np.nan)
        for c in range(self.class_num):
            if c != self.background_label and positives[c] > 0:
                hits = self._hits[c]
                if times is not None:
                    hits = np.repeat(hits, times[self._images[c]])
                ap[c] = self._average_precision(hits, positives[c])
        return ap

    def value(self, times: np.ndarray | None = None) -> float:
        """mAP: the mean over the classes that have ground truth; 0 if none has.

        Args:
            times: see `ap_by_class`.
        """
        return mean_of_classes(self.ap_by_class(times))

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

    def _judge(self, found: np.ndarray, truth: np.ndarray, difficult: np.ndarray) -> np.ndarray:
        """Judge one image's detections [D, 6]: class, score, 1 if right [D, 3], if they count.

        Args:
            truth: [M, 5 or 6], difficult: [M].
        """
        found = found[np.argsort(-found[:, 1], kind="stable")]
        judged = np.column_stack([found[:, :2], np.zeros(len(found))])
        if len(truth) == 0 or len(found) == 0:
            return judged
        overlap = iou(found[:, 2:].clip(0, 1), truth[:, -4:])
        overlap[found[:, :1] != truth[:, 0]] = 0
        best = overlap.argmax(axis=1)
        matched = overlap.max(axis=1) > self.overlap_threshold
        candidates = np.flatnonzero(matched)
        judged[candidates[np.unique(best[candidates], return_index=True)[1]], 2] = 1
        return judged if self.evaluate_difficult else judged[~(matched & difficult[best])]

    def _rank(self, c: int, scores: np.ndarray, hits: np.ndarray, images: np.ndarray) -> None:
        """Merge new detections of a class into those so far; equal scores stay in order of arrival.

        The operator's sort was stable, too.
        """
        scores, hits = np.append(self._scores[c], scores), np.append(self._hits[c], hits)
        order = np.argsort(-scores, kind="stable")
        self._scores[c], self._hits[c] = scores[order], hits[order]
        self._images[c] = np.append(self._images[c], images)[order]

    def _average_precision(self, hits: np.ndarray, positives: int) -> float:
        """AP of a class with so many objects, from the ranked detections: which are right."""
        if not len(hits):
            return 0.0
        found = np.cumsum(hits)
        precision = found / np.arange(1, len(found) + 1)
        # The operator (detection_map_op.h of Paddle 1.x) compared a float32 recall with a double,
        # so that 7 of 10 is below 0.7.
        recall = (found / positives).astype("float32").astype("float64")
        if self.ap_version == "integral":
            return float((precision * np.diff(recall, prepend=0)).sum())
        # The envelope of VOC 2007 (Everingham et al., 2010, 4.2): at each recall, the best
        # precision that any longer list reaches. A dip in the middle of the ranking is ignored.
        best_from = np.maximum.accumulate(precision[::-1])[::-1]
        first = np.searchsorted(recall, np.arange(11) / 10)
        return float(np.append(best_from, 0)[first].mean())
