"""Draw twigs with leaves, which hang in front of signs."""

from math import cos, hypot, pi, sin, sqrt

import numpy as np

from ssd_model.data.scenes.stage import Colour, Point, Stage

_LEAVES = ((70, 108, 48), (58, 92, 50), (94, 118, 54))
_BARK = (84, 68, 54)

Shape = tuple[list[Point], Colour]


def twig_leaves(stage: Stage, tip: Point, radius: float) -> list[Shape]:
    """Make the polygons and colours of a twig and its leaves, in the order of drawing.

    The twig comes from the nearest border of the picture, but never from below.

    Args:
        stage: provides the light and the randomness; nothing is drawn on it.
        tip: where the twig ends, in stage pixels.
        radius: how far the leaves reach from the twig, in stage pixels.
    """
    dx, dy = _way_out(stage, tip, radius)
    colour = stage.pick(_LEAVES)
    shapes = [(_wood(tip, (dx, dy), 0.05 * radius), stage.tone(_BARK))]
    count = int(min(260, 34 + 22 * hypot(dx, dy) / radius))
    for along, turn, away, shade in stage.rng.random((count, 4)).tolist():
        reach = radius * (0.7 - 0.15 * along) * sqrt(away)
        x = tip[0] + dx * along + reach * cos(2 * pi * turn)
        y = tip[1] + dy * along + reach * sin(2 * pi * turn)
        leaf = _leaf(stage.rng, (x, y), 0.24 * radius)
        shapes.append((leaf, stage.tone(colour, 0, 0.6 + 0.55 * shade)))
    return shapes


def _way_out(stage: Stage, tip: Point, radius: float) -> Point:
    """The way from the tip to just outside the left, right or upper border, not quite level."""
    slope = float(stage.rng.uniform(-0.5, 0.1))
    left, right, up = tip[0] + radius, stage.width - tip[0] + radius, tip[1] + radius
    if up < min(left, right):
        return (slope + 0.2) * up, -up
    return (-left, slope * left) if left < right else (right, slope * right)


def _wood(tip: Point, way: Point, half: float) -> list[Point]:
    """Make a thin wedge, pointed at the tip and `half` wide on either side at its foot."""
    foot = (tip[0] + way[0], tip[1] + way[1])
    scale = half / hypot(*way)
    across = (-scale * way[1], scale * way[0])
    return [
        tip,
        (foot[0] + across[0], foot[1] + across[1]),
        (foot[0] - across[0], foot[1] - across[1]),
    ]


def _leaf(rng: np.random.Generator, middle: Point, length: float) -> list[Point]:
    """Make a pointed leaf in a random direction."""
    angle = float(rng.uniform(0, pi))
    dx, dy = length * cos(angle), length * sin(angle)
    outline = ((-1, 0), (-0.3, 0.42), (0.4, 0.42), (1, 0), (0.4, -0.42), (-0.3, -0.42))
    return [(middle[0] + dx * u - dy * v, middle[1] + dy * u + dx * v) for u, v in outline]
