"""The page "Try it", from a disk: both networks find in the browser what they find in Python."""

import base64
import json
import re
import shutil

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from playwright.sync_api import expect

from ssd_model.data.loader import preprocess
from ssd_model.data.picture import open_image
from tests.helpers.browser import HTML, needs_browser, open_page
from tests.helpers.photographs import photograph

pytestmark = [pytest.mark.html, needs_browser]

NETWORKS = ("unpruned", "pruned")
BYTES = "(array) => btoa(Array.from(new Uint8Array(array.buffer), (b) => String.fromCharCode(b)).join(''))"
RUN = f"""async (names) => {{
  const encode = {BYTES};
  const found = {{ input: encode(tryit.state.input) }};
  for (const name of names) {{
    const {{ boxes, scores }} = await engine.run(name, tryit.state.input);
    found[name] = {{ boxes: encode(boxes), scores: encode(scores), found: tryit.state.found[name] }};
  }}
  return found;
}}"""


@pytest.fixture(scope="module")
def about() -> dict:
    text = (HTML / "_static" / "tryit" / "about.js").read_text(encoding="utf-8")
    return json.loads(text.splitlines()[0].removeprefix("const ABOUT = ").removesuffix(";"))


@pytest.fixture
def tryit(page, about):
    if about["engine"] is None:
        pytest.skip("the engine could not be fetched when the pages were made")
    open_page(page, "tryit.html")
    return page


def load(page) -> None:
    page.get_by_role("button", name="Load the networks").click()
    expect(page.locator("#tryit-status")).to_contain_text("Loaded in", timeout=60_000)
    wait_for_detections(page)


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


def test_the_browser_finds_what_python_finds(tryit, about, tmp_path):
    assert len(about["samples"]) == 10
    load(tryit)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(
            HTML.parent / "models" / f"{name}-weights-int8.onnx", options
        )
        for name in NETWORKS
    }
    seen = 0
    for path in pictures(tmp_path, about):
        tryit.locator("#tryit-file").set_input_files(path)
        expect(tryit.locator("#tryit-status")).to_have_text(f"{path.name}.")
        wait_for_detections(tryit)
        there = tryit.evaluate(RUN, NETWORKS)
        image = preprocess(open_image(path))
        assert base64.b64decode(there["input"]) == image.tobytes(), path.name
        for name, session in sessions.items():
            boxes, scores = session.run(["boxes", "scores"], {"image": image[None]})
            for kind, here in (("boxes", boxes), ("scores", scores)):
                values = np.frombuffer(base64.b64decode(there[name][kind]), np.float32)
                np.testing.assert_allclose(values, here.ravel(), atol=1e-5, rtol=0)
            # What the page shows of its own numbers is what it would show of Python's.
            expected = tryit.evaluate(
                "([boxes, scores]) => detector.suppress("
                "Float32Array.from(boxes), Float32Array.from(scores), ABOUT.suppression)",
                [boxes.ravel().tolist(), scores.ravel().tolist()],
            )
            seen += same_detections(there[name]["found"], expected)
    assert seen > 20
    assert tryit.complaints == []


def same_detections(found: list[dict], expected: list[dict]) -> int:
    """Compare detections above 0.05, those between which rounding can choose; how many there are."""
    found, expected = (
        sorted(
            (one["label"], *np.round(one["box"], 3), one["score"])
            for one in side
            if one["score"] > 0.05
        )
        for side in (found, expected)
    )
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one[0] == other[0]
        np.testing.assert_allclose(one[1:-1], other[1:-1], atol=1.1e-3)
        assert abs(one[-1] - other[-1]) < 1e-5
    return len(found)


def test_a_reader_can_do_without_a_mouse(tryit):
    load(tryit)
    tryit.locator("#tryit-samples button").nth(1).focus()
    tryit.keyboard.press("Enter")
    expect(tryit.locator("#tryit-samples button").nth(1)).to_have_attribute("aria-pressed", "true")
    wait_for_detections(tryit)
    count = tryit.locator("#tryit-caption-pruned")
    tryit.locator("#tryit-score").focus()
    tryit.keyboard.press("Home")
    expect(tryit.locator("#tryit-least")).to_have_text("0.05")
    many = int(re.search(r"\d+", count.inner_text())[0])
    tryit.keyboard.press("End")
    expect(tryit.locator("#tryit-least")).to_have_text("0.95")
    assert int(re.search(r"\d+", count.inner_text())[0]) < many
    assert tryit.complaints == []


def test_latency_is_measured_in_turns(tryit):
    load(tryit)
    tryit.get_by_role("button", name="Measure latency").click()
    expect(tryit.locator("#tryit-status")).to_contain_text("Measured: ", timeout=60_000)
    for name in NETWORKS:
        low, high = map(float, tryit.inner_text(f"#tryit-quartiles-{name}").split(" to "))
        assert 0 < low <= float(tryit.inner_text(f"#tryit-median-{name}")) <= high
    assert tryit.inner_text("#tryit-share-unpruned") == "1.00"


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
    expect(tryit.locator("#tryit-status")).to_contain_text("mine.jpg: load the networks")
    tryit.evaluate(drop, ["notes.txt", base64.b64encode(b"no picture").decode()])
    expect(tryit.locator("#tryit-status")).to_contain_text("notes.txt is not a picture")
    assert tryit.complaints == []


def test_a_camera_is_seen_or_refused(tryit):
    camera = tryit.get_by_role("button", name="Use the camera")
    tryit.context.clear_permissions()
    camera.click()
    expect(tryit.locator("#tryit-status")).to_contain_text("There is no picture from a camera")
    tryit.context.grant_permissions(["camera"])
    load(tryit)
    tryit.evaluate("tryit.state.found = {}")
    camera.click()
    wait_for_detections(tryit)
    stop = tryit.get_by_role("button", name="Stop the camera")
    stop.click()
    expect(camera).to_be_visible()
    assert tryit.evaluate("tryit.state.stream") is None
    assert tryit.complaints == []


def test_a_browser_without_webassembly_is_told(page):
    page.add_init_script("delete window.WebAssembly")
    open_page(page, "tryit.html")
    page.get_by_role("button", name="Load the networks").click()
    expect(page.locator("#tryit-status")).to_contain_text("This browser has no WebAssembly")


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
