"""What docs/fluid.md decides by measuring, measured again: the shipped weights on drawn scenes."""

import json

import paddle
import pytest
from PIL import Image

from pruning.cut import silenced
from pruning.dependencies import analyse
from pruning.plan import Plan
from pruning.sensitivity import Sensitivities, sensitive_plan
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.data.scenes import write_scenes
from ssd_model.evaluation import evaluate
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import load_weights
from tests.helpers import golden_values as golden
from utils.paths import BASELINE

CURVES = json.loads((golden.FOLDER / "sensitive_pruning.json").read_text())


class Shipped:
    """The shipped network, and 100 scenes that no ratio was chosen on."""

    def __init__(self, folder):
        self.test = read_data(write_scenes(folder, trainval=1, test=100, seed=7), "test")
        self.detector = build_detector(len(self.test.classes) + 1, is_train=False)
        self.scope = new_scope(self.detector)
        load_weights(self.detector.program, BASELINE, self.scope, strict=True)

    def map(self) -> float:
        loader = make_loader(self.test, self.detector.feed_list, 10)
        fetch_list = [("map", self.detector.map.name)]
        executor = paddle.static.Executor(paddle.CPUPlace())
        program = self.detector.program
        return evaluate(executor, program, loader, fetch_list, scope=self.scope)["map"]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return Shipped(tmp_path_factory.mktemp("measured") / "signs")


def test_bilinear_or_lanczos_hardly_matters(shipped, monkeypatch):
    bilinear = shipped.map()
    resize, lanczos = Image.Image.resize, Image.Resampling.LANCZOS
    monkeypatch.setattr(Image.Image, "resize", lambda image, size, _: resize(image, size, lanczos))
    assert bilinear > 0.8
    assert 0 < abs(shipped.map() - bilinear) < 0.015


@pytest.fixture(scope="module")
def sensitivities():
    lost = {
        name: {float(ratio): loss for ratio, loss in losses.items()}
        for name, losses in CURVES["lost"].items()
    }
    return Sensitivities({}, CURVES["baseline"], lost)


def test_straight_lines_leave_more_than_the_originals_cubic(shipped, sensitivities):
    """A fifth of the FLOPs away, right after pruning."""
    run = CURVES["runs"][0]
    cubic = Plan(analyse(shipped.detector.program), run["ratios"])
    assert cubic.original_flops == run["flops"]
    lines = sensitive_plan(cubic.dependencies, sensitivities, cubic.saved)
    assert lines.saved == pytest.approx(cubic.saved, abs=0.001)
    measured = []
    for plan in (lines, cubic):
        with silenced(plan, shipped.scope):
            measured.append(shipped.map())
    assert measured[0] > measured[1] + 0.02
