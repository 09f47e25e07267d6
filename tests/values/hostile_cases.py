"""Graphs of a few nodes that a bundle must not hold, at least one for each operator, and why.

The values that go into them are those of `graph_cases.py`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from graph_cases import (
    COMPARING,
    LAYERS,
    NO,
    REDUCING,
    TWINS,
    TWO,
    UNARY,
    Case,
    Input,
    bytes_,
    case,
    floats,
    long,
    longs,
)
from onnx import numpy_helper

Hostile = tuple[Case, str]

INT = np.array(1, np.int32)
TERABYTES = longs(2**20, 2**20)


def changed(good: Case, index: int, given: Input) -> Case:
    """Return a case with another input."""
    inputs = list(good.inputs)
    inputs[index] = given
    return Case(good.operator, inputs, good.attributes, good.outputs, good.opset, good.same_bits)


def _layers() -> Iterator[Hostile]:
    for layer in LAYERS[::4][:3]:
        gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[layer.operator]
        yield changed(layer, 0, "x"), "along the size batch: across the texts"
        yield changed(layer, 0, "h"), "reads the shape (batch, 4)"
        yield changed(layer, 1, floats(1, gates * 3, 5)), "input W has the shape (1, "
        yield changed(layer, 2, floats(1, gates * 3, 4)), "input R has the shape (1, "
        yield changed(layer, 3, floats(1, gates * 3)), "input 3 has the shape (1, "
        yield changed(layer, 4, np.array([1, 2], np.int32)), "the lengths, has the shape (2,)"
        yield changed(layer, 4, "token32"), "its lengths are not known to be at most time"
        if layer.operator == "RNN":
            yield changed(layer, 4, "lengths"), "its lengths are not known to be at least 1"
        for attributes, message in (
            ({"hidden_size": 4}, "input W has the shape"),
            ({"direction": "bidirectional"}, "input W has the shape"),
            ({"direction": "sideways"}, "not one of forward, reverse, bidirectional"),
            ({"activations": ["Tanh"] * 9}, "has 9 activations"),
            ({"activations": ["Softmax"] * 3}, "attribute activations is ('Softmax'"),
            ({"activation_alpha": [0.1] * 9}, "activation_alpha has 9 numbers"),
            ({"clip": -1.0}, "attribute clip is (-1.0,), not above 0"),
            ({"layout": 1}, "attribute layout is (1,)"),
        ):
            both = {**layer.attributes, **attributes}
            yield Case(layer.operator, layer.inputs, both, layer.outputs), message


_LSTM8 = TWINS[-1]

EACH: Sequence[Hostile] = [
    *(
        (case(name, "token_ids"), "input 0 is INT32")
        for name in UNARY
        if name not in {"Abs", "Identity", "Neg", "Sign"}
    ),
    *((case(name, "mask"), "input 0 is BOOL") for name in ("Abs", "Neg", "Sign")),
    *((case(name, "x", wrong=1), "attributes ['wrong'] are not allowed") for name in UNARY),
    *((case(name, "x", "x"), "2 inputs, 1 to 1 are needed") for name in UNARY),
    (Case("Gelu", ["x"], opset=18), "opset 18, 20 or a later one is needed"),
    (Case("Gelu", ["x"], {"approximate": "much"}, opset=20), "not one of none, tanh"),
    *((case(name, "x", floats(3)), "do not fit") for name in ("Add", "Div", "Mul", "Sub", "Pow")),
    *((case(name, "x", floats(3)), "do not fit") for name in ("Max", "Min", "Mean", "Sum")),
    *((case(name, "x", "turned"), "do not fit") for name in ("Add", "PRelu", *COMPARING)),
    *((case(name, "x", "token_ids"), "combines FLOAT, INT32") for name in ("Add", "Max", "Less")),
    *((case(name, "mask", floats(1)), "input 1 is FLOAT") for name in ("And", "Or", "Xor")),
    *((case(n, "token_ids", np.array(0, np.int32)), "known to be above 0") for n in ("Div", "Mod")),
    *((case(n, "token_ids", "token_ids"), "known to be above 0") for n in ("Div", "Mod")),
    (case("Not", "x"), "input 0 is FLOAT"),
    (case("PRelu", "h", floats(3, 1, 4)), "a slope of the shape"),
    (case("Clip", "x", "h"), "input 1 is not a stored number"),
    (case("Clip", "x", INT), "of another type"),
    (case("Cast", "x", to=11), "attribute to is (11,)"),
    (case("Cast", "x", to=8), "attribute to is (8,)"),
    (case("Where", "mask", floats(1), INT), "chooses between two types"),
    (case("Where", "x", "x", "x"), "input 0 is FLOAT"),
    (case("Where", "mask", "mask", "mask"), "input 1 is BOOL"),
    (
        case("MaxPool", "channels", kernel_shape=[3], auto_pad="SAME_UPPER", dilations=[2]),
        "in two ways",
    ),
    (
        case("Conv", "channels", floats(3, 4, 3), auto_pad="SAME_UPPER", dilations=[2]),
        "in two ways",
    ),
    (case("Dropout", "h", TWO / 4, np.array(True)), "as only training does"),
    (case("Dropout", "h", TWO), "its ratio is 2.0"),
    (case("Dropout", "h", TWO / 4, "mask"), "input 2 is not a stored number"),
    # elements put elsewhere
    (case("Concat", "h", "h", axis=0), "across the texts"),
    (case("Concat", "x", "h", axis=1), "joins values of different shapes"),
    (case("Concat", "x", "x", axis=3), "axis 3 of 3"),
    (case("Expand", "h", "ids64"), "does not follow from stored numbers and shapes alone"),
    (case("Expand", "h", longs(3, 1)), "do not fit"),
    (case("Expand", floats(1, 1), TERABYTES), "one text of 30 tokens takes 4,398,"),
    (case("Expand", floats(1, 1), longs(2**62, 2**62)), "one text of 30 tokens takes"),
    (case("Expand", floats(1, 1), longs(0, 4)), "makes the shape (0, 4)"),
    (case("Flatten", "x", axis=4), "axis 4 of 3"),
    (case("Pad", "x", longs(1, 0, 0, 0, 0, 0)), "across the texts"),
    (case("Pad", "x", longs(0, -1, 0, 0, 0, 0)), "pads the shape"),
    (case("Pad", "x", longs(0, 2**40, 0, 0, 0, 0)), "one text of 30 tokens takes 17,592,"),
    (case("Pad", "x", longs(0, 1), mode="wrap"), "not one of constant"),
    (case("Pad", "x", "lengths64"), "not a stored list of a few whole numbers"),
    (case("Reshape", "x", longs(4, -1)), "mixed"),
    (case("Reshape", "turned", "sizes"), "mixed"),
    (case("Reshape", "x", longs(-1, -1)), "reshapes to (-1, -1)"),
    (case("Reshape", "x", longs(-2, 4)), "reshapes to (-2, 4)"),
    (case("Reshape", "x", longs(-1, 7)), "reshapes"),
    (case("Reshape", "x", "lengths64"), "does not follow from stored numbers and shapes"),
    (case("Reshape", "x", longs(0, 0, 0, 0)), "keeps size 3"),
    (case("Reshape", "x", longs(0, 0, 4), allowzero=1), "attribute allowzero is (1,)"),
    (Case("Split", ["x"], {"axis": 0, "num_outputs": 2}, 2), "across the texts"),
    (Case("Split", ["x", longs(1, 4)], {"axis": 2}, 2), "splits 4 into [1, 4]"),
    (Case("Split", ["x", longs(4, 0)], {"axis": 2}, 2), "splits 4 into [4, 0]"),
    (Case("Split", ["x"], {"axis": 1, "num_outputs": 2}, 2), "splits the size time"),
    (Case("Split", ["x", longs(2, 2)], {"axis": 2, "num_outputs": 2}, 2), "sizes and the number"),
    (Case("Split", ["x"], {"axis": 2}, 2), "or neither"),
    (case("Squeeze", "x", longs(1)), "squeezes the axes [1]"),
    (case("Squeeze", "x"), "without naming axes"),
    (case("Tile", "h", longs(1)), "repeats the shape"),
    (case("Tile", "h", longs(1, 2**60)), "one text of 30 tokens takes"),
    (case("Transpose", "x", perm=[0, 1, 1]), "perm is (0, 1, 1)"),
    (case("Transpose", "x", perm=[0, 1]), "perm is (0, 1)"),
    (case("Unsqueeze", "h", longs(1, 1)), "name one twice"),
    (case("Unsqueeze", "h", longs(7)), "axis 7 of 3"),
    # elements picked, tensors made of shapes
    (case("ArgMax", "h", axis=0), "across the texts"),
    (case("ArgMin", "h", axis=0), "across the texts"),
    (case("Constant"), "attribute value is missing"),
    (case("Constant", value=numpy_helper.from_array(floats(2, 3) * np.nan)), "holds nan"),
    (case("Constant", value_int=3), "attributes ['value_int'] are not allowed"),
    (case("ConstantOfShape", TERABYTES), "one text of 30 tokens takes 4,398,"),
    (case("ConstantOfShape", "lengths64"), "does not follow from stored numbers and shapes"),
    (case("ConstantOfShape", longs(-1)), "makes the shape (-1,)"),
    (case("ConstantOfShape", "sizes", value=numpy_helper.from_array(floats(2))), "one element"),
    (case("Gather", floats(49, 3), "token_ids"), "indices are not known to be below 49"),
    (case("Gather", "x", longs(4), axis=2), "looks up (4,) in 4 elements"),
    (case("Gather", "x", longs(1), axis=1), "looks up (1,) in time elements"),
    (case("Gather", "h", longs(0), axis=0), "across the texts"),
    (case("Gather", floats(50, 3), "product"), "indices are not known to be below 50"),
    (case("GatherElements", "x", "best", axis=1), "looks up the shape"),
    (case("GatherElements", "h", "lengths_1", axis=1), "looks up the shape"),
    (case("GatherND", "x", "last"), "across the texts"),
    (case("GatherND", "x", "last", batch_dims=2), "looks up the shape"),
    (case("GatherND", "x", longs(0), batch_dims=1), "looks up the shape"),
    (case("OneHot", "lengths64", long(2**40), TWO), "makes vectors of"),
    (case("OneHot", "lengths64", "time", np.array([0, 1], np.float32)), "is not a stored number"),
    (case("OneHot", "lengths64", long(2**40), np.array([0, 1], np.float32)), "one text of"),
    (case("Range", long(0), long(2**40), long(1)), "one text of 30 tokens takes"),
    (case("Range", long(0), "time", long(0)), "in steps of 0"),
    (case("Range", long(0), "rows", long(1)), "across the texts"),  # each text's place in a batch
    (case("Range", long(9), "time", long(1)), "counts from 9 to time"),
    (case("Range", long(0), "lengths64", long(1)), "input 1 is not a stored number"),
    (case("ReverseSequence", "turned", "ids64"), "its lengths have the shape"),
    (case("ReverseSequence", "turned", "product1"), "not known to be at most time"),
    (case("ReverseSequence", "turned", "lengths64", time_axis=1), "time_axis is 1, batch_axis 1"),
    (case("ReverseSequence", "x", "lengths64"), "lengths have the shape (batch,)"),
    (case("Shape", "h", start=2), "returns no size at all"),
    (case("Slice", "x", longs(0), longs(1), longs(0)), "across the texts"),
    (case("Slice", "x", longs(2), longs(2), longs(2)), "leaves nothing of the size 4"),
    (case("Slice", "x", longs(0), longs(9), longs(1)), "place 9 may be outside the size time"),
    (case("Slice", "x", longs(1), longs(2**40), longs(1)), "leaves nothing of the size time"),
    (case("Slice", "x", "lengths64", longs(9)), "does not follow from stored numbers and shapes"),
    (case("Slice", "x", longs(0), longs(1), longs(0, 1)), "do not fit each other"),
    (case("Slice", "x", longs(0), np.array([1], np.int32)), "are of two types"),
    # what would depend on how many texts are in a batch, and how long the longest is
    (case("Cast", "sizes", to=1), "computes with the number of texts or steps in a batch"),
    (case("Gather", "sizes", "mask64"), "computes with the number of texts or steps"),
    (case("Mul", "time", "ids64"), "computes with the number of texts or steps"),
    (case("Less", "ids64", "time"), "computes with the number of texts or steps"),
    (case("Where", "mask", "time", long(0)), "computes with the number of texts or steps"),
    (case("Mul", "time", long(2**40)), "computes with the number of texts or steps"),
    # along a dimension
    *((case(f"Reduce{name}", "x", longs(0)), "across the texts") for name in REDUCING),
    *((case(f"Reduce{name}", "h", longs(2)), "axis 2 of 2") for name in REDUCING),
    *((case(f"Reduce{name}", "h"), "across the texts") for name in REDUCING),
    (case("ReduceSum", "x", axes=[1]), "its axes are an attribute, an input is needed"),
    (Case("ReduceMax", ["x", longs(1)], opset=13), "its axes are an input, an attribute is"),
    (case("ReduceMax", "x", longs(1), noop_with_empty_axes=2), "noop_with_empty_axes is (2,)"),
    (case("Softmax", "h", axis=0), "across the texts"),
    (case("LogSoftmax", "h", axis=0), "across the texts"),
    (case("Softmax", "h", axis=1.0), "attribute axis is not an integer"),
    (case("CumSum", "x", long(0)), "across the texts"),
    (case("CumSum", "x", "time"), "input 1 is not a stored number"),
    (case("BatchNormalization", "h", *(floats(3) for _ in range(4))), "input 1 has the shape (3,)"),
    (case("BatchNormalization", "h", *(floats(4) for _ in range(4)), training_mode=1), "training"),
    (case("BatchNormalization", "turned", *(floats(4) for _ in range(4))), "across the texts"),
    (case("InstanceNormalization", "channels", floats(3), floats(4)), "input 1 has the shape"),
    (case("InstanceNormalization", "turned", floats(4), floats(4)), "across the texts"),
    (case("LayerNormalization", "h", floats(3)), "its scale has the shape (3,)"),
    (case("LayerNormalization", "h", floats(4), floats(3)), "its bias has the shape (3,)"),
    (case("LayerNormalization", "h", floats(4), axis=0), "across the texts"),
    (case("LayerNormalization", "h", floats(4), ""), "its last input has an empty name"),
    (case("Clip", "h", ""), "its last input has an empty name"),
    # products
    (case("MatMul", "h", floats(5, 4)), "multiplies (batch, 4) by (5, 4)"),
    (case("MatMul", "channels", "turned"), "multiplies"),
    (case("MatMul", "h_turned", "h"), "across the texts"),
    (case("MatMul", "h", "h_turned"), "returns the shape (batch, batch)"),
    (case("Gemm", "h", floats(5, 4)), "multiplies (batch, 4) by (5, 4)"),
    (case("Gemm", "h", floats(4, 5), floats(4)), "do not fit"),
    (case("Gemm", "h", "h", transA=1), "across the texts"),
    (case("Gemm", "h", "h", transB=1), "returns the shape (batch, batch)"),
    (case("Gemm", "h", floats(4, 5), transA=2), "attribute transA is (2,)"),
    (case("Gemm", "h", floats(4, 5), alpha=np.inf), "attribute alpha is (inf,)"),
    (case("Conv", "channels", floats(3, 5, 1)), "filters (batch, 4, time) by (3, 5, 1)"),
    (case("Conv", "turned", floats(3, 4, 1)), "across the texts"),
    (case("Conv", "channels", floats(3, 4, 2)), "does not fit into the sizes (time,)"),
    (case("Conv", "channels", floats(3, 4, 1), floats(4)), "its bias has the shape (4,)"),
    (case("Conv", "channels", floats(3, 4, 1), strides=[0]), "attribute strides is (0,)"),
    (case("Conv", "channels", floats(3, 4, 1), strides=[1, 1]), "not 1 dimensions"),
    (case("Conv", "channels", floats(3, 4, 1), kernel_shape=[2]), "kernel_shape is (2,)"),
    (case("Conv", "channels", floats(3, 4, 1), group=3), "in 3 groups"),
    (case("Conv", "channels", floats(3, 4, 2), pads=[5, 0]), "pads by 5 for a window of 2"),
    (case("Conv", "channels", floats(3, 4, 1), auto_pad="SAME"), "attribute auto_pad is ('SAME'"),
    *(
        (case(name, "channels", **attributes), message)
        for name in ("MaxPool", "AveragePool")
        for attributes, message in (
            ({"kernel_shape": [0]}, "attribute kernel_shape is (0,)"),
            ({"kernel_shape": [2]}, "does not fit into the sizes (time,)"),
            ({"kernel_shape": [1, 1]}, "not 1 dimensions"),
            ({"kernel_shape": [1], "ceil_mode": 1}, "attribute ceil_mode is (1,)"),
            ({}, "attribute kernel_shape is missing"),
            (
                {"kernel_shape": [2**20], "auto_pad": "SAME_UPPER", "wrong": 1},
                "attributes ['wrong'] are not allowed",
            ),
        )
    ),
    (case("MaxPool", "h", kernel_shape=[1]), "pools the shape (batch, 4)"),
    (case("AveragePool", "turned", kernel_shape=[1]), "across the texts"),
    (case("GlobalMaxPool", "turned"), "across the texts"),
    (case("GlobalAveragePool", "turned"), "across the texts"),
    (case("GlobalAveragePool", "h"), "pools the shape (batch, 4)"),
    *_layers(),
    # 8-bit twins
    (Case("DynamicQuantizeLinear", ["x"], outputs=3), "which only int8 may"),
    (case("QuantizeLinear", "x", floats(3), axis=2), "its scale has the shape (3,)"),
    (case("QuantizeLinear", "x", TWO, bytes_(1)), "its zero point has the shape (1,)"),
    (case("QuantizeLinear", "h", floats(4), axis=0), "across the texts"),
    (case("DequantizeLinear", bytes_(3, 4), floats(3), axis=1), "its scale has the shape (3,)"),
    (case("DequantizeLinear", bytes_(3), TWO, np.array(1, np.uint8)), "of another type"),
    (case("MatMulInteger", "small", bytes_(5, 4)), "multiplies"),
    (case("MatMulInteger", "small", bytes_(4, 5), np.array(1, np.int8)), "of another type"),
    (case("MatMulInteger", "small", bytes_(4, 5), "", bytes_(4)), "b_zero_point has the shape"),
    (case("ConvInteger", "small_channels", bytes_(3, 5, 2)), "filters"),
    (case("ConvInteger", "small_channels", bytes_(3, 4, 1), "", bytes_(3)), "w_zero_point has"),
    (Case(_LSTM8.operator, _LSTM8.inputs, _LSTM8.attributes, 3), "which only int8 may"),
    (changed(_LSTM8, 1, bytes_(1, 5, 12)), "input 1 has the shape (1, 5, 12)"),
    (changed(_LSTM8, 2, bytes_(1, 4, 12)), "input 2 has the shape (1, 4, 12)"),
    *((changed(_LSTM8, i, floats(1)), f"input {i} has the shape (1,)") for i in (8, 10)),
    *((changed(_LSTM8, i, NO[:, :1]), f"input {i} has the shape (1, 1)") for i in (9, 11)),
    *((changed(_LSTM8, i, ""), f"input {i} is left out") for i in (1, 2, 8, 9, 10, 11)),
    (changed(_LSTM8, 4, "token32"), "its lengths are not known to be at most time"),
    # no operator of ours
    *(
        (case(name, "x"), "is not one that a bundle may use")
        for name in ("Loop", "If", "Scan", "NonZero", "Unique", "Compress", "TopK", "Einsum")
    ),
    *(
        (case(name, "x"), "is not one that a bundle may use")
        for name in ("RandomNormalLike", "Bernoulli", "Resize", "SequenceEmpty", "StringNormalizer")
    ),
]
