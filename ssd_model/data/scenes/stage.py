"""The stage that a scene is drawn on, in metres, with its light, weather and camera."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp

import numpy as np
from PIL import Image, ImageDraw

OVERSIZE = 2
"""The stage is drawn this many times too large and then reduced, which smooths the edges."""

NEAR = 1.2
"""The distance in metres below which nothing is drawn."""

Colour = tuple[int, int, int]
Point = tuple[float, float]
Place = tuple[float, float, float]


@dataclass(frozen=True)
class Mood:
    """An hour of the day: sky colours (0..255) and the light (factors for red, green, blue)."""

    name: str
    sky_top: Colour
    sky_low: Colour
    cloud: Colour
    light: tuple[float, float, float]
    share: float
    """The share of scenes in which it is drawn."""
    dark: bool = False


MOODS = (
    Mood("noon", (44, 112, 196), (158, 203, 236), (250, 251, 252), (1.0, 1.0, 0.98), 0.27),
    Mood("afternoon", (84, 142, 204), (206, 224, 232), (255, 250, 242), (1.02, 0.98, 0.92), 0.19),
    Mood("morning", (138, 172, 206), (246, 226, 202), (252, 240, 230), (1.0, 0.95, 0.88), 0.14),
    Mood("overcast", (148, 158, 168), (208, 213, 216), (190, 196, 202), (0.86, 0.88, 0.9), 0.14),
    Mood("sunset", (92, 100, 158), (252, 184, 116), (250, 160, 130), (0.98, 0.8, 0.66), 0.11),
    Mood("dusk", (36, 48, 92), (184, 128, 112), (112, 88, 112), (0.56, 0.51, 0.58), 0.08, True),
    Mood("night", (8, 12, 32), (38, 48, 82), (34, 40, 64), (0.28, 0.3, 0.42), 0.07, True),
)


@dataclass(frozen=True)
class Camera:
    """A camera that looks level down the road; x is right, y up, z ahead, in metres."""

    focal: float
    vanish_x: float
    horizon: float
    height: float = 1.5

    def project(self, x: float, y: float, z: float) -> Point:
        """Project a point to its pixel position; z must be at least NEAR."""
        scale = self.focal / z
        return self.vanish_x + x * scale, self.horizon + (self.height - y) * scale


@dataclass
class Stage:
    """A picture that is being drawn. Distances are in metres, positions in stage pixels."""

    image: Image.Image
    camera: Camera
    mood: Mood
    haze: float
    """The distance in metres at which most of a colour has faded into the haze."""
    rng: np.random.Generator
    road: tuple[float, float]
    """The left and right edges of the road, in metres."""
    walls: list[tuple[float, float, float, float]] = field(default_factory=list)
    """Boxes (left, top, right, bottom) of house fronts for signs to hang on, in stage pixels."""

    def __post_init__(self) -> None:
        self.draw = ImageDraw.Draw(self.image)

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    def tone(self, colour: Colour, z: float = 0.0, shade: float = 1.0) -> Colour:
        """The colour as seen in this light from `z` metres away; `shade` below 1 is darker."""
        clear = exp(-z / self.haze)
        red, green, blue = self.mood.light
        lit = clear * shade
        fog = self.mood.sky_low
        return (
            min(255, int(colour[0] * lit * red + fog[0] * (1 - clear))),
            min(255, int(colour[1] * lit * green + fog[1] * (1 - clear))),
            min(255, int(colour[2] * lit * blue + fog[2] * (1 - clear))),
        )

    def beside(self, side: int, off: float) -> float:
        """The x that lies `off` metres outside the road on one side (-1 left, 1 right)."""
        return self.road[0] - off if side < 0 else self.road[1] + off

    def spots(self, places: Sequence[Place]) -> list[Point]:
        """Project places in metres to their pixel positions."""
        return [self.camera.project(x, y, max(z, NEAR)) for x, y, z in places]

    def face(self, places: Sequence[Place], colour: Colour, shade: float = 1.0) -> None:
        """Fill the polygon between some places, with the haze of its nearest point."""
        self.draw.polygon(
            self.spots(places), fill=self.tone(colour, min(p[2] for p in places), shade)
        )

    def upright(
        self, x: Point, y: Point, z: float, colour: Colour, shade: float = 1.0
    ) -> tuple[float, float, float, float]:
        """Fill an upright rectangle facing the camera; return its box in stage pixels."""
        left, bottom = self.camera.project(x[0], y[0], z)
        right, top = self.camera.project(x[1], y[1], z)
        if right >= left and bottom >= top:
            self.draw.rectangle([left, top, right, bottom], fill=self.tone(colour, z, shade))
        return left, top, right, bottom

    def pick(self, choices: Sequence[Colour], spread: float = 12.0) -> Colour:
        """Choose a colour at random, make it brighter or darker, and change its tint slightly."""
        base = choices[int(self.rng.integers(len(choices)))]
        change = self.rng.standard_normal(4).tolist()
        red, green, blue = (
            max(0, min(255, int(c + spread * (change[3] + change[i] / 4))))
            for i, c in enumerate(base)
        )
        return red, green, blue


def glow(stage: Stage, centre: Point, radius: float, colour: Colour, strength: float) -> None:
    """Add a soft light around a point; `strength` in 0..1, `radius` in stage pixels."""
    side = max(2, int(2 * radius))
    mask = _GLOW.resize((side, side), Image.Resampling.BILINEAR).point(lambda v: int(v * strength))
    corner = (int(centre[0] - radius), int(centre[1] - radius))
    stage.image.paste(colour, (*corner, corner[0] + side, corner[1] + side), mask)


def _glow_mask(side: int = 128) -> Image.Image:
    line = (np.arange(side) + 0.5) / side * 2 - 1
    distance = np.hypot(line[:, None], line[None, :])
    return Image.fromarray((255 * np.clip(1 - distance, 0, 1) ** 2.2).astype(np.uint8))


_GLOW = _glow_mask()
