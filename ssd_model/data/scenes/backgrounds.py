"""Draw a street without signs: sky, hills, ground and road, then the things beside it."""

import numpy as np
from PIL import Image, ImageChops

from ssd_model.data.scenes import roadside
from ssd_model.data.scenes.stage import MOODS, NEAR, OVERSIZE, Camera, Colour, Mood, Stage, glow

_GRASS = ((104, 134, 66), (122, 142, 74), (88, 122, 62), (140, 146, 88), (152, 140, 96))
_PAVING = ((158, 156, 150), (142, 138, 134), (172, 164, 152), (150, 140, 128))
_ASPHALT = ((92, 94, 98), (78, 80, 84), (106, 106, 106), (112, 106, 102))
_HILLS = ((84, 112, 84), (98, 122, 92), (72, 98, 92), (110, 120, 84))
_FAR = 160.0
_GRAIN_SIDE = 1536


def draw_street(rng: np.random.Generator, width: int, height: int) -> Stage:
    """Draw a street scene without road signs.

    Args:
        rng: the source of all randomness.
        width: width of the final picture in pixels.
        height: height of the final picture in pixels.

    Returns:
        A stage OVERSIZE times as large as the final picture.
    """
    size = (width * OVERSIZE, height * OVERSIZE)
    mood = MOODS[int(rng.choice(len(MOODS), p=[m.share for m in MOODS]))]
    camera = Camera(
        focal=float(rng.uniform(0.8, 1.25)) * size[0],
        vanish_x=float(rng.uniform(0.15, 0.85)) * size[0],
        horizon=float(rng.uniform(0.45, 0.72)) * size[1],
    )
    foggy = rng.random() < 0.1
    haze = float(rng.uniform(28, 60) if foggy else rng.uniform(180, 500))
    # The camera is on the pavement left or right of the road, or in a lane.
    middle = float(rng.choice([-1, 1]) * rng.uniform(1.2, 6.5))
    half = float(rng.uniform(2.8, 4.2))
    sky = _sky(rng, size, mood, camera.horizon, foggy)
    stage = Stage(sky, camera, mood, haze, rng, (middle - half, middle + half))
    _hills(stage)
    town = _ground(stage)
    roadside.fill(stage, town)
    stage.image.paste(_grained(stage))
    return stage


def _noise(rng: np.random.Generator, width: int, height: int, cells: float) -> np.ndarray:
    """Smooth noise in 0..1 of three octaves, the coarsest with `cells` over the height."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        # Half as many cells across, since clouds are wider than they are high.
        down = round(cells * 2**octave)
        across = max(2, round(down * width / height / 2))
        coarse = Image.fromarray(rng.random((down, across), np.float32))
        fine = coarse.resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(fine) * np.float32(0.5 ** (octave + 1))
    return total / np.float32(0.875)


def _sky(
    rng: np.random.Generator, size: tuple[int, int], mood: Mood, horizon: float, foggy: bool
) -> Image.Image:
    """Draw the sky down to the horizon, small and then enlarged, since it is soft anyway."""
    width, height = size[0] // 6, int(horizon) // 6 + 1
    fall = np.clip(np.arange(height, dtype=np.float32) / height, 0, 1)[:, None, None] ** 0.8
    top, low, cloud = (np.array(c, np.float32) for c in (mood.sky_top, mood.sky_low, mood.cloud))
    if foggy:
        top = 0.4 * top + 0.6 * low
    sky = top * (1 - fall) + low * fall
    cover = float(rng.uniform(0.1, 0.8))
    clouds = _noise(rng, width, height, int(rng.integers(4, 8)))
    weight = np.clip((clouds - 0.66 + 0.3 * cover) * 4, 0, 0.2 if foggy else 0.85)[..., None]
    shadow = 1 - 0.18 * np.clip(clouds * 2 - 1, 0, 1)[..., None]
    sky = sky + (cloud * shadow - sky) * weight
    image = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    picture = Image.new("RGB", size)
    picture.paste(image.resize((size[0], int(horizon) + 2), Image.Resampling.BILINEAR))
    return picture


def _hills(stage: Stage) -> None:
    """Draw up to three ranges of hills, farthest first; sometimes the sun or moon behind them."""
    rng = stage.rng
    if rng.random() < 0.35:
        spot = (rng.uniform(0, stage.width), rng.uniform(0.1, 0.9) * stage.camera.horizon)
        light = (235, 238, 245) if stage.mood.dark else (255, 246, 220)
        glow(stage, spot, rng.uniform(60, 220), light, 0.9)
    across = np.linspace(0, stage.width, 60)
    for distance in (260.0, 170.0, 100.0)[int(rng.integers(0, 3)) :]:
        tall = rng.uniform(0.03, 0.2) * stage.camera.horizon
        waves = sum(
            np.sin(across / stage.width * rng.uniform(2, 7) * 2**i + rng.uniform(0, 6)) / 1.8**i
            for i in range(4)
        )
        top = stage.camera.horizon - tall * (0.7 + 0.4 * waves)
        ridge = [(float(x), float(y)) for x, y in zip(across, top, strict=True)]
        colour = stage.tone(stage.pick(_HILLS), distance * min(1, stage.haze / 200))
        foot = [(stage.width, stage.height), (0, stage.height)]
        stage.draw.polygon([*ridge, *foot], fill=colour)


def _ribbon(stage: Stage, left: float, right: float, colour: Colour) -> None:
    """Draw a strip of ground from the camera into the distance, between two x in metres."""
    bands = 12 if stage.haze > 150 else 40  # in fog, broad bands would show
    depths = np.geomspace(NEAR, 4 * _FAR, bands).tolist()
    for near, far in zip(depths[::-1][1:], depths[::-1], strict=False):
        stage.face([(left, 0, far), (right, 0, far), (right, 0, near), (left, 0, near)], colour)


def _ground(stage: Stage) -> bool:
    """Draw fields or paving, pavements, the road and its markings; True if it is a town."""
    rng, (left, right) = stage.rng, stage.road
    town = bool(rng.random() < 0.62)
    base = stage.pick(_PAVING if town and rng.random() < 0.5 else _GRASS)
    horizon = [0, stage.camera.horizon, stage.width, stage.height]
    stage.draw.rectangle(horizon, fill=stage.tone(base, 4 * _FAR))
    _ribbon(stage, -900, 900, base)
    side = float(rng.uniform(1.6, 2.8))
    if town or rng.random() < 0.4:
        paving = stage.pick(_PAVING)
        _ribbon(stage, left - side, right + side, paving)
        _ribbon(stage, left - 0.22, right + 0.22, (196, 194, 188))
    else:
        _ribbon(stage, left - 0.8, right + 0.8, stage.pick(((150, 136, 108),)))
    _ribbon(stage, left, right, stage.pick(_ASPHALT, 5))
    _lane_marks(stage)
    return town


def _lane_marks(stage: Stage) -> None:
    rng, (left, right) = stage.rng, stage.road
    white = (222, 222, 214)
    if rng.random() < 0.6:
        for edge in (left + 0.2, right - 0.32):
            _ribbon(stage, edge, edge + 0.12, white)
    if rng.random() < 0.85:
        middle, dash = (left + right) / 2, float(rng.uniform(1.5, 3.5))
        for near in np.arange(rng.uniform(0, 2 * dash), 70, 2 * dash):
            _stripe(stage, (middle - 0.07, middle + 0.07), (near, near + dash), white)
    if rng.random() < 0.25:
        start = float(rng.uniform(5, 16))
        for x in np.arange(left + 0.5, right - 0.6, 1.0):
            _stripe(stage, (x, x + 0.5), (start, start + 3), white)


def _stripe(stage: Stage, x: tuple[float, float], z: tuple[float, float], colour: Colour) -> None:
    if z[1] > NEAR:
        corners = [(x[0], 0, z[1]), (x[1], 0, z[1]), (x[1], 0, z[0]), (x[0], 0, z[0])]
        stage.face(corners, colour)


def _make_grain() -> Image.Image:
    """Make a fixed pattern of blotches and fine grain, so that plain areas do not look flat."""
    rng = np.random.default_rng(20)
    blotches = _noise(rng, _GRAIN_SIDE, _GRAIN_SIDE, 30)
    fine = _noise(rng, _GRAIN_SIDE, _GRAIN_SIDE, 300)
    grain = 255 - 26 * blotches - 26 * fine
    return Image.fromarray(grain.astype(np.uint8)).convert("RGB")


_GRAIN: list[Image.Image] = []


def _grained(stage: Stage) -> Image.Image:
    """Lay a random part of the grain over the stage's picture."""
    if not _GRAIN:
        _GRAIN.append(_make_grain())
    x = int(stage.rng.integers(_GRAIN_SIDE - stage.width))
    y = int(stage.rng.integers(_GRAIN_SIDE - stage.height))
    part = _GRAIN[0].crop((x, y, x + stage.width, y + stage.height))
    return ImageChops.multiply(stage.image, part)
