"""The profile full trains as the original did, by what its system computed; the others do not."""

import json
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import paddle
import pytest
from PIL import Image

from notebooks import run as runner
from ssd_model.data.augment import Augmentation
from ssd_model.network import mobilenet_ssd
from ssd_model.optimizers import ORIGINAL_CONV_RATE, original
from ssd_model.scope import read_tensor, write_tensor
from tests.helpers import golden_values as golden
from utils.paths import BASELINE
from utils.profiles import PROFILES, Options
from utils.training import fine_tune
from utils.workspace import OWN_AUGMENTATION, Workspace

TRAINING = json.loads((golden.FOLDER / "training.json").read_text())
# The operators that start a parameter with random numbers, and what those depend on
BOUNDS = {"uniform_random": ("min", "max"), "gaussian_random": ("mean", "std")}


def test_make_run_notebooks_takes_these_profiles_and_options():
    # It names them itself, since it does without Paddle.
    assert tuple(PROFILES) == runner.PROFILES
    assert tuple(field.name for field in fields(Options)) == runner.OPTIONS


@pytest.mark.parametrize(
    ("data_dir", "profile", "zoomed_out"),
    [
        *[("photographs", "standard", 1.5), ("photographs", "full", 4)],
        *[("", "standard", 2), ("", "full", 2)],
    ],
)
def test_how_far_is_zoomed_out(tmp_path, data_dir, profile, zoomed_out):
    assert Workspace(str(tmp_path), data_dir, profile).augmentation.expand_max == zoomed_out


@pytest.mark.parametrize("side", [0.1, 0.35])
def test_a_short_training_sees_objects_about_as_large_as_they_are(side):
    own = np.percentile(_magnified(OWN_AUGMENTATION, side), [5, 95])
    original = np.percentile(_magnified(Augmentation(), side), [5, 95])
    assert own[0] > 0.6 and own[1] < 1.9
    assert original[1] > 5 * original[0]


@pytest.mark.parametrize("side", [0.2, 0.35])
def test_at_224_pixels_objects_are_about_as_large_as_at_300(tmp_path, side):
    seen = _magnified(Workspace(str(tmp_path), "photographs").nearer_views, side)
    # A crop may cut a little off.
    assert np.percentile(seen, 5) > 0.95
    assert 224 * np.exp(np.log(seen).mean()) == pytest.approx(300, rel=0.1)


def _magnified(augmentation, side):
    """How many times as large an object is seen in some views."""
    image, seen = Image.new("RGB", (64, 64)), []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        low = rng.uniform(0, 1 - side, 2)
        box = np.concatenate([low, low + side])[None]
        _, boxes, *_ = augmentation(image, box, np.array([1]), np.array([False]), rng)
        seen.append(np.sqrt((boxes[0, 2:] - boxes[0, :2]).prod()) / side)
    return seen


@pytest.mark.parametrize(("data_dir", "rate"), [("photographs", 1e-3), ("", 4e-4)])
def test_how_fast_is_fine_tuned(tmp_path, data_dir, rate):
    work = Workspace(str(tmp_path), data_dir)
    work.trainval = SimpleNamespace(records=[None] * 100)
    for peak_rate, expected in ((None, rate), (2e-3, 2e-3)):
        schedule = work.optimizer(2, peak_rate)._learning_rate
        assert max(_rates(schedule, 26)) == pytest.approx(expected, rel=0.01)


def _rates(schedule, steps):
    for _ in range(steps):
        yield schedule.get_lr()
        schedule.step()


@pytest.mark.parametrize(("data_dir", "usual"), [("photographs", 0.5), ("", 0)])
def test_flipped_or_not(tmp_path, data_dir, usual):
    for flip, expected in ((None, usual), (False, 0), (True, 0.5)):
        work = Workspace(str(tmp_path), data_dir, options={"flip": flip})
        assert work.augmentation.flip_prob == expected


@pytest.fixture
def parameters(program):
    mobilenet_ssd(paddle.static.data("image", [None, 3, 300, 300]), 21, ORIGINAL_CONV_RATE)
    return {parameter.name: parameter for parameter in program.all_parameters()}


def test_the_multipliers_are_the_originals(parameters):
    rates = {name: p.optimize_attr["learning_rate"] for name, p in parameters.items()}
    assert rates == {name: about["multiplier"] for name, about in TRAINING["parameters"].items()}
    assert sum(rate == 0.1 for rate in rates.values()) == 35  # all filters but the twelve heads'


def test_random_weights_start_within_the_originals_bounds(parameters):
    startup = paddle.static.default_startup_program().global_block()
    first = {op.output_arg_names[0]: op for op in startup.ops}
    for name, about in TRAINING["parameters"].items():
        if about["initializer"] not in BOUNDS:
            continue
        assert first[name].type == about["initializer"], name
        for bound in BOUNDS[about["initializer"]]:
            assert first[name].attr(bound) == pytest.approx(about[bound], rel=1e-6), name


def test_other_profiles_keep_all_parameters_alike():
    assert {name: profile.conv_rate for name, profile in PROFILES.items()} == {
        "smoke": 1, "standard": 1, "full": 0.1,
    }  # fmt: skip


class BuiltError(Exception):
    """Instead of training."""


def test_a_workspace_trains_as_its_profile_says(voc, tmp_path, monkeypatch):
    def compressor(place, scope, train_program, **_):
        raise BuiltError(train_program)

    monkeypatch.setattr("utils.training.Compressor", compressor)
    work = Workspace(str(tmp_path), str(voc), "full")
    with pytest.raises(BuiltError) as caught:
        fine_tune(work, "control", 1, BASELINE)
    (program,) = caught.value.args
    rates = {p.name: p.optimize_attr["learning_rate"] for p in program.all_parameters()}
    assert rates["conv2d_21.w_0"] == 0.1 and rates["conv2d_22.w_0"] == 1


def test_the_rate_falls_when_the_originals_did():
    schedule = TRAINING["schedule"]
    rate = PROFILES["full"].optimizer(schedule["images"], 120, 1.0)._learning_rate
    assert PROFILES["full"].batch_size == schedule["batch_size"]
    assert rate.boundaries == schedule["boundaries"]
    for step, expected in schedule["rates"]:
        rate.step(step)
        assert rate.get_lr() == pytest.approx(expected), step


def test_a_set_smaller_than_a_batch_has_an_epoch_of_one_step():
    assert original(10, 64)._learning_rate.boundaries == [40, 60, 80, 100]


def test_seven_steps_end_where_the_originals_did(program):
    """Multiplier, weight decay, RMSProp and falling rate at once, on two convolutions."""
    g = golden.load("rmsprop_steps")
    x = paddle.static.data("x", g["x"].shape)
    slow = paddle.ParamAttr(learning_rate=ORIGINAL_CONV_RATE)
    y = paddle.static.nn.conv2d(x, 5, 3, padding=1, bias_attr=False, param_attr=slow)
    y = paddle.static.nn.batch_norm(y, act="relu")
    y = paddle.static.nn.conv2d(y, 2, 1)
    loss = paddle.mean(y * y)
    optimizer = original(64, 64)
    rate = optimizer._learning_rate
    rate.boundaries = [1, 2, 4, 5]
    optimizer.minimize(loss)
    names = [parameter.name for parameter in program.all_parameters()]
    executor, scope = paddle.static.Executor(paddle.CPUPlace()), paddle.static.global_scope()
    executor.run(paddle.static.default_startup_program())
    for name in names:
        write_tensor(scope, name, g[name][0])
    for step in range(7):
        assert rate.get_lr() == pytest.approx(g["rate"][step])
        (value,) = executor.run(program, feed={"x": g["x"]}, fetch_list=[loss])
        assert value == pytest.approx(g["loss"][step], rel=1e-5)
        rate.step()
        for name in names:
            got = read_tensor(scope, name)
            np.testing.assert_allclose(got, g[name][step + 1], rtol=1e-5, atol=1e-6, err_msg=name)
