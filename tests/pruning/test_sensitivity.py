"""Sensitivities: measured, kept, taken up again, refused, and the plan made of them."""

import json
import pickle  # noqa: TID251 (one is to be refused)

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pruning.dependencies import analyse
from pruning.plan import PlanError
from pruning.sensitivity import (
    Sensitivities,
    SensitivityError,
    delta_ratios,
    measure_sensitivities,
    sensitive_plan,
)
from ssd_model.data.readers import sample
from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor, write_tensor

NAMES = ["conv2d_1.w_0", "conv2d_2.w_0"]
ABOUT = {"metric": "map", "eval_rate": 0.2}


@pytest.fixture(scope="module")
def evaluation():
    return build_detector(3, is_train=False, image_size=96)


@pytest.fixture(scope="module")
def dependencies(evaluation):
    return analyse(evaluation.program)


@pytest.fixture
def scope(evaluation):
    scope = paddle.static.Scope()
    paddle.static.Executor(paddle.CPUPlace()).run(evaluation.startup_program, scope=scope)
    return scope


@pytest.fixture
def measure(dependencies, scope, tmp_path):
    """Measure with a metric that is the sum of a filter which both layers touch."""

    def measure(stop_after=None, about=ABOUT, names=NAMES, offset=0.0, **arguments):
        measure.calls = 0

        def metric() -> float:
            if measure.calls == stop_after:
                raise KeyboardInterrupt
            measure.calls += 1
            return offset + float(np.abs(read_tensor(scope, "conv2d_2.w_0")).sum())

        path = tmp_path / "sensitivities.json"
        return measure_sensitivities(
            dependencies, scope, names, 0.4, metric, path, about, **arguments
        )

    return measure


def test_what_is_lost(measure, scope, tmp_path):
    weight = np.abs(read_tensor(scope, "conv2d_2.w_0"))
    before = read_tensor(scope, "conv2d_1.w_0")
    found = measure()
    by_output, by_input = np.sort(weight.sum(axis=(1, 2, 3))), weight.sum(axis=(0, 2, 3))
    weakest = np.argsort(np.abs(before).sum(axis=(1, 2, 3)))
    assert found.baseline == pytest.approx(weight.sum(), rel=1e-5)
    assert found.lost["conv2d_2.w_0"][0.4] == pytest.approx(by_output[:51].sum(), rel=1e-3)
    assert found.lost["conv2d_1.w_0"][0.8] == pytest.approx(by_input[weakest[:51]].sum(), rel=1e-3)
    np.testing.assert_array_equal(read_tensor(scope, "conv2d_1.w_0"), before)
    assert found.frame().shape == (2, 2)
    stored = json.loads((tmp_path / "sensitivities.json").read_text())
    assert stored["lost"]["conv2d_1.w_0"].keys() == {"0.4", "0.8"}


def test_an_interrupted_measurement_goes_on(measure, scope, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        measure(stop_after=3)
    assert sum(map(len, Sensitivities.load(tmp_path / "sensitivities.json").lost.values())) == 2
    resumed = measure()
    assert measure.calls == 3  # the baseline again, to compare, and what was missing
    (tmp_path / "sensitivities.json").unlink()
    assert measure() == resumed and measure.calls == 5
    measure()
    assert measure.calls == 0


def test_files_of_other_measurements_are_refused(measure, scope, tmp_path):
    path = tmp_path / "sensitivities.json"
    measure(names=NAMES[:1])
    with pytest.raises(SensitivityError, match=r"other data: with nothing cut"):
        measure(offset=1.0)
    with pytest.raises(SensitivityError, match=r"another measurement: eval_rate 0.2 there, 1 here"):
        measure(about={"metric": "map", "eval_rate": 1})
    with pytest.raises(SensitivityError, match="criterions"):
        measure(criterions={"*": "bn_scale"})
    write_tensor(scope, "conv2d_9.w_0", read_tensor(scope, "conv2d_9.w_0") * 2)
    before = path.read_bytes()
    with pytest.raises(SensitivityError, match=r"another network: weights.*Remove it or name"):
        measure()
    assert path.read_bytes() == before and measure.calls == 0


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", pickle.dumps({"conv1": 1}), b'{"about": {}, "baseline": 1}']
)
def test_files_of_no_such_kind_are_refused(measure, tmp_path, content):
    (tmp_path / "sensitivities.json").write_bytes(content)
    with pytest.raises(
        SensitivityError, match=r"sensitivities\.json is not a JSON file of sensitivities"
    ):
        measure()


def test_a_metric_that_is_no_number(measure, tmp_path):
    with pytest.raises(SensitivityError, match="the metric is nan"):
        measure(offset=float("nan"))
    assert not (tmp_path / "sensitivities.json").exists()


def made(**lost) -> Sensitivities:
    values = {f"{name}.w_0": losses for name, losses in lost.items()}
    return Sensitivities({}, 0.9, values)


def test_losses_between_measured_ratios():
    found = made(conv2d_1={0.4: 0.1, 0.8: 0.3}, conv2d_2={0.4: 0.2, 0.8: -0.1})
    assert found.ratio("conv2d_1.w_0", 0.05) == pytest.approx(0.2, abs=0.01)
    assert found.ratio("conv2d_1.w_0", 0.2) == pytest.approx(0.6, abs=0.01)
    assert found.ratio("conv2d_1.w_0", 9) == 0.8
    # It seems to cost less at 0.8 than at 0.4, which no cut does: what 0.4 cost is still paid.
    assert found.ratio("conv2d_2.w_0", 0.1) == pytest.approx(0.2, abs=0.01)


def test_the_plan_spares_what_is_sensitive(dependencies):
    found = made(
        conv2d_7={0.4: 0.0, 0.8: 0.01},
        conv2d_8={0.4: 0.3, 0.8: 0.6},
        conv2d_9={0.4: 0.01, 0.8: 0.1},
    )
    plan = sensitive_plan(dependencies, found, 0.1)
    assert plan.saved == pytest.approx(0.1, abs=0.001)
    cut = plan.ratios
    assert cut["conv2d_7.w_0"] > cut["conv2d_9.w_0"] > cut["conv2d_8.w_0"] > 0


@settings(deadline=None, max_examples=30)
@given(data=st.data(), target=st.floats(0.01, 0.25))
def test_any_losses_give_the_target(dependencies, data, target):
    layers = [f"conv2d_{i}.w_0" for i in range(6, 13)]
    loss = st.floats(-0.05, 0.9)
    found = Sensitivities(
        {}, 0.9, {n: {r: data.draw(loss) for r in (0.2, 0.4, 0.6, 0.8)} for n in layers}
    )
    plan = sensitive_plan(dependencies, found, target)
    assert plan.saved == pytest.approx(target, abs=0.003)
    assert all(0 <= ratio <= 0.8 for ratio in plan.ratios.values())


def test_targets_that_the_measured_ratios_do_not_reach(dependencies):
    with pytest.raises(PlanError, match=r"out of reach: 1 layers.*0\.4 at most"):
        sensitive_plan(dependencies, made(conv2d_1={0.4: 0.0}), 0.5)
    with pytest.raises(PlanError, match="between 0 and 1"):
        sensitive_plan(dependencies, made(conv2d_1={0.4: 0.0}), 0)


def test_ratios_of_a_delta():
    assert delta_ratios(0.2, 64) == [0.2, 0.4, 0.6, 0.8]
    assert delta_ratios(0.3, 64) == [0.3, 0.6, 0.9]
    assert delta_ratios(0.5, 64) == [0.5]
    assert delta_ratios(0.01, 256)[-1] == 0.99
    assert delta_ratios(0.01, 32)[-1] == 0.98  # 0.99 would leave none
    for delta in (0, 0.001, 1):
        with pytest.raises(ValueError, match="delta_rate"):
            delta_ratios(delta, 64)
    with pytest.raises(ValueError, match="no multiple of it leaves any of 2 channels"):
        delta_ratios(0.9, 2)


@pytest.mark.parametrize(("rate", "taken"), [(0.01, [0]), (0.5, [0, 3, 5, 7, 9]), (1, range(10))])
def test_samples_are_spread_evenly(rate, taken):
    batches = [{"x": np.array([i])} for i in range(10)]
    assert [int(feed["x"][0]) for feed in sample(batches, rate)] == list(taken)
