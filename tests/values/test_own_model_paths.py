"""That somebody's model is computed without its padding where it can be, and answers as Keras does.

`test_own_model_graphs.py` holds each graph of every other model to Keras, too.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import onnxruntime
import pytest
from keras import layers
from numpy.typing import NDArray
from own_models import IDS, functional, read_back, sequences, sequential, with_random_weights
from random_architecture import random_architecture
from sentido_bundle import Inputs, Layout, Padding, Truncation
from sentido_bundle.graphs import BATCH, TIME, Shape, check_graph
from sentido_bundle.layouts import BatchLayout, Fixed, Ids, Lengths
from sentido_export.errors import ExportError
from sentido_export.imported.graph.build import reads_padding
from sentido_export.imported.graph.short import NeedsPadding, build_short
from sentido_export.imported.head import find_head
from sentido_export.imported.path import Path, choose_path
from sentido_export.imported.same_bits import gives_same_bits

LENGTH = 6
TEXTS = sequences([*range(LENGTH + 3), 20])

pytestmark = pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning")

Make = Callable[[bool], keras.Model]


def _of(*middle: Callable[[], keras.layers.Layer], length: int = LENGTH) -> Make:
    return lambda mask: sequential(*(make() for make in middle), mask=mask, length=length)


def _every(kind: type[keras.layers.Layer], **facts: Any) -> Callable[[], Any]:
    return lambda: kind(4, return_sequences=True, **facts)


def _both(kind: type[keras.layers.Layer], **facts: Any) -> Callable[[], Any]:
    return lambda: layers.Bidirectional(kind(4, return_sequences=True, **facts))


def _merged(merge: type[keras.layers.Layer], *ends: Callable[[], Any]) -> Make:
    """Merge an LSTM's steps with those of a Dense, which a mask passes through."""

    def middle(vectors: Any) -> Any:
        value = merge()([layers.LSTM(4, return_sequences=True)(vectors), layers.Dense(4)(vectors)])
        for end in ends:
            value = end()(value)
        return value

    return lambda mask: functional(middle, mask=mask, length=LENGTH)


def _pools(vectors: Any) -> Any:
    steps = layers.GRU(4, return_sequences=True)(layers.SpatialDropout1D(0.2)(vectors))
    pools = (layers.GlobalMaxPooling1D(), layers.GlobalAveragePooling1D())
    return layers.Concatenate()([*(pool(steps) for pool in pools), layers.LSTM(3)(steps)])


_MAXIMUM, _AVERAGE = layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D
_MODELS: dict[str, Make] = {
    "lstm": _of(lambda: layers.LSTM(4)),
    "3 layers": _of(_every(layers.LSTM), _every(layers.GRU), lambda: layers.SimpleRNN(4)),
    "dense between": _of(
        _every(layers.LSTM), lambda: layers.Dense(3, activation="relu"), lambda: layers.LSTM(3)
    ),
    "backwards": _of(lambda: layers.GRU(4, go_backwards=True)),
    "bidirectional": _of(_both(layers.LSTM), _MAXIMUM),
    "2 bidirectional": _of(_both(layers.GRU), _both(layers.SimpleRNN), _AVERAGE),
    "maximum": _of(_every(layers.LSTM), _MAXIMUM),
    "maximum of negative numbers": _of(
        _every(layers.LSTM),
        lambda: layers.Dense(4, activation="log_softmax"),
        lambda: layers.GlobalMaxPooling1D(keepdims=True),
        layers.Flatten,
    ),
    "maximum with zeros for padding": _of(_every(layers.GRU, zero_output_for_mask=True), _MAXIMUM),
    "last step or zeros for padding": _of(lambda: layers.LSTM(4, zero_output_for_mask=True)),
    "average": _of(_every(layers.SimpleRNN), _AVERAGE),
    "both pools and another layer": lambda mask: functional(_pools, mask=mask, length=LENGTH),
    "embeddings, average": _of(_AVERAGE),
    "embeddings, maximum": _of(lambda: layers.Dense(4, activation="tanh"), _MAXIMUM),
    "normalized embeddings": _of(layers.BatchNormalization, layers.LayerNormalization, _AVERAGE),
    "sum, maximum": _merged(layers.Add, _MAXIMUM),
    "product, average": _merged(layers.Multiply, _AVERAGE),
    "joined, lstm": _merged(layers.Concatenate, lambda: layers.LSTM(3)),
}

# the paths of a masked model, then of one without a mask: padded on the left, and on the right
_PATHS = {
    "lstm": ("masked", "masked", "states", "fixed"),
    "3 layers": ("masked", "masked", "states", "fixed"),
    "dense between": ("masked", "masked", "states", "fixed"),
    "backwards": ("masked", "masked", "fixed", "states"),
    "bidirectional": ("masked", "masked", "fixed", "fixed"),
    "2 bidirectional": ("masked", "masked", "fixed", "fixed"),
    "maximum": ("masked", "masked", "states", "fixed"),
    "maximum of negative numbers": ("masked", "masked", "states", "fixed"),
    "maximum with zeros for padding": ("masked", "masked", "states", "fixed"),
    "last step or zeros for padding": ("masked", "masked", "states", "fixed"),
    "average": ("masked", "masked", "states", "fixed"),
    "both pools and another layer": ("masked", "masked", "states", "fixed"),
    "embeddings, average": ("masked", "masked", "counted", "counted"),
    "embeddings, maximum": ("masked", "masked", "counted", "counted"),
    "normalized embeddings": ("masked", "masked", "counted", "counted"),
    "sum, maximum": ("masked", "fixed", "states", "fixed"),
    "product, average": ("masked", "fixed", "states", "fixed"),
    "joined, lstm": ("masked", "fixed", "states", "fixed"),
}


def _answer(
    path: Path, texts: Sequence[Ids], padding: Padding, truncation: Truncation
) -> NDArray[np.float32]:
    """Answer texts as a server does: looked into first, in batches of different lengths."""
    model = path.built.model.SerializeToString()
    outputs: dict[str, Shape] = {name: (BATCH, size) for name, size in path.built.outputs.items()}
    if path.layout is Layout.FIXED:
        layout: BatchLayout = Fixed(LENGTH, padding)
        inputs: dict[str, Shape] = {"token_ids": (BATCH, LENGTH)}
    else:
        layout, inputs = Lengths(), {"token_ids": (BATCH, TIME), "lengths": (BATCH,)}
    check_graph("model.onnx", model, b"", inputs, outputs, vocabulary=IDS, max_tokens=LENGTH)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    kept = slice(-LENGTH, None) if truncation is Truncation.PRE else slice(LENGTH)
    parts = [[text[kept] for text in part] for part in (texts[:1], texts[1:5], texts[5:])]
    answers = [session.run(["probabilities"], layout.inputs(part))[0] for part in parts]
    return np.concatenate(answers)


_CASES = [
    pytest.param(name, mask, id=f"{name}, {'masked' if mask else 'unmasked'}")
    for name in _MODELS
    for mask in (True, False)
    if mask or "bidirectional" not in name
]


@pytest.mark.parametrize(("name", "mask"), _CASES)
def test_a_model_takes_its_path_and_answers_as_keras_for_every_length_of_a_text(
    name: str, mask: bool
) -> None:
    model = with_random_weights(_MODELS[name](mask), 0.7)
    head = find_head(read_back(model))
    ways = list(product(Padding, Truncation))
    rows = [
        keras.utils.pad_sequences(TEXTS, LENGTH, padding=padding, truncating=truncation)
        for padding, truncation in ways
    ]
    answers = np.split(np.asarray(model(np.concatenate(rows), training=False)), len(ways))
    for (padding, truncation), wanted in zip(ways, answers, strict=True):
        path = choose_path(head, LENGTH, padding)
        assert path.name == _PATHS[name][2 * (not mask) + (padding is Padding.POST)], path.note
        found = _answer(path, TEXTS, padding, truncation)[:, -wanted.shape[1] :]
        known = np.isfinite(wanted).all(axis=1)  # not for the masked average of no word
        assert known[1:].all()
        assert np.abs(found - wanted)[known].max() <= 1e-5


@pytest.mark.parametrize(
    ("make", "mask", "reason"),
    [
        (
            _of(_every(layers.LSTM), layers.Flatten),
            True,
            "layer flatten.*, a Flatten, reads padded",
        ),
        (
            _of(_every(layers.LSTM), lambda: layers.Conv1D(3, 2, name="window"), _MAXIMUM),
            True,
            "layer window, a Conv1D, reads padded steps beside real ones",
        ),
        (_of(layers.PReLU, _AVERAGE), True, ", a PReLU, reads padded"),
        (_of(_every(layers.LSTM, go_backwards=True), _MAXIMUM), True, "from the last to the first"),
        (_merged(layers.Add, _MAXIMUM), True, "an Add, joins padded steps that repeat a real one"),
        (_of(lambda: layers.GRU(3, name="reader")), False, "layer reader has no mask and reads"),
        (_of(_both(layers.GRU), _MAXIMUM), False, "layer bidirectional.* has no mask and reads"),
    ],
    ids=[
        *("flat", "convolution", "slopes of steps", "backwards", "sum", "unmasked"),
        "unmasked bidirectional",
    ],
)
def test_where_padding_must_be_computed_it_is_said_which_layer_needs_it(
    make: Make, mask: bool, reason: str
) -> None:
    path = choose_path(find_head(read_back(make(mask))), LENGTH, Padding.POST)
    assert (path.name, path.layout) == ("fixed", Layout.FIXED)
    assert re.search(f"path fixed: every text costs 6 tokens, since .*{reason}", path.note)


def test_a_bidirectional_layer_whose_first_half_reads_backwards_needs_padding() -> None:
    architecture = read_back(_MODELS["bidirectional"](True))
    embedding, reader, *others = architecture.layers
    fields = {**reader.fields, "layer": {**reader.fields["layer"], "go_backwards": True}}
    turned = (embedding, replace(reader, fields=fields), *others)
    head = find_head(replace(architecture, layers=turned))
    assert "from the last to the first" in choose_path(head, LENGTH, Padding.PRE).note


def test_tables_that_are_too_large_or_hold_huge_numbers_are_not_made() -> None:
    head = find_head(read_back(with_random_weights(_MODELS["lstm"](False), 0.7)))
    rows, states, units = LENGTH + 1, 2, 4
    size = 4 * rows * states * units
    assert build_short(head, LENGTH, Padding.PRE, size).table_bytes == size
    with pytest.raises(NeedsPadding, match=f"tables of {size} bytes"):
        build_short(head, LENGTH, Padding.PRE, size - 1)
    growing = sequential(layers.SimpleRNN(4, activation="relu"), mask=False, length=LENGTH)
    head = find_head(read_back(with_random_weights(growing, 100)))
    path = choose_path(head, LENGTH, Padding.PRE)
    assert "the numbers that come of padding grow too large" in path.note


@pytest.mark.parametrize("mask", [True, False], ids=["masked", "unmasked"])
@pytest.mark.parametrize("name", ["embeddings, average", "both pools and another layer"])
def test_a_text_gives_the_same_bits_on_any_path(name: str, mask: bool) -> None:
    model = with_random_weights(_MODELS[name](mask), 0.7)
    path = choose_path(find_head(read_back(model)), 100, Padding.PRE)
    assert gives_same_bits(path.built.model, Inputs(path.layout, 100, Truncation.PRE), IDS)


def test_the_path_that_computes_padding_can_be_asked_for() -> None:
    head = find_head(read_back(_MODELS["lstm"](True)))
    assert choose_path(head, LENGTH, Padding.PRE, is_fixed=True).name == "fixed"


def test_models_of_random_layers_answer_on_their_path_as_where_padding_is_computed(
    pytestconfig: pytest.Config,
) -> None:
    taken = Counter[str]()
    for seed in range(pytestconfig.getoption("--random-graphs")):
        try:
            head = find_head(random_architecture(seed, IDS, LENGTH))
            reads_padding(head, LENGTH)
        except ExportError:  # two masks that are not one
            continue
        for padding in Padding:
            path = choose_path(head, LENGTH, padding)
            taken[path.name] += 1
            if path.layout is Layout.LENGTHS:
                fixed = choose_path(head, LENGTH, padding, is_fixed=True)
                found, wanted = (
                    _answer(one, TEXTS, padding, Truncation.PRE) for one in (path, fixed)
                )
                assert np.abs(found - wanted).max() <= 1e-5, f"seed {seed}, {padding}"
    assert {"fixed", "masked"} <= set(taken)
