"""COCO mAP: against pycocotools' own command of it, and cases worked out by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ssd_model.coco_map import coco_map
from ssd_model.data.folder import read_data
from ssd_model.data.records import Record
from tests.helpers.coco_folder import add_images, write_coco


def record(boxes, labels=None, difficult=None, size=(100, 100)):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.ones(len(boxes), int) if labels is None else np.array(labels)
    difficult = np.zeros(len(boxes), bool) if difficult is None else np.array(difficult, bool)
    return Record(Path("a.jpg"), *size, boxes, labels, difficult)


BOX = [0.1, 0.1, 0.5, 0.5]
ELSEWHERE = [0.6, 0.6, 0.9, 0.9]


def measure(rows, *records):
    return coco_map([np.array(row, float).reshape(-1, 6) for row in rows], records)["map_coco"]


def test_a_perfect_detection():
    assert measure([[[1, 0.9, *BOX]]], record([BOX])) == pytest.approx(1)


def test_an_overlap_counts_up_to_its_iou():
    """80 % of the width: IoU 0.8, right at 0.5, 0.55, ... 0.75 and, as it is not below, 0.8."""
    detection = [1, 0.9, 0.1, 0.1, 0.1 + 0.4 * 0.79, 0.5]
    assert measure([[detection]], record([BOX])) == pytest.approx(0.6)


def test_a_false_alarm_before_the_object():
    """At all recalls the precision is a half."""
    rows = [[1, 0.9, *ELSEWHERE], [1, 0.8, *BOX]]
    assert measure([rows], record([BOX])) == pytest.approx(0.5)
    assert measure([rows[::-1]], record([BOX])) == pytest.approx(0.5)  # the order is the score's
    after = [[1, 0.7, *ELSEWHERE], [1, 0.8, *BOX]]
    assert measure([after], record([BOX])) == pytest.approx(1)


def test_what_reaches_beyond_the_edge_is_cut_there_like_the_truth():
    truth = record([[0, 0.2, 0.5, 1]])
    assert measure([[[1, 0.9, -0.3, 0.2, 0.5, 1.4]]], truth) == pytest.approx(1)


def test_half_of_the_objects():
    """Precision 1 at the recalls 0, 0.01, ... 0.5, 51 of 101, and 0 beyond."""
    assert measure([[[1, 0.9, *BOX]], []], record([BOX]), record([BOX])) == pytest.approx(51 / 101)


def test_the_mean_is_over_the_classes_of_the_ground_truth():
    truth = record([BOX, ELSEWHERE], labels=[1, 3])
    rows = [[1, 0.9, *BOX], [2, 0.9, *BOX], [3, 0.9, *BOX]]
    assert measure([rows], truth) == pytest.approx(0.5)


def test_difficult_objects_are_not_demanded():
    truth = record([BOX, ELSEWHERE], difficult=[False, True])
    assert measure([[[1, 0.9, *BOX]]], truth) == pytest.approx(1)
    inside = [1, 0.95, 0.7, 0.7, 0.8, 0.8]
    assert measure([[[1, 0.9, *BOX], inside]], truth) == pytest.approx(1)


def test_padding_and_images_of_any_size():
    rows = [[[-1, 0, 0, 0, 0, 0], [1, 0.9, *BOX]], []]
    truth = [record([BOX], size=(640, 480)), record([], size=(1, 3000))]
    assert measure(rows, *truth) == pytest.approx(1)


def test_without_detections_and_without_ground_truth():
    assert measure([[]], record([BOX])) == 0
    assert np.isnan(measure([[[1, 0.9, *BOX]]], record([])))
    assert np.isnan(measure([[[1, 0.9, *BOX]]], record([BOX], difficult=[True])))
    assert np.isnan(coco_map([], [])["map_coco"])


def test_an_image_is_missing():
    with pytest.raises(ValueError, match="1 images were detected on, want 2"):
        measure([[]], record([BOX]), record([BOX]))


def test_nothing_is_printed(capfd):
    measure([[[1, 0.9, *BOX]]], record([BOX]))
    assert capfd.readouterr() == ("", "")


def test_against_pycocotools(tmp_path):
    """From a folder through our reader, and from its file and a file of results as they do it."""
    rng = np.random.default_rng(0)
    stems = [f"{i:02}" for i in range(30)]
    add_images(tmp_path / "images", stems)  # 100 x 50
    size = np.array([100, 50, 100, 50])
    content = {
        "images": [
            {"id": 7 * i, "file_name": f"{stem}.jpg", "width": 100, "height": 50}
            for i, stem in enumerate(stems)
        ],
        "categories": [{"id": id_, "name": name} for id_, name in ((3, "a"), (5, "b"), (9, "c"))],
        "annotations": [],
    }
    results, detections = [], []
    for image in content["images"]:
        rows = []
        for _ in range(rng.integers(0, 6)):
            low = rng.uniform(0, [60, 30])
            box = [*low, *rng.uniform(8, [40, 20])]
            category = int(rng.choice([3, 5, 9]))
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
            for _ in range(rng.integers(0, 3)):
                near = np.array(box) + rng.normal(0, 1.5, 4)
                label = category if rng.random() < 0.85 else int(rng.choice([3, 5, 9]))
                score = float(rng.random())
                corners = np.array([*near[:2], *(near[:2] + near[2:])])
                rows.append([[3, 5, 9].index(label) + 1, score, *corners / size])
                inside = corners.clip(0, size)  # as `detect` writes them
                results.append(
                    {
                        "image_id": image["id"],
                        "category_id": label,
                        "bbox": [*inside[:2], *(inside[2:] - inside[:2])],
                        "score": score,
                    }
                )
        detections.append(np.array(rows).reshape(-1, 6))
    for name in ("train", "test"):
        write_coco(tmp_path / f"annotations/instances_{name}.json", content)
    (tmp_path / "results.txt").write_text(json.dumps(results))
    truth = COCO(tmp_path / "annotations/instances_test.json")
    theirs = COCOeval(truth, truth.loadRes(str(tmp_path / "results.txt")), "bbox")
    theirs.evaluate()
    theirs.accumulate()
    theirs.summarize()
    assert 0.1 < theirs.stats[0] < 0.9
    split = read_data(tmp_path, "test")
    assert coco_map(detections, split.records)["map_coco"] == pytest.approx(
        theirs.stats[0], abs=1e-4
    )
