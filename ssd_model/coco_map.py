"""Compute COCO's mean average precision with pycocotools."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ssd_model.data.records import Record


def coco_map(detections: Sequence[np.ndarray], records: Sequence[Record]) -> dict[str, float]:
    """Measure detections as the COCO challenge does.

    AP is the area under the precision-recall curve at 101 recalls, over the 100 best detections
    of each class and image. mAP is its mean over the IoUs 0.5, 0.55, ... 0.95 and over the classes
    in the ground truth. A difficult object is treated like one of COCO's crowds: it need not be
    found, and detections inside it do not count.

    Args:
        detections: for each record [K, 6]: label from 1, score, box normalised to 0..1. Rows with
            other labels, such as padding, are skipped.

    Returns:
        "map_coco", 0 to 1; nan if there is no object to find.
    """
    if len(detections) != len(records):
        raise ValueError(f"{len(detections)} images were detected on, want {len(records)}")
    truth, found = [], []
    for image, (rows, record) in enumerate(zip(detections, records, strict=True), 1):
        size = np.tile((record.width, record.height), 2)
        for label, box, difficult in zip(
            record.labels, record.boxes * size, record.difficult, strict=True
        ):
            truth.append(_annotation(image, label, box, iscrowd=int(difficult)))
        rows = np.asarray(rows, float).reshape(-1, 6)
        for label, score, *box in rows[rows[:, 0] >= 1]:
            box = np.clip(box, 0, 1) * size  # as the truth is
            found.append(_annotation(image, label, box, score=float(score)))
    labels = sorted({item["category_id"] for item in truth})
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints what it does
        evaluation = COCOeval(
            _index(truth, labels, len(records)), _index(found, labels, len(records)), "bbox"
        )
        # The mean does not depend on the objects' sizes.
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # [IoU, recall, class, size, most detections]; -1 for a class without objects to find
    precision = evaluation.eval["precision"][..., -1]
    demanded = precision[precision > -1]
    return {"map_coco": float(demanded.mean()) if demanded.size else float("nan")}


def _annotation(image: int, label: float, box: np.ndarray, **more: Any) -> dict[str, Any]:
    x, y = box[:2].tolist()
    width, height = (box[2:] - box[:2]).tolist()
    return {
        "image_id": image,
        "category_id": int(label),
        "bbox": [x, y, width, height],
        "area": width * height,
        "iscrowd": 0,
        **more,
    }


def _index(annotations: list[dict[str, Any]], labels: list[int], images: int) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": image} for image in range(1, images + 1)],
        "categories": [{"id": label} for label in labels],
        # Ids start at 1, since pycocotools takes 0 for no match.
        "annotations": [{**item, "id": i} for i, item in enumerate(annotations, 1)],
    }
    coco.createIndex()
    return coco
