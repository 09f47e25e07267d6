"""Models of other people, exported, served and scored: the numbers are those of their Keras."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
from conftest import BIN, config, running
from keras import layers
from own_models import LENGTH, sequential, with_random_weights
from scoring import write_jsonl
from sentido_client import Client
from sentido_export.flags import parse
from sentido_export.imported.export import export_own_model
from sentido_export.imported.options import OwnModelOptions
from sentido_score import Options, score

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of saving
]

WORDS = ("the", "a", "film", "was", "good", "bad", "great", "awful", "not", "very", "movie", "it")
TEXTS = ["", "good", "the film was not very good", "zxqv wqxz", "bad " * 40, " ".join(WORDS * 2)]
MODELS: dict[
    str, tuple[Callable[[], keras.Model], str]
] = {  # one of each kind, with the side on which it pads and cuts
    "lengths": (lambda: sequential(layers.LSTM(4), mask=True), "pre"),
    "recurrent": (lambda: sequential(layers.GRU(4, reset_after=False), mask=False), "pre"),
    "bidirectional": (
        lambda: sequential(
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GlobalMaxPooling1D(),
            mask=True,
        ),
        "post",
    ),
    "convolution": (
        lambda: sequential(layers.Conv1D(4, 3), layers.GlobalMaxPooling1D(), mask=False),
        "post",
    ),
    "average": (lambda: sequential(layers.GlobalAveragePooling1D(), mask=False), "pre"),
}


def flags_of(name: str, folder: Path, side: str) -> list[str]:
    flags = ["--from-keras", str(folder / f"{name}.keras"), "--padding", side]
    flags += ["--truncating", side, "--word-index", str(folder / "words.json")]
    return [*flags, "--labels", "bad", "good", "--out", str(folder / name)]


def export(name: str, folder: Path, side: str) -> None:
    """Export as the command does: the first one by the command itself, in a process of its own."""
    flags = flags_of(name, folder, side)
    if name == next(iter(MODELS)):
        command = [str(BIN / "sentido-export"), *flags]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=240)
        assert ended.returncode == 0, ended.stderr
        assert f"Bundle {name} 1" in ended.stdout
        assert ended.stderr == ""
        return
    export_own_model(OwnModelOptions.of(parse(flags), folder / name, name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundles of all models, by their names, and what Keras answers in `answers`."""
    folder = tmp_path_factory.mktemp("models")
    words = {word: number + 1 for number, word in enumerate(WORDS)}
    (folder / "words.json").write_text(json.dumps(words))
    answers: dict[str, Any] = {}
    for name, (make, side) in MODELS.items():
        model = with_random_weights(make(), 0.7)
        model.save(folder / f"{name}.keras")
        ids = [[words[word] for word in text.split() if word in words] for text in TEXTS]
        rows = keras.utils.pad_sequences(ids, LENGTH, padding=side, truncating=side)
        answers[name] = np.asarray(model(rows))[:, 0].tolist()
        export(name, folder, side)
    (folder / "answers").write_text(json.dumps(answers))
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    bundles = tuple(str(folder / name) for name in MODELS)
    with running(config(bundle=bundles)) as address, Client(address) as client:
        yield client


def test_a_model_exported_again_gives_the_same_bytes_but_for_the_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    for name in ("lengths", "average"):  # the first was exported by another process
        flags = flags_of(name, folder, MODELS[name][1])
        export_own_model(OwnModelOptions.of(parse(flags), folder / f"{name}-again", name))
        one, other = (
            {p.name: p.read_bytes() for p in (folder / each).iterdir()}
            for each in (name, f"{name}-again")
        )
        manifests = [json.loads(files.pop("manifest.json")) for files in (one, other)]
        assert one == other
        assert manifests[1].pop("created") == "2023-11-14T22:13:20Z"
        assert manifests[0].pop("created") > "2026"
        assert manifests[0] == manifests[1]


def answers_of(folder: Path, name: str) -> list[float]:
    found: list[float] = json.loads((folder / "answers").read_text())[name]
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_server_answers_as_the_users_keras(name: str, folder: Path, client: Client) -> None:
    predictions = client.predict(TEXTS, model=name)
    found = [prediction.scores[1].probability for prediction in predictions]
    assert np.abs(np.array(found) - answers_of(folder, name)).max() <= 1e-5
    alone = [client.predict(text, model=name).scores[1].probability for text in TEXTS]
    assert alone == found


@pytest.mark.parametrize("name", MODELS)
def test_the_scorer_answers_as_the_users_keras(name: str, folder: Path, tmp_path: Path) -> None:
    source, out = write_jsonl(tmp_path / "texts.jsonl", TEXTS), tmp_path / "out.jsonl"
    score(source, folder / name, out=out, options=Options(all_probabilities=True))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = np.array([row["probability_good"] for row in rows])
    assert np.abs(found - answers_of(folder, name)).max() <= 1e-5
