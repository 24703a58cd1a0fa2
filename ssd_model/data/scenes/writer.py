"""Write the tutorial's own data set: drawn street scenes with signs, as a Pascal VOC folder.

python -m ssd_model.data.scenes --out build/data/signs
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from tqdm import tqdm

from ssd_model.data.scenes.compose import Scene, SignBox, compose
from ssd_model.data.scenes.signs import CLASSES

VERSION = 1
"""Raise this when the drawing changes, so that older folders are drawn again."""

SPLITS = ("trainval", "test")
_MADE_BY = "ssd_model.data.scenes"
_STAMP = "scenes.json"
_ENTRIES = {"JPEGImages", "Annotations", "ImageSets", "label_list", _STAMP}
_FEWEST_FOR_POOL = 16


def write_scenes(
    folder: Path,
    trainval: int = 1000,
    test: int = 250,
    seed: int = 0,
    processes: int | None = None,
) -> Path:
    """Write a data set of drawn scenes in the Pascal VOC layout.

    The same seed gives the same files, and a larger set begins with the scenes of a smaller
    one. A folder that already holds the requested set is left alone; a folder with another set
    written by this function is replaced.

    Args:
        folder: where to write the set.
        trainval: number of pictures to train on.
        test: number of pictures to test on.
        seed: 0 or more; another seed gives other scenes.
        processes: how many processes draw; None means one per processor. A script that calls
            this outside `if __name__ == "__main__"` must pass 1, because every new process
            imports the script again.

    Returns:
        The folder.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
        ValueError: a number is negative.
    """
    if min(trainval, test, seed) < 0:
        raise ValueError("trainval, test and seed must not be negative")
    folder = Path(folder)
    stamp = {
        "made_by": _MADE_BY,
        "version": VERSION,
        "seed": seed,
        "trainval": trainval,
        "test": test,
    }
    if _is_complete(folder, stamp):
        return folder
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as workshop:
        fresh = Path(workshop) / "fresh"
        _write_set(fresh, {"trainval": trainval, "test": test}, seed, processes)
        (fresh / _STAMP).write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
        _replace(folder, fresh)
    return folder


def _is_complete(folder: Path, stamp: dict[str, object]) -> bool:
    return _read_stamp(folder) == stamp


def _read_stamp(folder: Path) -> dict[str, object] | None:
    """Read the folder's stamp; None if the folder was not written here."""
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and stamp.get("made_by") == _MADE_BY else None


def _refuse_foreign(folder: Path) -> None:
    """Raise unless the folder is missing, empty, or holds only what was written here."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is not a folder")
    found = {entry.name for entry in folder.iterdir()}
    if found and _read_stamp(folder) is None:
        raise FileExistsError(
            f"{folder} holds something other than drawn scenes; choose another folder or empty it"
        )
    if strangers := found - _ENTRIES:
        raise FileExistsError(
            f"{folder} holds drawn scenes that are out of date, but also {sorted(strangers)}; "
            "move these away or choose another folder"
        )


def _replace(folder: Path, fresh: Path) -> None:
    """Put the fresh folder in place of the old one, if there is one.

    The old folder is moved aside first, to be removed with the temporary folder. If the process
    were killed while removing it in place, the rest would look like somebody else's folder.
    """
    target = folder.resolve()
    if target.exists():
        target.rename(fresh.with_name("old"))
    fresh.rename(target)


def _write_set(fresh: Path, counts: dict[str, int], seed: int, processes: int | None) -> None:
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (fresh / name).mkdir(parents=True)
    for split, count in counts.items():
        names = "".join(f"{_name(split, i)}\n" for i in range(count))
        _write_text(fresh / "ImageSets" / "Main" / f"{split}.txt", names)
    _write_text(fresh / "label_list", "".join(f"{name}\n" for name in CLASSES))
    jobs = [(split, index) for split, count in counts.items() for index in range(count)]
    with tqdm(total=len(jobs), desc="drawing scenes", unit="scene", disable=None) as progress:
        for _ in _work(partial(_write_scene, fresh, seed), jobs, processes):
            progress.update()


def _work(
    write: "partial[None]", jobs: list[tuple[str, int]], processes: int | None
) -> Iterator[None]:
    """Do all jobs, in several processes if there are enough jobs."""
    processes = processes or os.cpu_count() or 1
    if processes == 1 or not _main_can_be_imported() or len(jobs) < _FEWEST_FOR_POOL:
        yield from map(write, jobs)
        return
    # Fresh processes, since a fork of one with threads, such as a notebook's, may hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        yield from pool.map(write, jobs, chunksize=8)


def _main_can_be_imported() -> bool:
    """Whether a new process could import the program; not if it came from standard input."""
    file = getattr(sys.modules["__main__"], "__file__", None)
    return file is None or Path(file).exists()


def _name(split: str, index: int) -> str:
    return f"{split}_{index:05d}"


def draw_scene(seed: int, split: str, index: int) -> Scene:
    """Draw one scene of a set; it depends only on these three arguments.

    Args:
        seed: seed of the set, 0 or more.
        split: one of SPLITS.
        index: number of the scene in its split, from 0.
    """
    return compose(np.random.default_rng([seed, SPLITS.index(split), index]))


def _write_scene(folder: Path, seed: int, job: tuple[str, int]) -> None:
    scene, name = draw_scene(seed, *job), _name(*job)
    (folder / "JPEGImages" / f"{name}.jpg").write_bytes(scene.jpeg)
    _write_text(folder / "Annotations" / f"{name}.xml", annotation(scene, f"{name}.jpg"))


def annotation(scene: Scene, filename: str) -> str:
    """Write the Pascal VOC annotation of a scene as XML text.

    VOC counts pixels from 1, and a box includes its last row and column.
    """
    root = ElementTree.Element("annotation")
    _add(root, "folder", "JPEGImages")
    _add(root, "filename", filename)
    size = _add(root, "size")
    for tag, value in (("width", scene.width), ("height", scene.height), ("depth", 3)):
        _add(size, tag, value)
    _add(root, "segmented", 0)
    for sign in scene.signs:
        _add_object(root, sign)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, tag: str, value: object = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, tag)
    child.text = None if value is None else str(value)
    return child


def _add_object(root: ElementTree.Element, sign: SignBox) -> None:
    item = _add(root, "object")
    _add(item, "name", sign.name)
    _add(item, "pose", "Unspecified")
    _add(item, "truncated", int(sign.truncated))
    _add(item, "difficult", int(sign.difficult))
    box = _add(item, "bndbox")
    left, top, right, bottom = sign.box
    for tag, value in (("xmin", left + 1), ("ymin", top + 1), ("xmax", right), ("ymax", bottom)):
        _add(box, tag, value)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Run the command line of this module."""
    sys.stdout.reconfigure(errors="backslashreplace")  # names of the user's in any encoding
    parser = argparse.ArgumentParser(description="Draw road sign scenes as a Pascal VOC folder.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--trainval", type=int, default=1000, help="pictures to train on")
    parser.add_argument("--test", type=int, default=250, help="pictures to test on")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other scenes")
    args = parser.parse_args()
    try:
        folder = write_scenes(args.out, args.trainval, args.test, args.seed)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    print(f"{args.trainval} + {args.test} scenes in {folder}")
