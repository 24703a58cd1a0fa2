"""Build an ONNX model from nodes and the constants that they read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 13
"""ONNX's operator set: old enough for every engine, and the first with a scale per channel."""


class Graph:
    """Nodes in order, and constants by name.

    Args:
        names: new names for some inputs and outputs of nodes.
    """

    def __init__(self, names: dict[str, str] | None = None):
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.names = names or {}

    def add(self, kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """Append a node, and return the name of its first output."""
        sides = ([self.names.get(name, name) for name in side] for side in (inputs, outputs))
        self.nodes.append(helper.make_node(kind, *sides, outputs[0], **attributes))
        return outputs[0]

    def constant(self, name: str, value: Any) -> str:
        """Keep an array or integers, and return the name; unread constants are left out."""
        self.constants[name] = np.asarray(value)
        return name

    def model(
        self,
        inputs: Sequence[ValueInfoProto],
        outputs: Sequence[ValueInfoProto],
        metadata: dict[str, str] | None = None,
    ) -> onnx.ModelProto:
        """Make the model, in the oldest format that supports `OPSET`.

        Raises:
            onnx.checker.ValidationError, onnx.shape_inference.InferenceError: it is not valid ONNX.
        """
        read = {name for node in self.nodes for name in node.input}
        constants = [
            numpy_helper.from_array(array, name)
            for name, array in self.constants.items()
            if name in read
        ]
        model = helper.make_model_gen_version(
            helper.make_graph(self.nodes, "detector", inputs, outputs, constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        helper.set_model_props(model, metadata or {})
        onnx.checker.check_model(model, full_check=True)
        return model


def declare(name: str, shape: Sequence[int], kind: int = TensorProto.FLOAT) -> ValueInfoProto:
    """Declare an input or output of a model; the batch, -1, is called N.

    Raises:
        ValueError: another dimension varies, too.
    """
    if any(size < 0 for size in shape[1:]):
        raise ValueError(f"{name} has shape {list(shape)}: in ONNX only the batch may vary")
    return helper.make_tensor_value_info(name, kind, ["N" if n < 0 else n for n in shape])
