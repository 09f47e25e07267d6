"""The operators that a graph may use, a row each: what goes in, which attributes, which rule.

An operator that is not here is refused, and so is an attribute or a type that its row does not
name. The rules are those of opset 13 to 21: https://onnx.ai/onnx/operators/.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sentido_bundle.graphs.attributes import (
    Attribute,
    Attributes,
    above_0,
    flag,
    number,
    numbers,
    one_of,
    only,
    tensor,
    whole,
    wholes,
    word,
    words,
)
from sentido_bundle.graphs.rules import (
    elementwise,
    indexing,
    layout,
    products,
    quantized,
    recurrent,
    reductions,
)
from sentido_bundle.graphs.step import Step
from sentido_bundle.graphs.values import (
    ANY,
    BOOL,
    EIGHT_BITS,
    FLOAT,
    INT8,
    INT32,
    INT64,
    INTEGERS,
    NUMBERS,
    DataType,
    Types,
    Value,
)

Rule = Callable[[Step], Value | list[Value]]


@dataclass(frozen=True)
class Operator:
    """One operator. `inputs` are the types that each input may have."""

    rule: Rule
    inputs: tuple[Types, ...]
    needed: int | None = None  # how many inputs a node has at least; None: all
    attributes: Attributes = field(default_factory=dict)
    repeats: bool = False  # whether there may be more inputs like the last one
    outputs: int = 1  # how many outputs a node has at most
    needed_outputs: int = 1
    shapes: tuple[int, ...] = ()  # inputs that only say a shape, which sizes of the batch may
    may_end_empty: bool = False  # whether the last inputs may be left out by an empty name
    since: int = 13  # opset
    span: tuple[float, float] | None = None  # what outputs are within, whatever goes in
    is_coarse: bool = False  # whether the texts of a batch share a scale: no same bits

    @property
    def least(self) -> int:
        """Return how many inputs a node has at least."""
        return len(self.inputs) if self.needed is None else self.needed


def _of_floats(**attributes: Attribute) -> Operator:
    """Return an operator that changes each float alone."""
    return Operator(elementwise.unary, (FLOAT,), attributes=attributes)


_WINDOW = {
    "auto_pad": word("NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
    "kernel_shape": wholes(None, 1, 1 << 20),
    "pads": wholes((), 0, 1 << 20),
    "strides": wholes((), 1, 1 << 20),
}
_DILATIONS = {"dilations": wholes((), 1, 1 << 20)}
_CONV: Attributes = {**_WINDOW, **_DILATIONS, "group": whole(1, 1, 1 << 20)}
_POOL: Attributes = {**_WINDOW, "kernel_shape": wholes(least=1, most=1 << 20), "ceil_mode": only(0)}
_LAYER: Attributes = {
    "activation_alpha": numbers(),
    "activation_beta": numbers(),
    "activations": words(
        None,
        *("Affine", "Elu", "HardSigmoid", "LeakyRelu", "Relu", "ScaledTanh", "Sigmoid"),
        *("Softplus", "Softsign", "Tanh", "ThresholdedRelu"),
    ),
    "clip": above_0(),
    "direction": word("forward", "forward", "reverse", "bidirectional"),
    "hidden_size": whole(least=1, most=1 << 16),
    "layout": only(0),
}
_RECURRENT = (FLOAT, FLOAT, FLOAT, FLOAT, INT32, FLOAT)
_AXIS = {"axis": whole()}
_REDUCED = {"axes": wholes(None, -8, 7), "keepdims": flag(1), "noop_with_empty_axes": flag()}
_ARITHMETIC = Operator(elementwise.arithmetic, (NUMBERS, NUMBERS))
_COMPARED = Operator(elementwise.compared, (NUMBERS, NUMBERS))
_LOGICAL = Operator(elementwise.compared, (BOOL, BOOL))
_EXTREME = Operator(elementwise.extremes, (NUMBERS,), repeats=True)
_REDUCTION = Operator(reductions.reduce, (NUMBERS, INT64), 1, _REDUCED)
_ARG = Operator(
    indexing.arg_extreme,
    (NUMBERS,),
    attributes={"axis": whole(0), "keepdims": flag(1), "select_last_index": flag()},
)

DYNAMIC_QUANTIZE_LSTM = "com.microsoft.DynamicQuantizeLSTM"

OPERATORS: Mapping[str, Operator] = {
    # each element alone
    "Abs": Operator(elementwise.unary, (NUMBERS,)),
    "Cast": Operator(elementwise.cast, (ANY,), attributes={"to": one_of(*DataType)}),
    "Ceil": _of_floats(),
    "Celu": Operator(elementwise.composed, (FLOAT,), attributes={"alpha": number(1.0)}),
    "Clip": Operator(elementwise.clip, (NUMBERS, NUMBERS, NUMBERS), 1),
    "Cos": _of_floats(),
    "Dropout": Operator(
        reductions.dropout, (FLOAT, FLOAT, BOOL), 1, {"seed": whole(0, -(2**63), 2**63 - 1)}
    ),
    "Elu": _of_floats(alpha=number(1.0)),
    "Erf": _of_floats(),
    "Exp": _of_floats(),
    "Floor": _of_floats(),
    "Gelu": Operator(
        elementwise.unary,
        (FLOAT,),
        attributes={"approximate": word("none", "none", "tanh")},
        since=20,
    ),
    "HardSigmoid": Operator(
        elementwise.unary,
        (FLOAT,),
        attributes={"alpha": number(0.2), "beta": number(0.5)},
        span=(0.0, 1.0),
    ),
    "HardSwish": Operator(elementwise.composed, (FLOAT,), since=14),
    "Identity": Operator(elementwise.unchanged, (ANY,)),
    "IsNaN": Operator(elementwise.is_nan, (FLOAT,)),
    "LeakyRelu": _of_floats(alpha=number(0.01)),
    "Log": _of_floats(),
    "Mish": Operator(elementwise.composed, (FLOAT,), since=18),
    "Neg": Operator(elementwise.unary, (NUMBERS,)),
    "Not": Operator(elementwise.negated, (BOOL,)),
    "Reciprocal": _of_floats(),
    "Relu": Operator(elementwise.unary, (FLOAT,)),
    "Round": _of_floats(),
    "Selu": _of_floats(alpha=number(1.6732632), gamma=number(1.0507010)),
    "Sigmoid": Operator(elementwise.unary, (FLOAT,), span=(0.0, 1.0)),
    "Sign": Operator(elementwise.unary, (NUMBERS,)),
    "Sin": _of_floats(),
    "Softplus": _of_floats(),
    "Softsign": _of_floats(),
    "Sqrt": _of_floats(),
    "Tanh": _of_floats(),
    "ThresholdedRelu": _of_floats(alpha=number(1.0)),
    # elements at the same place
    "Add": _ARITHMETIC,
    "And": _LOGICAL,
    "Div": _ARITHMETIC,
    "Equal": Operator(elementwise.compared, (NUMBERS | BOOL, NUMBERS | BOOL)),
    "Greater": _COMPARED,
    "GreaterOrEqual": _COMPARED,
    "Less": _COMPARED,
    "LessOrEqual": _COMPARED,
    "Max": _EXTREME,
    "Mean": Operator(elementwise.extremes, (FLOAT,), repeats=True),
    "Min": _EXTREME,
    "Mod": Operator(elementwise.arithmetic, (INTEGERS, INTEGERS), attributes={"fmod": only(0)}),
    "Mul": _ARITHMETIC,
    "Or": _LOGICAL,
    "PRelu": Operator(elementwise.sloped, (FLOAT, FLOAT)),
    "Pow": Operator(elementwise.combined, (FLOAT, FLOAT)),
    "Sub": _ARITHMETIC,
    "Sum": Operator(elementwise.combined, (FLOAT,), repeats=True),
    "Where": Operator(elementwise.where, (BOOL, NUMBERS, NUMBERS)),
    "Xor": _LOGICAL,
    # elements put elsewhere
    "Concat": Operator(layout.concat, (ANY,), attributes=_AXIS, repeats=True),
    "Expand": Operator(layout.expand, (ANY, INT64), shapes=(1,)),
    "Flatten": Operator(layout.flatten, (ANY,), attributes={"axis": whole(1)}),
    "Pad": Operator(
        layout.pad,
        (NUMBERS, INT64, NUMBERS, INT64),
        2,
        {"mode": word("constant", "constant")},
    ),
    "Reshape": Operator(
        layout.reshape, (ANY, INT64), attributes={"allowzero": only(0)}, shapes=(1,)
    ),
    "Split": Operator(
        layout.split,
        (ANY, INT64),
        1,
        {"axis": whole(0), "num_outputs": whole(None, 1, 64)},
        outputs=64,
    ),
    "Squeeze": Operator(layout.squeeze, (ANY, INT64), 1),
    "Tile": Operator(layout.tile, (ANY, INT64), shapes=(1,)),
    "Transpose": Operator(layout.transpose, (ANY,), attributes={"perm": wholes(None, 0, 7)}),
    "Unsqueeze": Operator(layout.unsqueeze, (ANY, INT64)),
    # elements picked, tensors made of shapes
    "ArgMax": _ARG,
    "ArgMin": _ARG,
    "Constant": Operator(indexing.constant, (), attributes={"value": tensor()}),
    "ConstantOfShape": Operator(
        indexing.constant_of_shape, (INT64,), attributes={"value": tensor(None)}, shapes=(0,)
    ),
    "Gather": Operator(indexing.gather, (ANY, INTEGERS), attributes={"axis": whole(0)}),
    "GatherElements": Operator(
        indexing.gather_elements, (ANY, INTEGERS), attributes={"axis": whole(0)}
    ),
    "GatherND": Operator(
        indexing.gather_nd, (ANY, INT64), attributes={"batch_dims": whole(0, 0, 7)}
    ),
    "OneHot": Operator(indexing.one_hot, (INT64, INT64, FLOAT), attributes={"axis": whole(-1)}),
    "Range": Operator(indexing.range_, (INTEGERS, INTEGERS, INTEGERS), shapes=(1,)),
    "ReverseSequence": Operator(
        indexing.reverse_sequence,
        (NUMBERS, INT64),
        attributes={"batch_axis": whole(1, 0, 1), "time_axis": whole(0, 0, 1)},
    ),
    "Shape": Operator(indexing.shape, (ANY,), attributes={"start": whole(0), "end": whole(None)}),
    "Slice": Operator(indexing.slice_, (ANY, *4 * (INTEGERS,)), 3, shapes=(1, 2)),
    # along a dimension
    "BatchNormalization": Operator(
        reductions.batch_normalization,
        (FLOAT,) * 5,
        attributes={
            "epsilon": number(1e-5),
            "momentum": number(0.9),
            "training_mode": only(0),
        },
    ),
    "CumSum": Operator(
        reductions.cumsum,
        (NUMBERS, INTEGERS),
        attributes={"exclusive": flag(), "reverse": flag()},
    ),
    "InstanceNormalization": Operator(
        reductions.instance_normalization,
        (FLOAT,) * 3,
        attributes={"epsilon": number(1e-5)},
    ),
    "LayerNormalization": Operator(
        reductions.layer_normalization,
        (FLOAT,) * 3,
        2,
        {"axis": whole(-1), "epsilon": number(1e-5), "stash_type": only(1)},
        since=17,
    ),
    "LogSoftmax": Operator(reductions.softmax, (FLOAT,), attributes={"axis": whole(-1)}),
    "Softmax": Operator(
        reductions.softmax, (FLOAT,), attributes={"axis": whole(-1)}, span=(0.0, 1.0)
    ),
    **{
        f"Reduce{name}": _REDUCTION
        for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum")
    },
    "ReduceSumSquare": _REDUCTION,
    # products
    "AveragePool": Operator(
        products.pool, (FLOAT,), attributes={**_POOL, "count_include_pad": flag()}
    ),
    "Conv": Operator(products.conv, (FLOAT,) * 3, 2, _CONV),
    "Gemm": Operator(
        products.gemm,
        (FLOAT,) * 3,
        2,
        {"alpha": number(1.0), "beta": number(1.0), "transA": flag(), "transB": flag()},
    ),
    "GlobalAveragePool": Operator(products.global_pool, (FLOAT,)),
    "GlobalMaxPool": Operator(products.global_pool, (FLOAT,)),
    "MatMul": Operator(products.matmul, (FLOAT, FLOAT)),
    "MaxPool": Operator(
        products.pool, (FLOAT,), attributes={**_POOL, **_DILATIONS, "storage_order": only(0)}
    ),
    # recurrent layers
    "GRU": Operator(
        recurrent.recurrent,
        _RECURRENT,
        3,
        {**_LAYER, "linear_before_reset": flag()},
        outputs=2,
        may_end_empty=True,
    ),
    "LSTM": Operator(
        recurrent.recurrent,
        (*_RECURRENT, FLOAT, FLOAT),
        3,
        {**_LAYER, "input_forget": only(0)},
        outputs=3,
        may_end_empty=True,
    ),
    "RNN": Operator(recurrent.recurrent, _RECURRENT, 3, _LAYER, outputs=2, may_end_empty=True),
    # 8-bit twins
    "ConvInteger": Operator(quantized.conv_integer, (EIGHT_BITS,) * 4, 2, _CONV),
    "DequantizeLinear": Operator(
        quantized.dequantize, (EIGHT_BITS, FLOAT, EIGHT_BITS), 2, {"axis": whole(1)}
    ),
    "DynamicQuantizeLinear": Operator(
        quantized.dynamic_quantize, (FLOAT,), outputs=3, needed_outputs=3, is_coarse=True
    ),
    DYNAMIC_QUANTIZE_LSTM: Operator(
        recurrent.quantized_lstm,
        (FLOAT, INT8, INT8, FLOAT, INT32, FLOAT, FLOAT, FLOAT, FLOAT, INT8, FLOAT, INT8),
        12,
        {**{k: v for k, v in _LAYER.items() if k != "layout"}, "input_forget": only(0)},
        outputs=3,
        is_coarse=True,
    ),
    "MatMulInteger": Operator(quantized.matmul_integer, (EIGHT_BITS,) * 4, 2),
    "QuantizeLinear": Operator(
        quantized.quantize, (FLOAT, FLOAT, EIGHT_BITS), 2, {"axis": whole(1)}
    ),
}
