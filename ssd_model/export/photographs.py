"""Find the photographs that `make detect` is to look at."""

import mimetypes
import os
from pathlib import Path
from typing import NamedTuple

from ssd_model.data.source import ALL_SUFFIXES


class DetectError(ValueError):
    """There are no images to detect in, or the copies cannot be written."""


class Photographs(NamedTuple):
    """The images to detect in."""

    folder: Path
    """The folder that they are in or below."""
    paths: list[Path]
    """The images in order, with those that turn out to be unreadable."""
    unreadable: dict[Path, str]
    """Folders that cannot be read, and why."""


def find_images(images: Path, output: Path) -> Photographs:
    """Find the images to detect in.

    Hidden files are skipped, and so is an `output` inside the folder, with an earlier run's copies.

    Raises:
        DetectError: there is no image, or a copy would overwrite an image.
    """
    if not os.path.lexists(images):
        raise DetectError(f"{images}: no such file or folder")
    if not images.is_dir():
        found = Photographs(images.parent, [images], {})
    else:
        found = Photographs(images, *images_in(images))
    everything, results = found.paths, _real(output)
    if _real(images) in results.parents:
        outside = [path for path in everything if results not in _real(path).parents]
        found = found._replace(paths=outside)
    if not found.paths and not found.unreadable:
        but = f" but those in {output}, where results go: choose another OUTPUT"
        raise DetectError(f"{images} holds no images{but if everything else ''}")
    own = {_real(path) for path in found.paths}
    for path in found.paths:
        target = output / path.relative_to(found.folder)
        if _real(target) in own:
            raise DetectError(f"the copy of {path} would overwrite {target}: choose another OUTPUT")
    return found


def images_in(folder: Path) -> tuple[list[Path], dict[Path, str]]:
    """The images in a folder and those below it, and the folders that cannot be read, and why.

    Linked folders are searched, too, but each folder once: under its own name, if it has one here.
    """
    found, unreadable, seen, todo = [], {}, set(), [folder]

    def refused(error: OSError) -> None:
        what = f"a folder that cannot be read ({error.strerror}); make it readable"
        unreadable[Path(error.filename)] = what

    while todo:  # os.walk goes by all but the links, which are left for later
        for parent, folders, names in os.walk(todo.pop(0), onerror=refused):
            if (real := os.path.realpath(parent)) in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            todo += [Path(parent, name) for name in folders]
            found += [Path(parent, name) for name in names if _is_image(name)]
    return sorted(found), unreadable


def _is_image(name: str) -> bool:
    kind, _ = mimetypes.guess_type(name)  # which knows more on some machines than on others
    named = (kind or "").startswith("image/") or Path(name).suffix.lower() in ALL_SUFFIXES
    return named and not name.startswith(".")


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # resolve() fails at a link to itself
