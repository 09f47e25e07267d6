"""What the user's model computes, as plain values: layers, their fields and their weights.

Whoever reads a model file returns an `Architecture`; whoever builds a graph or a Keras model takes
one. Nothing here knows a file format, and nothing imports Keras.

The kinds of layers, their fields and their weights (shapes behind the names):

| kind | fields | weights |
|---|---|---|
| Embedding | mask_zero | table (ids, units) |
| LSTM | RECURRENT | kernel (in, 4 units), recurrent (units, 4 units), bias (4 units) |
| GRU | RECURRENT, reset_after | kernel (in, 3 units), recurrent, bias (2, 3 units) or (3 units) |
| SimpleRNN | RECURRENT without recurrent_activation | kernel (in, units), recurrent, bias (units) |
| Bidirectional | merge_mode (concat, sum, mul, ave), layer | the forward layer's, the backward's |
| Conv1D | CONVOLUTION | kernel (kernel_size, in, filters), bias (filters) |
| Dense | units, activation, use_bias | kernel (in, units), bias (units) |
| BatchNormalization | epsilon, center, scale | gamma if scale, beta if center, mean, variance |
| LayerNormalization | epsilon, center, scale | gamma if scale, beta if center |
| MaxPooling1D, AveragePooling1D | pool_size, strides, padding (valid, same) | |
| GlobalMaxPooling1D, GlobalAveragePooling1D | keepdims | |
| Flatten | | |
| Activation | activation | |
| ReLU | max_value (or None), negative_slope, threshold | |
| LeakyReLU | negative_slope | |
| ELU | alpha | |
| PReLU | | alpha, broadcast against the input without its batch |
| Softmax (over the last axis) | | |
| Concatenate | axis, counted from the end: -1, -2 | |
| Add, Subtract, Multiply, Average, Maximum, Minimum | | |

RECURRENT: units, activation, recurrent_activation, use_bias, return_sequences, go_backwards,
zero_output_for_mask. CONVOLUTION: filters, kernel_size, strides, padding (valid, same, causal),
dilation_rate, activation, use_bias. Without use_bias the bias is
absent. The field `layer` of Bidirectional holds the fields of the forward layer and its `kind`;
the backward layer is the same, read from the other end. Normalizations are over the last axis. What
computes nothing when a model answers (dropout, noise, regularization) is not among the layers;
CuDNNLSTM and CuDNNGRU are LSTM and GRU; a Dense in TimeDistributed is a Dense; a layer used twice
is there twice, with the same arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What a field `activation` or `recurrent_activation` can be; leaky_relu has the slope 0.2, and gelu
# is the exact one.
ACTIVATIONS = (
    "linear",
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "softmax",
    "log_softmax",
    "sigmoid",
    "tanh",
    "exponential",
    "hard_sigmoid_keras2",  # clip(0.2 x + 0.5, 0, 1)
    "hard_sigmoid_keras3",  # relu6(x + 3) / 6
)


@dataclass(frozen=True)
class Input:
    """An input of a model: ids of shape (batch, length), where None is any length."""

    name: str
    length: int | None


@dataclass(frozen=True)
class TextLayer:
    """A TextVectorization: how it makes ids of texts.

    `lower`: A to Z become lower case; `strips`: ASCII punctuation disappears. `function` is the
    name of a function of the user's that does something else before, whose code no file holds.
    Ids are cut and padded on the right to `length`, if it is not None. `words` are those of the ids
    from 0 on, padding and OOV_TOKEN first; None: the file does not hold them.
    """

    name: str
    lower: bool
    strips: bool
    function: str | None
    length: int | None
    words: tuple[str, ...] | None


OOV_TOKEN = "[UNK]"
"""What a TextVectorization calls the word of id 1, which out-of-vocabulary words become."""


@dataclass(frozen=True)
class Layer:
    """One layer: what it computes from the outputs of which others.

    `fields` holds everything that changes the answer, checked, with the defaults of the Keras that
    wrote the file. `weights` stand in the order of Keras 3's `get_weights()`. A layer of a nested
    model is named "outer/inner", the second use of a shared one "name@2".
    """

    name: str
    kind: str
    fields: Mapping[str, Any]
    inputs: tuple[str, ...]
    weights: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True)
class Architecture:
    """A whole model, its layers in topological order; the answer is what layer `output` returns.

    `from_logits` is what the compile configuration says of the answer, None where it says nothing.
    `notes` are sentences that the user must read.
    """

    inputs: tuple[Input, ...]
    layers: tuple[Layer, ...]
    output: str
    keras_version: str
    from_logits: bool | None = None
    loss: str | None = None  # its name in Keras, where the file says it
    text_layer: TextLayer | None = None  # that made the ids which are the one input now
    notes: tuple[str, ...] = ()


def with_article(class_name: str) -> str:
    """Return the name of a class of Keras as a sentence has it: "an LSTM", "a GRU"."""
    is_spelled = class_name.startswith(("LSTM", "RNN"))
    sounds_open = class_name[0] in "AEIOU" and not class_name.startswith("Unit")
    return f"{'an' if is_spelled or sounds_open else 'a'} {class_name}"
