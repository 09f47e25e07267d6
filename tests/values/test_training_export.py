"""Trainings and exports of `sentido-export`, in a process that has TensorFlow already."""

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow
from exporting import SMALL, export_here
from readme import commands, labelled
from sentido_bundle import Against, Bundle, Inputs, Layout, Tokenizer, Truncation
from sentido_export import data, train
from sentido_export.errors import ExportError
from sentido_export.export import keras_rules
from sentido_export.machine import memory_in_words
from sentido_export.model import build
from sentido_export.recipe import TUTORIAL
from sentido_export.verify import compare


def test_a_csv_of_three_labels_becomes_a_bundle_that_answers_with_three(tmp_path: Path) -> None:
    path = tmp_path / "three.csv"
    rows = [(f"{word} {n}", word) for n in range(40) for word in ("red", "green", "blue")]
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    result = export_here("--data", path, *SMALL, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    bundle = Bundle.load(tmp_path / "bundles" / "three")
    assert bundle.labels == ("blue", "green", "red")
    texts = [f"{word} {n}" for n in range(9) for word in ("red", "green", "blue", "", "x red")]
    together = bundle.predict(texts).probabilities
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    alone = np.concatenate([bundle.predict([text]).probabilities for text in texts])
    assert alone.tobytes() == together.tobytes()
    assert re.search(r"^  int8 +accuracy \d\.\d{4}, \d\.\d{4} (lost|gained); ", result.stdout, re.M)
    int8 = Bundle.load(tmp_path / "bundles" / "three", "int8")
    np.testing.assert_allclose(int8.predict(texts).probabilities, together, atol=0.05)


def test_an_export_can_leave_the_twin_out_and_turns_a_link_and_replaces_nothing_else(
    tmp_path: Path,
) -> None:
    link, out = tmp_path / "bundles" / "current", tmp_path / "bundles" / "mine-1"
    link.parent.mkdir()
    link.symlink_to("where-the-default-bundle-is")
    path = tmp_path / "reviews.csv"
    path.write_text(labelled("lovely", "awful").replace("text", "review"))
    flags = ["--text-column=review", "--label-column=sentiment", "--no-int8", *SMALL]
    result = export_here("--data", path, "--out", out, "--link", link, *flags)
    assert result.returncode == 0, result.stderr
    assert os.readlink(link) == "mine-1"
    assert sorted(path.name for path in link.parent.iterdir()) == [
        "current",
        "mine-1",
        "mine-1.report.html",
    ]
    assert Bundle.load(link).name == "reviews"
    assert re.search(r"^  int8 +left out$", result.stdout, re.MULTILINE)
    assert not (out / "model.int8.onnx").exists()
    assert Bundle.load(out).manifest.int8 is None
    result = export_here("--out", tmp_path / "mine-2", "--link", out)
    assert (result.returncode, result.stdout) == (1, "")
    said = f"{out} is no link: name another --link, or move it away"
    assert result.stderr == f"sentido-export: {said}\n"


def test_an_accuracy_below_the_least_writes_no_bundle(tmp_path: Path) -> None:
    path = tmp_path / "guesses.csv"
    path.write_text("text,label\n" + "".join(f"film {n},{'ab'[n % 2]}\n" for n in range(80)))
    result = export_here("--data", path, *SMALL, "--min-accuracy=1", "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "--min-accuracy asks for 1: no bundle was written" in result.stderr
    assert list(tmp_path.iterdir()) == [path]


def test_answers_that_differ_from_keras_write_no_bundle(small_bundle: Path) -> None:
    # A bundle whose weights are not quite those of the model that it is compared with.
    bundle = Bundle.load(small_bundle)
    recipe = replace(TUTORIAL, words=500, dimensions=8, units=12)
    layers = build(recipe, len(bundle.tokenizer.vocabulary), 2)
    with pytest.raises(ExportError, match=r"differ from Keras' by .*, at most 1e-05 is allowed"):
        compare(layers.answer, bundle, ["a good film"], Against.KERAS)


def test_a_training_that_comes_to_nothing_ends_with_what_to_do() -> None:
    texts = [f"{word} {n}" for n in range(40) for word in ("good", "bad")]
    rules, recipe = keras_rules(10), replace(TUTORIAL, words=10, learning_rate=1e38, epochs=9)
    tokenizer = Tokenizer([None, "good", "bad"], rules, Inputs(Layout.LENGTHS, 9, Truncation.PRE))
    parts = data.split(
        data.Dataset(texts, np.tile([0, 1], 40).astype(np.int32), ("a", "b")), 0.1, 0
    )
    with pytest.raises(ExportError, match="the loss is not a number any more"):
        train.train(build(recipe, 3, 2), tokenizer, parts, recipe, 0)
    with pytest.raises(MemoryError, match="choose fewer --units"), memory_in_words():
        raise tensorflow.errors.ResourceExhaustedError(None, None, "OOM")
    with pytest.raises(MemoryError, match="choose fewer --units"), memory_in_words():
        raise RuntimeError("Failed to allocate memory for requested buffer of size 9")
    with pytest.raises(ExportError, match="anything else"), memory_in_words():
        raise ExportError("anything else")


def test_the_walk_through_shows_and_checks_an_embedding() -> None:
    result = export_here("--explain-embedding")
    assert result.returncode == 0, result.stderr
    for line in (
        "Found 5 unique tokens.",
        "[0 0 1 2 3 4]",
        "[0 1 2 5 3 4]",
        "Output, shape (2, 6, 3):",
        "Weights, shape (10, 3):",
        "Checked: every one of the output's vectors equals the row of its id, bit for bit.",
    ):
        assert line in result.stdout


@pytest.mark.parametrize("command", commands("-export"))
def test_an_export_of_the_readme_runs(command: str, tmp_path: Path) -> None:
    """On few texts; `make nightly-long` runs it as it is written."""
    (tmp_path / "mine.csv").write_text(labelled("good", "bad"))
    flags = shlex.split(command)[1:]
    if "--explain-embedding" not in flags:
        flags += ["--data", "mine.csv", "--label-column", "sentiment", "--epochs", "1"]
        flags += ["--limit", "80"]
    result = export_here(*flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
