"""What the shipped bundle must be."""

from pathlib import Path

from sentido_bundle import Bundle, default_bundle
from shipped_reviews import held_out


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


def test_its_accuracy_is_found_again_on_the_same_held_out_reviews(
    bundle: Bundle, tmp_path: Path
) -> None:
    reviews = held_out(tmp_path)  # which compares the accuracy
    assert len(reviews) == bundle.manifest.metrics["texts"]
    assert set(reviews.counts) == set(bundle.labels)


def test_parity_with_keras_is_recorded(bundle: Bundle) -> None:
    parity = bundle.manifest.parity
    assert parity.texts >= 1000 + 50
    assert parity.largest_difference <= 1e-5
    assert bundle.manifest.training["mask"] is True
