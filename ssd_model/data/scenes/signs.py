"""Draw the ten road signs the detector learns, as RGBA pictures.

Every sign is plain geometry in a unit square (x to the right, y down, both 0..1). It is drawn
four times too large and then reduced, which smooths the edges.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import cos, hypot, pi, sin

from PIL import Image, ImageDraw, ImageFont

SIGN_SIZE = 256
"""The side of a drawn sign in pixels."""

_SUPERSAMPLE = 4
_RED = (196, 22, 34)
_BLUE = (18, 84, 168)
_YELLOW = (250, 196, 16)
_WHITE = (248, 248, 246)
_BLACK = (22, 22, 24)
_EDGE = (150, 153, 156)

Colour = tuple[int, int, int]
Point = tuple[float, float]


class _Pen:
    """Draws shapes given in unit coordinates on a transparent square."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        self.draw = ImageDraw.Draw(self.image)

    def _pixels(self, points: Sequence[Point]) -> list[Point]:
        return [(x * self.side, y * self.side) for x, y in points]

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self.draw.polygon(self._pixels(points), fill=colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        box = self._pixels([(x - radius, y - radius), (x + radius, y + radius)])
        self.draw.ellipse([*box[0], *box[1]], fill=colour)

    def stroke(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a thick polyline with round ends and joints."""
        self.draw.line(self._pixels(points), fill=colour, width=round(width * self.side))
        for x, y in points:
            self.disc(x, y, width / 2, colour)

    def rounded(self, points: Sequence[Point], radius: float, colour: Colour) -> None:
        """Draw a convex polygon (clockwise on screen) with rounded corners."""
        core = _inset(points, radius)
        self.polygon(core, colour)
        self.stroke([*core, core[0]], 2 * radius, colour)

    def text(self, text: str, centre: Point, height: float, bold: float, colour: Colour) -> None:
        """Draw text around `centre`, with capitals about `height` tall, thickened by `bold`."""
        font = ImageFont.load_default(height * self.side / 0.7)
        width = round(bold * self.side)
        left, top, right, bottom = self.draw.textbbox((0, 0), text, font=font, stroke_width=width)
        x = centre[0] * self.side - (left + right) / 2
        y = centre[1] * self.side - (top + bottom) / 2
        self.draw.text((x, y), text, font=font, fill=colour, stroke_width=width, stroke_fill=colour)


def _inset(points: Sequence[Point], by: float) -> list[Point]:
    """Move each side of a convex, clockwise polygon inwards by `by`."""
    result = []
    for i, (x, y) in enumerate(points):
        before, after = points[i - 1], points[(i + 1) % len(points)]
        ax, ay = _unit(x - before[0], y - before[1])
        bx, by_ = _unit(after[0] - x, after[1] - y)
        # The corner moves along both edges by the same length, by / sin(turning angle).
        length = by / (ax * by_ - ay * bx)
        result.append((x + (bx - ax) * length, y + (by_ - ay) * length))
    return result


def _unit(x: float, y: float) -> Point:
    length = hypot(x, y)
    return x / length, y / length


def _regular(corners: int, radius: float, turn: float) -> list[Point]:
    """A regular polygon around the middle, clockwise on screen; `turn` in parts of a circle."""
    angles = [2 * pi * (turn + i / corners) for i in range(corners)]
    return [(0.5 + radius * cos(a), 0.5 + radius * sin(a)) for a in angles]


def _stop(pen: _Pen) -> None:
    octagon = _regular(8, 0.53, 1 / 16)
    pen.rounded(octagon, 0.02, _EDGE)
    pen.rounded(_inset(octagon, 0.008), 0.02, _WHITE)
    pen.rounded(_inset(octagon, 0.042), 0.01, _RED)
    pen.text("STOP", (0.5, 0.5), 0.215, 0.013, _WHITE)


def _framed_triangle(pen: _Pen, up: bool) -> None:
    """Draw a white triangle with a broad red frame, on its base (up) or on its tip."""
    corners = [(0.5, 0.03), (1.03, 0.95), (-0.03, 0.95)]
    if not up:
        corners = [(1 - x, 1 - y) for x, y in corners]
    pen.rounded(corners, 0.055, _EDGE)
    pen.rounded(_inset(corners, 0.008), 0.05, _WHITE)
    pen.rounded(_inset(corners, 0.026), 0.04, _RED)
    pen.rounded(_inset(corners, 0.118), 0.012, _WHITE)


def _yield(pen: _Pen) -> None:
    _framed_triangle(pen, up=False)


def _warning(pen: _Pen) -> None:
    _framed_triangle(pen, up=True)
    pen.polygon([(0.45, 0.43), (0.55, 0.43), (0.53, 0.64), (0.47, 0.64)], _BLACK)
    pen.disc(0.5, 0.43, 0.05, _BLACK)
    pen.disc(0.5, 0.64, 0.03, _BLACK)
    pen.disc(0.5, 0.745, 0.05, _BLACK)


def _roadworks(pen: _Pen) -> None:
    _framed_triangle(pen, up=True)
    pen.disc(0.475, 0.385, 0.047, _BLACK)
    pen.stroke([(0.44, 0.485), (0.36, 0.62)], 0.085, _BLACK)  # bent back
    pen.stroke([(0.36, 0.64), (0.42, 0.71), (0.385, 0.805)], 0.052, _BLACK)  # front leg
    pen.stroke([(0.35, 0.64), (0.30, 0.805)], 0.052, _BLACK)  # back leg
    pen.stroke([(0.455, 0.49), (0.535, 0.57)], 0.042, _BLACK)  # arm
    pen.stroke([(0.43, 0.56), (0.62, 0.71)], 0.026, _BLACK)  # spade
    pen.polygon([(0.53, 0.825), (0.63, 0.675), (0.69, 0.685), (0.78, 0.825)], _BLACK)  # heap


def _disc_sign(pen: _Pen, colour: Colour) -> None:
    pen.disc(0.5, 0.5, 0.49, _EDGE)
    pen.disc(0.5, 0.5, 0.482, _WHITE)
    pen.disc(0.5, 0.5, 0.462, colour)


def _no_entry(pen: _Pen) -> None:
    _disc_sign(pen, _RED)
    bar = [(0.15, 0.405), (0.85, 0.405), (0.85, 0.595), (0.15, 0.595)]
    pen.rounded(bar, 0.012, _WHITE)


def _speed(pen: _Pen, limit: str) -> None:
    _disc_sign(pen, _RED)
    pen.disc(0.5, 0.5, 0.355, _WHITE)
    pen.text(limit, (0.5, 0.5), 0.35, 0.021, _BLACK)


def _priority(pen: _Pen) -> None:
    diamond = _regular(4, 0.52, 0)
    pen.rounded(diamond, 0.06, _EDGE)
    pen.rounded(_inset(diamond, 0.008), 0.055, _WHITE)
    pen.rounded(_inset(diamond, 0.095), 0.02, _YELLOW)


def _blue_square(pen: _Pen) -> None:
    square = [(0.03, 0.03), (0.97, 0.03), (0.97, 0.97), (0.03, 0.97)]
    pen.rounded(square, 0.07, _EDGE)
    pen.rounded(_inset(square, 0.008), 0.065, _WHITE)
    pen.rounded(_inset(square, 0.035), 0.05, _BLUE)


def _parking(pen: _Pen) -> None:
    _blue_square(pen)
    pen.text("P", (0.52, 0.5), 0.54, 0.042, _WHITE)


def _crossing(pen: _Pen) -> None:
    _blue_square(pen)
    pen.polygon([(0.5, 0.13), (0.89, 0.85), (0.11, 0.85)], _WHITE)
    pen.disc(0.51, 0.35, 0.045, _BLACK)
    pen.stroke([(0.505, 0.45), (0.495, 0.575)], 0.085, _BLACK)  # body
    pen.stroke([(0.50, 0.60), (0.56, 0.68), (0.57, 0.785)], 0.045, _BLACK)  # legs
    pen.stroke([(0.485, 0.60), (0.45, 0.69), (0.395, 0.775)], 0.045, _BLACK)
    pen.stroke([(0.52, 0.44), (0.575, 0.52), (0.62, 0.555)], 0.034, _BLACK)  # arms
    pen.stroke([(0.48, 0.44), (0.425, 0.51), (0.42, 0.575)], 0.034, _BLACK)
    for x in (0.2, 0.34, 0.6, 0.74):  # the stripes walked on
        pen.polygon([(x, 0.85), (x + 0.02, 0.8), (x + 0.08, 0.8), (x + 0.08, 0.85)], _BLACK)


_DRAWINGS: dict[str, Callable[[_Pen], None]] = {
    "crossing": _crossing,
    "no_entry": _no_entry,
    "parking": _parking,
    "priority": _priority,
    "roadworks": _roadworks,
    "speed_30": lambda pen: _speed(pen, "30"),
    "speed_70": lambda pen: _speed(pen, "70"),
    "stop": _stop,
    "warning": _warning,
    "yield": _yield,
}

CLASSES: tuple[str, ...] = tuple(sorted(_DRAWINGS))
"""Class names in the order of their class numbers; the background is not among them."""


@lru_cache(maxsize=64)
def draw_sign(name: str, side: int = SIGN_SIZE) -> Image.Image:
    """Draw one sign, seen from the front, on a transparent square.

    Args:
        name: one of CLASSES.
        side: width and height of the picture in pixels, at most SIGN_SIZE.

    Returns:
        An RGBA picture. It is cached and shared: copy it before changing it.
    """
    if name not in _DRAWINGS:
        raise ValueError(f"unknown sign {name!r}; known are {', '.join(CLASSES)}")
    if side < SIGN_SIZE:
        return draw_sign(name).resize((side, side), Image.Resampling.LANCZOS)
    pen = _Pen(SIGN_SIZE * _SUPERSAMPLE)
    _DRAWINGS[name](pen)
    return pen.image.reduce(_SUPERSAMPLE)
