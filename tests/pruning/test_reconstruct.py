"""Least-squares reconstruction after pruning, on networks small enough to know the answer."""

import numpy as np
import paddle
import pytest

import utils  # noqa: F401
from pruning.cut import apply_plan, cut_positions
from pruning.dependencies import analyse
from pruning.plan import Plan
from pruning.reconstruct import ScopedProgram, reconstruct
from ssd_model.scope import read_tensor, write_tensor

SIZE = 9


def network(kernel, stride=1, padding=0, more=()):
    """Image -> 1x1 convolution to 4 channels -> a convolution -> more -> a last one, all linear."""
    program, startup = paddle.static.Program(), paddle.static.Program()
    startup.random_seed = 1
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        x = paddle.static.data("image", [None, 3, SIZE, SIZE])
        layers = [(4, 1, 1, 0), (5, kernel, stride, padding), *more, (2, 1, 1, 0)]
        for filters, size, step, edge in layers:
            x = paddle.static.nn.conv2d(x, filters, size, step, edge, bias_attr=False)
    scope = paddle.static.Scope()
    paddle.static.Executor().run(startup, scope=scope)
    return ScopedProgram(program, scope), x.name


def copy(unpruned):
    scope = paddle.static.Scope()
    for parameter in unpruned.program.all_parameters():
        write_tensor(scope, parameter.name, read_tensor(unpruned.scope, parameter.name))
    return scope


def cut(unpruned, ratios):
    plan = Plan(analyse(unpruned.program), ratios)
    positions = cut_positions(plan, unpruned.scope)
    scope = copy(unpruned)
    (program,) = apply_plan(plan, [unpruned.program], scope)
    return plan, positions, ScopedProgram(program, scope)


def output(net, name, image):
    return paddle.static.Executor().run(
        net.program, feed={"image": image}, fetch_list=[name], scope=net.scope
    )[0]


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(4, 3, SIZE, SIZE)).astype("float32") for _ in range(3)]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(1, 1, 0), (3, 1, 1), (3, 2, 1)])
def test_what_can_be_made_up_for_is(batches, kernel, stride, padding):
    """Four channels of a three-colour image: any one is a mix of the others."""
    unpruned, name = network(kernel, stride, padding)
    plan, positions, pruned = cut(unpruned, {"conv2d_0.w_0": 0.25})
    before = output(unpruned, name, batches[0])
    damage = np.abs(output(pruned, name, batches[0]) - before).max()
    reconstruct(plan, positions, unpruned, pruned, batches)
    left = np.abs(output(pruned, name, batches[0]) - before).max()
    assert left < 0.05 * damage, (left, damage)  # the ridge keeps it from nothing


def test_least_squares_by_another_solver(batches, monkeypatch):
    """Without the ridge, and with all places taken, it is numpy's lstsq."""
    monkeypatch.setattr("pruning.reconstruct.RIDGE", 0)
    unpruned, _ = network(1)
    plan, positions, pruned = cut(unpruned, {"conv2d_0.w_0": 0.5})
    hidden = [np.einsum("oi,nihw->nohw", read_tensor(pruned.scope, "conv2d_0.w_0")[..., 0, 0], b)
              for b in batches]  # fmt: skip
    first = read_tensor(unpruned.scope, "conv2d_0.w_0")[..., 0, 0]
    second = read_tensor(unpruned.scope, "conv2d_1.w_0")[..., 0, 0]
    wanted = [np.einsum("oi,nihw->nohw", second @ first, b) for b in batches]
    rows = [np.concatenate([a.transpose(0, 2, 3, 1).reshape(-1, a.shape[1]) for a in arrays])
            for arrays in (hidden, wanted)]  # fmt: skip
    expected = np.linalg.lstsq(*rows, rcond=None)[0].T
    reconstruct(plan, positions, unpruned, pruned, batches)
    found = read_tensor(pruned.scope, "conv2d_1.w_0")[..., 0, 0]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_each_layer_makes_up_for_those_before_it(batches, monkeypatch):
    """The second of two refitted layers sees what the first gives it after its own refit."""
    monkeypatch.setattr("pruning.reconstruct.RIDGE", 0)
    unpruned, _ = network(1, more=[(4, 1, 1, 0)])
    plan, positions, pruned = cut(unpruned, {"conv2d_0.w_0": 0.25, "conv2d_1.w_0": 0.6})

    def weights(net):
        return [read_tensor(net.scope, f"conv2d_{i}.w_0")[..., 0, 0].T for i in range(3)]

    first, second, third = weights(unpruned)
    kept = np.delete(np.arange(5), positions["conv2d_1.w_0"][0])
    rows = np.concatenate([b.transpose(0, 2, 3, 1).reshape(-1, 3) for b in batches])
    seen = rows @ weights(pruned)[0]
    refitted = np.linalg.lstsq(seen, rows @ (first @ second)[:, kept], rcond=None)[0]
    last = np.linalg.lstsq(seen @ refitted, rows @ first @ second @ third, rcond=None)[0]
    reconstruct(plan, positions, unpruned, pruned, batches)
    for found, expected in zip(weights(pruned)[1:], (refitted, last), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_only_layers_that_lost_inputs_change(batches):
    unpruned, _ = network(1)
    plan, positions, pruned = cut(unpruned, {"conv2d_1.w_0": 0.4})
    kept = np.delete(np.arange(5), positions["conv2d_1.w_0"][0])
    reconstruct(plan, positions, unpruned, pruned, batches)
    for name, left in (("conv2d_0.w_0", slice(None)), ("conv2d_1.w_0", kept)):
        expected = read_tensor(unpruned.scope, name)[left]
        np.testing.assert_array_equal(read_tensor(pruned.scope, name), expected)


def test_a_filter_that_is_used_twice_keeps_its_weights(batches, capsys):
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        x = paddle.static.data("image", [None, 3, SIZE, SIZE])
        for filters, name in ((4, "first"), (4, "shared"), (4, "shared"), (2, "last")):
            x = paddle.static.nn.conv2d(x, filters, 1, param_attr=name, bias_attr=False)
    scope = paddle.static.Scope()
    paddle.static.Executor().run(startup, scope=scope)
    plan, positions, pruned = cut(ScopedProgram(program, scope), {"first": 0.25})
    before = {name: read_tensor(pruned.scope, name) for name in ("shared", "last")}
    reconstruct(plan, positions, ScopedProgram(program, scope), pruned, batches)
    np.testing.assert_array_equal(read_tensor(pruned.scope, "shared"), before["shared"])
    assert not np.array_equal(read_tensor(pruned.scope, "last"), before["last"])
    assert "refitted, not shared" in capsys.readouterr().out


def test_it_needs_images():
    unpruned, _ = network(1)
    plan, positions, pruned = cut(unpruned, {"conv2d_0.w_0": 0.25})
    with pytest.raises(ValueError, match="images"):
        reconstruct(plan, positions, unpruned, pruned, [])
