"""The page "Try it", from a disk: both networks find in the browser what they find in Python."""

import base64
import json
import re
import shutil

import numpy as np
import onnxruntime
import paddle
import pytest
from PIL import Image
from playwright.sync_api import expect

from ssd_model.data.loader import preprocess
from ssd_model.data.picture import open_image
from ssd_model.operators import multiclass_nms
from tests.helpers.browser import HTML, needs_browser, open_page, watch
from tests.helpers.photographs import photograph

pytestmark = [pytest.mark.html, needs_browser]

NETWORKS = ("unpruned", "pruned")
LOOK = """async ([names, text]) => {
  const encode = (array) =>
    btoa(Array.from(new Uint8Array(array.buffer), (byte) => String.fromCharCode(byte)).join(""));
  const image = await picture.decode(new Blob([engine.toBytes(text)]));
  const input = detector.preprocess(image, ABOUT.preprocessing);
  const outputs = {};
  for (const name of names) {
    const { boxes, scores } = await engine.run(name, input);
    const found = detector.suppress(boxes, scores, ABOUT.suppression);
    outputs[name] = [encode(boxes), encode(scores), found];
  }
  return [encode(input), outputs];
}"""


@pytest.fixture(scope="module")
def about(html) -> dict:
    text = (html / "_static" / "tryit" / "about.js").read_text(encoding="utf-8")
    return json.loads(text.splitlines()[0].removeprefix("const ABOUT = ").removesuffix(";"))


@pytest.fixture
def tryit(page, about):
    if about["engine"] is None:
        pytest.skip("the engine could not be fetched when the pages were made")
    open_page(page, "tryit.html")
    return page


@pytest.fixture(scope="module")
def loaded(browser, about):
    """The page with both networks, loaded once."""
    if about["engine"] is None:
        pytest.skip("the engine could not be fetched when the pages were made")
    page = watch(browser.new_page())
    open_page(page, "tryit.html")
    expect(page.locator("#tryit-status")).to_contain_text("Load the networks")
    page.get_by_role("button", name="Load the networks").click()
    expect(page.locator("#tryit-status")).to_contain_text("Loaded in", timeout=60_000)
    wait_for_detections(page)
    yield page
    page.close()


def wait_for_detections(page) -> None:
    page.wait_for_function("tryit.state.found.pruned", timeout=60_000)


def pictures(folder, about) -> list:
    """The page's test images, and some that are stored in unusual ways."""
    paths = []
    for sample in about["samples"]:
        paths.append(folder / sample["name"])
        paths[-1].write_bytes(base64.b64decode(sample["base64"]))
    scene = open_image(paths[0])
    exif = Image.Exif()
    exif[0x0112] = 6
    odd = {
        "turned.jpg": (scene.transpose(Image.Transpose.ROTATE_90), {"exif": exif}),
        "grey.jpg": (scene.convert("L"), {}),
        "progressive.jpg": (scene, {"progressive": True}),
        "tall.jpg": (scene.resize((400, 1000)), {}),
        "alpha.png": (scene.copy(), {}),
        "noise.png": (photograph(1), {}),
    }
    alpha = np.random.default_rng(0).integers(0, 256, scene.size[::-1], np.uint8)
    odd["alpha.png"][0].putalpha(Image.fromarray(alpha))
    for name, (image, options) in odd.items():
        image.save(folder / name, **options)
        paths.append(folder / name)
    return paths


def test_the_browser_finds_what_python_finds(loaded, about, tmp_path):
    assert len(about["samples"]) == 10
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    models = HTML.parent / "models"
    sessions = {
        name: onnxruntime.InferenceSession(models / f"{name}-weights-int8.onnx", options)
        for name in NETWORKS
    }
    seen = 0
    for path in pictures(tmp_path, about):
        content = base64.b64encode(path.read_bytes()).decode()
        input_there, outputs = loaded.evaluate(LOOK, [NETWORKS, content])
        image = preprocess(open_image(path))
        assert base64.b64decode(input_there) == image.tobytes(), path.name
        for name, session in sessions.items():
            here = session.run(["boxes", "scores"], {"image": image[None]})
            *there, found = outputs[name]
            for text, values in zip(there, here, strict=True):
                values_there = np.frombuffer(base64.b64decode(text), np.float32)
                np.testing.assert_allclose(values_there, values.ravel(), atol=1e-5, rtol=0)
            seen += same_detections(found, suppress(*here, about["suppression"]))
    assert seen > 20
    assert loaded.complaints == []


def suppress(boxes: np.ndarray, scores: np.ndarray, settings: dict) -> list[list[float]]:
    """Detections [label, score, box] by Paddle, from boxes [1, P, 4] and scores [1, C, P]."""
    program = paddle.static.Program()
    with paddle.static.program_guard(program, paddle.static.Program()):
        inputs = {"boxes": boxes, "scores": scores}
        variables = [paddle.static.data(name, array.shape) for name, array in inputs.items()]
        rows = multiclass_nms(*variables, normalized=True, nms_eta=1.0, **settings)
    return paddle.static.Executor(paddle.CPUPlace()).run(program, inputs, [rows])[0].tolist()


def same_detections(found: list[dict], expected: list[list[float]]) -> int:
    """Compare the detections above 0.05 (rounding may choose between less); how many there are."""
    found = [[one["label"], one["score"], *one["box"]] for one in found]
    found, expected = (
        np.array(sorted([one for one in side if one[1] > 0.05], key=lambda one: (one[0], -one[1])))
        for side in (found, expected)
    )
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=0)
    return len(found)


def test_a_reader_chooses_a_picture(loaded, tmp_path):
    path = tmp_path / "mine.png"
    photograph(2).save(path)
    loaded.locator("#tryit-file").set_input_files(path)
    expect(loaded.locator("#tryit-status")).to_have_text("mine.png.")
    wait_for_detections(loaded)
    assert loaded.complaints == []


def test_a_reader_can_do_without_a_mouse(loaded):
    sample = loaded.locator("#tryit-samples button").nth(1)
    sample.focus()
    loaded.keyboard.press("Enter")
    expect(sample).to_have_attribute("aria-pressed", "true")
    wait_for_detections(loaded)
    count = loaded.locator("#tryit-caption-pruned")
    loaded.locator("#tryit-score").focus()
    loaded.keyboard.press("Home")
    expect(loaded.locator("#tryit-least")).to_have_text("0.05")
    many = int(re.search(r"\d+", count.inner_text())[0])
    loaded.keyboard.press("End")
    expect(loaded.locator("#tryit-least")).to_have_text("0.95")
    assert int(re.search(r"\d+", count.inner_text())[0]) < many
    assert loaded.complaints == []


def test_latency_is_measured_in_turns(loaded):
    loaded.get_by_role("button", name="Measure latency").click()
    expect(loaded.locator("#tryit-status")).to_contain_text("Measured: ", timeout=60_000)
    for name in NETWORKS:
        low, high = map(float, loaded.inner_text(f"#tryit-quartiles-{name}").split(" to "))
        assert 0 < low <= float(loaded.inner_text(f"#tryit-median-{name}")) <= high
    assert loaded.inner_text("#tryit-share-unpruned") == "1.00"


def test_a_camera_is_seen_or_refused(loaded):
    camera = loaded.locator("#tryit-camera")
    camera.click()
    expect(loaded.locator("#tryit-status")).to_contain_text("There is no picture from a camera")
    loaded.context.grant_permissions(["camera"])
    before = loaded.evaluate_handle("tryit.state.image")
    camera.click()
    expect(camera).to_have_text("Stop the camera")
    loaded.wait_for_function("(before) => tryit.state.image !== before", arg=before)
    wait_for_detections(loaded)
    camera.click()
    expect(camera).to_have_text("Use the camera")
    assert loaded.evaluate("tryit.state.stream") is None
    assert loaded.complaints == []


def test_pictures_are_dropped_and_those_that_are_none_are_named(tryit):
    drop = """([name, text]) => {
      const transfer = new DataTransfer();
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      transfer.items.add(new File([bytes], name));
      document.body.dispatchEvent(
        new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }"""
    about = tryit.evaluate("ABOUT.samples[2]")
    tryit.evaluate(drop, ["mine.jpg", about["base64"]])
    expect(tryit.locator("#tryit-status")).to_contain_text("mine.jpg. Load the networks")
    tryit.evaluate(drop, ["notes.txt", base64.b64encode(b"no picture").decode()])
    expect(tryit.locator("#tryit-status")).to_contain_text("notes.txt is not a picture")
    assert tryit.complaints == []


def test_a_browser_without_webassembly_is_told(page):
    page.add_init_script("delete window.WebAssembly")
    open_page(page, "tryit.html")
    expect(page.locator("#tryit-status")).to_contain_text("This browser has no WebAssembly")
    expect(page.get_by_role("button", name="Load the networks")).to_be_hidden()
    assert page.complaints == []


def test_pages_made_without_a_net_say_so(page, tmp_path):
    shutil.copy(HTML / "tryit.html", tmp_path)
    parts = shutil.ignore_patterns("ort*", "pruned.js", "unpruned.js")
    shutil.copytree(HTML / "_static", tmp_path / "_static", ignore=parts)
    path = tmp_path / "_static" / "tryit" / "about.js"
    path.write_text(re.sub(r'"engine":\{.*?\}\}', '"engine":null', path.read_text()))
    open_page(page, "tryit.html", tmp_path)
    expect(page.locator("#tryit-status")).to_contain_text("made without a network")
    expect(page.get_by_role("button", name="Load the networks")).to_be_disabled()


def test_the_page_is_small_and_the_others_do_not_carry_it(about):
    files = [HTML / "tryit.html", *(HTML / "_static" / "tryit").iterdir()]
    assert sum(path.stat().st_size for path in files) < 25e6
    assert (HTML / "_static" / "tryit" / "LICENCE.txt").exists() or about["engine"] is None
    for path in HTML.rglob("*.html"):
        if path.name != "tryit.html":
            assert "_static/tryit/" not in path.read_text(encoding="utf-8"), path


def test_the_page_carries_the_models_of_its_run(about):
    report = json.loads((HTML.parent / "report.json").read_text())
    assert about["classes"] == ["background", *report["classes"]]
    for network in about["networks"]:
        model = HTML.parent / "models" / f"{network['name']}-weights-int8.onnx"
        assert network["bytes"] == model.stat().st_size
