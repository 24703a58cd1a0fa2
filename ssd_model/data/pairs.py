"""Find the image and the annotation that belong together in a VOC folder."""

import filecmp
import os
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath

from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import Finder, ends, take_only
from ssd_model.data.layout import Part
from ssd_model.data.source import (
    APART,
    NOT_READ,
    OTHER_SUFFIXES,
    SUFFIXES,
    Entry,
    set_of,
)
from ssd_model.data.text import fold, listed

NO_IMAGE = "no image of this name"


class Pairs:
    """Finds images and annotations by their names.

    Often the one is in a folder more than the other. Then an end of its path will do, unless
    several of its kind have the same, or there are pairs in one of the two folders: whatever lacks
    its other there is an orphan.
    """

    def __init__(self, root: Path) -> None:
        self.images = Finder(SUFFIXES)
        self.annotations = Finder((".xml",))
        self._root = root
        self._others = Finder(OTHER_SUFFIXES)
        self._homes: dict[Part, set[str]] = {}

    def images_of(self, part: Part, annotation: Path) -> list[Path]:
        """The images that an annotation may be of."""
        name = annotation.relative_to(part.annotations).with_suffix("").as_posix()
        own, others = (self.annotations, part.annotations), (self.images, part.images)
        return self._find_other(part, name, own, others)

    def annotations_of(self, part: Part, image: str, suffix: str) -> list[Path]:
        """The annotations that may be of an image: their names lack its suffix, or else have it."""
        own, others = (self.images, part.images), (self.annotations, part.annotations)
        names = dict.fromkeys((image.removesuffix(suffix), image))
        found = (self._find_other(part, name, own, others) for name in names)
        return next(filter(None, found), [])

    def is_beside(self, part: Part, annotation: Path) -> bool:
        """Whether an annotation's image is in a folder beside that of the part's images."""
        name = annotation.relative_to(part.annotations).with_suffix("").as_posix()
        return bool(self.images.below(part.images.parent, name))

    def find_images(self, part: Part, name: str) -> list[Path]:
        """The images that a line may mean; if it names a folder, those further up, too."""
        bases = (part.images, part.folder, self._root) if "/" in name else (part.images,)
        return self._find(part, self.images, name, bases)

    def find_both(self, part: Part, image: str, annotation: str) -> tuple[list[Path], list[Path]]:
        """The images and annotations that a line with the names of both may mean."""
        return tuple(
            self._find(part, finder, name, (self._root, part.folder, folder))
            for finder, name, folder in (
                (self.images, image, part.images),
                (self.annotations, annotation, part.annotations),
            )
        )

    def pick(self, images: list[Path], folder: Path, name: str) -> tuple[Path | None, Fault | None]:
        """Take the only image, or return a fault."""
        wanted = folder / name
        if images:
            return take_only(self._root, images, wanted)
        if others := self._others.find(folder, name):
            return None, Fault(others[0], NOT_READ)
        what = f"{NO_IMAGE} with {' '.join(SUFFIXES)}; add it, or remove what names it"
        if elsewhere := self.images.below(folder, wanted.name):
            names = listed([os.path.relpath(path, wanted.parent) for path in elsewhere])
            what = (
                f"{NO_IMAGE} here, only {names}; add it, or keep images and annotations "
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

    def hidden(self, parts: list[Part], used: Collection[Path | None]) -> list[Note]:
        """Make notes of the images of these parts that are hidden, and not in use."""
        kind = "hidden images, with a dot before their name or their folder's, left out: {}"
        folders = dict.fromkeys(part.images for part in parts)
        found = (path for folder in folders for path in self.images.hidden(folder))
        return [Note(path, "is hidden", kind) for path in found if path not in used]

    def unlisted(self, parts: list[Part], named: Collection[Path | None]) -> list[Note]:
        """Make notes of the images of these parts that the lists do not name."""
        kind = "images that the lists of trainval and test do not name, left out: {}"
        folders = dict.fromkeys(part.images for part in parts)
        found = (path for folder in folders for path in self.images.all(folder))
        return [Note(path, "not listed", kind) for path in found if path not in named]

    def _find(self, part: Part, finder: Finder, name: str, bases: tuple[Path, ...]) -> list[Path]:
        """Find files by the longest end of a name that any folder has, in the first such folder."""
        for end in ends(name):
            for base in bases:
                if found := finder.find(base, end):
                    return found
            folder = end.rpartition("/")[0]
            if folder and any((base / folder).is_dir() for base in bases):
                return []  # the folder that is meant, without the file
        if _folder_of(name) in self._folders_of_pairs(part):
            return []
        return next(filter(None, (finder.below(base, name) for base in bases)), [])

    def _find_other(
        self, part: Part, name: str, own: tuple[Finder, Path], others: tuple[Finder, Path]
    ) -> list[Path]:
        """Find the other of a pair; `name` has no suffix, `own` is where it is."""
        (finder, folder), (other, target) = own, others
        if found := other.find(target, name):
            return [path for path in found if not self._has_its_own(path, name, own, target)]
        homes = self._folders_of_pairs(part)
        if _folder_of(name) in homes:
            return []
        clear = (end for end in ends(name) if len(finder.below(folder, end)) == 1)
        found = next(filter(None, (other.below(target, end) for end in clear)), [])
        set_ = set_of(PurePath(name).parent) or part.set
        apart = {
            path
            for path in found
            if {set_, set_of(path.parent.relative_to(target))} in APART
            or _folder_of(path.relative_to(target).as_posix()) in homes
        }
        return [path for path in found if path not in apart]

    @staticmethod
    def _has_its_own(path: Path, name: str, own: tuple[Finder, Path], target: Path) -> bool:
        """Whether a file that looks as if it had this name is the other of another than this."""
        finder, folder = own

        def exists(forms: set[str]) -> bool:
            found = (other for form in forms for other in finder.find(folder, form))
            return any(forms & _forms(other, folder) for other in found)

        forms = _forms(path, target)
        return name not in forms and exists({name}) and exists(forms)

    def _folders_of_pairs(self, part: Part) -> set[str]:
        """The folders in which an image and an annotation have the same name."""
        if part not in self._homes:
            images = self.images.all(part.images)
            xmls = self.annotations.all(part.annotations)
            names = {fold(form) for path in images for form in _forms(path, part.images)}
            others = (path.relative_to(part.annotations).with_suffix("") for path in xmls)
            both = names & {fold(path.as_posix()) for path in others}
            self._homes[part] = {*map(_folder_of, both)}
        return self._homes[part]


def _forms(path: Path, folder: Path) -> set[str]:
    """The name of a file in a folder, with its suffix and without."""
    whole = path.relative_to(folder)
    return {whole.as_posix(), whole.with_suffix("").as_posix()}


def _folder_of(name: str) -> str:
    return fold(name).rpartition("/")[0]


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


def find_twice(entries: Iterable[Entry]) -> list[Fault]:
    """Return faults of the images that more than one annotation would be of."""
    used: dict[Path, Path] = {}
    faults = []
    for entry in entries:
        if entry.image and used.setdefault(entry.image, entry.annotation) != entry.annotation:
            what = f"{used[entry.image].name} annotates {entry.image.name}, too; keep one"
            faults.append(Fault(entry.annotation, what))
    return faults
