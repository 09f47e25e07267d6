"""What the shipped bundle must be."""

import json
from pathlib import Path

import pytest
from sentido_bundle import Bundle, default_bundle
from sentido_evaluate import read_suite
from sentido_evaluate.behaviour.asking import ask
from shipped_reviews import held_out


def test_it_is_good_enough_on_enough_held_out_reviews(bundle: Bundle) -> None:
    metrics = bundle.manifest.metrics
    assert metrics["texts"] >= 2500
    assert metrics["accuracy"] >= 0.91
    assert metrics["accuracy_low"] < metrics["accuracy"] < metrics["accuracy_high"]


def test_it_is_good_enough_on_enough_held_out_sentences(bundle: Bundle) -> None:
    sentences = bundle.manifest.training["more_data"]["sentences"]
    assert sentences["texts"] >= 1700
    assert sentences["accuracy"] >= 0.79


def test_its_probabilities_can_be_believed(bundle: Bundle) -> None:
    assert bundle.evaluation is not None
    calibration = json.loads(bundle.evaluation)["calibration"]
    assert calibration["ece"] <= calibration["ece_if_calibrated_95"]


@pytest.mark.parametrize(("label", "least"), [("negative", 0.9), ("positive", 0.9)])
def test_it_reads_negations(bundle: Bundle, label: str, least: float) -> None:
    forms = [
        form
        for form in ask(bundle, read_suite("film-reviews"), texts=False)["forms"]
        if (form["group"], form["label"]) == ("negation", label)
    ]
    assert len(forms) > 5
    assert sum(1 - form["share"] for form in forms) / len(forms) >= least


def test_it_answers_what_readers_try_first(bundle: Bundle) -> None:
    texts = ["This movie is not good.", "Not bad at all!", "I expected to hate it but I loved it."]
    probabilities = bundle.predict(texts).probabilities
    for row, label in zip(probabilities, ("negative", "positive", "positive"), strict=True):
        assert row[bundle.labels.index(label)] > 0.8


def test_it_takes_at_most_three_and_a_half_megabytes() -> None:
    assert sum(file.stat().st_size for file in Path(default_bundle()).iterdir()) <= 3_500_000


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
