"""Read a Pascal VOC folder: which images are in its sets, and what is on them."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import chain
from pathlib import Path

from ssd_model.data.annotation import Annotation, read_annotation
from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import check_inside, is_blank
from ssd_model.data.label_list import read_label_list
from ssd_model.data.layout import (
    LIST_NAMES,
    Part,
    check_parts,
    divide,
    find_lists,
    find_other_lists,
    find_parts,
    outside,
    unread_lists,
)
from ssd_model.data.lists import ListReader
from ssd_model.data.pairs import Pairs, find_shared, find_twice
from ssd_model.data.sample import draw_test, measured_classes
from ssd_model.data.source import (
    SPLITS,
    Choice,
    Entry,
    choose_sets,
    join_sets,
    or_draw,
    unused,
    unused_folders,
)
from ssd_model.data.text import listed

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
        self._lists = ListReader(root, parts, self._pairs, faults)
        self._faults = faults
        self._read = cache(read_annotation)
        check_parts(root, parts, faults)
        if not faults:
            self.splits = self._make_splits()
            folders = (root, *(part.folder for part in parts))
            self.classes = read_label_list(root, folders, faults)

    def read(self, entry: Entry) -> tuple[Annotation | None, list[str]]:
        """Read what is on an image, and its faults."""
        return self._read(entry.annotation)

    def _make_splits(self) -> dict[str, list[Entry]]:
        known = len(self._faults)
        groups = self._find_sets()
        self.notes["trainval"] += outside(self.root, self._parts)
        if groups:
            splits = self._choose(groups, "" if self._parts[0].set else ".txt")
        else:
            splits = self._draw(self._parts)
        entries = dict.fromkeys((*splits["trainval"], *splits["test"], *self.validation))
        used = {entry.image for entry in entries}
        self.notes["trainval"] += self._pairs.hidden(self._parts, used)
        self._faults += find_shared(self.root, entries)
        for each in splits.values():
            self._faults += find_twice(each)
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
        if self._parts[0].set:
            sets, notes = self._folder_sets()
            if parts[0].set or isinstance(choose_sets(sets), Choice):
                self.notes["trainval"] += notes
                self._tell_unread(unread_lists(self.root), "the folders say which images are which")
                return [(self.root, sets)]
            self._parts = parts
        looked_at = {folder for part in parts for folder in part.lists}
        unread = {*unread_lists(self.root)} - looked_at
        self._tell_unread(unread, f"put them into {parts[0].folder}, if each line names an image")
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
                kind, instead = "list", or_draw(choice, "remove the others")
                if not suffix:
                    kind, one = "folder with annotations", self._parts[0].folder
                    instead = or_draw(choice, f"give {one.name} itself as the folder")
                    instead = instead if find_parts(one) else ""
                path = where / f"{choice}{suffix}"
                what = "it names no image; fill it" if path.is_file() else f"no such {kind}; add it"
                self._refuse(path, what + instead)
                continue
            trainval = self._entries(sets, choice.trainval, "trainval")
            if not i:
                splits["test"] = self._entries(sets, (choice.test,), "test")
                if choice.told:
                    self.notes["test"].insert(0, Note(self.root, choice.told))
                if choice.less:
                    measured = {*splits["test"]}
                    trainval = [entry for entry in trainval if entry not in measured]
            known = {*splits["trainval"]}
            splits["trainval"] += [entry for entry in trainval if entry not in known]
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
        entries, told = join_sets([sets[name](notes) for name in names], lambda entry: entry)
        notes += told
        return entries

    def _draw(self, parts: list[Part]) -> dict[str, list[Entry]]:
        notes = self.notes["test"]
        entries = [entry for part in parts for entry in self._annotated(part, notes)]
        classes = [measured_classes(self.read(entry)[0]) for entry in entries]
        trainval, test, told = draw_test(entries, classes)
        notes.insert(0, Note(self.root, told))
        notes += unused_folders(self.root, entries)
        return {"trainval": trainval, "test": test}

    # Sets: each is a list of images, or a folder.

    def _list_sets(self, part: Part) -> dict[Path, Sets]:
        """Find the folders with lists in them, and their sets; the first one counts."""
        found: dict[Path, Sets] = {}
        for folder in part.lists:
            sets = {}
            lists = find_lists(folder)
            if not found and (others := find_other_lists(folder, lists)):
                names, read = (
                    [each.name for each in paths] for paths in (others, chain(*lists.values()))
                )
                told = f"not read: {listed(names)}, for lists are named as {listed(read)} here"
                self.notes["trainval"].append(Note(folder, told))
            every = [*chain(*lists.values())]
            for name, paths in lists.items():
                strays = [path for path in paths if self._is_stray(part, path, every)]
                for path in strays:
                    told = f"{path.relative_to(self.root)} names no image and is not used"
                    self.notes["test"].append(Note(path, told))
                if used := [path for path in paths if path not in strays]:
                    sets[name] = partial(self._lists.read, part, used)
            without = {*sets} - {"test"}
            if "test" in sets and isinstance(choose_sets(without), Choice):
                tested = sets["test"]([])
                if tested and all(each.image and not each.annotation.exists() for each in tested):
                    del sets["test"]
                    told = f"the test list in {folder} is not used: its images have no annotation"
                    self.notes["test"].append(Note(folder, told))
            if sets:
                found[folder] = sets
        return found or {(part.lists or (part.folder,))[0]: {}}

    def _is_stray(self, part: Part, path: Path, lists: list[Path]) -> bool:
        """Whether a list is blank, or only looks like one of a class, such as notes_test.txt."""
        if is_blank(path) or path.name.lower() in LIST_NAMES:
            return is_blank(path)
        class_, quiet = _class_of(path), ListReader(self.root, self._parts, self._pairs, [])
        return not any(quiet.is_list(part, each) for each in lists if _class_of(each) == class_)

    def _folder_sets(self) -> tuple[Sets, list[Note]]:
        """The sets with an annotation, and notes on the images of the others."""
        sets = {}
        left: list[Note] = []
        for part in self._parts:
            notes: list[Note] = []
            if entries := self._annotated(part, notes):
                sets[part.set] = partial(_known, entries, notes)
            else:
                left += notes
        return sets, left

    def _annotated(self, part: Part, notes: list[Note]) -> list[Entry]:
        """List all images that have an annotation; the others become notes."""
        entries = []
        # Sets may share their annotations, and only their images be apart.
        others = (each for each in self._parts if each != part)
        is_shared = any(each.annotations == part.annotations for each in others)
        for path in self._pairs.annotations.all(part.annotations):
            images = self._pairs.images_of(part, path)
            if not images and is_shared and self._pairs.is_beside(part, path):
                continue
            name = path.relative_to(part.annotations).with_suffix("").as_posix()
            image, fault = self._pairs.pick(images, part.images, name)
            if self._keeps_inside(path):
                entries.append(Entry(image, path, None, part.annotations, fault))
        used = {entry.image for entry in entries}
        sharing = [each for each in self._parts if each.images == part.images]
        if part == sharing[0]:
            notes += self._pairs.without_annotation(sharing, used)
        return entries

    def _keeps_inside(self, path: Path) -> bool:
        return check_inside(self.root, path, self._faults)

    def _refuse(self, path: Path, what: str) -> None:
        self._faults.append(Fault(path, what))


def _class_of(path: Path) -> str:
    """What a list such as cat_train.txt is named for."""
    return path.stem.lower().rpartition("_")[0]


def _known(entries: list[Entry], told: list[Note], notes: list[Note]) -> list[Entry]:
    """The entries of a set that has been looked through; `told` is added to the notes."""
    notes += told
    return entries
