"""Collects the nodes and stored tensors of an ONNX graph, and names what they return."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
_IR_VERSION = 8  # what ONNX itself pairs with opset 18

Stored = NDArray[np.float32] | NDArray[np.int32] | NDArray[np.int64]


@dataclass
class Nodes:
    """A graph in the making; `model` returns it whole."""

    _nodes: list[onnx.NodeProto] = field(default_factory=list)
    _tensors: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = field(
        default_factory=dict
    )

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Add a node and return the name of its output. An input "" is left out."""
        return self.add_several(operator, inputs, 1, **attributes)[0]

    def add_several(
        self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> list[str]:
        """Add a node and return the names of its outputs."""
        names = [f"{operator}_{len(self._nodes)}_{index}" for index in range(outputs)]
        self._nodes.append(helper.make_node(operator, list(inputs), names, **attributes))
        return names

    def give(self, output: str, operator: str, *inputs: str, **attributes: Any) -> None:
        """Add a node whose output is one of the graph."""
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))

    def store(self, array: Stored) -> str:
        """Store a tensor and return its name; equal ones are stored once."""
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._tensors:
            name = f"tensor_{len(self._tensors)}"
            self._tensors[key] = numpy_helper.from_array(array, name)
        return str(self._tensors[key].name)

    def number(self, value: float) -> str:
        """Store a float32 scalar."""
        return self.store(np.array(value, np.float32))

    def axes(self, *axes: int) -> str:
        """Store the axes that an operator takes as an input."""
        return self.store(np.array(axes, np.int64))

    def model(
        self,
        inputs: dict[str, list[str | int]],
        outputs: dict[str, list[str | int]],
        input_type: int = TensorProto.INT32,
    ) -> onnx.ModelProto:
        """Return the model: inputs of one type and float32 outputs by name, with their shapes."""
        graph = helper.make_graph(
            self._nodes,
            "sentido",
            [helper.make_tensor_value_info(n, input_type, s) for n, s in inputs.items()],
            [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
            list(self._tensors.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION
        )
        onnx.checker.check_model(model)
        return model
