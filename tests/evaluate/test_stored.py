"""The evaluation that a bundle brings."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import variants
from evaluating import TEXTS, found, run, write
from sentido_bundle import Bundle, default_bundle
from sentido_evaluate import Asked, EvaluateError, evaluate
from sentido_evaluate.behaviour.suite import read_suite
from sentido_evaluate.stored import dump, evaluate_texts

LABELS = ("negative", "positive")
EPOCHS = [{"loss": 1, "accuracy": 0.5, "validation_loss": 1, "validation_accuracy": 0.5}]


@pytest.fixture(scope="module")
def stored(bundle: Bundle) -> bytes:
    """What an exporter writes of the default bundle on some texts."""
    texts = [text for text, _ in TEXTS]
    truth = [frozenset((LABELS.index(label),)) for _, label in TEXTS]
    suites = [read_suite("film-reviews")]
    evaluation = evaluate_texts(bundle, texts, truth, suites, lambda ids: bundle.run(ids).arrays)
    return dump(evaluation, bundle.manifest)


def bundle_with(folder: Path, data: bytes) -> Path:
    """Write the default bundle with an evaluation."""
    folder.mkdir()
    for file in default_bundle().iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["evaluation"] = {"texts": 63, "accuracy": 60 / 63, "macro_f1": 0.95}
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["files"]["evaluation.json"] = facts
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "evaluation.json").write_bytes(data)
    return folder


def test_it_is_what_evaluating_the_same_texts_gives(tmp_path: Path, stored: bytes) -> None:
    folder = bundle_with(tmp_path / "bundle", stored)
    labelled = write(tmp_path / "a.csv", TEXTS)
    again = found(labelled, "--bundle", folder, "--checks", "film-reviews")
    assert found("--bundle", folder) == again
    assert Bundle.load(folder).capabilities[-1] == "evaluation"


def test_its_page_is_made_again_without_texts(tmp_path: Path, stored: bytes) -> None:
    folder, page = bundle_with(tmp_path / "bundle", stored), tmp_path / "page.html"
    found("--bundle", folder, "--report", page)
    assert "0.9524" in page.read_text("utf-8")


def test_it_holds_no_times_paths_or_texts(stored: bytes) -> None:
    assert b"wonderful" not in stored
    assert b"/" not in stored.replace(b"/ ", b"")
    assert {"files", "format", "rows", "checks"} < json.loads(stored).keys()


def test_figures_of_fp32_are_never_called_int8(tmp_path: Path, stored: bytes) -> None:
    folder = bundle_with(tmp_path / "bundle", stored)
    code, out, err = run("--bundle", folder, "--precision", "int8")
    assert (code, out) == (2, "")
    assert "error: --precision is of labelled texts or --checks, and neither was given" in err
    with pytest.raises(EvaluateError, match="is of fp32, not of int8: give labelled texts"):
        evaluate(Asked(bundle=folder, precision="int8"))
    assert found("--bundle", folder, "--precision", "fp32")["model"]["precision"] == "fp32"
    checked = found("--bundle", folder, "--precision", "int8", "--checks", "film-reviews")
    assert checked["model"]["precision"] == "int8"


@pytest.mark.parametrize("checks", [[], ["--checks", "film-reviews"]])
@pytest.mark.parametrize(
    "flag",
    [
        *("--text-column=text", "--label-column=y", "--label-columns=a,b", "--delimiter=;"),
        *("--input-format=parquet", "--compare=x"),
    ],
)
def test_a_flag_that_says_how_texts_are_read_needs_texts(flag: str, checks: list[str]) -> None:
    code, out, err = run(flag, *checks)
    said = f"{flag.partition('=')[0]} is of labelled texts, and none were given"
    assert (code, out, err) == (2, "", f"sentido-evaluate: error: {said}\n")


@pytest.mark.parametrize("flag", ["--texts", "--rename=a=b"])
def test_a_flag_of_answers_needs_texts_or_checks(flag: str) -> None:
    code, out, err = run(flag)
    assert (code, out) == (2, "")
    assert f"{flag.partition('=')[0]} is of labelled texts or --checks, and neither was" in err


def test_a_bundle_without_one_says_what_to_give(tmp_path: Path) -> None:
    code, _, err = run("--bundle", variants.copy(tmp_path / "bundle"))
    assert code == 1
    assert "give labelled texts, or --checks; the bundle brings no evaluation" in err


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda e: e["files"].update({"weights.bin": "0" * 64}), "is of other graphs"),
        (lambda e: e.pop("files"), "is not an evaluation that this release can show"),
        (lambda e: e.update(format=2), "is not an evaluation"),
        (lambda e: e.pop("accuracy"), "is not an evaluation"),
        (lambda e: e.update(labels=[1]), "is not an evaluation"),
        (lambda e: e["rows"].update(evaluated="<script>"), "is not an evaluation"),
        (lambda e: e["confusion"].__setitem__(0, ["<b>", 1]), "is not an evaluation"),
        (lambda e: e["calibration"].update(bins=None), "is not an evaluation"),
        (lambda e: e["checks"][0]["forms"][0].update(share="1;}"), "is not an evaluation"),
        (lambda e: e.update(training={"kept": [1, 1], "epochs": [{}]}), "is not an evaluation"),
        (lambda e: e.update(training={"kept": ["1", 1], "epochs": EPOCHS}), "is not an evaluation"),
        (lambda e: e["checks"][0]["forms"][0].update(kind="x"), "is not an evaluation"),
    ],
)
def test_one_that_is_not_of_the_bundle_or_of_this_release_is_refused(
    edit: Callable[[Any], object], said: str, tmp_path: Path, stored: bytes
) -> None:
    evaluation = json.loads(stored)
    edit(evaluation)
    folder = bundle_with(tmp_path / "bundle", json.dumps(evaluation).encode())
    code, out, err = run("--bundle", folder, "--report", tmp_path / "page.html")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err
    assert not (tmp_path / "page.html").exists()


def test_what_it_says_cannot_break_out_of_the_page(tmp_path: Path, stored: bytes) -> None:
    evaluation = json.loads(stored)
    evil = "<script>alert(1)</script>"
    evaluation["notes"] = [evil]
    evaluation["labels"][0]["label"] = evaluation["checks"][0]["title"] = evil
    evaluation["by_words"][0]["range"] = evaluation["checks"][0]["forms"][0]["form"] = evil
    folder = bundle_with(tmp_path / "bundle", json.dumps(evaluation).encode())
    found("--bundle", folder, "--report", tmp_path / "page.html")
    assert "<script" not in (tmp_path / "page.html").read_text("utf-8")
