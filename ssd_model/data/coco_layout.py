"""Find the files of annotations in a COCO folder, and where their images may be."""

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from ssd_model.data.files import Finder, check_inside, find_folder
from ssd_model.data.source import SPELLINGS, set_of

# COCO's own files that hold no boxes of objects
OTHERS = re.compile(r"(captions|panoptic|stuff|image_info)([_-]|\.json$)")
KEYPOINTS = re.compile(r"person_keypoints([_-]|\.json$)")  # the boxes of persons again
BEGINNING = 100_000  # bytes


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
    folders = [root, *_inside([root], "annotations", "images", "data")]
    folders += _inside(folders, "annotations", *chain(*SPELLINGS.values()))
    folders += _inside(folders, "annotations")
    paths = [
        path
        for folder in dict.fromkeys(folders)
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ".json" and not path.name.startswith(".")
    ]
    kinds = re.compile("instances|_annotations.coco", re.IGNORECASE)
    named = [path for path in paths if kinds.match(path.name)]
    # Beside files of these names, another counts if it is of a set that none of them is of.
    sets = {path: set_of(path.relative_to(root)) for path in paths}
    known = {sets[path] for path in named}
    others = [path for path in paths if path not in named and sets[path] not in known]
    found = named + [path for path in others if _is_coco(root, path)]
    chosen = [path for path in found if not KEYPOINTS.match(path.name)] or found
    return [CocoFile(path, sets[path], _image_folders(root, path)) for path in chosen]


def find_unread(root: Path, files: list[CocoFile]) -> list[Path]:
    """The files in `root` that look like COCO's, besides those that are read."""
    known = {file.path for file in files}
    paths = [path for path in Finder((".json",)).all(root) if path not in known]
    return [path for path in paths if not KEYPOINTS.match(path.name) and _is_coco(root, path)]


def _inside(parents: list[Path], *names: str) -> list[Path]:
    found = (find_folder(parent, name) for parent in parents for name in names)
    return [path for path in found if path]


def _is_coco(root: Path, path: Path) -> bool:
    if OTHERS.match(path.name) or not path.is_file() or not check_inside(root, path, []):
        return False
    with path.open("rb") as file:
        beginning = file.read(BEGINNING)
    # Label Studio also exports a notes.json, which has only categories.
    keys = rb"images|annotations" + (rb"|categories" if len(beginning) == BEGINNING else b"")
    return bool(re.search(rb'"(%b)"\s*:' % keys, beginning))


def _image_folders(root: Path, path: Path) -> tuple[Path, ...]:
    own = path.stem.removeprefix("instances_").removeprefix("person_keypoints_")  # as train2017
    parents = [find_folder(root, "images"), root, find_folder(root, "data")]
    names = [(own,), SPELLINGS.get(set_of(path.relative_to(root)), (own,))]
    found = [find_folder(parent, *each) for each in names for parent in parents if parent]
    is_apart = path.parent.name.lower() == "annotations"
    home = path.parent.parent if is_apart else path.parent
    beside = [find_folder(home, "images"), find_folder(home, "data")] if home != root else []
    beside += [] if is_apart and home == root else [home]
    folders = [*beside, *found, find_folder(root, "JPEGImages"), *parents]
    return tuple(dict.fromkeys(filter(None, folders)))
