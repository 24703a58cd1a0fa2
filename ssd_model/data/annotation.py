"""Read one Pascal VOC annotation file, whose content is not trusted."""

import codecs
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ssd_model.data.faults import DataError
from ssd_model.data.files import read_bytes
from ssd_model.data.text import class_name, shorten, why_no_class

# VOC itself has 0 and 1; other tools export words.
DIFFICULT = dict.fromkeys(("0", "false", "no", "unspecified"), False)
DIFFICULT |= dict.fromkeys(("1", "true", "yes"), True)
MAX_BYTES = 10_000_000
MAX_OBJECTS = 1000  # each is compared with each prior box
DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)")
# What decodes a file, by the encoding that it declares, where expat cannot: because it lacks that
# encoding, or because .NET has declared the one of its strings, UTF-16, and written UTF-8. As in
# browsers, these are supersets: tools declare gb2312 and write GBK.
DECODERS = {
    **dict.fromkeys(("utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be"), "utf-8"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030"), "gb18030"),
    **dict.fromkeys(("big5", "cp950"), "cp950"),
    **dict.fromkeys(("shift_jis", "cp932"), "cp932"),
    "euc_jp": "euc_jp",
    **dict.fromkeys(("euc_kr", "cp949"), "cp949"),
}
CORNERS = ("xmin", "ymin", "xmax", "ymax")
# What tools write for an object that is not an upright box
SHAPES = ("robndbox", "rotated_bndbox", "polygon", "points", "segm", "segmentation", "cuboid")


@dataclass(frozen=True)
class AnnotatedObject:
    """One object: its place in the file, its class name, its corners in pixels."""

    place: str
    name: str
    corners: tuple[float, float, float, float]
    difficult: bool

    def __str__(self) -> str:
        return f"{self.place} ({self.name})"

    @property
    def is_turned(self) -> bool:
        """Whether it was drawn from the right or from below, and its corners are so written."""
        return self.corners[0] > self.corners[2] or self.corners[1] > self.corners[3]


@dataclass(frozen=True)
class Annotation:
    """What is on one image. A size of 0 means none; `names` includes those of faulty objects."""

    width: float
    height: float
    objects: tuple[AnnotatedObject, ...]
    names: frozenset[str]


def read_annotation(path: Path) -> tuple[Annotation | None, list[str]]:
    """Read a VOC XML file, its tags in any case and namespace.

    Returns the annotation (None if the file cannot be read at all) and a sentence for each fault.
    DTDs, entities and external references are refused.
    """
    try:
        root = fromstring(_decode(read_bytes(path, MAX_BYTES)), forbid_dtd=True)
    except FileNotFoundError:
        return None, ["no such annotation file; write one, or take the image off its list"]
    except DataError as error:
        return None, [str(error)]
    except DefusedXmlException as error:
        return None, [f"DTDs and entities are refused ({error}); remove the DOCTYPE"]
    except OSError as error:
        return None, [f"cannot be read ({error.strerror})"]
    except (ParseError, ValueError, LookupError) as error:
        return None, [f"not well-formed XML ({error}); save it as UTF-8 or export it again"]
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2].lower()
    if root.tag != "annotation":
        return None, [f"the root element is <{shorten(root.tag)}>, want <annotation>"]
    return _read_root(root)


def _decode(content: bytes) -> bytes | str:
    """Decode what expat cannot; a byte order mark counts more than what the file declares.

    A declaration that can be read byte by byte is not in UTF-16.
    """
    if content.startswith(codecs.BOM_UTF8):
        return content.decode("utf-8-sig")
    declared = DECLARED.match(content)
    encoding = DECODERS.get(codecs.lookup(declared[1].decode()).name) if declared else None
    return content.decode(encoding) if encoding else content


def _read_root(root: Element) -> tuple[Annotation, list[str]]:
    faults = [*dict.fromkeys(_misplaced(root))]
    size = _only(root, "size", "the file", faults)
    width, height = (_read_side(size, side, faults) for side in ("width", "height"))
    elements = root.findall("object")
    if len(elements) > MAX_OBJECTS:
        faults.append(too_many(len(elements)))
        elements = elements[:MAX_OBJECTS]
    objects = [
        _read_object(i, element, faults)
        for i, element in enumerate(elements, 1)
        # Some tools write <object/> where there is nothing.
        if len(element) or _text(element) or element.attrib
    ]
    texts = (class_name(element.findtext("name") or "") for element in elements)
    names = frozenset(text for text in texts if text and not why_no_class(text))
    return Annotation(width, height, tuple(filter(None, objects)), names), faults


def too_many(count: int) -> str:
    """Describe the fault of an image with too many objects."""
    return f"{count} objects, above the limit of {MAX_OBJECTS}; cut the image up"


def _misplaced(root: Element) -> Iterator[str]:
    """Report objects and boxes that would not be read where they are. A <part> may have a box."""
    for parent in root.iter():
        for child in parent:
            where = f"inside <{shorten(parent.tag)}>"
            if child.tag == "object" and parent is not root:
                yield f"an <object> {where}; want it directly in <annotation>"
            if child.tag == "bndbox" and parent.tag not in ("object", "part"):
                yield f"a <bndbox> {where}; want it directly in <object>"
            if child.tag == "xmin" and parent.tag not in ("bndbox", "part"):
                yield f"an <xmin> {where}; want it in the <bndbox> of an <object>"


def _only(parent: Element | None, tag: str, label: str, faults: list[str]) -> Element | None:
    """The only child with this tag, None if there is none; several are a fault."""
    children = [] if parent is None else parent.findall(tag)
    if len(children) > 1:
        faults.append(f"{label}: {len(children)} <{tag}>, want one; split or correct it")
    return children[0] if children else None


def _read_side(size: Element | None, side: str, faults: list[str]) -> float:
    text = _text(_only(size, side, "size", faults))
    value = number(text) if text else 0.0
    if value is None:
        faults.append(f"size/{side} is {shorten(text)!r}, want a number of pixels")
        return 0.0
    return value


def _read_object(count: int, element: Element, faults: list[str]) -> AnnotatedObject | None:
    known = len(faults)
    place = f"object {count}"
    name = class_name(_text(_only(element, "name", place, faults)))
    label = f"{place} ({name})" if name else place
    if not name:
        faults.append(f"{label}: no <name>")
    elif why := why_no_class(name):
        label = place
        faults.append(f"{label}: its name {shorten(name)!r} {why}")
    difficult = (_text(_only(element, "difficult", label, faults)) or "0").lower()
    if difficult not in DIFFICULT:
        faults.append(f"{label}: difficult is {shorten(difficult)!r}, want 0 or 1")
    corners = _read_corners(label, element, faults)
    if turn := next(filter(number, _turns(element)), None):
        faults.append(f"{label}: rotated by {shorten(turn)} degrees; export upright boxes")
    if len(faults) > known:
        return None
    return AnnotatedObject(place, name, corners, DIFFICULT[difficult])


def _turns(element: Element) -> Iterator[str]:
    """The rotations that are given with an object, as CVAT and others write them."""
    for path in ("rotation", "angle", "bndbox/rotation", "bndbox/angle"):
        yield from map(_text, element.iterfind(path))
    for each in element.iterfind("attributes/attribute"):
        if _text(each.find("name")) == "rotation":
            yield _text(each.find("value"))


def _read_corners(label: str, element: Element, faults: list[str]) -> tuple[float, ...]:
    box = _only(element, "bndbox", label, faults)
    if box is None:
        shape = next((tag for tag in SHAPES if element.find(tag) is not None), None)
        what = (
            f"but a <{shape}>; export upright boxes"
            if shape
            else "; draw one, or remove the object"
        )
        faults.append(f"{label}: no <bndbox>{', ' * bool(shape)}{what}")
        return ()
    corners = []
    for corner in CORNERS:
        text = _text(_only(box, corner, label, faults))
        value = number(text)
        if value is None:
            faults.append(f"{label}: {corner} is {shorten(text)!r}, want a finite number of pixels")
        else:
            corners.append(value)
    return tuple(corners)


def _text(element: Element | None) -> str:
    """The stripped text of an element, '' if there is none."""
    return (element.text or "").strip() if element is not None else ""


def number(text: str) -> float | None:
    """Read a finite number from a text; None if it holds none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
