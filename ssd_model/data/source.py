"""What VOC and COCO folders have in common, and which sets are for training and for testing."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, Protocol

from ssd_model.data.annotation import Annotation
from ssd_model.data.faults import Fault, Note
from ssd_model.data.text import listed

SPLITS = ("trainval", "test")
BACKGROUND = "background"
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".webp")  # of images
OTHER_SUFFIXES = (".gif", ".tif", ".tiff", ".ppm", ".avif", ".heic", ".heif")
ALL_SUFFIXES = (*SUFFIXES, *OTHER_SUFFIXES)
NOT_READ = "is not a JPEG, PNG, BMP or WebP image; convert it"
SPELLINGS = {
    "trainval": ("trainval", "train_val", "train-val"),
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""The names that tools use for each set."""
FOR_DATA = {"annotations", "coco", "data", "dataset", "images", "imgs", "set", "voc", "zip"}
"""Words that the name of a set's folder may have besides that of the set."""
APART = ({"train", "val"}, {"train", "test"}, {"val", "test"}, {"trainval", "test"})
"""Sets that have no image in common."""


@dataclass(frozen=True)
class Entry:
    """One image of a split, and the file that says what is on it."""

    image: Path | None  # if None, `fault` says why
    annotation: Path
    id: int | str | None = None  # of the image in a COCO file
    source: Path | None = field(default=None, compare=False)  # the list that names it
    fault: Fault | None = field(default=None, compare=False)

    @property
    def told(self) -> Path:
        """The file to name in messages: the image for COCO, whose file has too many images."""
        return self.image if self.id is not None and self.image else self.annotation


class Source(Protocol):
    """A data folder before its images are opened."""

    root: Path
    splits: dict[str, list[Entry]]
    """The entries of each of SPLITS, in the order of the folder's lists, each once."""
    classes: tuple[str, ...] | None
    """Classes in the order of their labels; None for all names in the annotations, sorted."""
    validation: set[Entry]
    """Entries of trainval that are in the folder's own val set, if there is also a test set."""
    notes: dict[str, list[Note]]
    """Notes by split."""

    def read(self, entry: Entry) -> tuple[Annotation | None, list[str]]:
        """Read what is on an image, and its faults; see `read_annotation`."""


@dataclass(frozen=True)
class Choice:
    """The sets that make up the splits."""

    trainval: tuple[str, ...]
    test: str
    less: bool = False  # whether test images are taken out of trainval
    told: str = ""
    validation: tuple[str, ...] = ()  # the part of trainval for choosing a baseline


def set_of(path: PurePath) -> str:
    """The set that a path inside the data folder names, its last part first; '' if none."""
    return next(filter(None, (_set_in(_words(part)) for part in reversed(path.parts))), "")


def set_of_folder(path: PurePath) -> str:
    """The set that a folder is, or one that it is in; '' if none.

    Its name has nothing else in it but numbers and words for data: a folder called train station
    is no set.
    """
    words = (_words(part) for part in reversed(path.parts))
    sets = {*chain(*SPELLINGS.values())} | FOR_DATA
    return next(filter(None, (_set_in(each) for each in words if each <= sets)), "")


def _words(name: str) -> set[str]:
    name = re.sub("(?<![a-z])train[ _-]?val(?![a-z])", "trainval", name.lower())
    return {*re.findall("[^\\W\\d_]+", name)}


def _set_in(words: set[str]) -> str:
    found = (name for name, spellings in SPELLINGS.items() if words & {*spellings})
    return next(found, "")


def choose_sets(found: Collection[str]) -> Choice | str:
    """Return the sets to train on and to test on, or the name of a set that is missing.

    Without a test set, val is used for testing and not for training.
    """
    told = "there is no test set: trained on {}, measured on val"
    val = ("val",) if "val" in found else ()
    if "test" in found and "trainval" in found:
        return Choice(("trainval",), "test", validation=val)
    if "test" in found and "train" in found:
        return Choice(("train", *val), "test", validation=val)
    if "test" in found:
        return "train" if "val" in found else "trainval"
    if "val" not in found:
        return "test"
    if "train" in found:
        return Choice(("train",), "val", told=told.format("train"))
    if "trainval" in found:
        return Choice(("trainval",), "val", less=True, told=told.format("trainval less val"))
    return "train"


def join_sets(
    sets: Iterable[Sequence[Entry]],
    same: Callable[[Entry], Any],
    objects: Callable[[Entry], Any] = lambda entry: None,
) -> tuple[list[Entry], list[Note]]:
    """Join sets to train on; those that are the same count once, which is noted.

    Args:
        objects: what is on an image; another note says where that differs between the sets.
    """
    joined: dict[Any, Entry] = {}
    notes = []
    for entry in chain(*({same(entry): entry for entry in each}.values() for each in sets)):
        first = joined.setdefault(same(entry), entry)
        if first is entry:
            continue
        what = "is in several sets, and counts as in the first"
        kind = "images in several sets to train on, counted once: {}"
        if objects(first) != objects(entry):
            what = "has other objects in each of its sets; those of the first count"
            kind = (
                "images in several sets with other objects in each, of which the first counts: {}"
            )
        notes.append(Note(entry.told, what, kind))
    return [*joined.values()], notes


def or_draw(missing: str, instead: str) -> str:
    """Say what may be done instead of adding a missing set; nothing, unless it is the test set."""
    return f", or {instead}, and a fifth is drawn to test on" if missing == "test" else ""


def unused(entries: Collection[Entry]) -> list[Note]:
    """Make notes of the images of a val set that are not in the trainval set beside it."""
    kind = "images of val that are not in trainval, left out: {}"
    return [Note(entry.told, "is not in trainval", kind) for entry in entries]


def unused_folders(root: Path, entries: Collection[Entry]) -> list[Note]:
    """Make a note of the folders of images that are named as sets are, but divide nothing."""
    folders = {entry.image.parent.relative_to(root) for entry in entries if entry.image}
    names = {part for each in folders for part in each.parts if set_of_folder(PurePath(part))}
    told = f"folders named {listed(sorted(names))} are not used as sets, see docs/data.md"
    return [Note(root, told)] if names else []
