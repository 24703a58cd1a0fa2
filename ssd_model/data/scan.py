"""Make records from a data folder: draw a sample, check images and boxes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from ssd_model.data.annotation import Annotation
from ssd_model.data.faults import DataError, Fault, Note
from ssd_model.data.files import check_regular
from ssd_model.data.picture import Sizes, check_images
from ssd_model.data.records import (
    CLIPPED,
    EMPTY,
    TURNED,
    TWICE,
    Record,
    Split,
    drawn_upright,
    is_far_out,
    make_record,
)
from ssd_model.data.sample import draw_sample
from ssd_model.data.source import BACKGROUND, SPLITS, Entry, Source
from ssd_model.data.text import fold, listed

MOST_EMPTY = 0.5
"""Share of a split's boxes that may be empty: if there are more, they are not stray clicks."""

MOST_OUTSIDE, FEW = 0.25, 20
"""Share of a split's boxes that may reach far beyond the edge: if there are more, the boxes have
another format. Of fewer than FEW boxes, MOST_EMPTY may."""


@dataclass
class _Read:
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


def scan(
    source: Source, splits: Iterable[str], limit: int | None, seed: int, faults: list[Fault]
) -> dict[str, Split]:
    """Return the requested splits without what is faulty, and add all faults to `faults`.

    Args:
        limit: maximum number of images of each split, drawn with `seed` (see `draw_sample`).
    """
    asked = {name: source.splits[name] for name in splits}
    read = _Read()
    _read_annotations(source, source.splits if source.classes is None else asked, read)
    classes = source.classes
    if classes is None:
        classes = _collect_classes(read.annotations, faults)
    chosen = {
        name: _draw(entries, read, limit, [seed, SPLITS.index(name)])
        for name, entries in asked.items()
    }
    union = _union(chosen)
    for entry, whats in read.wrong.items():
        # A file that is read only for its class names need only be readable.
        if entry in union or entry not in read.annotations:
            faults.extend(Fault(entry.told, what) for what in whats)
    sizes = _open_images(union, read, faults)
    for entries in chosen.values():
        of_split = {entry: sizes[entry] for entry in entries if entry in sizes}
        _make_records(of_split, source.validation, classes, read, faults)
    found = {}
    for name, entries in chosen.items():
        notes = [*source.notes[name], *_judge(source.root, name, entries, read, faults)]
        if name == "test":
            notes += _find_shared(source, entries)
        records = [read.records[entry] for entry in entries if entry in read.records]
        found[name] = Split(name, classes, records, tuple(notes))
    if not faults:
        found = {name: _check_objects(source.root, split, faults) for name, split in found.items()}
    return found


def _union(splits: dict[str, list[Entry]]) -> dict[Entry, None]:
    return {entry: None for entries in splits.values() for entry in entries}


def _progress(items: Iterable, what: str, total: int | None = None) -> tqdm:
    # disable=None: no bar if stderr is not a terminal
    return tqdm(items, desc=f"reading {what}", total=total, leave=False, disable=None)


def _read_annotations(source: Source, pool: dict[str, list[Entry]], read: _Read) -> None:
    for entry in _progress(_union(pool), "annotations"):
        annotation, read.wrong[entry] = source.read(entry)
        if annotation is not None:
            read.annotations[entry] = annotation


def _collect_classes(annotations: dict[Entry, Annotation], faults: list[Fault]) -> tuple[str, ...]:
    for entry, annotation in annotations.items():
        if BACKGROUND in annotation.names:
            what = f"an object is named {BACKGROUND!r}, kept for label 0; rename it"
            faults.append(Fault(entry.annotation, what))
    return tuple(sorted(frozenset().union(*(a.names for a in annotations.values()))))


def _draw(entries: list[Entry], read: _Read, limit: int | None, seed: list[int]) -> list[Entry]:
    """Draw a sample with all classes that have an object that is not difficult and not empty."""

    def demanded(entry: Entry) -> set[str]:
        objects = read.annotations[entry].objects if entry in read.annotations else ()
        return {
            found.name
            for found in objects
            if not found.difficult
            and found.corners[0] != found.corners[2]
            and found.corners[1] != found.corners[3]
        }

    return draw_sample(entries, [demanded(entry) for entry in entries], limit, seed)


def _open_images(
    entries: dict[Entry, None], read: _Read, faults: list[Fault]
) -> dict[Entry, Sizes]:
    """Return the sizes of the images that can be read and have annotations."""
    faults.extend(entry.fault for entry in entries if entry.fault)
    present = [entry for entry in entries if entry.image]
    checked = check_images([entry.image for entry in present])
    sizes = {}
    for entry, (found, heard) in zip(
        present, _progress(checked, "images", len(present)), strict=True
    ):
        read.heard[entry] = heard
        if isinstance(found, Fault):
            faults.append(found)
        elif entry in read.annotations:
            sizes[entry] = found
    return sizes


def _make_records(
    sizes: dict[Entry, Sizes],
    validation: set[Entry],
    classes: tuple[str, ...],
    read: _Read,
    faults: list[Fault],
) -> None:
    """Make the records of a split."""
    labels = {name: label for label, name in enumerate(classes, 1)}
    ways = {entry: drawn_upright(sizes[entry], read.annotations[entry]) for entry in sizes}
    told = {*ways.values()} - {None}
    for entry, way in ways.items():
        annotation = read.annotations[entry]
        # Where its size does not tell, as after half a turn, the other images do.
        upright = told != {False} if way is None else way
        if way is None and sizes[entry].turned and annotation.objects and len(told) != 1:
            read.unclear.add(entry)
        args = entry.image, sizes[entry], upright, annotation, labels
        record, wrong, read.odd[entry] = make_record(*args)
        read.records[entry] = replace(record, validation=entry in validation)
        faults.extend(Fault(entry.told, what) for what in wrong)


def _judge(
    root: Path, name: str, entries: list[Entry], read: _Read, faults: list[Fault]
) -> list[Note]:
    """Make notes of odd boxes and warnings; too many odd or outlying boxes are faults."""
    made = [entry for entry in entries if entry in read.records]
    total = sum(len(read.annotations[entry].objects) for entry in made)
    odd = {
        kind: [(entry.told, what) for entry in made for what in read.odd[entry][kind]]
        for kind in (EMPTY, TURNED, CLIPPED, TWICE)
    }
    wrong = odd[EMPTY] + odd[TURNED]
    if len(wrong) > MOST_EMPTY * total:
        faults.extend(Fault(path, what) for path, what in wrong)
        what = (
            f"{len(wrong):,} of the {total:,} boxes of {name} are empty or turned inside out: "
            "check how their corners are written"
        )
        faults.append(Fault(root, what))
    what = "are parts of the image, 0 to 1; VOC and COCO have pixels: multiply by the size"
    parts = [entry for entry in made if _are_parts(entry, read)]
    if parts and len(parts) == sum(bool(read.annotations[entry].objects) for entry in made):
        faults.append(Fault(root, f"all boxes of {name} {what}"))
    else:
        faults.extend(Fault(entry.told, f"its boxes {what}") for entry in parts)
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
    notes = [
        Note(path, what, f"boxes of {name} {kind}: {{}} of {total:,}")
        for kind, found in odd.items()
        for path, what in found
    ]
    what = "is turned by EXIF, and nothing shows which way up its boxes were drawn; see if they fit"
    so = "read upright, though nothing shows that their boxes were drawn so"
    kind = f"images of {name} that EXIF turns, {so}: {{}}"
    notes += [Note(entry.image, what, kind) for entry in made if entry in read.unclear]
    kind = f"images of {name} read despite a warning: {{}}"
    return notes + [
        Note(entry.image, what, kind) for entry in made for what in read.heard[entry][:1]
    ]


def _are_parts(entry: Entry, read: _Read) -> bool:
    """Whether all corners on an image are at most 1, not all whole, and the image is larger."""
    record = read.records[entry]
    corners = [corner for found in read.annotations[entry].objects for corner in found.corners]
    fractions = any(corner % 1 for corner in corners)
    return fractions and max(corners) <= 1 < max(record.width, record.height)


def _find_shared(source: Source, entries: list[Entry]) -> list[Note]:
    """Make notes of test images that are also in trainval, by path or byte for byte."""
    trained, tested = (
        {entry.image: _size(entry.image) for entry in split if entry.image}
        for split in (source.splits["trainval"], entries)
    )
    sizes = {*trained.values()} & {*tested.values()} - {None}
    digests = {_digest(path): path for path, size in trained.items() if size in sizes}
    kind = "images to test on that are also trained on, which flatters the mAP: {}"
    notes = []
    for path, size in tested.items():
        same = path if path in trained else None
        if not same and size in sizes:
            same = digests.get(_digest(path))
        if same:
            notes.append(Note(path, f"is in both splits, in trainval as {same.name}", kind))
    return notes


def _size(path: Path) -> int | None:
    """The bytes of a file; None if it cannot be read, which is told when it is opened."""
    try:
        return check_regular(path)
    except (OSError, DataError):
        return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_objects(root: Path, split: Split, faults: list[Fault]) -> Split:
    """Make notes of classes without objects, and of classes that may be one and the same."""
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
    if absent:
        what = f"no object of {split.name} is of class {listed(absent, 10)}"
        notes.append(Note(root, f"{what}: {so}"))
    alike: dict[str, list[str]] = {}
    for name in split.classes:
        alike.setdefault(fold(name), []).append(name)
    for names in alike.values():
        if len(names) > 1 and split.name == "trainval":
            what = f"{' and '.join(names)} look alike and are classes of their own; rename one?"
            notes.append(Note(root, what))
    return replace(split, notes=(*split.notes, *notes))
