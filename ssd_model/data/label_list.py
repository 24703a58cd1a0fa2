"""Read the list of classes that may lie in a data folder, label_list."""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ssd_model.data.faults import Fault
from ssd_model.data.files import read_lines
from ssd_model.data.source import BACKGROUND
from ssd_model.data.text import class_name, shorten, why_no_class

LABEL_LISTS = ("label_list", "label_list.txt")
MAX_BYTES = 10_000_000


def find_label_list(folders: Iterable[Path]) -> Path | None:
    """Return the first label_list in these folders."""
    paths = (folder / name for folder in folders for name in LABEL_LISTS)
    return next((path for path in paths if os.path.lexists(path)), None)


def read_label_list(
    root: Path, folders: Iterable[Path], faults: list[Fault]
) -> tuple[str, ...] | None:
    """Return the classes of the first label_list without the background; None if it names none."""
    path = find_label_list(folders)
    if path is None:
        return None
    known = len(faults)
    names = [class_name(line) for line in read_lines(root, path, MAX_BYTES, faults)]
    if names[:1] == [BACKGROUND]:
        names = names[1:]
    if not names and len(faults) == known:
        faults.append(Fault(path, "it names no class; write one per line, or remove the file"))
    for name, count in Counter(names).items():
        if why := why_no_class(name):
            faults.append(Fault(path, f"class {shorten(name)!r} {why}"))
        if count > 1:
            faults.append(Fault(path, f"class {name!r} occurs {count} times; keep one"))
    if BACKGROUND in names:
        faults.append(Fault(path, f"{BACKGROUND!r} may only be the first line"))
    return tuple(names) or None
