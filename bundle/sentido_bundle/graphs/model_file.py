"""Reads an ONNX file before ONNX Runtime does, and refuses what has no place in a bundle.

Reading the protobuf wire format takes a few lines, so that no package beside numpy and
onnxruntime is needed to load a bundle. Field numbers are those of `onnx.proto` (ModelProto,
GraphProto, NodeProto, AttributeProto, TensorProto). What the graph means: see `walk.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sentido_bundle import bounds
from sentido_bundle.errors import quoted
from sentido_bundle.graphs.messages import (
    floats,
    integer,
    integers,
    known_fields,
    message,
    signed,
    text_of,
)
from sentido_bundle.wire import Value

_EXTERNAL = 1  # TensorProto.DataLocation

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
    for number, value in known_fields(memoryview(model), "model", _MODEL):
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
    for number, value in known_fields(graph, "graph", _GRAPH, bounds.GRAPH_PARTS):
        if number in _GRAPH_PARTS:
            parts[number].append(_GRAPH_PARTS[number](value))
            if len(parts[1]) > bounds.GRAPH_NODES:
                raise ValueError(f"more than {bounds.GRAPH_NODES} nodes")
    nodes, tensors, inputs, outputs, between = (tuple(parts[n]) for n in (1, 5, 11, 12, 13))
    return ModelFile(nodes, tensors, inputs, outputs, between, opset)


def _read_opset(opset: Value) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in known_fields(opset, "opset", {1, 2}):
        if number == 1:
            domain = text_of(value)
        else:
            version = integer(value)
    return domain, version


def _read_declared(data: Value) -> Declared:
    """Read what a graph says of a value: its name and maybe its type and shape."""
    name, type, shape = "", None, None
    for number, value in known_fields(data, "value", _VALUE):
        if number == 1:
            name = text_of(value)
        elif number == 2:
            for what, tensor in known_fields(value, "type", {1, 6}):
                type, shape = _read_type(tensor) if what == 1 else (type, shape)
    return Declared(name, type, shape)


def _read_type(tensor: Value) -> tuple[int | None, tuple[int | None, ...] | None]:
    type, shape = None, None
    for number, value in known_fields(tensor, "type of a tensor", {1, 2}):
        if number == 1:
            type = integer(value)
        else:
            shape = tuple(_read_size(size) for _, size in known_fields(value, "shape", {1}))
    return type, shape


def _read_size(size: Value) -> int | None:
    found = None
    for number, value in known_fields(size, "size", {1, 2, 3}):
        if number == 1:
            found = integer(value)
        else:
            text_of(value)  # a name
    return found


def _read_node(node: Value) -> Node:
    operator = domain = ""
    inputs, outputs = [], []
    attributes: dict[str, Attribute] = {}
    for number, value in known_fields(node, "node", _NODE):
        if number == 1:
            inputs.append(text_of(value))
        elif number == 2:
            outputs.append(text_of(value))
        elif number == 4:
            operator = text_of(value)
        elif number == 5:
            name, attribute = _read_attribute(value)
            if name in attributes:
                raise ValueError(f"two attributes of the name {quoted(name)}")
            attributes[name] = attribute
        elif number == 7:
            domain = text_of(value)
    if domain not in _OWN_DOMAINS:
        operator = f"{domain}.{operator}"
    return Node(operator, tuple(inputs), tuple(outputs), attributes)


def _read_attribute(data: Value) -> tuple[str, Attribute]:
    """Read the name and the value of an attribute, which must be of the type that it says."""
    name, type = "", 0
    values: list[int | float | str | Tensor] = []
    stored = set()
    for number, value in known_fields(data, "attribute", _ATTRIBUTE):
        if number == 1:
            name = text_of(value)
        elif number == 20:
            type = integer(value)
        elif number in (3, 8):
            values += map(signed, islice(integers(value), bounds.GRAPH_FIELDS))
        elif number in (2, 7):
            values += islice(floats(value), bounds.GRAPH_FIELDS)
        elif number in (4, 9):
            values.append(text_of(value))
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
    for number, value in known_fields(data, "tensor", _TENSOR):
        if number == 1:
            shape += islice(integers(value), bounds.GRAPH_FIELDS)
        elif number == 2:
            data_type = integer(value)
        elif number == 8:
            name = text_of(value)
        elif number == 9:
            inline = message(value)
        elif number == 13:
            entry = dict(known_fields(value, "external data", {1, 2}))
            external[text_of(entry[1])] = text_of(entry[2])
        elif number == 14:
            is_external = integer(value) == _EXTERNAL
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
