"""Training and evaluation, in batches of near length, so that little padding is computed."""

import itertools
import math
import signal
import sys
import threading
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

from sentido_export.data import Dataset
from sentido_export.errors import ExportError
from sentido_export.lessons import Encoded, Lessons, encode
from sentido_export.model import Held, Layers
from sentido_export.recipe import Recipe
from sentido_export.remembered import Answer

_JITTER = 0.1  # texts this much longer or shorter may meet in a batch
_Batch = tuple[NDArray[np.int32], NDArray[np.float32]]  # (batch, time) ids, (batch, labels) targets

_EVALUATED = 64  # texts a batch when nothing is trained


@dataclass(frozen=True)
class Course:
    """How a training went."""

    kept: int  # the epoch, from 1, whose weights the model has
    epochs: list[dict[str, float]]  # loss and accuracy of each, of training and validation


def train(
    layers: Layers,
    lessons: Lessons,
    validation: Encoded,
    recipe: Recipe,
    seed: int,
    label_weights: NDArray[np.float32] | None = None,
) -> Course:
    """Train the model in place; return how that went.

    `label_weights`: how much a text of each label counts, in training and validation alike.
    After each epoch the validation loss is taken, and training stops when it has not improved for
    a while. The model keeps the weights with the lowest.
    """
    model, is_binary = layers.model, layers.dense.units == 1
    if lessons.held is not None:
        others = model.layers[1:]
        model = keras.Sequential(
            [keras.Input((None,), dtype="int32"), Held(layers.embedding), *others]
        )
    epochs = itertools.count()

    def batches() -> Iterator[_Batch]:
        generator = np.random.default_rng((seed, next(epochs)))
        return _training_batches(lessons, recipe, generator)

    steps = math.ceil(lessons.size / recipe.batch_size)
    model.compile(
        optimizer=keras.optimizers.Adam(_rate(recipe, steps), clipnorm=recipe.clip_norm),
        loss="binary_crossentropy" if is_binary else "categorical_crossentropy",
        metrics=[accuracy],
    )
    stopping = keras.callbacks.EarlyStopping(patience=recipe.patience, restore_best_weights=True)
    count = math.ceil(len(validation) / _EVALUATED)
    validating = _dataset(lambda: _batches_by_length(validation), count, layers, label_weights)
    with _interrupted_between_batches() as interrupts:
        history = model.fit(
            _dataset(batches, steps, layers, label_weights),
            epochs=recipe.epochs,
            validation_data=validating,
            callbacks=[_FiniteLoss(), stopping, interrupts],
            shuffle=False,  # the batches are
            verbose=1 if sys.stdout.isatty() else 2,  # a bar, or a line per epoch
        )
    return Course(stopping.best_epoch + 1, _curves(history.history))


def _curves(history: dict[str, list[float]]) -> list[dict[str, float]]:
    """Return what Keras recorded of each epoch, under names that need no explanation."""
    names = {"loss": "loss", "accuracy": "accuracy"}
    names |= {f"val_{name}": f"validation_{name}" for name in names}
    columns = [[round(float(value), 6) for value in history[name]] for name in names]
    return [dict(zip(names.values(), row, strict=True)) for row in zip(*columns, strict=True)]


def _rate(recipe: Recipe, steps: int) -> Any:
    """Return the rate of each step, along a cosine from the first one to the final one."""
    return keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate,
        decay_steps=steps * recipe.epochs,
        alpha=recipe.final_learning_rate / recipe.learning_rate,
    )


def accuracy(targets: Any, answers: Any) -> Any:
    """Return how many answers have the likeliest label of their target."""
    if targets.shape[-1] == 1:
        return keras.ops.cast((targets > 0.5) == (answers > 0.5), "float32")
    agree = keras.ops.argmax(targets, -1) == keras.ops.argmax(answers, -1)
    return keras.ops.cast(agree, "float32")


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


def evaluate(answer: Answer, tokenizer: Tokenizer, data: Dataset) -> dict[str, float]:
    """Measure on texts that training never saw: accuracy with its 95 % interval, and the loss."""
    encoded = encode(tokenizer, data)
    probabilities = answer(encoded.sequences)["probabilities"]  # (texts, labels)
    right = int((probabilities.argmax(axis=1) == data.labels).sum())
    low, high = wilson(right, len(data))
    return {
        "accuracy": right / len(data),
        "accuracy_low": low,
        "accuracy_high": high,
        "loss": log_loss(probabilities, data.labels),
        "texts": float(len(data)),
    }


def log_loss(probabilities: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    """Return the mean log loss of (texts, labels) probabilities."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return -float(np.log(np.maximum(of_label, 1e-7)).mean())


def _training_batches(
    lessons: Lessons, recipe: Recipe, generator: np.random.Generator
) -> Iterator[_Batch]:
    """Yield one epoch: batches of near length, in random order, some words left out at random."""
    data = lessons.epoch(generator)
    lengths = np.array([len(ids) for ids in data.sequences])
    jittered = lengths * generator.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    order = np.argsort(jittered, kind="stable")
    for start in generator.permutation(np.arange(0, len(order), recipe.batch_size)):
        rows = order[start : start + recipe.batch_size]
        sequences = [data.sequences[i] for i in rows]
        if recipe.word_dropout:
            sequences = [lessons.thinned(ids, recipe, generator) for ids in sequences]
        yield pad(sequences), data.targets[rows]


def _batches_by_length(data: Encoded) -> Iterator[_Batch]:
    order = np.argsort([len(ids) for ids in data.sequences], kind="stable")
    for start in range(0, len(order), _EVALUATED):
        rows = order[start : start + _EVALUATED]
        yield pad([data.sequences[i] for i in rows]), data.targets[rows]


def _dataset(
    batches: Callable[[], Iterator[_Batch]],
    count: int,
    layers: Layers,
    label_weights: NDArray[np.float32] | None,
) -> Any:
    """Make a tf.data.Dataset of batches whose size and time differ, so that nothing retraces."""
    labels, outputs = layers.label_count, layers.dense.units
    signature = (tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, labels], tf.float32))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)

    def as_loss_wants(ids: Any, targets: Any) -> tuple[Any, ...]:
        if label_weights is None:
            return ids, targets[:, -outputs:]  # a sigmoid is the second label's
        weighted = targets * label_weights  # of a teacher's answer each label by its own
        weights = tf.reduce_sum(weighted, axis=-1, keepdims=True)
        return ids, (weighted / weights)[:, -outputs:], weights[:, 0]

    ready = dataset.map(as_loss_wants).prefetch(4)
    return ready.apply(tf.data.experimental.assert_cardinality(count))
