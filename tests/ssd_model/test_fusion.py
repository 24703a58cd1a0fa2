"""A fused network computes what the plain one does, and leaves that one alone."""

import re
from pathlib import Path

import numpy as np
import paddle
import pytest

from ssd_model import kernels
from ssd_model.data.folder import read_data
from ssd_model.data.loader import make_loader
from ssd_model.data.readers import feeds
from ssd_model.data.scenes import write_scenes
from ssd_model.evaluation import evaluate
from ssd_model.fusion import fused
from ssd_model.programs import build_detector, new_scope
from ssd_model.scope import read_tensor, weights_digest, write_tensor
from ssd_model.weights import load_weights
from utils.paths import BASELINE

EXECUTOR = paddle.static.Executor(paddle.CPUPlace())


@pytest.fixture(scope="module")
def detector():
    return build_detector(11, is_train=False)


@pytest.fixture
def scope(detector):
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope, strict=True)
    return scope


@pytest.fixture(scope="module")
def batch(detector, tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("scenes") / "signs", trainval=8, test=8)
    loader = make_loader(read_data(folder, "test"), detector.feed_list, 8)
    return {name: np.array(value) for name, value in next(feeds(loader)).items()}


@pytest.fixture(scope="module")
def heads(detector):
    return [detector.location.name, detector.confidence.name]


def run(program, scope, feed, fetches):
    return EXECUTOR.run(program, feed=feed, fetch_list=fetches, scope=scope, use_prune=True)


ONEDNN = pytest.mark.skipif(not kernels.has_onednn(), reason="this Paddle has no oneDNN")


@ONEDNN
def test_fused_computes_the_same(detector, scope, batch, heads):
    feed = {"image": batch["image"]}
    plain = run(detector.program, scope, feed, heads)
    with fused(detector.program, scope, heads) as (program, weights):
        kinds = {op.type for op in program.global_block().ops}
        assert not kinds & {"batch_norm", "relu", "depthwise_conv2d"}
        found = run(program, weights, feed, heads)
    for ours, theirs in zip(found, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_kernels_of_onednn_compute_the_same(detector, scope, batch, heads):
    feed, program = {"image": batch["image"]}, detector.program.clone()
    plain = run(detector.program, scope, feed, heads)
    kernels.use_onednn(program, everywhere=True)
    for ours, theirs in zip(run(program, scope, feed, heads), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_evaluation_finds_the_plain_map(detector, scope, batch):
    (plain,) = run(detector.program, scope, batch, [detector.map.name])
    assert 0.5 < plain[0] < 1
    found = evaluate(EXECUTOR, detector.program, [batch], [("map", detector.map.name)], scope=scope)
    assert found["map"] == pytest.approx(plain[0], abs=1e-3)


def test_the_next_evaluation_sees_new_weights(detector, scope, batch, heads):
    """oneDNN could keep the weights of the last run, in its own order."""
    feed = {"image": batch["image"]}
    for factor in (1, 1.5):
        weight = read_tensor(scope, "conv2d_3.w_0")
        write_tensor(scope, "conv2d_3.w_0", weight * np.float32(factor))
        fetches = [("location", heads[0])]
        found = evaluate(EXECUTOR, detector.program, [feed], fetches, scope=scope)["location"]
        plain = run(detector.program, scope, feed, heads)[0]
        assert found == pytest.approx(float(plain.mean()), abs=1e-5)


def test_program_and_scope_stay(detector, scope, batch):
    names = [parameter.name for parameter in detector.program.all_parameters()]
    before = weights_digest(scope, names), str(detector.program)
    evaluate(EXECUTOR, detector.program, [batch], [("map", detector.map.name)], scope=scope)
    assert (weights_digest(scope, names), str(detector.program)) == before


def test_evaluations_leave_no_memory_behind(detector, scope, batch):
    """Of weights and feature maps it would be 70 MB each time."""
    sizes = []
    for _ in range(10):
        evaluate(EXECUTOR, detector.program, [batch], [("map", detector.map.name)], scope=scope)
        sizes.append(resident())
    assert sizes[-1] - sizes[2] < 150


def resident() -> float:
    """Megabytes of this process in memory."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1e3


def test_a_scope_without_weights_is_refused_by_name(detector):
    empty, words = paddle.static.Scope(), "has no value in the scope: run the startup program"
    with pytest.raises(ValueError, match=words), fused(detector.program, empty, []):
        pass


def assert_left_as_it_is(program, scope, fetches):
    with fused(program, scope, fetches) as found:
        assert found == (program, scope)


def test_what_is_inside_a_fused_operator_can_be_fetched(detector, scope, batch):
    (norm, *_) = (op for op in detector.program.global_block().ops if op.type == "batch_norm")
    inside, feed = norm.output("Y")[0], {"image": batch["image"]}
    assert_left_as_it_is(detector.program, scope, [inside])
    found = evaluate(EXECUTOR, detector.program, [feed], [("mean", inside)], scope=scope)
    plain = run(detector.program, scope, feed, [inside])[0]
    assert found["mean"] == pytest.approx(float(plain.mean()), abs=1e-5)


def test_weights_that_are_not_finite(detector, scope, heads):
    write_tensor(scope, "batch_norm_2.w_2", np.full(64, np.nan, "float32"))
    assert_left_as_it_is(detector.program, scope, heads)


def two_layers(**options):
    """A Program of two convolutions with batch norm and relu, its scope, and its output."""
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        x = paddle.static.data("image", [None, 4, 8, 8])
        for i in range(2):
            filters = paddle.ParamAttr(options.get("filters", f"filters_{i}"))
            x = paddle.static.nn.conv2d(x, 4, 1, param_attr=filters, bias_attr=False)
            mean = options.get("mean", f"mean_{i}")
            test = options.get("is_test", True)
            x = paddle.static.nn.batch_norm(x, act="relu", is_test=test, moving_mean_name=mean)
    scope = paddle.static.Scope()
    EXECUTOR.run(startup, scope=scope)
    return program, scope, x.name


@ONEDNN
def test_two_layers_are_fused():
    program, scope, output = two_layers()
    with fused(program, scope, [output]) as (found, _):
        assert [op.type for op in found.global_block().ops] == ["fused_conv2d"] * 2


@pytest.mark.parametrize(
    "options", [{"filters": "shared"}, {"mean": "shared"}, {"is_test": False}], ids=str
)
def test_what_the_passes_would_get_wrong(options):
    program, scope, output = two_layers(**options)
    assert_left_as_it_is(program, scope, [output])
