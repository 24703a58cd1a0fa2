"""Find the image and the annotation that belong together in a VOC folder."""

import filecmp
import os
from collections.abc import Collection, Iterable
from itertools import chain
from pathlib import Path, PurePosixPath

from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import Finder, check_inside, ends
from ssd_model.data.layout import Part
from ssd_model.data.source import NOT_READ, OTHER_SUFFIXES, SPELLINGS, SUFFIXES, Entry
from ssd_model.data.text import listed


class Pairs:
    """Finds images and annotations by their names.

    Often the one is in a folder more than the other: then an end of its path will do, unless
    several of its kind have the same, or the folder of the other has its own.
    """

    def __init__(self, root: Path) -> None:
        self.images = Finder(SUFFIXES)
        self.annotations = Finder((".xml",))
        self._root = root
        self._others = Finder(OTHER_SUFFIXES)

    def images_of(self, part: Part, annotation: Path) -> list[Path]:
        """The images that an annotation may be of."""
        name = annotation.relative_to(part.annotations).with_suffix("").as_posix()
        own, others = (self.annotations, part.annotations), (self.images, part.images)
        return _find_other(name, own, others)

    def annotations_of(self, part: Part, image: str, suffix: str) -> list[Path]:
        """The annotations that may be of an image: their names lack its suffix, or else have it."""
        own, others = (self.images, part.images), (self.annotations, part.annotations)
        names = dict.fromkeys((image.removesuffix(suffix), image))
        return next(filter(None, (_find_other(name, own, others) for name in names)), [])

    def is_beside(self, part: Part, annotation: Path) -> bool:
        """Whether an annotation's image is in a folder beside that of the part's images."""
        name = annotation.relative_to(part.annotations).with_suffix("").as_posix()
        return bool(self.images.below(part.images.parent, name))

    def find_images(self, part: Part, name: str) -> list[Path]:
        """The images that a line may mean; if it names a folder, those further up, too."""
        bases = (part.images, part.folder, self._root) if "/" in name else (part.images,)
        return _find(self.images, name, bases)

    def find_both(self, part: Part, image: str, annotation: str) -> tuple[list[Path], list[Path]]:
        """The images and annotations that a line with the names of both may mean."""
        return (
            _find(self.images, image, (self._root, part.folder, part.images)),
            _find(self.annotations, annotation, (self._root, part.folder, part.annotations)),
        )

    def pick(self, images: list[Path], folder: Path, name: str) -> tuple[Path | None, Fault | None]:
        """Take the only image, or return a fault."""
        wanted = folder / name
        if len(images) == 1:
            faults: list[Fault] = []
            inside = check_inside(self._root, images[0], faults)
            return (images[0], None) if inside else (None, faults[0])
        if images:
            names = _relative(images, wanted.parent)
            return None, Fault(wanted, f"more than one image of this name: {names}; keep one")
        if others := self._others.find(folder, name):
            return None, Fault(others[0], NOT_READ)
        what = f"no image of this name with {' '.join(SUFFIXES)}; add it, or remove what names it"
        if elsewhere := self.images.below(folder, wanted.name):
            names = _relative(elsewhere, wanted.parent)
            what = (
                f"no image of this name here, only {names}; add it, or keep images and annotations "
                "in folders of the same names"
            )
        return None, Fault(wanted, what)

    def without_annotation(self, parts: list[Part], used: Collection[Path]) -> list[Note]:
        """Make notes of the images of these parts, which share them, that have no annotation."""
        folder = parts[0].images
        kind = "images without an annotation left out: {}"
        return [
            Note(path, "no annotation", kind)
            for path in self.images.all(folder)
            if path not in used
            and not any(
                self.annotations_of(part, path.relative_to(folder).as_posix(), path.suffix)
                for part in parts
            )
        ]

    def unlisted(self, parts: list[Part], listed: Collection[Path | None]) -> list[Note]:
        """Make notes of the images of these parts that are not listed."""
        kind = "images that the lists of trainval and test do not name, left out: {}"
        folders = dict.fromkeys(part.images for part in parts)
        found = (path for folder in folders for path in self.images.all(folder))
        return [Note(path, "not listed", kind) for path in found if path not in listed]

    def names_of_sets(self, entries: Iterable[Entry]) -> list[str]:
        """The folders with images in them that are named as sets are."""
        known = {spelling for spellings in SPELLINGS.values() for spelling in spellings}
        folders = {entry.image.parent.relative_to(self._root) for entry in entries if entry.image}
        names = {part for folder in folders for part in folder.parts}
        return sorted(name for name in names if name.lower() in known)


def find_shared(root: Path, entries: Iterable[Entry]) -> list[Fault]:
    """Return faults of the annotations that different images would share; copies may."""
    images: dict[Path, Path] = {}
    faults = []
    for entry in entries:
        first = images.setdefault(entry.annotation, entry.image) if entry.image else None
        if first != entry.image and not filecmp.cmp(first, entry.image, shallow=False):
            both = " and ".join(str(path.relative_to(root)) for path in (first, entry.image))
            faults.append(Fault(entry.annotation, f"{both} share it; give each its own"))
    return faults


def _find(finder: Finder, name: str, bases: Iterable[Path]) -> list[Path]:
    """Find files by the longest end of a name that any folder has, in the first such folder."""
    bases = [*dict.fromkeys(bases)]
    tried = (finder.find(base, end) for end in ends(name) for base in bases)
    own = PurePosixPath(name).parent
    below = (finder.below(base, name) for base in bases if not finder.holds(base / own))
    return next(filter(None, chain(tried, below)), [])


def _find_other(name: str, own: tuple[Finder, Path], others: tuple[Finder, Path]) -> list[Path]:
    """Find what belongs to the file with this name (without suffix) in the folder of its kind."""
    (finder, folder), (other, target) = own, others
    if found := other.find(target, name):
        return found
    clear = (end for end in ends(name) if len(finder.below(folder, end)) == 1)
    found = next(filter(None, (other.below(target, end) for end in clear)), [])
    # A folder whose counterpart is there has its own: a file that lacks its other is an orphan.
    if other.holds(target / PurePosixPath(name).parent):
        return []
    return [path for path in found if not finder.holds(folder / path.relative_to(target).parent)]


def _relative(paths: list[Path], folder: Path) -> str:
    return listed([os.path.relpath(path, folder) for path in paths])
