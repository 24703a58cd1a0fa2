"""Scopes give back what Programs leave in them."""

import numpy as np
import paddle
from paddle.static import Scope

from ssd_model.scope import child_scope, read_tensor, write_tensor


def test_nothing_that_ran_in_a_child_scope_outlives_it(program):
    outer, image = Scope(), np.ones((2, 3), "float32")
    write_tensor(outer, "kept", image)
    out = paddle.nn.functional.relu(paddle.static.data("image", [2, 3]))
    with child_scope(outer) as inside:
        executor = paddle.static.Executor(paddle.CPUPlace())
        executor.run(program, feed={"image": image}, fetch_list=[out], scope=inside)
        assert inside.local_var_names() == ["feed"]  # the batch
    # Paddle keeps the child as long as the outer scope: a batch for each epoch of training.
    assert inside.local_var_names() == []
    np.testing.assert_array_equal(read_tensor(outer, "kept"), image)
