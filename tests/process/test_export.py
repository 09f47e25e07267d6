"""`sentido-export` as a process: real exports from every kind of source, and none that is bad."""

import csv
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx
import pyarrow
import pyarrow.parquet
import pytest
from conftest import BIN, SMALL_BUNDLE
from exporting import SMALL
from sentido_bundle import Bundle, default_bundle
from sentido_evaluate import render_page
from sentido_evaluate.stored import read_stored
from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.machine import check_memory, check_room

ROWS = [
    (f"{mood} film, number {n}", label)
    for n in range(40)
    for mood, label in (("lovely", "good"), ("awful", "bad"))
]
COLUMNS = ("--text-column=review", "--label-column=sentiment")


def export(
    *flags: Any, cwd: Path | None = None, variables: Mapping[str, str] = MappingProxyType({})
) -> "subprocess.CompletedProcess[str]":
    result = subprocess.run(
        [BIN / "sentido-export", *flags],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=cwd,
        env={**os.environ, **variables},
    )
    assert "Traceback" not in result.stderr
    return result


def operators(graph: Path) -> list[str]:
    return [node.op_type for node in onnx.load(graph, load_external_data=False).graph.node]


@pytest.mark.parametrize("bundle", [default_bundle(), "small"], ids=["default", "small"])
def test_the_graphs_hold_one_lstm_node_and_no_loop(bundle: Path | str, small_bundle: Path) -> None:
    folder = small_bundle if bundle == "small" else Path(bundle)
    for name in ("model.onnx", "steps.onnx"):
        found = operators(folder / name)
        assert found.count("LSTM") == 1
        assert "Loop" not in found
        graph = onnx.load(folder / name, load_external_data=False).graph
        (lstm,) = [node for node in graph.node if node.op_type == "LSTM"]
        assert lstm.input[4] == "lengths"


def test_an_export_records_what_it_did(small_bundle: Path) -> None:
    manifest = Bundle.load(small_bundle).manifest
    assert (manifest.name, manifest.version) == ("small", "1")
    assert manifest.labels == ("negative", "positive")
    assert manifest.training["texts"] == {"train": 480, "validation": 60, "test": 60}
    assert manifest.training["settings"]["units"] == 12
    assert manifest.training["seed"] == 0
    assert manifest.metrics["texts"] == 60
    assert manifest.metrics["accuracy_low"] <= manifest.metrics["accuracy"]
    assert manifest.parity.texts >= 600 + 50
    assert manifest.parity.largest_difference <= 1e-5
    assert {"keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime"} <= set(manifest.tools)


def test_an_export_measures_its_int8_twin(small_bundle: Path) -> None:
    bundle = Bundle.load(small_bundle, "int8")
    int8 = bundle.manifest.int8
    assert int8 is not None
    assert int8.texts == bundle.manifest.metrics["texts"]
    assert int8.accuracy + int8.accuracy_loss == bundle.manifest.metrics["accuracy"]
    assert 0 < int8.largest_difference_probabilities < int8.tolerance < 0.1
    assert int8.largest_difference_hidden is not None
    assert 0 < int8.largest_difference_hidden < int8.tolerance
    assert operators(small_bundle / "model.int8.onnx").count("DynamicQuantizeLSTM") == 1


def as_csv(folder: Path) -> Path:
    path = folder / "reviews.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "review", "sentiment"])
        writer.writerows((n, text + ',\n"quoted"', label) for n, (text, label) in enumerate(ROWS))
    return path


def as_tsv(folder: Path) -> Path:
    path = folder / "reviews.tsv"
    rows = "".join(f"{text}\t{label}\n" for text, label in ROWS)
    path.write_text("review\tsentiment\n" + rows)
    return path


def as_jsonl(folder: Path) -> Path:
    path = folder / "reviews.jsonl"
    path.write_text("".join(json.dumps({"review": t, "sentiment": s}) + "\n" for t, s in ROWS))
    return path


def as_parquet(folder: Path) -> Path:
    path = folder / "reviews.parquet"
    texts, labels = zip(*ROWS, strict=True)
    pyarrow.parquet.write_table(pyarrow.table({"review": texts, "sentiment": labels}), path)
    return path


def as_folder(folder: Path) -> Path:
    for number, (text, label) in enumerate(ROWS):
        (folder / "texts" / label).mkdir(parents=True, exist_ok=True)
        (folder / "texts" / label / f"{number}.txt").write_text(text)
    return folder / "texts"


SOURCES = [as_csv, as_tsv, as_jsonl, as_parquet, as_folder]


@pytest.mark.parametrize("write", SOURCES, ids=lambda write: write.__name__)
def test_every_kind_of_source_loads(write: Callable[[Path], Path], tmp_path: Path) -> None:
    loaded = data.load(str(write(tmp_path)), "review", "sentiment")
    assert len(loaded) == len(ROWS)
    assert loaded.label_names == ("bad", "good")
    assert sum(loaded.labels) == 40
    assert sorted(text.split(",")[0] for text in loaded.texts) == sorted(
        text.split(",")[0] for text, _ in ROWS
    )


@pytest.mark.nightly
def test_a_seed_gives_the_same_bundle_whatever_the_users_settings_of_keras_are(
    small_bundle: Path, tmp_path: Path
) -> None:
    """And in a file there is no progress bar."""
    (tmp_path / ".keras").mkdir()
    settings = {"floatx": "float16", "epsilon": 1, "backend": "torch"}
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))
    variables = {"HOME": str(tmp_path), "KERAS_BACKEND": "jax", "KERAS_MAX_EPOCHS": "none"}
    result = export(*SMALL_BUNDLE, "--out", "again", cwd=tmp_path, variables=variables)
    assert result.returncode == 0, result.stderr
    for path in (tmp_path / "again").iterdir():
        if path.name != "manifest.json":  # which holds the time
            assert path.read_bytes() == (small_bundle / path.name).read_bytes(), path.name
    assert "val_loss: " in result.stdout
    assert all(c.isprintable() or c == "\n" for c in result.stdout)
    assert json.loads((tmp_path / ".keras" / "keras.json").read_text()) == settings


def test_labels_that_are_numbers_are_sorted_by_size(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    path.write_text("text,label\n" + "".join(f"text {n},{n}\n" for n in (10, 9, 2, 1)))
    assert data.load(str(path), "text", "label").label_names == ("1", "2", "9", "10")


def test_labels_are_one_however_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    labels = ['"1"', "1", "1.0", '" 1 "', "0", '"0"']
    path.write_text("".join(f'{{"text": "t", "label": {label}}}\n' for label in labels))
    loaded = data.load(str(path), "text", "label")
    assert loaded.label_names == ("0", "1")
    assert loaded.labels.tolist() == [1, 1, 1, 1, 0, 0]


def test_a_tsv_has_no_quotes(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"Great" movie\tpos\n"Bad\tneg\n')
    assert data.load(str(path), "text", "label").texts == ['"Great" movie', '"Bad']


def test_duplicates_are_dropped_and_a_limit_draws_balanced_by_the_seed() -> None:
    texts = ["same", "same", *(f"text {n}" for n in range(98))]
    labels = np.array([0] * 80 + [1] * 20, np.int32)
    distinct, conflicts = data.drop_duplicates(data.Dataset(texts, labels, ("a", "b")))
    assert (len(distinct), conflicts) == (99, 0)
    labels[1] = 1
    assert data.drop_duplicates(data.Dataset(texts, labels, ("a", "b")))[1] == 1
    drawn = data.draw(distinct, 20, seed=1)
    assert [int((drawn.labels == n).sum()) for n in (0, 1)] == [10, 10]
    assert data.draw(distinct, 20, seed=1).texts == drawn.texts
    assert data.draw(distinct, 20, seed=2).texts != drawn.texts
    assert [int((data.draw(distinct, 90, 1).labels == n).sum()) for n in (0, 1)] == [45, 20]


def test_the_parts_of_a_split_share_no_text_and_have_every_label() -> None:
    texts = [f"text {n}" for n in range(200)]
    labels = np.array(random.Random(1).choices([0, 1], k=200), np.int32)
    parts = data.split(data.Dataset(texts, labels, ("a", "b")), 0.1, seed=1)
    found = [*parts.train.texts, *parts.validation.texts, *parts.test.texts]
    assert sorted(found) == sorted(texts)
    assert all(len(set(part.labels)) == 2 for part in (parts.train, parts.validation, parts.test))
    again = data.split(data.Dataset(texts, labels, ("a", "b")), 0.1, seed=1)
    assert again.test.texts == parts.test.texts


def test_acl_imdb_is_read_as_people_unpack_it(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for label in ("neg", "pos", "unsup"):
            folder = tmp_path / "aclImdb" / split / label
            folder.mkdir(parents=True)
            (folder / "0_1.txt").write_text(f"{split} {label}")
    assert data.load(str(tmp_path / "aclImdb" / "train"), "", "").label_names == ("neg", "pos")
    with pytest.raises(ExportError, match=r"did you mean .*aclImdb/train\?"):
        data.load(str(tmp_path / "aclImdb"), "", "")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "review,label\nx,1\n", "no column 'text' among 'review', 'label': one is needed"),
        ("a.csv", "text,stars\nx,1\n", "no column 'label' among 'text', 'stars': one is needed"),
        ("a.csv", "", "a.csv: no line of column names"),
        ("a.csv", "text,label\na,1\nb,1\n", "its labels are ['1'], two or more are needed"),
        ("a.csv", "text,label\na,1\nb\n", "a.csv: line 3: 1 fields, the first line has 2"),
        ("a.csv", "text,label\na,1\nb, \n", "a.csv: line 3: no label"),
        ("a.csv", "label,text\n1,a, b, c\n", "line 2: 4 fields, the first line has 2; a text that"),
        ("a.csv", 'text,label\na,1\n"b,2\nc,3\n', "a.csv: line 3: a quote that is not closed"),
        ("a.tsv", "text\tlabel\na\tb\tc\n", "a.tsv: line 2: 3 fields, the first line has 2"),
        (
            "a.jsonl",
            '{"text": "\\ud800", "label": 1}\n{"text": "", "label": 2}\n',
            "half of an emoji",
        ),
        ("a.jsonl", '{"text": "a", "label": [1]}\n', "line 1: the label is of type list"),
        ("a.jsonl", '{"text": "a", "label": NaN}\n', "line 1: malformed JSON: NaN is not"),
        ("a.jsonl", "[" * 100_000 + "\n", "a.jsonl: line 1: "),
        ("a.csv", "text,label\n" + "".join(f"a,{n}.5\n" for n in range(1001)), "1,001 different"),
        ("a.csv", b"text,label\n\xff,1\n", "a.csv: line 2: not UTF-8"),
        ("a.csv", "text,label\na,1\n".encode("utf-16"), "a.csv: is UTF-16, not UTF-8: convert"),
        ("a.jsonl", '{"text": "a"}'.encode("utf-16-le"), "a.jsonl: is UTF-16LE, not UTF-8"),
        ("a.csv", b"\x1f\x8b\x08" + bytes(20), "a.csv: is compressed with gzip, not UTF-8 text"),
        ("a.jsonl", b'{"text": "\xe9", "label": 1}\n', "a.jsonl: line 1: not UTF-8"),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text"', "a.jsonl: line 2: "),
        (
            "a.jsonl",
            '{"text": 5, "label": 1}\n{"text": "", "label": 2}\n',
            "line 1: the text is of type int",
        ),
        ("a.jsonl", '{"text": "a"}\n', "no column 'label' among 'text': one is needed"),
        ("a.jsonl", "[1]\n", "line 1: an object is needed"),
        ("a.parquet", b"not parquet", "a.parquet: Parquet magic bytes not found"),
        ("a.xlsx", "", "its name tells no format: name one of csv, tsv, jsonl"),
    ],
)
def test_data_that_cannot_be_used_is_named(
    name: str, content: str | bytes, message: str, tmp_path: Path
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(ExportError) as caught:
        data.load(str(path), "text", "label")
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


def test_parquet_of_fewer_rows_than_its_footer_says_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(
        pyarrow.table({"text": list("abcde"), "label": list("xyxyx")}),
        path,
        compression="none",
        use_dictionary=False,
        store_schema=False,
        write_statistics=False,
    )
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    path.write_bytes(content[:footer] + content[footer:].replace(b"\x16\x0a", b"\x16\x10"))
    with pytest.raises(ExportError, match="row group 0 holds 5 rows, its footer says 8"):
        data.load(str(path), "text", "label")


def rows_of(*labels: str) -> Iterable[str]:
    return (f"text {n},{label}\n" for n, label in enumerate(labels))


def test_names_in_messages_harm_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x\x1b[31m.csv"
    path.write_text("n\x1b[31m,x\n1,2\n")
    with pytest.raises(ExportError) as raised:
        data.load(str(path), "text", "label")
    assert str(raised.value).count(r"\x1b[31m") == 2
    assert "\x1b" not in str(raised.value)


def test_too_few_texts_of_a_label_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "few.csv", "text,label\n" + "".join(rows_of(*"aaaaaaaaaaaaab")))
    result = export("--data", path, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "only 1 text is labelled 'b': three that differ are needed, one" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--data", "nope.csv"], 1, "nope.csv: no such file or folder"),
        (["--out", "."], 1, "sentido-export: . exists; a bundle is never changed"),
        (["--out", "/proc/x"], 1, "sentido-export: /proc/x cannot be written"),
        (["--words", "1"], 2, "'1' is not a whole number from 2 to 500000"),
        (["--max-tokens", "100000000000"], 2, "is not a whole number from 1 to 100000"),
        (["--dimensions", "4097"], 2, "'4097' is not a whole number from 1 to 4096"),
        (["--max-tokens", "100000"], 1, "(word_vectors.size + 4 * steps.size) is 43,200,000"),
        (["--words", "500000", "--units", "5000"], 2, "is not a whole number from 1 to 4096"),
        (["--seed", "5000000000"], 2, "is not a whole number from 0 to 4294967295"),
        (["--validation", "0.5"], 2, "'0.5' is not a number between 0 and 0.5"),
        (["--min-accuracy", "90"], 2, "'90' is not a number from 0 to 1"),
        (["--name", "a/b"], 2, "name is 'a/b': 1 to 64 letters"),
        (["--recipe", "mine"], 2, "'mine' is not one of tutorial, best"),
        (["--data", "a b.csv"], 1, "choose one with --name"),
    ],
)
def test_a_bad_flag_is_one_sentence(
    flags: list[str], code: int, message: str, tmp_path: Path
) -> None:
    result = export(*flags, cwd=tmp_path)
    assert result.returncode == code
    assert message in result.stderr


@pytest.mark.parametrize(
    ("text", "labels", "message"),
    [
        ("x" * 1001, "ab", "the word 'xxx"),
        ("x", ("a" * 101, "b"), "labels[0]: has 101 characters, at most 100"),
    ],
)
def test_data_that_no_bundle_could_hold_is_refused_before_training(
    text: str, labels: tuple[str, str], message: str, tmp_path: Path
) -> None:
    rows = "".join(f"{text} {n},{labels[n % 2]}\n" for n in range(60))
    result = export(
        "--data", write(tmp_path / "d.csv", "text,label\n" + rows), "--out", tmp_path / "o"
    )
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.endswith("no bundle could hold that\n")
    assert "Starting TensorFlow" not in result.stdout


def test_too_little_memory_or_room_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"bytes free, the bundle takes more than .*: make room"):
        check_room(tmp_path / "new" / "out", 2**62)
    check_room(tmp_path / "new" / "out", 1)
    check_memory(1)
    with pytest.raises(MemoryError, match=r"bytes are free, training takes more than .*--units"):
        check_memory(2**60)
    command = "from sentido_export.machine import check_memory; check_memory(2**28)"
    shell = f"ulimit -v 1000000; exec {BIN}/python -c '{command}'"
    result = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60)
    assert "bytes are free, training takes more than 1,073,741,824" in result.stderr


def test_output_that_cannot_be_written_ends_an_export_with_a_sentence(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [
                BIN / "sentido-export",
                "--data",
                as_csv(tmp_path),
                *COLUMNS,
                "--out",
                tmp_path / "out",
            ],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert (result.returncode, result.stderr) == (1, "sentido-export: No space left on device\n")


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    path = as_csv(tmp_path)
    command: list[str | Path] = [
        BIN / "sentido-export",
        "--data",
        path,
        *COLUMNS,
        *SMALL,
        "--epochs=10000",
    ]
    with subprocess.Popen(
        [*command, "--out", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if line.startswith("Epoch 2/"):  # it trains, and would for long
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        message = process.stderr.read()
    assert process.returncode == 130
    assert message.endswith("sentido-export: interrupted, no bundle was written\n")
    assert list(tmp_path.iterdir()) == [path]


def test_a_bundle_brings_its_evaluation_and_a_page_stands_beside_it(small_bundle: Path) -> None:
    bundle = Bundle.load(small_bundle)
    section, metrics = bundle.manifest.evaluation, bundle.manifest.metrics
    assert section is not None
    assert (section.texts, section.accuracy) == (metrics["texts"], metrics["accuracy"])
    evaluation = read_stored(bundle)
    assert evaluation["rows"] == {"evaluated": section.texts, "errors": 0}
    assert [suite["title"] for suite in evaluation["checks"]] == ["Film reviews"]
    page = Path(f"{small_bundle}.report.html").read_text("utf-8")
    assert page == render_page(evaluation)


def test_an_evaluation_holds_the_curves_of_training(small_bundle: Path) -> None:
    bundle = Bundle.load(small_bundle)
    course = read_stored(bundle)["training"]
    assert course["kept"] == [1, 1]
    assert bundle.manifest.training["weights"] == "epoch 1"
    (epoch,) = course["epochs"]
    assert epoch.keys() == {"loss", "accuracy", "validation_loss", "validation_accuracy"}
    assert all(0 < value < 2 for value in epoch.values())
    page = Path(f"{small_bundle}.report.html").read_text("utf-8")
    assert "Loss of each epoch" in page
