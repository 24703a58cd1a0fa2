"""Find the parts of a VOC data folder, whatever tool made it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ssd_model.data.faults import Fault
from ssd_model.data.files import Finder, check_inside, find_folder
from ssd_model.data.source import SPELLINGS, SUFFIXES, Choice, choose_sets

IMAGES = ("JPEGImages", "images")
ANNOTATIONS = ("Annotations",)
# Other names that tools give these folders; they count where .xml files are inside.
ALSO_IMAGES = ("data",)
ALSO_ANNOTATIONS = ("labels", "xml", "xmls")
FORMS = (
    "accepted are a VOC folder (JPEGImages/, Annotations/, and in ImageSets/Main/ a test.txt "
    "and a trainval.txt, or train.txt with val.txt), a VOCdevkit folder with VOC2007 and/or "
    "VOC2012 in it, the folder that holds VOCdevkit, folders train/, valid/ and test/ with each "
    "image beside its .xml, and COCO (instances_*.json or _annotations.coco.json, and images)"
)


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
    if has_xml(root, below=False) and not _other_format(root):
        return [Part(root, root, root, (root,))]
    return []


def divide(part: Part) -> list[Part]:
    """The sets, if a part has a folder for each among its images, its annotations, or both.

    None, if a file lies outside these folders, or if they don't say what to train and test on.
    """
    if part.images == part.annotations:
        return []
    parts = []
    for name, spellings in SPELLINGS.items():
        images, xmls = (find_folder(each, *spellings) for each in (part.images, part.annotations))
        if images or xmls:
            folders = images or part.images, xmls or part.annotations
            parts.append(Part(part.folder, *folders, set=name))
    is_enough = isinstance(choose_sets([part.set for part in parts]), Choice)
    return parts if is_enough and _files([part]) == _files(parts) else []


def _files(parts: list[Part]) -> set[Path]:
    kinds = (Finder(SUFFIXES), Finder((".xml",)))
    folders = [zip(kinds, (part.images, part.annotations), strict=True) for part in parts]
    return {path for pairs in folders for finder, folder in pairs for path in finder.all(folder)}


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
    for folder in folders:
        for names in (IMAGES, ANNOTATIONS):
            if not find_folder(folder, *names):
                faults.append(Fault(folder / names[0], f"no such folder; {FORMS}"))
    if not faults:
        faults.append(Fault(root, f"no VOC or COCO data here; {FORMS}"))


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


def has_xml(folder: Path, below: bool = True) -> bool:
    """Whether there is an .xml file in a folder, or in those below it."""
    paths = Finder((".xml",)).all(folder)
    return any(below or path.parent == folder for path in paths)


def _years(devkit: Path) -> list[Path]:
    paths = sorted(devkit.iterdir()) if devkit.is_dir() else []
    return [path for path in paths if re.fullmatch(r"VOC\d{4}", path.name) and path.is_dir()]


def _other_format(root: Path) -> str:
    """Say which format that is not read the files are in, '' if they are in none that we know."""
    if [path.name for path in root.glob("*.xml")] == ["annotations.xml"]:
        return "annotations.xml is in CVAT's own format"
    labels = (
        root.glob(pattern) for pattern in ("labels/*.txt", "*/labels/*.txt", "labels/*/*.txt")
    )
    if not has_xml(root) and any(any(paths) for paths in labels):
        return "the labels are in YOLO's format, a text file for each image"
    return ""


def _image_folder(folder: Path) -> Path | None:
    return find_folder(folder, *IMAGES) or find_folder(folder, *ALSO_IMAGES)


def _annotation_folder(folder: Path) -> Path | None:
    if found := find_folder(folder, *ANNOTATIONS):
        return found
    others = (find_folder(folder, name) for name in ALSO_ANNOTATIONS)
    return next((path for path in others if path and has_xml(path)), None)


def _part(root: Path, folder: Path) -> Part | None:
    images, annotations = _image_folder(folder), _annotation_folder(folder)
    if not images or not annotations:
        return None
    if not has_xml(annotations) and any(annotations.glob("*.json")):
        return None  # annotations of another kind
    sets = find_folder(folder, "ImageSets")
    main = sets and find_folder(sets, "Main")
    lists = dict.fromkeys(path for path in (main, sets, folder, root) if path)
    return Part(folder, images, annotations, tuple(lists))


def _set_parts(parent: Path) -> list[Part]:
    parts = []
    for name, spellings in SPELLINGS.items():
        path = find_folder(parent, *spellings)
        if path and has_xml(path):
            images = _image_folder(path) or path
            annotations = _annotation_folder(path) or path
            parts.append(Part(path, images, annotations, set=name))
    return parts
