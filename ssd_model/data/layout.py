"""Finds the files of a VOC data folder: its forms, image sets, images and class list."""

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ssd_model.data.annotation import shorten, why_no_class
from ssd_model.data.faults import DataError, Fault
from ssd_model.data.files import read_bytes

MAX_BYTES = 50_000_000  # of an image set: a million ids
LONGEST_ID = 200
PARTS = ("JPEGImages", "Annotations", "ImageSets/Main")
YEARS = ("VOC2007", "VOC2012")
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
BACKGROUND = "background"
FORMS = (
    "accepted are a VOC folder (JPEGImages/, Annotations/, and in ImageSets/Main/ a test.txt "
    "and a trainval.txt, or train.txt with val.txt), a VOCdevkit folder with VOC2007 and/or "
    "VOC2012 in it, or the folder that holds VOCdevkit"
)


@dataclass(frozen=True)
class Entry:
    """One image id of an image set, with its VOC folder and the list that names it."""

    folder: Path
    id: str
    source: Path = field(compare=False)  # an image may be in both splits

    @property
    def annotation(self) -> Path:
        return self.folder / "Annotations" / f"{self.id}.xml"


def find_folders(root: Path, faults: list[Fault]) -> list[Path]:
    """Return the VOC folders in `root`, VOC2007 first. Adds what is missing to `faults`."""
    if not root.is_dir():
        faults.append(Fault(root, f"no such folder; {FORMS}"))
        return []
    folders = _candidates(root)
    if not folders:
        faults.append(Fault(root, f"no VOC data here; {FORMS}"))
    for part in (folder / part for folder in folders for part in PARTS):
        if not part.is_dir():
            faults.append(Fault(part, f"no such folder; {FORMS}"))
        else:
            _check_inside(root, part, faults)
    return folders


def _candidates(root: Path) -> list[Path]:
    if any((root / part).is_dir() for part in PARTS):
        return [root]
    for devkit in (root, root / "VOCdevkit"):
        years = [devkit / year for year in YEARS if (devkit / year).is_dir()]
        if years:
            return years
    return []


def list_entries(root: Path, folders: list[Path], split: str, faults: list[Fault]) -> list[Entry]:
    """Return the entries of a split in file order, each once, less those with a fault.

    trainval is that of all folders; test is that of the first, VOC2007 if it is there.
    """
    known = len(faults)
    entries: dict[tuple[Path, str], Entry] = {}
    for folder in folders if split == "trainval" else folders[:1]:
        for source in _image_sets(folder / "ImageSets" / "Main", split, faults):
            for id_ in _read_ids(root, source, faults):
                entries.setdefault((folder, id_), Entry(folder, id_, source))
    if not entries and len(faults) == known:
        where = folders[0] / "ImageSets" / "Main"
        faults.append(Fault(where, f"the {split} split has no image id; add ids, one a line"))
    return [entry for entry in entries.values() if _is_usable(root, entry, faults)]


def _is_usable(root: Path, entry: Entry, faults: list[Fault]) -> bool:
    if not _is_plain(entry.id):
        what = f"id {shorten(entry.id)!r} is not a name inside the data folder; remove the line"
        faults.append(Fault(entry.source, what))
        return False
    return _check_inside(root, entry.annotation, faults)


def _is_plain(id_: str) -> bool:
    # '\\' and ':' would be a path or a drive on Windows only: refuse them everywhere.
    parts = id_.split("/")
    return (
        len(id_) <= LONGEST_ID
        and id_.isprintable()
        and not ({"", ".", ".."} & {*parts})
        and not ({"\\", ":"} & {*id_})
    )


def _image_sets(main: Path, split: str, faults: list[Fault]) -> list[Path]:
    sets = [main / f"{split}.txt"]
    halves = [main / "train.txt", main / "val.txt"]
    if split == "trainval" and not sets[0].is_file() and any(half.is_file() for half in halves):
        sets = halves
    for path in sets:
        if not path.is_file():
            faults.append(Fault(path, f"no such image set; {FORMS}"))
    return [path for path in sets if path.is_file()]


def _read_ids(root: Path, path: Path, faults: list[Fault]) -> list[str]:
    # The per-class sets of VOC have a second column; a name may have spaces.
    return [re.sub(r"\s+(-1|0|1)$", "", line) for line in _read_lines(root, path, faults)]


def _read_lines(root: Path, path: Path, faults: list[Fault]) -> list[str]:
    """The stripped lines of a UTF-8 text file that are not blank."""
    if not _check_inside(root, path, faults):
        return []
    try:
        text = read_bytes(path, MAX_BYTES).decode("utf-8-sig")
    except (OSError, DataError, UnicodeDecodeError) as error:
        faults.append(Fault(path, f"not readable as UTF-8 text ({error})"))
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_label_list(root: Path, faults: list[Fault]) -> tuple[str, ...] | None:
    """Return the classes of `root`/label_list without background, None if it names none."""
    path = root / "label_list"
    if not os.path.lexists(path):
        return None
    known = len(faults)
    names = _read_lines(root, path, faults)
    if names[:1] == [BACKGROUND]:
        names = names[1:]
    if not names and len(faults) == known:
        faults.append(Fault(path, "no class in it; write one a line or remove the file"))
    for name, count in Counter(names).items():
        if why := why_no_class(name):
            faults.append(Fault(path, f"class {shorten(name)!r} {why}"))
        if count > 1:
            faults.append(Fault(path, f"class {name!r} is there {count} times; keep one"))
    if BACKGROUND in names:
        faults.append(Fault(path, f"{BACKGROUND!r} may only be the first line"))
    return tuple(names) or None


def _check_inside(root: Path, path: Path, faults: list[Fault]) -> bool:
    """Whether `path`, all links followed, lies in `root`."""
    inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    if not inside:
        faults.append(Fault(path, f"a link that leads outside {root}; copy its target there"))
    return inside


class ImageFinder:
    """Finds the image of an id, whatever the case of its suffix. Lists each folder once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listings: dict[Path, dict[str, list[Path]]] = {}

    def find(self, entry: Entry, faults: list[Fault]) -> Path | None:
        """Return the image file of an entry, None (and a fault) if there is none to use."""
        stem = entry.folder / "JPEGImages" / entry.id
        found = self._list(stem.parent).get(stem.name, [])
        if len(found) == 1:
            return found[0] if _check_inside(self._root, found[0], faults) else None
        if found:
            names = ", ".join(path.name for path in found)
            faults.append(Fault(stem, f"more than one image of this name: {names}; keep one"))
        else:
            faults.append(Fault(stem, f"no image of this name with {' '.join(SUFFIXES)}"))
        return None

    def _list(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._listings:
            listing = self._listings[folder] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if path.suffix.lower() in SUFFIXES:
                    listing.setdefault(path.stem, []).append(path)
        return self._listings[folder]
