"""Keras models as people bring them, with random weights, and what reads them back."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray
from sentido_export.imported.architecture import Architecture, Layer
from sentido_export.imported.model_file.read import understood

IDS, LENGTH = 20, 12

Ids = NDArray[np.int32]


def sequential(
    *middle: keras.layers.Layer,
    mask: bool,
    last: keras.layers.Layer | None = None,
    length: int | None = LENGTH,
) -> keras.Model:
    """Return Embedding, the given layers, and a Dense of one sigmoid or the given one."""
    return keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            layers.Embedding(IDS, 5, mask_zero=mask),
            *middle,
            last or layers.Dense(1, activation="sigmoid"),
        ]
    )


def functional(
    middle: Callable[..., Any], *, mask: bool, inputs: int = 1, length: int = LENGTH
) -> keras.Model:
    """Return a model whose middle takes the vectors of each input."""
    ids = [keras.Input((length,), dtype="int32") for _ in range(inputs)]
    vectors = [layers.Embedding(IDS, 4, mask_zero=mask)(each) for each in ids]
    merged = middle(*vectors)
    return keras.Model(ids if inputs > 1 else ids[0], layers.Dense(3, activation="softmax")(merged))


def with_random_weights(model: keras.Model, scale: float, seed: int = 0) -> keras.Model:
    """Give every weight of a model a random value; a variance a positive one."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        values = [generator.normal(0, scale, weight.shape) for weight in layer.weights]
        layer.set_weights(
            [
                np.abs(value) if "variance" in weight.path else value
                for value, weight in zip(values, layer.weights, strict=True)
            ]
        )
    return model


def read_back(model: keras.Model, **facts: str) -> Architecture:
    """Return a model as the exporter reads it from its configuration, with its weights."""
    architecture = understood({"model_config": model.to_json(), **facts}, "model").architecture
    filled = tuple(replace(one, weights=_weights(model, one)) for one in architecture.layers)
    return replace(architecture, layers=filled)


def _weights(model: keras.Model, layer: Layer) -> tuple[NDArray[np.float32], ...]:
    found: Any = model
    for part in layer.name.split("/"):
        found = found.get_layer(part.partition("@")[0])
    return tuple(found.get_weights())


def sequences(lengths: Sequence[int], seed: int = 0) -> list[Ids]:
    """Return random ids of texts of these lengths."""
    generator = np.random.default_rng(seed)
    return [generator.integers(1, IDS, length).astype(np.int32) for length in lengths]


def padded(texts: Sequence[Ids], padding: str, length: int = LENGTH) -> Ids:
    """Return ids as Keras pads and truncates them on one side."""
    ids: Ids = keras.utils.pad_sequences(
        texts, length, padding=padding, truncating=padding, dtype="int32"
    )
    return ids
