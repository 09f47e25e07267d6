"""The Keras model: Embedding -> LSTM -> Dense, with the mask and what only training needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sentido_bundle.layouts import pad

from sentido_export.errors import ExportError
from sentido_export.recipe import Recipe

Answers = Mapping[str, NDArray[np.float32]]
"""What a model says of some texts: by the name of the output, (texts, size) each."""


def set_seed(seed: int) -> None:
    """Make what follows the same on every run with this seed, on one machine.

    Raises ExportError if Keras was imported for another backend than TensorFlow.
    """
    if (backend := keras.backend.backend()) != "tensorflow":
        raise ExportError(
            f"Keras was imported to run on {backend}, TensorFlow is needed: set"
            " KERAS_BACKEND=tensorflow before it is imported"
        )
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


@dataclass(frozen=True)
class Layers:
    """The three layers that a bundle keeps, and the model that trains them."""

    model: keras.Model  # (batch, time) ids -> probabilities as the loss wants them
    embedding: keras.layers.Embedding
    lstm: keras.layers.LSTM
    dense: keras.layers.Dense

    @property
    def label_count(self) -> int:
        """The number of labels. One sigmoid stands for two."""
        return max(2, int(self.dense.units))

    def probabilities(self, hidden: Any) -> Any:
        """Give every label's probability: (batch, hidden) -> (batch, labels)."""
        output = self.dense(hidden)
        if self.dense.units > 1:
            return output  # a softmax
        return tf.concat([1 - output, output], axis=-1)  # the sigmoid is the second label's

    @cached_property
    def _run(self) -> Any:
        """The three layers as one function: (batch, time) ids -> hidden, probabilities."""

        @tf.function(  # type: ignore[untyped-decorator]
            input_signature=[tf.TensorSpec([None, None], tf.int32)]
        )
        def run(token_ids: Any) -> tuple[Any, Any]:
            vectors = self.embedding(token_ids)  # (batch, time, embedding)
            hidden = self.lstm(vectors, mask=self.embedding.compute_mask(token_ids))
            return hidden, self.probabilities(hidden)

        return run

    def answer(self, sequences: Sequence[NDArray[np.int32]]) -> Answers:
        """Let Keras, with its mask, answer: `probabilities` and `hidden`, a row per text."""
        hidden = np.empty((len(sequences), self.lstm.units), np.float32)
        probabilities = np.empty((len(sequences), self.label_count), np.float32)
        order = np.argsort([len(ids) for ids in sequences], kind="stable")
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            hidden[rows], probabilities[rows] = self._run(pad([sequences[i] for i in rows]))
        return {"probabilities": probabilities, "hidden": hidden}


class Held(keras.layers.Layer):  # type: ignore[misc]
    """An embedding that learns nothing of the ids that are given with its size added to them.

    What a network learns of some words in made sentences, it is to learn of all words like them: so
    these words' vectors come from real texts alone, as those of the others do.
    """

    def __init__(self, embedding: keras.layers.Embedding) -> None:
        super().__init__()
        self.embedding = embedding

    def call(self, ids: Any) -> Any:
        """See Keras."""
        size = self.embedding.input_dim
        held = ids >= size
        vectors = self.embedding(keras.ops.where(held, ids - size, ids))
        return keras.ops.where(held[..., None], keras.ops.stop_gradient(vectors), vectors)

    def compute_mask(self, ids: Any, previous: Any = None) -> Any:
        """See Keras."""
        return self.embedding.compute_mask(ids, previous)


WHOLE, PREFIXES = "whole", "prefixes"
"""What a model that is trained on prefixes gives: of the whole text, and behind each token."""


def in_training(layers: Layers, *, is_held: bool, with_prefixes: bool) -> keras.Model:
    """Return what trains the layers: (batch, time) ids -> probabilities as the loss wants them.

    `is_held`: some words' ids are marked (`Held`). `with_prefixes`: a dict of `WHOLE`, (batch,
    labels), and `PREFIXES`, (batch, time, labels).
    """
    if not is_held and not with_prefixes:
        return layers.model
    x = ids = keras.Input((None,), dtype="int32")
    for layer in layers.model.layers:
        if is_held and layer is layers.embedding:
            layer = Held(layer)
        if with_prefixes and layer is layers.lstm:
            layer = keras.layers.RNN(layer.cell, return_sequences=True)
        if with_prefixes and isinstance(layer, keras.layers.Dropout):
            layer = keras.layers.Dropout(layer.rate, noise_shape=(None, 1, None))
        x = layer(x)
    # Behind a text's end its last state is repeated.
    return keras.Model(ids, {WHOLE: x[:, -1], PREFIXES: x} if with_prefixes else x)


def build(recipe: Recipe, vocabulary_size: int, label_count: int) -> Layers:
    """Build an untrained model."""
    embedding = keras.layers.Embedding(
        vocabulary_size, recipe.dimensions, mask_zero=True, name="embedding"
    )
    lstm = keras.layers.LSTM(recipe.units, name="lstm")
    if label_count == 2:
        dense = keras.layers.Dense(1, activation="sigmoid", name="dense")
    else:
        dense = keras.layers.Dense(label_count, activation="softmax", name="dense")
    layers = [keras.Input((None,), dtype="int32", name="token_ids"), embedding]
    if recipe.spatial_dropout:
        layers.append(keras.layers.SpatialDropout1D(recipe.spatial_dropout))
    layers.append(lstm)
    if recipe.dropout:
        layers.append(keras.layers.Dropout(recipe.dropout))
    model = keras.Sequential([*layers, dense], name="sentido")
    return Layers(model, embedding, lstm, dense)
