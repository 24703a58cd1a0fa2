"""Two small sets as people have them: photographs of coloured things, in VOC and in COCO form.

Drawn by code, on noise that looks like a photograph's, and dirty in the ways that real sets are.
"""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from PIL.PngImagePlugin import PngInfo

from tests.helpers.voc_folder import annotation_xml, object_xml, write_set

Things = Sequence[tuple[str, int, int, int, int]]
"""Class, xmin, ymin, xmax, ymax in pixels."""

COLOURS = {"红血球": (200, 40, 40), "साइकिल": (40, 60, 200), "می\u200cرود": (230, 200, 30)}
CLASSES = tuple(sorted(COLOURS))
RED, BLUE, YELLOW = COLOURS
SIDEWAYS = 6
"""EXIF orientation: what is up lies to the right in the file."""
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


def photograph(seed: int, things: Things = (), size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Blurred colours under the grain of a sensor, and an ellipse for each thing."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(70, 150, (5, 7, 3), np.uint8))
    image = coarse.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for name, *corners in things:
        draw.ellipse(corners, fill=COLOURS[name])
    image = image.filter(ImageFilter.GaussianBlur(0.7))
    grain = rng.normal(0, 8, (*size[::-1], 3))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))


def shows(image: Image.Image, boxes: np.ndarray, names: Sequence[str]) -> bool:
    """Whether the middle of each box [G, 4] (0..1) has the colour of its class."""
    pixels = np.asarray(image).astype(float)
    for box, name in zip(boxes, names, strict=True):
        x, y = ((box[:2] + box[2:]) / 2 * image.size).astype(int)
        middle = pixels[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))
        if np.abs(middle - COLOURS[name]).max() > 30:
            return False
    return True


def broken_exif() -> bytes:
    """EXIF with an orientation of 1 and a tag whose value is not there."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "a maker with a long name"
    return exif.tobytes()[:-12]


def make_voc_photographs(folder: Path) -> dict[str, Things]:
    """Write a VOC folder with train.txt and val.txt; return what each image shows, by its stem."""
    truth: dict[str, Things] = {
        "photo": [(RED, 20, 20, 60, 60), (BLUE, 90, 50, 140, 100)],
        "photo 1": [(YELLOW, 10, 30, 70, 110)],
        "photo 2": [(RED, 100, 10, 150, 60)],
        "Screenshot 9.41\u202fAM": [(BLUE, 30, 30, 100, 90)],
        unicodedata.normalize("NFD", "Müller"): [(YELLOW, 50, 20, 110, 100)],
        "turned": [(RED, 10, 60, 60, 140)],
        "xmp": [(BLUE, 100, 60, 150, 110)],
        "broken exif": [(RED, 40, 40, 100, 100)],
        "long text": [(YELLOW, 5, 5, 75, 75)],
    }
    images, annotations = folder / "JPEGImages", folder / "Annotations"
    images.mkdir(parents=True)
    annotations.mkdir()
    for seed, (stem, things) in enumerate(truth.items()):
        size = (120, 160) if stem == "turned" else (160, 120)
        image, path, options = photograph(seed, things, size), images / f"{stem}.jpg", {}
        if stem == "turned":
            exif = Image.Exif()
            exif[0x0112] = SIDEWAYS
            image, options = image.transpose(Image.Transpose.ROTATE_90), {"exif": exif}
        elif stem == "xmp":
            options = {"xmp": XMP}
        elif stem == "broken exif":
            options = {"exif": broken_exif()}
        elif stem == "long text":
            path, text = path.with_suffix(".png"), PngInfo()
            text.add_text("comment", "la" * 1_000_000, zip=True)
            options = {"pnginfo": text}
        image.save(path, **({"quality": 92} if path.suffix == ".jpg" else {}) | options)
        objects = [object_xml(*thing) for thing in things]
        if stem == "photo":
            objects.append(object_xml(RED, 104, 77, 104, 77))  # a stray click
        text = annotation_xml(*objects, size=size)
        if stem == "photo 1":
            for tag in ("object", "bndbox", "xmin"):
                text = text.replace(f"{tag}>", f"{tag.title()}>")
        (annotations / f"{unicodedata.normalize('NFC', stem)}.xml").write_text(text)
    listed = [unicodedata.normalize("NFC", stem) for stem in truth]
    write_set(folder, "train", listed[:6])
    write_set(folder, "val", listed[6:])
    return {unicodedata.normalize("NFC", stem): things for stem, things in truth.items()}


def make_coco_photographs(folder: Path) -> dict[str, Things]:
    """Write a COCO folder with train and val; return what each image shows, by its stem."""
    sets: dict[str, dict[str, Things]] = {
        "train2017": {
            "000001": [(RED, 20, 20, 60, 60), (BLUE, 90, 50, 140, 100)],
            "000002": [(YELLOW, 10, 30, 70, 110)],
            "000003": [(RED, 100, 10, 150, 60)],
        },
        "val2017": {
            "000004": [(BLUE, 30, 30, 100, 90)],
            "000005": [(YELLOW, 50, 20, 110, 100), (RED, 5, 5, 45, 45)],
        },
    }
    # As tools number them: with a gap, one name twice, one that is never used
    categories = [(0, "cells"), (3, RED), (7, BLUE), (8, YELLOW), (12, RED)]
    annotations = folder / "annotations"
    annotations.mkdir(parents=True)
    for seed, (name, images) in enumerate(sets.items()):
        (folder / name).mkdir()
        found, files = [], []
        for number, (stem, things) in enumerate(images.items()):
            photograph(10 * seed + number, things).save(folder / name / f"{stem}.jpg", quality=92)
            size = {"width": 160, "height": 120}
            files.append({"id": int(stem), "file_name": f"{stem}.jpg", **size})
            for thing, x0, y0, x1, y1 in things:
                ids = [id_ for id_, category in categories if category == thing]
                found.append(
                    {
                        "id": len(found) + 1,
                        "image_id": int(stem),
                        "category_id": ids[number % len(ids)],
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": (x1 - x0) * (y1 - y0),
                        "iscrowd": int(stem == "000005" and thing == RED),
                    }
                )
        if name == "train2017":  # a stray click
            found.append({**found[0], "id": 99, "bbox": [30.5, 40.25, 0, 0]})
        content = {
            "info": {"description": "cells"},
            "images": files,
            "annotations": found,
            "categories": [{"id": id_, "name": name} for id_, name in categories],
        }
        (annotations / f"instances_{name}.json").write_text(json.dumps(content))
    (annotations / "captions_val2017.json").write_text('{"images": [], "annotations": []}')
    return {**sets["train2017"], **sets["val2017"]}
