"""Bad input by the hundred: each case ends in a proper result or in one of the project's errors.

First the files of tests/broken, then cases made by hypothesis: as many for each test as the
profile in conftest.py says. `pytest tests/test_fuzz.py --hypothesis-profile=long` runs more.
"""

import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from test_config import ORIGINAL
from voc_folder import CAT, HEIGHT, WIDTH, annotation_xml, make_voc, object_xml

from ssd_model.data.loader import DetectionDataset, collate
from ssd_model.data.picture import check_image, open_image
from ssd_model.data.voc import DataError, find_faults, scan_voc
from ssd_model.programs import build_program
from ssd_model.weights import WeightsError, read_tensors, write_tensors
from utils.config import CompressConfig, ConfigError, load_config
from utils.dependencies import PatternError, analyse
from utils.plan import Plan, PlanError, uniform_plan
from utils.search import search_uniform_ratio

BROKEN = Path(__file__).with_name("broken")
LONGEST_MESSAGE = 5000
CASE_SECONDS = 30


def broken(kind: str):
    """Parametrize a test with the files of a folder of tests/broken."""
    paths = sorted((BROKEN / kind).iterdir())
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@contextmanager
def no_hang():
    """End a case that has not ended after half a minute."""

    def stop(*_):
        raise AssertionError(f"no end in {CASE_SECONDS} s")

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(CASE_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)


# The files kept


@broken("config")
def test_broken_configs(path):
    with no_hang(), pytest.raises(ConfigError) as caught:
        load_config(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < LONGEST_MESSAGE


@broken("annotation")
def test_broken_annotations(tmp_path, path):
    voc = make_voc(tmp_path)
    shutil.copy(path, voc / "Annotations/a.xml")
    with no_hang():
        faults = find_faults(voc)
    assert {fault.path.name for fault in faults} == {"a.xml"}
    assert max(len(str(fault)) for fault in faults) < 1000
    assert all(str(fault).isprintable() for fault in faults)


@broken("image")
def test_broken_images(path):
    for read in (check_image, open_image):
        with no_hang(), pytest.raises(DataError, match=path.name):
            read(path)


@broken("weights")
def test_broken_weights(path):
    with no_hang(), pytest.raises(WeightsError, match=path.name):
        read_tensors(path)


# Cases made up


def edits(text: str, pieces: list[str]):
    """Texts that differ from a good one in up to four places."""
    edit = st.tuples(
        st.integers(0, len(text)),
        st.integers(0, 12),
        st.one_of(st.sampled_from(pieces), st.text(max_size=8)),
    )

    def apply(changes: list[tuple[int, int, str]]) -> str:
        changed = text
        for place, length, piece in changes:
            changed = changed[:place] + piece + changed[place + length :]
        return changed

    return st.lists(edit, min_size=1, max_size=4).map(apply)


def flips(content: bytes):
    """The bytes of a good file with up to eight of them changed, perhaps cut short."""
    places = st.integers(0, len(content) - 1)
    changes = st.dictionaries(places, st.integers(0, 255), max_size=8)

    def apply(changes: dict[int, int], length: int) -> bytes:
        changed = bytearray(content)
        for place, value in changes.items():
            changed[place] = value
        return bytes(changed[:length])

    return st.builds(apply, changes, st.just(len(content)) | places)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


VALUES = [
    "0", "-1", "1e400", ".nan", ".inf", "0x" + "f" * 400, "1:99:99", "2001-02-30", "~", "yes",
    "''", "!!int ''", "!!bool x", "!!binary '*'", "!!set {a}", "&a", "*a", "<<: ", "[", "]", "{",
    "}", ": ", "\n", "- ", "\t", "? ", "| ", "> ", "'", '"\\0"', '"\\ud800"', "#", "---\n",
    "%YAML 9.9\n",
]  # fmt: skip


@given(text=edits(ORIGINAL, VALUES))
def test_configs(scratch, text):
    path = scratch / "compress.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        with no_hang():
            config = load_config(path)
    except ConfigError as error:
        assert "compress.yaml" in str(error) and len(str(error)) < LONGEST_MESSAGE
    else:
        assert isinstance(config, CompressConfig) and config.epoch >= 0
        assert all(0 < strategy.target_ratio < 1 for strategy in config.strategies)


@pytest.fixture(scope="module")
def voc(scratch) -> Path:
    return make_voc(scratch / "voc")


def check_folder(voc: Path) -> None:
    """Whatever is in the folder, faults are sentences, and without any the data can be fed."""
    with no_hang():
        splits, faults = scan_voc(voc)
    for fault in faults:
        assert fault.what and len(fault.what) < 1000
    if faults:
        return
    for split in splits.values():
        dataset = DetectionDataset(split, image_size=32)
        image, boxes, labels, _ = collate([dataset[i] for i in range(len(dataset))])
        assert np.isfinite(image).all()
        real = labels >= 0
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[real][:, 2:] > boxes[real][:, :2]).all()
        assert (labels[real] >= 1).all() and (labels[real] <= len(split.classes)).all()


TAGS = [
    "<object>", "</object>", "<name>", "</name>", "<bndbox>", "<xmin>", "</xmin>", "<difficult>1",
    "<!--", "-->", "<![CDATA[", "]]>", "<!DOCTYPE a>", "&lt;", "&e;", "&#0;", "&#x1b;", "<?x?>",
    "\0", "-1", "1e308", "nan", "inf", "1_0", " ", "\x9b", "\ufeff", "background", "dog",
]  # fmt: skip


@given(text=edits(annotation_xml(object_xml(*CAT), object_xml("dog", 1, 1, 9, 9)), TAGS))
def test_annotations(voc, text):
    (voc / "Annotations/a.xml").write_bytes(text.encode("utf-8", "surrogatepass"))
    check_folder(voc)


LINES = [
    "a",
    "b",
    "../a",
    "/etc/passwd",
    "a/../../b",
    "C:a",
    "a 1",
    "a -1",
    ".",
    "~",
    "a\\b",
    "\x85",
]


@given(lines=st.lists(st.sampled_from(LINES) | st.text(max_size=300), max_size=6))
def test_image_sets(voc, lines):
    (voc / "Annotations/a.xml").write_text(annotation_xml(object_xml(*CAT)))
    path = voc / "ImageSets/Main/trainval.txt"
    path.write_bytes("\n".join(["b", *lines]).encode("utf-8", "surrogatepass"))
    check_folder(voc)
    path.write_text("a\nb\n")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp"])
@given(data=st.data())
def test_images(scratch, suffix, data):
    path = scratch / f"image.{suffix}"
    content = _image(scratch, suffix)
    path.write_bytes(data.draw(flips(content)))
    try:
        with no_hang():
            upright, stored = check_image(path)
            image = open_image(path)
    except DataError as error:
        assert path.name in str(error)
    else:
        assert image.mode == "RGB" and image.size == upright and sorted(upright) == sorted(stored)


def _image(scratch: Path, suffix: str) -> bytes:
    path = scratch / f"good.{suffix}"
    if not path.exists():
        noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(noise).resize((20, 10)).save(path)
    return path.read_bytes()


@given(data=st.data())
def test_weights(scratch, data):
    good, path = scratch / "good.safetensors", scratch / "weights.safetensors"
    arrays = {"conv2d_0.w_0": np.ones((2, 3), "float32"), "conv2d_0.b_0": np.ones(2, "float16")}
    if not good.exists():
        write_tensors(good, arrays, {"map": "0.5"})
    path.write_bytes(data.draw(flips(good.read_bytes())))
    try:
        with no_hang():
            read, _ = read_tensors(path)
    except WeightsError as error:
        assert path.name in str(error)
    else:  # nothing that matters was hit
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)


@pytest.fixture(scope="module")
def dependencies():
    return analyse(build_program(4, is_train=False, image_size=96).program)


PIECES = [
    "conv2d_", "depthwise_", "[1-9]", "1", "2", ".w_0", r"\.", "|", "(", ")", "*", "+", "?",
    "{1,9}", "{9999999999}", "[", "]", "^", "$", "(?=", "(?i)", r"\1", "\\", ".*", "(.+)+",
    "batch_norm_",
]  # fmt: skip
patterns = st.lists(st.sampled_from(PIECES), max_size=8).map("".join) | st.text(max_size=12)
numbers = st.floats() | st.integers(-3, 3) | st.floats(0, 1)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@given(pattern=patterns, target=numbers)
def test_patterns_and_targets(dependencies, pattern, target):
    try:
        with no_hang():
            ratio = search_uniform_ratio(dependencies, pattern, target)
            plan = uniform_plan(dependencies, pattern, ratio)
    except (PatternError, PlanError) as error:
        assert str(error)
    else:
        check_plan(plan)


@given(ratios=st.dictionaries(st.sampled_from([f"conv2d_{i}.w_0" for i in range(35)]), numbers))
def test_plans(dependencies, ratios):
    try:
        plan = Plan(dependencies, ratios)
    except PlanError as error:
        assert any(name in str(error) for name in ratios)
    else:
        check_plan(plan)


def check_plan(plan: Plan) -> None:
    whole = Plan(plan.dependencies, {})
    assert 0 < plan.flops <= whole.flops and 0 < plan.parameters <= whole.parameters
    for name, shape in plan.shapes.items():
        assert all(0 < left <= had for left, had in zip(shape, whole.shapes[name], strict=True))
    assert len(plan.table()) == len(plan.dependencies.convs) and plan.summary()


@pytest.mark.parametrize("pattern", ["((.+)+)+z", ".*" * 25 + "z", "(a|b|c|[a-z0-9_.]|.)*(.|..)*!"])
def test_a_pattern_that_would_never_end(dependencies, pattern):
    with no_hang(), pytest.raises(PatternError, match="takes more than 2 s"):
        dependencies.match(pattern)
