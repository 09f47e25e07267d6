"""Proves what every run of a graph will give and cost, before it is run once.

Walks the nodes with the shapes of what they give, in which the two sizes that differ from run to
run stand by name: (BATCH, TIME, 32). A graph is refused unless all of this holds:

- BATCH and TIME stand in a shape once at most, and no operator mixes the rows of a batch: a text's
  answer cannot depend on the texts beside it, and what a run allocates is bounded by its tokens and
  the sizes in the manifest;
- ids are only looked up in the embedding matrix, and lengths only told to the LSTM;
- stored numbers are at most `bounds.WEIGHT`, so that nothing which so few operators make of them is
  infinite;
- probabilities come out of a Sigmoid or Softmax, or are 1 less such a one: within 0 to 1.

Used by `session.py`. The rules are those of ONNX' operators from opset 13 on, as far as a bundle
has use for them: https://onnx.ai/onnx/operators/.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.graph import QUANTIZED_LSTM, Graph, Node, Tensor
from sentido_bundle.manifest import Dimensions

BATCH: Final = "batch"
TIME: Final = "time"

Size = int | str
Shape = tuple[Size, ...]

_LEAST_OPSET = 13  # before it Softmax and Squeeze had other rules
_TYPES: Mapping[int, Any] = {1: "<f4", 7: "<i8"}  # TensorProto.DataType of the tensors read here
_FLOAT32, _INT64 = 1, 7
_CASTS = {"ids": (6, 7), "": (1,), "share": (1,)}  # what may be cast to what: no number is cut


def check_shapes(
    name: str,
    graph: Graph,
    weights: bytes,
    sizes: Dimensions,
    labels: int,
    outputs: Mapping[str, Shape],
) -> None:
    """Raise BundleError unless every run of the graph `name` gives `outputs`, at a bounded cost."""
    if graph.opset < _LEAST_OPSET:
        raise BundleError(f"{name}: opset {graph.opset}, {_LEAST_OPSET} or a later one is needed")
    walk = _Walk(graph.tensors, weights, sizes, labels)
    walk.check_numbers(name)
    for node in graph.nodes:
        try:
            walk.pass_through(node)
        except ValueError as error:
            where = f"{name}: node {node.operator} that gives {quoted(list(node.outputs))}"
            raise BundleError(f"{where}: {error}") from error
    for output, shape in outputs.items():
        if walk.shapes.get(output) != shape:
            raise BundleError(
                f"{name}: {output} has the shape {walk.shapes.get(output)}, {shape} is needed"
            )
    if "probabilities" in outputs and walk.kinds["probabilities"] != "share":
        raise BundleError(f"{name}: the probabilities come out of no Sigmoid or Softmax")


class _Walk:
    """What is known of a graph's values, node by node. Lives for one check."""

    def __init__(
        self, stored: Mapping[str, Tensor], weights: bytes, sizes: Dimensions, labels: int
    ) -> None:
        self.stored = stored
        self.sizes = sizes
        self.shapes: dict[str, Shape] = {"token_ids": (BATCH, TIME), "lengths": (BATCH,)}
        self.kinds = {"token_ids": "ids", "lengths": "lengths"}  # "share": within 0 to 1; or ""
        self._weights = weights
        self._labels = labels

    def check_numbers(self, name: str) -> None:
        """Raise BundleError for a stored number that is too large, infinite or none."""
        for tensor in self.stored.values():
            if tensor.data_type == _FLOAT32:
                numbers = self.values(tensor)
                largest = float(np.maximum(numbers.max(), -numbers.min()))
                if not largest <= bounds.WEIGHT:  # not: NaN is not within it
                    raise BundleError(
                        f"{name}: tensor {quoted(tensor.name)} holds {largest:g}, at most"
                        f" {bounds.WEIGHT:g} is allowed"
                    )

    def values(self, tensor: Tensor) -> NDArray[Any]:
        """Return the numbers of a stored tensor, (elements,)."""
        data = self._weights if tensor.inline is None else tensor.inline
        kind, count = _TYPES[tensor.data_type], math.prod(tensor.shape)
        values: NDArray[Any] = np.frombuffer(data, kind, count, tensor.offset)
        return values

    def pass_through(self, node: Node) -> None:
        """Note what a node gives. Raises ValueError for what a bundle has no use for."""
        for name in node.inputs:
            if name and name not in self.shapes and name not in self.stored:
                raise ValueError(f"its input {quoted(name)} is given by nothing before it")
        attributes, rule = _RULES[node.operator]
        if unknown := node.attributes.keys() - attributes:
            raise ValueError(f"attributes {quoted(sorted(unknown))} are not allowed")
        kind = self._kind(node)
        shapes = rule(self, node)
        if len(node.outputs) > len(shapes):
            raise ValueError(f"{len(node.outputs)} outputs")
        for name, shape in zip(node.outputs, shapes, strict=False):
            if name in self.shapes or name in self.stored:
                raise ValueError(f"{quoted(name)} is given twice")
            if name:
                self._check_size(shape)
                self.shapes[name], self.kinds[name] = shape, kind

    def shape(self, name: str) -> Shape:
        """Return the shape of a value, computed or stored."""
        if not name:
            raise ValueError("an input is left out")
        return self.shapes[name] if name in self.shapes else self.stored[name].shape

    def integers(self, name: str) -> list[int]:
        """Return the elements of a small stored tensor of integers."""
        tensor = self.stored.get(name)
        if tensor is None or tensor.data_type != _INT64 or math.prod(tensor.shape) > 4:
            raise ValueError(f"{quoted(name)} is not a stored tensor of a few int64")
        return [int(value) for value in self.values(tensor)]

    def _check_size(self, shape: Shape) -> None:
        numbers = math.prod(size for size in shape if isinstance(size, int))
        most = max(self.sizes.embedding, self.sizes.hidden)
        if TIME not in shape:
            most = max(most, self._labels)
        if shape.count(BATCH) > 1 or shape.count(TIME) > 1 or numbers > most:
            raise ValueError(f"gives the shape {shape}, larger than a classifier needs")

    def _kind(self, node: Node) -> str:
        """Return what the values that the node gives are."""
        kinds = [self.kinds.get(name, "stored") for name in node.inputs]
        operator = node.operator
        if operator in ("Identity", "Cast"):
            to = _integers(node, "to")[0] if operator == "Cast" else None
            if to is not None and to not in _CASTS.get(kinds[0], ()):
                raise ValueError(f"casts to type {to}")
            return kinds[0]
        if operator == "Gather":
            return "" if kinds == ["stored", "ids"] else _misused("ids")
        if operator in ("LSTM", QUANTIZED_LSTM):
            return "" if kinds[4:5] == ["lengths"] and "ids" not in kinds else _misused("lengths")
        if "ids" in kinds or "lengths" in kinds:
            _misused("ids or lengths")
        if operator in ("Sigmoid", "Softmax"):
            return "share"
        if operator == "Sub":
            return "share" if kinds == ["stored", "share"] and self._is_one(node) else ""
        is_kept = operator in ("Concat", "Squeeze", "Transpose", "Unsqueeze")
        return "share" if is_kept and set(kinds) - {"stored"} == {"share"} else ""

    def _is_one(self, node: Node) -> bool:
        tensor = self.stored[node.inputs[0]]
        return tensor.data_type == _FLOAT32 and bool((self.values(tensor) == 1).all())


def _misused(what: str) -> str:
    raise ValueError(f"{what} may only be looked up and told to the LSTM, as the exporter has it")


def _gather(walk: _Walk, node: Node) -> list[Shape]:
    table, ids = node.inputs
    if _integers(node, "axis", 0) != (0,):
        raise ValueError("axis is not 0")
    return [(*walk.shape(ids), *walk.shape(table)[1:])]


def _same(walk: _Walk, node: Node) -> list[Shape]:
    (value,) = node.inputs
    return [walk.shape(value)]


def _transpose(walk: _Walk, node: Node) -> list[Shape]:
    (shape,) = _same(walk, node)
    order = _integers(node, "perm", *reversed(range(len(shape))))
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"perm is {quoted(order)} for the shape {shape}")
    return [tuple(shape[axis] for axis in order)]


def _squeeze(walk: _Walk, node: Node) -> list[Shape]:
    value, axes = node.inputs
    shape = walk.shape(value)
    dropped = {_axis(axis, len(shape)) for axis in walk.integers(axes)}
    if not dropped or any(shape[axis] != 1 for axis in dropped):
        raise ValueError(f"squeezes the axes {sorted(dropped)} of the shape {shape}")
    return [tuple(size for axis, size in enumerate(shape) if axis not in dropped)]


def _unsqueeze(walk: _Walk, node: Node) -> list[Shape]:
    value, axes = node.inputs
    added, rest = walk.integers(axes), list(walk.shape(value))
    count = len(rest) + len(added)
    where = {_axis(axis, count) for axis in added}
    if len(where) < len(added):
        raise ValueError("unsqueezes one axis twice")
    return [tuple(1 if axis in where else rest.pop(0) for axis in range(count))]


def _elementwise(walk: _Walk, node: Node) -> list[Shape]:
    left, right = (walk.shape(name) for name in node.inputs)
    return [_broadcast(left, right)]


def _softmax(walk: _Walk, node: Node) -> list[Shape]:
    (shape,) = _same(walk, node)
    last = len(shape) - 1
    axis = _axis(_integers(node, "axis", -1)[0], len(shape))
    if axis != last or not isinstance(shape[last], int):
        raise ValueError(f"axis {axis} of the shape {shape} is not that of the labels")
    return [shape]


def _concat(walk: _Walk, node: Node) -> list[Shape]:
    shapes = [list(walk.shape(name)) for name in node.inputs]
    axis = _axis(_integers(node, "axis")[0], len(shapes[0]))
    joined = 0
    for shape in shapes:
        size = shape[axis] if axis < len(shape) else ""
        if not isinstance(size, int):
            raise ValueError(f"joins along axis {axis} of the shape {tuple(shape)}")
        joined += size
        shape[axis] = 0
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("joins values of different shapes")
    shapes[0][axis] = joined
    return [tuple(shapes[0])]


def _matmul(walk: _Walk, node: Node) -> list[Shape]:
    left, right = node.inputs
    return [_times(walk, left, right)]


def _gemm(walk: _Walk, node: Node) -> list[Shape]:
    for name in ("alpha", "beta"):
        if node.attributes.get(name, (1.0,)) != (1.0,):
            raise ValueError(f"{name} is not 1")
    if _integers(node, "transA", 0) != (0,):
        raise ValueError("transA is not 0")
    left, right, *bias = node.inputs
    product = _times(walk, left, right, turned=_integers(node, "transB", 0) != (0,))
    if len(bias) > 1 or any(_broadcast(product, walk.shape(name)) != product for name in bias):
        raise ValueError(f"adds something of another shape than {product}")
    return [product]


def _times(walk: _Walk, left: str, right: str, turned: bool = False) -> Shape:
    """Return the shape of values times a stored matrix."""
    matrix = walk.stored.get(right)
    if left in walk.stored or matrix is None or len(matrix.shape) != 2:
        raise ValueError("multiplies by something else than a stored matrix")
    rows, columns = reversed(matrix.shape) if turned else matrix.shape
    *outer, inner = walk.shape(left)
    if not outer or inner != rows:
        raise ValueError(f"multiplies {walk.shape(left)} by {matrix.shape}")
    return (*outer, columns)


def _lstm(walk: _Walk, node: Node) -> list[Shape]:
    """Check an LSTM; its inputs are X, W, R, B, the lengths, and then none but int8's own."""
    embedding, hidden = walk.sizes.embedding, walk.sizes.hidden
    plain = {
        "activations": (b"Sigmoid", b"Tanh", b"Tanh"),
        "direction": (b"forward",),
        "hidden_size": (hidden,),
    }
    for name, value in node.attributes.items():
        if value != plain[name]:
            raise ValueError(f"{name} is {quoted(value)}, not {plain[name]}")
    values, *stored = node.inputs[:4]
    wanted = [(1, 4 * hidden, embedding), (1, 4 * hidden, hidden), (1, 8 * hidden)]
    if node.operator == QUANTIZED_LSTM:  # whose matrices are turned, and checked in session.py
        wanted[:2] = [(1, embedding, 4 * hidden), (1, hidden, 4 * hidden)]
    shapes = [walk.stored[name].shape if name in walk.stored else None for name in stored]
    if shapes[:2] != wanted[:2] or (stored[2:] != [""] and shapes[2:] != wanted[2:]):
        raise ValueError(f"its weights are {shapes}, {wanted} are needed")
    if any(node.inputs[5:8]):
        raise ValueError("begins in a state of its own")
    if walk.shape(values) != (TIME, BATCH, embedding):
        raise ValueError(f"reads {walk.shape(values)}, not {(TIME, BATCH, embedding)}")
    return [(TIME, 1, BATCH, hidden), (1, BATCH, hidden), (1, BATCH, hidden)]


def _broadcast(left: Sequence[Size], right: Sequence[Size]) -> Shape:
    sizes: list[Size] = []
    for one, other in zip_longest(reversed(left), reversed(right), fillvalue=1):
        if one != other and 1 not in (one, other):
            raise ValueError(f"the shapes {tuple(left)} and {tuple(right)} do not fit")
        sizes.append(other if one == 1 else one)
    return tuple(reversed(sizes))


def _axis(axis: int, count: int) -> int:
    if not -count <= axis < count:
        raise ValueError(f"axis {axis} of {count}")
    return axis % count


def _integers(node: Node, name: str, *default: int) -> tuple[int, ...]:
    """Return an attribute of integers, of which there is one at least."""
    values = node.attributes.get(name, default)
    integers = tuple(value for value in values if isinstance(value, int))
    if not integers or len(integers) < len(values):
        raise ValueError(f"{name} is {quoted(values)}, and not of integers")
    return integers


_Rule = tuple[frozenset[str], Callable[[_Walk, Node], list[Shape]]]
_LSTM: _Rule = (frozenset({"activations", "direction", "hidden_size"}), _lstm)
_RULES: dict[str, _Rule] = {  # the attributes that each operator may have, and what it gives
    "Add": (frozenset(), _elementwise),
    "Cast": (frozenset({"to"}), _same),
    "Concat": (frozenset({"axis"}), _concat),
    "Gather": (frozenset({"axis"}), _gather),
    "Gemm": (frozenset({"alpha", "beta", "transA", "transB"}), _gemm),
    "Identity": (frozenset(), _same),
    "LSTM": _LSTM,
    QUANTIZED_LSTM: _LSTM,
    "MatMul": (frozenset(), _matmul),
    "Mul": (frozenset(), _elementwise),
    "Sigmoid": (frozenset(), _same),
    "Softmax": (frozenset({"axis"}), _softmax),
    "Squeeze": (frozenset(), _squeeze),
    "Sub": (frozenset(), _elementwise),
    "Transpose": (frozenset({"perm"}), _transpose),
    "Unsqueeze": (frozenset(), _unsqueeze),
}
