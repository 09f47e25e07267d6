"""Reads an ONNX file before ONNX Runtime does, and refuses what has no place in a bundle.

Reading the protobuf wire format takes a few lines, so that no package beside numpy and
onnxruntime is needed to load a bundle. Field numbers are those of `onnx.proto` (ModelProto,
GraphProto, NodeProto, AttributeProto, TensorProto). What the graph means: see `walk.py`.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sentido_bundle import bounds
from sentido_bundle.errors import quoted
from sentido_bundle.wire import Value, fields, varint

_EXTERNAL = 1  # TensorProto.DataLocation

MOST_NODES = 256
_MOST_PARTS = 2048  # nodes, stored tensors, inputs, outputs and declared shapes of one graph

_OWN_DOMAINS = ("", "ai.onnx")

# The fields that a message of each type may have. Others would be ours not to know: functions,
# training graphs, sparse tensors and graphs in attributes among them.
_MODEL = {1, 2, 3, 4, 5, 6, 7, 8, 14}
_GRAPH = {1, 2, 5, 10, 11, 12, 13}
_NODE = {1, 2, 3, 4, 5, 6, 7}
_ATTRIBUTE = {1, 2, 3, 4, 5, 7, 8, 9, 13, 20}
_TENSOR = {1, 2, 8, 9, 12, 13, 14}
_VALUE = {1, 2, 3, 4}

# AttributeProto.AttributeType: the field that holds the value, and the types that are lists.
_ATTRIBUTE_FIELDS = {1: 2, 2: 3, 3: 4, 4: 5, 6: 7, 7: 8, 8: 9}
_LIST_TYPES = {6, 7, 8}


@dataclass(frozen=True)
class Tensor:
    """A stored tensor. `location` is None for one that is stored inline."""

    name: str
    data_type: int
    shape: tuple[int, ...]
    location: str | None
    offset: int
    length: int
    inline: memoryview | None = None


@dataclass(frozen=True)
class Attribute:
    """An attribute of a node: its type and its values, one for what is not a list."""

    type: int  # AttributeProto.AttributeType
    values: tuple[int | float | str | Tensor, ...]


@dataclass(frozen=True)
class Node:
    """One operation of a graph and the names of the tensors that go in and out."""

    operator: str  # with its domain, if that is not ONNX' own
    inputs: tuple[str, ...]  # "": one that is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Declared:
    """What a graph says of an input, an output or a value between: None for what it leaves open."""

    name: str
    type: int | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class ModelFile:
    """What stands in an ONNX file."""

    nodes: tuple[Node, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]
    between: tuple[Declared, ...]
    opset: int  # version of ONNX' own operators


def read_model(model: bytes) -> ModelFile:
    """Read an ONNX file. Raises ValueError, IndexError, KeyError or struct.error if it is none."""
    graphs, opsets = [], []
    for number, value in _known(memoryview(model), "model", _MODEL):
        if number == 7:
            graphs.append(value)
        elif number == 8:
            opsets.append(_read_opset(value))
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs")
    own = [version for domain, version in opsets if domain in _OWN_DOMAINS]
    if len(own) != 1:
        raise ValueError(f"{len(own)} versions of ONNX' operators")
    return _read_graph(graphs[0], own[0])


def _read_graph(graph: Value, opset: int) -> ModelFile:
    parts: dict[int, list[Any]] = {number: [] for number in _GRAPH_PARTS}
    for number, value in _known(graph, "graph", _GRAPH, _MOST_PARTS):
        if number in _GRAPH_PARTS:
            parts[number].append(_GRAPH_PARTS[number](value))
            if len(parts[1]) > MOST_NODES:
                raise ValueError(f"more than {MOST_NODES} nodes")
    nodes, tensors, inputs, outputs, between = (tuple(parts[n]) for n in (1, 5, 11, 12, 13))
    return ModelFile(nodes, tensors, inputs, outputs, between, opset)


def _read_opset(opset: Value) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in _known(opset, "opset", {1, 2}):
        if number == 1:
            domain = _text(value)
        else:
            version = _integer(value)
    return domain, version


def _read_declared(data: Value) -> Declared:
    """Read what a graph says of a value: its name and maybe its type and shape."""
    name, type, shape = "", None, None
    for number, value in _known(data, "value", _VALUE):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for what, tensor in _known(value, "type", {1, 6}):
                type, shape = _read_type(tensor) if what == 1 else (type, shape)
    return Declared(name, type, shape)


def _read_type(tensor: Value) -> tuple[int | None, tuple[int | None, ...] | None]:
    type, shape = None, None
    for number, value in _known(tensor, "type of a tensor", {1, 2}):
        if number == 1:
            type = _integer(value)
        else:
            shape = tuple(_read_size(size) for _, size in _known(value, "shape", {1}))
    return type, shape


def _read_size(size: Value) -> int | None:
    found = None
    for number, value in _known(size, "size", {1, 2, 3}):
        if number == 1:
            found = _integer(value)
        else:
            _text(value)  # a name
    return found


def _read_node(node: Value) -> Node:
    operator = domain = ""
    inputs, outputs = [], []
    attributes: dict[str, Attribute] = {}
    for number, value in _known(node, "node", _NODE):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            operator = _text(value)
        elif number == 5:
            name, attribute = _read_attribute(value)
            if name in attributes:
                raise ValueError(f"two attributes of the name {quoted(name)}")
            attributes[name] = attribute
        elif number == 7:
            domain = _text(value)
    if domain not in _OWN_DOMAINS:
        operator = f"{domain}.{operator}"
    return Node(operator, tuple(inputs), tuple(outputs), attributes)


def _read_attribute(data: Value) -> tuple[str, Attribute]:
    """Read the name and the value of an attribute, which must be of the type that it says."""
    name, type = "", 0
    values: list[int | float | str | Tensor] = []
    stored = set()
    for number, value in _known(data, "attribute", _ATTRIBUTE):
        if number == 1:
            name = _text(value)
        elif number == 20:
            type = _integer(value)
        elif number in (3, 8):
            values += map(_signed, islice(_integers(value), bounds.GRAPH_FIELDS))
        elif number in (2, 7):
            values += islice(_floats(value), bounds.GRAPH_FIELDS)
        elif number in (4, 9):
            values.append(_text(value))
        elif number == 5:
            values.append(_read_tensor(value))
        stored.add(number)
    fields_found = stored - {1, 13, 20}
    if fields_found != {_ATTRIBUTE_FIELDS.get(type)}:
        raise ValueError(
            f"attribute {quoted(name)} of type {type} has fields {sorted(fields_found)}"
        )
    if len(values) != 1 and type not in _LIST_TYPES:
        raise ValueError(f"attribute {quoted(name)} of type {type} has {len(values)} values")
    return name, Attribute(type, tuple(values))


def _read_tensor(data: Value) -> Tensor:
    shape: list[int] = []
    name = ""
    data_type = 0
    inline = memoryview(b"")
    is_external = False
    external: dict[str, str] = {}
    for number, value in _known(data, "tensor", _TENSOR):
        if number == 1:
            shape += islice(_integers(value), bounds.GRAPH_FIELDS)
        elif number == 2:
            data_type = _integer(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            inline = _message(value)
        elif number == 13:
            entry = dict(_known(value, "external data", {1, 2}))
            external[_text(entry[1])] = _text(entry[2])
        elif number == 14:
            is_external = _integer(value) == _EXTERNAL
    if not is_external:
        if external:
            raise ValueError(f"tensor {quoted(name)} is stored both here and elsewhere")
        return Tensor(name, data_type, tuple(shape), None, 0, len(inline), inline)
    offset, length = external.get("offset", "0"), external.get("length", "")
    if not (offset.isascii() and offset.isdigit() and length.isascii() and length.isdigit()):
        raise ValueError(
            f"tensor {quoted(name)} is stored at {quoted(offset)}, length {quoted(length)}"
        )
    location = external.get("location", "")
    return Tensor(name, data_type, tuple(shape), location, int(offset), int(length))


_GRAPH_PARTS: Mapping[int, Callable[[Value], Any]] = {
    1: _read_node,
    5: _read_tensor,
    11: _read_declared,
    12: _read_declared,
    13: _read_declared,
}


def _known(
    message: Value, what: str, numbers: set[int], most: int = bounds.GRAPH_FIELDS
) -> Iterator[tuple[int, Value]]:
    """Walk the fields of a message. Raises ValueError for one that it may not have, or too many."""
    for count, (number, value) in enumerate(fields(_message(message))):
        if number not in numbers:
            raise ValueError(f"field {number} of its {what} is unknown here")
        if count == most:
            raise ValueError(f"its {what} has more than {most} fields")
        yield number, value


def _integers(value: Value) -> Iterator[int]:
    """Give the elements of a repeated int64 field, packed or not."""
    if isinstance(value, int):
        yield value
        return
    packed, position = _message(value), 0
    while position < len(packed):
        item, position = varint(packed, position)
        yield item


def _integer(value: Value) -> int:
    """Give the value of an int32 or enum field, which parsers would cut to 32 bits."""
    if not isinstance(value, int) or value >= 1 << 31:
        raise ValueError("no integer of 32 bits")
    return value


def _message(value: Value) -> memoryview:
    if not isinstance(value, memoryview):  # which parsers would pass over
        raise ValueError("a number in place of a message or a string")
    return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _floats(value: Value) -> tuple[float, ...]:
    """Give the elements of a repeated float field, packed or not."""
    is_packed = isinstance(value, memoryview)
    if isinstance(value, int) or len(value) % 4 or not (is_packed or len(value) == 4):
        raise ValueError("a value of another type in place of a float")
    return struct.unpack(f"<{len(value) // 4}f", value)


def _text(value: Value) -> str:
    text = _message(value)
    if len(text) > bounds.GRAPH_NAME_BYTES:
        raise ValueError(f"a name of {len(text):,} bytes, at most {bounds.GRAPH_NAME_BYTES:,}")
    return bytes(text).decode("utf-8")
