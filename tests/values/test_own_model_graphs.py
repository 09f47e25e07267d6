"""That the graph of somebody's Keras model answers as Keras does, whatever it is made of."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers
from numpy.typing import NDArray
from own_models import (
    IDS,
    LENGTH,
    functional,
    padded,
    read_back,
    sequences,
    sequential,
    with_random_weights,
)
from sentido_bundle import Inputs, Layout, Padding, Truncation
from sentido_bundle.graphs import BATCH, TIME, Shape, check_graph
from sentido_bundle.layouts import layout_of
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Architecture
from sentido_export.imported.graph.build import Built, build_fixed, gives_steps, reads_padding
from sentido_export.imported.graph.short import NeedsPadding, build_short
from sentido_export.imported.head import Head, find_head
from sentido_export.imported.model_file.read import understood
from sentido_export.imported.rebuilt import Rebuilt
from sentido_export.imported.same_bits import gives_same_bits

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning")

Make = Callable[[bool], keras.Model]
Floats = NDArray[np.float32]

_TEXTS = sequences([*range(LENGTH + 2), 20, 12, 1, 3])


@keras.saving.register_keras_serializable()  # type: ignore[untyped-decorator]
def _hard_sigmoid(x: Any) -> Any:
    return keras.ops.clip(0.2 * x + 0.5, 0, 1)


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


_RECURRENT: dict[str, Make] = {
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
_MODELS: Mapping[str, Make] = {**_RECURRENT, **_OTHERS}
_CASES = [
    *((name, mask) for name in _RECURRENT for mask in (True, False)),
    *((name, "onvolution" not in name and "ooling" not in name) for name in _OTHERS),
    ("average", False),
]


def _run(built: Built, **inputs: NDArray[np.int32]) -> dict[str, Floats]:
    session = onnxruntime.InferenceSession(
        built.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return dict(zip(built.outputs, session.run(list(built.outputs), inputs), strict=True))


def _of_keras(model: keras.Model, ids: NDArray[np.int32]) -> Floats:
    """Let Keras answer; it divides by zero for the masked average of an empty text."""
    given = [ids] * len(model.inputs) if len(model.inputs) > 1 else ids
    found = np.asarray(model(given, training=False))
    return np.concatenate([1 - found, found], axis=1) if found.shape[1] == 1 else found


def _difference(found: Floats, wanted: Floats) -> float:
    """Return the largest difference, relative to numbers that are large."""
    assert np.isfinite(found).all()
    texts = np.flatnonzero(np.isfinite(wanted).all(axis=1))
    assert len(texts) >= len(wanted) - 1  # Keras divides by zero for an average of no step
    return float(np.abs(found - wanted)[texts].max() / max(1, np.abs(wanted[texts]).max()))


def _check_as_servers_do(built: Built, inputs: Mapping[str, Shape]) -> None:
    outputs: dict[str, Shape] = {name: (BATCH, size) for name, size in built.outputs.items()}
    model = built.model.SerializeToString()
    check_graph("model.onnx", model, b"", inputs, outputs, vocabulary=IDS, max_tokens=LENGTH)


def _short(head: Head, padding: Padding, length: int = LENGTH) -> Built | None:
    try:
        return build_short(head, length, padding).built
    except NeedsPadding:
        return None


def _run_short(built: Built, ids: NDArray[np.int32]) -> dict[str, Floats]:
    """Run a graph of real steps on padded ids, in batches whose longest texts differ."""
    _check_as_servers_do(built, {"token_ids": (BATCH, TIME), "lengths": (BATCH,)})
    texts = [row[row != 0] for row in ids]
    layout = layout_of(Inputs(Layout.LENGTHS, ids.shape[1], Truncation.PRE))
    parts = [
        _run(built, **layout.inputs(batch)) for batch in (texts[:1], texts[1:5], texts[5:]) if batch
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in built.outputs}


@pytest.mark.parametrize(("name", "mask"), _CASES)
def test_the_graph_of_any_model_answers_as_keras_on_either_side_of_padding(
    name: str, mask: bool
) -> None:
    model = with_random_weights(_MODELS[name](mask), 0.7)
    head = find_head(read_back(model))
    ids = {padding: padded(_TEXTS, padding) for padding in Padding}
    answers = np.split(_of_keras(model, np.concatenate(list(ids.values()))), 2)
    found = []
    for padding, wanted in zip(Padding, answers, strict=True):
        built = build_fixed(head, LENGTH, padding)
        _check_as_servers_do(built, {"token_ids": (BATCH, LENGTH)})
        found.append(_run(built, token_ids=ids[padding])["probabilities"])
        assert _difference(found[-1], wanted) <= 1e-5
        short = _short(head, padding)
        if short is not None:
            assert _difference(_run_short(short, ids[padding])["probabilities"], wanted) <= 1e-5
    not_cut = slice(0, LENGTH)  # longer ones are cut on the side on which they are padded
    sides_differ = _difference(found[0][not_cut], found[1][not_cut]) > 1e-5
    assert reads_padding(head, LENGTH) == sides_differ


@pytest.mark.parametrize(("name", "mask"), _CASES[:16:3])
def test_large_weights_change_nothing_about_that(name: str, mask: bool) -> None:
    model = with_random_weights(_MODELS[name](mask), 3.0)
    head, ids = find_head(read_back(model)), padded(_TEXTS, Padding.PRE)
    wanted, short = _of_keras(model, ids), _short(head, Padding.PRE)
    found = _run(build_fixed(head, LENGTH, Padding.PRE), token_ids=ids)
    assert _difference(found["probabilities"], wanted) <= 1e-5
    if short is not None:
        assert _difference(_run_short(short, ids)["probabilities"], wanted) <= 1e-5


@pytest.mark.parametrize(
    "name",
    [
        *("gru, reset before", "bidirectional lstm, mul", "zero output, flat", "average"),
        *("hard sigmoid of keras 3", "layers of activations", "normalizations", "a shared layer"),
        *("several embeddings", "convolution, pooling, lstm", "Maximum, both masked"),
    ],
)
def test_the_model_that_is_built_again_is_the_users_and_names_the_same_outputs(name: str) -> None:
    model = with_random_weights(_MODELS[name](True), 0.7)
    head, ids = find_head(read_back(model)), padded(_TEXTS, Padding.POST)
    again = Rebuilt(head, LENGTH).answer(ids)
    assert _difference(again["probabilities"], _of_keras(model, ids)) <= 1e-6
    found = _run(build_fixed(head, LENGTH, Padding.POST), token_ids=ids)
    assert _difference(found["hidden"], again["hidden"]) <= 1e-5
    assert _difference(found["logits"], again["logits"]) <= 1e-5
    assert _difference(found["probabilities"], again["probabilities"]) <= 1e-5


def test_an_average_of_no_words_is_zeros_in_both() -> None:
    model = with_random_weights(_MODELS["average"](True), 0.7)
    head, nothing = find_head(read_back(model)), np.zeros((1, LENGTH), np.int32)
    found = _run(build_fixed(head, LENGTH, Padding.POST), token_ids=nothing)
    again = Rebuilt(head, LENGTH).answer(nothing)
    assert np.isnan(_of_keras(model, nothing)).all()
    assert not again["hidden"].any()
    assert not found["hidden"].any()
    assert np.allclose(found["probabilities"], again["probabilities"], atol=1e-6)


def _with_gates(activation: Any) -> keras.Model:
    lstm = layers.LSTM(4, recurrent_activation=activation)
    return with_random_weights(sequential(layers.Bidirectional(lstm), mask=True), 0.7)


@pytest.mark.parametrize("mask", [True, False], ids=["masked", "unmasked"])
def test_an_average_is_the_same_bits_alone_and_in_a_batch(mask: bool) -> None:
    model = sequential(layers.GlobalAveragePooling1D(), mask=mask, length=100)
    head = find_head(read_back(with_random_weights(model, 0.7)))
    inputs = Inputs(Layout.FIXED, 100, Truncation.PRE, Padding.POST)
    built = build_fixed(head, 100, Padding.POST)
    assert gives_same_bits(built.model, inputs, IDS)


def test_the_hard_sigmoid_of_keras_2_is_another_one() -> None:
    model = _with_gates(_hard_sigmoid)
    architecture = read_back(_with_gates("hard_sigmoid"), keras_version="2.2.4")
    head, ids = find_head(architecture), padded(_TEXTS, Padding.PRE)
    found = _run(build_fixed(head, LENGTH, Padding.PRE), token_ids=ids)["probabilities"]
    wanted = _of_keras(model, ids)
    assert _difference(found, wanted) <= 1e-5
    assert _difference(Rebuilt(head, LENGTH).answer(ids)["probabilities"], wanted) <= 1e-6
    assert _difference(_of_keras(_with_gates("hard_sigmoid"), ids), wanted) > 1e-3


@pytest.mark.parametrize(
    "name", ["lstm", "gru, reset after", "gru, reset before", "lstm, backwards"]
)
def test_a_masked_lstm_or_gru_alone_gives_steps(name: str) -> None:
    assert gives_steps(find_head(read_back(_MODELS[name](True))))


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        *((name, True) for name in ("2 lstms", "average", "lstm, maximum", "zero output, last")),
        ("lstm", False),
    ],
)
def test_other_models_give_no_steps(name: str, mask: bool) -> None:
    assert not gives_steps(find_head(read_back(_MODELS[name](mask))))


def _ending(*ends: keras.layers.Layer) -> Architecture:
    *middle, last = ends
    return read_back(sequential(layers.GlobalMaxPooling1D(), *middle, mask=False, last=last))


@pytest.mark.parametrize(
    ("ends", "options", "activation", "labels"),
    [
        ([layers.Dense(1, activation="sigmoid")], {}, "sigmoid", 2),
        ([layers.Dense(1, activation="sigmoid")], {"task": "multi_label"}, "sigmoid", 1),
        ([layers.Dense(3, activation="softmax")], {}, "softmax", 3),
        ([layers.Dense(3, activation="sigmoid")], {"task": "single"}, "sigmoid", 3),
        ([layers.Dense(3, activation="sigmoid")], {"task": "multi_label"}, "sigmoid", 3),
        ([layers.Dense(1)], {"given": "sigmoid"}, "sigmoid", 2),
        ([layers.Dense(3)], {"given": "softmax"}, "softmax", 3),
        ([layers.Dense(3), layers.Activation("softmax")], {}, "softmax", 3),
        ([layers.Dense(3), layers.BatchNormalization(), layers.Softmax()], {}, "softmax", 3),
    ],
)
def test_the_last_activation_makes_probabilities_of_logits(
    ends: list[keras.layers.Layer], options: dict[str, str], activation: str, labels: int
) -> None:
    head = find_head(_ending(*ends), **options)
    assert (head.activation, head.label_count) == (activation, labels)
    ids = padded(_TEXTS, Padding.POST)
    found = _run(build_fixed(head, LENGTH, Padding.POST), token_ids=ids)
    again = Rebuilt(head, LENGTH).answer(ids)
    assert found["logits"].shape == found["probabilities"].shape == (len(_TEXTS), labels)
    assert _difference(found["probabilities"], again["probabilities"]) <= 1e-5
    assert _difference(found["logits"], again["logits"]) <= 1e-5
    logits = found["logits"]
    if activation == "softmax":
        wanted = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    else:
        wanted = 1 / (1 + np.exp(-logits))
    assert _difference(found["probabilities"], wanted) <= 1e-5


@pytest.mark.parametrize(
    ("units", "loss", "activation"),
    [
        (1, keras.losses.BinaryCrossentropy, "sigmoid"),
        (3, keras.losses.BinaryCrossentropy, "sigmoid"),
        (3, keras.losses.SparseCategoricalCrossentropy, "softmax"),
        (3, keras.losses.CategoricalCrossentropy, "softmax"),
    ],
)
def test_what_makes_probabilities_of_logits_is_known_by_the_loss(
    units: int, loss: type[keras.losses.Loss], activation: str
) -> None:
    model = sequential(layers.GlobalMaxPooling1D(), mask=True, last=layers.Dense(units))
    model.compile(loss=loss(from_logits=True))
    config = json.loads(model.to_json())
    config["compile_config"] = model.get_compile_config()
    architecture = understood({"model_config": json.dumps(config)}, "model").architecture
    task = "multi_label" if activation == "sigmoid" and units > 1 else None
    head = find_head(architecture, task)
    assert (head.activation, head.splits) == (activation, units == 1)


@pytest.mark.parametrize(
    ("ends", "options", "message"),
    [
        ([layers.Dense(1)], {}, "--head sigmoid or --head softmax"),
        ([layers.Dense(3, activation="sigmoid")], {}, "--task multi_label"),
        ([layers.Dense(1, activation="softmax")], {}, "a softmax of one unit"),
        ([layers.Dense(2, activation="relu")], {}, "the activation relu"),
        ([layers.Dense(2, activation="softmax")], {"task": "multi_label"}, "leave --task out"),
        ([layers.Dense(2, activation="softmax")], {"given": "sigmoid"}, "leave --head out"),
        ([layers.Dense(4), layers.Add()], {}, "ends in"),
    ],
)
def test_an_answer_that_is_no_probability_is_refused(
    ends: list[keras.layers.Layer], options: dict[str, str], message: str
) -> None:
    if isinstance(ends[-1], layers.Add):
        ids = keras.Input((LENGTH,))
        pooled = layers.GlobalMaxPooling1D()(layers.Embedding(IDS, 3)(ids))
        merged = layers.Add()([layers.Dense(2)(pooled), layers.Dense(2)(pooled)])
        architecture = read_back(keras.Model(ids, merged))
    else:
        architecture = _ending(*ends)
    with pytest.raises(ExportError, match=message):
        find_head(architecture, **options)


def test_what_cannot_be_computed_is_refused_by_the_name_of_its_layer() -> None:
    gelu = sequential(layers.LSTM(3, activation="gelu", name="reader"), mask=False)
    with pytest.raises(ExportError, match="layer reader: the activation gelu"):
        build_fixed(find_head(read_back(gelu)), LENGTH, Padding.PRE)
    wide = sequential(layers.Conv1D(3, 5, name="window"), layers.Flatten(), mask=False)
    with pytest.raises(ExportError, match="layer window: it reads 5 steps at a time and gets 4"):
        build_fixed(find_head(read_back(wide)), 4, Padding.PRE)
    joined = functional(
        lambda vectors: layers.LSTM(3, name="reader")(
            layers.Concatenate(axis=1)([vectors, vectors])
        ),
        mask=True,
    )
    with pytest.raises(ExportError, match=r"layer reader: .*one behind the other"):
        build_fixed(find_head(read_back(joined)), LENGTH, Padding.PRE)
