"""Every figure against scikit-learn's, or one computed by hand, on three sets of answers."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sentido_evaluate.figures.binned import PerLabel, wilson
from sentido_evaluate.figures.calibration import Calibration, Coverage
from sentido_evaluate.figures.multi_label import MultiLabel
from sentido_evaluate.figures.single import SingleLabel
from sentido_evaluate.figures.slices import Slices

Floats = NDArray[np.float32]
ROWS = 3000


@pytest.fixture(scope="module")
def judge() -> Any:
    """Return scikit-learn's metrics, imported by the one worker that compares with them."""
    from sklearn import metrics

    return metrics


def answers(shares: list[float]) -> tuple[Floats, NDArray[np.int64]]:
    """Return probabilities (rows, labels) that know something, and labels of these shares."""
    generator = np.random.default_rng(len(shares))
    truth = generator.choice(len(shares), ROWS, p=shares)
    logits = generator.normal(size=(ROWS, len(shares))) + np.log(shares)
    logits[np.arange(ROWS), truth] += 1.5
    exponents = np.exp(3 * logits)
    return (exponents / exponents.sum(axis=1, keepdims=True)).astype(np.float32), truth


SETS = {"two labels": [0.5, 0.5], "three, one of them rare": [0.9, 0.095, 0.005]}


def counted(counter: Any, *arrays: NDArray[Any]) -> dict[str, Any]:
    """Return the figures of rows that come in pieces, as windows do."""
    words, unknown = np.full(ROWS, 10), np.zeros(ROWS, np.int64)
    for piece in (slice(0, 7), slice(7, 7), slice(7, ROWS)):
        counter.add(*(array[piece] for array in arrays), words[piece], unknown[piece])
    return dict(counter.figures())


@pytest.fixture(params=[*SETS.values()], ids=[*SETS])
def single(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Floats, NDArray[np.int64]]:
    probabilities, truth = answers(request.param)
    labels = tuple("abc"[: len(request.param)])
    return counted(SingleLabel(labels), probabilities, truth), probabilities, truth


Single = tuple[dict[str, Any], Floats, NDArray[np.int64]]


def test_figures_of_one_label_are_those_of_scikit_learn(single: Single, judge: Any) -> None:
    found, probabilities, truth = single
    said = probabilities.argmax(axis=1)
    assert found["accuracy"]["value"] == judge.accuracy_score(truth, said)
    assert found["confusion"] == judge.confusion_matrix(truth, said).tolist()
    precision, recall, f1, support = judge.precision_recall_fscore_support(
        truth, said, zero_division=0
    )
    for index, row in enumerate(found["labels"]):
        assert (row["precision"] or 0) == pytest.approx(precision[index])
        assert row["recall"] == pytest.approx(recall[index])
        assert row["f1"] == pytest.approx(f1[index])
        assert row["support"] == support[index]
    assert found["macro_f1"] == pytest.approx(judge.f1_score(truth, said, average="macro"))


def test_the_brier_score_is_that_of_scikit_learn(single: Single, judge: Any) -> None:
    found, probabilities, truth = single
    wide = probabilities.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    wanted = judge.brier_score_loss(truth, wide[:, 1] if wide.shape[1] == 2 else wide)
    assert found["brier"] == pytest.approx(wanted, abs=1e-6)


def test_roc_auc_is_as_near_to_scikit_learns_as_it_says(single: Single, judge: Any) -> None:
    found, probabilities, truth = single
    for index, row in enumerate(found["labels"]):
        wanted = judge.roc_auc_score(truth == index, probabilities[:, index])
        assert abs(row["roc_auc"] - wanted) <= row["roc_auc_error"] + 1e-12
        assert row["roc_auc_error"] < 1e-4
    areas = [row["roc_auc"] for row in found["labels"]]
    wanted = areas[1] if len(areas) == 2 else np.mean(areas)
    assert found["roc_auc"]["value"] == pytest.approx(wanted)


def test_roc_auc_is_near_even_where_all_probabilities_are_nearly_equal(judge: Any) -> None:
    generator = np.random.default_rng(2)
    truth = generator.integers(2, size=ROWS)
    second = (0.5 + 0.004 * generator.normal(size=ROWS) + 0.002 * truth).astype(np.float32)
    counter = PerLabel(2)
    counter.add(np.stack([1 - second, second], axis=1), truth[:, None] == np.arange(2))
    found = counter.roc_auc()[1]
    assert found is not None
    assert abs(found[0] - judge.roc_auc_score(truth, second)) <= found[1] < 0.02


def test_roc_auc_is_exact_where_all_probabilities_are_equal_or_apart() -> None:
    counter = SingleLabel(("a", "b"))
    half = np.full((4, 2), 0.5, np.float32)
    counter.add(half, np.array([0, 1, 0, 1]), np.ones(4, np.int64), np.zeros(4, np.int64))
    assert counter.figures()["roc_auc"] == {"value": 0.5, "error": 0.0}
    apart = SingleLabel(("a", "b"))
    sure = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    apart.add(sure, np.array([0, 1]), np.ones(2, np.int64), np.zeros(2, np.int64))
    assert apart.figures()["roc_auc"] == {"value": 1.0, "error": 0.0}


def answers_of_several_labels() -> tuple[Floats, NDArray[np.bool_], tuple[float, ...]]:
    """Return probabilities (rows, labels), which text has which label, and thresholds."""
    generator = np.random.default_rng(5)
    truth = generator.random((ROWS, 3)) < [0.5, 0.1, 0.01]
    probabilities = (0.6 * generator.random((ROWS, 3)) + 0.4 * truth).astype(np.float32)
    return probabilities, truth, (0.5, 0.6, 0.99)


def test_figures_of_several_labels_are_those_of_scikit_learn(judge: Any) -> None:
    probabilities, truth, thresholds = answers_of_several_labels()
    said = probabilities >= np.array(thresholds, np.float32)
    found = counted(MultiLabel(("a", "b", "c"), thresholds), probabilities, said, truth)
    assert found["accuracy"]["value"] == judge.accuracy_score(truth, said)
    precision, recall, f1, support = judge.precision_recall_fscore_support(
        truth, said, zero_division=0
    )
    for index, row in enumerate(found["labels"]):
        assert (row["precision"] or 0) == pytest.approx(precision[index])
        assert row["recall"] == pytest.approx(recall[index])
        assert row["f1"] == pytest.approx(f1[index])
        assert (row["support"], row["threshold"]) == (support[index], thresholds[index])
        wanted = judge.roc_auc_score(truth[:, index], probabilities[:, index])
        assert abs(row["roc_auc"] - wanted) <= row["roc_auc_error"] + 1e-12
    for average in ("macro", "micro"):
        wanted = judge.f1_score(truth, said, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(wanted)
    squares = np.square(probabilities.astype(np.float64) - truth)
    assert found["brier"] == pytest.approx(squares.mean())


def test_an_answer_that_is_never_right_has_no_area_or_recall_where_none_can_be() -> None:
    counter = SingleLabel(("a", "b", "c"))
    sure = np.array([[0.9, 0.1, 0.0]] * 3, np.float32)
    counter.add(sure, np.array([0, 0, 1]), np.ones(3, np.int64), np.zeros(3, np.int64))
    rows = counter.figures()["labels"]
    assert (rows[1]["precision"], rows[1]["recall"], rows[1]["f1"]) == (None, 0.0, 0.0)
    assert (rows[2]["recall"], rows[2]["roc_auc"]) == (None, None)
    assert counter.figures()["macro_f1"] == pytest.approx((0.8 + 0) / 2)  # as scikit-learn: of a, b


def test_the_calibration_error_is_the_one_computed_by_hand() -> None:
    calibration = Calibration()
    confidence = np.array([0.91, 0.92, 0.99, 0.99, 0.55], np.float32)
    calibration.add(confidence[:3], np.array([True, False, True]))
    calibration.add(confidence[3:], np.array([True, False]))
    found = calibration.figures()
    # 0.91 and 0.92 are in the bin of 13/15 to 14/15, 0.99 in the last one, 0.55 in that of 8/15.
    wanted = (abs(1 - 1.83) + abs(2 - 1.98) + abs(0 - 0.55)) / 5
    assert found["ece"] == pytest.approx(wanted, abs=1e-6)
    assert [each["rows"] for each in found["bins"]] == [0] * 8 + [1] + [0] * 4 + [2, 2]


def test_what_is_calibrated_is_above_the_error_that_chance_makes_in_one_set_of_twenty() -> None:
    generator = np.random.default_rng(3)
    above = 0
    for _ in range(30):
        calibration = Calibration()
        confidence = generator.uniform(0.5, 1, 500).astype(np.float32)
        calibration.add(confidence, generator.random(500) < confidence)
        found = calibration.figures()
        above += found["ece"] > found["ece_if_calibrated_95"]
    assert above <= 6  # 1.5 of 30 are expected, more than 6 in one of 2,000 such runs


def test_a_model_that_is_too_sure_is_above_what_chance_makes() -> None:
    generator = np.random.default_rng(3)
    calibration = Calibration()
    calibration.add(np.full(500, 0.99, np.float32), generator.random(500) < 0.9)
    found = calibration.figures()
    assert found["ece"] > 2 * found["ece_if_calibrated_95"]


def test_coverage_goes_from_the_surest_answers_to_all() -> None:
    coverage = Coverage()
    confidence = np.linspace(0.5, 1, 1000, dtype=np.float32)
    coverage.add(confidence, confidence >= 0.75)
    points = coverage.figures()
    assert points[-1] == {"coverage": 1.0, "accuracy": 0.5}
    assert all(point["accuracy"] == 1 for point in points if point["coverage"] < 0.49)
    assert len(points) > 40


def test_texts_are_told_apart_by_length_and_unknown_words() -> None:
    slices = Slices()
    words = np.array([0, 5, 10, 10, 2000])
    unknown = np.array([0, 0, 1, 5, 10])
    slices.add(words, unknown, np.array([False, True, True, False, True]))
    found = slices.figures()
    by_words = {each["range"]: (each["rows"], each["accuracy"]) for each in found["by_words"]}
    assert by_words == {"0": (1, 0), "1 to 5": (1, 1), "6 to 10": (2, 0.5), "1001 or more": (1, 1)}
    shares = found["by_out_of_vocabulary_share"]
    assert {each["range"]: each["rows"] for each in shares} == {
        **{"none": 1, "over 0 to 2%": 1, "10% to 20%": 1, "50% to 100%": 1}
    }


def test_the_interval_is_wilsons() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Wilson, 1927
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(10, 10)[1] == 1


# -- what is binned, against the same computed from every single answer -------------------------


def sure_and_right(probabilities: Floats, truth: NDArray[Any]) -> tuple[Any, Any]:
    """Return each answer's confidence and whether it is right; of several labels each one's."""
    if truth.ndim == 2:
        return probabilities.ravel().astype(np.float64), truth.ravel()
    return probabilities.max(axis=1).astype(np.float64), probabilities.argmax(axis=1) == truth


def ece(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the calibration error by its definition."""
    bins = np.minimum((confidence * 15).astype(int), 14)
    there = [bins == number for number in range(15) if (bins == number).any()]
    gaps = [abs(right[rows].mean() - confidence[rows].mean()) * rows.mean() for rows in there]
    return float(sum(gaps))


@pytest.fixture(params=[*SETS, "several labels"])
def any_set(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Floats, NDArray[Any]]:
    """Figures, probabilities and truth of each of the three sets."""
    if request.param in SETS:
        shares = SETS[request.param]
        probabilities, truth = answers(shares)
        counter: Any = SingleLabel(tuple("abc"[: len(shares)]))
        return counted(counter, probabilities, truth), probabilities, truth
    probabilities, several, thresholds = answers_of_several_labels()
    said = probabilities >= np.array(thresholds, np.float32)
    counter = MultiLabel(("a", "b", "c"), thresholds)
    return counted(counter, probabilities, said, several), probabilities, several


def test_the_calibration_error_is_that_of_its_definition(any_set: Single) -> None:
    found, probabilities, truth = any_set
    confidence, right = sure_and_right(probabilities, truth)
    assert found["calibration"]["ece"] == pytest.approx(ece(confidence, right), abs=1e-6)


def test_what_chance_makes_of_the_calibration_error_is_found_by_drawing_every_row(
    any_set: Single,
) -> None:
    found, probabilities, truth = any_set
    confidence, _ = sure_and_right(probabilities, truth)
    generator = np.random.default_rng(7)
    drawn = [ece(confidence, generator.random(len(confidence)) < confidence) for _ in range(600)]
    low, high = np.quantile(drawn, [0.92, 0.98])  # 600 draws: four of their standard errors
    assert low < found["calibration"]["ece_if_calibrated_95"] < high


def test_accuracy_against_coverage_is_that_of_sorted_answers(single: Single) -> None:
    found, probabilities, truth = single
    confidence, right = sure_and_right(probabilities, truth)
    accuracies = right[np.argsort(-confidence, kind="stable")].cumsum() / np.arange(1, ROWS + 1)
    assert found["coverage"][-1]["coverage"] == 1.0
    for point in found["coverage"]:
        rows = round(point["coverage"] * ROWS)
        assert rows / ROWS == point["coverage"]
        # A bin holds at most so many rows whose order is not known.
        assert point["accuracy"] == pytest.approx(accuracies[rows - 1], abs=1e-9)


def test_the_best_threshold_gives_the_largest_f1_that_there_is(judge: Any) -> None:
    probabilities, truth, _ = answers_of_several_labels()
    counts = PerLabel(3)
    counts.add(probabilities[:1000], truth[:1000])
    counts.add(probabilities[1000:], truth[1000:])
    for label, threshold in enumerate(counts.thresholds()):
        assert threshold is not None
        column, held = probabilities[:, label], truth[:, label]
        precision, recall, _ = judge.precision_recall_curve(held, column)
        best = (2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()
        assert judge.f1_score(held, column >= threshold) >= best - 0.002


def test_of_equally_good_thresholds_the_middle_one_is_taken() -> None:
    counts = PerLabel(2)
    probabilities = np.array([[0.1, 0.3], [0.9, 0.3], [0.1, 0.3]], np.float32)
    counts.add(probabilities, np.array([[False, False], [True, False], [False, False]]))
    between, none = counts.thresholds()
    assert between == pytest.approx(0.5, abs=0.01)
    assert none is None
