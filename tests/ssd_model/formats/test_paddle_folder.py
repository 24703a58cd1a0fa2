"""Folders of Paddle 1.x: bit for bit what was saved, by 1.8.5 itself and by today's operators."""

import shutil
import struct
from pathlib import Path

import numpy as np
import paddle
import pytest

from ssd_model.formats.error import WeightsError
from ssd_model.formats.lod_tensor import read_lod_tensors
from ssd_model.formats.paddle_folder import read_combined, read_folder
from ssd_model.programs import build_detector, new_scope
from ssd_model.scope import read_tensor
from ssd_model.weights import load_weights, read_weights, shapes_of
from tests.helpers import golden_values

SAVED = golden_values.FOLDER / "paddle_1_8_5"
NAMES = ["batch_norm_0.b_0", "batch_norm_0.w_0", "batch_norm_0.w_1", "batch_norm_0.w_2"]
NAMES += ["conv2d_0.w_0"]
SIZE = 96


@pytest.fixture(scope="module")
def expected():
    return golden_values.load("paddle_1_8_5/values")


@pytest.fixture(scope="module")
def network():
    """A network with random weights, and its scope."""
    detector = build_detector(4, is_train=False, image_size=SIZE)
    return detector, new_scope(detector)


def save(program, scope, folder: Path, combined: str | None = None) -> Path:
    """Save parameters by the operators that `fluid.io.save_params` ran."""
    folder.mkdir(exist_ok=True)
    saving = paddle.static.Program()
    block = saving.global_block()
    variables = [
        block.create_var(name=name, shape=shape, dtype="float32", persistable=True)
        for name, shape in sorted(shapes_of(program).items())
    ]
    if combined:
        path, none = {"file_path": str(folder / combined)}, block.create_var(name="none")
        block.append_op(
            type="save_combine", inputs={"X": variables}, outputs={"Y": none}, attrs=path
        )
    else:
        for variable in variables:
            path = {"file_path": str(folder / variable.name)}
            block.append_op(type="save", inputs={"X": variable}, outputs={}, attrs=path)
    paddle.static.Executor(paddle.CPUPlace()).run(saving, scope=scope)
    return folder


def assert_same(arrays, expected):
    assert sorted(arrays) == sorted(expected)
    for name, array in expected.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_one_file_a_variable_of_the_original(expected):
    arrays, others = read_folder(SAVED / "persistables", {})
    state = {"batch_norm_0.b_0_velocity_0", "batch_norm_0.w_0_velocity_0"}
    state |= {"conv2d_0.w_0_velocity_0", "learning_rate_0"}
    assert state == set(arrays) - set(expected) and others == []
    assert_same({name: arrays[name] for name in expected}, expected)
    np.testing.assert_array_equal(arrays["learning_rate_0"], np.float32([0.1]))


def test_all_in_one_of_the_original(expected):
    arrays, others = read_folder(SAVED / "inference", {})
    assert others == []
    assert_same(arrays, expected)
    assert_same(read_weights(SAVED / "inference" / "__params__", {}).arrays, expected)


def test_all_in_one_under_other_names(expected, tmp_path):
    for model, params in (("model", "params"), ("net.pdmodel", "net.pdiparams")):
        folder = tmp_path / params
        folder.mkdir()
        shutil.copy(SAVED / "inference" / "__model__", folder / model)
        shutil.copy(SAVED / "inference" / "__params__", folder / params)
        assert_same(read_folder(folder, {})[0], expected)


def test_all_in_one_without_a_program(expected, tmp_path):
    path = shutil.copy(SAVED / "inference" / "__params__", tmp_path / "params")
    shapes = {name: array.shape for name, array in expected.items()}
    assert_same(read_combined(path, shapes), expected)
    # The number of channels is for the network to judge: it may be pruned.
    wider = {name: (8, *shape[1:]) for name, shape in shapes.items()}
    assert_same(read_combined(path, wider), expected)
    with pytest.raises(WeightsError, match=r"holds 5 variables .* in this network there are 6"):
        read_combined(path, shapes | {"conv2d_1.w_0": (4, 4, 1, 1)})
    renamed = {name.replace("conv2d", "a_conv2d"): shape for name, shape in shapes.items()}
    with pytest.raises(WeightsError, match=r"shape \[4\] stands where a_conv2d_0\.w_0 \[4, 3, 3"):
        read_combined(path, renamed)


def test_a_program_of_another_network(tmp_path):
    shutil.copy(SAVED / "inference" / "__params__", tmp_path / "params")
    program, startup = paddle.static.Program(), paddle.static.Program()
    names = paddle.utils.unique_name.guard()
    with names, paddle.static.program_guard(program, startup):
        paddle.static.nn.conv2d(paddle.static.data("x", [None, 3, 8, 8]), 5, 3)
    (tmp_path / "__model__").write_bytes(program.desc.serialize_to_string())
    with pytest.raises(WeightsError, match=r"holds 5 variables .* in __model__ there are 2"):
        read_folder(tmp_path, {})
    (tmp_path / "__model__").write_bytes(b"no Program")
    with pytest.raises(WeightsError, match="__model__ is not a Paddle Program"):
        read_folder(tmp_path, {})


@pytest.mark.parametrize("combined", [None, "params"])
def test_the_whole_network_as_it_is_saved_today(network, tmp_path, combined):
    detector, scope = network
    folder = save(detector.program, scope, tmp_path / "saved", combined)
    other = new_scope(build_detector(4, is_train=False, image_size=SIZE, seed=1))
    report = load_weights(detector.program, folder, other, strict=True)
    assert len(report.loaded) == 199
    for name in report.loaded:
        assert np.array_equal(read_tensor(other, name), read_tensor(scope, name)), name


def test_other_classes_and_no_heads(network, tmp_path):
    detector, scope = network
    folder = save(detector.program, scope, tmp_path / "saved")
    combined = save(detector.program, scope, tmp_path / "combined", "params")
    other = build_detector(21, is_train=False, image_size=SIZE)
    for path in (folder, combined):
        report = load_weights(other.program, path, new_scope(other))
        assert (len(report.loaded), len(report.fresh)) == (187, 12)
    # As ssd_mobilenet_v1_coco of the original came
    for head in range(22, 34):
        for end in ("w_0", "b_0"):
            (folder / f"conv2d_{head}.{end}").unlink()
    (folder / "README").write_text("weights of mine")
    report = load_weights(other.program, folder, new_scope(other))
    assert (len(report.loaded), len(report.fresh), report.unused) == (175, 24, ["README"])
    assert report.fresh["conv2d_22.w_0"] == "not in the file"
    assert "175 parameters loaded, 24 start fresh" in str(report)


def test_what_fits_nothing_is_refused_by_name(network):
    detector, scope = network
    before = read_tensor(scope, "batch_norm_1.w_0")
    with pytest.raises(
        WeightsError, match=r"paddle_1_8_5/persistables does not fit .*\n.*conv2d_0"
    ):
        load_weights(detector.program, SAVED / "persistables", scope)
    np.testing.assert_array_equal(read_tensor(scope, "batch_norm_1.w_0"), before)


def test_numbers_that_are_none_are_refused(network, tmp_path):
    detector, scope = network
    folder = save(detector.program, scope, tmp_path / "saved")
    path = folder / "batch_norm_3.w_1"
    path.write_bytes(path.read_bytes()[:-4] + struct.pack("<f", float("nan")))
    with pytest.raises(WeightsError, match=r"batch_norm_3\.w_1 holds values that are not numbers"):
        load_weights(detector.program, folder, scope)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-1], "it ends before 432 bytes more"),
        (lambda content: content[:20], "is incomplete"),
        (lambda content: content + b"more", "is incomplete, or not a Paddle tensor: number 1"),
        (lambda content: content[:4] + b"\xff" * 8 + content[12:], "levels of detail"),
        (lambda content: content[:12] + b"\1" + content[13:], "version 1"),
        (lambda content: content[:16] + b"\xff\xff\xff\x7f" + content[20:], "it ends before"),
    ],
)
def test_damaged_tensors(tmp_path, change, words):
    content = (SAVED / "persistables" / "conv2d_0.w_0").read_bytes()
    path = tmp_path / "conv2d_0.w_0"
    path.write_bytes(change(content))
    with pytest.raises(WeightsError, match=words) as caught:
        read_lod_tensors(path)
    assert str(path) in str(caught.value)


def test_folders_and_files_that_hold_no_weights(tmp_path):
    with pytest.raises(WeightsError, match=r"holds no variables of Paddle 1\.x$"):
        read_folder(tmp_path, {})
    (tmp_path / "inner").mkdir()
    shutil.copy(SAVED / "persistables" / "conv2d_0.w_0", tmp_path / "inner")
    with pytest.raises(WeightsError, match="; name the folder inner in it"):
        read_folder(tmp_path, {})
    (tmp_path / "best_model.pdparams").write_bytes(b"\x80\x04}.")
    with pytest.raises(WeightsError, match=r"name the file best_model\.pdparams itself"):
        read_folder(tmp_path, {})
    shutil.copy(SAVED / "persistables" / "conv2d_0.w_0", tmp_path)
    with pytest.raises(WeightsError, match="holds one variable: name its folder"):
        read_weights(tmp_path / "conv2d_0.w_0", {})
    (tmp_path / "batch_norm_0.w_0").write_text("not a tensor")
    with pytest.raises(WeightsError, match=r"batch_norm_0\.w_0 is not a Paddle variable"):
        read_folder(tmp_path, {"batch_norm_0.w_0": (4,)})
    for name in ("one", "two"):
        shutil.copy(SAVED / "inference" / "__params__", tmp_path / name)
    with pytest.raises(WeightsError, match="several files of many variables: name one of one, two"):
        read_folder(tmp_path, {})
    for name in ("ssd_mobilenet_v1_coco.tar.gz", "COCO.ZIP"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(WeightsError, match="is an archive: unpack it"):
            read_weights(tmp_path / name, {})
    with pytest.raises(WeightsError, match=r"nowhere: no such weights file$"):
        read_weights(tmp_path / "nowhere", {})


def test_two_networks_in_one_folder_are_refused(network, tmp_path):
    detector, scope = network
    folder = save(detector.program, scope, tmp_path / "both")
    save(detector.program, scope, folder, "__params__")
    assert len(read_folder(folder, shapes_of(detector.program))[0]) == 199  # twice the same
    save(detector.program, new_scope(build_detector(4, False, image_size=SIZE, seed=1)), folder)
    with pytest.raises(WeightsError, match=r"two different .*, and one in __params__"):
        read_folder(folder, shapes_of(detector.program))


@pytest.mark.parametrize("name", ["conv2d_3.w_0", "conv5_3_sep_weights"])
def test_a_folder_of_pointers(network, tmp_path, name):
    detector, _ = network
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(WeightsError, match=rf"{name} is not a Paddle variable.*pointer of Git LFS"):
        read_folder(tmp_path, shapes_of(detector.program))
