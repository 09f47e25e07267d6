"""LSTM, GRU, SimpleRNN and Bidirectional as ONNX' recurrent operators.

Keras steps over what its mask leaves out; ONNX' operators read the first `lengths` steps of a text
and nothing behind them. Where padding is read first, the steps are therefore reversed and read from
their other end, which is the same order without the padding.

What differs besides (measured, and held by the tests): at a padded step Keras returns the output of
the step read before it, which is zeros in front of the text and the last state behind it; with
`zero_output_for_mask` it returns zeros. ONNX Runtime returns zeros behind the length, and zeros for
a text of length 0, whatever state it begins with. Its RNN is never told a length of 0: releases
without its pull request 28052 return for such a text what lies in memory in front of the output.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import Padding
from sentido_export.errors import ExportError
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.activations import recurrent_functions
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.value import Mask, Value

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
    (value,), fields = inputs, layer.fields
    mask, backwards = value.mask, fields["go_backwards"]
    if mask is None:
        every, last = run(nodes, layer, value.name, direction=direction_of(layer))
    else:
        every, last = _masked(nodes, layer, value, mask)
    if not fields["return_sequences"]:
        return Value(last, (fields["units"],))
    if backwards:
        every = flip(nodes, every)  # in the order in which Keras read them
    even = mask is not None and fields["zero_output_for_mask"]
    return Value(every, (*value.shape[:-1], fields["units"]), mask, even)


def bidirectional(nodes: Nodes, layer: Layer, inputs: Sequence[Value]) -> Value:
    """Add a layer and its twin that reads backwards, and merge what they return."""
    forward, backward = (recurrent(nodes, half, inputs) for half in halves(layer))
    is_every = layer.fields["layer"]["return_sequences"]
    back = flip(nodes, backward.name) if is_every else backward.name
    return merged(nodes, layer, forward, back)


def halves(layer: Layer) -> tuple[Layer, Layer]:
    """Return the two layers of a Bidirectional: the second one reads from the other end."""
    fields = dict(layer.fields["layer"])
    kind, count = fields.pop("kind"), len(layer.weights) // 2
    fields["zero_output_for_mask"] = fields["return_sequences"]  # whatever the file says of it
    twin = {**fields, "go_backwards": not fields["go_backwards"]}
    forward = replace(layer, kind=kind, fields=fields, weights=layer.weights[:count])
    return forward, replace(forward, fields=twin, weights=layer.weights[count:])


def merged(nodes: Nodes, layer: Layer, forward: Value, back: str) -> Value:
    """Merge what the halves of a Bidirectional return, whose steps are in the order of the text."""
    mode, units = layer.fields["merge_mode"], forward.units
    if mode == "concat":
        name, units = nodes.add("Concat", forward.name, back, axis=-1), 2 * units
    else:
        name = nodes.add(_MERGES[mode], forward.name, back)
    if mode == "ave":
        name = nodes.add("Mul", name, nodes.number(0.5))
    return replace(forward, name=name, shape=(*forward.shape[:-1], units))


def flip(nodes: Nodes, name: str) -> str:
    """Reverse the steps of (batch, time, units)."""
    last, before_first = nodes.axes(-1), nodes.axes(np.iinfo(np.int64).min)
    return nodes.add("Slice", name, last, before_first, nodes.axes(1), nodes.axes(-1))


def direction_of(layer: Layer) -> str:
    """Return the direction in which a layer reads, in ONNX' words."""
    return "reverse" if layer.fields["go_backwards"] else "forward"


def run(
    nodes: Nodes,
    layer: Layer,
    steps: str,
    lengths: str = "",
    direction: str = "forward",
    states: Sequence[str] = (),
) -> tuple[str, str]:
    """Add ONNX' operator; return the outputs of all steps and of the last one that is read.

    `steps`: (batch, time, inputs). `states`: with `lengths`, what it begins with instead of zeros,
    (batch, units) each. Returns (batch, time, units) and (batch, units); a step's output stands
    where its input does, in whichever direction they are read.
    """
    begun = [nodes.add("Unsqueeze", state, nodes.axes(0)) for state in states]
    selects = bool(lengths) and (bool(states) or layer.kind == "SimpleRNN")
    read = nodes.add("Max", lengths, nodes.store(np.array(1, np.int32))) if selects else lengths
    inputs = [nodes.add("Transpose", steps, perm=[1, 0, 2]), read, *begun]
    every, last = _operator(nodes, layer, inputs, 2, direction)
    # (time, 1, batch, units) and (1, batch, units)
    every = nodes.add("Transpose", nodes.add("Squeeze", every, nodes.axes(1)), perm=[1, 0, 2])
    last = nodes.add("Squeeze", last, nodes.axes(0))
    if selects:
        is_read = nodes.add("Greater", lengths, nodes.store(np.array(0, np.int32)))
        is_read = nodes.add("Unsqueeze", is_read, nodes.axes(1))
        last = nodes.add("Where", is_read, last, states[0] if states else nodes.number(0))
    return every, last


def one_step(nodes: Nodes, layer: Layer, step: str, states: Sequence[str]) -> list[str]:
    """Add ONNX' operator for one step, (1, 1, inputs); return the states after it.

    A state is (1, 1, units): the output, and of an LSTM its memory.
    """
    return _operator(nodes, layer, [step, "", *states], 1 + len(states))[1:]


def _operator(
    nodes: Nodes, layer: Layer, inputs: Sequence[str], outputs: int, direction: str = "forward"
) -> list[str]:
    """Add ONNX' operator alone. `inputs`: steps, lengths, and states to begin with."""
    facts, fields, (steps, *others) = _KINDS[layer.kind], layer.fields, inputs
    units = fields["units"]
    attributes: dict[str, Any] = {"hidden_size": units, "direction": direction}
    attributes |= recurrent_functions(layer.name, [fields[name] for name in facts.activations])
    if layer.kind == "GRU":
        attributes["linear_before_reset"] = int(fields["reset_after"])
    kernel, recurrent_kernel = (_gates(array, facts, units).T for array in layer.weights[:2])
    bias = nodes.store(_bias(layer.weights[2], facts, units)) if fields["use_bias"] else ""
    tensors = [nodes.store(array[np.newaxis]) for array in (kernel, recurrent_kernel)]
    return nodes.add_several(
        facts.operator, [steps, *tensors, bias, *others], outputs, **attributes
    )


def _masked(nodes: Nodes, layer: Layer, value: Value, mask: Mask) -> tuple[str, str]:
    """Add a layer that steps over padding; return what `run` returns, as Keras has it."""
    if mask.padding is None:
        raise ExportError(
            f"layer {layer.name}: it reads texts that were joined one behind the other, with"
            " padding between them, which is not supported: train without mask_zero"
        )
    fields, direction = layer.fields, direction_of(layer)
    if mask.padding is Padding.PRE:
        steps, direction = flip(nodes, value.name), _REVERSE[direction]
        every, last = run(nodes, layer, steps, mask.lengths, direction)
        every = flip(nodes, every)
    else:
        every, last = run(nodes, layer, value.name, mask.lengths, direction)
    if fields["return_sequences"]:
        every = _padded(nodes, layer, every, last, mask)
    elif fields["zero_output_for_mask"]:
        last = _zero_unless_read_last(nodes, layer, last, value, mask)
    return every, last


def _padded(nodes: Nodes, layer: Layer, every: str, last: str, mask: Mask) -> str:
    """Put at the padded steps what Keras returns there."""
    is_read_last = (mask.padding is Padding.PRE) == layer.fields["go_backwards"]
    if is_read_last and not layer.fields["zero_output_for_mask"]:
        other = nodes.add("Unsqueeze", last, nodes.axes(1))
    else:
        other = nodes.number(0)
    return nodes.add("Where", mask.of_steps(nodes), every, other)


def _zero_unless_read_last(nodes: Nodes, layer: Layer, last: str, value: Value, mask: Mask) -> str:
    """Return zeros for the texts whose last step, as they are read, is padded."""
    step = 0 if layer.fields["go_backwards"] else value.shape[0] - 1
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
