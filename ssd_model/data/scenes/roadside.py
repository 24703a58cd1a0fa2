"""Draw the things along the road: trees, fences, cars and lamps, and houses from their module."""

from collections.abc import Callable
from math import cos, pi, sin, sqrt

import numpy as np

from ssd_model.data.scenes.houses import houses
from ssd_model.data.scenes.lookalikes import advert, plate, shop_disc, traffic_light
from ssd_model.data.scenes.stage import Colour, Stage, glow

_LEAVES = ((66, 104, 44), (84, 122, 54), (52, 88, 48), (104, 128, 58), (138, 116, 48))
_CARS = (
    (150, 30, 34),
    (40, 70, 120),
    (210, 212, 214),
    (44, 46, 50),
    (120, 124, 130),
    (92, 110, 96),
)
_BARK = (86, 68, 54)
_LIT = (255, 214, 140)

Item = tuple[float, Callable[[], None]]


def fill(stage: Stage, town: bool) -> None:
    """Line the road with things, drawn from far to near."""
    rng, items = stage.rng, []
    for side in (-1, 1):
        items += houses(stage, side, town)
        items += _trees(stage, side, town)
        items += _furniture(stage, side, town)
    items += _traffic(stage)
    if rng.random() < 0.45:
        side = int(rng.choice([-1, 1]))
        items.append((30.0, lambda: _fence(stage, side)))
    for _, draw in sorted(items, key=lambda item: -item[0]):
        draw()


def _trees(stage: Stage, side: int, town: bool) -> list[Item]:
    rng = stage.rng
    items: list[Item] = []
    for _ in range(int(rng.integers(1, 4) if town else rng.integers(5, 12))):
        z = float(6 + 90 * rng.random() ** 1.6)
        x = stage.beside(side, float(rng.uniform(2.0, 4) if town else 1.5 + 22 * rng.random() ** 2))
        items.append((z, lambda x=x, z=z: _tree(stage, x, z)))
    return items


def _tree(stage: Stage, x: float, z: float) -> None:
    rng = stage.rng
    tall = float(rng.uniform(3.5, 9))
    leaves = stage.pick(_LEAVES)
    trunk = tall * 0.03
    stage.upright((x - trunk, x + trunk), (0, tall * 0.55), z, _BARK)
    if rng.random() < 0.25:
        _conifer(stage, x, z, tall, leaves)
        return
    radius = stage.camera.focal / z * tall * 0.3
    cx, cy = stage.camera.project(x, tall * 0.68, z)
    if not -1.4 * radius < cx < stage.width + 1.4 * radius:
        return
    lumps, size = (12, 0.34) if radius < 30 else (64, 0.155)
    # Three layers from dark to light, each a little narrower and closer to the light.
    for shade, spread, shift in ((0.66, 1.0, 0.0), (0.9, 0.84, -0.1), (1.14, 0.6, -0.22)):
        colour = stage.tone(leaves, z, shade)
        for turn, away, swell in rng.random((lumps, 3)).tolist():
            reach = sqrt(away) * radius * spread
            px = cx + reach * cos(2 * pi * turn) * 1.05 + shift * radius * 0.5
            py = cy + reach * sin(2 * pi * turn) * 1.1 + shift * radius
            r = radius * size * (0.6 + 0.7 * swell)
            stage.draw.ellipse([px - r, py - r, px + r, py + r], fill=colour)


def _conifer(stage: Stage, x: float, z: float, tall: float, leaves: Colour) -> None:
    dark = (leaves[0] * 2 // 3, leaves[1] * 3 // 4, leaves[2])
    for i in range(5):
        low = tall * (0.14 + 0.16 * i)
        half = tall * 0.23 * (1 - i / 6)
        tip = low + tall * 0.26
        stage.face([(x - half, low, z), (x + half, low, z), (x, tip, z)], dark, 0.75)
        stage.face([(x - half, low, z), (x + half * 0.2, low, z), (x, tip, z)], dark)


def _fence(stage: Stage, side: int) -> None:
    rng = stage.rng
    x = stage.beside(side, float(rng.uniform(1.9, 2.2)))
    colour = stage.pick(((212, 206, 196), (128, 100, 76), (150, 154, 158), (96, 98, 100)))
    for low in (0.35, 0.8):
        stage.face(
            [(x, low, 3), (x, low, 60), (x, low + 0.12, 60), (x, low + 0.12, 3)], colour, 0.9
        )
    for z in np.geomspace(60, 3, 26).tolist():
        stage.upright((x - 0.05, x + 0.05), (0, 1.05), z, colour)


def _traffic(stage: Stage) -> list[Item]:
    rng, (left, right) = stage.rng, stage.road
    items: list[Item] = []
    for _ in range(int(rng.integers(0, 4))):
        z = float(rng.uniform(7, 45))
        lane = float(rng.choice([0.28, 0.72, -0.12, 1.12], p=[0.35, 0.35, 0.15, 0.15]))
        x = left + lane * (right - left)
        coming = lane < 0.5
        items.append((z, lambda x=x, z=z, coming=coming: _car(stage, x, z, coming)))
    return items


def _car(stage: Stage, x: float, z: float, coming: bool) -> None:
    """Draw a car, seen from behind, or from the front if it is coming."""
    paint = stage.pick(_CARS)
    back, wide = z + 3.6, 0.86
    inner = x - wide if x > 0 else x + wide
    stage.upright((x - wide, x + wide), (0.0, 0.3), z, (24, 24, 26))
    flank = [(inner, 0.3, z), (inner, 0.3, back), (inner, 0.95, back), (inner, 0.95, z)]
    stage.face(flank, paint, 0.72)
    roof = [
        (x - 0.66, 1.45, z + 0.7),
        (x + 0.66, 1.45, z + 0.7),
        (x + wide, 0.92, z),
        (x - wide, 0.92, z),
    ]
    stage.face(roof, paint, 0.95)
    pane = [
        (x - 0.58, 1.37, z + 0.6),
        (x + 0.58, 1.37, z + 0.6),
        (x + 0.72, 0.97, z),
        (x - 0.72, 0.97, z),
    ]
    stage.face(pane, (52, 62, 72))
    stage.upright((x - wide, x + wide), (0.3, 0.95), z, paint)
    stage.upright((x - 0.26, x + 0.26), (0.45, 0.6), z, (232, 230, 214))
    lamp = (255, 244, 214) if coming else (196, 28, 26)
    for side in (-1, 1):
        low = stage.camera.project(x + side * 0.66 - 0.15, 0.66, z)
        high = stage.camera.project(x + side * 0.66 + 0.15, 0.82, z)
        stage.draw.rectangle(
            [low[0], high[1], high[0], low[1]],
            fill=lamp if stage.mood.dark else stage.tone(lamp, z),
        )
        if stage.mood.dark:
            middle = stage.camera.project(x + side * 0.66, 0.74, z)
            glow(stage, middle, stage.camera.focal / z * (0.9 if coming else 0.4), lamp, 0.8)


def _lamp(stage: Stage, x: float, z: float, side: int) -> None:
    pole = (84, 88, 92)
    stage.upright((x - 0.06, x + 0.06), (0, 6), z, pole)
    arm = (min(x, x - side * 1.5), max(x, x - side * 1.5))
    stage.upright(arm, (5.9, 6.02), z, pole)
    head = x - side * 1.4
    stage.upright((head - 0.3, head + 0.3), (5.76, 5.94), z, (200, 200, 190))
    if stage.mood.dark:
        glow(stage, stage.camera.project(head, 5.7, z), stage.camera.focal / z * 1.6, _LIT, 0.95)


def _furniture(stage: Stage, side: int, town: bool) -> list[Item]:
    """Place lamps, and things that could be taken for road signs."""
    rng = stage.rng
    items: list[Item] = []
    for z in np.arange(rng.uniform(8, 20), 70, rng.uniform(14, 26)).tolist() if town else []:
        x = stage.beside(side, 0.7)
        items.append((z, lambda x=x, z=z: _lamp(stage, x, z, side)))
    for kind in rng.permutation(np.array([advert, plate, shop_disc, traffic_light, plate]))[
        : int(rng.integers(0, 3))
    ]:
        z = float(rng.uniform(4.5, 22))
        x = stage.beside(side, float(rng.uniform(0.4, 3)))
        items.append((z, lambda kind=kind, x=x, z=z: kind(stage, x, z)))
    return items
