"""Read COCO data: instances_*.json, or a tool's _annotations.coco.json, and image folders."""

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from ssd_model.data.annotation import (
    MAX_OBJECTS,
    AnnotatedObject,
    Annotation,
    number,
    too_many,
)
from ssd_model.data.coco_file import read_coco_file
from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import (
    LEADS_OUT,
    Finder,
    check_inside,
    ends,
    find_folder,
    is_inside,
    plain,
)
from ssd_model.data.source import (
    BACKGROUND,
    SPELLINGS,
    SPLITS,
    SUFFIXES,
    Choice,
    Entry,
    choose_sets,
    draw_test,
)
from ssd_model.data.text import class_name, listed, shorten

# COCO's own files that hold no boxes of objects, or the same boxes again
OTHERS = ("captions", "person_keypoints", "panoptic", "stuff", "image_info")
BEGINNING = 100_000  # bytes
DIFFICULT = ("iscrowd", "ignore", "difficult")
"""Keys that mark an object as difficult: it counts as neither missed nor found."""


@dataclass(frozen=True)
class CocoFile:
    """A file of annotations."""

    path: Path
    set: str
    """The name of its set; '' if neither the file's name nor its folder's shows it."""
    images: tuple[Path, ...]
    """Folders in which its images may be, the likeliest first."""


def find_coco_files(root: Path) -> list[CocoFile]:
    """Return the files of annotations in a COCO folder; none if it is not a COCO folder."""
    if not root.is_dir():
        return []
    images = [path for path in (find_folder(root, "images"), find_folder(root, "data")) if path]
    folders = [root, *filter(None, [find_folder(root, "annotations")]), *images]
    for parent in (root, *images):
        folders += filter(None, (find_folder(parent, *names) for names in SPELLINGS.values()))
    paths = [
        path for folder in dict.fromkeys(folders) for path in sorted(folder.glob("[!.]*.json"))
    ]
    named = [path for path in paths if re.match("instances|_annotations.coco", path.name)]
    chosen = named or [path for path in paths if _is_coco(root, path)]
    return [CocoFile(path, _set_of(path), _image_folders(root, path)) for path in chosen]


def _is_coco(root: Path, path: Path) -> bool:
    if path.name.startswith(OTHERS) or not path.is_file() or not check_inside(root, path, []):
        return False
    with path.open("rb") as file:
        return bool(re.search(rb'"(images|annotations|categories)"\s*:', file.read(BEGINNING)))


def _set_of(path: Path) -> str:
    for text in (path.stem, path.parent.name):
        words = re.findall("[a-z]+", text.lower())
        for name, spellings in SPELLINGS.items():
            if {*words} & {*spellings}:
                return name
    return ""


def _image_folders(root: Path, path: Path) -> tuple[Path, ...]:
    own = path.stem.removeprefix("instances_")  # as train2017
    parents = [find_folder(root, "images"), root, find_folder(root, "data")]
    names = [(own,), SPELLINGS.get(_set_of(path), (own,))]
    found = [find_folder(parent, *each) for each in names for parent in parents if parent]
    beside = [] if path.parent.name.lower() == "annotations" else [path.parent]
    folders = [*beside, *found, find_folder(root, "JPEGImages"), *parents]
    return tuple(dict.fromkeys(filter(None, folders)))


class CocoFolder:
    """A `Source` for a COCO folder. Adds faults of entire files to `faults`."""

    def __init__(self, root: Path, files: list[CocoFile], faults: list[Fault]) -> None:
        self.root = root
        self.notes: dict[str, list[Note]] = {name: [] for name in SPLITS}
        self.splits: dict[str, list[Entry]] = {name: [] for name in SPLITS}
        self.validation: set[Entry] = set()
        self.classes: tuple[str, ...] = ()
        self._faults = faults
        self._finder = Finder(SUFFIXES)
        chosen = self._choose(files)
        self._data = {file.path: self._index(file.path) for file in chosen}
        if not faults:
            self.classes = self._collect_classes()
            self.splits = self._make_splits(chosen)

    def read(self, entry: Entry) -> tuple[Annotation | None, list[str]]:
        """Read what is on an image, and its faults."""
        coco = self._data[entry.annotation]
        image, found = coco.imgs[entry.id], coco.imgToAnns[entry.id]
        faults = [too_many(len(found))] if len(found) > MAX_OBJECTS else []
        objects = [_read_object(coco, each, faults) for each in found[:MAX_OBJECTS]]
        sides = [image.get(side) or 0 for side in ("width", "height")]
        if not all(_is_number(side) for side in sides):
            faults.append(f"image {entry.id!r}: its width and height are not numbers of pixels")
            sides = [0, 0]
        objects = tuple(filter(None, objects))
        names = frozenset(found.name for found in objects)
        return Annotation(*sides, objects, names), faults

    def _choose(self, files: list[CocoFile]) -> list[CocoFile]:
        """Choose a file for each set, or a single one from whose images the sets are drawn."""
        known = [file for file in files if file.set] or files
        for file in files:
            if file not in known:
                told = f"{file.path.name} is not read: no set is named in its name"
                self.notes["trainval"].append(Note(file.path, told))
        for name in {file.set for file in known}:
            paths = [file.path.name for file in known if file.set == name]
            if len(paths) > 1:
                what = f"more than one file for {name or 'the images'}: {listed(paths)}; keep one"
                self._faults.append(Fault(self.root, what))
        if known[0].set:
            choice = choose_sets({file.set for file in known})
            if not isinstance(choice, Choice):
                what = f"no annotations of a {choice} set, as instances_{choice}.json; write them"
                self._faults.append(Fault(self.root, what))
        return known

    def _index(self, path: Path) -> COCO:
        coco = COCO()
        if check_inside(self.root, path, self._faults):
            coco.dataset, notes = read_coco_file(path, self._faults)
            self.notes["trainval"] += notes
            with contextlib.redirect_stdout(io.StringIO()):  # "creating index..."
                coco.createIndex()
        return coco

    def _make_splits(self, files: list[CocoFile]) -> dict[str, list[Entry]]:
        sets = {file.set: list(self._entries(file)) for file in files}
        if "" in sets:
            trainval, test, told = draw_test(sets[""])
            self.notes["test"].append(Note(self.root, told))
        else:
            choice = choose_sets(sets)
            trainval = [entry for name in choice.trainval for entry in sets[name]]
            test = sets[choice.test]
            self.validation = {entry for name in choice.validation for entry in sets[name]}
            if choice.told:
                self.notes["test"].append(Note(self.root, choice.told))
            if choice.less:
                measured = {entry.image for entry in test}
                trainval = [entry for entry in trainval if entry.image not in measured]
        for name, entries in (("trainval", trainval), ("test", test)):
            if not entries:
                self._faults.append(Fault(self.root, f"the {name} split has no image"))
        return {"trainval": trainval, "test": test}

    def _entries(self, file: CocoFile) -> Iterator[Entry]:
        taken: dict[Path, str] = {}
        for id_, image in self._data[file.path].imgs.items():
            name = plain(image["file_name"])
            if not is_inside(name):
                what = f"image {id_!r}: file_name {shorten(image['file_name'])!r} {LEADS_OUT}"
                self._faults.append(Fault(file.path, f"{what}; correct it"))
                continue
            path, fault = self._find(file, name)
            if path in taken:
                what = f"{taken[path]} and {name} are the same file; keep one"
                self._faults.append(Fault(file.path, what))
            elif path:
                taken[path] = name
            yield Entry(path, file.path, id_, file.path, fault)

    def _find(self, file: CocoFile, name: str) -> tuple[Path | None, Fault | None]:
        for wanted in ends(name):
            for folder in file.images:
                paths = self._finder.find(folder, wanted)
                if len(paths) > 1:
                    names = listed([path.name for path in paths])
                    return None, Fault(folder / wanted, f"more than one image: {names}; keep one")
                if paths:
                    faults: list[Fault] = []
                    inside = check_inside(self.root, paths[0], faults)
                    return (paths[0], None) if inside else (None, faults[0])
        where = ", ".join(str(path.relative_to(self.root)) for path in file.images)
        return None, Fault(file.path, f"no image {shorten(name)!r} in the folders {where}")

    def _collect_classes(self) -> tuple[str, ...]:
        """List the categories that have objects, by name, in the order of the files."""
        used: dict[str, bool] = {}
        merged: dict[str, None] = {}
        difficult = 0
        for path, coco in self._data.items():
            names = {id_: class_name(cat["name"]) for id_, cat in coco.cats.items()}
            for name in dict.fromkeys(names.values()):
                ids = [id_ for id_, other in names.items() if other == name]
                used[name] = used.get(name, False) or any(coco.catToImgs[id_] for id_ in ids)
                if len(ids) > 1:
                    merged[f"categories {listed([*map(repr, ids)])} are one class, {name}"] = None
            difficult += sum(
                any(found.get(key) for key in DIFFICULT) for found in coco.anns.values()
            )
            if used.get(BACKGROUND):
                what = f"a category is named {BACKGROUND!r}, kept for label 0; rename it"
                self._faults.append(Fault(path, what))
        self.notes["trainval"] += [Note(self.root, told) for told in merged]
        if difficult:
            told = f"crowds and ignored objects, treated as difficult: {difficult:,}"
            self.notes["trainval"].append(Note(self.root, told))
        if unused := [name for name, is_used in used.items() if not is_used]:
            told = f"categories without objects, left out: {listed(unused, 10)}"
            self.notes["trainval"].append(Note(self.root, told))
        return tuple(name for name, is_used in used.items() if is_used)


def _read_object(coco: COCO, found: dict[str, Any], faults: list[str]) -> AnnotatedObject | None:
    category = coco.cats.get(found["category_id"])
    place = f"annotation {shorten(repr(found['id']))}"
    label = f"{place} ({class_name(category['name'])})" if category else place
    known = len(faults)
    if not category:
        faults.append(f"{label}: no category has the id {found['category_id']!r}")
    box = found.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        what = "no bbox of four finite numbers (x, y, width, height)"
        also = ", but a segmentation; export boxes, too" if found.get("segmentation") else ""
        faults.append(f"{label}: {what}{also}")
    attributes = found.get("attributes")  # CVAT's
    degrees = attributes.get("rotation") if isinstance(attributes, dict) else None
    if number(str(degrees)):
        what = f"rotated by {shorten(str(degrees))} degrees; export upright boxes"
        faults.append(f"{label}: {what}")
    flags = [found.get(key) or 0 for key in DIFFICULT]
    if not all(flag in (0, 1) for flag in flags):
        faults.append(f"{label}: {' and '.join(DIFFICULT)} must be 0 or 1")
    if len(faults) > known:
        return None
    x, y, width, height = map(float, box)
    corners = (x, y, x + width, y + height)
    return AnnotatedObject(place, class_name(category["name"]), corners, any(flags))


def _is_number(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e9  # false for nan and infinity
