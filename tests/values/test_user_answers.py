"""What the user's own program answered, held against the export: `--check answers.jsonl`."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sentido_export.errors import ExportError
from sentido_export.imported.answers import Answers, read_answers
from sentido_export.imported.check import Checked, Predict, check, labels_of
from sentido_export.imported.sides import Sides, pad

LENGTH = 6
IDS = [[5, 3], [2, 9, 4, 1, 7, 8, 6, 3], [], [1], [4, 4, 4, 4, 4, 4], [8, 1, 2]]
TEXTS = ["five three", "long " * 8, "", "one", "four " * 6, "eight one two"]


def model(outputs: int = 1) -> Predict:
    """Return a model whose answers depend on where each id stands, padding among them."""
    random = np.random.default_rng(7)
    table = random.normal(size=(LENGTH, 10, outputs))

    def predict(rows: NDArray[np.int32]) -> NDArray[np.float32]:
        values = table[np.arange(LENGTH), rows].sum(axis=1)
        probabilities: NDArray[np.float32] = (1 / (1 + np.exp(-values))).astype(np.float32)
        return probabilities

    return predict


def written(
    path: Path, rows: NDArray[np.float32], digits: int | None = None, texts: Sequence[str] = TEXTS
) -> Answers:
    """Write answers as a user's program would, and read them."""
    lines = [
        {"text": text, "probabilities": [n if digits is None else round(n, digits) for n in row]}
        for text, row in zip(texts, rows.tolist(), strict=True)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return read_answers(path)


def answers(path: Path, sides: Sides, digits: int | None = None, outputs: int = 1) -> Answers:
    return written(path, model(outputs)(pad(IDS, LENGTH, sides)), digits)


def tried(
    found: Answers,
    padding: str | None = None,
    truncating: str | None = None,
    predict: Predict | None = None,
    ids: Sequence[Sequence[int]] = IDS,
    tolerance: float = 2e-3,
) -> Checked:
    return check(
        found,
        ids,
        LENGTH,
        predict or model(),
        labels_of(),
        padding=padding,
        truncating=truncating,
        tolerance=tolerance,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_the_sides_are_found_by_the_answers_and_that_is_said(
    padding: str, truncating: str, path: Path
) -> None:
    sides = Sides(padding, truncating)
    checked = tried(answers(path, sides))
    assert checked.sides == sides
    assert checked.largest_difference < 1e-7
    assert f"{sides} fits; it was found by its 6 answers" in checked.notes[0]
    given = tried(answers(path, sides), padding, truncating)
    assert given.sides == sides
    assert "all 6 answers are met" in given.notes[0]


def test_rows_are_those_of_keras_pad_sequences() -> None:
    assert pad([[1, 2, 3], [4], []], 2, Sides("pre", "pre")).tolist() == [[2, 3], [0, 4], [0, 0]]
    assert pad([[1, 2, 3], [4], []], 2, Sides("post", "post")).tolist() == [[1, 2], [4, 0], [0, 0]]


def test_given_sides_that_do_not_fit_are_refused_with_those_that_do(path: Path) -> None:
    found = answers(path, Sides("post", "post"))
    with pytest.raises(ExportError) as caught:
        tried(found, "pre", "post")
    why = "its answers are those of padding='post', truncating='post', not those of padding='pre'"
    assert why in str(caught.value)
    with pytest.raises(ExportError, match=r"not those of truncating='pre': give these sides"):
        tried(found, None, "pre")


def test_answers_that_no_sides_give_are_refused_with_the_line_that_differs_most(
    path: Path,
) -> None:
    found = answers(path, Sides("post", "post"))
    why = r"line \d says 0\.\d+, here it is 0\.\d+ \(padding='pre', truncating='post'\)"
    with pytest.raises(ExportError, match=why):
        tried(found, "pre", "post", ids=[[id % 9 + 1 for id in row] for row in IDS])


def test_another_vocabulary_is_refused(path: Path) -> None:
    found = answers(path, Sides("pre", "pre"))
    others = [[id % 9 + 1 for id in row] for row in IDS]
    with pytest.raises(ExportError, match=r"the best of 4 ways to pad and cut.*labels change"):
        tried(found, ids=others)


@pytest.mark.parametrize(("digits", "tolerance"), [(7, 1e-5), (5, 1e-5), (4, 5e-5), (3, 5e-4)])
def test_rounded_answers_are_met_within_half_a_unit(
    digits: int, tolerance: float, path: Path
) -> None:
    checked = tried(answers(path, Sides("pre", "post"), digits))
    assert checked.tolerance == pytest.approx(tolerance)
    assert not any("digits" in note for note in checked.notes)


def test_digits_are_counted_over_the_whole_file_and_few_are_warned_of(path: Path) -> None:
    rows = np.array([[0.5], [0.25], [0.125], [0.5], [0.5], [1.0]], np.float32)
    assert written(path, rows).digits == 3
    rows[2] = 0.25
    assert written(path, rows).digits == 2
    path.write_text('{"text": "a", "probabilities": [1.5e-7]}\n')
    assert read_answers(path).digits == 8
    checked = tried(answers(path, Sides("pre", "pre"), 2), "pre", "pre")
    assert checked.tolerance == pytest.approx(5e-3)
    assert "have 2 digits behind the point, so that differences up to 0.005" in checked.notes[0]


def test_differences_of_another_machine_are_let_pass_with_a_warning(path: Path) -> None:
    sides = Sides("pre", "pre")
    rows = model()(pad(IDS, LENGTH, sides))
    checked = tried(written(path, rows + np.float32(1e-3)))
    assert checked.sides == sides
    assert "numeric precision of the machine they come from" in checked.notes[-1]
    with pytest.raises(ExportError, match=r"differences up to 0\.002 are let pass"):
        tried(written(path, rows + np.float32(3e-3)))
    assert tried(written(path, rows + np.float32(3e-3)), tolerance=5e-3).largest_difference > 2e-3
    with pytest.raises(ExportError, match=r"differences up to 0\.0001 are let pass"):
        tried(written(path, rows + np.float32(1e-3)), tolerance=1e-4)


def test_a_label_that_changes_is_refused_unless_rounding_changes_it(path: Path) -> None:
    def predict(rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.where(rows[:, :1] == 0, 0.9123, 0.49996).astype(np.float32)

    rows = predict(pad(IDS, LENGTH, Sides("post", "pre")))
    rows[rows < 0.5] = 0.5001
    with pytest.raises(ExportError, match="of 6 labels change"):
        tried(written(path, rows), "post", "pre", predict)
    rows = predict(pad(IDS, LENGTH, Sides("post", "pre")))
    checked = tried(written(path, rows, 4), "post", "pre", predict)
    assert checked.largest_difference == pytest.approx(4e-5, rel=1e-3)


def test_texts_that_cannot_tell_a_side_are_asked_for_longer_ones(path: Path) -> None:
    short = [ids[:3] for ids in IDS]
    full = [[1, 2, 3, 4, 5, 6, 7], []]
    rows = model()(pad(short, LENGTH, Sides("pre", "pre")))
    with pytest.raises(
        ExportError, match=r"no text in it has more than 6 tokens.*give --truncating"
    ):
        tried(written(path, rows), ids=short)
    assert tried(written(path, rows), None, "post", ids=short).sides == Sides("pre", "post")
    rows = model()(pad(full, LENGTH, Sides("pre", "post")))
    found = written(path, rows, texts=["a", "b"])
    with pytest.raises(ExportError, match=r"no text in it has 1 to 5 tokens.*give --padding"):
        tried(found, ids=full)


def test_answers_that_two_sides_give_alike_are_not_guessed_at(path: Path) -> None:
    def predict(rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return (0.7 + rows[:, -1:] * 1e-4).astype(np.float32)

    found = written(path, predict(pad(IDS, LENGTH, Sides("pre", "pre"))), 2)
    with pytest.raises(ExportError, match=r"fit .* alike: keep more of their digits"):
        tried(found, predict=predict)


def test_where_no_side_matters_either_is_taken(path: Path) -> None:
    def average(rows: NDArray[np.int32]) -> NDArray[np.float32]:
        means: NDArray[np.float32] = (rows.sum(axis=1, keepdims=True) / 100).astype(np.float32)
        return means

    found = written(path, average(pad(IDS, LENGTH, Sides("post", "post"))))
    assert tried(found, predict=average).sides.truncating == "post"


def test_answers_that_are_not_numbers_fit_nothing(path: Path) -> None:
    sides = Sides("post", "post")

    def predict(rows: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.where(rows[:, :1] == 0, np.float32("nan"), model()(rows))

    found = written(path, model()(pad(IDS[:2], LENGTH, sides)), texts=TEXTS[:2])
    assert tried(found, predict=predict, ids=IDS[:2]).sides == sides
    with pytest.raises(ExportError, match="here it is nan"):
        tried(found, "pre", "pre", predict=lambda rows: predict(rows * 0), ids=IDS[:2])


def test_several_outputs_are_compared_one_by_one(path: Path) -> None:
    sides = Sides("post", "pre")
    assert tried(answers(path, sides, outputs=3), predict=model(3)).sides == sides
    with pytest.raises(ExportError, match="has 3 probabilities per text, the model gives 1"):
        tried(answers(path, sides, outputs=3))


def test_labels_are_chosen_by_what_the_outputs_mean() -> None:
    outputs = np.array([[-1.0, 2.0], [0.3, 0.2]])
    assert labels_of()(outputs).tolist() == [[False, True], [True, False]]
    assert labels_of(thresholds=[0.3, 0.3])(outputs).tolist() == [[False, True], [True, False]]
    assert labels_of(from_logits=True)(np.array([[0.1], [-9e9]])).tolist() == [[True], [False]]
    assert labels_of()(np.array([[0.1], [0.5]])).tolist() == [[False], [True]]


def test_numbers_of_one_text_may_stand_as_predict_returns_them(path: Path) -> None:
    path.write_text(
        '\ufeff{"text": "a", "probabilities": [[0.25]], "id": 7}\n\n'
        '{"text": "b", "probabilities": 1}\n',
        encoding="utf-8",
    )
    found = read_answers(path)
    assert found.outputs.tolist() == [[0.25], [1.0]]
    assert (found.texts, found.lines) == (("a", "b"), (1, 3))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("\n \n", "is empty"),
        ("text,probabilities", "line 1 is not JSON"),
        ("[1]", "line 1 is not an object with a text"),
        ('{"text": 5, "probabilities": [1]}', "line 1 is not an object with a text"),
        ('{"text": "a"}', "line 1 has no probabilities"),
        ('{"text": "a", "probabilities": []}', "line 1 has no probabilities"),
        ('{"text": "a", "probabilities": ["0.5"]}', "line 1: 0.5 is not a number"),
        ('{"text": "a", "probabilities": [NaN]}', "line 1: nan is not a number"),
        ('{"text": "a", "probabilities": [true]}', "line 1: True is not a number"),
        (
            '{"text": "a", "probabilities": [1]}\n{"text": "a", "probabilities": [1, 2]}',
            "line 2 has 2 probabilities, line 1 has 1",
        ),
        ("[" * 100_000, "line 1 is not JSON"),
    ],
)
def test_answers_that_cannot_be_read_are_refused_by_their_line(
    content: str, why: str, path: Path
) -> None:
    path.write_text(content)
    with pytest.raises(ExportError, match=why):
        read_answers(path)


def test_percentages_are_recognized(path: Path) -> None:
    rows = model()(pad(IDS, LENGTH, Sides("pre", "pre"))) * 100
    with pytest.raises(ExportError, match="are they percentages"):
        tried(written(path, rows))
