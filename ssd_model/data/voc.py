"""Reads a Pascal VOC folder into records and collects its faults."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ssd_model.data.annotation import Annotation, VocObject, read_annotation
from ssd_model.data.faults import DataError, Fault
from ssd_model.data.layout import (
    BACKGROUND,
    Entry,
    ImageFinder,
    find_folders,
    list_entries,
    read_label_list,
)
from ssd_model.data.picture import check_image, open_image

__all__ = ["SPLITS", "DataError", "Fault", "Record", "Split", "find_faults", "read_voc", "scan_voc"]

SPLITS = ("trainval", "test")
THREADS = 4  # Pillow decodes outside Python's lock
SHOWN_FAULTS = 10

Sizes = tuple[tuple[int, int], tuple[int, int]]
"""(width, height) of an image in pixels: upright, and as stored."""


@dataclass(frozen=True, eq=False)
class Record:
    """One image with its ground truth.

    width, height: pixels.
    upright: whether its EXIF orientation is applied, as the annotation's size tells.
    boxes: float32 [G, 4], xmin, ymin, xmax, ymax as parts of width and height, 0..1.
    labels: int64 [G], from 1 (0 is background).
    difficult: bool [G].
    """

    image: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    upright: bool = True

    def open(self) -> Image.Image:
        """The image as its boxes see it, RGB."""
        return open_image(self.image, self.upright)


@dataclass(frozen=True)
class Split:
    """The records of "trainval" or "test"; `classes` is without background."""

    name: str
    classes: tuple[str, ...]
    records: list[Record]


def read_voc(data_dir: str | Path, split: str, limit: int | None = None) -> Split:
    """Read one split, "trainval" or "test", of a VOC folder or a VOCdevkit.

    The classes are those of `data_dir`/label_list, or else all names in the annotations of
    both splits, sorted: so they do not depend on `limit`, which keeps the first ids only.
    Boxes are divided by the image size with no shift of a pixel, as the reader of the
    original (PaddleCV/ssd) does, and clipped to the image.

    Raises DataError with the first faults if the folder has any in this split.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, want one of {', '.join(SPLITS)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}, want at least 1")
    splits, faults = scan_voc(data_dir, (split,), limit)
    if faults:
        raise DataError(_describe(data_dir, faults))
    return splits[split]


def find_faults(data_dir: str | Path) -> list[Fault]:
    """Return all faults of both splits."""
    return scan_voc(data_dir)[1]


def scan_voc(
    data_dir: str | Path, splits: Iterable[str] = SPLITS, limit: int | None = None
) -> tuple[dict[str, Split], list[Fault]]:
    """Return the asked splits, less what is faulty, and all their faults."""
    try:
        return _scan(Path(data_dir), splits, limit)
    except OSError as error:
        # A folder that may not be listed, a path too long for the file system
        return {}, [Fault(Path(error.filename or data_dir), f"cannot be read ({error.strerror})")]


def _scan(
    root: Path, splits: Iterable[str], limit: int | None
) -> tuple[dict[str, Split], list[Fault]]:
    faults: list[Fault] = []
    folders = find_folders(root, faults)
    if faults:
        return {}, faults
    entries = {name: list_entries(root, folders, name, faults) for name in SPLITS}
    asked = {name: entries[name][:limit] for name in splits}
    classes = read_label_list(root, faults)
    pool = entries if classes is None else asked
    annotations = _read_annotations(_union(pool.values()), {*_union(asked.values())}, faults)
    if classes is None:
        classes = _collect_classes(annotations, faults)
    records = _read_records(root, _union(asked.values()), annotations, classes, faults)
    found = {
        name: Split(name, classes, [records[entry] for entry in asked[name] if entry in records])
        for name in asked
    }
    if not faults:
        for split in found.values():
            _check_objects(root, split, faults)
    return found, list(dict.fromkeys(faults))


def _describe(data_dir: str | Path, faults: list[Fault]) -> str:
    lines = [f"{len(faults)} fault{'s' * (len(faults) > 1)} in {data_dir}:"]
    lines += [f"  {fault}" for fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        lines.append(f"  ... and {len(faults) - SHOWN_FAULTS} more")
    lines.append(f"All of them: make check-data DATA_DIR={data_dir}")
    return "\n".join(lines)


def _union(lists: Iterable[list[Entry]]) -> list[Entry]:
    return list({entry: None for entries in lists for entry in entries})


def _read_annotations(
    entries: list[Entry], asked: set[Entry], faults: list[Fault]
) -> dict[Entry, Annotation]:
    annotations = {}
    for entry in _progress(entries, "annotations"):
        annotation, whats = read_annotation(entry.annotation)
        # Of a file read for its class names only, all that matters is that it can be read.
        if entry in asked or annotation is None:
            faults.extend(Fault(entry.annotation, what) for what in whats)
        if annotation is not None:
            annotations[entry] = annotation
    return annotations


def _collect_classes(annotations: dict[Entry, Annotation], faults: list[Fault]) -> tuple[str, ...]:
    for entry, annotation in annotations.items():
        if BACKGROUND in annotation.names:
            what = f"an object is named {BACKGROUND!r}, kept for label 0; rename it"
            faults.append(Fault(entry.annotation, what))
    return tuple(sorted(frozenset().union(*(a.names for a in annotations.values()))))


def _check_objects(root: Path, split: Split, faults: list[Fault]) -> None:
    if not any(len(record.labels) for record in split.records):
        what = f"none of the {len(split.records)} images of {split.name} has an object"
        faults.append(Fault(root, f"{what}; add objects, or raise the limit"))


def _read_records(
    root: Path,
    entries: list[Entry],
    annotations: dict[Entry, Annotation],
    classes: tuple[str, ...],
    faults: list[Fault],
) -> dict[Entry, Record]:
    labels = {name: label for label, name in enumerate(classes, 1)}
    finder = ImageFinder(root)
    images = {entry: finder.find(entry, faults) for entry in entries}
    present = {entry: path for entry, path in images.items() if path is not None}
    records = {}
    for entry, sizes in zip(present, _check_images(list(present.values())), strict=True):
        if isinstance(sizes, Fault):
            faults.append(sizes)
        elif entry in annotations:
            args = entry.annotation, present[entry], sizes, annotations[entry], labels, faults
            records[entry] = _make_record(*args)
    return records


def _check_images(paths: list[Path]) -> Iterator[Sizes | Fault]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield from _progress(pool.map(_check_image, paths), "images", len(paths))


def _check_image(path: Path) -> Sizes | Fault:
    try:
        return check_image(path)
    except DataError as error:
        return Fault(path, str(error).removeprefix(f"{path}: "))


def _progress(items: Iterable, what: str, total: int | None = None) -> tqdm:
    # disable=None: no bar if stderr is not a terminal
    return tqdm(items, desc=f"reading {what}", total=total, leave=False, disable=None)


def _make_record(
    source: Path,
    image: Path,
    sizes: Sizes,
    annotation: Annotation,
    labels: dict[str, int],
    faults: list[Fault],
) -> Record:
    upright, stored = sizes
    # Some tools annotate what is stored, others what a viewer shows: the size tells which.
    turned = stored != upright and (annotation.width, annotation.height) == stored
    size = stored if turned else upright
    whats = [*_check_size(size, annotation)]
    kept: list[tuple[np.ndarray, int, bool]] = []
    for found in annotation.objects:
        if found.name not in labels:
            whats.append(f"{found}: not a class of label_list; add or correct it")
            continue
        box = _normalise(found, size)
        if (box[2:] <= box[:2]).any():
            whats.append(_describe_box(found, size))
            continue
        kept.append((box, labels[found.name], found.difficult))
    faults.extend(Fault(source, what) for what in whats)
    return Record(
        image,
        *size,
        np.array([box for box, _, _ in kept], np.float32).reshape(-1, 4),
        np.array([label for _, label, _ in kept], np.int64),
        np.array([difficult for _, _, difficult in kept], bool),
        upright=not turned,
    )


def _check_size(size: tuple[int, int], annotation: Annotation) -> Iterator[str]:
    width, height = annotation.width, annotation.height
    # 0 is not given
    if (width and width != size[0]) or (height and height != size[1]):
        yield (
            f"its size is {width:g}x{height:g} but the upright image (EXIF orientation "
            f"applied) is {size[0]}x{size[1]}; correct the size and the boxes"
        )


def _normalise(found: VocObject, size: tuple[int, int]) -> np.ndarray:
    corners = np.array(found.corners).reshape(2, 2)
    return (corners / size).clip(0, 1).astype(np.float32).reshape(4)


def _describe_box(found: VocObject, size: tuple[int, int]) -> str:
    numbers = ", ".join(f"{corner:g}" for corner in found.corners)
    return (
        f"{found}: box {numbers} (xmin, ymin, xmax, ymax) is empty inside the "
        f"{size[0]}x{size[1]} image; correct or remove it"
    )
