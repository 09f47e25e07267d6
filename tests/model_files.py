"""Model files as Keras writes them, made without Keras: configurations and arrays of our choice."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Layer = dict[str, Any]
Arrays = Mapping[str, Sequence[tuple[str, NDArray[Any]]]]  # layer -> (name, array) in order


def layer(class_name: str, name: str = "", **config: Any) -> Layer:
    """Return the configuration of a layer, as Keras 2 writes it."""
    name = name or class_name.lower()
    return {"class_name": class_name, "config": {"name": name, "trainable": True, **config}}


def embedding(ids: int = 20, units: int = 4, length: int | None = 10, **config: Any) -> Layer:
    shape = [None, length]
    config = {"batch_input_shape": shape, "input_length": length, "mask_zero": False, **config}
    return layer("Embedding", input_dim=ids, output_dim=units, **config)


def recurrent(class_name: str = "LSTM", units: int = 3, **config: Any) -> Layer:
    config = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, **config}
    if class_name == "SimpleRNN":
        del config["recurrent_activation"]
    return layer(class_name, units=units, **config)


def dense(units: int = 1, name: str = "dense", **config: Any) -> Layer:
    config = {"activation": "sigmoid", "use_bias": True, **config}
    return layer("Dense", name, units=units, **config)


def sequential(*layers: Layer, name: str = "sequential") -> Layer:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers)}}


def tiny(*middle: Layer, last: Layer | None = None, **of_embedding: Any) -> Layer:
    """Return Embedding, an LSTM or the given layers, and a Dense."""
    return sequential(embedding(**of_embedding), *(middle or [recurrent()]), last or dense())


def functional(
    layers: Sequence[tuple[Layer, Sequence[Any]]],
    output: str,
    inputs: Sequence[str] = ("ids",),
    more_outputs: Sequence[str] = (),
) -> Layer:
    """Return a functional model of layers and the names that each takes, as Keras 2 writes it.

    A name can be (name, call, output); several calls are a list of lists.
    """
    entries: list[Layer] = [
        {
            "class_name": "InputLayer",
            "name": name,
            "config": {"name": name, "batch_input_shape": [None, 10], "dtype": "int32"},
            "inbound_nodes": [],
        }
        for name in inputs
    ]
    for each, takes in layers:
        calls = takes if takes and isinstance(takes[0], list) else [list(takes)]
        nodes = [
            [[one, 0, 0, {}] if isinstance(one, str) else [*one, {}] for one in call]
            for call in calls
        ]
        entries.append({**each, "name": each["config"]["name"], "inbound_nodes": nodes})
    config = {
        "name": "model",
        "layers": entries,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, 0] for name in (output, *more_outputs)],
    }
    return {"class_name": "Functional", "config": config}


def numbers(*shape: int) -> NDArray[np.float32]:
    """Return small numbers, each another one."""
    size = int(np.prod(shape))
    return np.linspace(0, 1, size + 1, dtype=np.float32)[1:].reshape(shape)


def of_tiny(ids: int = 20, units: int = 4, states: int = 3) -> dict[str, Any]:
    """Return the arrays of `tiny()`."""
    return {
        "embedding": [("embeddings", numbers(ids, units))],
        "lstm": [
            ("kernel", numbers(units, 4 * states)),
            ("recurrent_kernel", numbers(states, 4 * states)),
            ("bias", numbers(4 * states)),
        ],
        "dense": [("kernel", numbers(states, 1)), ("bias", numbers(1))],
    }


def write_h5(
    path: Path,
    config: Any,
    arrays: Arrays,
    version: str | None = "2.15.0",
    group: str = "model_weights",
    unlike: bool = True,
    **attributes: Any,
) -> Path:
    """Write an HDF5 model as Keras 2 does; a `config` of None leaves the weights alone.

    Arrays of one name in a layer get other names, unless they are not to be `unlike`.
    """
    with h5py.File(path, "w") as file:
        weights = file.create_group(group) if group else file
        weights.attrs["layer_names"] = [name.encode() for name in arrays]
        for name, of_layer in arrays.items():
            inner = weights.create_group(name)
            plain = [each for each, _ in of_layer]
            again = [plain[:number].count(each) * unlike for number, each in enumerate(plain)]
            names = [
                f"{name}/{e}{f'_{n}' if n else ''}:0" for e, n in zip(plain, again, strict=True)
            ]
            inner.attrs["weight_names"] = [each.encode() for each in names]
            for each, (_, array) in zip(names, of_layer, strict=True):
                inner.require_dataset(each, array.shape, array.dtype, data=array)
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        if version is not None:
            file.attrs["keras_version"] = version
        for name, value in attributes.items():
            file.attrs[name] = value
    return path


def write_keras(
    path: Path, config: Any, arrays: Mapping[str, NDArray[Any]], version: str = "3.8.0"
) -> Path:
    """Write a `.keras` file, whose arrays have paths."""
    weights = path.with_suffix(".weights")
    with h5py.File(weights, "w") as file:
        for place, array in arrays.items():
            file.create_dataset(place, data=array)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.write(weights, "model.weights.h5")
    weights.unlink()
    return path
