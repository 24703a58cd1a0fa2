"""The records of a data folder: images with their ground truth, by split."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ssd_model.data.annotation import AnnotatedObject, Annotation
from ssd_model.data.faults import Note
from ssd_model.data.picture import Sizes, open_image

EMPTY = "left out, empty or outside the image"
TURNED = "read upright, though their corners are the wrong way round"
CLIPPED = "clipped at the edge of their image, though they reach far beyond it"
TWICE = "left out, since their image has the same box again"
"""What happens to boxes that are odd."""

NO_SIZE = frozenset((0, -1))
"""Widths and heights that mean that no size is given; the -1 is VIA's."""

FAR = 0.1
"""Share of an image's side that a box may reach beyond the edge."""


@dataclass(frozen=True, eq=False)
class Record:
    """One image with its ground truth.

    width, height: pixels.
    upright: whether to apply its EXIF orientation (see `drawn_upright`).
    boxes: float32 [G, 4], xmin, ymin, xmax, ymax as parts of width and height, 0..1.
    labels: int64 [G], from 1 (0 is background).
    difficult: bool [G].
    validation: whether it is in the folder's own val set, if there is also a test set.
    """

    image: Path
    width: int
    height: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    upright: bool = True
    validation: bool = False

    def open(self, largest: int | None = None) -> Image.Image:
        """Open the image, in RGB and turned to fit its boxes; for `largest` see `open_image`."""
        return open_image(self.image, self.upright, largest)


@dataclass(frozen=True)
class Split:
    """The records of "trainval" or "test"; `classes` does not include the background.

    notes: what was tolerated in these records, and how the split came about.
    """

    name: str
    classes: tuple[str, ...]
    records: list[Record]
    notes: tuple[Note, ...] = ()


def drawn_upright(sizes: Sizes, annotation: Annotation) -> bool | None:
    """Whether the boxes were drawn on the upright image, as a viewer shows it, or as stored.

    The annotation's size decides; without one, boxes that fit only one of the two do, to a pixel or
    else roughly. None if neither settles it.
    """
    if not sizes.turned or sizes.upright == sizes.stored:
        return None
    given = annotation.width, annotation.height
    if given in sizes[:2]:
        return given == sizes.upright
    if not NO_SIZE.issuperset(given):
        return None
    for share in (1 / min(sizes.stored), FAR):
        upright, stored = (
            not any(is_far_out(found, size, share) for found in annotation.objects)
            for size in sizes[:2]
        )
        if upright != stored:
            return upright
    return None


def make_record(
    image: Path, sizes: Sizes, upright: bool, annotation: Annotation, labels: Mapping[str, int]
) -> tuple[Record, list[str], dict[str, list[str]]]:
    """Return the record of an image, the faults of its objects, and its odd boxes by kind.

    Boxes are divided by the image size without a shift by one pixel, as in the original's reader
    (PaddleCV/ssd), and clipped to the image.

    Args:
        upright: whether the boxes were drawn on the upright image.
        labels: the labels, by class name.
    """
    size = sizes.upright if upright else sizes.stored
    faults = [*_check_size(sizes, size, annotation)]
    odd: dict[str, list[str]] = {EMPTY: [], TURNED: [], CLIPPED: [], TWICE: []}
    kept: dict[tuple[str, bytes], tuple[np.ndarray, int, bool]] = {}
    for found in annotation.objects:
        box = _normalise(found, size)
        same = found.name, box.tobytes()
        if found.name not in labels:
            faults.append(f"{found}: not a class of label_list; add or correct it")
        elif (box[2:] <= box[:2]).any():
            what = f"is empty inside the {size[0]}x{size[1]} image; correct or remove it"
            odd[EMPTY].append(f"{_describe_box(found)} {what}")
        elif same in kept:  # it could never be found: one detection finds one object
            odd[TWICE].append(f"{_describe_box(found)} is there twice; remove one")
            # It counts, if either of them does.
            kept[same] = (*kept[same][:2], kept[same][2] and found.difficult)
        else:
            kept[same] = box, labels[found.name], found.difficult
            if found.is_turned:
                odd[TURNED].append(f"{_describe_box(found)} is turned inside out")
            if is_far_out(found, size):
                what = f"reaches far beyond the {size[0]}x{size[1]} image; see if it fits"
                odd[CLIPPED].append(f"{_describe_box(found)} {what}")
    record = Record(
        image,
        *size,
        np.array([box for box, _, _ in kept.values()], np.float32).reshape(-1, 4),
        np.array([label for _, label, _ in kept.values()], np.int64),
        np.array([difficult for _, _, difficult in kept.values()], bool),
        upright=upright,
    )
    return record, faults, odd


def is_far_out(found: AnnotatedObject, size: tuple[int, int], share: float = FAR) -> bool:
    """Whether a box reaches beyond the edge by more than this share of a side."""
    corners = np.array(found.corners).reshape(2, 2) / size
    return bool((corners < -share).any() or (corners > 1 + share).any())


def _check_size(sizes: Sizes, size: tuple[int, int], annotation: Annotation) -> Iterator[str]:
    width, height = annotation.width, annotation.height
    if width not in {*NO_SIZE, size[0]} or height not in {*NO_SIZE, size[1]}:
        found = f"{sizes.upright[0]}x{sizes.upright[1]}"
        if sizes.stored != sizes.upright:
            found += f" upright, {sizes.stored[0]}x{sizes.stored[1]} as stored"
        yield (
            f"its size is {width:g}x{height:g} but the image is {found}; "
            "correct the size and the boxes"
        )


def _normalise(found: AnnotatedObject, size: tuple[int, int]) -> np.ndarray:
    corners = np.sort(np.array(found.corners).reshape(2, 2), axis=0)
    return (corners / size).clip(0, 1).astype(np.float32).reshape(4)


def _describe_box(found: AnnotatedObject) -> str:
    numbers = ", ".join(f"{corner:g}" for corner in found.corners)
    return f"{found}: box {numbers} (xmin, ymin, xmax, ymax)"
