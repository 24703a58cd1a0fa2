"""The programs of the page "On a board" find what Paddle finds."""

import re
import subprocess
import sys

import numpy as np
import paddle
import pytest
from PIL import Image

from ssd_model.data.folder import read_data
from ssd_model.data.loader import preprocess
from ssd_model.data.picture import ORIENTATION_TAG
from ssd_model.data.scenes import CLASSES, write_scenes
from ssd_model.export.ncnn_model import export_ncnn, is_installed
from ssd_model.export.onnx_model import export_onnx
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import load_weights
from utils.paths import BASELINE, ROOT

PAGE = (ROOT / "docs" / "board.md").read_text()
PROGRAMS = {
    engine: re.search(rf"## With {engine}\n.*?```python\n(.*?)```", PAGE, re.S)[1]
    for engine in ("ONNX Runtime", "ncnn")
}


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """A folder with the model's files, a photograph, and what Paddle finds in it."""
    folder = tmp_path_factory.mktemp("board")
    record = read_data(write_scenes(folder / "signs", trainval=2, test=1), "test").records[0]
    # As a phone stores what it took upright
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    stored = record.open().transpose(Image.Transpose.ROTATE_90)
    stored.save(record.image, exif=exif, quality=95)
    detector = build_detector(len(CLASSES) + 1, is_train=False)
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope, strict=True)
    network = detector.program, detector, scope, CLASSES
    export_onnx(folder / "pruned-detections.onnx", *network, suppression=True)
    export_onnx(folder / "pruned.onnx", *network)
    (rows,) = paddle.static.Executor(paddle.CPUPlace()).run(
        detector.program,
        feed={"image": preprocess(record.open())[None]},
        fetch_list=[detector.nmsed_out],
        scope=scope,
        use_prune=True,
    )
    size = record.open().size * 2
    found = [(int(row[0]), row[1], row[2:] * size) for row in rows if row[1] > 0.3]
    assert found
    return folder, record.image, found


@pytest.mark.parametrize("engine", PROGRAMS)
def test_a_board_finds_what_paddle_finds(board, engine):
    folder, photo, found = board
    if engine == "ncnn":
        if not is_installed():
            pytest.skip("ncnn is optional: make engines")
        export_ncnn(folder / "pruned.onnx", folder / "pruned.ncnn.param")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAMS[engine], photo], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(found)
    for label, score, box in found:
        near = [
            np.abs(np.array(line[2:], float) - box).max()
            for line in lines
            if line[0] == CLASSES[label - 1] and abs(float(line[1]) - score) < 0.01
        ]
        assert min(near, default=9) <= 1, f"{CLASSES[label - 1]} {score:.2f} at {box}"
