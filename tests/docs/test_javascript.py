"""What the pages compute is what Python computes."""

import base64
import io
import json
import random
import re

import numpy as np
import paddle
import pytest
from PIL import Image

from docs.dependencies import as_json
from pruning.dependencies import analyse
from pruning.pattern import PatternError, matching
from pruning.plan import Plan, PlanError
from pruning.search import nearest_uniform_plan
from ssd_model.data.loader import preprocess
from ssd_model.data.picture import open_image
from ssd_model.operators import multiclass_nms
from ssd_model.programs import build_detector
from tests.helpers.browser import needs_browser
from tests.helpers.own_networks import build
from tests.helpers.photographs import photograph
from utils.paths import ROOT

pytestmark = needs_browser

SCRIPTS = ("words", "detector", "picture", "plan", "pattern")
PREPROCESSING = {"size": [300, 300], "mean": 127.5, "scale": 0.007843}


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    for name in SCRIPTS:
        page.add_script_tag(path=ROOT / "docs" / "_static" / f"{name}.js")
    page.add_script_tag(content=HELPERS)
    return page


# Arrays travel as base64, which is much quicker than lists.
HELPERS = """
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const toBase64 = (array) =>
  btoa(Array.from(new Uint8Array(array.buffer), (byte) => String.fromCharCode(byte)).join(""));
"""


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


def mixed(image):
    """A residual addition, a convolution with groups, and a matrix of weights."""
    x = paddle.static.nn.conv2d(image, 12, 3, padding=1)
    x = paddle.nn.functional.relu(x + paddle.static.nn.conv2d(x, 12, 3, padding=1))
    x = paddle.static.nn.conv2d(x, 24, 3)
    x = paddle.static.nn.conv2d(x, 18, 3, groups=6)
    x = paddle.static.nn.conv2d(x, 20, 1)
    return paddle.nn.Linear(20, 4)(x.mean(axis=[2, 3]))


@pytest.fixture(scope="module", params=["detector", "mixed"])
def dependencies(request):
    if request.param == "mixed":
        return analyse(build(mixed).evaluation)
    return analyse(build_detector(11, is_train=False).program)


@pytest.fixture
def planner(page, dependencies):
    """Calls a function of the page, which finds the dependencies in `DEPENDENCIES`."""
    page.evaluate("(found) => (window.DEPENDENCIES = found)", as_json(dependencies))

    def call(function: str, argument):
        return json.loads(page.evaluate(f"(x) => JSON.stringify(({function})(x))", argument))

    return call


FACTS = """(plan) => [plan.shapes, plan.flops, plan.parameters, plan.summary(),
  Object.fromEntries(Object.keys(plan.dependencies.positions).map(
    (name) => [name, [plan.layerFlops(name), plan.layerParameters(name)]]))]"""


def facts(plan: Plan) -> list:
    names = plan.dependencies.positions
    layers = {name: [plan.layer_flops(name), plan.layer_parameters(name)] for name in names}
    shapes = {name: list(shape) for name, shape in plan.shapes.items()}
    return [shapes, plan.flops, plan.parameters, plan.summary(), layers]


def test_random_plans_are_pythons(planner, dependencies):
    chance = random.Random(0)
    plans = []
    for _ in range(200):
        filters = list(dependencies.groups)
        names = chance.sample(filters, chance.randint(1, min(12, len(filters))))
        names = chance.choice([names, dependencies.masters(names)])
        # Eighths of 64 channels and the like: halves, too, that are rounded to the even neighbour.
        ratios = {n: chance.choice([chance.random(), chance.randrange(256) / 256]) for n in names}
        plans.append([ratios, chance.choice([1, 2, 8, 16, 48])])
    found = planner(
        f"""(plans) => plans.map(([ratios, multiple]) => {{
          try {{
            const plan = new planning.Plan(DEPENDENCIES, ratios).rounded(multiple);
            return ({FACTS})(plan);
          }} catch (error) {{
            if (!(error instanceof planning.PlanError)) throw error;
            return null;
          }}
        }})""",
        plans,
    )
    refused = 0
    for (ratios, multiple), page_facts in zip(plans, found, strict=True):
        try:
            expected = facts(Plan(dependencies, ratios).rounded(multiple))
        except PlanError:
            expected, refused = None, refused + 1
        assert page_facts == expected, ratios
    assert 0 < refused < 100


def test_random_searches_are_pythons(planner, dependencies):
    chance = random.Random(1)
    searches = []
    for _ in range(60):
        filters = list(dependencies.groups)
        names = chance.sample(filters, chance.randint(1, min(15, len(filters))))
        searches.append(["|".join(f"{re.escape(name)}$" for name in names), chance.random()])
    found = planner(
        f"""(searches) => searches.map(([text, target]) => {{
          try {{
            const names = pattern.matchFilters(text, DEPENDENCIES);
            const plan = planning.nearestUniformPlan(DEPENDENCIES, names, target);
            return [Object.entries(plan.ratios), ...({FACTS})(plan)];
          }} catch (error) {{
            return error.message;
          }}
        }})""",
        searches,
    )
    refused = 0
    for (pattern, target), page_facts in zip(searches, found, strict=True):
        try:
            plan = nearest_uniform_plan(dependencies, pattern, target)
            assert page_facts == [list(map(list, plan.ratios.items())), *facts(plan)]
        except PlanError as error:
            refused += 1
            # Python shortens the target.
            assert page_facts.replace(f"{target}", f"{target:g}") == str(error)
    assert 5 < refused < 55


NAMES = [
    f"{layer}_{number}.{end}"
    for layer in ("conv2d", "depthwise_conv2d", "batch_norm")
    for number in (*range(16), 23)
    for end in ("w_0", "b_0")
]


def pythons(pattern: str) -> list[str] | None:
    try:
        return matching(re.match, pattern, NAMES)
    except PatternError:
        return None


def in_page(page, patterns: list[str], names: list[str]) -> list[list[str] | str]:
    """For each pattern the names that it takes, or why the page does not say."""
    return page.evaluate(
        """([patterns, names]) => patterns.map((text) => {
          try {
            return pattern.match(text, names);
          } catch (error) {
            if (!(error instanceof pattern.PatternError)) throw error;
            return error.message;
          }
        })""",
        [patterns, names],
    )


@pytest.mark.parametrize(
    "pattern",
    [
        "conv2d_[1-9].w_0|conv2d_1[0-2].w_0",
        "conv2d_1",
        r"conv2d_\d+\.w_0$",
        "(?:depthwise_)?conv2d_[^13]\\.w_0",
        "conv2d_1(?=[0-2]).*",
        "(conv|batch)(2d|_norm)_1{1,2}.+0$",
        "^conv2d_.*?5",
        "conv2d_1|",
        "",
        "$",
    ],
)
def test_usual_patterns_are_understood(page, pattern):
    assert in_page(page, [pattern], NAMES) == [pythons(pattern)]


def test_the_page_never_differs_from_python(page):
    """Random patterns: the page takes the same names, or says that it cannot tell."""
    chance = random.Random(2)
    pieces = (
        *("conv2d_1", "depthwise_", "w_0", "1", "[1-9]", "[^1]", "[]1]", "[^]", "[", "]", "."),
        *(r"\d", r"\.", r"\1", r"\A", r"\Z", r"\b", r"\w", r"\e", r"\_", "{2}", "{,2}", "{", "}"),
        *("*", "+", "?", "*?", "*+", "|", "(", ")", "(?:", "(?=", "(?!", "(?<=", "(?P<a>", "(?i)"),
        *("(?P=a)", "(?>", "(?#", "^", "$", "[[a]", "[a&&b]", "[a--b]", "[_-z]", " ", "#"),
    )
    patterns = ["".join(chance.choices(pieces, k=chance.randint(1, 6))) for _ in range(4000)]
    told = 0
    for pattern, found in zip(patterns, in_page(page, patterns, NAMES), strict=True):
        if isinstance(found, list):
            told += 1
            assert found == pythons(pattern), pattern
        elif "not a regular expression" in found:
            assert pythons(pattern) is None, pattern
    assert told > 300


@pytest.mark.parametrize("pattern", ["(conv.*)*x", "((a+)b?)+c", "(a|ab)*c", r"(\w+){2,}x"])
def test_a_pattern_that_takes_for_ever_is_refused(page, pattern):
    (message,) = in_page(page, [pattern], ["conv2d_1.w_0"])
    assert message.startswith("repetitions inside repetitions")


@pytest.mark.parametrize(
    "pattern, message",
    [
        ("conv1_weights", "pruned_params 'conv1_weights' matches none of the "),
        ("conv2d_1|.*b_0$", "also matches what can't be cut:\n  "),
        ("(?P<a>conv)", "this page cannot tell what Python makes of (?P<a>conv)"),
        ("(conv", "is not a regular expression"),
    ],
)
def test_a_pattern_that_cannot_be_pruned_says_why(planner, pattern, message):
    found = planner(
        """(text) => {
          try {
            return pattern.matchFilters(text, DEPENDENCIES).join();
          } catch (error) {
            return error.message;
          }
        }""",
        pattern,
    )
    assert message in found
