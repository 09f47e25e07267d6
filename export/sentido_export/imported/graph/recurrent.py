"""LSTM, GRU, SimpleRNN and Bidirectional as ONNX' recurrent operators.

Keras steps over what its mask leaves out; ONNX' operators read the first `lengths` steps of a text
and nothing behind them. Where padding is read first, the steps are therefore reversed and read from
their other end, which is the same order without the padding.

What differs besides (measured, and held by the tests): at a padded step Keras returns the output of
the step read before it, which is zeros in front of the text and the last state behind it; with
`zero_output_for_mask` it returns zeros. ONNX Runtime returns zeros behind the length, and zeros for
a text of length 0, as Keras does from states of zeros.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Padding
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.activations import recurrent_functions
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import Mask, Value

Weights = Sequence[NDArray[np.float32]]

_MERGES = {"sum": "Add", "ave": "Add", "mul": "Mul"}
_REVERSE = {"reverse": "forward", "forward": "reverse"}


@dataclass(frozen=True)
class _Kind:
    """How an ONNX operator orders the gates of a Keras layer, and which activations it takes."""

    operator: str
    gates: tuple[int, ...]  # Keras' position of each of ONNX' gates
    activations: tuple[str, ...]


_KINDS = {
    "LSTM": _Kind("LSTM", (0, 3, 1, 2), ("recurrent_activation", "activation", "activation")),
    "GRU": _Kind("GRU", (0, 1, 2), ("recurrent_activation", "activation")),
    "SimpleRNN": _Kind("RNN", (0,), ("activation",)),
}


def recurrent(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add one recurrent layer."""
    return _one(nodes, layer.name, layer.kind, layer.fields, layer.weights, inputs[0])


def bidirectional(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a layer and its twin that reads backwards, and merge what they return."""
    inner = dict(layer.fields["layer"])
    kind, half = inner.pop("kind"), len(layer.weights) // 2
    inner["zero_output_for_mask"] = inner["return_sequences"]  # whatever the file says of it
    twin = {**inner, "go_backwards": not inner["go_backwards"]}
    forward = _one(nodes, layer.name, kind, inner, layer.weights[:half], inputs[0])
    backward = _one(nodes, layer.name, kind, twin, layer.weights[half:], inputs[0])
    back = flip(nodes, backward.name) if inner["return_sequences"] else backward.name
    mode, units = layer.fields["merge_mode"], forward.units
    if mode == "concat":
        name, units = nodes.add("Concat", forward.name, back, axis=-1), 2 * units
    else:
        name = nodes.add(_MERGES[mode], forward.name, back)
    if mode == "ave":
        name = nodes.add("Mul", name, nodes.number(0.5))
    return Value(name, (*forward.shape[:-1], units), forward.mask, forward.even)


def flip(nodes: Nodes, name: str) -> str:
    """Reverse the steps of (batch, time, units)."""
    last, before_first = nodes.axes(-1), nodes.axes(np.iinfo(np.int64).min)
    return nodes.add("Slice", name, last, before_first, nodes.axes(1), nodes.axes(-1))


def run(
    nodes: Nodes,
    layer: str,
    kind: str,
    fields: Mapping[str, Any],
    weights: Weights,
    steps: str,
    lengths: str = "",
    direction: str = "forward",
) -> tuple[str, str]:
    """Add ONNX' operator; return the outputs of all steps and of the last one that is read.

    `steps`: (batch, time, inputs). Returns (batch, time, units) and (batch, units); a step's output
    stands where its input does, in whichever direction they are read.
    """
    facts, units = _KINDS[kind], fields["units"]
    attributes: dict[str, Any] = {"hidden_size": units, "direction": direction}
    attributes |= recurrent_functions(layer, [fields[name] for name in facts.activations])
    if kind == "GRU":
        attributes["linear_before_reset"] = int(fields["reset_after"])
    kernel, recurrent_kernel = (_gates(array, facts, units).T for array in weights[:2])
    bias = nodes.store(_bias(weights[2], facts, units)) if fields["use_bias"] else ""
    tensors = [nodes.store(array[np.newaxis]) for array in (kernel, recurrent_kernel)]
    transposed = nodes.add("Transpose", steps, perm=[1, 0, 2])
    every, last = nodes.add_several(
        facts.operator, [transposed, *tensors, bias, lengths], 2, **attributes
    )  # (time, 1, batch, units) and (1, batch, units)
    every = nodes.add("Transpose", nodes.add("Squeeze", every, nodes.axes(1)), perm=[1, 0, 2])
    return every, nodes.add("Squeeze", last, nodes.axes(0))


def _one(
    nodes: Nodes, name: str, kind: str, fields: Mapping[str, Any], weights: Weights, value: Value
) -> Value:
    mask, backwards = value.mask, fields["go_backwards"]
    if mask is None:
        direction = "reverse" if backwards else "forward"
        every, last = run(nodes, name, kind, fields, weights, value.name, "", direction)
    else:
        every, last = _masked(nodes, name, kind, fields, weights, value, mask)
    if not fields["return_sequences"]:
        return Value(last, (fields["units"],))
    if backwards:
        every = flip(nodes, every)  # in the order in which Keras read them
    shape = (*value.shape[:-1], fields["units"])
    even = mask is not None and fields["zero_output_for_mask"]
    return Value(every, shape, mask, even)


def _masked(
    nodes: Nodes,
    name: str,
    kind: str,
    fields: Mapping[str, Any],
    weights: Weights,
    value: Value,
    mask: Mask,
) -> tuple[str, str]:
    """Add a layer that steps over padding; return what `run` returns, as Keras has it."""
    if mask.padding is None:
        raise ExportError(
            f"layer {name}: it reads texts that were joined one behind the other, with padding"
            " between them, which is not supported: train without mask_zero"
        )
    is_left = mask.padding is Padding.PRE
    direction = "reverse" if fields["go_backwards"] else "forward"
    if is_left:
        steps, direction = flip(nodes, value.name), _REVERSE[direction]
    else:
        steps = value.name
    every, last = run(nodes, name, kind, fields, weights, steps, mask.lengths, direction)
    if is_left:
        every = flip(nodes, every)
    if fields["return_sequences"]:
        every = _padded(nodes, fields, every, last, mask)
    elif fields["zero_output_for_mask"]:
        last = _zero_unless_read_last(nodes, fields, last, value, mask)
    return every, last


def _padded(nodes: Nodes, fields: Mapping[str, Any], every: str, last: str, mask: Mask) -> str:
    """Put at the padded steps what Keras returns there."""
    is_read_last = (mask.padding is Padding.PRE) == fields["go_backwards"]
    if is_read_last and not fields["zero_output_for_mask"]:
        other = nodes.add("Unsqueeze", last, nodes.axes(1))
    else:
        other = nodes.number(0)
    return nodes.add("Where", mask.of_steps(nodes), every, other)


def _zero_unless_read_last(
    nodes: Nodes, fields: Mapping[str, Any], last: str, value: Value, mask: Mask
) -> str:
    """Return zeros for the texts whose last step, as they are read, is padded."""
    step = 0 if fields["go_backwards"] else value.shape[0] - 1
    is_real = nodes.add("Gather", mask.name, nodes.axes(step), axis=1)  # (batch, 1)
    return nodes.add("Where", is_real, last, nodes.number(0))


def _gates(array: NDArray[np.float32], facts: _Kind, units: int) -> NDArray[np.float32]:
    """Order the gates, which are the last axis in parts of `units`, as ONNX does."""
    parts = [array[..., gate * units : (gate + 1) * units] for gate in facts.gates]
    return np.concatenate(parts, axis=-1)


def _bias(bias: NDArray[np.float32], facts: _Kind, units: int) -> NDArray[np.float32]:
    """Return ONNX' bias: that of the inputs, then that of the state, which only some GRUs have."""
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    return _gates(both, facts, units).reshape(1, -1)
