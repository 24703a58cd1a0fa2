"""Builds small COCO folders for the tests."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

WIDTH, HEIGHT = 100, 50


def coco_content(stems: Sequence[str], first: int = 1) -> dict[str, Any]:
    """One cat on each image: 10, 5 to 60, 45."""
    images = [
        {"id": i, "file_name": f"{stem}.jpg", "width": WIDTH, "height": HEIGHT}
        for i, stem in enumerate(stems, first)
    ]
    annotations = [
        {"id": i, "image_id": i, "category_id": 1, "bbox": [10, 5, 50, 40], "iscrowd": 0}
        for i, _ in enumerate(stems, first)
    ]
    categories = [{"id": 1, "name": "cat", "supercategory": "animal"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def add_images(folder: Path, stems: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem in stems:
        Image.new("RGB", (WIDTH, HEIGHT), (200, 100, 50)).save(folder / f"{stem}.jpg")


def write_coco(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def make_coco(folder: Path, train: Sequence[str] = ("a", "b"), val: Sequence[str] = ("c",)) -> Path:
    """Write a COCO folder without faults, laid out as COCO itself. Returns the folder."""
    for name, stems, first in (("train2017", train, 1), ("val2017", val, 101)):
        add_images(folder / name, stems)
        write_coco(folder / f"annotations/instances_{name}.json", coco_content(stems, first))
    return folder
