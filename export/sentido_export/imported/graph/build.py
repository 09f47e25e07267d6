"""From an architecture to an ONNX graph: layer by layer, as Keras would call them.

Built with `onnx.helper` alone, because what makes a graph right is not how nodes are written down
but what Keras does with masks, padding and gates: see `recurrent.py` and `steps.py`. The graph that
is built here computes every padded step; `short.py` builds those that compute none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from sentido_bundle import Padding, bounds
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph import merging, pointwise, recurrent, steps
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import ANY_LENGTH, Mask, Value
from sentido_export.imported.head import Head

Build = Callable[[Nodes, Layer, Sequence[Value]], Value]

BUILDERS: Mapping[str, Build] = {
    "LSTM": recurrent.recurrent,
    "GRU": recurrent.recurrent,
    "SimpleRNN": recurrent.recurrent,
    "Bidirectional": recurrent.bidirectional,
    "Conv1D": steps.convolution,
    "MaxPooling1D": steps.pooling,
    "AveragePooling1D": steps.pooling,
    "GlobalMaxPooling1D": steps.global_maximum,
    "GlobalAveragePooling1D": steps.global_average,
    "Flatten": steps.flatten,
    "Dense": pointwise.dense,
    "Activation": pointwise.activation,
    "Softmax": pointwise.softmax,
    "ReLU": pointwise.relu,
    "LeakyReLU": pointwise.leaky_relu,
    "ELU": pointwise.elu,
    "PReLU": pointwise.prelu,
    "BatchNormalization": pointwise.batch_normalization,
    "LayerNormalization": pointwise.layer_normalization,
    "Add": merging.merge,
    "Subtract": merging.merge,
    "Multiply": merging.multiply,
    "Average": merging.merge,
    "Maximum": merging.extreme,
    "Minimum": merging.extreme,
    "Concatenate": merging.concatenate,
}
_RECURRENT = ("LSTM", "GRU", "SimpleRNN", "Bidirectional")
_IN_ORDER = ("Conv1D", "MaxPooling1D", "AveragePooling1D", "Flatten", "PReLU")


@dataclass(frozen=True)
class Built:
    """A graph and what it returns: the size of each output by name."""

    model: onnx.ModelProto
    outputs: Mapping[str, int]


def build_fixed(head: Head, length: int, padding: Padding) -> Built:
    """Build a graph that reads `token_ids` (batch, length), padded with 0 on one side."""
    nodes = Nodes()
    values = add_layers(nodes, head, length, padding)
    return finish(nodes, head, values, {"token_ids": ["batch", length]})


def build_alone(head: Head) -> Built:
    """Build a graph that reads `token_ids` (batch, time) of one text, or of texts of one length."""
    nodes = Nodes()
    values = add_layers(nodes, head, ANY_LENGTH, Padding.POST)
    return finish(nodes, head, values, {"token_ids": ["batch", "time"]})


def reads_padding(head: Head, length: int) -> bool:
    """Return whether the answer depends on the side on which the padding stands."""
    values = add_layers(Nodes(), head, length, Padding.POST)
    return any(
        _reads_padding(layer, values[name])
        for layer in head.architecture.layers
        for name in layer.inputs
        if name in values
    )


def build_steps(head: Head) -> onnx.ModelProto | None:
    """Build a graph that reads `token_ids` and `lengths` and returns `steps` (batch, time, units).

    They are what the recurrent layer returns for each token. None if it begins at the last one.
    For architectures of which `gives_steps` is true.
    """
    embedding, reader, *_ = head.architecture.layers
    if reader.fields["go_backwards"]:
        return None
    nodes = Nodes()
    vectors = nodes.add("Gather", nodes.store(embedding.weights[0]), "token_ids")
    every, _ = recurrent.run(nodes, reader, vectors, "lengths")
    nodes.give("steps", "Identity", every)
    return nodes.model(
        {"token_ids": ["batch", "time"], "lengths": ["batch"]},
        {"steps": ["batch", "time", reader.fields["units"]]},
    )


def is_masked(head: Head) -> bool:
    """Return whether an Embedding masks id 0."""
    return any(layer.fields.get("mask_zero") for layer in head.architecture.layers)


def gives_steps(head: Head) -> bool:
    """Return whether each token has a vector of its own: in a masked LSTM or GRU alone."""
    embedding, *others = head.architecture.layers
    if embedding.kind != "Embedding" or not embedding.fields["mask_zero"]:
        return False
    readers = [layer for layer in others if layer.kind in ("Embedding", *_RECURRENT)]
    takers = [layer.name for layer in others if embedding.name in layer.inputs]
    if [layer.name for layer in readers] != takers or len(readers) != 1:
        return False
    (reader,) = readers
    if reader.kind not in ("LSTM", "GRU"):
        return False
    return not reader.fields["return_sequences"] and not reader.fields["zero_output_for_mask"]


def add_layers(nodes: Nodes, head: Head, length: int, padding: Padding) -> dict[str, Value]:
    """Add all layers, padding among their steps; return what each of them returns, by its name."""
    mask = _mask(nodes, "token_ids", padding) if is_masked(head) else None
    values: dict[str, Value] = {}
    for layer in head.architecture.layers:
        if layer.kind == "Embedding":
            own = mask if layer.fields["mask_zero"] else None
            values[layer.name] = replace(embed(nodes, layer, length), mask=own)
        else:
            values[layer.name] = BUILDERS[layer.kind](nodes, layer, inputs_of(layer, values))
    return values


def embed(nodes: Nodes, layer: Layer, length: int) -> Value:
    """Add an Embedding."""
    (table,) = layer.weights
    name = nodes.add("Gather", nodes.store(table), "token_ids")
    return Value(name, (length, table.shape[1]), even=True)


def inputs_of(layer: Layer, values: Mapping[str, Value]) -> list[Value]:
    """Return what a layer reads. Raises ExportError if it reads ids and is not an Embedding."""
    if not all(name in values for name in layer.inputs):
        raise ExportError(
            f"layer {layer.name} reads the ids themselves: only an Embedding layer can do that"
        )
    return [values[name] for name in layer.inputs]


def finish(
    nodes: Nodes, head: Head, values: Mapping[str, Value], inputs: dict[str, list[str | int]]
) -> Built:
    """Return the graph, whose outputs are those of a head."""
    outputs = _outputs(nodes, head, values)
    shapes: dict[str, list[str | int]] = {name: ["batch", size] for name, size in outputs.items()}
    return Built(nodes.model(inputs, shapes), outputs)


def _mask(nodes: Nodes, ids: str, padding: Padding) -> Mask:
    """Mask id 0."""
    real = nodes.add("Greater", ids, nodes.store(np.array(0, np.int32)))
    numbers = nodes.add("Cast", real, to=onnx.TensorProto.INT32)
    return Mask(real, nodes.add("ReduceSum", numbers, nodes.axes(1), keepdims=0), padding)


def _reads_padding(layer: Layer, value: Value) -> bool:
    """Return whether a layer's output depends on the side of the padding in its input."""
    if len(value.shape) < 2 or value.shape[0] == 1:
        return False
    if layer.kind in _RECURRENT:
        return value.mask is None or _is_out_of_step(layer)
    if layer.kind == "GlobalAveragePooling1D" and value.mask is not None:
        return False
    if layer.kind.startswith("Global"):
        return not value.even
    return layer.kind in _IN_ORDER


def _is_out_of_step(layer: Layer) -> bool:
    """Return whether a masked layer's output does not fit the mask that Keras hands on with it."""
    if layer.kind == "Bidirectional":
        return False
    return bool(
        layer.fields["go_backwards"]
        if layer.fields["return_sequences"]
        else layer.fields["zero_output_for_mask"]
    )


def _outputs(nodes: Nodes, head: Head, values: Mapping[str, Value]) -> dict[str, int]:
    """Name the outputs; return the size of each."""
    probabilities, logits = values[head.architecture.output], values[head.logits]
    if len(probabilities.shape) != 1:
        raise ExportError(
            f"the model returns an answer of shape {probabilities.shape} for each text, not one"
            " number per label: models that label every token are not supported"
        )
    if head.splits:
        other = nodes.add("Sub", nodes.number(1), probabilities.name)
        nodes.give("probabilities", "Concat", other, probabilities.name, axis=1)
        negative = nodes.add("Neg", logits.name)
        nodes.give("logits", "Concat", negative, logits.name, axis=1)
    else:
        nodes.give("probabilities", "Identity", probabilities.name)
        nodes.give("logits", "Identity", logits.name)
    sizes = {"probabilities": head.label_count, "logits": head.label_count}
    hidden = values.get(head.hidden or "")
    if hidden is not None and len(hidden.shape) == 1 and hidden.units <= bounds.VECTOR:
        nodes.give("hidden", "Identity", hidden.name)
        sizes["hidden"] = hidden.units
    return sizes
