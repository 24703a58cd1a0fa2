"""Find the images that a COCO file lists."""

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path, PurePath
from urllib.parse import unquote

from ssd_model.data.coco_layout import CocoFile
from ssd_model.data.faults import Fault
from ssd_model.data.files import Finder, ends, plain, take_only
from ssd_model.data.source import APART, NOT_READ, OTHER_SUFFIXES, SUFFIXES, set_of
from ssd_model.data.text import shorten

# Label Studio may put the address of a server before a name, or that of its own folder.
ADDRESS = re.compile(r"(?:.*/data/local-files/\?d=|[^/]*://[^/]*/)(.+)")


class CocoImages:
    """Finds images in one of a file's folders, or, if none is there, anywhere in the data folder.

    A name may begin with folders of another computer. The names of a file lose as many of them,
    and are looked for in the same folder; one that is not there may only lose folders that are not
    there either. So an image that is missing is never replaced by another of its name.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._finder = Finder(SUFFIXES, whole=True)
        self._others = Finder(OTHER_SUFFIXES)

    def name_of(self, file_name: str) -> str:
        """The name to look for: of those that an address may mean, the first that an image has."""
        *names, last = [plain(name) for name in _readings(file_name)]
        there = (n for n in names if self._finder.below(self._root, n.rpartition("/")[2]))
        return next(there, last)

    def locate(
        self, file: CocoFile, names: Collection[str]
    ) -> Iterator[tuple[Path | None, Fault | None]]:
        """Yield for each name its image, or a fault."""
        way = self._choose_way(file, names)
        every = [self._look_on(n, *way) if way else self._anywhere(file, n) for n in names]
        taken = {name.rpartition("/")[2] for name in names}
        places = [way[1]] if way else file.images
        where = ", ".join(str(path.relative_to(self._root.parent)) for path in places)
        for name, found in zip(names, every, strict=True):
            if found:
                wanted = way[1] / _shortened(name, way[0]) if way else self._root / name
                yield take_only(self._root, found, wanted)
            elif other := next(self._unread(file, name), None):
                yield None, Fault(other, NOT_READ)
            elif len(names) > 1 and not any(every):  # the same fault for each counts once
                one = next(iter(names))
                what = f"none of its {len(names):,} images, such as {shorten(one)!r}, is in {where}"
                what += self._renamed(file, one, way, taken) or "; copy them there"
                yield None, Fault(file.path, what)
            else:
                others = ", as others of this file" if way else ""
                what = f"no image {shorten(name)!r} in {where}"
                what += self._renamed(file, name, way, taken) or others
                yield None, Fault(file.path, what)

    def unlisted(self, listed: Collection[Path]) -> list[Path]:
        """The images of the data folder that are not among those listed."""
        return [path for path in self._finder.all(self._root) if path not in listed]

    def _choose_way(self, file: CocoFile, names: Collection[str]) -> tuple[int, Path] | None:
        """How many folders to drop from most names, and the likeliest folder to find any there."""
        depth = max((name.count("/") for name in names), default=0)
        ways = [
            (sum(bool(self._look(name, dropped, folder)) for name in names), dropped, folder)
            for dropped in range(depth + 1)
            for folder in file.images
        ]
        _, best, _ = max(ways, key=lambda way: way[0], default=(0, 0, None))
        found = ((dropped, folder) for count, dropped, folder in ways if count and dropped == best)
        return next(found, None)

    def _look(self, name: str, dropped: int, folder: Path) -> list[Path]:
        return self._finder.find(folder, _shortened(name, dropped))

    def _look_on(self, name: str, dropped: int, folder: Path) -> list[Path]:
        if found := self._look(name, dropped, folder):
            return found
        for end in ends(name):
            parent = end.rpartition("/")[0]
            if found := self._finder.find(folder, end) if parent else []:
                return found
            if (folder / parent).is_dir():
                break
        return []

    def _anywhere(self, file: CocoFile, name: str) -> list[Path]:
        """Find an image anywhere but among those of another set."""
        found = self._finder.below(self._root, name)
        homes = {path: {file.set, set_of(path.parent.relative_to(self._root))} for path in found}
        return [path for path in found if homes[path] not in APART]

    def _unread(self, file: CocoFile, name: str) -> Iterator[Path]:
        """Find images of another kind that have this name, whatever its suffix."""
        for text in (name, name.rpartition(".")[0]):
            yield from _find(self._others, file.images, ends(text))

    def _renamed(
        self, file: CocoFile, name: str, way: tuple[int, Path] | None, taken: Collection[str]
    ) -> str:
        """Say which image, not listed itself, has this name but for its suffix; '' if none has."""
        stem = name.rpartition(".")[0] if _has_suffix(name) else ""
        wanted = [_shortened(stem, way[0])] if way else ends(stem)
        folders = [way[1]] if way else file.images
        for path in _find(self._finder, folders, wanted):
            if path.name not in taken:
                return f", but {path.name} is there: correct the names in {file.path.name}"
        return ""


def _find(finder: Finder, folders: Collection[Path], names: Iterable[str]) -> Iterator[Path]:
    for name in filter(None, names):
        for folder in folders:
            yield from finder.find(folder, name)


def _readings(file_name: str) -> list[str]:
    """The names that a file_name may mean. A # or ?, and what looks encoded, may be part of one."""
    address = ADDRESS.fullmatch(file_name)
    if not address:
        return [file_name]
    whole = address[1]
    bare = re.split("[?#]", whole, maxsplit=1)[0]
    names = [whole, bare]
    if _has_suffix(bare) and "/" in unquote(whole[len(bare) :]):
        names = [bare]  # what ends such a query, as in a.jpg?from=/b.jpg, is not the image
    names = [form for name in names for form in (name, unquote(name))]
    return [name for name in names if _has_suffix(name)] or names


def _has_suffix(name: str) -> bool:
    return PurePath(name).suffix.lower() in SUFFIXES


def _shortened(name: str, dropped: int) -> str:
    """The name without so many of its first folders."""
    parts = name.split("/")
    return "/".join(parts[min(dropped, len(parts) - 1) :])
