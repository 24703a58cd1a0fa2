"""A saved model and photographs, for the tests of `make detect`."""

import json
import shutil

import pytest

from ssd_model.data.folder import read_data
from ssd_model.data.scenes import write_scenes
from ssd_model.export.inference_model import save_inference_model
from ssd_model.programs import build_detector, new_scope
from ssd_model.weights import load_weights, read_tensors
from utils.paths import BASELINE


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Drawn road signs, and what is in them."""
    folder = write_scenes(tmp_path_factory.mktemp("signs"), trainval=1, test=11, processes=1)
    return read_data(folder, "test").records


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The shipped baseline, saved as notebook 4 saves it."""
    classes = json.loads(read_tensors(BASELINE)[1]["classes"])
    detector = build_detector(len(classes) + 1, is_train=False)
    scope = new_scope(detector)
    load_weights(detector.program, BASELINE, scope)
    prefix = tmp_path_factory.mktemp("models") / "pruned"
    outputs = [detector.nmsed_out, detector.counts]
    save_inference_model(prefix, detector.program, detector.image, outputs, scope, classes)
    return prefix


@pytest.fixture
def photos(scenes, tmp_path):
    """A folder with two photographs, one in a folder of its own."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    shutil.copy(scenes[0].image, folder / "one.jpg")
    shutil.copy(scenes[1].image, folder / "more" / "two.JPG")
    return folder
