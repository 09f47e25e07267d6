"""Convolution, pooling and Flatten: what reads the steps of a text without recurrence."""

from collections.abc import Sequence

import numpy as np
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.activations import activate
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import Value


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

    The average of no step at all is zeros, where Keras divides by zero.
    """
    value, keep = inputs[0], layer.fields["keepdims"]
    shape = (1, value.units) if keep else (value.units,)
    axis, keepdims = nodes.axes(1), int(keep)
    if value.mask is None:
        return Value(nodes.add("ReduceMean", value.name, axis, keepdims=keepdims), shape)
    real = nodes.add("Where", value.mask.of_steps(nodes), value.name, nodes.number(0))
    total = nodes.add("ReduceSum", real, axis, keepdims=keepdims)
    count = nodes.add("Cast", value.mask.lengths, to=1)  # float32 (batch,)
    count = nodes.add("Max", count, nodes.number(1))
    count = nodes.add("Unsqueeze", count, nodes.axes(*range(1, 1 + len(shape))))
    return Value(nodes.add("Div", total, count), shape)


def flatten(nodes: Nodes, _: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Flatten."""
    (value,) = inputs
    return Value(nodes.add("Flatten", value.name, axis=1), (int(np.prod(value.shape)),))


def _padding(layer: Layer, value: Value, window: int) -> tuple[int, int, int]:
    """Return the steps to add before and behind, as TensorFlow does, and the length afterwards."""
    length, stride, padding = value.shape[0], layer.fields["strides"], layer.fields["padding"]
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
