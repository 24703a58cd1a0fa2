"""Read a `.pdparams` file, a pickled dict of arrays, without unpickling it.

A pickle is a small program, and Python's unpickler calls whatever it names. So this module carries
out only the instructions that write arrays in plain containers, and knows only the few names that
stand for an array. It refuses every other instruction and name.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ssd_model.formats.error import WeightsError

MAX_BYTES = 2_000_000_000
MAX_STEPS = 1_000_000
"""The limit of instructions; one array takes about forty."""
TYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
TORCH = 0x1950A86A20F9469CFC6C
"""With which PyTorch began its files until version 1.6."""
NAME_TABLES = ("StructuredToParameterName@@",)
"""Keys that Paddle adds and that hold no parameters."""


def is_pickle(beginning: bytes) -> bool:
    """Whether a file with this beginning is a pickle of protocol 2 or later."""
    return len(beginning) > 2 and beginning[0] == 0x80 and beginning[1] in (2, 3, 4, 5)


def read_pdparams(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of a pickled state dict, by name.

    Raises:
        WeightsError: the file does or names anything other than making arrays and plain
            containers, is damaged or too large, or is not a dict of arrays.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise WeightsError(f"{path} has {size:,} bytes, above the limit of {MAX_BYTES:,}")
    try:
        return _arrays(_Machine().run(path.read_bytes()))
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise WeightsError(f"{path} is not a whole pickle: {str(error)[:200]}") from error


@dataclass
class _Name:
    """A name in the pickle, and what is called for it here."""

    call: Callable


@dataclass
class _Type:
    """A number type: numpy's code, and the byte order."""

    code: str
    order: str = "="

    def __post_init__(self):
        if not isinstance(self.code, str) or self.code not in TYPES:
            shown = self.code[:100] if isinstance(self.code, str) else "unknown"
            raise WeightsError(f"it holds an array of type {shown}; only numbers are read")

    def set_state(self, state: tuple) -> None:
        _, self.order, *compound = state[:5]
        if self.order not in ("<", ">", "|", "=") or compound != [None, None, None]:
            raise WeightsError("it holds an array of compound type; only numbers are read")


@dataclass
class _Array:
    """An array, whose value is set along with its state."""

    value: np.ndarray | None = None

    def set_state(self, state: tuple) -> None:
        _, shape, kind, fortran, content = state
        self.value = _make(content, kind, shape, "F" if fortran else "C")


def _make(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    """Make an array from its bytes, if their number fits its shape."""
    if isinstance(content, str):  # as Python 2 wrote bytes
        content = content.encode("latin1")
    is_array = isinstance(content, (bytes, bytearray)) and isinstance(kind, _Type)
    is_array = is_array and isinstance(shape, tuple) and order in ("C", "F")
    if not is_array or not all(isinstance(side, int) and side >= 0 for side in shape):
        raise WeightsError("it holds an array that is not one")
    dtype = np.dtype(kind.order + kind.code)
    if prod(shape) * dtype.itemsize != len(content):
        raise WeightsError(f"it holds an array whose {len(content):,} bytes do not fit its shape")
    return np.frombuffer(content, dtype).reshape(shape, order=order)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise WeightsError("it holds bytes in another encoding than latin1")
    return text.encode("latin1")


def _dict(pairs: Any = ()) -> dict:
    """Make a dict; its keys must be names, since others may take for ever to hash."""
    if not all(isinstance(key, (str, int)) for key, _ in pairs):
        raise WeightsError("it holds a dict whose keys are not names")
    return dict(pairs)


def _names() -> dict[str, _Name]:
    """The names that numpy 1 and 2, Python 2 and 3, and Paddle use for arrays and containers."""
    names = {
        "numpy dtype": lambda code, *_: _Type(code),
        "_codecs encode": _encode,
        "collections OrderedDict": _dict,
    }
    for package in ("builtins", "__builtin__"):
        names |= {f"{package} tuple": tuple, f"{package} bytes": lambda: b""}
    for package in ("numpy.core", "numpy._core"):
        names |= {
            f"{package}.multiarray _reconstruct": lambda *_: _Array(),
            f"{package}.multiarray scalar": lambda kind, value: _Array(_make(value, kind, (), "C")),
            f"{package}.numeric _frombuffer": lambda *parts: _Array(_make(*parts)),
        }
    return {name: _Name(call) for name, call in names.items()} | {"numpy ndarray": _Name(_no_call)}


def _no_call(*_: Any) -> None:
    raise WeightsError("it makes a bare numpy.ndarray")


_NAMES = _names()
_MARK = object()
_VALUES = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "MARK": _MARK, "EMPTY_TUPLE": ()}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list}
_ARGUMENTS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES"}
_ARGUMENTS |= {"BINBYTES8", "BYTEARRAY8", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_ARGUMENTS |= {"BINSTRING", "SHORT_BINSTRING"}
_SIZED = (str, bytes, bytearray, list, tuple, dict)
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """The stack and memo of a pickle, and the instructions that are allowed."""

    def __init__(self):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.allowance = 0
        """How much more the calls may be given: all together no more than the pickle holds."""

    def run(self, content: bytes) -> Any:
        """Carry out a pickle, and return what it makes."""
        self.allowance = len(content)
        for step, (opcode, argument, _) in enumerate(pickletools.genops(content)):
            if step > MAX_STEPS:
                raise WeightsError(f"it takes more than {MAX_STEPS:,} steps to read")
            if opcode.name == "STOP":
                return self.stack.pop()
            self.step(opcode.name, argument)
        raise ValueError("it has no end")

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        stack = self.stack
        if name in _ARGUMENTS:
            stack.append(argument)
        elif name in _VALUES:
            stack.append(_VALUES[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in _TUPLES:
            stack.append(self.top(_TUPLES[name]))
        elif name == "TUPLE":
            stack.append(self.since_mark())
        elif name in ("SETITEM", "SETITEMS"):
            self.set_items(self.top(2) if name == "SETITEM" else self.since_mark())
        elif name in ("APPEND", "APPENDS"):
            items = self.top(1) if name == "APPEND" else self.since_mark()
            self.below(list).extend(items)
        elif name == "GLOBAL":
            stack.append(_find(argument))
        elif name == "STACK_GLOBAL":
            stack.append(_find(" ".join(self.top(2))))
        elif name == "REDUCE":
            function, arguments = self.top(2)
            if not isinstance(function, _Name):
                raise WeightsError("it calls something that is not a function")
            self.allowance -= sum(len(part) for part in arguments if isinstance(part, _SIZED))
            if self.allowance < 0:
                raise WeightsError("it makes more than it holds")
            stack.append(function.call(*arguments))
        elif name == "BUILD":
            (state,) = self.top(1)
            self.below((_Array, _Type)).set_state(state)
        elif name not in ("PROTO", "FRAME"):
            raise WeightsError(f"it uses the instruction {name}, which arrays do not need")

    def top(self, count: int) -> tuple:
        """Take the last few items off the stack."""
        if len(self.stack) < count:
            raise ValueError("it takes more than there is on the stack")
        taken = tuple(self.stack[-count:])
        del self.stack[-count:]
        return taken

    def since_mark(self) -> tuple:
        """Take everything off the stack down to and including the last mark."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("it returns to a mark that does not exist")
        return self.top(len(self.stack) - place)[1:]

    def below(self, kind: type | tuple[type, ...]) -> Any:
        """Return the last item on the stack, and leave it there."""
        if not isinstance(self.stack[-1], kind):
            raise WeightsError("it changes something that is not an array, list or dict")
        return self.stack[-1]

    def set_items(self, pairs: tuple) -> None:
        self.below(dict).update(_dict(list(zip(pairs[::2], pairs[1::2], strict=True))))


def _find(name: str) -> _Name:
    if name not in _NAMES:
        shown = name.replace(" ", ".")[:200]
        raise WeightsError(f"it names {shown}, which could run code; only arrays are read")
    return _NAMES[name]


def _arrays(loaded: Any) -> dict[str, np.ndarray]:
    """Check a dict, and return its arrays."""
    if loaded == TORCH:
        raise WeightsError("it is of PyTorch, which saves other networks under other names")
    if not isinstance(loaded, dict):
        raise WeightsError(f"it is of type {_kind(loaded)}, where a dict of arrays is wanted")
    inner = [name for name, value in loaded.items() if isinstance(value, dict) and _holds(value)]
    if len(inner) == 1 and not _holds(loaded):  # the state dict with an epoch, say, beside it
        loaded = loaded.pop(inner[0]) | loaded
    if "LR_Scheduler" in loaded:
        raise WeightsError("it is the state of an optimizer: name the .pdparams beside it")
    arrays, size = {}, 0
    for name, value in loaded.items():
        if name in NAME_TABLES:
            continue
        # Paddle 2.1 and later may write a tensor with its own name beside it.
        if isinstance(value, tuple) and len(value) == 2:
            value = value[1]
        array = value.value if isinstance(value, _Array) else None
        if isinstance(value, (int, float)):
            array = np.array(value, "float64")
        elif value is None or isinstance(value, str):  # of no use, but no harm
            array = np.array(str(value))
        elif array is not None and array.dtype == "uint16":  # so Paddle writes bfloat16
            array = (array.astype("uint32") << 16).view("float32")
            size += array.nbytes
            if size > 2 * MAX_BYTES:
                raise WeightsError("it makes more than it holds")
        if array is None or not isinstance(name, str):
            shown = str(name)[:100]
            raise WeightsError(
                f"{shown!r} is of type {_kind(value)}, where an array with a name is wanted: save "
                "the state_dict alone"
            )
        arrays[name] = array
    return arrays


def _holds(content: dict) -> bool:
    return any(isinstance(value, _Array) for value in content.values())


def _kind(value: Any) -> str:
    return {_Array: "array", _Type: "dtype", _Name: "function"}.get(
        type(value), type(value).__name__
    )
