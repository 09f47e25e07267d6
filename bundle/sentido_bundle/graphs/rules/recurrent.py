"""Recurrent layers: LSTM, GRU and RNN, forward, backward or both."""

from collections.abc import Sequence

from sentido_bundle.graphs.rules.indexing import check_lengths
from sentido_bundle.graphs.sizes import Size
from sentido_bundle.graphs.step import Step, expect, within_texts
from sentido_bundle.graphs.values import DataType, Value

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_ACTIVATIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}  # per direction


def recurrent(step: Step) -> list[Value]:
    """Check a layer whose inputs are X, W, R, B, the lengths, and states to begin with."""
    values = step.value(0)
    if values.rank != 3:
        raise ValueError(f"reads the shape {values.shape}, not (time, batch, features)")
    hidden, gates = step["hidden_size"], _GATES[step.operator]
    features = values.shape[2]
    expect("input W", step.value(1).shape, (_directions(step), gates * hidden, features))
    expect("input R", step.value(2).shape, (_directions(step), gates * hidden, hidden))
    return steps_of(step, step.operator)


def quantized_lstm(step: Step) -> list[Value]:
    """Check an LSTM of 8-bit weights, which are turned and have a scale for every gate.

    ONNX Runtime takes a single zero point beside many scales, and may read on behind it.
    """
    values = step.value(0)
    if values.rank != 3:
        raise ValueError(f"reads the shape {values.shape}, not (time, batch, features)")
    hidden, directions = step["hidden_size"], _directions(step)
    for index, shape in (
        (1, (directions, values.shape[2], 4 * hidden)),
        (2, (directions, hidden, 4 * hidden)),
        *((index, (directions, 4 * hidden)) for index in (8, 9, 10, 11)),
    ):
        expect(f"input {index}", step.value(index).shape, shape)
    for weights, zero in ((1, 9), (2, 11)):
        if step.value(weights).type != step.value(zero).type:
            raise ValueError(f"inputs {weights} and {zero} are of two types")
    step.work_on(DataType.INT8, *values.shape)
    return steps_of(step, "LSTM")


def steps_of(step: Step, layer: str) -> list[Value]:
    """Check what all layers have in common; return every step, the last one, and its memory."""
    (time, batch, features), hidden = step.value(0).shape, step["hidden_size"]
    directions, gates = _directions(step), _GATES[layer]
    within_texts(time)
    within_texts(features)
    wanted: list[tuple[int, tuple[Size, ...]]] = [(3, (directions, 2 * gates * hidden))]
    wanted += [(index, (directions, batch, hidden)) for index in (5, 6)]
    wanted += [(7, (directions, 3 * hidden))]
    for index, shape in wanted:
        if value := step.optional(index):
            expect(f"input {index}", value.shape, shape)
    if lengths := step.optional(4):
        expect("input 4, the lengths,", lengths.shape, (batch,))
        check_lengths(lengths, time)
        if layer == "RNN":
            _check_not_empty(lengths)
    _check_activations(step, directions * _ACTIVATIONS[layer])
    _count(step, [time, batch], features, gates * hidden, hidden)
    last = (directions, batch, hidden)
    shapes = ((time, *last), last, last)
    return [Value(DataType.FLOAT, shape) for shape in shapes]


def _check_not_empty(lengths: Value) -> None:
    """Raise ValueError if a text may have the length 0.

    ONNX Runtime's RNN returns for it what lies in memory in front of its output, in releases
    without pull request 28052; LSTM and GRU return zeros.
    """
    if lengths.wholes is None or lengths.wholes[0] < 1:
        raise ValueError("its lengths are not known to be at least 1, as an RNN needs them")


def _directions(step: Step) -> int:
    return 2 if step["direction"] == "bidirectional" else 1


def _check_activations(step: Step, count: int) -> None:
    if step["activations"] is not None and len(step["activations"]) != count:
        raise ValueError(f"has {len(step['activations'])} activations, {count} are needed")
    for name in ("activation_alpha", "activation_beta"):
        if step[name] is not None and len(step[name]) > count:
            raise ValueError(f"{name} has {len(step[name])} numbers, at most {count} are needed")


def _count(step: Step, steps: Sequence[Size], features: Size, gates: int, hidden: int) -> None:
    """Count products with W and R, the gates of every step, and what a turned copy takes."""
    directions = _directions(step)
    step.multiply(*steps, directions, gates, features)
    step.multiply(*steps, directions, gates, hidden)
    step.work_on(DataType.FLOAT, *steps, directions, gates)
    step.work_on(DataType.FLOAT, *steps, directions, hidden)
    step.work_on(DataType.FLOAT, *steps, features)
    step.pack(step.value(1), step.value(2))
