"""Files of Paddle's with a few bytes changed: read, or refused with their name. See fuzzing.py."""

import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd_model.formats.error import WeightsError
from ssd_model.formats.lod_tensor import read_lod_tensors
from ssd_model.formats.paddle_folder import read_combined
from ssd_model.formats.pdparams import read_pdparams
from tests.helpers import golden_values
from tests.helpers.fuzzing import LONGEST_MESSAGE, flips, no_hang

SAVED = golden_values.FOLDER / "paddle_1_8_5"


def attempt(read, path):
    """What a reader makes of a file; its refusal names the file."""
    try:
        with no_hang():
            arrays = read(path)
    except WeightsError as error:
        assert str(path.parent) in str(error) and len(str(error)) < LONGEST_MESSAGE
        return []
    return list(arrays.values()) if isinstance(arrays, dict) else arrays


@given(data=st.data())
@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("persistables/conv2d_0.w_0", read_lod_tensors),
        ("inference/__params__", read_lod_tensors),
        ("net.pdparams", read_pdparams),
    ],
)
def test_files(scratch, data, source, read):
    content = (SAVED / source).read_bytes()
    path = scratch / "weights"
    path.write_bytes(data.draw(flips(content)))
    for array in attempt(read, path):
        assert isinstance(array, np.ndarray) and array.nbytes <= len(content)
        assert array.dtype.kind in "fiub"


@given(data=st.data())
def test_programs(scratch, data):
    shutil.copy(SAVED / "inference" / "__params__", scratch / "params")
    content = (SAVED / "inference" / "__model__").read_bytes()
    (scratch / "__model__").write_bytes(data.draw(flips(content)))
    attempt(lambda path: read_combined(path, {}), scratch / "params")
