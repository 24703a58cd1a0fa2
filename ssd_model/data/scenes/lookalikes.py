"""Draw things beside the road that have the colours or shapes of signs but are not signs."""

from functools import lru_cache

from PIL import ImageFont

from ssd_model.data.scenes.stage import OVERSIZE, Colour, Point, Stage, glow

_STEEL = (132, 136, 140)
_PLAIN = (
    (26, 84, 160), (186, 34, 40), (240, 190, 40), (240, 238, 232), (30, 110, 76), (220, 110, 30),
)  # fmt: skip
_WORDS = ("CAFE", "SALE", "HOTEL", "BAKERY", "TAXI", "BOOKS", "PIZZA", "MARKET", "GARAGE", "FILM")


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _post(stage: Stage, x: float, z: float, tall: float) -> None:
    stage.upright((x - 0.04, x + 0.04), (0, tall), z, _STEEL)
    stage.upright((x - 0.04, x - 0.015), (0, tall), z, _STEEL, 1.3)


def _contrast(colour: Colour) -> Colour:
    return (30, 32, 36) if sum(colour) > 400 else (244, 243, 238)


def _word(stage: Stage, centre: Point, height: float, colour: Colour) -> None:
    """Draw a random word, `height` stage pixels tall, unless it would be too small."""
    if height > 4 * OVERSIZE:
        word = _WORDS[int(stage.rng.integers(len(_WORDS)))]
        # Use few sizes, so that the fonts can be cached.
        font = _font(min(96, 12 * round(height / 12 + 0.5)))
        stage.draw.text(centre, word, font=font, fill=colour, anchor="mm")


def advert(stage: Stage, x: float, z: float) -> None:
    """Draw a board on two legs with a word and some coloured shapes."""
    rng = stage.rng
    wide, tall = float(rng.uniform(1.4, 3.0)), float(rng.uniform(0.9, 1.8))
    low = float(rng.uniform(0.6, 1.8))
    for leg in (x + 0.15 * wide, x + 0.85 * wide):
        _post(stage, leg, z, low + 0.2)
    paper = stage.pick(_PLAIN, 16)
    stage.upright((x - 0.06, x + wide + 0.06), (low - 0.06, low + tall + 0.06), z, (90, 88, 86))
    stage.upright((x, x + wide), (low, low + tall), z, paper)
    for _ in range(int(rng.integers(1, 4))):
        shape = stage.tone(stage.pick(_PLAIN, 20), z)
        px, py = stage.camera.project(
            x + rng.uniform(0.15, 0.85) * wide, low + rng.uniform(0.3, 0.8) * tall, z
        )
        r = float(rng.uniform(0.08, 0.22)) * tall * stage.camera.focal / z
        if rng.random() < 0.5:
            stage.draw.ellipse([px - r, py - r, px + r, py + r], fill=shape)
        else:
            stage.draw.rectangle(
                [px - r * 1.5, py - r * 0.6, px + r * 1.5, py + r * 0.6], fill=shape
            )
    centre = stage.camera.project(x + wide / 2, low + 0.22 * tall, z)
    _word(stage, centre, 0.24 * tall * stage.camera.focal / z, stage.tone(_contrast(paper), z))


def plate(stage: Stage, x: float, z: float) -> None:
    """Draw a plain plate on a post: a name board with lines, or the grey back of a sign."""
    rng = stage.rng
    low = float(rng.uniform(1.3, 2.2))
    _post(stage, x, z, low + 0.4)
    if rng.random() < 0.4:
        _back_of_sign(stage, x, low, z)
        return
    colour = stage.pick(_PLAIN[:5])
    half, tall = float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.3, 0.75))
    stage.upright((x - half, x + half), (low, low + tall), z, _contrast(colour))
    stage.upright((x - half + 0.03, x + half - 0.03), (low + 0.03, low + tall - 0.03), z, colour)
    for line in range(int(rng.integers(0, 3))):
        y = low + tall * (0.7 - 0.3 * line)
        end = x - half * 0.75 + half * float(rng.uniform(0.7, 1.5))
        stage.upright((x - half * 0.75, end), (y - 0.04, y + 0.04), z, _contrast(colour))


def _back_of_sign(stage: Stage, x: float, low: float, z: float) -> None:
    grey = stage.tone((150, 153, 156), z, float(stage.rng.uniform(0.7, 1.0)))
    cx, cy = stage.camera.project(x, low + 0.35, z)
    r = 0.35 * stage.camera.focal / z
    if stage.rng.random() < 0.5:
        stage.draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=grey)
    else:
        stage.draw.polygon(
            [(cx - r, cy + r * 0.8), (cx + r, cy + r * 0.8), (cx, cy - r)], fill=grey
        )
    for y in (low + 0.25, low + 0.42):
        stage.upright((x - 0.14, x + 0.14), (y, y + 0.05), z, (110, 112, 116))


def shop_disc(stage: Stage, x: float, z: float) -> None:
    """Draw a round, coloured shop sign on a post, with a plain or ringed face."""
    rng = stage.rng
    y, radius = float(rng.uniform(2.2, 3.6)), float(rng.uniform(0.28, 0.5))
    _post(stage, x, z, y + radius + 0.1)
    cx, cy = stage.camera.project(x, y, z)
    for part, colour in (
        (1.0, stage.pick(_PLAIN)),
        (0.72, stage.pick(_PLAIN)),
        (0.3, stage.pick(_PLAIN)),
    ):
        if part < 1.0 and rng.random() < 0.45:
            continue
        r = radius * part * stage.camera.focal / z
        stage.draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=stage.tone(colour, z))


def traffic_light(stage: Stage, x: float, z: float) -> None:
    """Draw three lamps in a dark box, one of them on."""
    low = 2.3
    _post(stage, x, z, low)
    stage.upright((x - 0.2, x + 0.2), (low, low + 1.1), z, (30, 32, 34))
    on = int(stage.rng.integers(3))
    for i, colour in enumerate(((40, 220, 120), (255, 180, 30), (255, 50, 40))):
        cx, cy = stage.camera.project(x, low + 0.2 + 0.35 * i, z)
        r = 0.13 * stage.camera.focal / z
        fill = (
            colour if i == on else stage.tone((colour[0] // 4, colour[1] // 4, colour[2] // 4), z)
        )
        stage.draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fill)
        if i == on:
            glow(stage, (cx, cy), 3 * r, colour, 0.9 if stage.mood.dark else 0.3)
