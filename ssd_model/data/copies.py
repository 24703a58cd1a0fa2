"""Find images that two sets have in common, be it as copies under another name."""

from collections.abc import Iterable
from pathlib import Path

from ssd_model.data.faults import DataError
from ssd_model.data.files import check_regular
from ssd_model.files import digest_of


def find_copies(known: Iterable[Path], images: Iterable[Path]) -> dict[Path, Path]:
    """Return those of the images that are among the known, by path or byte for byte, and as which.

    Only files of the same size are compared.
    """
    of_images = {path: _size(path) for path in images}
    if not of_images:
        return {}
    of_known = {path: _size(path) for path in known}
    sizes = {*of_known.values()} & {*of_images.values()} - {None}
    digests = {digest_of(path): path for path, size in of_known.items() if size in sizes}
    found = {}
    for path, size in of_images.items():
        same = path if path in of_known else None
        if not same and size in sizes:
            same = digests.get(digest_of(path))
        if same:
            found[path] = same
    return found


def _size(path: Path) -> int | None:
    """The bytes of a file; None if it cannot be read, which is told when it is opened."""
    try:
        return check_regular(path)
    except (OSError, DataError):
        return None
