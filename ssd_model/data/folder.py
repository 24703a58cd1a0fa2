"""Read a data folder in any accepted form."""

from collections.abc import Iterable
from pathlib import Path

from ssd_model.data.coco import CocoFolder
from ssd_model.data.coco_layout import find_coco_files
from ssd_model.data.faults import DataError, Fault, Note, tell
from ssd_model.data.files import Finder, is_hidden
from ssd_model.data.layout import find_missing, find_parts
from ssd_model.data.records import Split
from ssd_model.data.scan import scan
from ssd_model.data.source import SPLITS, SUFFIXES, Source
from ssd_model.data.text import counted, listed
from ssd_model.data.voc import VocFolder

SHOWN_FAULTS = 10


def read_data(data_dir: str | Path, split: str, limit: int | None = None) -> Split:
    """Read one split, "trainval" or "test", of a Pascal VOC or COCO folder.

    Prints a line for each kind of the split's notes, which say what was tolerated.

    The classes are those of `data_dir`/label_list or of the COCO categories; otherwise all names
    in the annotations of both splits, sorted. So they do not depend on `limit`.

    Args:
        limit: maximum number of images, drawn at random, always the same ones; every class is
            included if it fits.

    Raises DataError with the first faults if the folder has any in this split.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, want one of {', '.join(SPLITS)}")
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}, want at least 1")
    splits, faults = scan_data(data_dir, (split,), limit)
    if faults:
        raise DataError(_describe(data_dir, faults))
    for line in tell(splits[split].notes):
        print(line)
    return splits[split]


def find_faults(data_dir: str | Path) -> list[Fault]:
    """Return all faults of both splits."""
    return scan_data(data_dir)[1]


def scan_data(
    data_dir: str | Path, splits: Iterable[str] = SPLITS, limit: int | None = None
) -> tuple[dict[str, Split], list[Fault]]:
    """Return the requested splits without what is faulty, and all their faults."""
    faults: list[Fault] = []
    try:
        source = _open(Path(data_dir), faults)
        found = scan(source, splits, limit, faults) if source else {}
    except OSError as error:
        # For example, a folder that may not be listed, or a path that is too long
        faults.append(Fault(Path(error.filename or data_dir), f"cannot be read ({error.strerror})"))
        found = {}
    return found, list(dict.fromkeys(faults))


def _open(root: Path, faults: list[Fault]) -> Source | None:
    """The source for a folder; None if its form is not known."""
    parts = find_parts(root) if root.is_dir() else []
    files = find_coco_files(root)
    if parts:
        source = VocFolder(root, parts, faults)
        if files:
            names = listed([str(file.path.relative_to(root)) for file in files])
            told = f"VOC annotations are read, not COCO's in {names}"
            source.notes["trainval"].append(Note(root, told))
        return source
    if files:
        return CocoFolder(root, files, faults)
    find_missing(root, faults)
    if below := _below([root]) or _below(_folders(root)):
        names = listed([str(path.relative_to(root)) for path in below])
        what = "name that folder"
        if len(below) > 1:
            what = "name one, or put all in one, or make them folders train and test"
        if len(below) > 1 and all((path / "VOCdevkit").is_dir() for path in below):
            what = "name one, or merge their VOCdevkit folders into one"  # as VOC2007's two
        faults[:] = [Fault(root, f"no data in this folder itself, but in {names}: {what}")]
    return None


def _folders(root: Path) -> list[Path]:
    paths = sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in paths if path.is_dir() and not is_hidden(path.name)]


def _below(parents: list[Path]) -> list[Path]:
    """The folders in these that would be accepted; a downloaded archive often holds one."""
    return [
        path
        for parent in parents
        for path in _folders(parent)
        if (find_coco_files(path) or find_parts(path)) and Finder(SUFFIXES).all(path)
    ]


def _describe(data_dir: str | Path, faults: list[Fault]) -> str:
    lines = [f"{counted(len(faults), 'fault')} in {data_dir}:"]
    lines += [f"  {fault}" for fault in faults[:SHOWN_FAULTS]]
    if len(faults) > SHOWN_FAULTS:
        lines.append(f"  ... and {len(faults) - SHOWN_FAULTS} more")
    lines.append(f"All of them: make check-data DATA_DIR={data_dir}")
    return "\n".join(lines)
