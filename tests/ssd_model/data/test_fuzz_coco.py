"""Whatever may be in a COCO file: see fuzzing.py."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssd_model.data.folder import scan_data
from tests.helpers.coco_folder import coco_content, make_coco, write_coco
from tests.helpers.fuzzing import edits, no_hang

TRAIN = "instances_train2017.json"


@pytest.fixture(scope="module")
def folder(scratch):
    shutil.rmtree(scratch / "coco", ignore_errors=True)
    return make_coco(scratch / "coco")


PIECES = [
    "null", "true", "-1", "1e999", "NaN", "[]", "{}", '""', '"a"', '"\\ud800"', '"\\u0000"',
    '"../a.jpg"', "1.5", "[[", "]]", "{", "}", ",", ":", '"id"', '"bbox"', "9" * 30,
]  # fmt: skip
GOOD = json.dumps(coco_content(["a", "b"]))


@given(text=edits(GOOD, PIECES))
def test_content(folder, text):
    (folder / f"annotations/{TRAIN}").write_bytes(text.encode("utf-8", "surrogatepass"))
    with no_hang():
        splits, faults = scan_data(folder)
    for fault in faults:
        assert fault.what and len(fault.what) < 1000 and str(fault).isprintable()
    for split in splits.values() if not faults else ():
        for record in split.records:
            assert np.isfinite(record.boxes).all()
            assert (record.boxes[:, 2:] > record.boxes[:, :2]).all()
            assert ((record.labels >= 1) & (record.labels <= len(split.classes))).all()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(data=st.data())
def test_values(folder, data):
    content = coco_content(["a", "b"])
    item = data.draw(st.sampled_from([item for items in content.values() for item in items]))
    item[data.draw(st.sampled_from([*item]))] = data.draw(VALUES)
    write_coco(folder / f"annotations/{TRAIN}", content)
    with no_hang():
        _, faults = scan_data(folder)
    assert all(fault.what and str(fault).isprintable() for fault in faults)
