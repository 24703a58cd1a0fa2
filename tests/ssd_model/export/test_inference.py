"""Saved models run in a fresh process and give what the Program gave."""

import platform
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from pruning.cut import apply_plan
from pruning.dependencies import analyse
from pruning.plan import uniform_plan
from ssd_model.engines import load_paddle
from ssd_model.export.inference_model import save_inference_model
from ssd_model.predict import compare_latency, predict
from ssd_model.programs import build_detector
from utils.paths import ROOT

SIZE = 96


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A pruned network with random weights: detector, Program, scope and a folder."""
    detector = build_detector(4, is_train=False, image_size=SIZE)
    scope = paddle.static.Scope()
    paddle.static.Executor(paddle.CPUPlace()).run(detector.startup_program, scope=scope)
    plan = uniform_plan(analyse(detector.program), r"conv2d_[1-9]\.w_0", 0.3)
    (program,) = apply_plan(plan, [detector.program], scope)
    return detector, program, scope, tmp_path_factory.mktemp("models")


def test_outputs_are_the_same_in_a_fresh_process(pruned):
    detector, program, scope, folder = pruned
    image = np.random.default_rng(0).normal(size=(2, 3, SIZE, SIZE)).astype("float32")
    outputs = [detector.location, detector.confidence, detector.nmsed_out, detector.counts]
    size = save_inference_model(folder / "pruned", program, detector.image, outputs, scope)
    files = sorted(path.name for path in folder.iterdir())
    assert files == ["pruned.pdiparams", "pruned.pdmodel"]
    assert size == sum(path.stat().st_size for path in folder.iterdir())

    feed = {
        "image": image,
        "gt_box": np.zeros((2, 1, 4), "float32"),
        "gt_label": np.full((2, 1), -1, "int32"),
        "gt_difficult": np.zeros((2, 1), "int32"),
    }
    names = [output.name for output in outputs]
    here = paddle.static.Executor(paddle.CPUPlace()).run(
        program, feed=feed, fetch_list=names, scope=scope
    )
    prediction = predict(folder / "pruned", image, runs=2)
    assert len(prediction.milliseconds) == 2
    for mine, theirs in zip(here[:2], prediction.outputs[:2], strict=True):
        np.testing.assert_allclose(theirs, mine, atol=1e-4)
    np.testing.assert_array_equal(prediction.outputs[3], here[3])

    latency = compare_latency({"pruned": folder / "pruned"}, image, runs=1, rounds=1)
    assert latency["pruned"] > 0


@pytest.mark.parametrize("backend", ["native", "onednn", "openvino"])
def test_every_backend_gives_the_same_and_leaves_no_files(pruned, backend, tmp_path, monkeypatch):
    if backend == "openvino" and (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("only Paddle's wheels for Linux on x86 carry OpenVINO")
    monkeypatch.chdir(tmp_path)
    detector, program, scope, folder = pruned
    heads = [detector.location, detector.confidence]
    save_inference_model(folder / "heads", program, detector.image, heads, scope)
    image = np.random.default_rng(1).normal(size=(2, 3, SIZE, SIZE)).astype("float32")
    here = paddle.static.Executor(paddle.CPUPlace()).run(
        program, feed={"image": image}, fetch_list=heads, scope=scope, use_prune=True
    )
    for mine, theirs in zip(here, load_paddle(folder / "heads", backend)(image), strict=True):
        np.testing.assert_allclose(theirs, mine, atol=1e-4)
    assert not list(tmp_path.iterdir())


def test_a_batch_that_does_not_fit_gives_no_outputs_of_the_one_before(pruned):
    detector, program, scope, folder = pruned
    save_inference_model(folder / "fit", program, detector.image, [detector.location], scope)
    engine = load_paddle(folder / "fit")
    engine(np.zeros((1, 3, SIZE, SIZE), "float32"))
    for shape in ((1, 3, 128, 128), (1, 1, SIZE, SIZE)):
        with pytest.raises(ValueError, match=r"fit\.pdmodel takes a batch of \(-1, 3, 96, 96\)"):
            engine(np.zeros(shape, "float32"))


def test_a_saved_model_is_the_same_wherever_it_is_saved(pruned, tmp_path):
    detector, program, scope, _ = pruned

    def save(prefix: Path) -> None:
        outputs = [detector.location, detector.confidence]
        save_inference_model(prefix, program, detector.image, outputs, scope)

    def save_from_here(prefix: Path) -> None:
        save(prefix)

    save(tmp_path / "one")
    save_from_here(tmp_path / "two")
    one, two = ((tmp_path / f"{name}.pdmodel").read_bytes() for name in ("one", "two"))
    assert one == two
    assert b".py" not in one and str(ROOT).encode() not in one


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(RuntimeError, match="nowhere did not run"):
        predict(tmp_path / "nowhere", np.zeros((1, 3, SIZE, SIZE), "float32"))
