"""Find the parts of a VOC data folder, whatever tool made it."""

import re
from dataclasses import dataclass
from pathlib import Path

from ssd_model.data.faults import Fault
from ssd_model.data.files import Finder, check_inside, find_folder
from ssd_model.data.source import SPELLINGS

IMAGES = ("JPEGImages", "images")
ANNOTATIONS = ("Annotations",)
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
    if has_xml(root, below=False):
        return [Part(root, root, root, (root,))]
    return []


def find_missing(root: Path, faults: list[Fault]) -> None:
    """Add to `faults` what keeps `root` from being a data folder."""
    if not root.is_dir():
        faults.append(Fault(root, f"no such folder; {FORMS}"))
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
    """Add to `faults` the links that lead out of the data folder."""
    for part in parts:
        for folder in dict.fromkeys((part.images, part.annotations, *part.lists)):
            check_inside(root, folder, faults)


def has_xml(folder: Path, below: bool = True) -> bool:
    """Whether there is an .xml file in a folder, or in those below it."""
    paths = Finder((".xml",)).all(folder)
    return any(below or path.parent == folder for path in paths)


def _years(devkit: Path) -> list[Path]:
    paths = sorted(devkit.iterdir()) if devkit.is_dir() else []
    return [path for path in paths if re.fullmatch(r"VOC\d{4}", path.name) and path.is_dir()]


def _part(root: Path, folder: Path) -> Part | None:
    images = find_folder(folder, *IMAGES)
    annotations = find_folder(folder, *ANNOTATIONS)
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
            images = find_folder(path, *IMAGES) or path
            annotations = find_folder(path, *ANNOTATIONS) or path
            parts.append(Part(path, images, annotations, set=name))
    return parts
