"""Open image files within a size limit, turned upright, as RGB."""

import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError

from ssd_model.data.faults import DataError, Fault
from ssd_model.data.files import check_regular

MAX_PIXELS = 110_000_000  # a phone of 108 megapixels has up to 12032 x 9024
FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
_LIMIT = f"the limit of {MAX_PIXELS:,} pixels; scale the image down"
# How files of other kinds begin, whatever their names
OTHERS = {
    rb"GIF8": "GIF",
    rb"II\*\0|MM\0\*": "TIFF",
    rb"....ftypavif": "AVIF",
    rb"....ftyp(hei|mif)": "HEIC",
}
THREADS = 4  # Pillow decodes outside Python's lock

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


class Sizes(NamedTuple):
    """(width, height) of an image in pixels: upright, and as stored."""

    upright: tuple[int, int]
    stored: tuple[int, int]
    turned: bool
    """Whether its EXIF orientation turns or mirrors it, which the sizes need not show."""


class PictureWarning(UserWarning):
    """Something is wrong with an image, but it can be read."""


# `check_images` reports warnings about users' images once; no page or loop need repeat them.
warnings.filterwarnings("ignore", category=PictureWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow's limit is lower than MAX_PIXELS.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# A PNG is not refused for one long text; the limit for all its texts together stays.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY


def open_image(path: str | Path, upright: bool = True, largest: int | None = None) -> Image.Image:
    """Return the image at `path` as an RGB image.

    Grey, 16-bit grey, palette and CMYK images are converted; alpha is dropped. The EXIF
    orientation is applied, as OpenCV does, unless `upright` is False. Orientation from elsewhere,
    such as XMP, is ignored, as in the tools that boxes are drawn with.

    Args:
        largest: maximum pixels of the longer side. A larger image is scaled down; for a JPEG,
            most of that happens during decoding, which is several times faster.

    Raises DataError if the file is missing, broken, not one of FORMATS, or above MAX_PIXELS
    pixels.
    """
    with _reading(path) as image:
        orientation = _orientation(image)
        if largest and largest < max(image.size):
            scale = largest / max(image.size)
            image.draft(None, tuple(-int(-side * scale // 1) for side in image.size))
        rgb = _to_rgb(image)
    if largest:
        rgb.thumbnail((largest, largest))
    return rgb.transpose(UPRIGHT[orientation]) if upright and orientation in UPRIGHT else rgb


def check_image(path: str | Path) -> Sizes:
    """Decode the image at `path`; return its sizes.

    A JPEG is decoded at 1/8 size: this still reads the whole file, but several times faster.
    Raises DataError as `open_image` does.
    """
    with _reading(path) as image:
        width, height = stored = image.size
        orientation = _orientation(image)
        image.draft(None, (max(1, width // 8), max(1, height // 8)))
        image.load()
    upright = (height, width) if orientation in SIDEWAYS else stored
    return Sizes(upright, stored, orientation in UPRIGHT)


def check_images(paths: Iterable[Path]) -> Iterator[tuple[Sizes | Fault, list[str]]]:
    """Check images in several threads; yield for each its sizes or its fault, and warnings."""
    heard = threading.local()
    show = warnings.showwarning

    def hear(message: Warning, *args: object, **options: object) -> None:
        if hasattr(heard, "texts"):
            heard.texts.append(" ".join(str(message).split()))
        else:
            show(message, *args, **options)

    def check(path: Path) -> tuple[Sizes | Fault, list[str]]:
        heard.texts = []
        try:
            return check_image(path), heard.texts
        except DataError as error:
            return Fault(path, str(error).removeprefix(f"{path}: ")), heard.texts

    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        warnings.filterwarnings("always", category=PictureWarning)
        warnings.filterwarnings("always", category=UserWarning, module=r"PIL\.")
        warnings.showwarning = hear
        yield from pool.map(check, paths)


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
    except Image.DecompressionBombError as error:  # so large that Pillow did not open it
        raise DataError(f"{path}: above {_LIMIT}") from error
    except UnidentifiedImageError as error:
        with Path(path).open("rb") as file:
            start = file.read(16)
        known = (kind for pattern, kind in OTHERS.items() if re.match(pattern, start, re.DOTALL))
        kind = next(known, "")
        what = f", but {kind}; convert it" if kind else "; replace the file"
        raise DataError(f"{path}: not a readable {', '.join(FORMATS)} image{what}") from error
    except Exception as error:  # Pillow has no common class for the errors of a broken file
        raise DataError(
            f"{path}: not a readable {', '.join(FORMATS)} image ({_reason(error)}); "
            "replace the file"
        ) from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(f"{width}x{height} is above {_LIMIT}")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, upright, if there is none or it cannot be read."""
    # Not image.getexif(), which falls back on XMP.
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # EXIF may follow the pixels
    exif = Image.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(ORIENTATION_TAG, 1)
        return orientation if orientation in UPRIGHT else 1
    except Exception as error:  # the bytes may make Pillow raise anything
        warnings.warn(f"EXIF data cannot be read ({_reason(error)})", PictureWarning, stacklevel=2)
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion would clip at 255.
        grey = np.asarray(image).astype(np.float32) / 257
        image = Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns about a direct conversion
    return image.convert("RGB")
