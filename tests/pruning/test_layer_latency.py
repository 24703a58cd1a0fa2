"""Which layer takes how long: by orders of magnitude, since times vary."""

import numpy as np
import paddle
import pytest

from pruning.dependencies import analyse
from pruning.layer_latency import _ends, latency_cost
from pruning.layer_samples import ScopedProgram
from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor


@pytest.fixture
def network():
    """A small layer, one of a thousand times its work, and a small one again.

    The large one takes many times what a small one may wait for a busy core.
    """
    program, startup = paddle.static.Program(), paddle.static.Program()
    with paddle.utils.unique_name.guard(), paddle.static.program_guard(program, startup):
        x = paddle.static.data("image", [None, 3, 128, 128])
        for filters, size, stride in ((16, 1, 1), (512, 3, 1), (16, 1, 8)):
            x = paddle.static.nn.conv2d(x, filters, size, stride, size // 2, bias_attr=False)
            x = paddle.static.nn.batch_norm(x, is_test=True, act="relu")
    scope = paddle.static.Scope()
    paddle.static.Executor().run(startup, scope=scope)
    return ScopedProgram(program, scope)


def test_the_layer_with_the_work_takes_the_time(network):
    dependencies = analyse(network.program)
    before = {name: read_tensor(network.scope, name) for name in dependencies.shapes}
    cost = latency_cost(network, dependencies)
    small, large, last = (cost(name, dependencies.shapes[name]) for name in dependencies.positions)
    assert large > 3 * small > 0 and large > 3 * last > 0
    # Half the inputs and outputs are a quarter of the work.
    whole, half = dependencies.shapes["conv2d_1.w_0"], (256, 8, 3, 3)
    assert cost("conv2d_1.w_0", half) < 0.9 * cost("conv2d_1.w_0", whole)
    for name, array in before.items():
        np.testing.assert_array_equal(read_tensor(network.scope, name), array)


def test_the_detector_is_timed_up_to_what_the_image_decides():
    """Ground truth, and the mAP that needs it, are left out."""
    detector = build_detector(4, is_train=False)
    ends = _ends(detector.program, detector.image.name)
    assert detector.map.name not in ends and detector.nmsed_out.name in ends
