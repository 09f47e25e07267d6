"""The command `sentido-evaluate` on labelled files: figures, errors, exit codes."""

import json
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sentido_evaluate
import variants
from conftest import BIN
from evaluating import TEXTS, found, run, write
from rich.console import Console
from sentido_bundle import default_bundle
from sentido_evaluate.table import show
from waiting import PATIENCE


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """63 texts, 60 of which the default bundle answers as they are labelled."""
    return write(tmp_path / "labelled.csv", TEXTS)


def test_the_command_prints_json_into_a_pipe_and_ends_with_0(labelled: Path) -> None:
    result = subprocess.run(
        [BIN / "sentido-evaluate", labelled], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert found["rows"] == {"evaluated": 63, "errors": 0}
    assert found["accuracy"]["value"] == pytest.approx(60 / 63)
    assert found["accuracy"]["baseline"] == pytest.approx(33 / 63)
    assert found["accuracy"]["baseline_label"] == "negative"
    assert found["confusion"] == [[30, 3], [0, 30]]


def test_the_public_names_are_these() -> None:
    names = {"Asked", "Columns", "EvaluateError", "Suite", "evaluate", "read_suite", "render_page"}
    assert set(sentido_evaluate.__all__) == names


def test_other_columns_and_other_names_of_labels_are_said_by_flags(tmp_path: Path) -> None:
    rows = [(text, "1" if label == "positive" else "0.0") for text, label in TEXTS]
    path = write(tmp_path / "a.csv", rows, ("review", "stars"))
    flags = ("--text-column=review", "--label-column=stars")
    renamed = found(path, *flags, "--rename", "0=negative", "--rename", "1=positive")
    assert renamed["accuracy"]["value"] == pytest.approx(60 / 63)


def test_json_lines_and_parquet_give_the_same_figures(tmp_path: Path) -> None:
    texts, labels = zip(*TEXTS, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "a.parquet")
    lines = [json.dumps({"text": text, "label": label}) for text, label in TEXTS]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert found(tmp_path / "a.parquet") == found(tmp_path / "a.jsonl")


def test_rows_with_errors_are_left_out_named_and_make_it_end_with_3(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows: list[dict[str, Any]] = [{"text": text, "label": label} for text, label in TEXTS]
    rows[3:3] = [{"text": None, "label": "positive"}, {"text": "Good."}]
    rows += [{"text": "Good.", "label": "great"}, {"text": "Good.", "label": ["a"]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    code, out, err = run(path)
    assert code == 3
    found = json.loads(out)
    assert found["rows"] == {"evaluated": 63, "errors": 5}
    assert found["accuracy"]["value"] == pytest.approx(60 / 63)
    lines = err.splitlines()
    assert len(lines) == 5
    assert any("line 4: the text is null" in line for line in lines)
    assert any("line 5: no label" in line for line in lines)
    assert any("line 66: the label 'great' is none of the model's" in line for line in lines)
    assert any("line 67: the label is of type list" in line for line in lines)


def test_on_a_terminal_there_is_a_table_with_what_matters_most(labelled: Path) -> None:
    screen = Console(file=StringIO(), width=100)
    show(found(labelled, "--checks", "film-reviews", "--compare", default_bundle()), screen)
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "accuracy           0.9524 (95 %: 0.8691 to" in printed
    assert "0.5238, always negative" in printed
    assert "answers that flip   0 (0.00%)" in printed
    assert "double negation" in printed


def test_standard_input_is_read_too(labelled: Path) -> None:
    command: list[str | Path] = [BIN / "sentido-evaluate", "-", "--input-format", "csv"]
    with labelled.open("rb") as file:
        result = subprocess.run(command, stdin=file, capture_output=True, timeout=PATIENCE)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["rows"]["evaluated"] == 63


def test_each_problem_is_said_once_with_how_many_rows_have_it(tmp_path: Path) -> None:
    labels = ["neutral"] * 40 + ["mixed"] + ["NA", "", "None"] * 2 + ["a", "b", "b"]
    rows = [*TEXTS, *(("Good.", label) for label in labels)]
    code, out, err = run(write(tmp_path / "a.csv", rows))
    assert (code, json.loads(out)["rows"]["errors"]) == (3, len(labels))
    name = f"sentido-evaluate: {tmp_path / 'a.csv'}: line"
    lines = err.splitlines()
    assert lines[0].startswith(f"{name} 65: the label 'neutral' is none of the model's")
    assert lines[0].endswith(" (and in 39 more rows)")
    assert lines[1].startswith(f"{name} 105: the label 'mixed'")
    assert not lines[1].endswith(")")
    missing = "is how programs write a missing value (and in 1 more row)"
    assert lines[2] == f"{name} 106: no label: 'NA' {missing}"
    assert lines[3].endswith("no label in the column 'label' (--label-column) (and in 1 more row)")
    assert lines[4] == f"{name} 108: no label: 'None' {missing}"
    assert lines[5:] == ["sentido-evaluate: 3 more rows have other errors"]


def test_no_row_that_can_be_evaluated_is_an_error_that_names_the_first(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("Good.", "1"), ("Bad.", "0")])
    code, out, err = run(path)
    assert (code, out) == (1, "")
    assert "none of 2 rows can be evaluated" in err
    assert "--rename 1=LABEL" in err
    assert run(write(tmp_path / "b.csv", []))[2].endswith("b.csv: holds no rows\n")


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--label-column", "nothing"], 1, "name it with --label-column"),
        (["--text-column", "label"], 1, "name two columns"),
        (["--label-columns", "a,b"], 1, "name the one column of labels with --label-column"),
        (["--label-columns", "a,,b"], 1, "has an empty name"),
        (["--label-columns", "a,a"], 1, "names 'a' several times"),
        (["--label-columns", "a,b", "--label-column", "c"], 1, "give one of both"),
        (["--rename", "a=b"], 1, "the model has the labels 'negative', 'positive'"),
        (["--rename", "positive=pos"], 1, "write --rename pos=positive"),
        (["--rename", "a"], 2, "is not OLD=NEW"),
        (["--rename", "a=b", "--rename", "a=c"], 2, "--rename: 'a' is given twice: b and c"),
        (["--label-column", ""], 1, "--label-column has an empty name: write NAME"),
        (["--max-flips", "1%"], 2, "--max-flips needs --compare"),
        (["--compare", ".", "--max-flips", "2"], 2, "is not a share such as 1% or 0.01"),
        (["--compare", ".", "--max-flips", "٣%"], 2, "is not a share such as 1% or 0.01"),
        (["--compare", ".", "--max-flips", "1"], 2, "'1' may be meant as 1% or as 100%"),
        (["--bundle", "/nowhere"], 1, "/nowhere"),
        (["--report", "page.csv"], 1, "must end in .html"),
        (["--report", "/nowhere/page.html"], 1, "does not exist"),
        (["--checks", "nothing.toml"], 1, "film-reviews"),
        (["--lable-column", "a"], 2, "did you mean --label-column?"),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_says_what_to_do(
    flags: list[str], code: int, said: str, labelled: Path
) -> None:
    ended, out, err = run(labelled, *flags)
    assert (ended, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_a_useless_model_is_said_to_be_one(tmp_path: Path) -> None:
    """One that is right in 99 % of rows, since it answers the commonest label always."""
    rows = [("A dull, lifeless mess.", "negative")] * 99 + [("A dull mess.", "positive")]
    notes = found(write(tmp_path / "a.csv", rows))["notes"]
    assert any("not clearly better than always answering 'negative'" in note for note in notes)
    assert "The only text labelled 'positive' is not found." in notes


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that gives any of three labels."""
    task = {"kind": "multi_label", "thresholds": [0.5, 0.5, 0.5]}
    return variants.of_three_labels(tmp_path_factory.mktemp("three") / "bundle", task=task)


MANY = [
    ("A wonderful little film, I loved it.", ["good"]),
    ("A dull, lifeless mess.", ["bad", "odd"]),
    ("A dull, lifeless mess.", ["bad"]),
    ("A wonderful little film, I loved it.", []),
]


def test_labels_of_several_are_a_list_or_a_column_each(three: Path, tmp_path: Path) -> None:
    texts, labels = zip(*MANY, strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "a.parquet")
    columns = [(text, *(str(int(name in held)) for name in variants.LABELS)) for text, held in MANY]
    path = write(tmp_path / "a.csv", columns, ("text", *variants.LABELS))
    one = found(tmp_path / "a.parquet", "--bundle", three)
    assert one == found(path, "--bundle", three, "--label-columns", ",".join(variants.LABELS))
    by_label = {row["label"]: row for row in one["labels"]}
    assert (by_label["bad"]["recall"], by_label["good"]["support"]) == (1.0, 1)
    assert "micro_f1" in one
    assert "confusion" not in one


def test_texts_of_no_label_at_all_are_rows_like_others(tmp_path: Path) -> None:
    task = {"kind": "multi_label", "thresholds": [0.9] * 3}
    three = variants.of_three_labels(tmp_path / "bundle", task=task)
    nothing = pa.array([[], []], pa.list_(pa.string()))
    pq.write_table(pa.table({"text": ["", "."], "label": nothing}), tmp_path / "a.parquet")
    flags = ("--bundle", three, "--compare", three, "--report", tmp_path / "page.html")
    evaluation = found(tmp_path / "a.parquet", *flags)
    show(evaluation, Console(file=StringIO()))
    assert [row["recall"] for row in evaluation["labels"]] == [None] * 3
    assert (evaluation["macro_f1"], evaluation["micro_f1"]) == (None, 0)
    assert evaluation["rows"]["evaluated"] == 2


@pytest.mark.parametrize("cell", ["good,odd", "good; odd", "['good', 'odd']", '["good"]', "a|odd"])
def test_several_labels_in_a_string_are_told_how_to_be_written(
    cell: str, three: Path, tmp_path: Path
) -> None:
    path = write(tmp_path / "a.csv", [("Good.", "good"), ("Good.", cell)])
    code, _, err = run(path, "--bundle", three)
    assert code == 3
    assert "line 3: the label " in err
    assert "are a list in Parquet or JSON lines, or a column of 0 and 1 each" in err


def test_flags_are_0_and_1_or_what_programs_write_for_them(three: Path, tmp_path: Path) -> None:
    rows = [("Good.", "FALSE", "TRUE", "0.0"), ("Bad.", "1", "false", " 0 ")]
    path = write(tmp_path / "a.csv", rows, ("text", *variants.LABELS))
    labels = found(path, "--bundle", three, "--label-columns", "bad, good ,odd")["labels"]
    assert [row["support"] for row in labels] == [1, 1, 0]
    code, _, err = run(path, "--bundle", three)
    assert code == 1
    assert "or a column of 0 and 1 for each label with --label-columns" in err


def test_a_label_in_another_case_is_told_which_it_may_be(tmp_path: Path) -> None:
    code, _, err = run(write(tmp_path / "a.csv", [("Good.", "Positive")]))
    assert code == 1
    assert "--rename Positive=positive says which it is" in err


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("Good.", "positive", "x")], ("text", "label", "label"))
    code, _, err = run(path)
    assert code == 1
    assert "the input has 2 columns 'label': give each another name" in err


def test_a_column_for_each_label_is_needed_and_holds_0_or_1(three: Path, tmp_path: Path) -> None:
    rows = [("Good.", "0", "1", "maybe"), ("Bad.", "1", "0", "0")]
    path = write(tmp_path / "a.csv", rows, ("text", *variants.LABELS))
    code, _, err = run(path, "--bundle", three, "--label-columns", "bad,good,odd")
    assert code == 3
    assert "line 2: the column of 'odd' holds 'maybe', 0 or 1 is needed" in err
    code, _, err = run(path, "--bundle", three, "--label-columns", "bad,good")
    assert code == 1
    assert "differ in 'odd'" in err
