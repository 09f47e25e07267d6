"""Convolution, pooling and Flatten: what reads the steps of a text without recurrence."""

from collections.abc import Sequence

import numpy as np
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.activations import activate
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import ANY_LENGTH, Value


def convolution(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Conv1D."""
    fields, (value,) = layer.fields, inputs
    size, stride, dilation = (fields[n] for n in ("kernel_size", "strides", "dilation_rate"))
    before, after, length = _padding(layer, value, (size - 1) * dilation + 1)
    kernel = layer.weights[0].transpose(2, 1, 0)  # (filters, inputs / groups, kernel_size)
    tensors = [nodes.store(kernel)] + [nodes.store(bias) for bias in layer.weights[1:]]
    name = nodes.add(
        "Conv",
        nodes.add("Transpose", value.name, perm=[0, 2, 1]),  # (batch, inputs, time)
        *tensors,
        kernel_shape=[size],
        strides=[stride],
        dilations=[dilation],
        pads=[before, after],
        group=value.units // kernel.shape[1],
    )
    name = activate(nodes, fields["activation"], nodes.add("Transpose", name, perm=[0, 2, 1]))
    return Value(name, (length, fields["filters"]))


def pooling(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a MaxPooling1D or an AveragePooling1D, whose padding counts for nothing."""
    fields, (value,) = layer.fields, inputs
    before, after, length = _padding(layer, value, fields["pool_size"])
    name = nodes.add(
        "MaxPool" if layer.kind == "MaxPooling1D" else "AveragePool",
        nodes.add("Transpose", value.name, perm=[0, 2, 1]),
        kernel_shape=[fields["pool_size"]],
        strides=[fields["strides"]],
        pads=[before, after],
    )
    return Value(nodes.add("Transpose", name, perm=[0, 2, 1]), (length, value.units))


def global_maximum(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a GlobalMaxPooling1D, which reads padded steps too: it knows no mask."""
    value, keep = inputs[0], layer.fields["keepdims"]
    name = nodes.add("ReduceMax", value.name, nodes.axes(1), keepdims=int(keep))
    return Value(name, (1, value.units) if keep else (value.units,))


def global_average(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a GlobalAveragePooling1D, of the real steps alone where there is a mask.

    The average of no step at all is zeros, where Keras divides by zero. Steps are added up by a
    product, since ONNX Runtime's reductions round otherwise for a single text.
    """
    (value,), axis = inputs, nodes.axes(1)
    if value.mask is None and value.shape[0] == ANY_LENGTH:
        average = nodes.add("ReduceMean", value.name, axis, keepdims=1)
    elif value.mask is None:
        total = nodes.add(
            "MatMul", nodes.store(np.ones((1, value.shape[0]), np.float32)), value.name
        )
        average = nodes.add("Mul", total, nodes.number(1 / value.shape[0]))
    else:
        real = nodes.add("Unsqueeze", nodes.add("Cast", value.mask.name, to=1), axis)
        total = nodes.add("MatMul", real, value.name)
        count = nodes.add("Cast", value.mask.lengths, to=1)  # float32 (batch,)
        count = nodes.add("Max", count, nodes.number(1))
        average = nodes.add("Div", total, nodes.add("Unsqueeze", count, nodes.axes(1, 2)))
    if layer.fields["keepdims"]:
        return Value(average, (1, value.units))
    return Value(nodes.add("Squeeze", average, axis), (value.units,))


def flatten(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Flatten."""
    (value,) = inputs
    if value.shape[0] == ANY_LENGTH:
        raise ExportError(f"layer {layer.name}: it needs texts of one length")
    return Value(nodes.add("Flatten", value.name, axis=1), (int(np.prod(value.shape)),))


def _padding(layer: Layer, value: Value, window: int) -> tuple[int, int, int]:
    """Return the steps to add before and behind, as TensorFlow does, and the length afterwards."""
    length, stride, padding = value.shape[0], layer.fields["strides"], layer.fields["padding"]
    if length == ANY_LENGTH:
        return *_padding_of_any(layer, window), ANY_LENGTH
    before = after = 0
    if padding == "causal":
        before = window - 1
    elif padding == "same":
        total = max(0, (-(-length // stride) - 1) * stride + window - length)
        before, after = total // 2, total - total // 2
    steps = (before + length + after - window) // stride + 1
    if steps < 1:
        raise ExportError(
            f"layer {layer.name}: it reads {window} steps at a time and gets {length}: --max-tokens"
            " is smaller than in training"
        )
    return before, after, steps


def _padding_of_any(layer: Layer, window: int) -> tuple[int, int]:
    """Return the steps to add before and behind, where they are the same for every length."""
    padding = layer.fields["padding"]
    if padding == "causal":
        return window - 1, 0
    if padding == "same" and layer.fields["strides"] == 1:
        return (window - 1) // 2, window // 2
    raise ExportError(
        f"layer {layer.name}: it reads {window} steps at a time, and a text that is not padded may"
        " have fewer: give the TextVectorization an output_sequence_length"
    )
