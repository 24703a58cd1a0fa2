"""Read one file of COCO annotations, whose content is not trusted."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from ssd_model.data.faults import DataError, Fault, Note
from ssd_model.data.files import read_bytes
from ssd_model.data.text import class_name, shorten, why_no_class

MAX_BYTES = 1_000_000_000  # instances_train2017.json has 450 million
MOST_HOMELESS = 0.5
"""Share of a file's annotations that may be of images that it does not list: if there are more, the
ids are written in different ways."""
WANTED = {"images": ("id", "file_name"), "categories": ("id", "name")}


def read_coco_file(path: Path, faults: list[Fault]) -> tuple[dict[str, list[dict]], list[Note]]:
    """Return the data that pycocotools makes its index from, and notes on what was left out.

    Images, categories and annotations are dicts that refer to each other by ids. What an
    annotation says about its object is not checked here.
    """
    dataset: dict[str, list[dict]] = {"images": [], "categories": [], "annotations": []}
    try:
        content = json.loads(read_bytes(path, MAX_BYTES))
    except DataError as error:
        faults.append(Fault(path, str(error)))
        return dataset, []
    except (ValueError, RecursionError) as error:
        faults.append(Fault(path, f"not well-formed JSON ({error})"))
        return dataset, []
    if isinstance(content, dict) and isinstance(content.get("images"), list):
        content.setdefault("annotations", [])  # images to test on, whose truth is kept secret
    for key in dataset:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            faults.append(Fault(path, f"no list of {key}; export in the COCO format"))
            return dataset, []
    for key, (id_, name) in WANTED.items():
        for i, item in enumerate(content[key]):
            if key == "categories" and _is_item(item, name):
                item[name] = str(item[name])  # it may be a number
            if key == "images" and _is_item(item, "coco_url"):
                item.setdefault(name, item["coco_url"])  # LVIS has only that
            if _is_item(item, id_) and isinstance(item.get(name), str):
                item[id_] = _plain_id(item[id_])
                dataset[key].append(item)
            else:
                what = f"number {i} of {key} has no {id_} or no {name}"
                faults.append(Fault(path, what))
        counts = Counter(item[id_] for item in dataset[key])
        twice = [id_ for id_, count in counts.items() if count > 1]
        faults.extend(Fault(path, f"{key}: the id {id_!r} occurs twice") for id_ in twice)
    for category in dataset["categories"]:
        name = class_name(category["name"])
        if why := "is empty" if not name else why_no_class(name):
            what = f"category {category['id']!r}: its name {shorten(name)!r} {why}"
            faults.append(Fault(path, what))
    return dataset, _read_annotations(path, content["annotations"], dataset, faults)


def _read_annotations(
    path: Path, annotations: list[Any], dataset: dict[str, list[dict]], faults: list[Fault]
) -> list[Note]:
    images = {image["id"] for image in dataset["images"]}
    homeless = []
    for i, item in enumerate(annotations):
        if not _is_item(item, "image_id", "category_id"):
            what = f"number {i} of annotations has no image_id or no category_id"
            faults.append(Fault(path, what))
            continue
        for key in ("image_id", "category_id"):
            item[key] = _plain_id(item[key])
        if item["image_id"] not in images:
            homeless.append(item["image_id"])
        else:
            if not _is_item(item, "id"):
                item["id"] = f"number {i}"
            dataset["annotations"].append(item)
    if not homeless:
        return []
    if len(homeless) > MOST_HOMELESS * len(annotations):
        what = f"{len(homeless):,} of its {len(annotations):,} annotations have no image of their"
        what += f" image_id, such as {shorten(repr(homeless[0]))}"
        one = next((shorten(repr(image["id"])) for image in dataset["images"]), None)
        what += f", while an image has the id {one}" if one else ", for it lists no image"
        faults.append(Fault(path, f"{what}; correct them"))
    told = f"annotations of images that {path.name} does not list, left out: {len(homeless):,}"
    return [Note(path, told)]


def _plain_id(id_: float | str) -> float | str:
    """Make the text of a whole number that number: VIA writes 7 in one place, "7" in the other."""
    is_number = isinstance(id_, str) and re.fullmatch("0|[1-9][0-9]{0,17}", id_)
    return int(id_) if is_number else id_


def _is_item(item: Any, *ids: str) -> bool:
    """Whether `item` is a dict with these ids, which must be numbers or texts."""
    return isinstance(item, dict) and all(
        isinstance(item.get(id_), int | float | str) and not isinstance(item[id_], bool)
        for id_ in ids
    )
