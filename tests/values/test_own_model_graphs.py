"""That the graph of somebody's Keras model answers as Keras does, whatever it is made of."""

import json
import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers
from numpy.typing import NDArray
from own_model_cases import CASES, MODELS, TEXTS
from own_models import (
    IDS,
    LENGTH,
    functional,
    padded,
    read_back,
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

Floats = NDArray[np.float32]


@keras.saving.register_keras_serializable()  # type: ignore[untyped-decorator]
def _hard_sigmoid(x: Any) -> Any:
    return keras.ops.clip(0.2 * x + 0.5, 0, 1)


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


@pytest.mark.parametrize(("name", "mask"), CASES)
def test_the_graph_of_any_model_answers_as_keras_on_either_side_of_padding(
    name: str, mask: bool
) -> None:
    model = with_random_weights(MODELS[name](mask), 0.7)
    head = find_head(read_back(model))
    ids = {padding: padded(TEXTS, padding) for padding in Padding}
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


@pytest.mark.parametrize(("name", "mask"), CASES[:16:3])
def test_large_weights_change_nothing_about_that(name: str, mask: bool) -> None:
    model = with_random_weights(MODELS[name](mask), 3.0)
    head, ids = find_head(read_back(model)), padded(TEXTS, Padding.PRE)
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
    model = with_random_weights(MODELS[name](True), 0.7)
    head, ids = find_head(read_back(model)), padded(TEXTS, Padding.POST)
    again = Rebuilt(head, LENGTH).answer(ids)
    assert _difference(again["probabilities"], _of_keras(model, ids)) <= 1e-6
    found = _run(build_fixed(head, LENGTH, Padding.POST), token_ids=ids)
    assert _difference(found["hidden"], again["hidden"]) <= 1e-5
    assert _difference(found["logits"], again["logits"]) <= 1e-5
    assert _difference(found["probabilities"], again["probabilities"]) <= 1e-5


def test_an_average_of_no_words_is_zeros_in_both() -> None:
    model = with_random_weights(MODELS["average"](True), 0.7)
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
    head, ids = find_head(architecture), padded(TEXTS, Padding.PRE)
    found = _run(build_fixed(head, LENGTH, Padding.PRE), token_ids=ids)["probabilities"]
    wanted = _of_keras(model, ids)
    assert _difference(found, wanted) <= 1e-5
    assert _difference(Rebuilt(head, LENGTH).answer(ids)["probabilities"], wanted) <= 1e-6
    assert _difference(_of_keras(_with_gates("hard_sigmoid"), ids), wanted) > 1e-3


@pytest.mark.parametrize(
    "name", ["lstm", "gru, reset after", "gru, reset before", "lstm, backwards"]
)
def test_a_masked_lstm_or_gru_alone_gives_steps(name: str) -> None:
    assert gives_steps(find_head(read_back(MODELS[name](True))))


@pytest.mark.parametrize(
    ("name", "mask"),
    [
        *((name, True) for name in ("2 lstms", "average", "lstm, maximum", "zero output, last")),
        ("lstm", False),
    ],
)
def test_other_models_give_no_steps(name: str, mask: bool) -> None:
    assert not gives_steps(find_head(read_back(MODELS[name](mask))))


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
    ids = padded(TEXTS, Padding.POST)
    found = _run(build_fixed(head, LENGTH, Padding.POST), token_ids=ids)
    again = Rebuilt(head, LENGTH).answer(ids)
    assert found["logits"].shape == found["probabilities"].shape == (len(TEXTS), labels)
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
