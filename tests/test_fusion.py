"""A fused network computes what the plain one does, and leaves that one alone."""

import numpy as np
import paddle
import pytest

from ssd_model.data.loader import make_loader
from ssd_model.data.scenes import write_scenes
from ssd_model.data.voc import read_voc
from ssd_model.programs import build_program, new_scope
from ssd_model.weights import load_weights, read_tensor, write_tensor
from utils.evaluation import evaluate
from utils.fusion import fuse
from utils.paths import BASELINE
from utils.readers import feeds
from utils.sensitivity import weights_digest

EXECUTOR = paddle.static.Executor(paddle.CPUPlace())


@pytest.fixture(scope="module")
def detector():
    return build_program(11, is_train=False)


@pytest.fixture
def scope(detector):
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope, strict=True)
    return scope


@pytest.fixture(scope="module")
def batch(detector, tmp_path_factory):
    folder = write_scenes(tmp_path_factory.mktemp("scenes") / "signs", trainval=8, test=8)
    loader = make_loader(read_voc(folder, "test"), detector.feed_list, 8)
    return {name: np.array(value) for name, value in next(feeds(loader)).items()}


@pytest.fixture(scope="module")
def heads(detector):
    return [detector.location.name, detector.confidence.name]


def run(program, scope, feed, fetches):
    return EXECUTOR.run(program, feed=feed, fetch_list=fetches, scope=scope, use_prune=True)


def test_fused_computes_the_same(detector, scope, batch, heads):
    fused, fused_scope = fuse(detector.program, scope, heads)
    kinds = {op.type for op in fused.global_block().ops}
    assert not kinds & {"batch_norm", "relu", "depthwise_conv2d"}
    feed = {"image": batch["image"]}
    plain = run(detector.program, scope, feed, heads)
    for ours, theirs in zip(run(fused, fused_scope, feed, heads), plain, strict=True):
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


def test_a_scope_without_weights_is_refused_by_name(detector):
    with pytest.raises(ValueError, match=r"conv2d_0\.w_0 has no value in the scope: run the start"):
        fuse(detector.program, paddle.static.Scope(), [detector.map.name])


def test_what_is_inside_a_fused_operator_can_be_fetched(detector, scope, batch):
    (norm, *_) = (op for op in detector.program.global_block().ops if op.type == "batch_norm")
    inside, feed = norm.output("Y")[0], {"image": batch["image"]}
    assert fuse(detector.program, scope, [inside]) == (detector.program, scope)
    found = evaluate(EXECUTOR, detector.program, [feed], [("mean", inside)], scope=scope)
    plain = run(detector.program, scope, feed, [inside])[0]
    assert found["mean"] == pytest.approx(float(plain.mean()), abs=1e-5)


def test_a_filter_used_twice_is_not_scaled_twice():
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        x = paddle.static.data("image", [None, 4, 8, 8])
        for _ in range(2):
            shared = paddle.ParamAttr("shared")
            x = paddle.static.nn.conv2d(x, 4, 1, param_attr=shared, bias_attr=False)
            x = paddle.static.nn.batch_norm(x, act="relu", is_test=True)
    scope = paddle.static.Scope()
    EXECUTOR.run(startup, scope=scope)
    write_tensor(scope, "batch_norm_1.w_0", np.float32([1, 2, 3, 4]))
    feed = {"image": np.random.default_rng(0).normal(size=(2, 4, 8, 8)).astype("float32")}
    (plain,) = run(program, scope, feed, [x.name])
    (fused,) = run(*fuse(program, scope, [x.name]), feed, [x.name])
    np.testing.assert_allclose(fused, plain, rtol=1e-5, atol=1e-6)
