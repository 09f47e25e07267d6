"""Training and evaluation, in batches of near length, so that little padding is computed."""

import itertools
import math
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
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

from sentido_export import temperature
from sentido_export.data import Dataset
from sentido_export.errors import ExportError
from sentido_export.lessons import Encoded, Ids, Lessons, PrefixTargets, encode
from sentido_export.model import PREFIXES, WHOLE, Layers, in_training
from sentido_export.recipe import Recipe
from sentido_export.remembered import Answer

_JITTER = 0.1  # texts this much longer or shorter may meet in a batch

_Numbers = NDArray[np.float32]
_Batch = tuple[NDArray[np.int32], _Numbers, _Numbers]
"""(batch, time) ids, (batch, labels) targets, and those of prefixes, (batch, time, labels).

These are 0 where there are none, and time is 0 where no text has any.
"""

_EVALUATED = 64  # texts a batch when nothing is trained
_CALIBRATED = "val_calibrated_loss"


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
    After each epoch the validation loss is taken, with the best temperature if one will be fitted,
    and training stops when it has not improved for a while. The model keeps the weights with the
    lowest.
    """
    with_prefixes = lessons.with_prefixes
    model = in_training(layers, is_held=lessons.held is not None, with_prefixes=with_prefixes)
    epochs = itertools.count()

    def batches() -> Iterator[_Batch]:
        generator = np.random.default_rng((seed, next(epochs)))
        return _training_batches(lessons, recipe, generator)

    def validating() -> Iterator[_Batch]:
        return _batches_by_length(validation, with_prefixes=with_prefixes)

    def data(batches: Callable[[], Iterator[_Batch]], count: int) -> Any:
        return _dataset(batches, count, layers, label_weights, with_prefixes=with_prefixes)

    steps = math.ceil(lessons.size / recipe.batch_size)
    is_binary = layers.dense.units == 1
    loss = keras.losses.BinaryCrossentropy if is_binary else keras.losses.CategoricalCrossentropy
    model.compile(
        optimizer=keras.optimizers.Adam(_rate(recipe, steps), clipnorm=recipe.clip_norm),
        loss={WHOLE: loss(), PREFIXES: loss(reduction="sum")} if with_prefixes else loss(),
        loss_weights={WHOLE: 1, PREFIXES: recipe.prefix_weight} if with_prefixes else None,
        metrics={WHOLE: [accuracy]} if with_prefixes else [accuracy],
    )
    stopping = keras.callbacks.EarlyStopping(
        monitor=_CALIBRATED if recipe.calibrate else "val_loss",
        mode="min",
        patience=recipe.patience,
        restore_best_weights=True,
    )
    calibrated = [_Calibrated(layers, validation, label_weights)] if recipe.calibrate else []
    count = math.ceil(len(validation) / _EVALUATED)
    with _interrupted_between_batches() as interrupts:
        history = model.fit(
            data(batches, steps),
            epochs=recipe.epochs,
            validation_data=data(validating, count),
            callbacks=[_FiniteLoss(), *calibrated, stopping, interrupts],
            shuffle=False,  # the batches are
            verbose=1 if sys.stdout.isatty() else 2,  # a bar, or a line per epoch
        )
    return Course(
        stopping.best_epoch + 1, _curves(history.history, f"{WHOLE}_" if with_prefixes else "")
    )


def _curves(history: dict[str, list[float]], of_whole: str) -> list[dict[str, float]]:
    """Return what Keras recorded of each epoch, under names that need no explanation."""
    names = {f"{of_whole}{name}": name for name in ("loss", "accuracy")}
    names |= {f"val_{keras_name}": f"validation_{name}" for keras_name, name in names.items()}
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


class _Calibrated(keras.callbacks.Callback):  # type: ignore[misc]
    """Takes the validation loss as it will be once a temperature is fitted.

    Without that an epoch whose answers are less sure is kept in the place of one that is right more
    often.
    """

    def __init__(
        self, layers: Layers, validation: Encoded, label_weights: NDArray[np.float32] | None
    ) -> None:
        super().__init__()
        self._layers, self._sequences = layers, validation.sequences
        self._labels = validation.targets.argmax(axis=1).astype(np.int32)
        self._weights = None if label_weights is None else label_weights[self._labels]

    def on_epoch_end(self, _: int, logs: Any) -> None:
        """Add the loss to what is known of the epoch."""
        scores = temperature.log_probabilities(
            self._layers.answer(self._sequences)["probabilities"]
        )
        fitted = temperature.fit_for_folding(scores, self._labels, self._weights)
        logs[_CALIBRATED] = temperature.log_loss(scores, self._labels, fitted, self._weights)


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


def log_loss(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int32],
    label_weights: NDArray[np.float32] | None = None,
) -> float:
    """Return the mean log loss of (texts, labels) probabilities.

    `label_weights`: how much a text of each label counts, (labels,).
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    weights = None if label_weights is None else label_weights[labels]
    return -float(np.average(np.log(np.maximum(of_label, 1e-7)), weights=weights))


def _training_batches(
    lessons: Lessons, recipe: Recipe, generator: np.random.Generator
) -> Iterator[_Batch]:
    """Yield one epoch: batches of near length, in random order, some words left out at random."""
    data, with_prefixes = lessons.epoch(generator), lessons.with_prefixes
    lengths = np.array([len(ids) for ids in data.sequences])
    jittered = lengths * generator.uniform(1 - _JITTER, 1 + _JITTER, len(lengths))
    order = np.argsort(jittered, kind="stable")
    for start in generator.permutation(np.arange(0, len(order), recipe.batch_size)):
        rows = order[start : start + recipe.batch_size]
        texts = [(data.sequences[i], data.prefixes[i]) for i in rows]
        if recipe.word_dropout:
            texts = [lessons.thinned(*text, recipe, generator) for text in texts]
        yield _batch(texts, data.targets[rows], with_prefixes=with_prefixes)


def _batches_by_length(data: Encoded, *, with_prefixes: bool) -> Iterator[_Batch]:
    order = np.argsort([len(ids) for ids in data.sequences], kind="stable")
    for start in range(0, len(order), _EVALUATED):
        rows = order[start : start + _EVALUATED]
        texts = [(data.sequences[i], None) for i in rows]
        yield _batch(texts, data.targets[rows], with_prefixes=with_prefixes)


def _batch(
    texts: Sequence[tuple[Ids, PrefixTargets | None]], targets: _Numbers, *, with_prefixes: bool
) -> _Batch:
    ids = pad([ids for ids, _ in texts])
    time = ids.shape[1] if with_prefixes else 0
    of_prefixes = np.zeros((len(ids), time, targets.shape[1]), np.float32)
    for row, (_, prefixes) in zip(of_prefixes, texts, strict=True):
        if prefixes is not None:
            row[prefixes.tokens - 1] = prefixes.targets
    return ids, targets, of_prefixes


def _dataset(
    batches: Callable[[], Iterator[_Batch]],
    count: int,
    layers: Layers,
    label_weights: NDArray[np.float32] | None,
    *,
    with_prefixes: bool,
) -> Any:
    """Make a tf.data.Dataset of batches whose size and time differ, so that nothing retraces."""
    labels, outputs = layers.label_count, layers.dense.units
    signature = (
        tf.TensorSpec([None, None], tf.int32),
        tf.TensorSpec([None, labels], tf.float32),
        tf.TensorSpec([None, None, labels], tf.float32),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)

    def weighted(targets: Any) -> tuple[Any, Any]:
        """Return targets as the loss wants them, and how much each counts."""
        if label_weights is not None:
            targets *= label_weights  # of a teacher's answer each label by its own
        weights = tf.reduce_sum(targets, axis=-1, keepdims=True)  # a sigmoid is the second label's
        return tf.math.divide_no_nan(targets, weights)[..., -outputs:], weights[..., 0]

    def as_loss_wants(ids: Any, targets: Any, of_prefixes: Any) -> tuple[Any, ...]:
        whole, of_texts = weighted(targets)
        if not with_prefixes:
            return ids, whole, of_texts
        prefixes, of_each = weighted(of_prefixes)
        counts = tf.math.count_nonzero(of_each, axis=-1, keepdims=True, dtype=tf.float32)
        of_each = tf.math.divide_no_nan(of_each, counts) / tf.cast(tf.shape(ids)[0], tf.float32)
        return ids, {WHOLE: whole, PREFIXES: prefixes}, {WHOLE: of_texts, PREFIXES: of_each}

    ready = dataset.map(as_loss_wants).prefetch(4)
    return ready.apply(tf.data.experimental.assert_cardinality(count))
