"""Make records from a data folder: draw a sample, open its images, and see what is wrong."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from tqdm import tqdm

from ssd_model.data.annotation import Annotation
from ssd_model.data.copies import find_copies
from ssd_model.data.faults import Fault, Note
from ssd_model.data.judge import Read, check_objects, find_parts_of_images, judge_boxes, note_odd
from ssd_model.data.picture import Sizes, check_images
from ssd_model.data.records import Split, drawn_upright, make_record
from ssd_model.data.sample import draw_sample, measured_classes
from ssd_model.data.source import BACKGROUND, SPLITS, Entry, Source


def scan(
    source: Source, splits: Iterable[str], limit: int | None, faults: list[Fault]
) -> dict[str, Split]:
    """Return the requested splits without what is faulty, and add all faults to `faults`.

    Args:
        limit: maximum number of images of each split (see `draw_sample`).
    """
    asked = {name: source.splits[name] for name in splits}
    read = Read()
    _read_annotations(source, source.splits if source.classes is None else asked, read)
    classes = source.classes
    if classes is None:
        classes = _collect_classes(read.annotations, faults)
    chosen = {
        name: _draw(entries, read, limit, [0, SPLITS.index(name)])
        for name, entries in asked.items()
    }
    union = _union(chosen)
    for entry, whats in read.wrong.items():
        if entry.fault and entry not in read.annotations:
            faults.append(entry.fault)
            if entry.annotation.exists():
                faults.extend(Fault(entry.told, what) for what in whats)
        # A file that is read only for its class names need only be readable.
        elif entry in union or entry not in read.annotations:
            faults.extend(Fault(entry.told, what) for what in whats)
    sizes = _open_images(union, read, faults)
    found = {
        name: _make_split(source, name, asked[name], entries, sizes, classes, read, faults)
        for name, entries in chosen.items()
    }
    if not faults:
        found = {
            name: check_objects(source.root, split, _only_there(name, asked, chosen, read), faults)
            for name, split in found.items()
        }
    return found


def _make_split(
    source: Source,
    name: str,
    whole: list[Entry],
    entries: list[Entry],
    sizes: dict[Entry, Sizes],
    classes: tuple[str, ...],
    read: Read,
    faults: list[Fault],
) -> Split:
    """Make a split of the entries that were drawn from the whole.

    Where those do not tell enough, the others are opened as well: which way up boxes were drawn,
    and whether too many are odd, is a matter of the whole.
    """
    drawn = {entry: sizes[entry] for entry in entries if entry in sizes}
    known = {*entries}
    rest = {entry: None for entry in whole if entry not in known}
    unclear = any(_unclear(drawn, read))
    others = _open_images(rest, read, []) if unclear else {}
    told = _ways(drawn | others, read)
    if unclear and not told:
        told = _ways(_open_others(source, name, read), read)
    _make_records(drawn, told, source.validation, classes, read, faults)
    faults += find_parts_of_images(source.root, name, entries, read)
    wrong = judge_boxes(source.root, name, entries, read)
    if wrong and rest:
        others = others or _open_images(rest, read, [])
        _make_records(others, told, source.validation, classes, read, [])
        wrong = judge_boxes(source.root, name, whole, read)
    faults += wrong
    notes = (
        *source.notes[name],
        *note_odd(name, entries, read),
        *_note_copies(source, name, entries),
    )
    records = [read.records[entry] for entry in entries if entry in read.records]
    return Split(name, classes, records, notes)


def _open_others(source: Source, name: str, read: Read) -> dict[Entry, Sizes]:
    """Open the images of the folder's other split, which may tell what those of this one do not."""
    others = _union({split: source.splits[split] for split in SPLITS if split != name})
    unread = [entry for entry in others if entry not in read.wrong]
    _read_annotations(source, {name: unread}, read)
    return _open_images(others, read, [])


def _only_there(
    name: str, asked: dict[str, list[Entry]], chosen: dict[str, list[Entry]], read: Read
) -> set[str]:
    """The classes that have objects to learn, or to measure, in images that were not drawn."""
    return {
        found.name
        for entry in {*asked[name]} - {*chosen[name]}
        if entry in read.annotations
        for found in read.annotations[entry].objects
        if name == "trainval" or not found.difficult
    }


def _union(splits: dict[str, list[Entry]]) -> dict[Entry, None]:
    return {entry: None for entries in splits.values() for entry in entries}


def _progress(items: Iterable, what: str, total: int | None = None) -> tqdm:
    # disable=None: no bar if stderr is not a terminal
    return tqdm(items, desc=f"reading {what}", total=total, leave=False, disable=None)


def _read_annotations(source: Source, pool: dict[str, list[Entry]], read: Read) -> None:
    for entry in _progress(_union(pool), "annotations"):
        annotation, read.wrong[entry] = source.read(entry)
        if annotation is not None:
            read.annotations[entry] = annotation


def _collect_classes(annotations: dict[Entry, Annotation], faults: list[Fault]) -> tuple[str, ...]:
    for entry, annotation in annotations.items():
        if BACKGROUND in annotation.names:
            what = f"an object is named {BACKGROUND!r}, kept for label 0; rename it"
            faults.append(Fault(entry.annotation, what))
    return tuple(sorted(frozenset().union(*(a.names for a in annotations.values()))))


def _draw(entries: list[Entry], read: Read, limit: int | None, seed: list[int]) -> list[Entry]:
    """Draw a sample with all classes that have an object that is not difficult and not empty."""
    classes = [measured_classes(read.annotations.get(entry)) for entry in entries]
    return draw_sample(entries, classes, limit, seed)


def _open_images(entries: dict[Entry, None], read: Read, faults: list[Fault]) -> dict[Entry, Sizes]:
    """Return the sizes of the images that can be read and have annotations."""
    faults.extend(entry.fault for entry in entries if entry.fault)
    present = [entry for entry in entries if entry.image]
    checked = check_images([entry.image for entry in present])
    sizes = {}
    for entry, (found, heard) in zip(
        present, _progress(checked, "images", len(present)), strict=True
    ):
        read.heard[entry] = heard
        if isinstance(found, Fault):
            faults.append(found)
        elif entry in read.annotations:
            sizes[entry] = found
    return sizes


def _ways(sizes: dict[Entry, Sizes], read: Read) -> set[bool]:
    """Which ways up the boxes were drawn, as far as images tell: upright, as stored, or both."""
    ways = (drawn_upright(sizes[entry], read.annotations[entry]) for entry in sizes)
    return {*ways} - {None}


def _unclear(sizes: dict[Entry, Sizes], read: Read) -> Iterator[Entry]:
    """Find the images that EXIF turns, and that do not tell which way up their boxes were drawn."""
    for entry, size in sizes.items():
        annotation = read.annotations[entry]
        if size.turned and annotation.objects and drawn_upright(size, annotation) is None:
            yield entry


def _make_records(
    sizes: dict[Entry, Sizes],
    told: set[bool],
    validation: set[Entry],
    classes: tuple[str, ...],
    read: Read,
    faults: list[Fault],
) -> None:
    """Make the records of a split.

    Args:
        told: what the images of the folder tell, see `_ways`; it decides for the others.
    """
    labels = {name: label for label, name in enumerate(classes, 1)}
    if len(told) != 1:
        read.unclear.update(_unclear(sizes, read))
    for entry, size in sizes.items():
        annotation = read.annotations[entry]
        way = drawn_upright(size, annotation)
        upright = told != {False} if way is None else way
        record, wrong, read.odd[entry] = make_record(entry.image, size, upright, annotation, labels)
        read.records[entry] = replace(record, validation=entry in validation)
        faults.extend(Fault(entry.told, what) for what in wrong)


def _note_copies(source: Source, name: str, entries: list[Entry]) -> list[Note]:
    """Make notes of images to measure on, for the test or to choose, that are also trained on."""
    if name == "test":
        measured, trained = entries, source.splits["trainval"]
        kind = "images to test on that are also trained on, which flatters the mAP: {}"
    else:
        measured = [entry for entry in entries if entry in source.validation]
        trained = [entry for entry in source.splits["trainval"] if entry not in source.validation]
        kind = "images of val that are also in train, which flatters the choice of an epoch: {}"
    paths = ([entry.image for entry in each if entry.image] for each in (trained, measured))
    return [
        Note(path, f"is also trained on, as {same.name}", kind)
        for path, same in find_copies(*paths).items()
    ]
