"""Boxes drawn into an image, with names in any script."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font
from PIL import Image, ImageDraw, ImageFont

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#ff7f0e", "#17becf")
BASE_FONT = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def draw_boxes(image: Image.Image, boxes: np.ndarray, classes: Sequence[str]) -> Image.Image:
    """A copy of an image with boxes, names and scores.

    Lines and letters grow with the image, so that they can be read when it is shown in a window.

    Args:
        boxes: [K, 6] label (from 1), score, xmin, ymin, xmax, ymax in pixels; the best first.
    """
    image = image.copy()
    draw, side = ImageDraw.Draw(image), max(image.size)
    # The best last, on top of the others; and the names on top of all boxes
    boxes = boxes[::-1]
    colours = [COLOURS[(int(label) - 1) % len(COLOURS)] for label in boxes[:, 0]]
    for (_, _, *corners), colour in zip(boxes, colours, strict=True):
        draw.rectangle(corners, outline=colour, width=max(2, round(side / 300)))
    for (label, score, left, top, *_), colour in zip(boxes, colours, strict=True):
        name, font_file = _shown(classes[int(label) - 1])
        font = ImageFont.truetype(font_file, max(11, round(side / 45)))
        text = f"{name} {score:.2f}"
        _, _, width, height = draw.textbbox((0, 0), text, font)
        # Above the box, or inside where there is no room
        x = max(0, min(left, image.width - width))
        y = top - height if top >= height else top
        draw.rectangle((x, y, x + width, y + height), fill=colour)
        draw.text((x, y), text, "white", font)
    return image


@cache
def _shown(text: str) -> tuple[str, str]:
    """A text as it can be drawn, and the file of a font for it.

    A letter that no font has is written as its number, as \\u505c.
    """
    entries = [e.fname for e in fontManager.ttflist if e.style == "normal" and e.weight == 400]
    for path in [BASE_FONT, *sorted(name for name in entries if "LastResort" not in name)]:
        if not _lacking(text, path):
            return text, path
    escapes = {ord(letter): ascii(letter)[1:-1] for letter in _lacking(text, BASE_FONT)}
    return text.translate(escapes), BASE_FONT


def _lacking(text: str, path: str) -> set[str]:
    """The letters that a font does not have; all of them, if it can't be drawn in any size."""
    known = _letters(path)
    return {letter for letter in text if ord(letter) not in known}


@cache
def _letters(path: str) -> frozenset[int]:
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError):  # gone since matplotlib listed it, or damaged
        return frozenset()
    return frozenset(font.get_charmap()) if font.scalable else frozenset()
