"""List all faults of a data folder: python -m ssd_model.data.check DATA_DIR"""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ssd_model.data.faults import tell
from ssd_model.data.folder import scan_data
from ssd_model.data.records import Split
from ssd_model.data.text import counted, printable

INPUT_SIZE = 300  # side of the network's input, in whose pixels box sizes are given
LISTED = 100  # notes of a kind: VOC2012 has thousands of images that none of its lists names


def main(argv: list[str] | None = None) -> int:
    """Print all faults and return 1; or print notes and a summary of the data and return 0."""
    sys.stdout.reconfigure(errors="backslashreplace")  # names of the user's in any encoding
    parser = argparse.ArgumentParser(prog="python -m ssd_model.data.check", description=__doc__)
    parser.add_argument("data_dir", metavar="DATA_DIR", help="a VOC or COCO folder")
    data_dir = Path(parser.parse_args(argv).data_dir).expanduser()
    splits, faults = scan_data(data_dir)
    for fault in faults:
        print(fault)
    if faults:
        print(f"{counted(len(faults), 'fault')} in {printable(str(data_dir))}")
        return 1
    notes = [note for split in splits.values() for note in split.notes]
    kinds = Counter()
    for note in notes:
        kinds[note.kind] += 1
        if note.kind and kinds[note.kind] <= LISTED:
            print(f"note: {note}")
    for line in tell(notes):
        print(line)
    classes = splits["trainval"].classes
    print(f"{printable(str(data_dir))} has no faults")
    print(f"{counted(len(classes), 'class')}: {', '.join(classes)}")
    for split in splits.values():
        print(_summarise(split))
    print(
        f"objects, and sides of boxes in pixels of the network's {INPUT_SIZE}x{INPUT_SIZE} input:"
    )
    print(class_table(splits).to_string())
    return 0


def class_table(splits: Mapping[str, Split]) -> pd.DataFrame:
    """Describe each class in a row: objects in each split, difficult ones, and their sizes.

    A size is the square root of a box's area, in pixels of the network's 300x300 input. The table
    has its 10th percentile, median and 90th percentile over all splits; nan without objects.
    """
    records = [record for split in splits.values() for record in split.records]
    labels = np.concatenate([record.labels for record in records])
    difficult = np.concatenate([record.difficult for record in records])
    boxes = np.concatenate([record.boxes for record in records])
    sides = INPUT_SIZE * np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
    rows = {}
    for label, name in enumerate(splits["trainval"].classes, start=1):
        of_class = sides[labels == label]
        percentiles = np.percentile(of_class, (10, 50, 90)) if len(of_class) else [np.nan] * 3
        rows[name] = {
            **{split.name: _count(split, label) for split in splits.values()},
            "difficult": int(difficult[labels == label].sum()),
            **dict(zip(("side 10%", "median", "90%"), np.round(percentiles), strict=True)),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _count(split: Split, label: int) -> int:
    return sum(int((record.labels == label).sum()) for record in split.records)


def _summarise(split: Split) -> str:
    objects = sum(len(record.labels) for record in split.records)
    difficult = sum(int(record.difficult.sum()) for record in split.records)
    return (
        f"{split.name}: {counted(len(split.records), 'image')}, {counted(objects, 'object')}, "
        f"{difficult:,} of them difficult"
    )


if __name__ == "__main__":
    sys.exit(main())
