"""The benchmark's bars by hand; its measurements check what they time themselves."""

import json
import re

import pytest

from benchmark.__main__ import measure
from benchmark.networks import CLASS_NUM, Network
from benchmark.page import bars, tables, write_page
from pruning.dependencies import analyse
from ssd_model.programs import build_detector
from study.tables import fill
from utils.paths import RESULTS


def latency_row(engine, ratio, batch, milliseconds):
    return {
        "engine": engine, "target_ratio": ratio, "batch": batch,
        "milliseconds": float(milliseconds), "peak_mb": 500.0,
        "channel_multiple": 1, "image_size": 300, "flops": 1000 * (1 - ratio),
    }  # fmt: skip


@pytest.fixture
def result():
    times = {"Paddle, OpenVINO": (10, 6), "ONNX Runtime": (12, 5), "OpenVINO": (9, 6)}
    rows = [
        latency_row(engine, ratio, 1, milliseconds)
        for engine, both in times.items()
        for ratio, milliseconds in zip((0.0, 0.5), both, strict=True)
    ]
    training = [
        {"framework": framework, "target_ratio": 0.0, "train_ms_an_image": train,
         "evaluate_ms_an_image": evaluate, "wait_share": wait, "loader_images_per_second": 50.0}
        for framework, train, evaluate, wait in (("paddle", 90, 22, 0.06), ("torch", 100, 20, None))
    ]  # fmt: skip
    return {
        "machine": "a machine",
        "versions": {"python": "3.11"},
        "latency": rows,
        "growth": dict.fromkeys(("target_ratio", "image_size", "batch"), rows),
        "training": training,
        "operators": {"1": {"conv2d": 200.0, "relu": 30.0}, "2": {"conv2d": 100.0, "relu": 29.0}},
        "planning_seconds": {"here": 1.0, "paddleslim": 10.0},
    }


def test_bars_by_hand(result):
    _, *lines = bars(result)
    _, measured, allowed, held = zip(*lines, strict=True)
    assert [*map(float, measured)] == [0.6, 1.111, 1.2, 0.9, 1.1, 0.06, 1.0]
    assert [*map(float, allowed)] == [0.55, 1.05, 1.05, 1.0, 1.1, 0.05, 2.0]
    assert held == ("**no**", "**no**", "**no**", "yes", "yes", "**no**", "yes")


def test_the_page_shows_every_number_and_plot(result, tmp_path):
    page = tmp_path / "speed.md"
    page.write_text((RESULTS / "speed.md").read_text())
    write_page(tmp_path, result)
    text = re.sub(" +", " ", page.read_text())  # columns are aligned
    for part in ("a machine", "3.11", "| ONNX Runtime | 12.0 | 5.0 |", "6.0% of a step", "10.0 s",
                 "| relu | 30.0 | 29.0 |", "| together | 230.0 | 129.0 |"):  # fmt: skip
        assert part in text
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert names == ["speed_batch.png", "speed_image_size.png", "speed_target_ratio.png"]


def test_the_page_is_the_last_measurement():
    result = json.loads((RESULTS / "speed.json").read_text())
    text = (RESULTS / "speed.md").read_text()
    assert fill(text, tables(result)) == text, "`make benchmark` makes the tables anew"


def test_channels_are_rounded():
    dependencies = analyse(build_detector(CLASS_NUM, is_train=False).program)
    plan = Network(0.5, channel_multiple=8).plan(dependencies)
    assert plan.ratios and all(plan.shapes[name][0] % 8 == 0 for name in plan.ratios)
    assert not Network(0.0).plan(dependencies).ratios


def test_a_measurement_that_fails_says_why():
    with pytest.raises(RuntimeError, match="target_ratio is 2"):
        measure("planning", "here", 2.0)
