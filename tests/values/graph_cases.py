"""Graphs of a few nodes, one for each operator that a bundle may use and each way to use it.

What goes into a node is a stored array, or one of these values, all made of the ids of texts:
`x` (batch, time, 4), `turned` (time, batch, 4), `channels` (batch, 4, time), `image`
(batch, 4, 1, time), `h` (batch, 4), `share` (batch, 4) within 0 to 1, `mask` (batch, time) of
booleans, `ids` and `lengths` of int64, `from_1` the lengths, 1 of an empty text, `sizes` the shape
of `x`, `time` the size of the time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sentido_bundle.graphs import BATCH, TIME, RunLimits
from sentido_bundle.graphs.model_file import read_model
from sentido_bundle.graphs.sizes import evaluate, sizes_of
from sentido_bundle.graphs.values import DataType, Value
from sentido_bundle.graphs.walk import Needs, walk_graph

VOCABULARY = 50
MOST_TOKENS = 30
_TYPES = {
    np.dtype(np.float32): DataType.FLOAT,
    np.dtype(np.uint8): DataType.UINT8,
    np.dtype(np.int8): DataType.INT8,
    np.dtype(np.int32): DataType.INT32,
    np.dtype(np.int64): DataType.INT64,
    np.dtype(np.bool_): DataType.BOOL,
}
Input = str | NDArray[Any]


@dataclass(frozen=True)
class Case:
    """One node: an operator, its inputs ("": left out) and its attributes."""

    operator: str
    inputs: Sequence[Input]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = 18
    same_bits: bool = True
    least_tokens: int = 1  # of the texts that the graph can be run with

    def __str__(self) -> str:
        attributes = ",".join(f"{name}={value}" for name, value in self.attributes.items())
        return f"{self.operator}({attributes})"


def case(operator: str, *inputs: Input, **attributes: Any) -> Case:
    """Make a case of an operator with one output."""
    return Case(operator, inputs, attributes)


def floats(*shape: int) -> NDArray[np.float32]:
    """Return random numbers, the same each time."""
    return np.random.default_rng(0).uniform(0.1, 1, shape).astype(np.float32)


def longs(*numbers: int) -> NDArray[np.int64]:
    """Return a list of int64."""
    return np.array(numbers, np.int64)


def long(number: int) -> NDArray[np.int64]:
    """Return a single int64 without dimensions."""
    return np.array(number, np.int64)


def bytes_(*shape: int, type: Any = np.int8) -> NDArray[Any]:
    """Return small numbers of 8 bits."""
    return np.random.default_rng(0).integers(0, 9, shape).astype(type)


TWO = np.array(2, np.float32)
UNARY = (
    *("Abs", "Ceil", "Celu", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish"),
    *(
        "Identity",
        "IsNaN",
        "LeakyRelu",
        "Log",
        "Mish",
        "Neg",
        "Reciprocal",
        "Relu",
        "Round",
        "Selu",
    ),
    *("Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu"),
)
BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Mean", "Sum", "PRelu")
COMPARING = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
REDUCING = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")


def _layer(operator: str, gates: int, extra: int = 0, **attributes: Any) -> Case:
    """Return a recurrent layer of 3 units with all of its inputs but peepholes."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    inputs: list[Input] = ["turned", floats(directions, gates * 3, 4)]
    lengths = "from_1" if operator == "RNN" else "lengths"
    inputs += [floats(directions, gates * 3, 3), floats(directions, gates * 6), lengths]
    states = ["" for _ in range(extra)]
    return Case(operator, [*inputs, *states], {"hidden_size": 3, **attributes}, 2 + (gates == 4))


LAYERS = [
    _layer(operator, gates, **attributes)
    for operator, gates, activations in (
        ("LSTM", 4, ["HardSigmoid", "Relu", "Softsign"]),
        ("GRU", 3, ["Sigmoid", "Elu"]),
        ("RNN", 1, ["Relu"]),
    )
    for attributes in (
        {},
        {"direction": "reverse"},
        {"direction": "bidirectional", "activations": activations * 2},
        {"activations": activations, "activation_alpha": [0.2], "activation_beta": [0.5]},
    )
] + [_layer("GRU", 3, linear_before_reset=1)]

PICKING = [
    case("Gather", floats(50, 3), "token_ids"),
    case("Gather", "x", longs(0, -1), axis=2),
    case("Gather", "x", long(0), axis=1),
    case("Gather", "sizes", long(1)),
    case("GatherElements", "h", "best", axis=1),
    case("GatherND", "x", "last", batch_dims=1),
    case("ReverseSequence", "turned", "lengths64"),
    case("ReverseSequence", "x", "lengths64", batch_axis=0, time_axis=1),
    case("Slice", "x", longs(1), longs(3), longs(2)),
    case("Slice", "x", longs(-1), longs(2**31 - 1), longs(1)),
    case("Slice", "x", longs(0), longs(2**31 - 1), longs(1), longs(2)),
    case("Slice", "x", longs(-1), longs(-(2**31)), longs(1), longs(-1)),
    case("Slice", "x", longs(0, 0), longs(2**62, 1)),
    case("Slice", "sizes", longs(1), longs(3)),
    case("OneHot", "lengths64", long(9), np.array([0, 1], np.float32)),
    case("ArgMax", "h", axis=1, keepdims=0),
    case("ArgMin", "x", axis=2),
    case("Shape", "x"),
    case("Shape", "x", start=1, end=2),
    case("ConstantOfShape", "sizes"),
    case("ConstantOfShape", longs(2, 3)),
    case("ConstantOfShape", "sizes", value=numpy_helper.from_array(np.array([2], np.int64))),
    case("Range", long(0), "time", long(1)),
    case("Range", long(1), "time_and_2", long(3)),
    case("Constant", value=numpy_helper.from_array(floats(2, 3))),
]

MOVING = [
    case("Concat", "x", "x", axis=-1),
    case("Concat", "x", "x", axis=1),
    case("Concat", floats(1, 4), "one_row", axis=0),
    case("Concat", "sizes", longs(7), axis=0),
    case("Expand", "h", longs(3, 1, 1)),
    case("Expand", floats(4), "sizes"),
    case("Flatten", "h"),
    case("Flatten", "x", axis=2),
    case("Pad", "x", longs(0, 2, 0, 0, 1, 0)),
    case("Pad", "x", longs(0, 0, 1, 0, 0, 1), TWO),
    case("Pad", "x", longs(1, 1), "", longs(2)),
    case("Reshape", "x", longs(-1, 4)),
    case("Reshape", "x", longs(0, 0, 2, 2)),
    case("Reshape", "x", longs(0, -1)),
    case("Reshape", "x", "sizes"),
    Case("Split", ["x"], {"axis": 2, "num_outputs": 2}, outputs=2),
    Case("Split", ["x"], {"axis": 2}, outputs=2, opset=13),
    Case("Split", ["x", longs(1, 3)], {"axis": 2}, outputs=2),
    case("Squeeze", "image", longs(2)),
    case("Squeeze", floats(1, 3, 1)),
    case("Tile", "h", longs(1, 3)),
    case("Transpose", "x"),
    case("Transpose", "x", perm=[0, 2, 1]),
    case("Unsqueeze", "h", longs(1, -1)),
]

ALONG = [
    *(case(f"Reduce{name}", "x", longs(1)) for name in REDUCING if name in ("Sum",)),
    *(case(f"Reduce{name}", "x", longs(1, -1), keepdims=0) for name in REDUCING),
    *(Case(f"Reduce{n}", ["x"], {"axes": [2]}, opset=13) for n in REDUCING if n != "Sum"),
    case("ReduceSum", "mask64", longs(1), keepdims=0),
    case("ReduceSum", "last", longs(1)),
    case("ReduceProd", "sizes", longs(0), keepdims=0),
    case("Softmax", "h"),
    case("Softmax", "x", axis=1),
    case("LogSoftmax", "h"),
    case("CumSum", "x", long(1)),
    case("CumSum", "mask64", long(1), exclusive=1, reverse=1),
    case("BatchNormalization", "channels", *(floats(4) for _ in range(4))),
    case("BatchNormalization", "h", *(floats(4) for _ in range(4)), epsilon=1e-3),
    case("InstanceNormalization", "channels", floats(4), floats(4)),
    case("LayerNormalization", "x", floats(4), floats(4), epsilon=1e-3),
    case("LayerNormalization", "x", floats(4), axis=2),
    case("Dropout", "h", TWO / 4),
]

PRODUCTS = [
    case("MatMul", "x", floats(4, 5)),
    case("MatMul", "x", floats(4)),
    case("MatMul", "x", "x_transposed"),
    case("Gemm", "h", floats(4, 5), floats(5)),
    case("Gemm", "h", floats(5, 4), transB=1, alpha=2.0, beta=0.5),
    case("Conv", "channels", floats(3, 4, 1)),
    case("Conv", "channels", floats(6, 4, 3), floats(6), pads=[2, 0]),
    case("Conv", "channels", floats(6, 2, 3), group=2, auto_pad="SAME_UPPER"),
    case("Conv", "channels", floats(6, 4, 3), auto_pad="SAME_LOWER", strides=[2]),
    Case("Conv", ["channels", floats(3, 4, 3)], {"dilations": [2], "strides": [2]}, least_tokens=5),
    Case("Conv", ["image", floats(3, 4, 1, 5)], {"kernel_shape": [1, 5]}, least_tokens=5),
    case("Conv", "image", floats(3, 4, 1, 5), pads=[0, 4, 0, 0]),
    *(
        Case(name, ["channels"], attributes, least_tokens=3)
        for name in ("MaxPool", "AveragePool")
        for attributes in (
            {"kernel_shape": [3]},
            {"kernel_shape": [2], "strides": [2], "auto_pad": "SAME_UPPER"},
            {"kernel_shape": [3], "strides": [3], "pads": [1, 0]},
        )
    ),
    Case("MaxPool", ["channels"], {"kernel_shape": [2], "dilations": [2]}, least_tokens=3),
    case("MaxPool", "image", kernel_shape=[1, 1]),
    case("GlobalMaxPool", "channels"),
    case("GlobalAveragePool", "image"),
]

NO = np.zeros((1, 12), np.int8)
_TWIN: list[Input] = ["turned", bytes_(1, 4, 12), bytes_(1, 3, 12), floats(1, 24), "lengths"]
_TWIN += ["", "", "", floats(1, 12), NO, floats(1, 12), NO]
TWINS = [
    Case("DynamicQuantizeLinear", ["x"], outputs=3, same_bits=False),
    case("QuantizeLinear", "x", TWO, np.array(3, np.uint8)),
    case("QuantizeLinear", "x", floats(4), axis=2),
    case("DequantizeLinear", bytes_(3, 4), TWO),
    case("DequantizeLinear", bytes_(3, 4), floats(4), bytes_(4), axis=1),
    case("MatMulInteger", "small", bytes_(4, 5), np.array(1, np.uint8), bytes_(5)),
    case("MatMulInteger", "small", bytes_(4, 5)),
    case("ConvInteger", "small_channels", bytes_(3, 4, 2, type=np.uint8), pads=[1, 0]),
    Case("DynamicQuantizeLSTM", _TWIN, {"hidden_size": 3}, 3, same_bits=False),
]

CASES = [
    *(case(name, "x") for name in UNARY),
    *(Case("Gelu", ["x"], {"approximate": how}, opset=20) for how in ("none", "tanh")),
    *(case(name, "x", "h4") for name in BINARY if name != "PRelu"),
    *(case(name, "x", floats(4)) for name in BINARY),
    *(case(name, "token_ids", np.array(3, np.int32)) for name in (*COMPARING, "Div", "Mod")),
    *(case(name, "mask", "mask") for name in ("And", "Or", "Xor", "Equal")),
    *(case(name, "time", long(3)) for name in ("Add", "Sub", "Mul", "Div")),
    case("Not", "mask"),
    case("Max", "x", "x", floats(4)),
    case("Clip", "x", TWO / 4, TWO),
    case("Clip", "x", "", TWO),
    case("Clip", "x", floats(1) / 9, floats(1)),
    case("Elu", "x", alpha=0.5),
    case("HardSigmoid", "x", alpha=1 / 6, beta=0.5),
    *(case("Cast", name, to=1) for name in ("x", "mask", "token_ids")),
    *(case("Cast", name, to=7) for name in ("x", "mask", "token_ids")),
    case("Where", "mask", "token_ids", np.array(0, np.int32)),
    case("Where", "mask3", "x", np.array(-1e9, np.float32)),
    *LAYERS,
    *PICKING,
    *MOVING,
    *ALONG,
    *PRODUCTS,
    *TWINS,
]


_CONSTANTS: dict[str, NDArray[Any]] = {
    "zero": np.array(0, np.int32),
    "zero1": longs(0),
    "one": longs(1),
    "two": longs(2),
    "number_0": long(0),
    "number_1": long(1),
    "number_2": long(2),
    "no": np.array(0, np.uint8),
    "scale": np.array(0.5, np.float32),
    "one32": np.array(1, np.int32),
}


def _prefix() -> list[onnx.NodeProto]:
    """Return the nodes that make the values which cases are about."""
    node = helper.make_node
    return [
        node("Gather", ["E", "token_ids"], ["x"]),
        node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]),
        node("Transpose", ["x"], ["channels"], perm=[0, 2, 1]),
        node("Identity", ["channels"], ["x_transposed"]),
        node("Unsqueeze", ["channels", "two"], ["image"]),
        node("GlobalMaxPool", ["channels"], ["pooled"]),
        node("Squeeze", ["pooled", "two"], ["h"]),
        node("Unsqueeze", ["h", "one"], ["h4"]),
        node("Sigmoid", ["h"], ["share"]),
        node("Cast", ["lengths"], ["lengths64"], to=7),
        node("Max", ["lengths", "one32"], ["from_1"]),
        node("Greater", ["token_ids", "zero"], ["mask"]),
        node("Unsqueeze", ["mask", "two"], ["mask3"]),
        node("Cast", ["mask"], ["mask64"], to=7),
        node("Shape", ["x"], ["sizes"]),
        node("Gather", ["sizes", "number_1"], ["time"]),
        node("Gather", ["sizes", "number_0"], ["rows"]),
        node("Add", ["time", "number_2"], ["time_and_2"]),
        node("ArgMax", ["h"], ["best"], axis=1),
        node("Cast", ["token_ids"], ["ids64"], to=7),
        node("Mul", ["ids64", "ids64"], ["product"]),
        node("Mul", ["lengths64", "lengths64"], ["product1"]),
        node("Mul", ["lengths", "lengths"], ["token32"]),
        node("Unsqueeze", ["lengths64", "zero1"], ["lengths_1"]),
        node("Transpose", ["h"], ["h_turned"]),
        node("Sub", ["lengths64", "number_1"], ["before"]),
        node("Max", ["before", "number_0"], ["index"]),
        node("Unsqueeze", ["index", "one"], ["last"]),
        node("QuantizeLinear", ["x", "scale", "no"], ["small"]),
        node("QuantizeLinear", ["channels", "scale", "no"], ["small_channels"]),
        node("ReduceMax", ["E"], ["one_row"], axes=[0]),
    ]


def model_of(tried: Case, extra: Sequence[str] = (), width: int = 4) -> onnx.ModelProto:
    """Build the graph of a case, whose node returns "y0", "y1" and so on; it returns `extra` too.

    `width`: elements of a vector of `x`, for which the node is made.
    """
    stored = {"E": floats(VOCABULARY, width), **_CONSTANTS}
    names = []
    for index, given in enumerate(tried.inputs):
        if not isinstance(given, str):
            stored[f"stored{index}"] = given
        names.append(given if isinstance(given, str) else f"stored{index}")
    domain = "com.microsoft" if tried.operator == "DynamicQuantizeLSTM" else ""
    outputs = [f"y{index}" for index in range(tried.outputs)]
    nodes = [
        *_prefix(),
        helper.make_node(tried.operator, names, outputs, domain=domain, **tried.attributes),
        helper.make_node("Identity", ["share"], ["probabilities"]),
    ]
    if tried.opset >= 18:
        nodes[-3] = helper.make_node("ReduceMax", ["E", "number_0s"], ["one_row"])
        stored["number_0s"] = longs(0)
    inputs = {"token_ids": ["b", "t"], "lengths": ["b"]}
    declared = [helper.make_tensor_value_info(n, TensorProto.INT32, s) for n, s in inputs.items()]
    last = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["b", 4])
    graph = helper.make_graph(
        nodes,
        "case",
        declared,
        [last, *(onnx.ValueInfoProto(name=name) for name in extra)],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    opsets = [helper.make_opsetid("", tried.opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


(_TIME,) = sizes_of((TIME,))
INPUTS = {
    "token_ids": Value(DataType.INT32, sizes_of((BATCH, TIME)), span=(0, VOCABULARY - 1)),
    "lengths": Value(DataType.INT32, sizes_of((BATCH,)), span=(0, _TIME)),
}


def let_in(
    model: onnx.ModelProto,
    least_tokens: int = 1,
    same_bits: bool = True,
    most_bytes: int = RunLimits.max_run_bytes,
) -> Mapping[str, Value]:
    """Return what is known of all values of a graph. Raises BundleError if it is refused."""
    outputs = {"probabilities": (BATCH, 4)}
    needs = Needs(INPUTS, outputs, least_tokens, MOST_TOKENS, same_bits)
    walked = walk_graph("g", read_model(model.SerializeToString()), b"", needs)
    walked.cost.check("g", MOST_TOKENS, RunLimits(most_bytes))
    return walked.values


def is_as_said(value: Value, array: NDArray[Any], rows: int, time: int) -> bool:
    """Return whether what ONNX Runtime gives has the type, shape and values that were said."""
    shape = tuple(evaluate(size, rows, time) for size in value.shape)
    if _TYPES[array.dtype] != value.type or array.shape != shape:
        return False
    if (sizes := value.sizes()) is not None:
        return bool(array.ravel().tolist() == [evaluate(size, rows, time) for size in sizes])
    if value.span is None or np.isnan(array.astype(np.float64)).any():
        return True
    low, high = value.span
    highest = high if isinstance(high, float) else evaluate(high, rows, time)
    return bool(low <= array.min() and array.max() <= highest)
