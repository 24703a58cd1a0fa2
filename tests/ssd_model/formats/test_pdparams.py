""".pdparams: arrays are read as they are, and nothing is run, whatever the pickle names."""

import os
import pickle  # noqa: TID251  (to write what must be read, and what must be refused)
from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle
import pytest

from ssd_model.formats import pdparams
from ssd_model.formats.error import WeightsError
from ssd_model.formats.pdparams import MAX_STEPS, is_pickle, read_pdparams
from tests.helpers import golden_values
from tests.helpers.fuzzing import no_hang
from tests.helpers.other_mobilenets import dynamic

ARRAYS = {
    "conv.weight": np.arange(24, dtype="float32").reshape(2, 3, 2, 2),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "half": np.array([1.5, -2], "float16"),
    "bytes": np.array([[1, 2], [250, 255]], "uint8"),
    "big_endian": np.array([1, 2, 3], ">i8"),
    "flags": np.array([True, False]),
    "none": np.zeros((0, 3), "float32"),
    "number": np.array(7, "int64"),
}


COPIES = b"e\x94cbuiltins\ntuple\n\x94" + b"h\x01h\x00\x85R" * 3000 + b"."
"""Copies of a list, which has begun before."""


class Call:
    """Pickled, it is the call of a function, to be made when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class State:
    """Pickled, it is an object with a state of our choice."""

    def __init__(self, function, arguments, state):
        self.parts = function, arguments, state

    def __reduce__(self):
        return self.parts


def write(folder: Path, content: object, protocol: int = 4) -> Path:
    path = folder / "weights.pdparams"
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_every_protocol(tmp_path, protocol):
    path = write(tmp_path, OrderedDict(ARRAYS), protocol)
    assert is_pickle(path.read_bytes()[:9])
    arrays = read_pdparams(path)
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, name
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_what_paddle_1_8_saved():
    expected = golden_values.load("paddle_1_8_5/values")
    arrays = read_pdparams(golden_values.FOLDER / "paddle_1_8_5" / "net.pdparams")
    assert sorted(arrays) == sorted(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)


def test_what_paddle_saves_today(tmp_path):
    paddle.disable_static()
    try:
        layer = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm(4))
        for protocol in (2, 4):
            paddle.save(layer.state_dict(), f"{tmp_path}/{protocol}.pdparams", protocol)  # noqa: TID251
        # A dict of something else holds tensors in another way.
        parameters = {"weight": layer[0].weight, "step": 3, "rate": 0.5}
        paddle.save(parameters, f"{tmp_path}/mixed.pdparams")  # noqa: TID251
        expected = {name: value.numpy() for name, value in layer.state_dict().items()}
    finally:
        paddle.enable_static()
    for protocol in (2, 4):
        arrays = read_pdparams(tmp_path / f"{protocol}.pdparams")
        assert sorted(arrays) == sorted(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    mixed = read_pdparams(tmp_path / "mixed.pdparams")
    np.testing.assert_array_equal(mixed["weight"], expected["0.weight"])
    assert (mixed["step"], mixed["rate"]) == (3, 0.5)


def test_what_trainers_put_beside_the_arrays(tmp_path):
    beside = {"epoch": 3, "version": "2.0", "best": None}
    for content in (ARRAYS | beside, {"model": dict(ARRAYS)} | beside):
        arrays = read_pdparams(write(tmp_path, content))
        assert set(arrays) == {*ARRAYS, *beside}
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(arrays[name], array)


def test_one_bfloat16_under_many_names_does_not_take_all_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(pdparams, "MAX_BYTES", 10_000)
    path = tmp_path / "a.pdparams"
    same = np.zeros(100, "uint16")
    path.write_bytes(pickle.dumps({f"n{i}": same for i in range(50)}, 4))  # 400 bytes each
    assert len(read_pdparams(path)) == 50
    path.write_bytes(pickle.dumps({f"n{i}": same for i in range(51)}, 4))
    with pytest.raises(WeightsError, match="makes more than it holds"):
        read_pdparams(path)


def test_bfloat16_as_paddle_writes_it(tmp_path):
    with dynamic():
        values = paddle.to_tensor([1.0, -0.15625, 3.0e38]).astype("bfloat16")
        paddle.save({"w": values}, f"{tmp_path}/a.pdparams")  # noqa: TID251
        expected = values.astype("float32").numpy()
    read = read_pdparams(tmp_path / "a.pdparams")["w"]
    assert read.dtype == "float32"
    np.testing.assert_array_equal(read, expected)


def test_names_of_numpy_2_and_strings_of_python_2(tmp_path):
    content = pickle.dumps({"a": ARRAYS["half"], "b": np.float32(3)}, 2)
    old, new = content.replace(b"_core", b"core"), content.replace(b"numpy.core", b"numpy._core")
    assert old.count(b"numpy.core") == new.count(b"numpy._core") == 2
    for renamed in (old, new):
        arrays = read_pdparams(write(tmp_path, renamed))
        np.testing.assert_array_equal(arrays["a"], ARRAYS["half"])
        assert arrays["b"] == 3
    # Python 2 had no bytes: it wrote them, and names, as strings (opcode U).
    content = (
        b"\x80\x02}U\x01acnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xff"
        b"J\xff\xff\xff\xffK\x00tb\x89U\x04\x00\x3e\x00\xc0tbs."
    )
    np.testing.assert_array_equal(read_pdparams(write(tmp_path, content))["a"], ARRAYS["half"])


def canary(folder: Path) -> str:
    return f"touch {folder}/was_run"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (lambda f: {"a": Call(os.system, canary(f))}, r"posix\.system"),
        (lambda f: Call(os.system, canary(f)), r"posix\.system"),
        (lambda f: {"a": Call(eval, f"__import__('os').system('{canary(f)}')")}, r"builtins\.eval"),
        (lambda f: {"a": Call(exec, "pass")}, r"builtins\.exec"),
        (lambda f: {"a": Call(getattr, [], "append")}, r"builtins\.getattr"),
        (lambda f: {"a": Call(__import__, "os")}, r"builtins\.__import__"),
        (lambda f: {"a": Call(open, f"{f}/was_run", "w")}, r"io\.open"),
        (lambda f: {"a": Call(np.load, f"{f}/x")}, r"numpy\.load"),
        (lambda f: {"a": Call(np.fromstring, "", "f4")}, r"numpy.*\.fromstring"),
        (lambda f: {"a": Call(paddle.load, f"{f}/x")}, r"paddle.*\.load"),  # noqa: TID251
        (lambda f: {"a": np.array([1, "x"], object)}, "type O8"),
        (lambda f: {"a": np.array(["text"])}, "type U4"),
        (lambda f: {"a": np.zeros(2, [("x", "f4"), ("y", "i4")])}, "type V8"),
        (lambda f: {"a": np.zeros(2, "complex64")}, "type c8"),
        (lambda f: {"a": Call(np.ndarray, (2, 2))}, r"bare numpy\.ndarray"),
        (lambda f: {"a": np.dtype("f4")}, "'a' is of type dtype, where an array"),
        (lambda f: {"a": State(np.dtype, ("f4",), (3, "|", ("f4", (9,)), None, None, 8, 1, 63))},
         "compound type"),
        (lambda f: {"a": {"b": np.zeros(2)}, "c": {"d": np.zeros(2)}},
         "'a' is of type dict, .*: save the state_dict"),
        (lambda f: 0x1950A86A20F9469CFC6C, "it is of PyTorch"),
        (lambda f: {"conv.w_0_moment1_0": np.zeros(2), "LR_Scheduler": {"last_lr": 0.1}},
         "state of an optimizer: name the .pdparams beside it"),
        (lambda f: {3: np.zeros(2)}, "'3' is of type array, where an array with a name"),
        (lambda f: [np.zeros(2)], "it is of type list"),
        # Protocols 0 and 1, with their own ways to call
        (lambda f: f"cos\nsystem\n(S'{canary(f)}'\ntR.".encode(), r"os\.system"),
        (lambda f: f"(S'{canary(f)}'\nios\nsystem\n.".encode(), "instruction STRING"),
        (lambda f: b"(ios\nsystem\n.", "instruction INST"),
        (lambda f: b"\x80\x02(cnumpy\ndtype\no.", "instruction OBJ"),
        (lambda f: b"\x80\x04\x8c\x08builtins\x8c\x09eval.call\x93.", r"builtins\.eval\.call"),
        # A name that is admitted, but changed, made a class of, or used as a list
        (lambda f: b"\x80\x02cnumpy\ndtype\nN}U\x06__dictK\x01s\x86b.", "something that is not an"),
        (lambda f: b"\x80\x02cnumpy\nndarray\n)\x81.", "instruction NEWOBJ"),
        (lambda f: b"\x80\x02cnumpy\nndarray\nK\x01a.", "changes something that is not an array"),
        (lambda f: b"\x80\x02K\x01)R.", "calls something that is not a function"),
        (lambda f: b"\x80\x02ccollections\nOrderedDict\n])K\x01\x86a\x85R.", "not names"),
        # Ways to name something without a name
        (lambda f: b"\x80\x02K\x01Q.", "instruction BINPERSID"),
        (lambda f: b"\x80\x02Pposition\n.", "instruction PERSID"),
        (lambda f: b"\x80\x02\x82\x01.", "instruction EXT1"),
    ],
)  # fmt: skip
def test_whatever_else_it_names_is_refused(tmp_path, content, named):
    path = write(tmp_path, content(tmp_path))
    with no_hang(), pytest.raises(WeightsError, match=named) as caught:
        read_pdparams(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pdparams"]


def array_state(shape, content, dtype="f4"):
    reconstruct = np._core.multiarray._reconstruct
    state = (1, shape, np.dtype(dtype), False, content)
    return {"a": State(reconstruct, (np.ndarray, (0,), b"b"), state)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (array_state((2, 2), bytes(12)), "whose 12 bytes do not fit"),
        (array_state((10**12, 10**12), bytes(4)), "whose 4 bytes"),
        (array_state((-1,), bytes(4)), "an array that is not one"),
        (array_state((1.0,), bytes(4)), "an array that is not one"),
        (array_state((1,), [1.0]), "an array that is not one"),
        (array_state((1,) * 100, bytes(4)), "not a whole pickle"),
        (array_state("shape", bytes(4)), "an array that is not one"),
        # Memory for four thousand million places
        (b"\x80\x04Nr\xff\xff\xff\xff.", "it is of type NoneType"),
        (b"\x80\x04Np4294967295\n.", "instruction PUT"),
        # and for as many bytes
        (b"\x80\x04\x8e" + b"\xff" * 7 + b"\x0fabc.", "not a whole pickle"),
        (b"\x80\x04\x95" + b"\xff" * 7 + b"\x0fN.", "it is of type NoneType"),
        (b"\x80\x04" + b"N" * MAX_STEPS + b"N.", "more than 1,000,000 steps"),
        (b"\x80\x04N" + b"\x85" * (MAX_STEPS - 10) + b".", "it is of type tuple"),
        # Memory for copies of copies: a list of 3,000 items in 3,000 tuples
        (b"\x80\x04](" + b"N" * 3000 + COPIES, "more than it holds"),
        # Python itself does not survive the hash of this key.
        (b"\x80\x04}(" + b"N" + b"\x85" * (MAX_STEPS - 10) + b"Nu.", "keys are not names"),
        (b"\x80\x02cnumpy\ndtype\nN" + b"\x85" * 90_000 + b"\x85R.", "type unknown"),
        (b"\x80\x04}(X\x01\0\0\0aN" + b"\x85" * 90_000 + b"u.", "'a' is of type tuple"),
        (b"\x80\x04}]Ns.", "keys are not names"),
        (b"\x80\x04}.", None),
        (b"\x80\x07}.", None),
        (b"\x80\x04", "not a whole pickle"),
        (b"", "not a whole pickle"),
        (b"PK\x03\x04" + bytes(30), "not a whole pickle"),
    ],
)
def test_damaged_and_oversized(tmp_path, content, words):
    path = write(tmp_path, content)
    with no_hang():
        if words is None:
            assert read_pdparams(path) == {}
            return
        with pytest.raises(WeightsError, match=words) as caught:
            read_pdparams(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 1000
