"""Weights on disk: what is kept, what is refused, and what a reader is told."""

import numpy as np
import paddle
import pytest

from ssd_model.programs import build_detector
from ssd_model.scope import read_tensor
from ssd_model.weights import (
    WeightsError,
    load_weights,
    read_tensors,
    save_weights,
    write_tensors,
)

SIZE = 96


def network(class_num: int, seed: int = 0):
    detector = build_detector(class_num, is_train=False, image_size=SIZE, seed=seed)
    scope = paddle.static.Scope()
    paddle.static.Executor(paddle.CPUPlace()).run(detector.startup_program, scope=scope)
    return detector.program, scope


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    program, scope = network(21)
    path = tmp_path_factory.mktemp("weights") / "voc.safetensors"
    save_weights(program, path, scope, metadata={"map": "0.7"})
    return path, program, scope


def test_saved_and_loaded(saved):
    path, program, scope = saved
    other_program, other = network(21, seed=1)
    name = "conv2d_5.w_0"
    assert not np.array_equal(read_tensor(scope, name), read_tensor(other, name))
    report = load_weights(other_program, path, other, strict=True)
    assert (len(report.loaded), report.fresh, report.unused) == (199, {}, [])
    for parameter in program.all_parameters():
        np.testing.assert_array_equal(
            read_tensor(scope, parameter.name), read_tensor(other, parameter.name)
        )
    assert read_tensors(path)[1] == {"map": "0.7"}


def test_half_precision_takes_half_the_room(saved, tmp_path):
    path, program, scope = saved
    half = tmp_path / "half.safetensors"
    statistic = scope.find_var("batch_norm_0.w_2").get_tensor()
    statistic.set(np.full(32, 1e6, "float32"), paddle.CPUPlace())  # too large for float16
    save_weights(program, half, scope, dtype="float16")
    assert half.stat().st_size < 0.51 * path.stat().st_size
    arrays, _ = read_tensors(half)
    assert arrays["conv2d_5.w_0"].dtype == np.float16
    assert arrays["batch_norm_0.w_2"][0] == np.float32(1e6)
    other_program, other = network(21, seed=1)
    load_weights(other_program, half, other, strict=True)
    np.testing.assert_allclose(
        read_tensor(other, "conv2d_5.w_0"), read_tensor(scope, "conv2d_5.w_0"), rtol=1e-3, atol=1e-6
    )


def test_other_classes_keep_what_fits(saved):
    path, _, scope = saved
    program, other = network(4, seed=1)
    before = read_tensor(other, "conv2d_23.w_0")
    report = load_weights(program, path, other)
    heads = [f"conv2d_{i}.{end}" for i in range(23, 34, 2) for end in ("w_0", "b_0")]
    assert sorted(report.fresh) == sorted(heads)
    assert report.fresh["conv2d_23.w_0"] == (
        "the file has shape [63, 512, 1, 1], the network [12, 512, 1, 1]"
    )
    np.testing.assert_array_equal(read_tensor(other, "conv2d_23.w_0"), before)
    np.testing.assert_array_equal(
        read_tensor(other, "conv2d_22.w_0"), read_tensor(scope, "conv2d_22.w_0")
    )
    assert "187 parameters loaded, 12 start fresh" in str(report)
    with pytest.raises(WeightsError, match=r"conv2d_23\.w_0"):
        load_weights(program, path, other, strict=True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.safetensors", b"", "is empty"),
        ("a.safetensors", b"not weights at all", "is not a file of weights"),
        ("net.pth", b"PK\3\4 and so on", "a zip archive, as PyTorch saves weights"),
        ("net.onnx", b"\x08\x08\x12\x07pytorch", "is not a file of weights"),
        ("a.pdmodel", b"\n\x8b\x01 a Program", "without weights: name the .pdiparams beside it"),
        ("a.safetensors", b"version https://git-lfs", "a pointer of Git LFS: download the file"),
        ("a.pth", b"<!DOCTYPE html>", "a web page or a pointer of Git LFS: download the file"),
        ("a.pdparams", b"<!DOCTYPE html>", "a web page or a pointer of Git LFS: download"),
        ("a.pdparams", b"", "is empty"),
    ],
)
def test_files_of_another_kind(saved, tmp_path, name, content, words):
    _, program, scope = saved
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=f"{name} .*{words}.* Accepted are safetensors, a fol"):
        load_weights(program, tmp_path / name, scope)


def test_files_that_are_not_whole(saved, tmp_path):
    path, program, scope = saved
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"broken\.safetensors is not a complete"):
        load_weights(program, broken, scope)
    for address in ("https://example.org/a.pdparams", tmp_path / "http:/example.org/a.pdparams"):
        with pytest.raises(WeightsError, match="is an address: download the file"):
            load_weights(program, address, scope)
    with pytest.raises(WeightsError, match=r"nowhere\.safetensors: no such"):
        load_weights(program, tmp_path / "nowhere.safetensors", scope)


def test_a_file_that_may_not_be_read_is_not_called_empty(saved, monkeypatch):
    path, program, scope = saved

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    with pytest.raises(WeightsError, match=r"cannot be read \(Permission denied\)"):
        load_weights(program, path, scope)


def test_a_failed_write_leaves_the_old_file(saved, tmp_path, monkeypatch):
    _, program, scope = saved
    path = tmp_path / "kept.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        save_weights(program, path, scope)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_numbers_that_would_become_others_are_refused(saved, tmp_path):
    path, program, scope = saved
    arrays, _ = read_tensors(path)
    name = "conv2d_5.w_0"
    before = read_tensor(scope, name)
    for array, words in (
        (
            np.ones_like(arrays[name], "int8"),
            r"w_0 holds numbers of type int8: quantised",
        ),
        (arrays[name].astype("float64") * 1e60, r"w_0 holds values that are not numbers"),
    ):
        write_tensors(tmp_path / "a.safetensors", arrays | {name: array})
        with pytest.raises(WeightsError, match=words):
            load_weights(program, tmp_path / "a.safetensors", scope)
    np.testing.assert_array_equal(read_tensor(scope, name), before)


def test_a_number_type_that_is_not_read_is_named(saved, tmp_path):
    _, program, scope = saved
    header = b'{"conv2d_5.w_0":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
    content = len(header).to_bytes(8, "little") + header + bytes(4)
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=r"conv2d_5\.w_0 is of type BF16: save it as float32"):
        load_weights(program, tmp_path / "a.safetensors", scope)


def test_a_name_without_its_suffix(saved):
    path, program, scope = saved
    with pytest.raises(WeightsError, match=r"voc: no such weights file; there is voc\.safetensors"):
        load_weights(program, path.with_suffix(""), scope)
