"""Opens image files: within a size limit, turned upright, as RGB."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from ssd_model.data.faults import DataError
from ssd_model.data.files import check_regular

MAX_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "BMP")

ORIENTATION_TAG = 0x0112
# EXIF orientation -> the turn that makes the picture upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = {5, 6, 7, 8}  # these turns swap width and height


def open_image(path: str | Path, upright: bool = True) -> Image.Image:
    """Return the image at `path` as an RGB image.

    Grey, 16-bit grey, palette and CMYK images are converted; alpha is dropped. The EXIF
    orientation is applied, as OpenCV does, unless `upright` is False.

    Raises DataError if the file is missing, broken, not JPEG, PNG or BMP, or above
    MAX_PIXELS pixels.
    """
    with _reading(path) as image:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
        rgb = _to_rgb(image)
    return rgb.transpose(UPRIGHT[orientation]) if upright and orientation in UPRIGHT else rgb


def check_image(path: str | Path) -> tuple[tuple[int, int], tuple[int, int]]:
    """Decode the image at `path`; return its (width, height) in pixels, upright and as stored.

    JPEG is decoded at 1/8 size: this still reads the whole file, several times faster.
    Raises DataError as `open_image` does.
    """
    with _reading(path) as image:
        width, height = stored = image.size
        sideways = image.getexif().get(ORIENTATION_TAG, 1) in SIDEWAYS
        image.draft(None, (max(1, width // 8), max(1, height // 8)))
        image.load()
    return (height, width) if sideways else stored, stored


@contextmanager
def _reading(path: str | Path) -> Iterator[Image.Image]:
    try:
        check_regular(path)
        with Image.open(path, formats=FORMATS) as image:
            _check_pixels(image)
            yield image
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such image file") from error
    except Exception as error:  # Pillow has no common class for the errors of a broken file
        raise DataError(
            f"{path}: not a readable {', '.join(FORMATS)} image ({_reason(error)}); "
            "replace the file"
        ) from error


def _reason(error: Exception) -> str:
    # Pillow repeats the path in this one.
    if isinstance(error, Image.UnidentifiedImageError):
        return "cannot identify the format"
    return str(error) or type(error).__name__


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{width}x{height} is above the limit of {MAX_PIXELS:,} pixels; scale the image down"
        )


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip at 255.
        grey = np.asarray(image).astype(np.float32) / 257
        image = Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns on the direct way
    return image.convert("RGB")
