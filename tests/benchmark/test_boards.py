"""ncnn, MNN and LiteRT in the benchmark: the same boxes and scores as in ONNX Runtime."""

import json
import os

import numpy as np
import pytest

from benchmark.__main__ import measure
from benchmark.board_engines import BOARD_ENGINES
from benchmark.boards import PAGE, tables
from ssd_model.engines import load_onnx
from ssd_model.export.conversion import convert
from ssd_model.export.onnx_model import export_onnx
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import write_tensors
from study.tables import fill
from utils.paths import RESULTS

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 160, 160)).astype("float32")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The prefix of a network with random weights, and what ONNX Runtime computes from it."""
    prefix = tmp_path_factory.mktemp("models") / "0.2-network"
    detector = build_detector(4, is_train=False, image_size=160)
    path = prefix.with_name("0.2-network.onnx")
    export_onnx(path, detector.program, detector, new_scope(detector))
    boxes, scores = load_onnx(path)(IMAGES)
    reference = {"image": IMAGES, "boxes": boxes, "scores": scores}
    write_tensors(prefix.with_name("0.2-network.reference"), reference)
    return prefix, (boxes, scores)


@pytest.mark.parametrize("name", BOARD_ENGINES)
def test_the_same_boxes_and_scores(network, name, tmp_path, monkeypatch):
    engine, (prefix, expected) = BOARD_ENGINES[name], network
    if not engine.is_installed():
        pytest.skip(f"{name} and its converter are optional: make benchmark-boards")
    pip = tmp_path / "pip"
    pip.write_text(f"#!/bin/sh\ntouch {tmp_path}/called")
    pip.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    engine.write(prefix)
    assert not (tmp_path / "called").exists(), "a converter that installs something"

    run = engine.load(prefix)
    both, second = run(IMAGES), run(IMAGES[1:])
    for ours, theirs, alone in zip(expected, both, second, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5)
        np.testing.assert_allclose(alone, ours[1:], rtol=0, atol=1e-5)
    told = measure("latency", name, prefix, "--batches", 1, "--size", 160, "--runs", 2)
    assert len(told["milliseconds"]["1"]) == 2 and told["peak_mb"] > 0


def test_a_converter_that_fails_says_why(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"a\.onnx could not be converted by sh: no such layer"):
        convert(path, ["sh", "-c", "echo no such layer; exit 1"], "model.x")
    with pytest.raises(RuntimeError, match="could not be converted"):  # it ends well, with no file
        convert(path, ["sh", "-c", "touch model.y"], "model.x")
    assert convert(path, ["sh", "-c", "cp model.onnx model.x"], "model.x") == [b""]


def test_the_page_shows_every_number():
    row = {"target_ratio": 0.2, "batch": 1, "peak_mb": 50.0}
    rows = [row | {"engine": "ncnn", "milliseconds": 6.04}, row | {"engine": "MNN"}]
    rows[1]["milliseconds"] = 9.1
    result = {"machine": "a machine", "versions": {"mnn": "3.6.1"}, "latency": rows}
    text = " ".join(fill(PAGE.read_text(), tables(result)).split())  # columns are aligned
    for part in ("a machine", "| mnn | 3.6.1 |", "| ncnn | 6.0 | 50 |", "| MNN | 9.1 | 50 |"):
        assert part in text


def test_the_page_is_the_last_measurement():
    path = RESULTS / "boards.json"
    if not path.exists():
        pytest.skip("not measured yet: make benchmark-boards")
    text = PAGE.read_text()
    assert fill(text, tables(json.loads(path.read_text()))) == text, "`make benchmark-boards`"
