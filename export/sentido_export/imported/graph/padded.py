"""What a model makes of padding alone: the same for every text, so that it can be looked up.

The first padded steps of a text that is padded on the left do not know how many there will be, nor
what follows them. They are those of a text that is nothing but padding, which is run once.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto
from sentido_bundle import Padding
from sentido_export.imported.architecture import Layer
from sentido_export.imported.graph.build import add_layers
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.recurrent import one_step
from sentido_export.imported.graph.session import session_of
from sentido_export.imported.head import Head

Floats = NDArray[np.float32]


def padded_steps(head: Head, length: int, padding: Padding) -> dict[str, Floats]:
    """Return what each layer returns for a text of padding alone: (length, units) by its name."""
    layers = tuple(map(_of_one_id, head.architecture.layers))
    head = replace(head, architecture=replace(head.architecture, layers=layers))
    nodes = Nodes()
    values = add_layers(nodes, head, length, padding)
    names = {layer: value.name for layer, value in values.items() if len(value.shape) == 2}
    shapes: dict[str, list[str | int]] = {
        value.name: [1, *value.shape] for layer, value in values.items() if layer in names
    }
    session = session_of(nodes.model({"token_ids": [1, length]}, shapes))
    outputs = session.run(list(shapes), {"token_ids": np.zeros((1, length), np.int32)})
    found = {name: output[0] for name, output in zip(shapes, outputs, strict=True)}
    return {layer: found[name] for layer, name in names.items()}


def _of_one_id(layer: Layer) -> Layer:
    """Return an Embedding with the row of padding alone, any other layer as it is."""
    if layer.kind != "Embedding":
        return layer
    return replace(layer, weights=(layer.weights[0][:1],))


def states_after(layer: Layer, steps: Floats) -> list[Floats]:
    """Return the states of a recurrent layer after 0, 1, ... of the steps (steps, inputs).

    They are (steps + 1, units): the output, and of an LSTM its memory, which no run returns for
    each of its steps.
    """
    units, nodes = layer.fields["units"], Nodes()
    names = ["output", "memory"][: 2 if layer.kind == "LSTM" else 1]
    inputs: dict[str, list[str | int]] = {"step": [1, 1, steps.shape[1]]}
    state: dict[str, list[str | int]] = {name: [1, 1, units] for name in names}
    after = one_step(nodes, layer, "step", names)
    shapes = dict.fromkeys(after, state[names[0]])
    session = session_of(nodes.model(inputs | state, shapes, TensorProto.FLOAT))
    found = [[np.zeros((1, 1, units), np.float32) for _ in names]]
    for step in steps:
        given = dict(zip(names, found[-1], strict=True))
        found.append(session.run(after, {"step": step[np.newaxis, np.newaxis], **given}))
    return [np.concatenate(states)[:, 0] for states in zip(*found, strict=True)]
