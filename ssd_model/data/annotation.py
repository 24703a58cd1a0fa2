"""Reads one Pascal VOC annotation file, with untrusted content in mind."""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ssd_model.data.faults import DataError
from ssd_model.data.files import read_bytes

# 0 and 1 in VOC itself, words in what other tools export
DIFFICULT = {"0": False, "false": False, "unspecified": False, "1": True, "true": True}
MAX_BYTES = 10_000_000
MAX_OBJECTS = 1000  # each is compared with each prior box
LONGEST_NAME = 100  # of a class
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocObject:
    """One <object>: its place in the file (from 1), class name, corners in pixels."""

    number: int
    name: str
    corners: tuple[float, float, float, float]
    difficult: bool

    def __str__(self) -> str:
        return f"object {self.number} ({self.name})"


@dataclass(frozen=True)
class Annotation:
    """A file's content. A size of 0 is not given; `names` has those of faulty objects too."""

    width: float
    height: float
    objects: tuple[VocObject, ...]
    names: frozenset[str]


def read_annotation(path: Path) -> tuple[Annotation | None, list[str]]:
    """Read a VOC XML file.

    Returns the annotation (None if the file cannot be read at all) and what is wrong with it,
    one sentence a fault. DTDs, entities and external references are refused.
    """
    try:
        root = fromstring(read_bytes(path, MAX_BYTES), forbid_dtd=True)
    except FileNotFoundError:
        return None, ["no such annotation file"]
    except DataError as error:
        return None, [str(error)]
    except DefusedXmlException as error:
        return None, [f"DTDs and entities are refused ({error}); remove the DOCTYPE"]
    except OSError as error:
        return None, [f"cannot be read ({error.strerror})"]
    except (ParseError, ValueError, LookupError) as error:
        return None, [f"not well-formed XML ({error})"]
    if root.tag != "annotation":
        return None, [f"the root element is <{shorten(root.tag)}>, want <annotation>"]
    return _read_root(root)


def _read_root(root: Element) -> tuple[Annotation, list[str]]:
    faults: list[str] = []
    width = _read_side(root, "width", faults)
    height = _read_side(root, "height", faults)
    # Direct children only: <part> elements lie deeper and are not objects.
    elements = root.findall("object")
    if len(elements) > MAX_OBJECTS:
        faults.append(
            f"{len(elements)} objects, above the limit of {MAX_OBJECTS}; cut the image up"
        )
        elements = elements[:MAX_OBJECTS]
    objects = [_read_object(i, element, faults) for i, element in enumerate(elements, 1)]
    texts = (_text(element, "name") for element in elements)
    names = frozenset(text for text in texts if text and not why_no_class(text))
    return Annotation(width, height, tuple(filter(None, objects)), names), faults


def _read_side(root: Element, side: str, faults: list[str]) -> float:
    text = _text(root, f"size/{side}")
    number = _number(text) if text else 0.0
    if number is None:
        faults.append(f"size/{side} is {shorten(text)!r}, want a number of pixels")
        return 0.0
    return number


def _read_object(number: int, element: Element, faults: list[str]) -> VocObject | None:
    known = len(faults)
    name = _text(element, "name")
    label = f"object {number} ({name})" if name else f"object {number}"
    if not name:
        faults.append(f"{label}: no <name>")
    elif why := why_no_class(name):
        label = f"object {number}"
        faults.append(f"{label}: its name {shorten(name)!r} {why}")
    difficult = (_text(element, "difficult") or "0").lower()
    if difficult not in DIFFICULT:
        faults.append(f"{label}: difficult is {shorten(difficult)!r}, want 0 or 1")
    corners = _read_corners(label, element, faults)
    if len(faults) > known:
        return None
    return VocObject(number, name, corners, DIFFICULT[difficult])


def _read_corners(label: str, element: Element, faults: list[str]) -> tuple[float, ...]:
    box = element.find("bndbox")
    if box is None:
        faults.append(f"{label}: no <bndbox>")
        return ()
    corners = []
    for corner in CORNERS:
        text = _text(box, corner)
        value = _number(text)
        if value is None:
            faults.append(f"{label}: {corner} is {shorten(text)!r}, want a finite number of pixels")
        else:
            corners.append(value)
    return tuple(corners)


def why_no_class(name: str) -> str | None:
    """What keeps a text from being the name of a class; None if it can be one."""
    if len(name) > LONGEST_NAME:
        return f"has {len(name)} characters; the limit is {LONGEST_NAME}"
    if not name.isprintable():
        return "has characters that can't be shown; write it without"
    return None


def shorten(text: str) -> str:
    """A text from a file, short enough for a message."""
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."


def _text(element: Element, tag: str) -> str:
    """The stripped text of a child, '' if there is none."""
    return (element.findtext(tag) or "").strip()


def _number(text: str) -> float | None:
    """The finite number that `text` holds, else None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
