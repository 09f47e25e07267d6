"""Looks into an ONNX file before ONNX Runtime does, to refuse what a bundle must not hold.

A graph of a bundle uses a short list of operators, keeps its tensors inline or in `weights.bin`,
and claims no more bytes than are there. Reading the protobuf wire format takes a few lines, so
that no package beside numpy and onnxruntime is needed to load a bundle. Field numbers are those
of `onnx.proto` (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sentido_bundle.errors import BundleError
from sentido_bundle.wire import Value, fields, varint

OPERATORS = frozenset(
    {
        "Add", "Cast", "Concat", "Gather", "Gemm", "Identity", "LSTM", "MatMul", "Mul",
        "Sigmoid", "Softmax", "Squeeze", "Sub", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
"""What a graph may compute. None of them loops, branches, or makes a tensor from a bare shape."""

_ITEM_SIZES = {1: 4, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}  # TensorProto.DataType: bytes an element
_EXTERNAL = 1  # TensorProto.DataLocation
_TENSORS_AND_GRAPHS = {5, 6, 10, 11, 22, 23}  # fields of AttributeProto, sparse ones too


@dataclass(frozen=True)
class Tensor:
    """An initializer of a graph. `location` is None for one that is stored inline."""

    name: str
    data_type: int
    shape: tuple[int, ...]
    location: str | None
    offset: int
    length: int


@dataclass(frozen=True)
class Graph:
    """What a graph computes and the tensors that it is made of."""

    operators: tuple[str, ...]
    tensors: dict[str, Tensor]


def read_graph(name: str, model: bytes, external_sizes: dict[str, int]) -> Graph:
    """Read and check the ONNX file `name`.

    `external_sizes`: the files that its tensors may be stored in, with their sizes in bytes.
    Raises BundleError naming the tensor or operator that is refused.
    """
    try:
        graph = _read_model(name, memoryview(model))
    except (ValueError, IndexError) as error:
        raise BundleError(f"{name}: not an ONNX model: {error}") from error
    for operator in graph.operators:
        if operator not in OPERATORS:
            raise BundleError(f"{name}: operator {operator} is not one that a bundle may use")
    for tensor in graph.tensors.values():
        _check_tensor(name, tensor, external_sizes)
    return graph


def _check_tensor(name: str, tensor: Tensor, external_sizes: dict[str, int]) -> None:
    where = f"{name}: tensor {tensor.name!r}"
    if tensor.data_type not in _ITEM_SIZES or any(d < 0 for d in tensor.shape):
        raise BundleError(f"{where} has type {tensor.data_type} and shape {tensor.shape}")
    claimed = math.prod(tensor.shape) * _ITEM_SIZES[tensor.data_type]
    if tensor.length != claimed:
        raise BundleError(
            f"{where} claims {claimed} bytes by its shape {tensor.shape}, but"
            f" {tensor.length} are stored"
        )
    if tensor.location is None:
        return
    if tensor.location not in external_sizes:
        raise BundleError(
            f"{where} is stored in {tensor.location!r}: only {' or '.join(external_sizes)} in the"
            " bundle's directory is allowed"
        )
    size = external_sizes[tensor.location]
    if tensor.offset < 0 or tensor.offset + tensor.length > size:
        raise BundleError(
            f"{where} is stored at {tensor.offset} to {tensor.offset + tensor.length} of"
            f" {tensor.location}, which has {size} bytes"
        )


def _read_model(name: str, model: memoryview) -> Graph:
    graphs = [value for number, value in fields(model) if number == 7]
    if any(number == 25 for number, _ in fields(model)):
        raise BundleError(f"{name}: functions are not something that a bundle may use")
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs")
    operators: list[str] = []
    tensors: dict[str, Tensor] = {}
    for number, value in fields(_message(graphs[0])):
        if number == 1:
            operators.append(_read_node(name, _message(value)))
        elif number == 5:
            tensor = _read_tensor(_message(value))
            tensors[tensor.name] = tensor
        elif number == 15:
            raise BundleError(f"{name}: sparse tensors are not something that a bundle may use")
    return Graph(tuple(operators), tensors)


def _read_node(name: str, node: memoryview) -> str:
    operator = domain = ""
    for number, value in fields(node):
        if number == 4:
            operator = _text(value)
        elif number == 7:
            domain = _text(value)
        elif number == 5 and _TENSORS_AND_GRAPHS & {n for n, _ in fields(_message(value))}:
            raise BundleError(f"{name}: a node holds a tensor or a graph of its own")
    return operator if domain in ("", "ai.onnx") else f"{domain}.{operator}"


def _read_tensor(data: memoryview) -> Tensor:
    shape: list[int] = []
    name = ""
    data_type = stored = 0
    is_external = False
    external: dict[str, str] = {}
    for number, value in fields(data):
        if number == 1:
            shape += _integers(value)
        elif number == 2:
            data_type = _integer(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            stored = len(_message(value))
        elif number == 13:
            entry = dict(fields(_message(value)))
            external[_text(entry[1])] = _text(entry[2])
        elif number == 14:
            is_external = _integer(value) == _EXTERNAL
        elif number in (4, 5, 6, 7, 10, 11):  # typed data instead of raw bytes
            raise ValueError(f"tensor {name!r} is not stored as raw bytes")
    if not is_external:
        return Tensor(name, data_type, tuple(shape), None, 0, stored)
    offset, length = int(external.get("offset", "0")), int(external.get("length", "-1"))
    return Tensor(name, data_type, tuple(shape), external.get("location", ""), offset, length)


def _integers(value: Value) -> Iterator[int]:
    """Give the elements of a repeated int64 field, packed or not."""
    if isinstance(value, int):
        yield value
        return
    position = 0
    while position < len(value):
        item, position = varint(value, position)
        yield item


def _integer(value: Value) -> int:
    if not isinstance(value, int):
        raise ValueError("bytes in place of an integer")
    return value


def _message(value: Value) -> memoryview:
    if isinstance(value, int):
        raise ValueError("an integer in place of a message")
    return value


def _text(value: Value) -> str:
    return bytes(_message(value)).decode("utf-8")
