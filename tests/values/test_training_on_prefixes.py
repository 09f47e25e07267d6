"""Training on what a teacher says of texts' beginnings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sentido_export.lessons import Encoded, Lessons, PrefixTargets
from sentido_export.model import PREFIXES, WHOLE, build, in_training, set_seed
from sentido_export.recipe import BEST
from sentido_export.train import train

SMALL = replace(BEST, dimensions=4, units=4, epochs=30, learning_rate=0.03, batch_size=8)


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


@pytest.mark.parametrize("weights", [None, np.array([0.5, 1.5], np.float32)])
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
