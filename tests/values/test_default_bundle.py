"""What the shipped bundle must be."""

from pathlib import Path

import pytest
from sentido_bundle import Bundle, default_bundle
from sentido_export import data


def test_it_is_good_enough_on_enough_held_out_reviews(bundle: Bundle) -> None:
    metrics = bundle.manifest.metrics
    assert metrics["texts"] >= 2500
    assert metrics["accuracy"] >= 0.875
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]


def test_it_takes_at_most_four_megabytes() -> None:
    assert sum(file.stat().st_size for file in Path(default_bundle()).iterdir()) <= 4_000_000


def test_it_holds_its_int8_twin() -> None:
    assert Bundle.load(default_bundle(), "int8").labels == ("negative", "positive")


def test_its_labels_are_negative_and_positive_in_that_order(bundle: Bundle) -> None:
    assert bundle.labels == ("negative", "positive")
    outputs = bundle.predict(["A wonderful, moving, funny film.", "A dull, awful, lifeless mess."])
    assert outputs.probabilities[0, 1] > 0.9
    assert outputs.probabilities[1, 0] > 0.9


def test_its_accuracy_is_found_again_on_the_same_held_out_reviews(bundle: Bundle) -> None:
    seed = bundle.manifest.training["seed"]
    distinct, _ = data.drop_duplicates(data.load("reviews", "text", "label"))
    held_out = data.split(distinct, 0.105, seed).test
    predicted = bundle.predict(held_out.texts).probabilities.argmax(axis=1)
    accuracy = float((predicted == held_out.labels).mean())
    assert len(held_out) == bundle.manifest.metrics["texts"]
    assert accuracy == pytest.approx(bundle.manifest.metrics["accuracy"], abs=1e-9)


def test_parity_with_keras_is_recorded(bundle: Bundle) -> None:
    parity = bundle.manifest.parity
    assert parity.texts >= 1000 + 50
    assert parity.largest_difference <= 1e-5
    assert bundle.manifest.training["mask"] is True
