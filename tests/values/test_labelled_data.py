"""Models that were trained elsewhere, with labelled texts: the bundle says how good they are."""

import csv
import json
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from keras import layers
from sentido_bundle import Bundle, BundleError, Task, TaskKind
from sentido_export.errors import ExportError
from sentido_export.flags import parse
from sentido_export.imported.export import export_own_model
from sentido_export.imported.labelled import Labelled, read_labelled, thresholds_for
from sentido_export.imported.options import OwnModelOptions
from sentido_score.callbacks import quiet

WORDS = ("rude", "dull", "late", "the", "film", "was", "a", "it", "here", "there")
LABELS = WORDS[:3]
FLAGS = ("--padding", "post", "--truncating", "post", "--labels", ",".join(LABELS))
SEVERAL = (*FLAGS, "--task", "multi_label")

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"  # of saving
)


def model(path: Path, bias: float, activation: str) -> Path:
    """Save a model that gives a text those of three labels that are among its words."""
    model = keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(len(WORDS) + 1, 3),
            layers.GlobalMaxPooling1D(),
            layers.Dense(3, activation=activation),
        ]
    )
    table = np.zeros((len(WORDS) + 1, 3), np.float32)
    table[1:4] = 4 * np.eye(3)
    model.layers[0].set_weights([table])
    model.layers[2].set_weights([np.eye(3, dtype=np.float32), np.full(3, bias, np.float32)])
    model.save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with models and their words."""
    folder = tmp_path_factory.mktemp("models")
    words = {word: number + 1 for number, word in enumerate(WORDS)}
    (folder / "words.json").write_text(json.dumps(words))
    model(folder / "softmax.keras", 0, "softmax")
    model(folder / "shy.keras", -5, "sigmoid")  # which says 0.27 of a label that is there
    return folder


def export(model: Path, out: Path, *flags: str | Path) -> Bundle:
    """Export as the command does, in this process."""
    words = model.with_name("words.json")
    given = ["--from-keras", model, "--word-index", words, *flags]
    return export_own_model(OwnModelOptions.of(parse([*map(str, given)]), out, "mine"))


def evaluation_of(bundle: Bundle) -> dict[str, Any]:
    assert bundle.evaluation is not None
    return dict(json.loads(bundle.evaluation))


def write(path: Path, rows: Sequence[Sequence[object]], names: Sequence[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def texts_of(label: str, count: int) -> list[str]:
    return [f"the film was {label} {number}" for number in range(count)]


ONE_EACH = [(text, label) for label in LABELS for text in texts_of(label, 8)]
SEVERAL_EACH = [
    (
        f"it was {' '.join(word for word, flag in zip(LABELS, flags, strict=True) if flag)} {n}",
        *flags,
    )
    for n in range(16)
    for flags in ((1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 1, 1))
]


def test_labelled_texts_become_an_evaluation_and_a_page(folder: Path, tmp_path: Path) -> None:
    wrong = ("the film was rude, all the same", "late")
    path = write(tmp_path / "a.csv", [*ONE_EACH, wrong], ["text", "kind"])
    flags: list[str | Path] = [*FLAGS, "--data", path, "--label-column", "kind"]
    bundle = export(folder / "softmax.keras", tmp_path / "out", *flags)
    assert bundle.manifest.evaluation is not None
    assert bundle.manifest.evaluation.texts == 25
    assert bundle.manifest.evaluation.accuracy == 24 / 25
    assert "evaluation" in bundle.capabilities
    found = evaluation_of(bundle)
    assert found["confusion"] == [[8, 0, 0], [0, 8, 0], [1, 0, 8]]
    assert not {"thresholds", "training"} & found.keys()
    page = Path(f"{tmp_path / 'out'}.report.html").read_text("utf-8")
    assert "0.9600" in page
    assert "all the same" not in page


def test_thresholds_are_chosen_on_one_half_and_judged_on_the_other(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", SEVERAL_EACH, ["text", *LABELS])
    flags: list[str | Path] = [*SEVERAL, "--data", path, "--label-columns", ",".join(LABELS)]
    bundle = export(folder / "shy.keras", tmp_path / "out", *flags)
    found = evaluation_of(bundle)
    assert all(0.01 < threshold < 0.26 for threshold in bundle.manifest.task.thresholds)
    assert found["micro_f1"] == found["macro_f1"] == 1
    assert found["thresholds"]["chosen"] == [*LABELS]
    halves = found["thresholds"]["texts"], found["rows"]["evaluated"]
    assert sum(halves) == len(SEVERAL_EACH)
    assert min(halves) > 10
    assert [row["threshold"] for row in found["labels"]] == [*bundle.manifest.task.thresholds]
    assert f"the largest F1 on {halves[0]} of the texts" in capsys.readouterr().out
    page = Path(f"{tmp_path / 'out'}.report.html").read_text("utf-8")
    assert f"The thresholds of rude, dull, late give the largest F1 on {halves[0]} other" in page


def test_near_copies_are_not_on_both_sides_of_choosing_and_judging() -> None:
    texts = [f"the film was {n}" for n in range(40)] + [f"The FILM was: {n}!" for n in range(40)]
    labelled = Labelled(texts, [frozenset((n % 3,)) for n in range(80)])
    options = OwnModelOptions.of(parse(["--from-keras", "m.keras"]), Path("out"), "mine")
    task = Task(TaskKind.MULTI_LABEL, (0.5, 0.5, 0.5))
    thresholds, judged = thresholds_for(options, LABELS, task, labelled, quiet)
    assert thresholds is not None
    numbers = [
        {text.strip("!").split()[-1] for text in part.texts} for part in (thresholds.by, judged)
    ]
    assert [len(part) for part in numbers] == [20, 20]
    assert not numbers[0] & numbers[1]


def test_a_threshold_that_is_given_wins(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    held = [
        [name for name, flag in zip(LABELS, flags, strict=True) if flag]
        for _, *flags in SEVERAL_EACH
    ]
    table = pa.table({"text": [row[0] for row in SEVERAL_EACH], "label": held})
    pq.write_table(table, path)
    flags: list[str | Path] = [*SEVERAL, "--data", path]
    bundle = export(folder / "shy.keras", tmp_path / "some", *flags, "--threshold", "rude=0.75")
    rude, dull, _ = bundle.manifest.task.thresholds
    assert (rude, dull < 0.26) == (0.75, True)
    found = evaluation_of(bundle)
    assert found["labels"][0]["recall"] == 0
    assert found["thresholds"]["chosen"] == ["dull", "late"]
    for label in LABELS:
        flags += ["--threshold", f"{label}=0.5"]
    bundle = export(folder / "shy.keras", tmp_path / "all", *flags)
    assert bundle.manifest.task.thresholds == (0.5, 0.5, 0.5)
    assert evaluation_of(bundle)["rows"]["evaluated"] == len(SEVERAL_EACH)


def test_a_label_that_few_texts_have_keeps_its_threshold(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [row for row in SEVERAL_EACH if not row[3]] + [("late once", 0, 0, 1)]
    path = write(tmp_path / "a.csv", rows, ["text", *LABELS])
    flags: list[str | Path] = [*SEVERAL, "--data", path, "--label-columns", ",".join(LABELS)]
    bundle = export(folder / "shy.keras", tmp_path / "out", *flags)
    assert bundle.manifest.task.thresholds[2] == 0.5
    assert "the threshold of late stays 0.5: fewer than 5 texts" in capsys.readouterr().out


def test_the_data_may_call_labels_otherwise(folder: Path, tmp_path: Path) -> None:
    rows = [(text, LABELS.index(label)) for text, label in ONE_EACH]
    path = write(tmp_path / "a.csv", rows, ["text", "label"])
    flags: list[str | Path] = [*FLAGS, "--data", path]
    for number, label in enumerate(LABELS):
        flags += ["--rename", f"{number}={label}"]
    bundle = export(folder / "softmax.keras", tmp_path / "out", *flags)
    assert bundle.manifest.evaluation is not None
    assert bundle.manifest.evaluation.accuracy == 1


def test_texts_may_be_a_folder_of_each_label(folder: Path, tmp_path: Path) -> None:
    for number, (text, label) in enumerate(ONE_EACH):
        (tmp_path / "texts" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "texts" / label / f"{number}.txt").write_text(text)
    bundle = export(
        folder / "softmax.keras", tmp_path / "out", *FLAGS, "--data", tmp_path / "texts"
    )
    assert bundle.manifest.evaluation is not None
    assert bundle.manifest.evaluation.accuracy == 1


REFUSED: dict[str, tuple[Sequence[str], Sequence[Sequence[object]], Sequence[str], str]] = {
    "another label": (
        FLAGS,
        [*ONE_EACH, ("it", "good")],
        ["text", "label"],
        r"--data: .*a\.csv: line 26: the label 'good' is none of the model's, 'rude', 'dull',"
        r" 'late': --rename good=LABEL .*--labels",
    ),
    "no label": (FLAGS, [("it", "")], ["text", "label"], "line 2: no label in the column 'label'"),
    "no such column": (FLAGS, ONE_EACH, ["text", "kind"], "--label-column"),
    "no rows": (FLAGS, [], ["text", "label"], "holds no rows"),
    "columns for one label": (
        (*FLAGS, "--label-columns", "rude,dull,late"),
        SEVERAL_EACH,
        ["text", *LABELS],
        "--label-columns is for models that give several labels",
    ),
    "several columns without their flag": (
        SEVERAL,
        SEVERAL_EACH,
        ["text", *LABELS],
        "or a column of 0 and 1 for each label with --label-columns",
    ),
    "a column is missing": (
        (*SEVERAL, "--label-columns", "rude,dull"),
        SEVERAL_EACH,
        ["text", *LABELS],
        "--label-columns and the model's labels differ in 'late'",
    ),
    "neither 0 nor 1": (
        (*SEVERAL, "--label-columns", "rude,dull,late"),
        [("it", 1, 2, 0)],
        ["text", *LABELS],
        "line 2: the column of 'dull' holds '2', 0 or 1 is needed",
    ),
    "nothing to report on": (
        (*SEVERAL, "--label-columns", "rude,dull,late"),
        SEVERAL_EACH[:1],
        ["text", *LABELS],
        "1 texts are too few to choose thresholds on one half",
    ),
    "no labels at all": (
        (*SEVERAL, "--label-columns", "rude,dull,late"),
        [("it", 0, 0, 0)],
        ["text", *LABELS],
        "no text has a label: there is nothing to evaluate",
    ),
}


@pytest.mark.parametrize(("flags", "rows", "names", "said"), [*REFUSED.values()], ids=[*REFUSED])
def test_data_that_cannot_be_meant_ends_the_export_and_names_the_row(
    flags: Sequence[str],
    rows: Sequence[Sequence[object]],
    names: Sequence[str],
    said: str,
    folder: Path,
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "a.csv", rows, names)
    kind = "shy.keras" if "--task" in flags else "softmax.keras"
    with pytest.raises((ExportError, BundleError), match=said):
        export(folder / kind, tmp_path / "out", *flags, "--data", path)
    assert [each.name for each in tmp_path.iterdir()] == ["a.csv"]


def test_two_thresholds_of_one_label_are_a_bad_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(["--from-keras", "m.h5", "--threshold", "a=0.4", "--threshold", "a=0.6"])
    assert ended.value.code == 2
    assert "--threshold: 'a' is given twice: 0.4 and 0.6" in capsys.readouterr().err


def test_labels_without_data_are_a_bad_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["--label-column", "x"], ["--label-columns", "a,b"], ["--rename", "a=b"]):
        with pytest.raises(SystemExit) as ended:
            parse(["--from-keras", "m.h5", *flags])
        assert ended.value.code == 2
        assert f"{flags[0]} is of --data, which was not given" in capsys.readouterr().err


def read(path: str | Path, kind: TaskKind = TaskKind.SINGLE, *flags: str) -> Labelled:
    """Read labelled texts as the exporter does, before it starts TensorFlow."""
    given = ["--from-keras", "m.keras", "--data", str(path), *flags]
    options = OwnModelOptions.of(parse(given), Path("out"), "mine")
    labelled = read_labelled(options, LABELS, kind, quiet)
    assert labelled is not None
    return labelled


def test_the_texts_of_a_table_are_not_held_in_memory(tmp_path: Path) -> None:
    rows = [(f"{n} " * 100, LABELS[n % 3]) for n in range(5_000)]
    path = write(tmp_path / "a.csv", rows, ["text", "label"])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        labelled = read(path)
        half = labelled.part(np.arange(len(rows)) % 2 == 0)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert held < path.stat().st_size / 5
    assert list(labelled.texts) == list(labelled.texts) == [text for text, _ in rows]
    assert list(half.texts) == [text for text, _ in rows[::2]]
    assert half.having(0) == 834


def test_a_table_that_changes_before_it_is_read_again_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ONE_EACH, ["text", "label"])
    labelled = read(path)
    write(path, ONE_EACH[::-1], ["text", "label"])
    with pytest.raises(ExportError, match=r"^--data: .*a\.csv: was changed .*: start anew"):
        list(labelled.texts)


def test_what_comes_by_standard_input_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.csv", ONE_EACH, ["text", "label"])
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        labelled = read("-", TaskKind.SINGLE, "--input-format", "csv")
    assert list(labelled.texts) == list(labelled.texts) == [text for text, _ in ONE_EACH]
