"""Draw boxes into an image, with names in any script."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ssd_model.data.text import LONGEST_NAME
from ssd_model.fonts import in_pieces

COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#ff7f0e", "#17becf")


def draw_boxes(image: Image.Image, boxes: np.ndarray, classes: Sequence[str]) -> Image.Image:
    """Draw boxes, names and scores into a copy of an image.

    Lines and letters scale with the image, so that they can be read when it is shown in a window.

    Args:
        boxes: [K, 6] label (from 1), score, xmin, ymin, xmax, ymax in pixels; the best first.
    """
    image = image.copy()
    draw, side = ImageDraw.Draw(image), max(image.size)
    # The best last, on top of the others; then the names, on top of all boxes.
    boxes = boxes[::-1]
    colours = [COLOURS[(int(label) - 1) % len(COLOURS)] for label in boxes[:, 0]]
    for (_, _, *corners), colour in zip(boxes, colours, strict=True):
        draw.rectangle(corners, outline=colour, width=max(2, round(side / 300)))
    size = max(11, round(min(side / 45, min(image.size) / 8)))
    for (label, score, left, top, *_), colour in zip(boxes, colours, strict=True):
        pieces, fonts, widths = _fit(classes[int(label) - 1], f"{score:.2f}", size, image.width)
        above, below = np.max([font.getmetrics() for font in fonts], axis=0)
        # Above the box, or inside it if there is no room.
        x = max(0, min(left, image.width - sum(widths)))
        y = top if top < above + below else top - above - below
        draw.rectangle((x, y, x + sum(widths), y + above + below), fill=colour)
        for (text, _), font, width in zip(pieces, fonts, widths, strict=True):
            draw.text((x, y + above), text, "white", font, anchor="ls")
            x += width
    return image


def _fit(
    name: str, score: str, size: int, room: int
) -> tuple[Sequence[tuple[str, str]], list[ImageFont.FreeTypeFont], list[float]]:
    """The pieces of a label with their fonts and widths; a name without room is shortened."""
    for kept in range(max(1, min(len(name), LONGEST_NAME)), 0, -1):
        text = name if kept >= len(name) else f"{name[:kept]}…"
        pieces = in_pieces(f"{text} {score}")
        fonts = [ImageFont.truetype(path, size) for _, path in pieces]
        widths = [font.getlength(text) for (text, _), font in zip(pieces, fonts, strict=True)]
        if sum(widths) <= room:
            break
    return pieces, fonts, widths
