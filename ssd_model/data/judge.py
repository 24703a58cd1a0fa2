"""Judge what was read of a split: which oddities are borne, and which make it useless."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

from ssd_model.data.annotation import Annotation
from ssd_model.data.faults import Fault, Note
from ssd_model.data.records import (
    CLIPPED,
    EMPTY,
    FAR,
    TURNED,
    TWICE,
    Record,
    Split,
    is_far_out,
)
from ssd_model.data.source import Entry
from ssd_model.data.text import counted, escape_unseen, listed, look

MOST_EMPTY = 0.5
"""Share of a split's boxes that may be empty: if there are more, they are not stray clicks."""

MOST_OUTSIDE, FEW = 0.25, 20
"""Share of a split's boxes that may reach far beyond the edge: if there are more, the boxes have
another format. Of fewer than FEW boxes, MOST_EMPTY may."""


@dataclass
class Read:
    """What was read, by entry."""

    annotations: dict[Entry, Annotation] = field(default_factory=dict)
    wrong: dict[Entry, list[str]] = field(default_factory=dict)
    """Faults of the annotations, which cannot be used."""
    records: dict[Entry, Record] = field(default_factory=dict)
    odd: dict[Entry, dict[str, list[str]]] = field(default_factory=dict)
    """Boxes that are borne, by what happens to them."""
    heard: dict[Entry, list[str]] = field(default_factory=dict)
    """Warnings of the images."""
    unclear: set[Entry] = field(default_factory=set)
    """Images whose boxes were perhaps drawn on another way up than the one they are read in."""


def judge_boxes(root: Path, name: str, entries: list[Entry], read: Read) -> list[Fault]:
    """Return faults if so many boxes are odd or far out that they are no stray clicks."""
    made = [entry for entry in entries if entry in read.records]
    total = sum(len(read.annotations[entry].objects) for entry in made)
    faults = []
    wrong = [
        Fault(entry.told, what)
        for kind in (EMPTY, TURNED)
        for entry in made
        for what in read.odd[entry][kind]
    ]
    if len(wrong) > MOST_EMPTY * total:
        what = (
            f"{len(wrong):,} of the {total:,} boxes of {name} are empty or turned inside out: "
            "check how their corners are written"
        )
        faults += [Fault(root, what), *wrong]
    far = sum(
        is_far_out(found, (read.records[entry].width, read.records[entry].height))
        for entry in made
        for found in read.annotations[entry].objects
    )
    if far > (MOST_OUTSIDE if total >= FEW else MOST_EMPTY) * total:
        what = (
            f"{far:,} of the {total:,} boxes of {name} reach far beyond the edge of their "
            "image: VOC has two corners in pixels, COCO x, y, width and height; correct them"
        )
        faults.append(Fault(root, what))
    return faults


def find_parts_of_images(root: Path, name: str, entries: list[Entry], read: Read) -> list[Fault]:
    """Return faults of boxes that are parts of their image, from 0 to 1, where pixels are due."""
    made = [entry for entry in entries if entry in read.records]
    parts = [entry for entry in made if _are_parts(entry, read)]
    what = "are parts of the image, 0 to 1; VOC and COCO have pixels: multiply by the size"
    if parts and len(parts) == sum(bool(read.annotations[entry].objects) for entry in made):
        return [Fault(root, f"all boxes of {name} {what}")]
    return [Fault(entry.told, f"its boxes {what}") for entry in parts]


def note_odd(name: str, entries: list[Entry], read: Read) -> list[Note]:
    """Make notes of the odd boxes and the warnings that are borne."""
    made = [entry for entry in entries if entry in read.records]
    total = sum(len(read.annotations[entry].objects) for entry in made)
    notes = [
        Note(entry.told, what, f"boxes of {name} {kind}: {{}} of {total:,}")
        for kind in (EMPTY, TURNED, CLIPPED, TWICE)
        for entry in made
        for what in read.odd[entry][kind]
    ]
    what = "is turned by EXIF, and nothing shows which way up its boxes were drawn; see if they fit"
    so = "read upright, though nothing shows that their boxes were drawn so"
    kind = f"images of {name} that EXIF turns, {so}: {{}}"
    notes += [Note(entry.image, what, kind) for entry in made if entry in read.unclear]
    kind = f"images of {name} read despite a warning: {{}}"
    return notes + [
        Note(entry.image, what, kind) for entry in made for what in read.heard[entry][:1]
    ]


def _are_parts(entry: Entry, read: Read) -> bool:
    """Whether all corners on an image are about 1 at most, not all whole, and it is larger."""
    record = read.records[entry]
    corners = [corner for found in read.annotations[entry].objects for corner in found.corners]
    fractions = any(corner % 1 for corner in corners)
    return fractions and max(corners) <= 1 + FAR < max(record.width, record.height)


def check_objects(
    root: Path, split: Split, elsewhere: Collection[str], faults: list[Fault]
) -> Split:
    """Make notes of classes without objects, and of classes that may be one and the same.

    Args:
        elsewhere: the classes that have objects in images that were not drawn for the split.
    """
    # Difficult objects are trained on as all others, but not measured.
    found = {
        label
        for record in split.records
        for label, difficult in zip(record.labels.tolist(), record.difficult, strict=True)
        if split.name == "trainval" or not difficult
    }
    if not found:
        what = f"no image of {split.name} has an object; add objects"
        if count := sum(len(record.labels) for record in split.records):
            what = (
                f"all objects of {split.name} ({count:,}) are difficult or crowds, which do not "
                "count when mAP is measured; set difficult or iscrowd to 0 (CVAT writes iscrowd 1 "
                "for every mask)"
            )
        faults.append(Fault(root, what))
        return split
    absent = [name for label, name in enumerate(split.classes, 1) if label not in found]
    so = {"trainval": "cannot be learned", "test": "not measured, left out of the mAP"}[split.name]
    notes = []
    drawn = f"the {counted(len(split.records), 'image')} drawn from {split.name}"
    for where, names in (
        (split.name, [name for name in absent if name not in elsewhere]),
        (drawn, [name for name in absent if name in elsewhere]),
    ):
        if names:
            what = f"no object of {where} is of class {listed(names, 10)}"
            notes.append(Note(root, f"{what}: {so}"))
    alike: dict[str, list[str]] = {}
    for name in split.classes:
        alike.setdefault(look(name), []).append(name)
    for names in alike.values():
        if len(names) > 1 and split.name == "trainval":
            shown = " and ".join(map(escape_unseen, names))
            what = f"{shown} look alike and are classes of their own; rename one?"
            notes.append(Note(root, what))
    return replace(split, notes=(*split.notes, *notes))
