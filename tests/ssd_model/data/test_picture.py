"""Photographs as cameras and tools write them: turned by EXIF only, warnings borne and told."""

import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from ssd_model.data.faults import DataError, Fault
from ssd_model.data.picture import MAX_PIXELS, check_image, check_images, open_image
from tests.helpers.photographs import SIDEWAYS, XMP, broken_exif, photograph


@pytest.fixture
def picture():
    return photograph(0, size=(90, 60))


def pixels(image):
    return np.asarray(image).astype(int)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_xmp_turns_nothing(tmp_path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    picture.save(path, **({"pnginfo": text} if suffix == "png" else {"xmp": XMP, "quality": 95}))
    with Image.open(path) as image:  # which Pillow itself would turn
        assert ImageOps.exif_transpose(image).size == (60, 90)
    image = open_image(path)
    assert image.size == (90, 60)
    assert np.abs(pixels(image) - pixels(picture)).mean() < 8
    assert check_image(path) == ((90, 60), (90, 60), False)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_exif_decides_where_xmp_says_otherwise(tmp_path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    picture.rotate(90, expand=True).save(path, exif=exif, xmp=XMP.replace(b'"6"', b'"3"'))
    image = open_image(path)
    assert image.size == (90, 60)
    assert np.abs(pixels(image) - pixels(picture)).mean() < 8
    assert check_image(path) == ((90, 60), (60, 90), True)
    assert open_image(path, upright=False).size == (60, 90)


def test_orientation_of_a_png_behind_its_pixels(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    file = io.BytesIO()
    picture.save(file, "png", exif=exif)
    content = file.getvalue()
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4], "big")
    last = content.index(b"IEND") - 4
    moved = content[:start] + content[end:last] + content[start:end] + content[last:]
    (tmp_path / "a.png").write_bytes(moved)
    assert open_image(tmp_path / "a.png").size == (60, 90)


@pytest.mark.parametrize("value", [0, 9, 255])
def test_an_orientation_that_is_none(tmp_path, picture, value):
    exif = Image.Exif()
    exif[0x0112] = value
    picture.save(tmp_path / "a.jpg", exif=exif)
    assert open_image(tmp_path / "a.jpg").size == picture.size


ODD = {
    "values cut off": {"exif": broken_exif()},
    "no TIFF": {"exif": b"Exif\0\0nonsense and more"},
    "short": {"exif": b"Exif\0\0II"},
    "offset beyond the end": {"exif": b"Exif\0\0II*\0\xff\xff\xff\x7f"},
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("options", ODD.values(), ids=ODD)
def test_broken_exif_is_borne(tmp_path, picture, options):
    picture.save(tmp_path / "a.jpg", quality=95, **options)
    assert np.abs(pixels(open_image(tmp_path / "a.jpg")) - pixels(picture)).mean() < 8
    ((sizes, heard),) = check_images([tmp_path / "a.jpg"])
    assert sizes == ((90, 60), (90, 60), False)
    assert heard


def test_a_long_text_in_a_png_is_borne(tmp_path, picture):
    text = PngInfo()
    text.add_text("comment", "la" * 2_000_000, zip=True)
    picture.save(tmp_path / "a.png", pnginfo=text)
    assert open_image(tmp_path / "a.png").tobytes() == picture.tobytes()


def test_a_bomb_in_a_png_is_refused(tmp_path, picture):
    text = PngInfo()
    text.add_text("comment", "la" * 50_000_000, zip=True)
    picture.save(tmp_path / "a.png", pnginfo=text)
    with pytest.raises(DataError, match=r"a\.png"):
        open_image(tmp_path / "a.png")


def test_a_photograph_with_a_second_picture(tmp_path, picture):
    """As phones make them (MPO)."""
    path = tmp_path / "a.jpg"
    picture.save(path, "MPO", save_all=True, append_images=[picture.resize((45, 30))], quality=95)
    assert np.abs(pixels(open_image(path)) - pixels(picture)).mean() < 8
    assert check_image(path) == ((90, 60), (90, 60), False)


def test_palettes_with_transparency(tmp_path, picture):
    picture.convert("P").save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    picture.convert("P").save(tmp_path / "b.png", transparency=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in "ab":
            assert open_image(tmp_path / f"{name}.png").mode == "RGB"


def test_warnings_and_faults_by_image(tmp_path, picture, recwarn):
    paths = []
    for i in range(12):
        path = tmp_path / f"{i}.jpg"
        picture.save(path, **ODD["no TIFF"] if i % 3 == 0 else {})
        if i % 4 == 1:
            path.write_bytes(path.read_bytes()[:400])
        paths.append(path)
    results = list(check_images(paths))
    assert [bool(heard) for _, heard in results] == [i % 3 == 0 and i % 4 != 1 for i in range(12)]
    assert [isinstance(sizes, Fault) for sizes, _ in results] == [i % 4 == 1 for i in range(12)]
    assert not recwarn.list


def test_warnings_of_others_are_not_swallowed(tmp_path, picture):
    picture.save(tmp_path / "a.jpg")
    with pytest.warns(UserWarning, match="mine"):
        for _ in check_images([tmp_path / "a.jpg"]):
            warnings.warn("mine", stacklevel=1)


# All kinds of images


@pytest.mark.parametrize(
    ("mode", "color", "want"),
    [
        ("L", 90, (90, 90, 90)),
        ("1", 1, (255, 255, 255)),
        ("LA", (90, 0), (90, 90, 90)),
        ("RGBA", (10, 20, 30, 0), (10, 20, 30)),
        ("I;16", 257 * 90, (90, 90, 90)),
    ],
)
def test_open_image_makes_rgb(tmp_path, mode, color, want):
    Image.new(mode, (3, 2), color).save(tmp_path / "a.png")
    image = open_image(tmp_path / "a.png")
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (3, 2), want)


def test_open_palette_and_cmyk(tmp_path):
    palette = Image.new("RGB", (9, 9), (10, 20, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "a.png", transparency=bytes([0] * 3))
    assert open_image(tmp_path / "a.png").getpixel((0, 0)) == (10, 20, 30)
    Image.new("CMYK", (9, 9), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    assert open_image(str(tmp_path / "a.jpg")).getpixel((0, 0)) == pytest.approx((255, 0, 0), abs=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_open_image_turns_it_upright(tmp_path, orientation):
    """As Pillow's own exif_transpose does it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    levels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
    Image.fromarray(levels).save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        want = ImageOps.exif_transpose(image)
    got = open_image(tmp_path / "a.png")
    assert got.size == want.size
    assert got.tobytes() == want.tobytes()


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_open_image_names_the_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.png: no such image file"):
        open_image(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.png: not a readable JPEG, PNG, BMP, WEBP image"):
        open_image(tmp_path / "a.png")
    for kind in ("GIF", "TIFF", "AVIF"):
        Image.new("RGB", (9, 9)).save(tmp_path / "a.png", kind)
        with pytest.raises(DataError, match=rf"WEBP image, but (?i:{kind}); convert it"):
            open_image(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    with pytest.raises(DataError, match="WEBP image, but HEIC; convert it"):
        open_image(tmp_path / "a.png")
    Image.new("1", (MAX_PIXELS // 1000 + 1, 1000)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: 110001x1000 is above the limit"):
        open_image(tmp_path / "a.png")
    Image.new("1", (180_000, 1000)).save(tmp_path / "a.png")  # which Pillow does not open
    with pytest.raises(DataError, match=r"a\.png: above the limit .* scale the image down"):
        open_image(tmp_path / "a.png")


# Smaller copies


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_large_image_is_scaled_down(tmp_path, suffix):
    large = photograph(1, size=(1210, 805))
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    large.save(path, exif=exif, **({"quality": 95} if suffix == "jpg" else {}))
    small = open_image(path, largest=300)
    assert small.size == (200, 300)
    whole = open_image(path)
    whole.thumbnail((300, 300))
    assert np.abs(pixels(small) - pixels(whole)).mean() < 1.5


@pytest.mark.parametrize("largest", [90, 91, 1000])
def test_an_image_that_is_small_enough_stays_as_it_is(tmp_path, picture, largest):
    picture.save(tmp_path / "a.jpg")
    small = open_image(tmp_path / "a.jpg", largest=largest)
    assert small.tobytes() == open_image(tmp_path / "a.jpg").tobytes()
