"""Two bundles on the same rows."""

from pathlib import Path

import pytest
import variants
from evaluating import TEXTS, found, run, write


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """63 texts, 60 of which the default bundle answers as they are labelled."""
    return write(tmp_path / "labelled.csv", TEXTS)


@pytest.fixture(scope="module")
def reversed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that calls negative what the default one calls positive."""
    folder = tmp_path_factory.mktemp("reversed") / "bundle"
    return variants.copy(folder, labels=["positive", "negative"])


def test_a_model_has_no_flips_against_itself(labelled: Path, tmp_path: Path) -> None:
    same = variants.copy(tmp_path / "same", created="2020-01-01T00:00:00Z")
    its = found(labelled, "--compare", same, "--max-flips", "0")["comparison"]
    assert (its["flips"]["rows"], its["flips"]["by_label"]) == (0, [])
    assert (its["largest_difference"], its["mean_difference"]) == (0, 0)
    assert (its["mended"], its["broken"]) == (0, 0)


def test_flips_are_counted_per_label_by_the_labels_names(
    labelled: Path, reversed_bundle: Path
) -> None:
    its = found(labelled, "--compare", reversed_bundle)["comparison"]
    assert its["flips"]["rows"] == 63
    assert its["flips"]["by_label"] == [
        {"from": "positive", "to": "negative", "rows": 33},
        {"from": "negative", "to": "positive", "rows": 30},
    ]
    assert (its["mended"], its["broken"]) == (3, 60)
    assert its["accuracy"]["value"] == pytest.approx(3 / 63)
    assert 0.5 < its["mean_difference"] <= its["largest_difference"] <= 1


def test_the_worst_rows_are_named_and_their_texts_shown_only_if_asked(
    labelled: Path, reversed_bundle: Path
) -> None:
    worst = found(labelled, "--compare", reversed_bundle)["comparison"]["worst"]
    assert len(worst) == 20
    assert all(row["place"].startswith(f"{labelled}: line ") for row in worst)
    assert "text" not in worst[0]
    assert found(labelled, "--compare", reversed_bundle, "--texts")["comparison"]["worst"][0][
        "text"
    ]


def test_more_flips_than_are_allowed_end_with_4(labelled: Path, reversed_bundle: Path) -> None:
    code, out, err = run(labelled, "--compare", reversed_bundle, "--max-flips", "1%")
    assert code == 4
    assert out.startswith("{")
    assert "63 answers flip (100.00%), over 1.00%" in err
    assert run(labelled, "--compare", reversed_bundle, "--max-flips", "100%")[0] == 0


def test_a_row_with_an_error_does_not_hide_flips(tmp_path: Path, reversed_bundle: Path) -> None:
    path = write(tmp_path / "a.csv", [*TEXTS, ("Good.", "unheard of")])
    assert run(path, "--compare", reversed_bundle, "--max-flips", "1%")[0] == 4


def test_models_that_cannot_be_compared_are_refused_by_what_differs(
    labelled: Path, tmp_path: Path
) -> None:
    other = variants.copy(tmp_path / "other", labels=["negative", "great"])
    code, _, err = run(labelled, "--compare", other)
    assert code == 1
    assert "their labels differ in 'great', 'positive'" in err
    assert "cannot be read twice" in run("-", "--compare", other, "--input-format", "csv")[2]
