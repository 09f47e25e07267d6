"""Training and evaluation, in batches of texts of near length, so that little padding is computed."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sentido_bundle import Tokenizer

from sentido_export.data import Dataset, Split
from sentido_export.model import Layers, pad
from sentido_export.recipe import Recipe

_JITTER = 0.1  # texts this much longer or shorter may meet in a batch
_Batch = tuple[NDArray[np.int32], NDArray[np.int32]]  # ids (batch, time) and labels (batch,)

_EVALUATED = 64  # texts a batch when nothing is trained
_PATIENCE = 2  # epochs without a better validation loss before training stops


@dataclass(frozen=True)
class Encoded:
    """A data set as ids."""

    sequences: list[NDArray[np.int32]]  # (tokens,) each
    labels: NDArray[np.int32]  # (texts,)


def encode(tokenizer: Tokenizer, data: Dataset) -> Encoded:
    """Turn every text into the ids that the model reads."""
    return Encoded([tokenizer.encode(text).ids for text in data.texts], data.labels)


def train(layers: Layers, tokenizer: Tokenizer, split: Split, recipe: Recipe, seed: int) -> int:
    """Train the model in place; return the number of the epoch whose weights it has, from 1.

    After each epoch the validation loss is taken; the weights with the lowest are kept.
    """
    train_set, validation_set = encode(tokenizer, split.train), encode(tokenizer, split.validation)
    steps = math.ceil(len(train_set.sequences) / recipe.batch_size)
    rate = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate,
        decay_steps=steps * recipe.epochs,
        alpha=recipe.final_learning_rate / recipe.learning_rate,
    )
    layers.model.compile(
        optimizer=keras.optimizers.Adam(rate),
        loss="binary_crossentropy" if layers.dense.units == 1 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    stopping = keras.callbacks.EarlyStopping(
        monitor="val_loss", patience=_PATIENCE, restore_best_weights=True
    )
    generator = np.random.default_rng(seed)
    layers.model.fit(
        _dataset(lambda: _training_batches(train_set, recipe, generator), steps),
        epochs=recipe.epochs,
        validation_data=_dataset(
            lambda: _batches_by_length(validation_set), math.ceil(len(split.validation) / _EVALUATED)
        ),
        callbacks=[stopping],
        shuffle=False,  # the batches are
    )
    return int(stopping.best_epoch) + 1


def evaluate(layers: Layers, tokenizer: Tokenizer, data: Dataset) -> dict[str, float]:
    """Measure on texts that training never saw: accuracy with its 95 % interval, and the loss."""
    encoded = encode(tokenizer, data)
    _, probabilities = layers.answer(encoded.sequences)  # (texts, labels)
    of_label = probabilities[np.arange(len(data)), encoded.labels]
    accuracy = float(np.mean(probabilities.argmax(axis=1) == encoded.labels))
    low, high = wilson_interval(accuracy, len(data))
    return {
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "loss": float(-np.log(np.maximum(of_label, 1e-7)).mean()),
        "texts": float(len(data)),
    }


def wilson_interval(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Give the 95 % confidence interval of a share that was found in `count` trials.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22 (1927).
    """
    centre = share + z * z / (2 * count)
    margin = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    return (centre - margin) / scale, (centre + margin) / scale


def _training_batches(
    data: Encoded, recipe: Recipe, generator: np.random.Generator
) -> Iterator[_Batch]:
    """Give one epoch: batches of near length, in random order, with words hidden at random."""
    lengths = np.array([len(ids) for ids in data.sequences])
    jittered = lengths * generator.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    order = np.argsort(jittered, kind="stable")
    starts = generator.permutation(np.arange(0, len(order), recipe.batch_size))
    for start in starts:
        rows = order[start : start + recipe.batch_size]
        batch = pad([data.sequences[i] for i in rows])  # (batch, time)
        if recipe.word_dropout:
            batch[generator.random(batch.shape) < recipe.word_dropout] = 0  # masked
        yield batch, data.labels[rows]


def _batches_by_length(data: Encoded) -> Iterator[_Batch]:
    order = np.argsort([len(ids) for ids in data.sequences], kind="stable")
    for start in range(0, len(order), _EVALUATED):
        rows = order[start : start + _EVALUATED]
        yield pad([data.sequences[i] for i in rows]), data.labels[rows]


def _dataset(batches: Callable[[], Iterator[_Batch]], count: int) -> Any:
    """Make a tf.data.Dataset of batches whose size and time differ, so that nothing retraces."""
    signature = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    return dataset.prefetch(4).apply(tf.data.experimental.assert_cardinality(count))
