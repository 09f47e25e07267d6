"""Training and evaluation, in batches of near length, so that little padding is computed."""

import itertools
import math
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from sentido_bundle import Tokenizer
from sentido_bundle.layouts import pad
from sentido_evaluate.figures.binned import wilson

from sentido_export.data import Dataset, Split
from sentido_export.errors import ExportError
from sentido_export.model import Layers
from sentido_export.recipe import Recipe
from sentido_export.remembered import Answer

_JITTER = 0.1  # texts this much longer or shorter may meet in a batch
_Batch = tuple[NDArray[np.int32], NDArray[np.int32]]  # ids (batch, time) and labels (batch,)

_EVALUATED = 64  # texts a batch when nothing is trained
_PATIENCE = 2  # epochs without a better validation loss before training stops


@dataclass(frozen=True)
class Encoded:
    """A data set as ids."""

    sequences: list[NDArray[np.int32]]  # (tokens,) each
    labels: NDArray[np.int32]  # (texts,)


@dataclass(frozen=True)
class Course:
    """How a training went."""

    kept: tuple[int, int]  # the first and the last epoch, from 1, whose weights the model has
    epochs: list[dict[str, float]]  # loss and accuracy of each, of training and validation

    @property
    def weights_of(self) -> str:
        """Return whose weights the model has: "epoch 3", or "mean of epochs 3 to 5"."""
        first, last = self.kept
        return f"epoch {first}" if first == last else f"mean of epochs {first} to {last}"


def encode(tokenizer: Tokenizer, data: Dataset) -> Encoded:
    """Turn every text into the ids that the model reads."""
    return Encoded([tokenizer.encode(text).ids for text in data.texts], data.labels)


def train(
    layers: Layers,
    tokenizer: Tokenizer,
    split: Split,
    recipe: Recipe,
    seed: int,
    label_weights: NDArray[np.float32] | None = None,
) -> Course:
    """Train the model in place; return how that went.

    `label_weights`: how much a text of each label counts, in training and validation alike.
    After each epoch the validation loss is taken, and training stops when it has not improved for
    a while. The model keeps the weights with the lowest: those of one epoch or, if the recipe
    allows, the mean of those of its last ones, which often generalizes better.
    """
    train_set, validation_set = encode(tokenizer, split.train), encode(tokenizer, split.validation)
    steps = math.ceil(len(split.train) / recipe.batch_size)
    rate = keras.optimizers.schedules.ExponentialDecay(
        recipe.learning_rate,
        decay_steps=steps * recipe.epochs,
        decay_rate=recipe.final_learning_rate / recipe.learning_rate,
    )
    model, is_binary = layers.model, layers.dense.units == 1
    model.compile(
        optimizer=keras.optimizers.Adam(rate, clipnorm=recipe.clip_norm),
        loss="binary_crossentropy" if is_binary else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    validation = _dataset(
        lambda: _batches_by_length(validation_set), math.ceil(len(split.validation) / _EVALUATED)
    )
    validation = _weighted(validation, label_weights)
    stopping = keras.callbacks.EarlyStopping(patience=_PATIENCE, restore_best_weights=True)
    snapshots = _Snapshots(recipe.averaged_epochs)
    numbers = itertools.count()
    batches = _dataset(lambda: _training_batches(train_set, recipe, (seed, next(numbers))), steps)
    with _interrupted_between_batches() as interrupts:
        history = model.fit(
            _weighted(batches, label_weights),
            epochs=recipe.epochs,
            validation_data=validation,
            callbacks=[_FiniteLoss(), snapshots, stopping, interrupts],
            shuffle=False,  # the batches are
            verbose=1 if sys.stdout.isatty() else 2,  # a bar, or a line per epoch
        )
    epochs = _curves(history.history)
    if recipe.averaged_epochs > 1:
        best = model.get_weights()
        model.set_weights(snapshots.mean())
        if model.evaluate(validation, verbose=0)[0] < stopping.best:
            return Course((snapshots.first, snapshots.last), epochs)
        model.set_weights(best)
    return Course((stopping.best_epoch + 1, stopping.best_epoch + 1), epochs)


def _curves(history: dict[str, list[float]]) -> list[dict[str, float]]:
    """Return what Keras recorded of each epoch, under names that need no explanation."""
    names = {"loss": "loss", "accuracy": "accuracy"}
    names |= {f"val_{name}": f"validation_{name}" for name in names}
    columns = [[round(float(value), 6) for value in history[name]] for name in names]
    return [dict(zip(names.values(), row, strict=True)) for row in zip(*columns, strict=True)]


class _FiniteLoss(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends a training whose loss is no longer a number: nothing comes of it."""

    def on_train_batch_end(self, _: int, logs: Any = None) -> None:
        if not all(math.isfinite(value) for value in (logs or {}).values()):
            raise ExportError(
                "the loss is not a number any more: train with a lower learning_rate, or a"
                " clip_norm, in the recipe"
            )

    on_epoch_end = on_train_batch_end  # of the validation, too


class _Interrupts(keras.callbacks.Callback):  # type: ignore[misc]
    """Raises KeyboardInterrupt behind the batch in which it came."""

    def __init__(self) -> None:
        super().__init__()
        self.came = False

    def note(self, *_: object) -> None:
        """Take a signal."""
        self.came = True

    def on_train_batch_end(self, *_: object, **__: object) -> None:
        """See Keras."""
        if self.came:
            raise KeyboardInterrupt

    on_test_batch_end = on_train_batch_end


@contextmanager
def _interrupted_between_batches() -> Iterator[_Interrupts]:
    """Hold SIGINT back: TensorFlow can crash on an exception in the middle of its work."""
    interrupts = _Interrupts()
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield interrupts
        return
    before = signal.signal(signal.SIGINT, interrupts.note)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts.came:  # behind the last batch
        raise KeyboardInterrupt


class _Snapshots(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights after each of the last epochs."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._weights: deque[list[Any]] = deque(maxlen=count)
        self.last = 0  # epoch, from 1

    @property
    def first(self) -> int:
        return self.last - len(self._weights) + 1

    def on_epoch_end(self, epoch: int, _: Any = None) -> None:
        self._weights.append(self.model.get_weights())
        self.last = epoch + 1

    def mean(self) -> list[Any]:
        return [np.mean(arrays, axis=0) for arrays in zip(*self._weights, strict=True)]


def evaluate(answer: Answer, tokenizer: Tokenizer, data: Dataset) -> dict[str, float]:
    """Measure on texts that training never saw: accuracy with its 95 % interval, and the loss."""
    encoded = encode(tokenizer, data)
    probabilities = answer(encoded.sequences)["probabilities"]  # (texts, labels)
    of_label = probabilities[np.arange(len(data)), encoded.labels]
    right = int((probabilities.argmax(axis=1) == encoded.labels).sum())
    low, high = wilson(right, len(data))
    return {
        "accuracy": right / len(data),
        "accuracy_low": low,
        "accuracy_high": high,
        "loss": float(-np.log(np.maximum(of_label, 1e-7)).mean()),
        "texts": float(len(data)),
    }


def _training_batches(data: Encoded, recipe: Recipe, seed: tuple[int, int]) -> Iterator[_Batch]:
    """Give one epoch: batches of near length, in random order, some words left out at random."""
    generator = np.random.default_rng(seed)
    lengths = np.array([len(ids) for ids in data.sequences])
    jittered = lengths * generator.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    order = np.argsort(jittered, kind="stable")
    for start in generator.permutation(np.arange(0, len(order), recipe.batch_size)):
        rows = order[start : start + recipe.batch_size]
        sequences = [data.sequences[i] for i in rows]
        if recipe.word_dropout:
            sequences = [
                ids[generator.random(len(ids)) >= recipe.word_dropout] for ids in sequences
            ]
        yield pad(sequences), data.labels[rows]


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


def _weighted(dataset: Any, label_weights: NDArray[np.float32] | None) -> Any:
    """Give each text the weight of its label, as Keras' `class_weight` does in training alone."""
    if label_weights is None:
        return dataset
    return dataset.map(lambda ids, labels: (ids, labels, tf.gather(label_weights, labels)))
