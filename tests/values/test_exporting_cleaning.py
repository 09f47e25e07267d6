"""Exports of models from elsewhere, with the steps that their programs take first."""

import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
from keras import layers
from own_models import LENGTH, sequential, with_random_weights
from sentido_bundle import Bundle
from sentido_export.errors import ExportError
from sentido_export.flags import parse
from sentido_export.imported.export import export_own_model
from sentido_export.imported.options import OwnModelOptions

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WORDS = ("film", "br", "was", "good", "bad", "not", "very", "it", "can", "like")
STEPS = [
    {"replace": "<.*?>", "with": " "},
    {"lower": True},
    {"replace": "[^a-z]+", "with": " "},
    {"replace": r"\s+[a-z]\s+", "with": " "},
]
TEXTS = [
    "The<br />FILM was a VERY good x film!",
    "bad,bad <b>Bad</b>",
    "",
    "it's 10/10 good",
    "LI\u212aE good",
] * 5


def cleaned(text: str) -> str:
    """Clean as the user's program does."""
    import re

    text = re.sub("<.*?>", " ", text).lower()
    text = re.sub("[^a-z]+", " ", text)
    return re.sub(r"\s+[a-z]\s+", " ", text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, its vocabulary, steps, and what its program answers."""
    folder = tmp_path_factory.mktemp("own")
    model = with_random_weights(sequential(layers.GlobalAveragePooling1D(), mask=False), 0.7)
    model.save(folder / "model.keras")
    index = {word: number for number, word in enumerate(WORDS, 1)}
    (folder / "words.json").write_text(json.dumps(index))
    (folder / "steps.json").write_text(json.dumps(STEPS))
    known = [[index[word] for word in cleaned(text).split() if word in index] for text in TEXTS]
    rows = keras.utils.pad_sequences(known, LENGTH, padding="pre", truncating="pre")
    answers = [
        {"text": text, "probabilities": [float(number) for number in row]}
        for text, row in zip(TEXTS, np.asarray(model(rows)), strict=True)
    ]
    lines = (json.dumps(answer) + "\n" for answer in answers)
    (folder / "answers.jsonl").write_text("".join(lines))
    return folder


def export(folder: Path, out: Path, *flags: str) -> Bundle:
    files = ["--from-keras", f"{folder}/model.keras", "--word-index", f"{folder}/words.json"]
    checked = ["--check", f"{folder}/answers.jsonl", "--padding", "pre", "--truncating", "pre"]
    checked += ["--check-tolerance", "1e-5"]
    return export_own_model(OwnModelOptions.of(parse([*files, *checked, *flags]), out, "mine"))


def test_a_model_from_elsewhere_is_held_to_its_program_with_the_steps(
    folder: Path, tmp_path: Path
) -> None:
    bundle = export(folder, tmp_path / "out", "--cleaning", f"{folder}/steps.json")
    assert bundle.capabilities[-1] == "cleaning"
    lines = (folder / "answers.jsonl").read_text().splitlines()
    wanted = [json.loads(line)["probabilities"][-1] for line in lines]
    assert np.abs(bundle.predict(TEXTS).probabilities[:, 1] - wanted).max() <= 1e-5
    with pytest.raises(ExportError, match="does not give these answers"):
        export(folder, tmp_path / "without")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (STEPS[1:], r'takes the step {"replace": "<[^>]+>", "with": " "} first'),
        (STEPS[:2] + STEPS[3:], r'takes the step {"replace": "[^a-zA-Z]+", "with": " "} last'),
        ([*STEPS, {"remove_words": ["was"]}], "does without cleaning step 5"),
        ([STEPS[0], STEPS[2], STEPS[1], STEPS[3]], "takes cleaning step 3 before step 2"),
        (
            [{"replace": "<.*?>", "with": ""}, *STEPS[1:]],
            'takes {"replace": "<.*?>", "with": " "} as cleaning step 1',
        ),
        ([STEPS[0], {"lower": "ascii"}, *STEPS[2:]], 'takes {"lower": true} as cleaning step 2'),
    ],
    ids=["tags", "letters", "stop words", "order", "a blank", "lower case"],
)
def test_a_check_names_the_step_that_is_wrong(
    folder: Path, tmp_path: Path, steps: list[object], message: str
) -> None:
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    with pytest.raises(ExportError, match="its answers are those of a program that") as error:
        export(folder, tmp_path / "out", "--cleaning", f"{tmp_path}/steps.json")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ('[{"stem": true}]', r"--cleaning: .*steps\.json: step 1 .*--cleaned-by-caller"),
        ("[", r"--cleaning: .*steps\.json: "),
        (None, "does not exist"),
    ],
)
def test_steps_that_cannot_be_taken_are_said_first(
    folder: Path, tmp_path: Path, steps: str | None, message: str
) -> None:
    if steps is not None:
        (tmp_path / "steps.json").write_text(steps)
    with pytest.raises(ExportError, match=message):
        export(folder, tmp_path / "out", "--cleaning", f"{tmp_path}/steps.json")
    assert not (tmp_path / "out").exists()
