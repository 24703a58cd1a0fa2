"""What the pages compute is what Python computes: pictures, their input, detections."""

import base64
import io

import numpy as np
import paddle
import pytest
from PIL import Image

from ssd_model.data.loader import preprocess
from ssd_model.data.picture import open_image
from ssd_model.operators import multiclass_nms
from tests.helpers.browser import needs_browser
from tests.helpers.photographs import photograph

pytestmark = needs_browser

PREPROCESSING = {"size": [300, 300], "mean": 127.5, "scale": 0.007843}

# Arrays travel as base64, which is much quicker than lists.
HELPERS = """
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const toBase64 = (array) =>
  btoa(Array.from(new Uint8Array(array.buffer), (byte) => String.fromCharCode(byte)).join(""));
"""


@pytest.fixture(scope="module")
def page(scripts):
    scripts.add_script_tag(content=HELPERS)
    return scripts


def encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def decode(text: str, kind: type, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


@pytest.mark.parametrize(
    "size",
    [
        *[(1, 1), (5, 700), (300, 300), (299, 301), (300, 77), (640, 480), (903, 601)],
        *[(350, 400), (350, 401), (290, 290), (400, 700)],  # where Pillow turns to height first
    ],
)
def test_the_input_is_the_same_to_the_bit(page, size):
    pixels = np.random.default_rng(size[0]).integers(0, 256, (*size[::-1], 4), np.uint8)
    found = page.evaluate(
        """([text, width, height, preprocessing]) => {
          const image = { data: fromBase64(text), width, height };
          return toBase64(detector.preprocess(image, preprocessing));
        }""",
        [encode(pixels.tobytes()), *size, PREPROCESSING],
    )
    expected = preprocess(Image.fromarray(pixels[..., :3]))
    np.testing.assert_array_equal(decode(found, np.float32, *expected.shape), expected)


def odd_pictures() -> dict[str, bytes]:
    """Pictures that browsers are said to read otherwise, by what is odd in them."""
    image = photograph(0, size=(110, 83))
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8)
    alpha = Image.fromarray(noise, "RGBA")
    made = {
        "progressive.jpg": (image, {"progressive": True}),
        "grey.jpg": (image.convert("L"), {}),
        "halved colours.jpg": (image, {"quality": 60, "subsampling": 2}),
        "alpha.png": (alpha, {}),
        "grey and alpha.png": (alpha.convert("LA"), {}),
        "grey.png": (image.convert("L"), {}),
        "palette.png": (image.quantize(32), {}),
        "one bit.png": (image.convert("1"), {}),
        "colours.bmp": (image, {}),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        made[f"turned {orientation}.jpg"] = image, {"exif": exif}
    files = {}
    for name, (picture, options) in made.items():
        file = io.BytesIO()
        picture.save(file, "JPEG" if name.endswith("jpg") else name[-3:], **options)
        files[name] = file.getvalue()
    return files


@pytest.mark.parametrize("name, content", odd_pictures().items(), ids=odd_pictures())
def test_pictures_have_the_same_pixels(page, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    expected = np.asarray(open_image(tmp_path / name))
    width, height, pixels = page.evaluate(
        """async (text) => {
          const image = await picture.decode(new Blob([fromBase64(text)]));
          return [image.width, image.height, toBase64(image.data)];
        }""",
        encode(content),
    )
    found = decode(pixels, np.uint8, height, width, 4)
    assert (found[..., 3] == 255).all()
    np.testing.assert_array_equal(found[..., :3], expected)


def crowd(seed: int, priors: int = 60, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [P, 4] that overlap, some equal or inside out; scores [C, P] with ties."""
    rng = np.random.default_rng(seed)
    middle, half = rng.uniform(0.2, 0.8, (priors, 2)), rng.uniform(-0.02, 0.2, (priors, 2))
    boxes = np.hstack([middle - half, middle + half])
    boxes[::7] = boxes[0]
    boxes[1] = 0.25, 0.25, 0.5, 0.5
    boxes[2] = 0.25, 0.25, 0.5, 0.75  # an overlap of one half
    scores = rng.uniform(0, 1, (classes, priors)).round(1 + seed % 3)
    return boxes.astype(np.float32), scores.astype(np.float32)


SUPPRESSIONS = [
    {"score_threshold": 0.01, "nms_threshold": 0.45, "nms_top_k": 400, "keep_top_k": 200},
    {"score_threshold": 0.5, "nms_threshold": 0.5, "nms_top_k": 10, "keep_top_k": 12},
    {"score_threshold": 0.2, "nms_threshold": 0.1, "nms_top_k": -1, "keep_top_k": -1},
    {"score_threshold": 0.99, "nms_threshold": 0.3, "nms_top_k": 5, "keep_top_k": 1},
]


@pytest.mark.parametrize("settings", SUPPRESSIONS)
@pytest.mark.parametrize("background", [0, -1])
def test_suppression_is_paddles(page, program, run, background, settings):
    settings = {**settings, "background_label": background}
    boxes = paddle.static.data("boxes", [1, 60, 4])
    scores = paddle.static.data("scores", [1, 4, 60])
    out = multiclass_nms(boxes, scores, normalized=True, nms_eta=1.0, **settings)
    total = 0
    for seed in range(6):
        feed = crowd(seed)
        (rows,) = run({"boxes": feed[0][None], "scores": feed[1][None]}, [out])
        found = page.evaluate(
            """([...texts]) => {
              const settings = texts.pop();
              const arrays = texts.map((text) => new Float32Array(fromBase64(text).buffer));
              return detector.suppress(...arrays, settings);
            }""",
            [*(encode(array.tobytes()) for array in feed), settings],
        )
        total += len(found)
        found.sort(key=lambda one: one["label"])  # stable: best first within a class, as Paddle
        found = [[one["label"], one["score"], *one["box"]] for one in found]
        np.testing.assert_array_equal(np.array(found, np.float32).reshape(-1, 6), rows)
    assert total >= 5
