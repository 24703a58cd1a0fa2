"""Read COCO data: instances_*.json, or a tool's _annotations.coco.json, and image folders."""

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pycocotools.coco import COCO

from ssd_model.data.annotation import MAX_OBJECTS, Annotation, number, too_many
from ssd_model.data.coco_file import read_coco_file
from ssd_model.data.coco_images import CocoImages
from ssd_model.data.coco_layout import CocoFile, find_unread
from ssd_model.data.coco_objects import is_difficult, read_object
from ssd_model.data.faults import Fault, Note
from ssd_model.data.files import LEADS_OUT, check_inside, is_inside
from ssd_model.data.label_list import find_label_list
from ssd_model.data.sample import draw_test, measured_classes
from ssd_model.data.source import (
    BACKGROUND,
    SPLITS,
    Choice,
    Entry,
    choose_sets,
    join_sets,
    or_draw,
    set_of_folder,
    unused,
    unused_folders,
)
from ssd_model.data.text import class_name, listed, shorten


class CocoFolder:
    """A `Source` for a COCO folder. Adds faults of entire files to `faults`."""

    def __init__(self, root: Path, files: list[CocoFile], faults: list[Fault]) -> None:
        self.root = root
        self.notes: dict[str, list[Note]] = {name: [] for name in SPLITS}
        self.splits: dict[str, list[Entry]] = {name: [] for name in SPLITS}
        self.validation: set[Entry] = set()
        self.classes: tuple[str, ...] = ()
        self._faults = faults
        self._homeless: list[Note] = []
        self._images = CocoImages(root)
        self._listed: set[Path] = set()
        chosen = self._choose(files)
        self._data = {file.path: self._index(file.path) for file in chosen}
        if not faults:
            self.classes = self._collect_classes()
            self.splits = self._make_splits(chosen)
            self.notes["trainval"] += self._left_out()

    def read(self, entry: Entry) -> tuple[Annotation, list[str]]:
        """Read what is on an image, and its faults."""
        coco = self._data[entry.annotation]
        image, found = coco.imgs[entry.id], coco.imgToAnns[entry.id]
        faults = [too_many(len(found))] if len(found) > MAX_OBJECTS else []
        objects = [read_object(coco, each, faults) for each in found[:MAX_OBJECTS]]
        sides = [_read_side(image, side, faults) for side in ("width", "height")]
        objects = tuple(filter(None, objects))
        names = frozenset(found.name for found in objects)
        return Annotation(*sides, objects, names), faults

    def _objects(self, entry: Entry) -> set[tuple]:
        annotation, _ = self.read(entry)
        return {(each.name, each.corners, each.difficult) for each in annotation.objects}

    def _choose(self, files: list[CocoFile]) -> list[CocoFile]:
        """Choose a file for each set, or a single one from whose images the sets are drawn."""
        known = [file for file in files if file.set] or files
        unread = {path: str(path.relative_to(self.root)) for path in find_unread(self.root, known)}
        nameless = [unread.pop(file.path) for file in files if file.path in unread]
        told = {
            "COCO files without a set in their names are not read: {}": nameless,
            "other COCO files are not read: {}": [*unread.values()],
        }
        notes = [Note(self.root, why.format(listed(names))) for why, names in told.items() if names]
        self.notes["trainval"] += notes
        for name in dict.fromkeys(file.set for file in known):
            paths = [file.path.name for file in known if file.set == name]
            if len(paths) > 1:
                what = f"more than one file for {name or 'the images'}: {listed(paths)}; keep one"
                if not name:
                    what += ", or put train, val or test in their names"
                self._faults.append(Fault(self.root, what))
        if known[0].set:
            choice = choose_sets({file.set for file in known})
            if not isinstance(choice, Choice):
                what = f"no annotations of a {choice} set, as instances_{choice}.json; write them"
                one = known[0].path
                if nameless:
                    what += f", or, if {listed(nameless)} is that file, rename it"
                elif one.parent != self.root and one.parent.name.lower() != "annotations":
                    what += or_draw(choice, f"give {one.parent.name} itself as the folder")
                elif len(known) == 1:
                    what += or_draw("test", f"rename {one.name} so that it names no set")
                self._faults.append(Fault(self.root, what))
        return known

    def _index(self, path: Path) -> COCO:
        coco = COCO()
        if check_inside(self.root, path, self._faults):
            coco.dataset, notes = read_coco_file(path, self._faults)
            self.notes["trainval"] += notes
            self._homeless += notes
            with contextlib.redirect_stdout(io.StringIO()):  # "creating index..."
                coco.createIndex()
        return coco

    def _make_splits(self, files: list[CocoFile]) -> dict[str, list[Entry]]:
        sets = {file.set: list(self._entries(file)) for file in files}
        for file in files:
            if self._data[file.path].anns:
                continue
            used = {name: found for name, found in sets.items() if name != file.set}
            if isinstance(choose_sets(used), Choice):
                sets = used
                told = f"{file.path.relative_to(self.root)} has no annotations and is not used"
                self.notes["test"].append(Note(file.path, told))
            else:
                self._faults.append(Fault(file.path, "it has no annotations; add some"))
        if "" in sets:
            sets = self._divide(sets[""]) or sets
        if "" in sets:
            classes = [measured_classes(self.read(entry)[0]) for entry in sets[""]]
            trainval, test, told = draw_test(sets[""], classes)
            self.notes["test"].append(Note(self.root, told))
        else:
            choice = choose_sets(sets)
            of_choice = [sets[name] for name in choice.trainval]
            trainval, notes = join_sets(
                of_choice, lambda entry: entry.image or entry, self._objects
            )
            self.notes["trainval"] += notes
            test = sets[choice.test]
            validated = {entry.image: entry for name in choice.validation for entry in sets[name]}
            self.validation = {entry for entry in trainval if entry.image in validated}
            known = {entry.image for entry in trainval}
            left = [entry for image, entry in validated.items() if image not in known]
            self.notes["trainval"] += unused(left)
            if choice.told:
                self.notes["test"].append(Note(self.root, choice.told))
            if choice.less:
                measured = {entry.image for entry in test}
                trainval = [entry for entry in trainval if entry.image not in measured]
        for name, entries in (("trainval", trainval), ("test", test)):
            if not entries:
                self._faults.append(Fault(self.root, f"the {name} split has no image; add some"))
            elif not any(self._data[each.annotation].imgToAnns[each.id] for each in entries):
                what = f"the {name} split has no object, and there are {{}}; correct their image_id"
                files = {each.annotation for each in entries}
                homeless = [note for note in self._homeless if note.path in files]
                self._faults += [Fault(note.path, what.format(note.what)) for note in homeless]
        return {"trainval": trainval, "test": test}

    def _divide(self, entries: list[Entry]) -> dict[str, list[Entry]]:
        """The sets of the images of a single file, if the folders that hold them name sets."""
        found: dict[str, list[Entry]] = {}
        for entry in entries:
            folder = entry.image.parent.relative_to(self.root) if entry.image else Path()
            found.setdefault(set_of_folder(folder), []).append(entry)
        sets = {
            name: each
            for name, each in found.items()
            if any(self._data[entry.annotation].imgToAnns[entry.id] for entry in each)
        }
        if "" in found or not isinstance(choose_sets(sets), Choice):
            self.notes["test"] += unused_folders(self.root, entries)
            return {}
        told = f"the images are divided by the folders that they are in: {listed([*sets])}"
        self.notes["test"].append(Note(self.root, told))
        kind = "images in the folder of a set without annotations, left out: {}"
        left = (entry for name, each in found.items() if name not in sets for entry in each)
        self.notes["test"] += [Note(entry.told, "has no annotation", kind) for entry in left]
        return sets

    def _left_out(self) -> list[Note]:
        """Make notes of the images that no file lists, and of a class list."""
        kind = "images that no COCO file in use lists, left out: {}"
        left = self._images.unlisted(self._listed)
        notes = [Note(path, "not listed", kind) for path in left]
        if path := find_label_list((self.root,)):
            told = f"{path.name} is not read: the classes are the categories of the COCO files"
            notes.append(Note(path, told))
        return notes

    def _entries(self, file: CocoFile) -> Iterator[Entry]:
        taken: dict[Path, tuple[int | str, str]] = {}
        images = self._data[file.path].imgs
        names = {id_: self._images.name_of(each["file_name"]) for id_, each in images.items()}
        outside = [id_ for id_, name in names.items() if not is_inside(name)]
        for id_ in outside:
            what = f"image {id_!r}: file_name {shorten(images[id_]['file_name'])!r} {LEADS_OUT}"
            self._faults.append(Fault(file.path, f"{what}; correct it"))
            del names[id_]
        found = self._images.locate(file, names.values())
        for (id_, name), (path, fault) in zip(names.items(), found, strict=True):
            if path in taken:
                other, first = taken[path]
                what = f"images {other!r} and {id_!r}"
                if name == first:
                    what += f" are both {name}: give their annotations one image_id, and keep one"
                else:
                    what += f": {first} and {name} are the same file; keep one"
                self._faults.append(Fault(file.path, what))
            elif path:
                taken[path] = id_, name
                self._listed.add(path)
            yield Entry(path, file.path, id_, file.path, fault)

    def _collect_classes(self) -> tuple[str, ...]:
        """List the categories that have objects, by name, in the order of the files."""
        used: dict[str, bool] = {}
        merged: dict[str, None] = {}
        difficult = 0
        for path, coco in self._data.items():
            names = {id_: class_name(cat["name"]) for id_, cat in coco.cats.items()}
            for name in dict.fromkeys(names.values()):
                ids = [id_ for id_, other in names.items() if other == name]
                used[name] = used.get(name, False) or any(coco.catToImgs[id_] for id_ in ids)
                if len(ids) > 1:
                    merged[f"categories {listed([*map(repr, ids)])} are one class, {name}"] = None
            annotations = coco.dataset["annotations"]  # coco.anns has one of each id
            difficult += sum(map(is_difficult, annotations))
            if any(names.get(found["category_id"]) == BACKGROUND for found in annotations):
                what = f"a category is named {BACKGROUND!r}, kept for label 0; rename it"
                self._faults.append(Fault(path, what))
        self.notes["trainval"] += [Note(self.root, told) for told in merged]
        if difficult:
            told = f"crowds and ignored objects, treated as difficult: {difficult:,}"
            self.notes["trainval"].append(Note(self.root, told))
        if unused := [name for name, is_used in used.items() if not is_used]:
            told = f"categories without objects, left out: {listed(unused, 10)}"
            self.notes["trainval"].append(Note(self.root, told))
        return tuple(name for name, is_used in used.items() if is_used)


def _read_side(image: dict[str, Any], side: str, faults: list[str]) -> float:
    """The width or height of an image, which may be a text; 0 if there is none."""
    given = image.get(side)
    value = number(str(given or 0))
    if value is None or isinstance(given, bool):
        faults.append(f"its {side} is {shorten(repr(given))}, want a number of pixels")
        return 0
    return value
