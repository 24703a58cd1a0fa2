"""Lists all faults of a data folder: python -m ssd_model.data.check DATA_DIR"""

import argparse
import sys

from ssd_model.data.voc import Split, scan_voc


def main(argv: list[str] | None = None) -> int:
    """Print all faults and return 1, or print a summary of the data and return 0."""
    parser = argparse.ArgumentParser(prog="python -m ssd_model.data.check", description=__doc__)
    parser.add_argument("data_dir", metavar="DATA_DIR", help="a VOC folder or a VOCdevkit")
    data_dir = parser.parse_args(argv).data_dir
    splits, faults = scan_voc(data_dir)
    for fault in faults:
        print(fault)
    if faults:
        print(f"{len(faults)} fault{'s' * (len(faults) > 1)} in {data_dir}")
        return 1
    classes = splits["trainval"].classes
    print(f"{data_dir} has no faults")
    print(f"{len(classes)} classes: {', '.join(classes)}")
    for split in splits.values():
        print(_summarise(split))
    return 0


def _summarise(split: Split) -> str:
    objects = sum(len(record.labels) for record in split.records)
    difficult = sum(int(record.difficult.sum()) for record in split.records)
    return (
        f"{split.name}: {len(split.records)} images, {objects} objects, {difficult} of them "
        "difficult"
    )


if __name__ == "__main__":
    sys.exit(main())
