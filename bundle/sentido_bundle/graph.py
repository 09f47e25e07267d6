"""Looks into an ONNX file before ONNX Runtime does, to refuse what a bundle must not hold.

A graph of a bundle uses a short list of operators, keeps its tensors inline or in `weights.bin`,
and claims no more bytes than are there. Reading the protobuf wire format takes a few lines, so
that no package beside numpy and onnxruntime is needed to load a bundle. Field numbers are those
of `onnx.proto` (ModelProto, GraphProto, NodeProto, AttributeProto, TensorProto).
"""

import math
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.wire import Value, fields, varint

OPERATORS = {
    "Add": 2,
    "Cast": 2,
    "Concat": 1,
    "Gather": 1,
    "Gemm": 1,
    "Identity": 4,
    "LSTM": 1,
    "MatMul": 1,
    "Mul": 1,
    "Sigmoid": 1,
    "Softmax": 1,
    "Squeeze": 2,
    "Sub": 1,
    "Transpose": 2,
    "Unsqueeze": 2,
}
"""What a graph may compute, and how many nodes of each it may have.

None of them loops, branches or makes a tensor from a bare shape, and each node must depend on an
input, so that nothing is computed when a graph is opened. What a run allocates: see `shapes.py`.
"""

QUANTIZED_LSTM = "com.microsoft.DynamicQuantizeLSTM"
INT8_OPERATORS = {QUANTIZED_LSTM: 1, **{k: v for k, v in OPERATORS.items() if k != "LSTM"}}
"""The same for `model.int8.onnx`, whose LSTM is another operator."""

INPUTS = ("token_ids", "lengths")

_ITEM_SIZES = {1: 4, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}  # TensorProto.DataType: bytes an element
_MOST_DIMENSIONS = 4
_EXTERNAL = 1  # TensorProto.DataLocation

# The fields that a message of each type may have. Others would be ours not to know: functions,
# training graphs, sparse tensors, graphs and tensors in attributes among them.
_MODEL = {1, 2, 3, 4, 5, 6, 7, 8, 14}
_GRAPH = {1, 2, 5, 10, 11, 12, 13}
_NODE = {1, 2, 3, 4, 5, 6, 7}
_ATTRIBUTE = {1, 2, 3, 4, 7, 8, 9, 13, 20}
_TENSOR = {1, 2, 8, 9, 12, 13, 14}
_VALUE = {1, 2, 3, 4}

_ATTRIBUTE_FIELDS = {1: 2, 2: 3, 3: 4, 6: 7, 7: 8, 8: 9}  # AttributeProto.AttributeType: its field
_OWN_DOMAINS = ("", "ai.onnx")


Attribute = tuple[int, ...] | tuple[float, ...] | tuple[bytes, ...]
"""The value of a node's attribute; one element for what is no list."""


@dataclass(frozen=True)
class Tensor:
    """An initializer of a graph. `location` is None for one that is stored inline."""

    name: str
    data_type: int
    shape: tuple[int, ...]
    location: str | None
    offset: int
    length: int
    inline: memoryview | None = None


@dataclass(frozen=True)
class Node:
    """One operation of a graph and the names of the tensors that go in and out."""

    operator: str  # with its domain, if that is not ONNX' own
    inputs: tuple[str, ...]  # "": one that is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Graph:
    """What a graph computes and the tensors that it is made of."""

    nodes: tuple[Node, ...]
    tensors: dict[str, Tensor]
    opset: int  # version of ONNX' own operators

    def nodes_of(self, operator: str) -> list[Node]:
        """Give the nodes of one operator."""
        return [node for node in self.nodes if node.operator == operator]


def read_graph(
    name: str, model: bytes, external_sizes: dict[str, int], operators: Mapping[str, int]
) -> Graph:
    """Read and check the ONNX file `name`.

    `external_sizes`: the files that its tensors may be stored in, with their sizes in bytes.
    `operators`: what it may compute, `OPERATORS` or `INT8_OPERATORS`.
    Raises BundleError naming the tensor or operator that is refused.
    """
    try:
        nodes, tensors, inputs, opset = _read_model(memoryview(model))
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise BundleError(f"{name}: not an ONNX model as bundles have them: {error}") from error
    if sorted(inputs) != sorted(INPUTS):
        raise BundleError(f"{name}: inputs are {quoted(inputs)}, {list(INPUTS)} are needed")
    _check_nodes(name, nodes, operators)
    for tensor in tensors:
        _check_tensor(name, tensor, external_sizes)
    by_name = {tensor.name: tensor for tensor in tensors}
    if len(by_name) < len(tensors) or by_name.keys() & set(INPUTS):
        raise BundleError(f"{name}: two tensors have one name")
    return Graph(tuple(nodes), by_name, opset)


def _check_nodes(name: str, nodes: list[Node], operators: Mapping[str, int]) -> None:
    counts = Counter(node.operator for node in nodes)
    for operator, count in counts.items():
        if operator not in operators:
            raise BundleError(f"{name}: operator {operator:.80} is not one that a bundle may use")
        if count > operators[operator]:
            raise BundleError(
                f"{name}: {count} nodes of {operator}, at most {operators[operator]} are allowed"
            )
    known = set(INPUTS)
    for node in nodes:
        if not known & set(node.inputs):
            raise BundleError(f"{name}: a node of {node.operator} depends on no input")
        known.update(node.outputs)


def _check_tensor(name: str, tensor: Tensor, external_sizes: dict[str, int]) -> None:
    where = f"{name}: tensor {quoted(tensor.name)}"
    sizes = tensor.shape
    if tensor.data_type not in _ITEM_SIZES or len(sizes) > _MOST_DIMENSIONS or 0 in sizes:
        raise BundleError(f"{where} has type {tensor.data_type} and shape {quoted(sizes)}")
    claimed = math.prod(sizes) * _ITEM_SIZES[tensor.data_type]
    if tensor.length != claimed:
        raise BundleError(
            f"{where} claims {claimed} bytes by its shape {sizes}, but {tensor.length} are stored"
        )
    if tensor.location is None:
        return
    if tensor.location not in external_sizes:
        raise BundleError(
            f"{where} is stored in {quoted(tensor.location)}: only {' or '.join(external_sizes)} in"
            " the bundle's directory is allowed"
        )
    size = external_sizes[tensor.location]
    if tensor.offset + tensor.length > size or tensor.offset % 4:
        raise BundleError(
            f"{where} is stored at {tensor.offset} to {tensor.offset + tensor.length} of"
            f" {tensor.location}, which has {size} bytes"
        )


def _read_model(model: memoryview) -> tuple[list[Node], list[Tensor], list[str], int]:
    graphs, opsets = [], []
    for number, value in _known(model, "model", _MODEL):
        if number == 7:
            graphs.append(value)
        elif number == 8:
            opsets.append(_read_opset(value))
    if len(graphs) != 1:
        raise ValueError(f"{len(graphs)} graphs")
    nodes: list[Node] = []
    tensors: list[Tensor] = []
    inputs: list[str] = []
    for number, value in _known(graphs[0], "graph", _GRAPH):
        if number == 1:
            nodes.append(_read_node(value))
        elif number == 5:
            tensors.append(_read_tensor(value))
        elif number == 11:
            inputs += [_text(v) for n, v in _known(value, "input", _VALUE) if n == 1]
    own = [version for domain, version in opsets if domain in _OWN_DOMAINS]
    if len(own) != 1:
        raise ValueError(f"{len(own)} versions of ONNX' operators")
    return nodes, tensors, inputs, own[0]


def _read_opset(opset: Value) -> tuple[str, int]:
    domain, version = "", 0
    for number, value in _known(opset, "opset", {1, 2}):
        if number == 1:
            domain = _text(value)
        else:
            version = _integer(value)
    return domain, version


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
    name, kind = "", 0
    integers: list[int] = []
    floats: list[float] = []
    strings: list[bytes] = []
    stored = set()
    for number, value in _known(data, "attribute", _ATTRIBUTE):
        if number == 1:
            name = _text(value)
        elif number == 20:
            kind = _integer(value)
        elif number in (3, 8):
            integers += map(_signed, islice(_integers(value), bounds.GRAPH_FIELDS))
        elif number in (2, 7):
            floats += _floats(value)
        elif number in (4, 9):
            strings.append(_text(value).encode())
        stored.add(number)
    values = stored - {1, 13, 20}
    if values != {_ATTRIBUTE_FIELDS.get(kind)}:
        raise ValueError(f"attribute {quoted(name)} of type {kind} has fields {sorted(values)}")
    return name, tuple(integers) or tuple(floats) or tuple(strings)


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


def _known(message: Value, what: str, numbers: set[int]) -> Iterator[tuple[int, Value]]:
    """Walk the fields of a message. Raises ValueError for one that it may not have, or too many."""
    for count, (number, value) in enumerate(fields(_message(message))):
        if number not in numbers:
            raise ValueError(f"field {number} of its {what} is unknown here")
        if count == bounds.GRAPH_FIELDS:
            raise ValueError(f"its {what} has more than {bounds.GRAPH_FIELDS} fields")
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
