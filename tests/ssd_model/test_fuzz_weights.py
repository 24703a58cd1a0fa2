"""Weights that are broken: see fuzzing.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd_model.weights import WeightsError, read_tensors, write_tensors
from tests.helpers.fuzzing import broken, flips, no_hang


@broken("weights")
def test_broken_weights(path):
    with no_hang(), pytest.raises(WeightsError, match=path.name):
        read_tensors(path)


@given(data=st.data())
def test_weights(scratch, data):
    good, path = scratch / "good.safetensors", scratch / "weights.safetensors"
    arrays = {"conv2d_0.w_0": np.ones((2, 3), "float32"), "conv2d_0.b_0": np.ones(2, "float16")}
    if not good.exists():
        write_tensors(good, arrays, {"map": "0.5"})
    path.write_bytes(data.draw(flips(good.read_bytes())))
    try:
        with no_hang():
            read, _ = read_tensors(path)
    except WeightsError as error:
        assert path.name in str(error)
    else:  # nothing that matters was hit
        for name, array in arrays.items():
            np.testing.assert_array_equal(read[name], array)
