"""Change a sign before it is placed, and the finished picture as a camera would."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from ssd_model.data.scenes.signs import SIGN_SIZE, draw_sign
from ssd_model.data.scenes.stage import Mood

_FIELD = 64
_BRIGHTEST = 1.2

Corners = np.ndarray
"""Four (x, y) of a warped square in pixels: top left, top right, bottom right, bottom left."""


def pose(rng: np.random.Generator, side: float) -> Corners:
    """Pose a square of `side` pixels: its corners around (0, 0), rotated and seen at an angle."""
    roll = np.radians(np.clip(rng.normal(0, 6.5), -16, 16))
    yaw = np.radians(np.clip(rng.normal(0, 18), -45, 45))
    pitch = np.radians(np.clip(rng.normal(0, 7), -18, 18))
    square = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    x = square[:, 0] * np.cos(roll) - square[:, 1] * np.sin(roll)
    y = square[:, 0] * np.sin(roll) + square[:, 1] * np.cos(roll)
    x, z = x * np.cos(yaw), x * np.sin(yaw)
    y, z = y * np.cos(pitch) - z * np.sin(pitch), y * np.sin(pitch) + z * np.cos(pitch)
    # The eye is two and a half sides away.
    return np.stack([x, y], 1) * (side * 2.5 / (2.5 + z))[:, None]


def warp(sign: Image.Image, corners: Corners) -> tuple[Image.Image, tuple[int, int]]:
    """Warp a square RGBA picture to four corners.

    Returns:
        The warped picture, just large enough for the corners, and the (x, y) of its top left.
    """
    low = np.floor(corners.min(0)).astype(int)
    size = np.ceil(corners.max(0)).astype(int) - low
    side = sign.width
    source = np.array([(0, 0), (side, 0), (side, side), (0, side)], float)
    rows, values = [], []
    for (x, y), (u, v) in zip(corners - low, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    plane = np.linalg.solve(np.array(rows), np.array(values))
    patch = sign.transform(
        (int(size[0]), int(size[1])),
        Image.Transform.PERSPECTIVE,
        plane.tolist(),
        Image.Resampling.BILINEAR,  # smooth enough on an oversized stage, and fast
    )
    return patch, (int(low[0]), int(low[1]))


def worn_sign(rng: np.random.Generator, name: str, side: float, mood: Mood) -> Image.Image:
    """Draw a sign of a class with its own fading, dirt and shade, in the light of the hour.

    Args:
        rng: the source of all randomness.
        name: the sign's class.
        side: the side in pixels as it will be seen; the picture is at least that, or SIGN_SIZE.
        mood: the hour of the day.
    """
    # A picture much larger than needed would alias in the warp.
    drawn = next(s for s in (64, 96, 160, SIGN_SIZE) if s >= min(side, SIGN_SIZE))
    sign = draw_sign(name, drawn)
    grey = Image.new("RGB", sign.size, (int(rng.uniform(120, 200)),) * 3)
    worn = Image.blend(sign.convert("RGB"), grey, min(0.4, max(0.0, rng.normal(0, 0.13))))
    shade = _shade_field(rng).resize(sign.size, Image.Resampling.BILINEAR)
    worn = ImageChops.multiply(worn, Image.merge("RGB", (shade,) * 3))
    worn = _scaled(worn, _own_light(rng, mood) * _BRIGHTEST)
    worn.putalpha(sign.getchannel("A"))
    return worn


def _scaled(image: Image.Image, factors: np.ndarray, shift: float = 0.0) -> Image.Image:
    """Multiply red, green and blue by their factors, then add a shift (0..255)."""
    table = np.arange(256)[None, :] * factors[:, None] + shift
    return image.point(np.clip(table, 0, 255).astype(int).ravel().tolist())


def _own_light(rng: np.random.Generator, mood: Mood) -> np.ndarray:
    """Factors for red, green and blue; signs reflect light, so they stay bright at night."""
    share = rng.uniform(0.35, 0.8) if mood.dark else 0.1
    light = np.array(mood.light) * (1 - share) + share
    return light * rng.uniform(0.78, 1.04) * rng.normal(1, 0.025, 3)


def _shade_field(rng: np.random.Generator) -> Image.Image:
    """Brightness over a sign: light from one side, dirt, sometimes the shade of a tree.

    The field is small, to be enlarged; 255 stands for the factor _BRIGHTEST.
    """
    line = np.linspace(-0.5, 0.5, _FIELD, dtype=np.float32)
    angle = float(rng.uniform(0, 2 * np.pi))
    slope = np.cos(angle) * line[None, :] + np.sin(angle) * line[:, None]
    field = 1 + rng.uniform(0, 0.25) * slope - 0.16 * rng.random() * _spots(rng, 9)
    if rng.random() < 0.2:
        field *= 1 - rng.uniform(0.2, 0.42) * (_spots(rng, 4) > 0.5)
    elif rng.random() < 0.15:
        field *= np.where(slope > rng.uniform(-0.2, 0.2), rng.uniform(0.55, 0.8), 1)
    return Image.fromarray(np.clip(field * (255 / _BRIGHTEST), 0, 255).astype(np.uint8))


def _spots(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Smooth noise in 0..1, `cells` across."""
    coarse = Image.fromarray(rng.integers(0, 256, (cells, cells), np.uint8))
    fine = coarse.resize((_FIELD, _FIELD), Image.Resampling.BICUBIC)
    return np.asarray(fine, np.float32) / 255


def photograph(rng: np.random.Generator, image: Image.Image, mood: Mood, smallest: float) -> bytes:
    """Take the picture: add the effects of rain, lens, sensor and compression.

    Args:
        rng: the source of all randomness.
        image: the RGB scene in its final size.
        mood: the hour of the day.
        smallest: side in pixels of the smallest sign, which limits the blur.

    Returns:
        The content of a JPEG file.
    """
    if rng.random() < 0.08:
        image = _rain(rng, image)
    image = _blur(rng, image, 0.013 * smallest)
    image = _expose(rng, image, mood)
    file = BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(72, 96)))
    return file.getvalue()


def _rain(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    mask = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(mask)
    lean = rng.uniform(-0.35, 0.35)
    for _ in range(int(rng.integers(80, 260))):
        x, y, length = (
            rng.uniform(0, image.width),
            rng.uniform(-20, image.height),
            rng.uniform(8, 26),
        )
        draw.line([x, y, x + lean * length, y + length], fill=int(rng.integers(40, 120)))
    veil = Image.blend(image, Image.new("RGB", image.size, (150, 155, 160)), 0.12)
    veil.paste((205, 210, 216), (0, 0), mask.filter(ImageFilter.GaussianBlur(0.6)))
    return veil


def _blur(rng: np.random.Generator, image: Image.Image, limit: float) -> Image.Image:
    """Blur a picture as if out of focus or moved; the radius is at most `limit` pixels."""
    kind = rng.random()
    if kind < 0.3:
        return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 1)) * min(limit, 1.3)))
    if kind < 0.42 and limit > 0.5:
        line = np.zeros((5, 5))
        steps = np.linspace(-1, 1, 9) * min(2.0, 1.4 * limit)
        angle = rng.normal(0, 0.4)
        rows = np.rint(2 + steps * np.sin(angle)).astype(int)
        columns = np.rint(2 + steps * np.cos(angle)).astype(int)
        np.add.at(line, (rows, columns), 1)
        return image.filter(ImageFilter.Kernel((5, 5), line.ravel().tolist()))
    return image


def _expose(rng: np.random.Generator, image: Image.Image, mood: Mood) -> Image.Image:
    """Change contrast, brightness and tint, darken the corners, and add sensor noise."""
    width, height = image.size
    contrast = rng.uniform(0.85, 1.15)
    gain = contrast * rng.uniform(0.96, 1.24) * rng.normal(1, 0.02, 3)
    image = _scaled(image, gain, 118 * (1 - contrast))
    across = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    down = np.linspace(-1, 1, height, dtype=np.float32) ** 2
    corners = 1 - np.float32(rng.uniform(0, 0.12)) * (across[None, :] + down[:, None])
    noise = min(9.0, abs(rng.normal(0, 2.6)) + (2.0 if mood.dark else 0.5))
    # Grey noise takes a third of the work of coloured noise.
    x, y = rng.integers(_NOISE.shape[1] - width), rng.integers(_NOISE.shape[0] - height)
    grains = _NOISE[y : y + height, x : x + width] * np.float32(noise)
    pixels = np.asarray(image) * corners[..., None] + grains[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


# Taking a random part of a fixed sheet is much faster than fresh noise for every picture.
_NOISE = np.random.default_rng(30).standard_normal((1024, 1024), np.float32)
