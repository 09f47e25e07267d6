"""From an architecture to an ONNX graph: layer by layer, as Keras would call them.

Built with `onnx.helper` alone, because what makes a graph right is not how nodes are written down
but what Keras does with masks, padding and gates: see `recurrent.py` and `steps.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from sentido_bundle import Padding, bounds
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph import merging, pointwise, recurrent, steps
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import Mask, Value
from sentido_export.imported.head import Head

Build = Callable[[Nodes, Layer, Sequence[Value]], Value]

_BUILDERS: Mapping[str, Build] = {
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
    """A graph and what it returns: the size of each output by name.

    `reads_padding`: the answer depends on the side on which the padding stands.
    """

    model: onnx.ModelProto
    outputs: Mapping[str, int]
    reads_padding: bool


def build_fixed(head: Head, length: int, padding: Padding) -> Built:
    """Build a graph that reads `token_ids` (batch, length), padded with 0 on one side."""
    nodes = Nodes()
    mask = _mask(nodes, "token_ids", padding) if is_masked(head) else None
    return _build(nodes, head, {"token_ids": ["batch", length]}, length, mask)


def build_lengths(head: Head) -> Built:
    """Build a graph that reads `token_ids` (batch, time), padded on the right, and `lengths`.

    For architectures of which `reads_lengths` is true.
    """
    mask = Mask("", "lengths", Padding.POST)
    inputs: dict[str, list[str | int]] = {"token_ids": ["batch", "time"], "lengths": ["batch"]}
    return _build(Nodes(), head, inputs, 0, mask)


def build_steps(head: Head) -> onnx.ModelProto | None:
    """Build a graph that reads `token_ids` and `lengths` and returns `steps` (batch, time, units).

    They are what the recurrent layer returns for each token. None if it begins at the last one.
    """
    embedding, reader, *_ = head.architecture.layers
    if reader.fields["go_backwards"]:
        return None
    nodes = Nodes()
    vectors = nodes.add("Gather", nodes.store(embedding.weights[0]), "token_ids")
    every, _ = recurrent.run(
        nodes, reader.name, reader.kind, reader.fields, reader.weights, vectors, "lengths"
    )
    nodes.give("steps", "Identity", every)
    return nodes.model(
        {"token_ids": ["batch", "time"], "lengths": ["batch"]},
        {"steps": ["batch", "time", reader.fields["units"]]},
    )


def is_masked(head: Head) -> bool:
    """Return whether an Embedding masks id 0."""
    return any(layer.fields.get("mask_zero") for layer in head.architecture.layers)


def reads_lengths(head: Head) -> bool:
    """Return whether a model can be told its texts' lengths: a masked LSTM or GRU alone."""
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


def _mask(nodes: Nodes, ids: str, padding: Padding) -> Mask:
    """Mask id 0."""
    real = nodes.add("Greater", ids, nodes.store(np.array(0, np.int32)))
    numbers = nodes.add("Cast", real, to=onnx.TensorProto.INT32)
    return Mask(real, nodes.add("ReduceSum", numbers, nodes.axes(1), keepdims=0), padding)


def _build(
    nodes: Nodes,
    head: Head,
    inputs: dict[str, list[str | int]],
    length: int,
    mask: Mask | None,
) -> Built:
    architecture = head.architecture
    values: dict[str, Value] = {}
    reads_padding = False
    for layer in architecture.layers:
        if layer.kind == "Embedding":
            values[layer.name] = _embedding(nodes, layer, length, mask)
            continue
        into = [_value(values, layer, name) for name in layer.inputs]
        reads_padding |= any(_reads_padding(layer, value) for value in into)
        values[layer.name] = _BUILDERS[layer.kind](nodes, layer, into)
    outputs = _outputs(nodes, head, values)
    shapes: dict[str, list[str | int]] = {name: ["batch", size] for name, size in outputs.items()}
    return Built(nodes.model(inputs, shapes), outputs, reads_padding)


def _embedding(nodes: Nodes, layer: Layer, length: int, mask: Mask | None) -> Value:
    (table,) = layer.weights
    name = nodes.add("Gather", nodes.store(table), "token_ids")
    own = mask if layer.fields["mask_zero"] else None
    return Value(name, (length, table.shape[1]), own, even=True)


def _value(values: Mapping[str, Value], layer: Layer, name: str) -> Value:
    if name not in values:
        raise ExportError(
            f"layer {layer.name} reads the ids themselves: only an Embedding layer can do that"
        )
    return values[name]


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
