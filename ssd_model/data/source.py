"""What a data folder of either kind offers, and which of its sets are trained and measured on."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ssd_model.data.annotation import Annotation
from ssd_model.data.faults import Fault, Note

SPLITS = ("trainval", "test")
BACKGROUND = "background"
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".bmp")  # of images
SPELLINGS = {
    "trainval": ("trainval",),
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""What tools call each set."""
TEST_SHARE = 0.2
"""Of the images, where the folder itself does not say which to measure on."""


@dataclass(frozen=True)
class Entry:
    """One image of a split, and the file that says what is on it."""

    image: Path | None  # None: `fault` tells why there is none
    annotation: Path
    id: int | str | None = None  # of the image in a COCO file
    source: Path | None = field(default=None, compare=False)  # the list that names it
    fault: Fault | None = field(default=None, compare=False)

    @property
    def told(self) -> Path:
        """The file to name when something is wrong: a COCO file has too many images."""
        return self.image if self.id is not None and self.image else self.annotation


class Source(Protocol):
    """A data folder before its images are opened."""

    root: Path
    splits: dict[str, list[Entry]]
    """The entries of each of SPLITS, in the order of the folder's lists, each once."""
    classes: tuple[str, ...] | None
    """In the order of their labels; None if they are all names in the annotations, sorted."""
    validation: set[Entry]
    """Those of trainval that the folder's own val set names, where there is a test set as well."""
    notes: dict[str, list[Note]]
    """By split."""

    def read(self, entry: Entry) -> tuple[Annotation | None, list[str]]:
        """What is on an image, and what is wrong with that; see `read_annotation`."""


@dataclass(frozen=True)
class Choice:
    """The sets that make up the splits."""

    trainval: tuple[str, ...]
    test: str
    less: bool = False  # what is measured on is taken out of what is trained on
    told: str = ""
    validation: tuple[str, ...] = ()  # the part of trainval that is for choosing


def choose_sets(found: Collection[str]) -> Choice | str:
    """Return the sets to train and to measure on, or the name of one that is missing.

    Without a test set, val is measured on and not trained on.
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


def draw_test(items: Sequence[Any]) -> tuple[list, list, str]:
    """Part all images in two where the folder does not: to train on, to measure on, and a word.

    The same each time for the same number of images, whatever the seed of the run.
    """
    order = np.random.default_rng(0).permutation(len(items))
    chosen = set(order[: round(TEST_SHARE * len(items))].tolist())
    trainval = [item for i, item in enumerate(items) if i not in chosen]
    test = [item for i, item in enumerate(items) if i in chosen]
    told = (
        f"no list says which images to test on: {len(test):,} of the {len(items):,} images, drawn "
        "at random, are the test set; if some are near-duplicates, write your own lists"
    )
    return trainval, test, told
