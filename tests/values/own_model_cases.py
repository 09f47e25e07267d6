"""Models of every layer that can be imported, in each role that it has in a text classifier."""

import os
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
from keras import layers
from own_models import LENGTH, functional, sequences, sequential

Make = Callable[[bool], keras.Model]
"""What builds a model, masked or not."""

TEXTS = sequences([*range(LENGTH + 2), 20, 12, 1, 3])
"""Ids of texts of every length."""


def _of(*middle: Callable[[], keras.layers.Layer], **facts: Any) -> Make:
    return lambda mask: sequential(*(make() for make in middle), mask=mask, **facts)


def _joined(merge: type[keras.layers.Layer], masked: int) -> Make:
    """Merge two branches, of which the first has no mask where only one is `masked`."""

    def middle(vectors: Any) -> Any:
        first = layers.Conv1D(4, 1)(vectors) if masked == 1 else layers.Dense(4)(vectors)
        whole = merge()([first, layers.LSTM(4, return_sequences=True)(vectors)])
        ends = [layers.Flatten()(whole), layers.SimpleRNN(3)(whole)]
        return layers.Concatenate()(ends)

    return lambda mask: functional(middle, mask=mask)


def _convolutions(vectors: Any) -> Any:
    widths = [layers.Conv1D(4, size, activation="relu")(vectors) for size in (2, 3, 4)]
    return layers.Concatenate()([layers.GlobalMaxPooling1D()(each) for each in widths])


def _two_readers(one: Any, other: Any) -> Any:
    return layers.Concatenate()([layers.LSTM(3)(one), layers.GlobalMaxPooling1D()(other)])


def _nested(mask: bool) -> keras.Model:
    inner = keras.Sequential([keras.Input((LENGTH, 5)), layers.Dense(4), layers.GRU(3)])
    return sequential(inner, mask=mask)


def _shared(mask: bool) -> keras.Model:
    twice = layers.Dense(4, activation="tanh")
    return functional(lambda vectors: layers.GlobalMaxPooling1D()(twice(twice(vectors))), mask=mask)


def _every(kind: type[keras.layers.Layer], units: int = 4, **facts: Any) -> Callable[[], Any]:
    return lambda: kind(units, return_sequences=True, **facts)


def _both(kind: type[keras.layers.Layer], mode: str, **facts: Any) -> Callable[[], Any]:
    return lambda: layers.Bidirectional(kind(4, **facts), merge_mode=mode)


RECURRENT: dict[str, Make] = {
    "lstm": _of(lambda: layers.LSTM(5)),
    "gru, reset after": _of(lambda: layers.GRU(5)),
    "gru, reset before": _of(lambda: layers.GRU(5, reset_after=False)),
    "simple rnn": _of(lambda: layers.SimpleRNN(5)),
    "simple rnn, relu": _of(lambda: layers.SimpleRNN(5, activation="relu")),
    "lstm, backwards": _of(lambda: layers.LSTM(5, go_backwards=True)),
    "2 lstms": _of(_every(layers.LSTM), lambda: layers.LSTM(3)),
    "2 simple rnns": _of(_every(layers.SimpleRNN), lambda: layers.SimpleRNN(3)),
    "lstm backwards, then lstm": _of(
        _every(layers.LSTM, go_backwards=True), lambda: layers.LSTM(3)
    ),
    "2 bidirectional": _of(
        _both(layers.GRU, "concat", return_sequences=True), _both(layers.LSTM, "concat")
    ),
    **{f"bidirectional lstm, {m}": _of(_both(layers.LSTM, m)) for m in ("sum", "mul", "ave")},
    "bidirectional, flat": _of(
        _both(layers.SimpleRNN, "ave", return_sequences=True), layers.Flatten
    ),
    "bidirectional, maximum": _of(
        _both(layers.LSTM, "mul", return_sequences=True), layers.GlobalMaxPooling1D
    ),
    "no biases": _of(
        _every(layers.LSTM, use_bias=False),
        lambda: layers.GRU(3, use_bias=False),
        lambda: layers.Dense(3, use_bias=False),
    ),
    "lstm, maximum": _of(_every(layers.LSTM), layers.GlobalMaxPooling1D),
    "gru, average": _of(_every(layers.GRU), layers.GlobalAveragePooling1D),
    "lstm, flat": _of(_every(layers.LSTM), layers.Flatten),
    "gru backwards, flat": _of(_every(layers.GRU, go_backwards=True), layers.Flatten),
    "simple rnn, flat": _of(_every(layers.SimpleRNN), layers.Flatten),
    "zero output, flat": _of(_every(layers.GRU, zero_output_for_mask=True), layers.Flatten),
    "zero output, last": _of(lambda: layers.LSTM(4, zero_output_for_mask=True)),
    "zero output, last backwards": _of(
        lambda: layers.LSTM(4, zero_output_for_mask=True, go_backwards=True)
    ),
    "hard sigmoid of keras 3": _of(lambda: layers.LSTM(4, recurrent_activation="hard_sigmoid")),
    **{
        f"{kind.__name__}, {name}": _of(
            lambda kind=kind, name=name: kind(4, activation=name)  # type: ignore[misc]
        )
        for kind, name in (
            (layers.LSTM, "softsign"),
            (layers.GRU, "elu"),
            (layers.SimpleRNN, "leaky_relu"),
            (layers.LSTM, "hard_sigmoid"),
            (layers.GRU, "softplus"),
            (layers.SimpleRNN, "linear"),
        )
    },
}
_OTHERS: dict[str, Make] = {
    "average": _of(layers.GlobalAveragePooling1D),
    "average, kept dimension": _of(
        lambda: layers.GlobalAveragePooling1D(keepdims=True), layers.Flatten
    ),
    "maximum, kept dimension": _of(
        lambda: layers.GlobalMaxPooling1D(keepdims=True), layers.Flatten
    ),
    "flat": _of(layers.Flatten, lambda: layers.Dense(4, activation="relu")),
    "convolution, maximum": _of(
        lambda: layers.Conv1D(4, 3, activation="relu"), layers.GlobalMaxPooling1D
    ),
    "convolution, pooling, lstm": _of(
        lambda: layers.Conv1D(4, 3, padding="same"), layers.MaxPooling1D, lambda: layers.LSTM(3)
    ),
    **{
        f"convolution {padding} of {size}, strides {strides}, dilation {dilation}": _of(
            lambda p=padding, n=size, s=strides, d=dilation: layers.Conv1D(  # type: ignore[misc]
                3, n, padding=p, strides=s, dilation_rate=d
            ),
            layers.Flatten,
        )
        for padding in ("valid", "same", "causal")
        for size, strides, dilation in ((4, 1, 1), (3, 2, 1), (2, 3, 1), (3, 1, 2))
    },
    **{
        f"{pooling.__name__} {padding} of {size}, strides {strides}": _of(
            lambda k=pooling, p=padding, n=size, s=strides: k(  # type: ignore[misc]
                n, strides=s, padding=p
            ),
            layers.Flatten,
        )
        for pooling in (layers.MaxPooling1D, layers.AveragePooling1D)
        for padding, size, strides in (("valid", 3, 2), ("same", 5, 3), ("same", 2, None))
    },
    "normalizations": _of(
        layers.BatchNormalization,
        lambda: layers.LayerNormalization(epsilon=0.1),
        lambda: layers.GRU(3),
        lambda: layers.BatchNormalization(center=False),
        lambda: layers.LayerNormalization(scale=False),
        lambda: layers.BatchNormalization(scale=False),
        lambda: layers.LayerNormalization(center=False),
    ),
    "dropout and noise": _of(
        lambda: layers.SpatialDropout1D(0.4),
        lambda: layers.GaussianNoise(0.3),
        lambda: layers.LSTM(4, dropout=0.2, recurrent_dropout=0.2),
        lambda: layers.Dropout(0.5),
    ),
    "activations of steps": _of(
        *(
            lambda name=name: layers.Dense(4, activation=name)
            for name in ("relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "softmax")
        ),
        layers.GlobalMaxPooling1D,
    ),
    "activations of texts": _of(
        layers.GlobalMaxPooling1D,
        *(
            lambda name=name: layers.Dense(4, activation=name)
            for name in ("mish", "softplus", "softsign", "hard_sigmoid", "log_softmax", "tanh")
        ),
        lambda: layers.Activation("exponential"),
    ),
    "layers of activations": _of(
        layers.ReLU,
        lambda: layers.Dense(4),
        lambda: layers.ReLU(max_value=3, negative_slope=0.1, threshold=0.5),
        lambda: layers.LeakyReLU(negative_slope=0.3),
        lambda: layers.ELU(alpha=0.7),
        layers.PReLU,
        lambda: layers.PReLU(shared_axes=[1]),
        layers.Flatten,
        lambda: layers.Dense(4),
        lambda: layers.ReLU(max_value=2),
        layers.PReLU,
    ),
    "dense of each step": _of(
        lambda: layers.TimeDistributed(layers.Dense(4, activation="relu")), lambda: layers.GRU(3)
    ),
    "several convolutions": lambda mask: functional(_convolutions, mask=mask),
    "several embeddings": lambda mask: functional(
        _two_readers,
        mask=mask,
        inputs=2,
    ),
    "texts one behind the other": lambda mask: functional(
        lambda vectors: layers.GlobalAveragePooling1D()(
            layers.Concatenate(axis=1)([vectors, vectors])
        ),
        mask=mask,
    ),
    "a nested model": _nested,
    "a shared layer": _shared,
    "softmax of 3": _of(lambda: layers.LSTM(4), last=layers.Dense(3, activation="softmax")),
    **{
        f"{merge.__name__}, {'one' if masked == 1 else 'both'} masked": _joined(merge, masked)
        for merge in (
            *(layers.Add, layers.Subtract, layers.Multiply, layers.Average),
            *(layers.Maximum, layers.Minimum, layers.Concatenate),
        )
        for masked in (1, 2)
    },
}
MODELS: Mapping[str, Make] = {**RECURRENT, **_OTHERS}
CASES = [
    *((name, mask) for name in RECURRENT for mask in (True, False)),
    *((name, "onvolution" not in name and "ooling" not in name) for name in _OTHERS),
    ("average", False),
]
