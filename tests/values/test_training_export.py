"""Trainings and exports of `sentido-export`, in a process that has TensorFlow already."""

import json
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
from sentido_bundle.sections import check_labels
from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.export import keras_rules
from sentido_export.fitting import Material, fit
from sentido_export.flags import parse
from sentido_export.link import set_link
from sentido_export.machine import memory_in_words
from sentido_export.model import build
from sentido_export.recipe import TUTORIAL, Teacher
from sentido_export.verify import compare


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three.csv, `bundles/three` and what the export said."""
    folder = tmp_path_factory.mktemp("three")
    rows = [(f"{word} {n}", word) for n in range(40) for word in ("red", "green", "blue")]
    text = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    (folder / "three.csv").write_text(text)
    result = export_here("--data", "three.csv", *SMALL, cwd=folder)
    assert result.returncode == 0, result.stderr
    (folder / "said").write_text(result.stdout)
    return folder


def test_a_csv_of_three_labels_becomes_a_bundle_that_answers_with_three(three: Path) -> None:
    bundle = Bundle.load(three / "bundles" / "three")
    assert bundle.labels == ("blue", "green", "red")
    texts = [f"{word} {n}" for n in range(9) for word in ("red", "green", "blue", "", "x red")]
    together = bundle.predict(texts).probabilities
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
    alone = np.concatenate([bundle.predict([text]).probabilities for text in texts])
    assert alone.tobytes() == together.tobytes()
    said = (three / "said").read_text()
    assert re.search(r"^  int8 +accuracy \d\.\d{4}, \d\.\d{4} (lost|gained); ", said, re.M)
    int8 = Bundle.load(three / "bundles" / "three", "int8")
    np.testing.assert_allclose(int8.predict(texts).probabilities, together, atol=0.05)


def test_an_export_again_gives_the_same_bytes_but_for_the_time_which_can_be_set(
    three: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    result = export_here("--data", "three.csv", *SMALL, "--name=three", "--out=again", cwd=three)
    assert result.returncode == 0, result.stderr
    files = {path.name: path.read_bytes() for path in (three / "bundles" / "three").iterdir()}
    again = {path.name: path.read_bytes() for path in (three / "again").iterdir()}
    manifests = [json.loads(each.pop("manifest.json")) for each in (files, again)]
    assert files == again
    assert len(files) == 7
    assert manifests[1].pop("created") == "2023-11-14T22:13:20Z"
    assert manifests[0].pop("created") > "2026"
    assert manifests[0] == manifests[1]


def test_the_seed_of_training_leaves_the_split_alone(three: Path) -> None:
    result = export_here("--data", "three.csv", *SMALL, "--seed=7", "--out=seven", cwd=three)
    assert result.returncode == 0, result.stderr
    one, other = three / "bundles" / "three", three / "seven"
    for name, is_same in (("vocabulary.json", True), ("weights.bin", False)):
        assert ((one / name).read_bytes() == (other / name).read_bytes()) is is_same
    training = Bundle.load(other).manifest.training
    assert (training["seed"], training["split_seed"]) == (7, 0)


def test_an_export_of_rare_labels_says_what_counts(tmp_path: Path) -> None:
    rows = [(f"text {n}", "fraud" if n < 12 else "fine") for n in range(200)]
    rows += [("text 0", "fine"), ("", "fine"), ("", "fine")]
    text = "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    (tmp_path / "rare.csv").write_text(text)
    flags = ["--data", "rare.csv", "--split-seed=3", "--class-weights=balanced", *SMALL]
    result = export_here(*flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for begin in (
        "Note: 2 texts hold no word (2 of them are empty)",
        "Note: 1 text contradicts the same text with another label: the label that came first",
        "Note: the labels are imbalanced: 'fraud' has 12 of 201 texts, and",
        "  macro F1    ",
    ):
        assert any(line.startswith(begin) for line in lines), (begin, result.stdout)
    assert re.search("^Note: .*2 texts.* labelled 'fraud'", result.stdout, re.M)  # rough, or none
    training = Bundle.load(tmp_path / "bundles" / "rare").manifest.training
    assert (training["class_weights"], training["split_seed"]) == ("balanced", 3)


@pytest.mark.parametrize("teacher", [Teacher.OFF, Teacher.ON])
def test_balanced_weights_let_a_rare_label_count_as_much_as_a_common_one(teacher: Teacher) -> None:
    """Of texts that tell nothing a model learns how much each label counts."""
    texts, labels = [f"film {n}" for n in range(200)], [int(n % 10 == 0) for n in range(200)]
    whole = data.Dataset(texts, np.array(labels, np.int32), ("common", "rare"))
    parts = data.split(whole, 0.1, 0)
    recipe = replace(TUTORIAL, learning_rate=0.1, epochs=3, units=2, teacher=teacher)
    rules = keras_rules(10)
    tokenizer = Tokenizer([None, "film"], rules, Inputs(Layout.LENGTHS, 9, Truncation.PRE))
    answers = []
    for weights in (None, parts.train.balanced()):
        layers = fit(Material(tokenizer, parts, label_weights=weights), recipe, 0).layers
        answers.append(layers.answer([np.array([1], np.int32)])["probabilities"][0, 1])
    assert answers[0] < 0.3
    assert 0.4 < answers[1] < 0.6


MOODS = (("lovely", "good"), ("awful", "bad"))
BEST = [
    *("--recipe=best", "--epochs=2", "--words=200", "--dimensions=4", "--units=6", "--no-int8"),
    *("--validation=0.2", "--spans=1"),
]
MADE = """
[[check]]
group = "a"
form = "b"
expect = "good"
texts = ["not awful", "never awful"]
[[check]]
group = "a"
form = "c"
expect = "bad"
texts = ["not lovely", "never lovely"]
"""


def test_the_best_recipe_takes_a_teacher_more_sources_and_templates(tmp_path: Path) -> None:
    for name, size in (("first", 30), ("second", 1)):
        rows = [
            (f"{mood} {' '.join(f'w{n}x{place}' for place in range(size))} film", label)
            for n in range(30)
            for mood, label in MOODS
        ]
        path = tmp_path / f"{name}.csv"
        path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    (tmp_path / "made.toml").write_text(MADE)
    flags = ["--data=first.csv", "--more-data=second.csv", "--templates=made.toml", "--seed=3"]
    result = export_here(*flags, *BEST, "--sentences=40", "--teacher=auto", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    losses = re.findall(
        r"^Teacher (off|on): validation loss ([\d.]+), \d+ s\.$", result.stdout, re.M
    )
    assert [teacher for teacher, _ in losses] == ["off", "on"]
    bundle = Bundle.load(tmp_path / "bundles" / "first")
    training = bundle.manifest.training
    best, _ = min(losses, key=lambda loss: float(loss[1]))
    assert training["teacher"] == best
    assert f"Kept the model with teacher {best}." in result.stdout
    assert training["settings"]["sentences"] == 40
    assert training["templates"] == "made.toml"
    more = training["more_data"]["second.csv"]
    assert (more["train"], more["texts"]) == (48, 12)
    assert more["accuracy_low"] <= more["accuracy"] <= more["accuracy_high"]
    calibration = training["calibration"]
    assert 0.5 <= calibration["temperature"] <= 10
    assert bundle.manifest.parity.largest_difference <= 1e-5  # with the temperature in it
    assert "Temperature " in result.stdout


def test_a_temperature_makes_answers_less_sure_and_changes_none(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(labelled("lovely", "awful"))
    flags = ["--data=x.csv", "--label-column=sentiment", *SMALL, "--epochs=4"]
    answers = []
    for name in ("calibrate", "no-calibrate"):
        result = export_here(*flags, f"--{name}", f"--name={name}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        bundle = Bundle.load(tmp_path / "bundles" / name)
        answers.append(
            bundle.predict(["lovely", "awful film", "a", ""]).probabilities.astype(float)
        )
    temperature = Bundle.load(tmp_path / "bundles" / "calibrate").manifest.training["calibration"][
        "temperature"
    ]
    folded, plain = (np.log(rows[:, 1] / rows[:, 0]) for rows in answers)
    assert folded == pytest.approx(plain / temperature, rel=1e-3, abs=1e-4)
    assert "calibration" not in bundle.manifest.training


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--more-data=other.csv"], "other.csv: the label 'fine' is none of 'bad', 'good'"),
        (["--templates=none.toml"], "none.toml: No such file or directory"),
        (["--templates=made.toml"], "made.toml: its checks expect the label 'fine'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_parts_of_a_recipe_that_cannot_be_are_one_sentence(
    flags: list[str], message: str, tmp_path: Path
) -> None:
    rows = "".join(f"{mood} film {n},{label}\n" for n in range(30) for mood, label in MOODS)
    (tmp_path / "x.csv").write_text(f"text,label\n{rows}")
    (tmp_path / "other.csv").write_text("text,label\na film,good\nno film,fine\n")
    (tmp_path / "made.toml").write_text(MADE.replace('"good"', '"fine"'))
    result = export_here("--data=x.csv", *BEST, *flags, cwd=tmp_path)
    assert result.returncode > 0
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "bundles").exists()


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--spans=5", "'5' is not a whole number from 0 to 4"),
        ("--teacher=maybe", "'maybe' is not one of off, on, auto"),
        ("--word-dropout=2", "'2' is not a number from 0 to 1"),
        ("--more-held-out=0.5", "'0.5' is not a number between 0 and 0.5"),
    ],
)
def test_a_part_of_a_recipe_has_its_limits(
    flag: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse([flag])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--spans=2", "--spans is for a teacher, and there is none: --teacher on"),
        ("--recipe=best --teacher=off --prefix-weight=1", "--prefix-weight is for a teacher"),
        ("--recipe=best --sentences=9", "--sentences is of --templates, which was not given"),
        ("--more-held-out=0.2", "--more-held-out is of --more-data, which was not given"),
        ("--templates=x.toml", "--templates makes no sentence: --sentences says how many"),
        ("--recipe=best --templates=x.toml --sentences=0", "--templates makes no sentence"),
        ("--hard-share=0", "--hard-share is for a teacher"),
        ("--teacher=on --hard-share=1", "--teacher: nothing is learned from its answers"),
        ("--explain-embedding --epochs=7", "--epochs is for an export"),
        ("--explain-embedding --data=x.csv", "--data is for an export"),
        ("--label-column=x", "--label-column is of a table, and no data is one"),
        ("--data=sentences --delimiter=;", "--delimiter is of a table"),
        ("--data=. --text-column=x", "--text-column is of a table"),
        ("--more-data=sentences --normalize-labels", "--normalize-labels is for data of your own"),
        ("--from-keras=m.keras --text-column=x", "--text-column is of --data or --sample"),
        ("--from-keras=m.keras --delimiter=;", "--delimiter is of --data or --sample"),
        ("--from-keras=m.keras --no-calibrate", "--no-calibrate is for training"),
    ],
)
def test_a_flag_that_would_do_nothing_is_refused(
    flags: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(flags.split())
    assert message in capsys.readouterr().err


def test_flags_that_turn_something_off_are_no_fault() -> None:
    flags = ["--recipe=best", "--teacher=off", "--spans=0", "--prefix-weight=0", "--sentences=0"]
    flags.append("--hard-share=1")
    assert parse(flags)["spans"] == 0
    for given in (
        ["--explain-embedding", "--seed=3"],
        ["--more-data=x.csv", "--label-column=y"],
        ["--data=.", "--normalize-labels"],
        ["--from-keras=m.keras", "--sample=x.csv", "--text-column=y"],
    ):
        assert parse(given)


def test_an_export_can_leave_the_twin_out_and_turns_a_link_and_replaces_nothing_else(
    tmp_path: Path,
) -> None:
    link, out = tmp_path / "bundles" / "current", tmp_path / "bundles" / "mine-1"
    link.parent.mkdir()
    link.symlink_to("where-the-default-bundle-is")
    path = tmp_path / "reviews.csv"
    path.write_text(labelled("lovely", "awful").replace("text", "review"))
    steps = tmp_path / "steps.json"
    steps.write_text('[{"replace": "lov(?=ely)", "with": "luv"}, {"lower": true}]')
    flags = ["--text-column=review", "--label-column=sentiment", "--no-int8", *SMALL]
    flags += ["--cleaning", str(steps), "--cleaned-by-caller"]
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
    bundle = Bundle.load(out)
    assert bundle.manifest.int8 is None
    assert bundle.capabilities[-2:] == ("evaluation", "cleaning")
    assert bundle.manifest.cleaned_by_caller
    assert "luvely" in bundle.tokenizer.vocabulary
    assert "lovely" not in bundle.tokenizer.vocabulary
    result = export_here("--out", tmp_path / "mine-2", "--link", out)
    assert (result.returncode, result.stdout) == (1, "")
    said = f"{out} is no link: name another --link, or move it away"
    assert result.stderr == f"sentido-export: {said}\n"


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("new", "new is where the bundle goes: name another --link"),
        ("new/current", "new/current is where the bundle goes"),
        ("file.csv/x", "file.csv/x cannot be made a link: Not a directory"),
        ("l" * 250, "cannot be made a link: File name too long"),
        ("/proc/x", "/proc/x cannot be made a link"),
    ],
)
def test_a_link_that_cannot_be_made_is_said_before_anything_is_done(
    link: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "file.csv").write_text("text,label\n")
    result = export_here("--out=new", "--link", link, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file.csv"]


def test_a_link_that_fails_in_the_end_leaves_the_bundle_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "current").mkdir()
    with pytest.raises(ExportError, match=r"bundle is written, but .*current does not lead to it"):
        set_link(tmp_path / "current", tmp_path / "bundle")
    assert (tmp_path / "current").is_dir()


def test_more_data_and_a_limit_that_leave_too_little_are_named(tmp_path: Path) -> None:
    rows = "".join(f"{mood} film {n},{label}\n" for n in range(30) for mood, label in MOODS)
    (tmp_path / "x.csv").write_text(f"text,label\n{rows}")
    result = export_here("--data=x.csv", "--more-data=x.csv", *SMALL, cwd=tmp_path)
    assert result.returncode == 1
    message = "x.csv, without 60 near copies of texts of the first source: only 0 texts"
    assert message in result.stderr
    result = export_here("--data=x.csv", "--limit=5", *SMALL, cwd=tmp_path)
    assert "--limit 5: three texts of each label are needed, 6 together" in result.stderr


def test_a_label_that_cannot_be_written_is_named() -> None:
    with pytest.raises(ValueError, match=r"labels\[1\]: holds half a character"):
        check_labels(["a", "b\udcff"])


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
        compare(
            layers.answer,
            lambda ids: bundle.run(ids).arrays,
            bundle.tokenizer,
            ["a good film"],
            Against.KERAS,
        )


def test_a_training_that_comes_to_nothing_ends_with_what_to_do() -> None:
    texts = [f"{word} {n}" for n in range(40) for word in ("good", "bad")]
    rules, recipe = keras_rules(10), replace(TUTORIAL, words=10, learning_rate=1e38, epochs=9)
    tokenizer = Tokenizer([None, "good", "bad"], rules, Inputs(Layout.LENGTHS, 9, Truncation.PRE))
    parts = data.split(
        data.Dataset(texts, np.tile([0, 1], 40).astype(np.int32), ("a", "b")), 0.1, 0
    )
    with pytest.raises(ExportError, match="the loss is not a number any more"):
        fit(Material(tokenizer, parts), recipe, 0)
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
        flags += ["--label-column", "sentiment", "--epochs", "1", "--limit", "80"]
        flags += [] if "--data" in flags else ["--data", "mine.csv"]
    result = export_here(*flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
