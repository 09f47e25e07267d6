"""The table of layers: Keras' class names, and which of their fields change the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sentido_export.imported.model_file.fields import (
    Field,
    Version,
    activation,
    flag,
    integer,
    maybe,
    number,
    one_of,
)


@dataclass(frozen=True)
class Spec:
    """One class of Keras: the kind it is here, and what its configuration can say."""

    kind: str
    fields: Mapping[str, Field] = field(default_factory=dict)  # kept: they change the answer
    sizes: Mapping[str, Field] = field(default_factory=dict)  # only the shapes of arrays need them
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)  # the values that it can have
    ignored: frozenset[str] = frozenset()  # of training, or of how it is computed


def _recurrent_default(version: Version) -> str:
    return "hard_sigmoid_keras2" if version < (2, 3) else "sigmoid"


_CHANNELS = {"data_format": (None, "channels_last")}
_NORMALIZED = {
    "epsilon": Field(number, 1e-3),
    "center": Field(flag, True),
    "scale": Field(flag, True),
}
_POOLED = {
    "pool_size": Field(integer, 2),
    "strides": Field(maybe(integer), lambda _: None),
    "padding": Field(one_of("valid", "same"), "valid"),
}
_SIMPLE = {
    "units": Field(integer),
    "activation": Field(activation, "tanh"),
    "use_bias": Field(flag, True),
    "return_sequences": Field(flag, False),
    "go_backwards": Field(flag, False),
    "zero_output_for_mask": Field(flag, False),
}
_GATED = {**_SIMPLE, "recurrent_activation": Field(activation, _recurrent_default)}
_CUDNN = {
    **{name: _SIMPLE[name] for name in ("units", "return_sequences", "go_backwards")},
    "use_bias": Field(flag, True),
    "activation": Field(activation, "tanh"),
    "recurrent_activation": Field(activation, "sigmoid"),
    "zero_output_for_mask": Field(flag, False),
}
_RECURRENT_IGNORED = frozenset(
    (
        *("return_state", "unroll", "implementation", "use_cudnn", "num_constants"),
        *("dropout", "recurrent_dropout", "unit_forget_bias", "input_dim", "input_length"),
    )
)


def _recurrent(kind: str, fields: Mapping[str, Field], **more: Field) -> Spec:
    return Spec(kind, {**fields, **more}, ignored=_RECURRENT_IGNORED)


_NOTHING = Spec("")
_SLOPE = Field(number, 0.3, ("alpha",))

SPECS: Mapping[str, Spec] = {
    "Embedding": Spec(
        "Embedding",
        {"mask_zero": Field(flag, False)},
        {"input_dim": Field(integer), "output_dim": Field(integer)},
        ignored=frozenset({"input_length", "sparse"}),
    ),
    "LSTM": _recurrent("LSTM", _GATED),
    "GRU": _recurrent("GRU", _GATED, reset_after=Field(flag, False)),
    "SimpleRNN": _recurrent("SimpleRNN", _SIMPLE),
    "CuDNNLSTM": _recurrent("LSTM", _CUDNN),
    "CuDNNGRU": _recurrent("GRU", _CUDNN, reset_after=Field(flag, True)),
    "Conv1D": Spec(
        "Conv1D",
        {
            "filters": Field(integer),
            "kernel_size": Field(integer),
            "strides": Field(integer, 1),
            "padding": Field(one_of("valid", "same", "causal"), "valid"),
            "dilation_rate": Field(integer, 1),
            "activation": Field(activation, "linear"),
            "use_bias": Field(flag, True),
        },
        only={**_CHANNELS, "groups": (1, None), "rank": (1,)},
    ),
    "Dense": Spec(
        "Dense",
        {
            "units": Field(integer),
            "activation": Field(activation, "linear"),
            "use_bias": Field(flag, True),
        },
        ignored=frozenset({"input_dim"}),
    ),
    "BatchNormalization": Spec(
        "BatchNormalization",
        _NORMALIZED,
        ignored=frozenset({"axis", "momentum", "fused", "synchronized", "renorm_momentum"}),
    ),
    "LayerNormalization": Spec(
        "LayerNormalization",
        _NORMALIZED,
        ignored=frozenset({"axis"}),
    ),
    "MaxPooling1D": Spec("MaxPooling1D", _POOLED, only=_CHANNELS),
    "AveragePooling1D": Spec("AveragePooling1D", _POOLED, only=_CHANNELS),
    "GlobalMaxPooling1D": Spec(
        "GlobalMaxPooling1D", {"keepdims": Field(flag, False)}, only=_CHANNELS
    ),
    "GlobalAveragePooling1D": Spec(
        "GlobalAveragePooling1D", {"keepdims": Field(flag, False)}, only=_CHANNELS
    ),
    "Flatten": Spec("Flatten", only=_CHANNELS),
    "Activation": Spec("Activation", {"activation": Field(activation)}),
    "ReLU": Spec(
        "ReLU",
        {
            "max_value": Field(maybe(number), lambda _: None),
            "negative_slope": Field(number, 0.0),
            "threshold": Field(number, 0.0),
        },
    ),
    "ThresholdedReLU": Spec(
        "ReLU",
        {
            "max_value": Field(maybe(number), lambda _: None),
            "negative_slope": Field(number, 0.0),
            "threshold": Field(number, 1.0, ("theta",)),
        },
    ),
    "LeakyReLU": Spec("LeakyReLU", {"negative_slope": _SLOPE}),
    "ELU": Spec("ELU", {"alpha": Field(number, 1.0)}),
    "PReLU": Spec("PReLU", ignored=frozenset({"shared_axes"})),
    "Softmax": Spec("Softmax", ignored=frozenset({"axis"})),
    "Concatenate": Spec("Concatenate", ignored=frozenset({"axis"})),
    **{
        name: Spec(name)
        for name in ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
    },
    **dict.fromkeys(
        [
            "Dropout",
            "SpatialDropout1D",
            "GaussianNoise",
            "GaussianDropout",
            "AlphaDropout",
            "ActivityRegularization",
            "Identity",
        ],
        _NOTHING,
    ),
}
ALIASES = {
    "Convolution1D": "Conv1D",
    "MaxPool1D": "MaxPooling1D",
    "AvgPool1D": "AveragePooling1D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "UnifiedLSTM": "LSTM",
    "UnifiedGRU": "GRU",
}
MERGES = ("Concatenate", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
RECURRENT = ("LSTM", "GRU", "SimpleRNN")
POINTWISE = ("Dense", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax")  # each step alone

_OWN = "write it with layers that Keras brings, or serve the model with TensorFlow"
_UNKNOWN = "which Sentido does not compute"
_OF_ATTENTION = (
    "part of an attention, train the model with GlobalMaxPooling1D or GlobalAveragePooling1D in its"
    " place"
)
_ATTENTION = (
    f"{_UNKNOWN}: train the model with a recurrent layer, or with GlobalMaxPooling1D or"
    " GlobalAveragePooling1D, in its place"
)
_FUNCTION = "which calls a function of TensorFlow: use the layer of Keras that does the same"
REASONS = {  # why a class that Keras brings is refused, and what to do
    "Lambda": f"which holds Python code instead of what it computes: {_OWN}",
    "Masking": "which is for vectors: use Embedding(mask_zero=True)",
    "TextVectorization": (
        "which can only be the first layer, of the whole model: take it out of the model in which"
        " it is, and put it before that"
    ),
    "StringLookup": "which makes ids of words: save the model without it",
    "Hashing": "which makes ids of words: save the model without it",
    "Merge": "of Keras 1: load the model with Keras 2.2 and save it again",
    **dict.fromkeys(("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"), _FUNCTION),
    **dict.fromkeys(("Attention", "AdditiveAttention", "MultiHeadAttention"), _ATTENTION),
    **dict.fromkeys(("RepeatVector", "Permute", "Dot"), f"{_UNKNOWN}; if it is {_OF_ATTENTION}"),
}
_LAYER_OF = {  # of an operation: the layer that does the same
    **{name: name for name in ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Concatenate")},
    "Mean": "GlobalAveragePooling1D",
    "Max": "GlobalMaxPooling1D",
    **dict.fromkeys(("Relu", "Sigmoid", "Softmax", "Tanh", "Gelu", "Silu"), "Activation"),
}


def why_refused(class_name: str) -> str:
    """Return why a class of layers is refused, and what to do."""
    return REASONS.get(class_name, f"{_UNKNOWN}: train the model without it")


def why_refused_operation(name: str) -> str:
    """Return why an operation on tensors is refused, and the layer that does the same."""
    if name == "GetItem":  # x[:, -1]
        return f"{_UNKNOWN}: for the last step leave out return_sequences=True in the layer before"
    layer = _LAYER_OF.get(name)
    such = f", such as keras.layers.{layer}" if layer else ""
    return f"{_UNKNOWN}: use the layer of Keras that does the same{such}"
