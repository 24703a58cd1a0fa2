"""Read the lists of a Pascal VOC folder and its annotations."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from ssd_model.data.annotation import Annotation, read_annotation
from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import (
    LEADS_OUT,
    check_inside,
    is_blank,
    is_inside,
    plain,
    read_lines,
)
from ssd_model.data.label_list import read_label_list
from ssd_model.data.layout import (
    Part,
    check_parts,
    divide,
    find_lists,
    outside,
    unread_lists,
)
from ssd_model.data.pairs import Pairs, find_shared
from ssd_model.data.source import (
    SPLITS,
    Choice,
    Entry,
    choose_sets,
    draw_test,
    or_draw,
    unused,
)
from ssd_model.data.text import shorten

MAX_BYTES = 50_000_000  # of an image set: a million ids
# VOC's lists for single classes have a second column.
FLAG = re.compile(r"[ \t]+(-1|0|1)$")
# CVAT's lists have an id with blanks in quotation marks.
QUOTED = re.compile(r'^"(.+)"(?=$|[ \t])')
# A line of the original's lists, and of PaddleDetection's
PAIR = re.compile(r"(.+?\.(?:jpg|jpeg|jfif|png|bmp))[ \t]+(.+\.xml)", re.IGNORECASE)

Sets = dict[str, Callable[[list[Note]], list[Entry]]]
"""Functions that return the entries of a set and add to the notes, by the set's name."""


class VocFolder:
    """A `Source` for a VOC folder, a VOCdevkit, or images beside their annotations.

    Adds the lists' faults to `faults`.
    """

    def __init__(self, root: Path, parts: list[Part], faults: list[Fault]) -> None:
        self.root = root
        self.notes: dict[str, list[Note]] = {name: [] for name in SPLITS}
        self.splits: dict[str, list[Entry]] = {name: [] for name in SPLITS}
        self.validation: set[Entry] = set()
        self.classes: tuple[str, ...] | None = None
        self._pairs = Pairs(root)
        self._parts = parts
        self._faults = faults
        check_parts(root, parts, faults)
        if not faults:
            self.splits = self._make_splits()
            folders = (root, *(part.folder for part in parts))
            self.classes = read_label_list(root, folders, faults)

    def read(self, entry: Entry) -> tuple[Annotation | None, list[str]]:
        """Read what is on an image, and its faults."""
        return read_annotation(entry.annotation)

    def _make_splits(self) -> dict[str, list[Entry]]:
        known = len(self._faults)
        groups = self._find_sets()
        self.notes["trainval"] += outside(self.root, self._parts)
        if groups:
            splits = self._choose(groups, "" if self._parts[0].set else ".txt")
        else:
            splits = self._draw(self._parts)
        entries = dict.fromkeys((*splits["trainval"], *splits["test"], *self.validation))
        self._faults += find_shared(self.root, entries)
        for name, entries in splits.items():
            if not entries and len(self._faults) == known:
                where = groups[0][0] if groups else self.root
                self._refuse(where, f"the {name} split has no image; add some")
        return splits

    def _find_sets(self) -> list[tuple[Path, Sets]]:
        """The sets of each part, or those that are folders; none if nothing names a set."""
        parts = self._parts
        if not parts[0].set:
            found = [self._list_sets(part) for part in parts]
            groups = [next(iter(sets.items())) for sets in found]
            if groups[0][0] == self.root:  # these lists say where each image is
                groups = groups[:1]
            if any(sets for _, sets in groups):
                others = {folder for sets in found for folder in sets} - {*dict(groups)}
                self._tell_unread(others, f"those in {groups[0][0]} are")
                return groups
            if len(parts) == 1:
                self._parts = divide(parts[0]) or parts
        looked_at = {folder for part in parts for folder in part.lists}
        if self._parts[0].set:
            self._tell_unread(unread_lists(self.root), "the folders say which images are which")
            return [(self.root, self._folder_sets())]
        unread = {*unread_lists(self.root)} - looked_at
        self._tell_unread(unread, f"put them into {parts[0].folder}")
        return []

    def _tell_unread(self, folders: Iterable[Path], why: str) -> None:
        told = f"lists in {{}} are not read: {why}"
        self.notes["trainval"] += [Note(each, told.format(each)) for each in sorted(folders)]

    def _choose(self, groups: list[tuple[Path, Sets]], suffix: str) -> dict[str, list[Entry]]:
        """Take trainval from all parts, and test from the first: VOC2007, if there is one."""
        splits: dict[str, list[Entry]] = {name: [] for name in SPLITS}
        for i, (where, sets) in enumerate(groups):
            choice = choose_sets([*sets, "test"] if i else sets)
            if not isinstance(choice, Choice):
                kind, instead = "list", "remove the others"
                if not suffix:
                    one = self._parts[0].folder.name
                    kind, instead = "folder with annotations", f"give {one} itself as the folder"
                path = where / f"{choice}{suffix}"
                what = "it names no image; fill it" if path.is_file() else f"no such {kind}; add it"
                self._refuse(path, what + or_draw(choice, instead))
                continue
            trainval = self._entries(sets, choice.trainval, "trainval")
            if not i:
                splits["test"] = self._entries(sets, (choice.test,), "test")
                if choice.told:
                    self.notes["test"].insert(0, Note(self.root, choice.told))
                if choice.less:
                    measured = {*splits["test"]}
                    trainval = [entry for entry in trainval if entry not in measured]
            splits["trainval"] += trainval
            validation = {entry for name in choice.validation for entry in sets[name]([])}
            self.notes["trainval"] += unused(validation - {*trainval})
            self.validation |= validation
        if not self._parts[0].set:
            named = {*splits["trainval"], *splits["test"], *self.validation}
            images = {entry.image for entry in named}
            self.notes["trainval"] += self._pairs.unlisted(self._parts, images)
        return splits

    def _entries(self, sets: Sets, names: Iterable[str], split: str) -> list[Entry]:
        notes = self.notes[split]
        return list(dict.fromkeys(entry for name in names for entry in sets[name](notes)))

    def _draw(self, parts: list[Part]) -> dict[str, list[Entry]]:
        notes = self.notes["test"]
        entries = [entry for part in parts for entry in self._annotated(part, notes)]
        trainval, test, told = draw_test(entries)
        notes.insert(0, Note(self.root, told))
        return {"trainval": trainval, "test": test}

    # Sets: each is a list of images, or a folder.

    def _list_sets(self, part: Part) -> dict[Path, Sets]:
        """Find the folders with lists in them, and their sets; the first one counts."""
        found: dict[Path, Sets] = {}
        for folder in part.lists:
            sets = {}
            for name, paths in find_lists(folder).items():
                if all(map(is_blank, paths)):
                    told = f"{paths[0].relative_to(self.root)} names no image and is not used"
                    self.notes["test"].append(Note(paths[0], told))
                else:
                    sets[name] = partial(self._listed, part, paths)
            if sets:
                found[folder] = sets
        return found or {(part.lists or (part.folder,))[0]: {}}

    def _folder_sets(self) -> Sets:
        sets = {}
        for part in self._parts:
            notes: list[Note] = []
            if self._annotated(part, notes):
                sets[part.set] = partial(self._annotated, part)
            else:
                self.notes["trainval"] += notes
        return sets

    def _annotated(self, part: Part, notes: list[Note]) -> list[Entry]:
        """List all images that have an annotation; the others become notes."""
        entries = []
        others = [each for each in self._parts if each != part]
        for path in self._pairs.annotations.all(part.annotations):
            images = self._pairs.images_of(part, path)
            name = path.relative_to(part.annotations).with_suffix("").as_posix()
            image, fault = self._pairs.pick(images, part.images, name)
            # Sets may share their annotations, and only their images be apart.
            if not images and any(
                each.annotations == part.annotations and self._pairs.images_of(each, path)
                for each in others
            ):
                continue
            if self._keeps_inside(path):
                entries.append(Entry(image, path, None, part.annotations, fault))
        used: dict[Path, Path] = {}
        for entry in entries:
            if entry.image and used.setdefault(entry.image, entry.annotation) != entry.annotation:
                what = f"{used[entry.image].name} annotates {entry.image.name}, too; keep one"
                self._refuse(entry.annotation, what)
        sharing = [each for each in self._parts if each.images == part.images]
        if part == sharing[0]:
            notes += self._pairs.without_annotation(sharing, used)
        return entries

    def _listed(self, part: Part, sources: list[Path], notes: list[Note]) -> list[Entry]:
        entries: dict[Entry, None] = {}
        for source in sources:
            lines = read_lines(self.root, source, MAX_BYTES, self._faults)
            lines = [QUOTED.sub(r"\1", line) for line in lines]
            known = {*lines}
            flagged = all(FLAG.search(line) for line in lines)
            found = (self._read_line(part, source, line, known, flagged) for line in lines)
            for entry in filter(None, found):
                if entry in entries and len(sources) == 1:
                    what = f"{(entry.image or entry.annotation).name} is listed again"
                    notes.append(Note(source, what, "lines that repeat an image, counted once: {}"))
                entries[entry] = None
        return list(entries)

    # Lines: which files they mean.

    def _read_line(
        self, part: Part, source: Path, line: str, known: set[str], flagged: bool
    ) -> Entry | None:
        if pair := PAIR.fullmatch(line):
            names = [plain(name) for name in pair.groups()]
            if all(map(is_inside, names)):
                return self._read_pair(part, source, *names)
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
                what = f"no image of this name, and {shorten(bare)!r} has its own line"
                return self._refuse(source, f"line {shorten(line)!r}: {what}; correct it")
            if not images:
                name, images = bare, others
        image, fault = self._pairs.pick(images, part.images, name)
        return self._make(part, image, name, source, fault)

    def _read_pair(self, part: Part, source: Path, image: str, xml: str) -> Entry | None:
        images, xmls = self._pairs.find_both(part, image, xml)
        path, fault = self._pairs.pick(images, self.root, image)
        annotation = xmls[0] if xmls else self.root / xml
        inside = self._keeps_inside(annotation)
        return Entry(path, annotation, None, source, fault) if inside else None

    def _make(
        self, part: Part, image: Path | None, name: str, source: Path, fault: Fault | None
    ) -> Entry | None:
        """Make an entry of an image and its annotation."""
        if image:
            part = next((each for each in self._parts if image.is_relative_to(each.images)), part)
        if image and image.is_relative_to(part.images):
            name = image.relative_to(part.images).as_posix()
        elif image:
            name = image.name
        suffix = image.suffix if image else ""
        found = self._pairs.annotations_of(part, name, suffix)
        if len(found) > 1 and image:
            names = ", ".join(str(path.relative_to(part.annotations)) for path in found)
            what = f"more than one annotation of this name: {names}; keep one"
            return self._refuse(part.annotations / name.removesuffix(suffix), what)
        annotation = found[0] if found else part.annotations / f"{name.removesuffix(suffix)}.xml"
        inside = self._keeps_inside(annotation)
        return Entry(image, annotation, None, source, fault) if inside else None

    def _keeps_inside(self, path: Path) -> bool:
        return check_inside(self.root, path, self._faults)

    def _refuse(self, path: Path, what: str) -> None:
        self._faults.append(Fault(path, what))
