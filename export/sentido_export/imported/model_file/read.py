"""Reads a model file: `read_model` is the whole of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Architecture, TextLayer
from sentido_export.imported.model_file import compiled
from sentido_export.imported.model_file.arrays import ArrayFile
from sentido_export.imported.model_file.flatten import Flat, Flattened, flatten
from sentido_export.imported.model_file.json_text import MOST_CHARACTERS, TOO_LARGE, parse
from sentido_export.imported.model_file.opening import JSON, kind_of
from sentido_export.imported.model_file.shapes import shown
from sentido_export.imported.model_file.text_layer import text_layer, without_text_layer
from sentido_export.imported.model_file.topology import ModelConfig, model
from sentido_export.imported.model_file.weights import read_weights

Array = NDArray[np.float32]


def read_model(path: str | Path, weights: str | Path | None = None) -> Architecture:
    """Return the model in a `.keras`, `.h5` or `model.json` file; the last needs `weights`, too.

    Raises ExportError: the file is not such a model, is broken, or computes what is not computed
    here. Nothing in the file is run or imported.
    """
    path = Path(path)
    if kind_of(path) != JSON:
        if weights is not None:
            raise ExportError(f"{path} holds a model and its weights: --weights is for model.json")
        with ArrayFile(path) as file:
            return filled(understood(file.texts, str(path)), file, str(path))
    if weights is None:
        raise ExportError(
            f"{path} holds the layers of a model and not its weights: give them by --weights"
        )
    text = _text(path)
    if kind_of(Path(weights)) == JSON:
        raise ExportError(f"{weights} is not a file of weights: give the .h5 file beside {path}")
    with ArrayFile(Path(weights)) as file:
        texts = {**file.texts, "model_config": text}
        return filled(understood(texts, str(path)), file, str(weights))


def read_text_layer(path: Path) -> TextLayer:
    """Return the TextVectorization in a model file, whatever else it holds. Raises ExportError."""
    if kind_of(path) == JSON:
        texts = {"model_config": _text(path)}
    else:
        with ArrayFile(path) as file:
            texts = file.texts
    layer = text_layer(model(_config(texts, str(path)), f"the model in {path}"), texts)
    if layer is None:
        raise ExportError(
            f"{path}: is a Keras model without a TextVectorization, so that it numbers no words:"
            " give what holds the words of the model (see docs/your-own-model.md)"
        )
    return layer


def _text(path: Path) -> str:
    if path.stat().st_size > MOST_CHARACTERS:
        raise ExportError(f"{path} has more than {MOST_CHARACTERS:,} bytes: {TOO_LARGE}")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExportError(f"{path} is not UTF-8: {error.reason}") from error


@dataclass(frozen=True)
class Understood:
    """All that a file says of a model but its weights."""

    model: ModelConfig
    flat: Flattened
    architecture: Architecture  # its layers have no weights yet
    backend: str


def understood(texts: Mapping[str, str], name: str) -> Understood:
    """Return what the texts in a file say: a configuration, and what was saved beside it."""
    config = _config(texts, name)
    said, stated = compiled.version_of(texts, config, name)
    version = compiled.parsed(said)
    of_file = model(config, f"the model in {name}")
    of_texts = text_layer(of_file, texts)
    if of_texts is not None:
        of_file = without_text_layer(of_file, of_texts)
    backend = texts.get("backend", "")
    notes = compiled.notes(of_file, stated, backend)
    flat = flatten(of_file, version)
    layers = tuple(each.layer for each in flat.layers)
    uses = any("hard_sigmoid" in str(layer.fields) for layer in layers)
    architecture = Architecture(
        inputs=tuple(flat.inputs),
        layers=layers,
        output=_output(flat),
        keras_version=said,
        from_logits=compiled.from_logits(texts, config, name),
        loss=compiled.loss_name(texts, config, name),
        notes=(*notes, *flat.notes, *compiled.hard_sigmoid(uses, said, version)),
        text_layer=of_texts,
    )
    return Understood(of_file, flat, architecture, backend)


def filled(understood: Understood, file: ArrayFile, name: str) -> Architecture:
    """Return the architecture with the weights in a file."""
    flat = understood.flat
    arrays = read_weights(file, understood.model, flat.variables, name)
    layers = tuple(
        replace(each.layer, weights=_weights(flat, each, arrays[each.path], understood.backend))
        for each in flat.layers
    )
    return replace(understood.architecture, layers=layers)


def _config(texts: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the configuration of the model, also where its text was written as JSON again."""
    text = texts.get("model_config")
    if text is None:
        raise ExportError(
            f"{name} holds weights without the layers that they belong to: save the model by"
            " model.save(...), or give the file of model.to_json() and this file by --weights"
        )
    config = parse(text, f"the configuration in {name}")
    if isinstance(config, str):
        config = parse(config, f"the configuration in {name}")
    if not isinstance(config, dict):
        raise ExportError(f"the configuration in {name} is not a JSON object")
    if "modelTopology" in config:
        raise ExportError(
            f"{name} is a model of TensorFlow.js: give the Keras model that it was made of"
        )
    return config


def _output(flat: Flattened) -> str:
    """Return the one output of a model, whose answer is one row of numbers per text."""
    if len(flat.outputs) != 1:
        raise ExportError(
            f"the model has several outputs ({', '.join(flat.outputs)[:200]}): make one of the"
            " output to be served, keras.Model(model.input, model.output[0]), and save that"
        )
    output = flat.outputs[0]
    shape = flat.shapes[output]
    if output in {given.name for given in flat.inputs} or len(shape) != 1:
        raise ExportError(
            f"the model answers with the shape {shown(shape)}, not (None, labels): it does not"
            " classify whole texts"
        )
    return output


def _weights(flat: Flattened, each: Flat, arrays: list[Array], backend: str) -> tuple[Array, ...]:
    """Return the arrays of one layer of the list, as Keras 3 arranges them."""
    following = [
        other.first for other in flat.layers if other.path == each.path and other.first > each.first
    ]
    own = arrays[each.first : min(following, default=None)]
    layer = each.layer
    if layer.kind == "Conv1D" and backend == "theano":
        own[0] = own[0][::-1]
    if layer.kind == "Bidirectional":
        half = len(own) // 2
        kind = layer.fields["layer"]["kind"]
        own = [*_arranged(kind, own[:half]), *_arranged(kind, own[half:])]
    return tuple(np.ascontiguousarray(array) for array in _arranged(layer.kind, own))


def _arranged(kind: str, arrays: list[Array]) -> list[Array]:
    """Return an LSTM's or GRU's arrays, of which those of cuDNN are arranged otherwise.

    cuDNN keeps the transpose of each gate's matrices, that of a kernel in the shape of the kernel,
    and two biases, of which Keras' LSTM has the sum.
    """
    gates = {"LSTM": 4, "GRU": 3}.get(kind)
    if gates is None or len(arrays) != 3:
        return arrays
    kernel, recurrent, bias = arrays
    units = len(recurrent)
    if bias.shape != (2 * gates * units,):
        return arrays
    kernels = [gate.reshape(units, -1).T for gate in np.split(kernel, gates, axis=1)]
    recurrents = [gate.T for gate in np.split(recurrent, gates, axis=1)]
    halves = bias.reshape(2, -1)
    return [
        np.concatenate(kernels, axis=1),
        np.concatenate(recurrents, axis=1),
        halves.sum(axis=0) if kind == "LSTM" else halves,
    ]
