"""The file `weights.bin` of a bundle: the large tensors of its graphs, equal ones once."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from sentido_bundle.session import MATRIX

_ALIGNMENT = 64  # bytes; a cache line, so that every tensor starts on one


class Weights:
    """Collects the tensors of several graphs, equal ones once, as ONNX external data."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._offsets: dict[bytes, int] = {}

    def move_out(self, model: onnx.ModelProto, table: NDArray[np.float32] | None) -> bytes:
        """Move the tensors of `model` out; name the one that is the embedding matrix, if any."""
        for tensor in model.graph.initializer:
            array = np.require(numpy_helper.to_array(tensor), requirements="C")
            if table is not None and np.array_equal(array, table):
                _rename(model.graph, tensor.name, MATRIX)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
            # ONNX Runtime wants the small ones inline, for shapes.
            if array.nbytes >= 1024 or tensor.name == MATRIX:
                self._point_to(tensor, self._add(array.tobytes()))
        return bytes(model.SerializeToString())

    def _add(self, data: bytes) -> int:
        if data not in self._offsets:
            self.data.extend(bytes(-len(self.data) % _ALIGNMENT))
            self._offsets[data] = len(self.data)
            self.data.extend(data)
        return self._offsets[data]

    @staticmethod
    def _point_to(tensor: TensorProto, offset: int) -> None:
        size = len(tensor.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "weights.bin"), ("offset", offset), ("length", size)):
            tensor.external_data.add(key=key, value=str(value))


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor everywhere."""
    for item in graph.initializer:
        if item.name == old:
            item.name = new
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new
