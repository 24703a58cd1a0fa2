"""Read the lists of a Pascal VOC folder, and those of the tools that write its like."""

import os
import re
from pathlib import Path, PurePath

from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import LEADS_OUT, check_inside, is_inside, plain, read_lines
from ssd_model.data.layout import Part
from ssd_model.data.pairs import NO_IMAGE, Pairs
from ssd_model.data.source import ALL_SUFFIXES, SUFFIXES, Entry
from ssd_model.data.text import fold, listed, shorten

MAX_BYTES = 50_000_000  # of an image set: a million ids
# VOC's lists for single classes have a second column.
FLAG = re.compile(r"[ \t]+(-1|0|1)$")
# CVAT's lists have an id with blanks in quotation marks.
QUOTED = re.compile(r'^"(.+)"(?=$|[ \t])')
# A line of the original's lists, and of PaddleDetection's
PAIR = re.compile(rf"(.+?(?:{'|'.join(map(re.escape, SUFFIXES))}))[ \t]+(.+\.xml)", re.IGNORECASE)


class ListReader:
    """Reads lists into entries. Adds the faults of their lines to `faults`.

    Args:
        parts: those of the data folder; an image may be in another one than its list.
    """

    def __init__(self, root: Path, parts: list[Part], pairs: Pairs, faults: list[Fault]) -> None:
        self._root = root
        self._parts = parts
        self._pairs = pairs
        self._faults = faults

    def read(self, part: Part, sources: list[Path], notes: list[Note]) -> list[Entry]:
        """Read the lists of a set, and make notes of the lines that repeat an image."""
        entries: dict[Entry, None] = {}
        plain_lists = []
        for source in sources:
            lines = read_lines(self._root, source, MAX_BYTES, self._faults)
            lines = [QUOTED.sub(r"\1", line) for line in lines]
            known = {*lines}
            flagged = all(FLAG.search(line) for line in lines)
            plain_lists += [] if flagged else [source.name]
            found = (self._read_line(part, source, line, known, flagged) for line in lines)
            for entry in filter(None, found):
                if entry in entries and len(sources) == 1:
                    what = f"{(entry.image or entry.annotation).name} is listed again"
                    notes.append(Note(source, what, "lines that repeat an image, counted once: {}"))
                entries[entry] = None
        if len(plain_lists) > 1:
            notes.append(Note(sources[0], f"lists that are joined: {listed(plain_lists)}"))
        return list(entries)

    def is_list(self, part: Part, source: Path) -> bool:
        """Whether a text names an image, or each of its lines might: it has a flag or a suffix."""
        lines = read_lines(self._root, source, MAX_BYTES, self._faults)
        if all(FLAG.search(x) or PurePath(x).suffix.lower() in ALL_SUFFIXES for x in lines):
            return True
        return any(entry.image for entry in self.read(part, [source], []))

    def _read_line(
        self, part: Part, source: Path, line: str, known: set[str], flagged: bool
    ) -> Entry | None:
        if pair := PAIR.fullmatch(line):
            names = [plain(name) for name in pair.groups()]
            if all(map(is_inside, names)):
                return self._read_pair(part, source, line, *names)
            return self._refuse(source, f"line {shorten(line)!r} {LEADS_OUT}; remove it")
        name, bare = plain(line), plain(FLAG.sub("", line))
        if not is_inside(bare):
            return self._refuse(source, f"id {shorten(line)!r} {LEADS_OUT}; remove the line")
        images = self._pairs.find_images(part, name) if is_inside(name) else []
        if bare != name:
            others = self._pairs.find_images(part, bare)
            if images and others and flagged:
                names = f"{images[0].name}, or {others[0].name} and a flag"
                return self._refuse(source, f"line {shorten(line)!r} may mean {names}; rename one")
            if not images and bare in known and not flagged:
                what = f"{NO_IMAGE}, and {shorten(bare)!r} has its own line"
                return self._refuse(source, f"line {shorten(line)!r}: {what}; correct it")
            if not images:
                name, images = bare, others
        first = plain(re.split(r"[ \t]", line)[0])
        if not images and is_inside(first) and self._pairs.find_images(part, first):
            what = f"{NO_IMAGE}; if {shorten(first)!r} is the name, remove the rest"
            return self._refuse(source, f"line {shorten(line)!r}: {what}")
        image, fault = self._pairs.pick(images, part.images, name)
        if fault:
            fault = self._name_line(fault, source, line, self._of_other_kinds(part, name))
        return self._read_single(part, image, name, source, fault)

    def _read_pair(self, part: Part, source: Path, line: str, image: str, xml: str) -> Entry | None:
        images, xmls = self._pairs.find_both(part, image, xml)
        wanted = fold(PurePath(image).name)  # with its suffix: a.jpg is not a file a.jpg.png
        exact = [path for path in images if fold(path.name) == wanted]
        path, fault = self._pairs.pick(exact, self._root, image)
        if fault:
            others = images or self._of_other_kinds(part, image)
            fault = self._name_line(fault, source, line, others)
        return self._make(path, xmls, self._root / xml, source, fault)

    def _of_other_kinds(self, part: Part, name: str) -> list[Path]:
        """The images that have this name but for its suffix."""
        suffix = PurePath(name).suffix
        is_image = suffix.lower() in ALL_SUFFIXES
        return self._pairs.find_images(part, name.removesuffix(suffix)) if is_image else []

    def _name_line(self, fault: Fault, source: Path, line: str, others: list[Path]) -> Fault:
        """If a fault is that no image has the name in a line, let it name the list and line."""
        if not fault.what.startswith(NO_IMAGE):
            return fault
        what = fault.what
        if others:
            what = f"{NO_IMAGE}, only {others[0].name}; correct the suffix, or add the image"
        return Fault(source, f"line {shorten(line)!r}: {what}")

    def _read_single(
        self, part: Part, image: Path | None, name: str, source: Path, fault: Fault | None
    ) -> Entry | None:
        if image:
            part = next((each for each in self._parts if image.is_relative_to(each.images)), part)
        if image and image.is_relative_to(part.images):
            name = image.relative_to(part.images).as_posix()
        elif image:
            name = image.name
        suffix = image.suffix if image else ""
        found = self._pairs.annotations_of(part, name, suffix)
        wanted = part.annotations / f"{name.removesuffix(suffix)}.xml"
        return self._make(image, found, wanted, source, fault)

    def _make(
        self,
        image: Path | None,
        annotations: list[Path],
        wanted: Path,
        source: Path,
        fault: Fault | None,
    ) -> Entry | None:
        """Make an entry of an image and its only annotation; `wanted` if there is none."""
        if len(annotations) > 1 and image:
            names = listed([os.path.relpath(path, wanted.parent) for path in annotations])
            what = f"more than one annotation of this name: {names}; keep one"
            return self._refuse(wanted.with_suffix(""), what)
        annotation = annotations[0] if annotations else wanted
        inside = check_inside(self._root, annotation, self._faults)
        return Entry(image, annotation, None, source, fault) if inside else None

    def _refuse(self, path: Path, what: str) -> None:
        self._faults.append(Fault(path, what))
