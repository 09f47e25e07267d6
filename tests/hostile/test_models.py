"""A spoiled model file is read, or refused by one sentence: nothing else happens."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from model_files import (
    Layer,
    dense,
    embedding,
    functional,
    layer,
    numbers,
    of_tiny,
    recurrent,
    sequential,
    tiny,
    write_h5,
    write_keras,
)
from sentido_export.errors import ExportError
from sentido_export.imported.model_file.read import read_model, understood

JUNK: list[Any] = [
    *(None, [], {}, "x", "", "\ud800", -1, 0, 1, 3.5, 1e300, True, False, 2**70, float("nan")),
    *([None], [[]], {"a": 1}, [1, 2, 3], "Dense", ["ids", 0, 0], [["dense", 0, 1]]),
    *({"class_name": "LSTM", "config": {}}, {"class_name": "x", "config": None}),
    {"class_name": "__keras_tensor__", "config": {"keras_history": ["ids", 0, 0]}},
]


def models() -> list[Layer]:
    """Return models of many kinds of layers, as Keras 2 writes them."""
    head = sequential(layer("BatchNormalization", axis=[1]), dense(name="out"), name="head")
    steps = recurrent(return_sequences=True)
    branches = functional(
        [
            (embedding(), [["ids"], ["other"]]),
            (layer("Add"), ["embedding", ("embedding", 1, 0)]),
            (layer("Conv1D", filters=3, kernel_size=[2], strides=[1], activation="relu"), ["add"]),
            (layer("GlobalMaxPooling1D", "max"), ["conv1d"]),
            (layer("GlobalAveragePooling1D", "mean"), ["add"]),
            (layer("Concatenate", axis=-1), ["max", "mean"]),
            (head, ["concatenate"]),
        ],
        "head",
        inputs=("ids", "other"),
    )
    return [
        tiny(layer("Bidirectional", layer=recurrent("GRU"), merge_mode="sum"), mask_zero=True),
        tiny(steps, layer("TimeDistributed", layer=dense(3, "each")), layer("Flatten")),
        tiny(layer("MaxPooling1D", pool_size=[2]), layer("PReLU", shared_axes=[1]), recurrent()),
        sequential(embedding(), layer("GlobalMaxPooling1D"), layer("ReLU", max_value=6), head),
        branches,
    ]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield from places(inner, (*path, key))


def spoiled(model: Layer, random: Random) -> Layer:
    """Return a model of which one to three values are others, absent or from elsewhere in it."""
    model = copy.deepcopy(model)
    for _ in range(random.choice((1, 1, 2, 3))):
        everywhere = list(places(model))[1:]
        *path, last = random.choice(everywhere)
        parent = at(model, path)
        how = random.random()
        if how < 0.6:
            parent[last] = copy.deepcopy(random.choice(JUNK))
        elif how < 0.8:
            del parent[last]
        else:
            parent[last] = copy.deepcopy(at(model, random.choice(everywhere)))
    return model


def at(value: Any, path: Any) -> Any:
    for key in path:
        value = value[key]
    return value


def refused(read: Callable[[], object]) -> bool:
    message = ""
    try:
        read()
    except ExportError as error:
        message = str(error)
    assert len(message) < 900
    assert "\n" not in message
    return message != ""


def test_no_spoiled_configuration_is_an_error_of_ours(pytestconfig: pytest.Config) -> None:
    count, whole = pytestconfig.getoption("--model-mutations"), models()
    texts = {"keras_version": "2.2.4"}
    for model in whole:
        understood({"model_config": json.dumps(model), **texts}, "model.h5")
    outcomes = {True: 0, False: 0}
    for seed in range(count):
        random = Random(seed)
        text = json.dumps(spoiled(random.choice(whole), random))
        outcomes[refused(lambda: understood({"model_config": text, **texts}, "model.h5"))] += 1  # noqa: B023
    assert min(outcomes.values()) > count / 10


def spoiled_bytes(data: bytes, random: Random) -> bytes:
    """Return a file with some bytes changed, most of them where HDF5 keeps its own."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 3, 10))):
        start = random.randrange(len(changed) if random.random() < 0.4 else 2000)
        value = random.choice((random.randbytes(1), b"\xff" * 8, random.randbytes(4), b"\0" * 8))
        changed[start : start + len(value)] = value
    return bytes(changed)


def test_no_spoiled_file_is_an_error_of_ours(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    paths = {"layers/embedding/vars/0": numbers(20, 4)}
    files = [
        write_h5(tmp_path / "a.h5", tiny(), of_tiny()).read_bytes(),
        write_keras(tmp_path / "a.keras", tiny(), paths).read_bytes(),
    ]
    path = tmp_path / "spoiled"
    for seed in range(pytestconfig.getoption("--model-mutations") // 25):
        random = Random(seed)
        path.write_bytes(spoiled_bytes(random.choice(files), random))
        refused(lambda: read_model(path))
