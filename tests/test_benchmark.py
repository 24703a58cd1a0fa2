"""The benchmark's bars by hand; its measurements check what they time themselves."""

import pytest

from benchmark.__main__ import measure
from benchmark.networks import CLASS_NUM, Network
from benchmark.page import bars, plot_growth, write_page
from ssd_model.programs import build_program
from utils.dependencies import analyse


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
         "evaluate_ms_an_image": evaluate, "wait_share": wait}
        for framework, train, evaluate, wait in (("paddle", 90, 22, 0.06), ("torch", 100, 20, None))
    ]  # fmt: skip
    return {
        "machine": "a machine",
        "versions": {"python": "3.11"},
        "latency": rows,
        "training": training,
        "planning_seconds": {"here": 1.0, "paddleslim": 10.0},
    }


def test_bars_by_hand(result):
    table = bars(result)
    assert table["measured"].tolist() == [0.6, 1.111, 1.2, 0.9, 1.1, 0.06, 1.0]
    assert table["at most"].tolist() == [0.55, 1.05, 1.05, 1.0, 1.1, 0.05, 2.0]
    assert table["held"].tolist() == ["no", "no", "no", "yes", "yes", "no", "yes"]


def test_the_page_shows_every_number(result, tmp_path):
    text = write_page(tmp_path / "benchmark.md", result)
    assert text == (tmp_path / "benchmark.md").read_text()
    for part in ("a machine", "python 3.11", "ONNX Runtime", "12.0", "0.06", "10.0"):
        assert part in text


def test_plots(tmp_path):
    rows = [latency_row("Paddle, OpenVINO", ratio, 1, 10 - ratio) for ratio in (0.0, 0.5)]
    plot_growth(tmp_path, {"target_ratio": rows, "image_size": rows, "batch": rows})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["batch.png", "image_size.png", "target_ratio.png"]


def test_channels_are_rounded():
    dependencies = analyse(build_program(CLASS_NUM, is_train=False).program)
    plan = Network(0.5, channel_multiple=8).plan(dependencies)
    assert plan.ratios and all(plan.shapes[name][0] % 8 == 0 for name in plan.ratios)
    assert not Network(0.0).plan(dependencies).ratios


def test_a_measurement_that_fails_says_why():
    with pytest.raises(RuntimeError, match="target_ratio is 2"):
        measure("planning", "here", 2.0)
