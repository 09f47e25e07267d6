"""Training on what a teacher says of texts' beginnings."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sentido_export import train as training
from sentido_export.lessons import Encoded, Lessons, PrefixTargets
from sentido_export.model import PREFIXES, WHOLE, build, in_training, set_seed
from sentido_export.recipe import BEST
from sentido_export.train import train

SMALL = replace(
    BEST, dimensions=4, units=4, epochs=30, learning_rate=0.03, batch_size=8, calibrate=False
)


@pytest.mark.parametrize("labels", [2, 3])
@pytest.mark.parametrize("is_held", [True, False])
def test_behind_each_token_stands_what_is_said_of_the_text_up_to_there(
    labels: int, is_held: bool
) -> None:
    set_seed(1)
    layers = build(SMALL, 20, labels)
    model = in_training(layers, is_held=is_held, with_prefixes=True)
    ids = np.array([[3, 5, 7, 9, 11], [4, 6, 8, 0, 0]], np.int32)
    said = model(ids)
    outputs = layers.dense.units

    def alone(ids: np.ndarray) -> Any:
        return layers.answer([ids])["probabilities"][0, -outputs:]

    for row, length in ((0, 5), (1, 3)):
        assert said[WHOLE][row].numpy() == pytest.approx(alone(ids[row, :length]), abs=1e-6)
        for tokens in range(1, length + 1):
            found = said[PREFIXES][row, tokens - 1].numpy()
            assert found == pytest.approx(alone(ids[row, :tokens]), abs=1e-6)


@pytest.mark.parametrize(
    "weights",
    [pytest.param(None, marks=pytest.mark.nightly), np.array([0.5, 1.5], np.float32)],
)
def test_what_is_said_of_beginnings_alone_is_learned(weights: np.ndarray | None) -> None:
    generator = np.random.default_rng(1)
    sequences, prefixes = [], []
    for row in range(64):
        ids = np.r_[1 + row % 2, generator.integers(3, 20, 5 + row % 7)].astype(np.int32)
        sequences.append(ids)
        target = np.eye(2, dtype=np.float32)[[row % 2]]
        prefixes.append(PrefixTargets(np.array([1]), target))
    halves = np.full((64, 2), 0.5, np.float32)
    lessons = Lessons(Encoded(sequences, halves, list(prefixes)))
    set_seed(1)
    layers = build(SMALL, 20, 2)
    first, second = (np.array([id], np.int32) for id in (1, 2))
    validation = Encoded([first, second], np.eye(2, dtype=np.float32), [None, None])
    course = train(layers, lessons, validation, SMALL, seed=1, label_weights=weights)
    said = layers.answer([first, second, *sequences])["probabilities"][:, 1]
    assert said[:2] == pytest.approx([0, 1], abs=0.1)
    assert said[2:].mean() == pytest.approx(0.5 if weights is None else 0.75, abs=0.1)
    assert set(course.epochs[0]) == {"loss", "accuracy", "validation_loss", "validation_accuracy"}
    kept = course.epochs[course.kept - 1]
    assert kept["validation_loss"] == min(epoch["validation_loss"] for epoch in course.epochs) < 0.1
    assert kept["loss"] > 0.5  # of the whole texts alone


def some_texts(count: int) -> Encoded:
    sequences = [np.array([1 + row % 2], np.int32) for row in range(count)]
    return Encoded(sequences, np.eye(2, dtype=np.float32)[np.arange(count) % 2], [None] * count)


def test_the_epoch_is_kept_that_is_best_once_a_temperature_is_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def best_in_the_third(_: object, epoch: int, logs: dict[str, float]) -> None:
        logs["val_calibrated_loss"] = 1.0 if epoch == 2 else 2.0

    monkeypatch.setattr(training._Calibrated, "on_epoch_end", best_in_the_third)
    recipe = replace(SMALL, epochs=5, calibrate=True)
    set_seed(1)
    layers = build(recipe, 20, 2)
    assert train(layers, Lessons(some_texts(16)), some_texts(8), recipe, seed=1).kept == 3


@pytest.mark.parametrize("weights", [None, np.array([1, 3], np.float32)])
def test_the_loss_of_an_epoch_is_that_with_the_best_temperature(weights: np.ndarray | None) -> None:
    texts = some_texts(200)
    labels = texts.targets.argmax(axis=1)
    is_right = np.arange(200) // 2 % 10 >= np.array([1, 3])[labels]  # nine and seven of ten
    sure = np.where(np.eye(2)[np.where(is_right, labels, 1 - labels)] == 1, 0.999, 0.001)
    layers: Any = SimpleNamespace(answer=lambda _: {"probabilities": sure.astype(np.float32)})
    logs: dict[str, float] = {}
    training._Calibrated(layers, texts, weights).on_epoch_end(0, logs)
    said = np.average([0.9, 0.7], weights=weights)  # by the best answers that all are as sure
    least = -said * np.log(said) - (1 - said) * np.log(1 - said)
    assert logs == {"val_calibrated_loss": pytest.approx(least, abs=1e-3)}


def test_no_temperature_is_assumed_that_would_not_be_fitted() -> None:
    texts = some_texts(200)
    right = 0.5 + 0.01 * (2 * texts.targets - 1)  # all right, and hardly sure
    layers: Any = SimpleNamespace(answer=lambda _: {"probabilities": right})
    logs: dict[str, float] = {}
    training._Calibrated(layers, texts, None).on_epoch_end(0, logs)
    odds = (0.51 / 0.49) ** 2  # by the least temperature, 0.5
    assert logs == {"val_calibrated_loss": pytest.approx(np.log(1 + 1 / odds), abs=1e-6)}
