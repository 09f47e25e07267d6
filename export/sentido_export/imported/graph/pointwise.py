"""What is computed for each step, or each text, by itself: Dense, activations, normalizations."""

from collections.abc import Sequence

import numpy as np
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.activations import activate
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import Value


def dense(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Dense over the last axis."""
    (value,), (kernel, *biases) = inputs, layer.weights
    tensors = [nodes.store(kernel), *(nodes.store(bias) for bias in biases)]
    if len(value.shape) == 1:
        name = nodes.add("Gemm", value.name, *tensors)
    else:
        name = nodes.add("MatMul", value.name, tensors[0])
        name = nodes.add("Add", name, tensors[1]) if biases else name
    name = activate(nodes, layer.fields["activation"], name)
    return Value(name, (*value.shape[:-1], layer.fields["units"]), value.mask, value.even)


def activation(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add an Activation."""
    return _same(inputs[0], activate(nodes, layer.fields["activation"], inputs[0].name))


def softmax(nodes: Nodes, _: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Softmax."""
    return _same(inputs[0], activate(nodes, "softmax", inputs[0].name))


def elu(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add an ELU."""
    return _same(inputs[0], nodes.add("Elu", inputs[0].name, alpha=layer.fields["alpha"]))


def leaky_relu(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a LeakyReLU."""
    slope = layer.fields["negative_slope"]
    return _same(inputs[0], nodes.add("LeakyRelu", inputs[0].name, alpha=slope))


def prelu(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a PReLU, whose slopes are stored for each step and unit, or shared."""
    (slopes,) = layer.weights
    return _same(inputs[0], nodes.add("PRelu", inputs[0].name, nodes.store(slopes)))


def relu(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a ReLU: x from `threshold` to `max_value`, negative_slope * (x - threshold) below."""
    x, fields = inputs[0].name, layer.fields
    most, slope, threshold = (fields[n] for n in ("max_value", "negative_slope", "threshold"))
    above = x if most is None else nodes.add("Min", x, nodes.number(most))
    if threshold == 0 and slope == 0:
        return _same(inputs[0], nodes.add("Relu", above))
    least = nodes.number(threshold)
    below = nodes.add("Mul", nodes.add("Sub", x, least), nodes.number(slope))
    is_above = nodes.add("GreaterOrEqual", x, least)
    return _same(inputs[0], nodes.add("Where", is_above, above, below))


def batch_normalization(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a BatchNormalization by the mean and variance that training has left."""
    gamma, beta, mean, variance = _scale_and_offset(layer, inputs[0].units)
    scale = gamma / np.sqrt(variance + np.float32(layer.fields["epsilon"]))
    scaled = nodes.add("Mul", inputs[0].name, nodes.store(scale.astype(np.float32)))
    offset = (beta - mean * scale).astype(np.float32)
    return _same(inputs[0], nodes.add("Add", scaled, nodes.store(offset)))


def layer_normalization(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a LayerNormalization."""
    gamma, beta = _scale_and_offset(layer, inputs[0].units)
    name = nodes.add(
        "LayerNormalization",
        inputs[0].name,
        nodes.store(gamma),
        nodes.store(beta),
        axis=-1,
        epsilon=layer.fields["epsilon"],
    )
    return _same(inputs[0], name)


def _scale_and_offset(
    layer: Layer, units: int
) -> list[np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """Return gamma and beta, 1 and 0 where a layer has none, and its other weights."""
    weights = list(layer.weights)
    gamma = weights.pop(0) if layer.fields["scale"] else np.ones(units, np.float32)
    beta = weights.pop(0) if layer.fields["center"] else np.zeros(units, np.float32)
    return [gamma, beta, *weights]


def _same(value: Value, name: str) -> Value:
    """Return what has the shape and the padding of `value`."""
    return Value(name, value.shape, value.mask, value.even)
