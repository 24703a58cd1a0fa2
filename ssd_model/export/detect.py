"""Detect objects in photographs with a saved model: `make detect`.

Like the original's infer.py, it draws its detections into copies of the images. It also accepts
folders, and lists all detections in detections.csv and detections.json.
"""

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.loader import preprocess
from ssd_model.data.picture import open_image
from ssd_model.data.text import counted, listed, printable
from ssd_model.engines import Engine, load_paddle
from ssd_model.export.drawing import draw_boxes
from ssd_model.export.inference_model import DESCRIPTION, FILES, ModelError, read_description
from ssd_model.export.photographs import DetectError, find_images, images_in
from ssd_model.files import write_file, write_json
from ssd_model.progress import progress

BATCH = 8
THREADS = 4  # Pillow decodes and encodes outside Python's lock
SHOWN = 10
CORNERS = ("xmin", "ymin", "xmax", "ymax")
COLUMNS = ("image", "class", "score", *CORNERS)


@dataclass(frozen=True)
class Found:
    """The detections in one image."""

    image: str
    """The image's path within the folder."""
    size: tuple[int, int]
    """Width and height in pixels, upright."""
    boxes: np.ndarray
    """[K, 6] label (from 1), score, xmin, ymin, xmax, ymax in pixels; the best first."""


@dataclass
class Findings:
    """The detections in all images."""

    found: list[Found] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Images and folders that cannot be read, and why."""
    uncopied: dict[str, str] = field(default_factory=dict)
    """Images of which no copy can be made, and why."""

    def rows(self, classes: Sequence[str]) -> Iterator[dict[str, object]]:
        """Yield a row for each detection, by `COLUMNS`."""
        for found in self.found:
            for label, score, *corners in found.boxes.tolist():
                named = {"image": found.image, "class": classes[int(label) - 1]}
                pixels = {name: round(x, 1) for name, x in zip(CORNERS, corners, strict=True)}
                yield {**named, "score": round(score, 4), **pixels}

    def content(self, classes: Sequence[str]) -> dict[str, object]:
        """All findings for JSON, with images that have no detections or cannot be read."""
        by_image: dict[str, list] = {found.image: [] for found in self.found}
        for row in self.rows(classes):
            by_image[row.pop("image")].append(row)
        images = [
            {
                "image": found.image,
                "width": found.size[0],
                "height": found.size[1],
                "detections": by_image[found.image],
            }
            for found in self.found
        ]
        return {"images": images, "unreadable": self.unreadable}


def told(faults: dict[str, str]) -> str:
    """List the first names, one per line, and what is wrong with each."""
    lines = [f"  {name}: {why}" for name, why in faults.items()][:SHOWN]
    more = len(faults) - len(lines)
    return "\n".join(lines + [f"  and {more} more"] * (more > 0))


def detect(images: Path, prefix: Path, output: Path, threshold: float = 0.5) -> Findings:
    """Detect objects in an image or in all images of a folder, and write copies and tables.

    Args:
        images: an image file, or a folder, whose subfolders are included.
        prefix: the prefix of a model saved with its classes.
        output: a folder for the two tables and for a copy of each image, under the same name, with
            the boxes drawn in.
        threshold: the lowest score to report, in 0..1.

    Raises:
        DetectError: there is no image, no image can be read, or a copy would overwrite an image.
        ModelError: see `read_description`; or the model finds a class that has no name there.
    """
    if not 0 <= threshold <= 1:
        raise DetectError(f"the threshold is {threshold:g}: scores lie between 0 and 1")
    model = read_description(prefix)
    folder, paths, unreadable = find_images(images, output)
    findings = Findings()
    for path, why in unreadable.items():
        findings.unreadable[_shown(path.relative_to(folder))] = why
    engine = load_paddle(prefix)
    tables = [output / "detections.csv", output / "detections.json"]
    size = max(1, min(BATCH, len(paths)))
    with ThreadPoolExecutor(THREADS) as pool:
        for start in progress(range(0, len(paths), size), "detecting"):
            batch, tasks = paths[start : start + size], []
            opened = pool.map(partial(_open, image_size=model.image_size), batch)
            readable = []
            for path, item in zip(batch, opened, strict=True):
                if isinstance(item, DataError):
                    why = str(item).removeprefix(f"{path}: ")
                    findings.unreadable[_shown(path.relative_to(folder))] = why
                else:
                    readable.append((path.relative_to(folder), *item))
            if readable and not findings.found:
                for table in tables:  # those of a run before would not belong to the new copies
                    table.unlink(missing_ok=True)
            rows = _run(engine, [pixels for _, _, pixels in readable], size)
            for (path, image, _), boxes in zip(readable, rows, strict=True):
                if len(boxes) and boxes[:, 0].max() > len(model.classes):
                    raise ModelError(
                        f"{prefix}.classes.json has {counted(len(model.classes), 'class')}, and "
                        f"the model found class {boxes[:, 0].max():.0f}: name all that it was "
                        "trained on"
                    )
                boxes = boxes[boxes[:, 1] >= threshold]
                boxes[:, 2:] = boxes[:, 2:].clip(0, 1) * np.tile(image.size, 2)
                findings.found.append(Found(_shown(path), image.size, boxes))
                draw = pool.submit(_draw, image, boxes, model.classes, output / path)
                tasks.append((_shown(path), draw))
            for name, draw in tasks:
                if why := draw.result():
                    findings.uncopied[name] = why
    if not findings.found:
        raise DetectError(f"none of the images can be read\n{told(findings.unreadable)}")
    rows = list(findings.rows(model.classes))
    _write_csv(tables[0], rows)
    settings = {"model": _shown(prefix), "threshold": threshold, "classes": model.classes}
    write_json(tables[1], settings | findings.content(model.classes))
    return findings


def _open(path: Path, image_size: int) -> tuple[Image.Image, np.ndarray] | DataError:
    """Open an image, upright, and as the network's input; or return what is wrong with it."""
    try:
        image = open_image(path)
    except DataError as error:
        if isinstance(error.__cause__, FileNotFoundError):  # though its name is
            return DataError("a link to a file that is not there; replace it with the file itself")
        return error
    return image, preprocess(image, image_size)


def _run(engine: Engine, images: list[np.ndarray], size: int) -> list[np.ndarray]:
    """Detect in a batch, filled up to its size: [K, 6] for each image, the best first."""
    if not images:
        return []
    # An engine prepares itself anew for each batch size.
    filled = images + [np.zeros_like(images[0])] * (size - len(images))
    detections, counts = engine(np.stack(filled))
    parts = np.split(detections, np.cumsum(counts)[:-1])[: len(images)]
    return [part[np.argsort(-part[:, 1], kind="stable")] for part in parts]


def _draw(image: Image.Image, boxes: np.ndarray, classes: Sequence[str], target: Path) -> str:
    """Write a copy of an image with its detections, in the format of its name.

    Returns:
        Why there cannot be a copy; empty if there is one.
    """
    kind = {".png": "PNG", ".bmp": "BMP", ".webp": "WEBP"}.get(target.suffix.lower(), "JPEG")
    content = io.BytesIO()
    try:
        draw_boxes(image, boxes, classes).save(content, kind, quality=95, compress_level=1)
    except Exception as error:  # Pillow has no common class for what a format cannot hold
        size = "x".join(map(str, image.size))
        return f"its {size} pixels cannot be written as {kind} ({error}); scale the image down"
    write_file(target, content.getvalue())
    return ""


def _write_csv(path: Path, rows: Sequence[dict[str, object]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, text.getvalue().encode("utf-8-sig"))  # by whose mark Excel knows UTF-8


def _shown(path: Path) -> str:
    """A path as text, even if some of its bytes are not valid text."""
    return printable(path.as_posix())


def _prefix(model: Path) -> Path:
    """The prefix of a model's files, any of which may be named.

    Raises:
        DetectError: it is a folder, or another file.
    """
    if model.is_dir():
        names = [
            path.name.removesuffix(DESCRIPTION) for path in sorted(model.glob(f"*{DESCRIPTION}"))
        ]
        what = f"name a model in it: {listed(names)}" if names else "it holds no model"
        raise DetectError(f"{model} is a folder; {what}")
    ends = (*FILES, DESCRIPTION, ".onnx")
    if model.is_file() and not model.name.endswith(ends):
        raise DetectError(f"{model} is not a model that can be run: name a {FILES[0]} file")
    for end in ends:
        model = Path(str(model).removesuffix(end))
    return model


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line: detect, print a summary, and return the exit status."""
    sys.stdout.reconfigure(errors="backslashreplace")  # names of the user's in any encoding
    parser = argparse.ArgumentParser(description="Detect objects in photographs.")
    parser.add_argument("images", type=Path, help="an image, or a folder of images")
    parser.add_argument("--model", type=Path, required=True, help="prefix of a saved model's files")
    parser.add_argument("--threshold", type=float, default=0.5, help="the least score, in 0..1")
    parser.add_argument("--output", type=Path, required=True, help="folder for copies and tables")
    arguments = parser.parse_args(argv)
    output = arguments.output.expanduser()
    try:
        model = _prefix(arguments.model.expanduser())
        findings = detect(arguments.images.expanduser(), model, output, arguments.threshold)
    except (DetectError, ModelError, OSError) as error:
        print(printable(str(error)))
        return 1
    except KeyboardInterrupt:
        print("stopped: there are no new tables, and copies only of images that were done")
        return 130
    labels = Counter(row["class"] for row in findings.rows(read_description(model).classes))
    named = ", ".join(f"{name} {count}" for name, count in labels.most_common())
    print(
        f"{counted(len(findings.found), 'image')}, {counted(labels.total(), 'detection')} with a "
        f"score of {arguments.threshold:g} or more{': ' if named else ''}{named}"
    )
    print(f"copies with boxes, detections.csv and detections.json are in {_shown(output)}")
    copied = {found.image for found in findings.found} - findings.uncopied.keys()
    names = [_shown(path.relative_to(output)) for path in images_in(output)[0]]
    if others := len({*names} - copied):
        print(
            f"images there that were not looked at, since results go there: {others:,} "
            "(copies of an earlier run, or your own)"
        )
    if findings.unreadable:
        print(f"cannot be read: {len(findings.unreadable):,}\n{told(findings.unreadable)}")
    if findings.uncopied:
        print(f"without a copy: {len(findings.uncopied):,}\n{told(findings.uncopied)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
