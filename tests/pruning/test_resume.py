"""The Compressor stopped: what goes on from its checkpoints, and what is refused."""

import numpy as np
import paddle
import pytest

from pruning.checkpoints import CheckpointError
from tests.helpers.small_run import Interrupted, Setup, weights


@pytest.mark.parametrize("batches", [1, 4])
def test_what_a_stopped_run_left_is_no_start(config, batches):
    path = config(start=1, epoch=3, checkpoints="checkpoints")
    setup = Setup(train_reader=Interrupted(batches))
    setup.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        setup.compressor.run()
    with pytest.raises(ValueError, match="resumes from its last checkpoint"):
        setup.compressor.run()


@pytest.mark.parametrize("batches", [1, 4, 7])
def test_an_interrupted_run_goes_on_to_the_same_end(config, batches):
    whole = Setup()
    whole.compressor.config(config(start=1, epoch=3))
    expected = whole.compressor.run()

    path = config(start=1, epoch=3, checkpoints="checkpoints")
    broken = Setup(train_reader=Interrupted(batches))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()

    resumed = Setup()
    resumed.compressor.config(path)
    history = resumed.compressor.run()
    assert history.ratios == expected.ratios
    for row, other in zip(history.rows, expected.rows, strict=True):
        assert row.keys() == other.keys()
        for label in row.keys() - {"seconds"}:
            np.testing.assert_array_equal(row[label], other[label])
    for name, array in weights(whole).items():
        np.testing.assert_array_equal(array, weights(resumed)[name], err_msg=name)


def test_checkpoints_of_another_run_are_refused(config):
    broken = Setup(train_reader=Interrupted(4))
    broken.compressor.config(config(epoch=3, checkpoints="checkpoints"))
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    other = Setup()
    other.compressor.config(config(epoch=3, target=0.3, checkpoints="checkpoints"))
    with pytest.raises(CheckpointError, match=r"'target_ratio': 0.2.*'target_ratio': 0.3"):
        other.compressor.run()


def test_other_weights_at_the_start_are_another_run(config):
    path = config(epoch=3, checkpoints="checkpoints")
    broken = Setup(train_reader=Interrupted(4))
    broken.compressor.config(path)
    with pytest.raises(KeyboardInterrupt):
        broken.compressor.run()
    other = Setup()
    bias = other.scope.find_var("conv2d_23.b_0").get_tensor()
    bias.set(np.ones(bias.shape(), "float32"), paddle.CPUPlace())
    other.compressor.config(path)
    with pytest.raises(CheckpointError, match="start weights"):
        other.compressor.run()


def test_a_run_that_has_ended_is_not_repeated(config):
    path = config(checkpoints="checkpoints")
    first = Setup()
    first.compressor.config(path)
    expected = first.compressor.run()
    again = Setup(train_reader=Interrupted(0))
    again.compressor.config(path)
    history = again.compressor.run()
    assert history.value("map", "finetuned") == expected.value("map", "finetuned")
    assert history.flops_after == expected.flops_after
    np.testing.assert_array_equal(weights(first)["conv2d_1.w_0"], weights(again)["conv2d_1.w_0"])
