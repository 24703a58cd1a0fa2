"""Read the annotations of a COCO file."""

from typing import Any

from pycocotools.coco import COCO

from ssd_model.data.annotation import DIFFICULT, AnnotatedObject, number
from ssd_model.data.text import class_name, shorten

KEYS = ("iscrowd", "ignore", "difficult")
"""Keys that mark an object as difficult: it counts as neither missed nor found."""


def read_object(coco: COCO, found: dict[str, Any], faults: list[str]) -> AnnotatedObject | None:
    """Make an object of an annotation; None, and a sentence for each fault, if it has any."""
    category = coco.cats.get(found["category_id"])
    place = f"annotation {shorten(repr(found['id']))}"
    label = f"{place} ({class_name(category['name'])})" if category else place
    known = len(faults)
    if not category:
        faults.append(f"{label}: no category has the id {found['category_id']!r}")
    box = found.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        what = "no bbox of" if box is None else f"bbox is {shorten(repr(box))}, want"
        what += " four finite numbers (x, y, width, height)"
        also = ", but a segmentation; export boxes, too" if found.get("segmentation") else ""
        faults.append(f"{label}: {what}{also}")
    for degrees in (found.get("rotation"), _attributes(found).get("rotation")):
        if number(str(degrees)):
            what = f"rotated by {shorten(str(degrees))} degrees; export upright boxes"
            faults.append(f"{label}: {what}")
    for key, value in _flags(found).items():
        if _is_set(value) is None:
            faults.append(f"{label}: {key} is {shorten(repr(value))}, want 0 or 1")
    if len(faults) > known:
        return None
    x, y, width, height = map(float, box)
    corners = (x, y, x + width, y + height)
    return AnnotatedObject(place, class_name(category["name"]), corners, is_difficult(found))


def is_difficult(found: dict[str, Any]) -> bool:
    """Whether an annotation marks its object as one that need not be found."""
    return any(map(_is_set, _flags(found).values()))


def _attributes(found: dict[str, Any]) -> dict[str, Any]:
    """What CVAT and Datumaro add to an annotation."""
    attributes = found.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _flags(found: dict[str, Any]) -> dict[str, Any]:
    flags = {key: found.get(key) for key in KEYS}
    return flags | {"attributes.difficult": _attributes(found).get("difficult")}


def _is_set(value: object) -> bool | None:
    """Whether the value of a flag sets it; None if it is no such value."""
    return bool(value) and (value == 1 or DIFFICULT.get(str(value).lower()))


def is_number(value: object) -> bool:
    """Whether a value in JSON is a number, finite and not beyond reason."""
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and abs(value) < 1e9  # false for nan and infinity
