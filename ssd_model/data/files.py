"""Find and read files of an untrusted data folder: only regular ones inside it, up to a limit."""

import codecs
import os
import re
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePath

from ssd_model.data.faults import DataError, Fault
from ssd_model.data.text import fold, has_control, listed

LONGEST_PATH = 400
BLANKS = b" \t\r\n\0" + codecs.BOM_UTF8 + codecs.BOM_UTF16
LEFTOVERS = ("._", ".DS_Store", ".git", ".ipynb_checkpoints", ".thumbnails", ".Trash", "__MACOSX")
"""How the names of files and folders begin that a system or tool makes for itself."""
LEADS_OUT = "is not a name inside the data folder"


def check_regular(path: str | Path) -> int:
    """Return the size in bytes of a regular file; reading a pipe or device might never end.

    Raises DataError if it is not a regular file, OSError if there is none.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError("not a regular file; replace it with the file itself")
    return status.st_size


def read_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a regular file.

    Raises DataError if it is something else or has more than `limit` bytes, OSError if it cannot
    be read.
    """
    size = check_regular(path)
    if size > limit:
        raise DataError(f"{size:,} bytes, above the limit of {limit:,}; split or shorten it")
    return path.read_bytes()


def read_lines(root: Path, path: Path, limit: int, faults: list[Fault]) -> list[str]:
    """Read the lines of a text file that are not blank, without the blanks around them.

    It is in UTF-8, or in the UTF-16 of Windows.
    """
    if not check_inside(root, path, faults):
        return []
    try:
        content = read_bytes(path, limit)
        is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
    except (OSError, DataError) as error:
        faults.append(Fault(path, f"cannot be read ({error})"))
        return []
    except UnicodeDecodeError as error:
        faults.append(Fault(path, f"not readable as UTF-8 text ({error}); save it as UTF-8"))
        return []
    # Not splitlines() and strip(): a file's name may contain other kinds of blanks.
    lines = (line.strip(" \t") for line in re.split(r"\r\n?|\n", text))
    return [line for line in lines if line]


def is_blank(path: Path) -> bool:
    """Whether a list is a file without a name in it."""
    is_small = path.is_file() and path.stat().st_size < 100
    return is_small and not path.read_bytes().strip(BLANKS)


def check_inside(root: Path, path: Path, faults: list[Fault]) -> bool:
    """Check that `path` is inside `root` after all links are followed; if not, add a fault."""
    inside = Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))
    if not inside:
        faults.append(Fault(path, f"a link that leads outside {root}; copy its target there"))
    return inside


def take_only(root: Path, images: list[Path], wanted: Path) -> tuple[Path | None, Fault | None]:
    """Return the only one of the images that were found for a name, or a fault."""
    faults: list[Fault] = []
    if len(images) > 1:
        names = listed([os.path.relpath(path, wanted.parent) for path in images])
        what = f"more than one image of this name: {names}; keep one"
        faults.append(Fault(wanted, what))
    elif check_inside(root, images[0], faults):
        return images[0], None
    return None, faults[0]


def plain(name: str) -> str:
    """Normalise a path from a list or an annotation: a '/' between its parts, no './' before it.

    One that comes from another folder or computer, as ../a.jpg or an absolute one, is made
    relative: see `ends`.
    """
    name = re.sub("/+", "/", name.replace("\\", "/"))
    return re.sub(r"^(/|[A-Za-z]:/|\.\.?/)+", "", name)


def ends(name: str) -> Iterator[str]:
    """Yield a path, then the path without its first folder, without its first two, and so on."""
    # The first folders may be those of another computer.
    parts = name.split("/")
    return ("/".join(parts[i:]) for i in range(len(parts)))


def is_inside(name: str) -> bool:
    """Whether a path from `plain` can name a file in the data folder."""
    leads_out = {"", ".", ".."} & {*name.split("/")} or re.match(r"[A-Za-z]:", name)
    return not leads_out and len(name) <= LONGEST_PATH and not has_control(name)


class Finder:
    """Finds files by names that people wrote. Lists each folder only once.

    The suffix may be missing. If no file has exactly this name, a file whose name looks the same
    (`fold`) will do, if it is the only one.

    Args:
        whole: whether a name that ends in one of the suffixes has its own: then a.jpg is not a
            file a.jpg.png.
    """

    def __init__(self, suffixes: Collection[str], whole: bool = False) -> None:
        self._suffixes = suffixes
        self._whole = whole
        self._listings: dict[Path, tuple[dict[str, list[Path]], dict[str, list[Path]]]] = {}
        self._ends: dict[Path, dict[str, list[Path]]] = {}

    def find(self, folder: Path, name: str) -> list[Path]:
        """Return the files in `folder` that `name` may mean: none, one, or several."""
        *parents, last = name.split("/")
        for parent in parents:
            folders = [path for path in self._look_up(folder, parent) if path.is_dir()]
            if len(folders) != 1:
                return []
            (folder,) = folders
        found = [path for path in self._look_up(folder, last) if not path.is_dir()]
        whole = [path for path in found if path.name == last]
        return whole or found

    def below(self, folder: Path, name: str) -> list[Path]:
        """Return the files in `folder` and below it whose path ends in `name`, suffix or not."""
        if folder not in self._ends:
            self._ends[folder] = {}
            for path in self.all(folder):
                for form in self._forms(path.relative_to(folder)):
                    for end in ends(form):
                        self._ends[folder].setdefault(fold(end), []).append(path)
        return self._ends[folder].get(fold(name), [])

    def all(self, folder: Path) -> list[Path]:
        """Return all files with the suffixes in `folder` and the folders below it, sorted."""
        return self._walk(folder, is_hidden)

    def hidden(self, folder: Path) -> list[Path]:
        """Return the files that `all` leaves out, although they are no system's or tool's own."""
        shown = {*self.all(folder)}
        return [path for path in self._walk(folder, is_leftover) if path not in shown]

    def _walk(self, folder: Path, is_skipped: Callable[[str], bool]) -> list[Path]:
        found = []
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not is_skipped(name)]
            found += [Path(parent, name) for name in names if not is_skipped(name)]
        return sorted(filter(self._is_one, found))

    def _look_up(self, folder: Path, name: str) -> list[Path]:
        exact, folded = self._list(folder)
        return exact.get(name) or folded.get(fold(name), [])

    def _list(self, folder: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        if folder not in self._listings:
            exact: dict[str, list[Path]] = {}
            folded: dict[str, list[Path]] = {}
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                names = self._forms(PurePath(path.name)) if self._is_one(path) else set()
                if not names and path.is_dir():
                    names = {path.name}
                for name in names:
                    exact.setdefault(name, []).append(path)
                for name in {fold(name) for name in names}:
                    folded.setdefault(name, []).append(path)
            self._listings[folder] = exact, folded
        return self._listings[folder]

    def _is_one(self, path: PurePath) -> bool:
        return path.suffix.lower() in self._suffixes

    def _forms(self, path: PurePath) -> set[str]:
        """The names that a file may be called by."""
        name = path.as_posix()
        bare = name.removesuffix(path.suffix)
        return {name} if self._whole and self._is_one(PurePath(bare)) else {name, bare}


def is_hidden(name: str) -> bool:
    """Whether a file or folder is passed over."""
    return name.startswith(".") or is_leftover(name)


def is_leftover(name: str) -> bool:
    """Whether a file or folder is a system's or tool's own, such as a Mac's ._a.xml."""
    return name.startswith(LEFTOVERS) or name.lower().endswith(".aux.xml")  # of GDAL


def find_folder(parent: Path, *names: str) -> Path | None:
    """Return the first folder in `parent` with one of these names, or one in another case."""
    for name in names:
        if (parent / name).is_dir():
            return parent / name
    wanted = {name.casefold() for name in names}
    found = parent.iterdir() if parent.is_dir() else []
    alike = sorted(path for path in found if path.name.casefold() in wanted)
    return next((path for path in alike if path.is_dir()), None)
