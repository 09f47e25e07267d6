"""Graphs that compute the real steps of a text and none of its padding, and answer as Keras does.

They read texts padded on the right to the longest of a batch, and the length of each. What Keras
reads on padded steps comes from elsewhere: a mask steps over them; padded steps that are all alike
are counted; and what a layer has read before it comes to a text on whose left the padding stands
is looked up in a table, by the text's length. Where padded steps depend on the text, there is no
such graph: `NeedsPadding` says which layer asks for it, and `build_fixed` computes them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from sentido_bundle import Padding, bounds
from sentido_export.imported.architecture import Layer, with_article
from sentido_export.imported.graph import recurrent
from sentido_export.imported.graph.build import BUILDERS, Built, embed, finish, inputs_of
from sentido_export.imported.graph.nodes import Nodes
from sentido_export.imported.graph.padded import Floats, padded_steps, states_after
from sentido_export.imported.graph.value import Value
from sentido_export.imported.head import Head

_RECURRENT = ("LSTM", "GRU", "SimpleRNN")
_ALONE = (  # layers that work on each step by itself
    *("Dense", "Activation", "Softmax", "ReLU", "LeakyReLU", "ELU", "PReLU"),
    *("BatchNormalization", "LayerNormalization"),
)
_MERGES = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
_LEAST = float(np.finfo(np.float32).min)


class NeedsPadding(Exception):
    """Why the padded steps of a text must be computed: a clause that names the layer."""


@dataclass(frozen=True)
class Short:
    """A graph of real steps, and what it holds instead of padded ones."""

    built: Built
    has_states: bool
    table_bytes: int


@dataclass(frozen=True)
class _Steps:
    """What a layer returns for the padded steps of a text.

    They are those of a text of padding alone, unless they repeat the last real one (`repeats`).
    """

    is_masked: bool
    repeats: bool = False


def build_short(
    head: Head, length: int, padding: Padding, most_bytes: int = bounds.WEIGHTS_BYTES
) -> Short:
    """Build a graph that reads `token_ids` (batch, time), padded on the right, and `lengths`.

    It answers as the model does for texts padded to `length` on the side of `padding`. Its tables
    have at most `most_bytes`. Raises NeedsPadding if it cannot.
    """
    builder = _Builder(head, length, padding, most_bytes)
    for layer in head.architecture.layers:
        builder.add(layer)
    inputs: dict[str, list[str | int]] = {"token_ids": ["batch", "time"], "lengths": ["batch"]}
    built = finish(builder.nodes, head, builder.values, inputs)
    return Short(built, builder.has_states, builder.table_bytes)


class _Builder:
    """Adds layer after layer to one graph."""

    def __init__(self, head: Head, length: int, padding: Padding, most_bytes: int) -> None:
        self.nodes = Nodes()
        self.values: dict[str, Value] = {}
        self.has_states, self.table_bytes = False, 0
        self._steps: dict[str, _Steps] = {}  # of the layers that return a vector for each token
        self._head, self._length, self._padding = head, length, padding
        self._most_bytes = most_bytes

    def add(self, layer: Layer) -> None:
        """Add a layer."""
        if layer.kind == "Embedding":
            self.values[layer.name] = embed(self.nodes, layer, self._length)
            self._steps[layer.name] = _Steps(layer.fields["mask_zero"])
            return
        inputs = inputs_of(layer, self.values)
        if any(name in self._steps for name in layer.inputs):
            self.values[layer.name] = self._add_reader(layer, inputs)
        else:
            self.values[layer.name] = BUILDERS[layer.kind](self.nodes, layer, inputs)

    def _add_reader(self, layer: Layer, inputs: list[Value]) -> Value:
        """Add a layer that reads the tokens' vectors."""
        value, kind = inputs[0], layer.kind
        if kind in _RECURRENT:
            return self._recurrent(layer, value)
        if kind == "Bidirectional":
            return self._bidirectional(layer, value)
        if kind == "GlobalMaxPooling1D":
            return self._maximum(layer, value)
        if kind == "GlobalAveragePooling1D":
            return self._average(layer, value)
        if kind in _MERGES:
            self._steps[layer.name] = self._merged(layer)
        elif kind in _ALONE and not _tells_steps_apart(layer):
            self._steps[layer.name] = self._steps[layer.inputs[0]]
        else:
            raise NeedsPadding(
                f"layer {layer.name}, {with_article(kind)}, reads padded steps beside real ones"
            )
        return BUILDERS[kind](self.nodes, layer, inputs)

    def _merged(self, layer: Layer) -> _Steps:
        steps = [self._steps.get(name) for name in layer.inputs]
        if layer.fields.get("axis", -1) != -1 or None in steps:
            raise NeedsPadding(
                f"layer {layer.name}, {with_article(layer.kind)}, joins steps of several places"
            )
        found = [each for each in steps if each]
        if any(each.repeats for each in found):
            raise NeedsPadding(
                f"layer {layer.name}, {with_article(layer.kind)}, joins padded steps that"
                " repeat a real one"
            )
        return _Steps(all(each.is_masked for each in found))

    # -- recurrent layers -------------------------------------------------------------------------

    def _recurrent(self, layer: Layer, value: Value) -> Value:
        fields, steps = layer.fields, self._steps[layer.inputs[0]]
        is_every, backwards = fields["return_sequences"], fields["go_backwards"]
        is_read_first = (self._padding is Padding.PRE) != backwards
        _check_order(layer.name, fields)
        if not steps.is_masked and not is_read_first:
            raise NeedsPadding(f"layer {layer.name} has no mask and reads padding behind the text")
        states = [] if steps.is_masked else self._states(layer)
        every, last = self._run(layer, value, states)
        if is_every:
            repeats = steps.is_masked and not (is_read_first or fields["zero_output_for_mask"])
            self._steps[layer.name] = _Steps(steps.is_masked, repeats)
            return Value(every, (self._length, fields["units"]))
        if steps.is_masked and fields["zero_output_for_mask"] and not is_read_first:
            shorter = self._shorter_than(self._length, 1)
            last = self.nodes.add("Where", shorter, self.nodes.number(0), last)
        return Value(last, (fields["units"],))

    def _bidirectional(self, layer: Layer, value: Value) -> Value:
        steps = self._steps[layer.inputs[0]]
        if not steps.is_masked:
            raise NeedsPadding(f"layer {layer.name} has no mask and reads padding behind the text")
        _check_order(layer.name, layer.fields["layer"])
        is_every, units = (layer.fields["layer"][name] for name in ("return_sequences", "units"))
        runs = [self._run(half, value, []) for half in recurrent.halves(layer)]
        first, other = (every if is_every else last for every, last in runs)
        if is_every:
            self._steps[layer.name] = _Steps(is_masked=True)
        shape = (self._length, units) if is_every else (units,)
        return recurrent.merged(self.nodes, layer, Value(first, shape), other)

    def _run(self, layer: Layer, value: Value, states: list[str]) -> tuple[str, str]:
        direction = recurrent.direction_of(layer)
        return recurrent.run(self.nodes, layer, value.name, "lengths", direction, states)

    def _states(self, layer: Layer) -> list[str]:
        """Return the states after all padded steps of a text: (batch, units) each."""
        self.has_states = True
        count = 2 if layer.kind == "LSTM" else 1
        self._reserve(count * layer.fields["units"])  # before they are computed
        found = states_after(layer, self._padded[layer.inputs[0]])
        return [self._row(states[::-1]) for states in found]

    # -- pooling ----------------------------------------------------------------------------------

    def _total(self, value: Value) -> str:
        """Return the sum of the real steps: (batch, 1, units).

        They are added one after the other, so that it is rounded alike whatever stands behind
        them: products and reductions add in an order that depends on how many steps there are.
        """
        nodes = self.nodes
        steps = nodes.add("Mul", value.name, self._real)
        sums = nodes.add("CumSum", steps, nodes.store(np.array(1, np.int64)))
        return nodes.add("Gather", sums, nodes.axes(-1), axis=1)

    def _maximum(self, layer: Layer, value: Value) -> Value:
        nodes, source = self.nodes, layer.inputs[0]
        least = nodes.number(_LEAST)
        behind = nodes.add("Sub", nodes.number(1), self._real)  # Where is three times as slow
        steps = nodes.add("Add", value.name, nodes.add("Mul", behind, least))
        largest = nodes.add("ReduceMax", steps, nodes.axes(1), keepdims=1)
        most = 1 if self._steps[source].repeats else self._length
        is_padded, padded = self._shorter_than(most, 2), self._padded[source]
        if _is_even(padded):
            others = self._store(padded[np.newaxis, :1])
        else:
            rows = np.maximum.accumulate(padded)
            table = np.concatenate([rows[::-1], rows[:1]])  # the last is of texts without padding
            others = self._look_up(table)
        others = nodes.add("Where", is_padded, others, least)
        return self._pooled(layer, value, nodes.add("Max", largest, others))

    def _average(self, layer: Layer, value: Value) -> Value:
        nodes, source = self.nodes, layer.inputs[0]
        total = self._total(value)
        count = nodes.add("Cast", "lengths", to=onnx.TensorProto.FLOAT)
        count = nodes.add("Unsqueeze", count, nodes.axes(1, 2))
        if self._steps[source].is_masked:
            average = nodes.add("Div", total, nodes.add("Max", count, nodes.number(1)))
            return self._pooled(layer, value, average)
        padded = self._padded[source]
        if _is_even(padded):
            left = nodes.add("Sub", nodes.number(self._length), count)
            others = nodes.add("Mul", left, self._store(padded[np.newaxis, :1]))
        else:
            sums = np.cumsum(padded, axis=0, dtype=np.float64).astype(np.float32)
            table = np.concatenate([sums[::-1], np.zeros_like(sums[:1])])
            others = self._look_up(table)
        total = nodes.add("Add", total, others)
        average = nodes.add("Mul", total, nodes.number(1 / self._length))
        return self._pooled(layer, value, average)

    def _pooled(self, layer: Layer, value: Value, name: str) -> Value:
        if layer.fields["keepdims"]:
            return Value(name, (1, value.units))
        return Value(self.nodes.add("Squeeze", name, self.nodes.axes(1)), (value.units,))

    # -- padding ----------------------------------------------------------------------------------

    @cached_property
    def _padded(self) -> dict[str, Floats]:
        return padded_steps(self._head, self._length, self._padding)

    @cached_property
    def _real(self) -> str:
        """1 for each real step, 0 for those behind a text: (batch, time, 1)."""
        nodes = self.nodes
        real = nodes.add("Greater", "token_ids", nodes.store(np.array(0, np.int32)))
        real = nodes.add("Cast", real, to=onnx.TensorProto.FLOAT)
        return nodes.add("Unsqueeze", real, nodes.axes(2))

    def _shorter_than(self, count: int, dimensions: int) -> str:
        """Return which texts have fewer tokens: (batch, 1, ...), of so many dimensions behind."""
        least = self.nodes.store(np.array(count, np.int32))
        shorter = self.nodes.add("Less", "lengths", least)
        return self.nodes.add("Unsqueeze", shorter, self.nodes.axes(*range(1, dimensions + 1)))

    def _look_up(self, table: Floats) -> str:
        """Return the row of each text's length: (batch, 1, units)."""
        self._reserve(table.shape[1])
        return self.nodes.add("Unsqueeze", self._row(table), self.nodes.axes(1))

    def _row(self, table: Floats) -> str:
        return self.nodes.add("Gather", self._store(table), "lengths")

    def _reserve(self, units: int) -> None:
        """Count the bytes of a table: a row for each length of a text, 0 among them."""
        self.table_bytes += 4 * units * (self._length + 1)
        if self.table_bytes > self._most_bytes:
            raise NeedsPadding(f"tables of {self.table_bytes:,} bytes instead are too large")

    def _store(self, array: Floats) -> str:
        if not np.abs(array).max() <= bounds.WEIGHT:  # not: NaN is no number
            raise NeedsPadding("the numbers that come of padding grow too large to be stored")
        return self.nodes.store(np.ascontiguousarray(array))


def _check_order(name: str, fields: Mapping[str, Any]) -> None:
    """Raise NeedsPadding if a recurrent layer returns its steps in another order."""
    if fields["return_sequences"] and fields["go_backwards"]:
        raise NeedsPadding(f"layer {name} returns its steps from the last to the first")


def _tells_steps_apart(layer: Layer) -> bool:
    """Return whether a PReLU has a slope for each step."""
    return layer.kind == "PReLU" and layer.weights[0].ndim > 1 and len(layer.weights[0]) > 1


def _is_even(steps: Floats) -> bool:
    return bool((steps == steps[0]).all())
