"""Find the parts of a VOC data folder, whatever tool made it."""

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path, PurePath

from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import Finder, check_inside, find_folder, is_hidden
from ssd_model.data.source import (
    ALL_SUFFIXES,
    SPELLINGS,
    SUFFIXES,
    Choice,
    choose_sets,
    set_of_folder,
)
from ssd_model.data.text import listed

IMAGES = ("JPEGImages", "images")
ANNOTATIONS = ("Annotations",)
# Other names that tools give these folders; they count where such files are inside.
ALSO_IMAGES = ("data", "image", "img", "imgs")
ALSO_ANNOTATIONS = ("annotation", "annots", "labels", "xml", "xmls")
FORMS = (
    "accepted are a VOC folder (JPEGImages/ and Annotations/, or each image beside its .xml), "
    "VOCdevkit, folders train/, valid/ and test/ of these, and COCO (instances_*.json or "
    "_annotations.coco.json, and images); docs/data.md shows them"
)
LISTS = ("{}.txt", "{}_list.txt")
LIST_NAMES = {pattern.format(each) for pattern in LISTS for each in chain(*SPELLINGS.values())}
CVAT = ["annotations.xml"]  # in its own format
OTHER_FORMATS = {
    ".txt": "in YOLO's format or one like it, a text file for each image",
    ".csv": "in CSV",
    ".json": "in JSON, but not COCO's, or not in annotations/",
    ".manifest": "in SageMaker's format",
    ".tfrecord": "in TensorFlow's format",
}
"""Formats that are not read, by the suffix of their files."""


@dataclass(frozen=True)
class Part:
    """Where the images, annotations and lists of a VOC folder, or of one of its sets, are."""

    folder: Path
    images: Path
    annotations: Path
    lists: tuple[Path, ...] = ()
    set: str = ""  # the set, if the part holds only one


def find_parts(root: Path) -> list[Part]:
    """Return the parts of a VOC folder, VOC2007 first; none if `root` is not a VOC folder."""
    if part := _part(root, root):
        return [part]
    for devkit in (root, root / "VOCdevkit"):
        years = _years(devkit)
        if parts := [part for year in years if (part := _part(root, year))]:
            return parts if len(parts) == len(years) else []
    for parent in (root, find_folder(root, *IMAGES)):
        if parent and (parts := _set_parts(parent)):
            return parts
    if _xmls(root) not in ([], CVAT) or (_has_images(root) and _annotation_folder(root)):
        images, annotations = _image_folder(root) or root, _annotation_folder(root) or root
        return [Part(root, images, annotations, (root,))]
    return []


def divide(part: Part) -> list[Part]:
    """The sets, if a part has a folder for each among its images, its annotations, or both.

    None, if most annotations lie outside these folders, or if they don't say what to train and
    test on.
    """
    if part.images == part.annotations:
        return []
    exact, wide = (
        {name: [find(each, name) for each in (part.images, part.annotations)] for name in SPELLINGS}
        for find in (_exact_set_folder, _set_folder)
    )
    is_exact = isinstance(choose_sets([name for name in exact if any(exact[name])]), Choice)
    folders = exact if is_exact else wide
    is_apart = any(xmls for _, xmls in folders.values())
    parts = [
        Part(part.folder, images or part.images, xmls or part.annotations, set=name)
        for name, (images, xmls) in folders.items()
        if xmls or (images and not is_apart)
    ]
    is_enough = isinstance(choose_sets([each.set for each in parts]), Choice)
    xmls = _all_xml(part.annotations)
    left = _beyond(xmls, [each.annotations for each in parts])
    return parts if is_enough and 2 * len(left) < len(xmls) else []


def outside(root: Path, parts: list[Part]) -> list[Note]:
    """Make notes of the annotations in `root` that are in no part; if parts are sets, of images."""
    left = {"annotations": _beyond(_all_xml(root), [part.annotations for part in parts])}
    if parts[0].set:
        left["images"] = _beyond(Finder(SUFFIXES).all(root), [part.images for part in parts])
    kind = "{} outside the folders that are read, left out: {{}}"
    return [
        Note(path, "in no folder that is read", kind.format(what))
        for what, paths in left.items()
        for path in paths
    ]


def _beyond(paths: list[Path], folders: list[Path]) -> list[Path]:
    return [path for path in paths if not any(map(path.is_relative_to, folders))]


def find_lists(folder: Path) -> dict[str, list[Path]]:
    """Return the lists in a folder by the name of their set, which may be in any case."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".txt")
    of_class = _of_class_train(paths)
    for pattern in (*LISTS, "[!.]*_{}.txt"):  # VoTT has one per class
        sets: dict[str, list[Path]] = {}
        left = paths
        for name, spellings in SPELLINGS.items():
            for each in map(pattern.format, spellings):
                found = [path for path in left if fnmatch(path.name.lower(), each)]
                if name == "trainval":
                    found = [path for path in found if path not in of_class]
                left = [path for path in left if path not in found]  # train_val is not val
                if found and name not in sets:
                    sets[name] = found
        if sets:
            return sets
    return {}


def find_other_lists(folder: Path, chosen: dict[str, list[Path]]) -> list[Path]:
    """The lists in a folder that are named for a set, but not as those that were chosen."""
    paths = sorted(folder.iterdir())
    known = {*chain(*chosen.values()), *_of_class_train(paths)}
    return [path for path in paths if path.name.lower() in LIST_NAMES and path not in known]


def _of_class_train(paths: list[Path]) -> set[Path]:
    """Lists such as train_val.txt of a class called train, which has lists of other sets, too."""
    names = {path.name.lower() for path in paths}
    sets = [spelling for name in ("train", "trainval", "test") for spelling in SPELLINGS[name]]
    return {
        path
        for path in paths
        if (start := path.name.lower().removesuffix("val.txt")).endswith("train_")
        and names & {f"{start}{each}.txt" for each in sets}
    }


def unread_lists(root: Path) -> list[Path]:
    """The folders in `root` with lists in them, the root among them."""
    folders = {path.parent for path in Finder((".txt",)).all(root)}
    return [folder for folder in sorted(folders) if find_lists(folder)]


def find_missing(root: Path, faults: list[Fault]) -> None:
    """Add to `faults` what keeps `root` from being a data folder."""
    if not root.is_dir():
        what = "is a file; unpack it, or name its folder" if root.exists() else "no such folder"
        faults.append(Fault(root, f"{what}; {FORMS}"))
        return
    if format_ := _other_format(root):
        faults.append(Fault(root, f"{format_}; export as Pascal VOC or COCO"))
        return
    folders = [
        folder
        for folder in (root, *_years(root), *_years(root / "VOCdevkit"))
        if find_folder(folder, *IMAGES) or find_folder(folder, *ANNOTATIONS)
    ]
    stems = {path.stem for path in Finder(SUFFIXES).all(root)}
    if not folders and not stems.isdisjoint(path.stem for path in _all_xml(root)):
        folders = [root]
    for folder in folders:
        annotations = find_folder(folder, *ANNOTATIONS, *ALSO_ANNOTATIONS)
        if not _image_folder(folder) and not _has_images(folder):
            faults.append(_no_folder(folder, IMAGES[0], "images", SUFFIXES))
        if not annotations:
            faults.append(_no_folder(folder, ANNOTATIONS[0], ".xml files", (".xml",)))
        elif not _all_xml(annotations):
            faults.append(Fault(annotations, f"no .xml file is in it; {FORMS}"))
    if not faults:
        faults.append(Fault(root, f"no VOC or COCO data here; {FORMS}"))


def _no_folder(parent: Path, name: str, what: str, suffixes: tuple[str, ...]) -> Fault:
    """The fault that a folder is missing; it says where in `parent` such files are instead."""
    folders = sorted(path for path in parent.iterdir() if path.is_dir())
    folders = [path for path in folders if not path.name.startswith("Segmentation")]  # masks
    holding = [path.name for path in folders if Finder(suffixes).all(path)]
    hint = f"but {what} are in {listed(holding)}: put them into it" if holding else FORMS
    return Fault(parent / name, f"no such folder{', ' if holding else '; '}{hint}")


def check_parts(root: Path, parts: list[Part], faults: list[Fault]) -> None:
    """Add to `faults` the links that lead out of the data folder, and what lies behind links."""
    for part in parts:
        for folder in dict.fromkeys((part.images, part.annotations, *part.lists)):
            check_inside(root, folder, faults)
        for folder in dict.fromkeys((part.images, part.annotations)):
            for parent, names, _ in os.walk(folder):
                links = (path for name in names if (path := Path(parent, name)).is_symlink())
                what = "a link to a folder, which is not followed; copy its files there"
                faults.extend(Fault(path, what) for path in links)


def _all_xml(folder: Path) -> list[Path]:
    """The .xml files in a folder and in those below it."""
    return Finder((".xml",)).all(folder)


def _years(devkit: Path) -> list[Path]:
    paths = sorted(devkit.iterdir()) if devkit.is_dir() else []
    return [path for path in paths if re.fullmatch(r"VOC\d{4}", path.name) and path.is_dir()]


def _xmls(folder: Path) -> list[str]:
    """The names of the .xml files in a folder itself."""
    names = (path.name for path in folder.iterdir() if path.suffix.lower() == ".xml")
    return [name for name in names if not is_hidden(name)]


def _other_format(root: Path) -> str:
    """Say which format that is not read the files are in, '' if they are in none that we know."""
    if _xmls(root) == CVAT:
        return f"{CVAT[0]} is in CVAT's own format"
    paths = Finder((".xml", *SUFFIXES, *OTHER_FORMATS)).all(root)
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.suffix.lower(), []).append(path)
    if ".xml" in found:
        return ""
    images = {path.stem for suffix in SUFFIXES for path in found.get(suffix, [])}
    found[".txt"] = [path for path in found.get(".txt", []) if path.stem in images]
    for suffix, format_ in OTHER_FORMATS.items():
        if found.get(suffix):
            return f"{found[suffix][0].relative_to(root)} is {format_}"
    return ""


def _has_images(folder: Path) -> bool:
    """Whether images are in a folder itself."""
    return any(path.suffix.lower() in SUFFIXES for path in folder.iterdir())


def _image_folder(folder: Path) -> Path | None:
    found = (find_folder(folder, name) for name in (*IMAGES, *ALSO_IMAGES))
    filled = (path for path in found if path and Finder(ALL_SUFFIXES).all(path))
    return next(filled, find_folder(folder, *IMAGES))


def _annotation_folder(folder: Path) -> Path | None:
    found = (find_folder(folder, name) for name in (*ANNOTATIONS, *ALSO_ANNOTATIONS))
    return next((path for path in found if path and _all_xml(path)), None)


def _part(root: Path, folder: Path) -> Part | None:
    images, annotations = _image_folder(folder), _annotation_folder(folder)
    if not images or not annotations:
        return None
    sets = find_folder(folder, "ImageSets")
    main = sets and find_folder(sets, "Main")
    lists = dict.fromkeys(path for path in (main, sets, folder, root) if path)
    return Part(folder, images, annotations, tuple(lists))


def _exact_set_folder(parent: Path, name: str) -> Path | None:
    """The folder of a set, such as valid."""
    return find_folder(parent, *SPELLINGS[name])


def _set_folder(parent: Path, name: str) -> Path | None:
    """The folder of a set; or the only one that names it, such as val2017."""
    if found := _exact_set_folder(parent, name):
        return found
    paths = sorted(parent.iterdir()) if parent.is_dir() else []
    named = [path for path in paths if set_of_folder(PurePath(path.name)) == name]
    named = [path for path in named if path.is_dir()]
    return named[0] if len(named) == 1 else None


def _set_parts(parent: Path) -> list[Part]:
    exact, wide = (
        {name: path for name in SPELLINGS if (path := find(parent, name)) and _all_xml(path)}
        for find in (_exact_set_folder, _set_folder)
    )
    # Other names count only where they say what to train and to test on.
    is_wide = not isinstance(choose_sets(exact), Choice) and isinstance(choose_sets(wide), Choice)
    parts = []
    for name, path in (wide if is_wide else exact).items():
        years = [*_years(path), *_years(path / "VOCdevkit")]
        home = years[0] if len(years) == 1 else path  # of an archive that was unpacked there
        images, annotations = _image_folder(home) or home, _annotation_folder(home) or home
        parts.append(Part(path, images, annotations, set=name))
    return parts
