"""The detector in ncnn: the same boxes and scores as in ONNX Runtime."""

import numpy as np
import pytest

from ssd_model.engines import load, load_onnx
from ssd_model.export.ncnn_model import export_ncnn, is_installed
from ssd_model.export.onnx_model import export_onnx
from ssd_model.predict import predict
from ssd_model.programs import build_detector, new_scope

pytestmark = pytest.mark.skipif(not is_installed(), reason="ncnn is optional: make engines")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network with random weights, as an ONNX file and ncnn's."""
    folder = tmp_path_factory.mktemp("models")
    detector = build_detector(4, is_train=False, image_size=160)
    path, target = folder / "a.onnx", folder / "ncnn" / "b.ncnn.param"
    export_onnx(path, detector.program, detector, new_scope(detector))
    size = export_ncnn(path, target)
    made = {file.suffix: file.stat().st_size for file in target.parent.iterdir()}
    assert made.keys() == {".bin", ".param", ".json"}
    assert size == made[".bin"] + made[".param"]
    assert [file.name for file in folder.iterdir() if file.is_file()] == ["a.onnx"]
    return path, target


def test_the_same_boxes_and_scores(files):
    images = np.random.default_rng(0).normal(size=(2, 3, 160, 160)).astype("float32")
    ours, theirs = load_onnx(files[0])(images), predict(files[1], images).outputs
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=0, atol=1e-5)


def test_files_that_are_none(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(OSError, match=r"ncnn cannot read .*none\.param"):
        load(tmp_path / "none.param")
