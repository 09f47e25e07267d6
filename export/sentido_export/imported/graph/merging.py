"""Layers of several inputs, and what becomes of their masks."""

from collections.abc import Sequence
from functools import partial, reduce

from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import Mask, Value

_OPERATORS = {"Add": "Add", "Subtract": "Sub", "Average": "Add"}
_EXTREMES = {"Maximum": "Max", "Minimum": "Min"}


def merge(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a layer that combines its inputs element by element."""
    first, *others = inputs
    name = first.name
    for other in others:
        name = nodes.add(_OPERATORS[layer.kind], name, other.name)
    if layer.kind == "Average":
        name = nodes.add("Mul", name, nodes.number(1 / len(inputs)))
    return Value(name, _shape(layer, inputs), _mask(layer, inputs), all(v.even for v in inputs))


def multiply(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Multiply, for which a padded step of one input is 1, and one of all inputs 0."""
    factors = [
        nodes.add("Where", value.mask.of_steps(nodes), value.name, nodes.number(1))
        if value.mask
        else value.name
        for value in inputs
    ]
    name, mask = reduce(partial(nodes.add, "Mul"), factors), _mask(layer, inputs)
    if mask is not None:
        name = nodes.add("Where", mask.of_steps(nodes), name, nodes.number(0))
    even = mask is not None or all(value.even for value in inputs)
    return Value(name, _shape(layer, inputs), mask, even)


def extreme(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Maximum or a Minimum, in which a padded step of one input has no say."""
    name, mask = inputs[0].name, inputs[0].mask
    for other in inputs[1:]:
        right = other.name
        if other.mask is not None:
            right = nodes.add("Where", other.mask.of_steps(nodes), right, name)
        if mask is not None:
            name = nodes.add("Where", mask.of_steps(nodes), name, right)
        mask = mask if other.mask is not None else None
        name = nodes.add(_EXTREMES[layer.kind], name, right)
    even = all(value.even for value in inputs)
    return Value(name, _shape(layer, inputs), _mask(layer, inputs), even)


def concatenate(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a Concatenate, over the last axis or over the steps."""
    axis = layer.fields["axis"]
    name = nodes.add("Concat", *(value.name for value in inputs), axis=axis)
    size = sum(value.shape[axis] for value in inputs)
    shape = list(inputs[0].shape)
    shape[axis] = size
    even = all(value.even for value in inputs)
    if axis == -1:
        return Value(name, tuple(shape), _mask(layer, inputs), even)
    return Value(name, tuple(shape), _joined(nodes, layer, inputs), even)


def _shape(layer: Layer, inputs: Sequence[Value]) -> tuple[int, ...]:
    """Return the shape of all inputs, which must be one."""
    shapes = {value.shape for value in inputs}
    if len(shapes) > 1:
        raise ExportError(
            f"layer {layer.name}: its inputs have the shapes {sorted(shapes)}, which are not equal:"
            " only inputs of one shape are supported"
        )
    return inputs[0].shape


def _mask(layer: Layer, inputs: Sequence[Value]) -> Mask | None:
    """Return the mask of all inputs; a step that one of them does not mask is not masked."""
    masks = [value.mask for value in inputs]
    if None in masks:
        return None
    if len(set(masks)) > 1:
        raise ExportError(
            f"layer {layer.name}: its inputs have different masks, which is not supported: train"
            " without mask_zero"
        )
    return masks[0]


def _joined(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Mask | None:
    """Return the masks of all inputs one behind the other."""
    masks = [value.mask for value in inputs if value.mask is not None]
    if not masks:
        return None
    if len(masks) < len(inputs):
        raise ExportError(
            f"layer {layer.name}: only some of its inputs are masked, which is not supported: train"
            " without mask_zero"
        )
    lengths = reduce(partial(nodes.add, "Add"), [mask.lengths for mask in masks])
    return Mask(nodes.add("Concat", *(mask.name for mask in masks), axis=1), lengths, None)
