"""Files that Keras 2 and 3 wrote themselves are read as Keras would read them."""

import subprocess
from collections import defaultdict
from functools import cache
from pathlib import Path

import keras_writer
import numpy as np
import pytest
from conftest import BIN, ROOT
from numpy.typing import NDArray
from onnxruntime import InferenceSession
from sentido_bundle import Padding
from sentido_export.imported.architecture import Architecture
from sentido_export.imported.graph.build import build_fixed
from sentido_export.imported.head import find_head
from sentido_export.imported.model_file import read as reading

pytestmark = [  # of building and saving, by Keras 3
    pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
KERAS = ("tf_keras", "keras")
KERAS_2 = BIN.parent / "keras2" / "bin" / "python"
WRITER = ROOT / "tests" / "keras_writer.py"
FORMATS = {  # the file of a model, and that of its weights
    "h5": (".h5", None),
    "keras": (".keras", None),
    "json and weights.h5": (".json", ".weights.h5"),
    "json and h5": (".json", ".h5"),
}
SOME = ("lstm", "convolution", "nested", "twice")  # where the layout is that of another format
DAILY = (*SOME, "any_length", "gru", "hard", "concat")  # models; all of them with --all-classics
Weights = dict[str, list[NDArray[np.float32]]]


@pytest.fixture(scope="module")
def written(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> dict[str, Path]:
    """Return the folders in which each Keras wrote its files: Keras 3, here, and Keras 2."""
    every = pytestconfig.getoption("--all-classics")
    names = () if every else DAILY
    folders = {name: tmp_path_factory.mktemp(name) for name in KERAS}
    with subprocess.Popen(
        [KERAS_2, WRITER, "tf_keras", folders["tf_keras"], *names],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as writer:
        keras_writer.main("keras", str(folders["keras"]), *names)
        _, errors = writer.communicate(timeout=3600 if every else 280)
    assert writer.returncode == 0, errors[-2000:]
    return folders


@cache
def read_model(path: Path, weights: Path | None = None) -> Architecture:
    return reading.read_model(path, weights)


def in_keras(path: Path) -> Weights:
    """Return the weights that Keras' own layers have, by the layers' names."""
    found: Weights = defaultdict(list)
    with np.load(path) as arrays:
        for key in arrays.files:
            name, _, number = key.rpartition(":")
            if number:
                found[name].append(arrays[key])
    return dict(found)


def as_read(model: Architecture) -> Weights:
    """Return the weights that were read; an activation with weights belongs to its layer."""
    found: Weights = defaultdict(list)
    for layer in model.layers:
        if layer.weights and "@" not in layer.name:
            found[layer.name.removesuffix("/activation")] += layer.weights
    return dict(found)


def differing(model: Architecture, path: Path) -> list[str]:
    """Return the names of layers whose weights are not those of Keras."""
    keras, read = in_keras(path), as_read(model)
    assert keras.keys() == read.keys()
    return [
        name
        for name, arrays in keras.items()
        if len(arrays) != len(read[name]) or not all(map(np.array_equal, arrays, read[name]))
    ]


@pytest.mark.parametrize("keras", KERAS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_array_is_that_of_the_layer_that_keras_gave_it(
    keras: str, form: str, written: dict[str, Path]
) -> None:
    model, weights = FORMATS[form]
    some = weights or (keras, form) == ("tf_keras", "keras")
    names = SOME if some else [path.stem for path in written[keras].glob("*.npz")]
    for path in (written[keras] / f"{name}{model}" for name in names):
        if path.stem.startswith("cudnn") and model != ".h5":
            continue  # written as .h5 alone
        read = read_model(path, weights and path.with_suffix(weights))
        assert differing(read, path.with_suffix(".npz")) == [], path.name
        assert read.keras_version[0] == ("2" if keras == "tf_keras" else "3")
    assert len(names) > 3


@pytest.mark.parametrize("keras", KERAS)
def test_a_graph_of_what_was_read_answers_as_the_keras_that_wrote_it(
    keras: str, written: dict[str, Path]
) -> None:
    off = {}
    for path in written[keras].glob("*.npz"):
        if not path.stem.startswith("cudnn"):
            off[path.stem] = largest_difference(path)
    assert off.pop("half") < 1e-2
    assert max(off.values()) < 1e-6, off
    assert off.keys() >= {*DAILY}


def largest_difference(path: Path) -> float:
    """Return by how much a graph's probabilities differ from those that Keras wrote down."""
    with np.load(path) as written:
        ids, answers = written["ids:"], written["answers:"]
    if answers.shape[1] == 1:
        answers = np.concatenate([1 - answers, answers], axis=1)
    assert answers.std() > 0.01
    built = build_fixed(find_head(read_model(path.with_suffix(".h5"))), ids.shape[1], Padding.POST)
    session = InferenceSession(built.model.SerializeToString())
    (found,) = session.run(["probabilities"], {"token_ids": ids})
    return float(np.abs(found - answers).max())


@pytest.mark.parametrize("keras", KERAS)
def test_what_a_file_says_besides_its_layers_is_read(keras: str, written: dict[str, Path]) -> None:
    lstm = read_model(written[keras] / "lstm.h5")
    assert (lstm.from_logits, lstm.notes, lstm.inputs[0].length) == (True, (), 12)
    assert read_model(written[keras] / "any_length.keras").inputs[0].length is None
    assert "half precision" in read_model(written[keras] / "half.h5").notes[0]
    hard = read_model(written[keras] / "hard.keras")
    assert hard.layers[1].fields["recurrent_activation"] == (
        "hard_sigmoid_keras2" if keras == "tf_keras" else "hard_sigmoid_keras3"
    )
    assert read_model(written[keras] / "gru.h5").layers[1].fields["go_backwards"] is True
