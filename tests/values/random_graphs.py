"""Graphs of random nodes, among which those that are let in must be right.

A node takes random values and stored tensors, and attributes of random values. What is refused is
left out; what is let in is run, and must give the shapes, types and ranges that were said of it.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import onnx
from graph_cases import CASES, Case, model_of
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from sentido_bundle.graphs.table import OPERATORS, Operator

DOMAIN = "com.microsoft"
_FLOATS = ((), (1,), (4,), (3,), (1, 1), (4, 4), (4, 3), (1, 4, 1), (3, 4, 2), (1, 12, 4), (50, 4))
_WHOLES = (0, 1, 2, 3, 4, -1, -2, 7, 2**31 - 1, 2**62, -(2**62))


def random_model(
    random: Random, is_let_in: Callable[[onnx.ModelProto], bool], nodes: int
) -> onnx.ModelProto:
    """Make a graph of some nodes, each of which is let in."""
    model = model_of(Case("Identity", ["x"]))
    names = [name for node in model.graph.node for name in node.output if name]
    for _ in range(nodes * 20):
        stored = len(model.graph.initializer)
        made = _add_node(random, model.graph, names)
        if is_let_in(model):
            nodes -= 1
            names += made * 3  # rather than those that were there from the beginning
        else:
            del model.graph.node[-1], model.graph.initializer[stored:]
        if nodes == 0:
            break
    return model


def _add_node(random: Random, graph: Any, names: Sequence[str]) -> list[str]:
    """Add a random node, or one of a good case with something changed; return its outputs."""
    index = len(graph.node)
    if random.random() < 0.5:
        name = random.choice(list(OPERATORS))
        operator, row = name.rpartition(".")[2], OPERATORS[name]
        most = len(row.inputs) + row.repeats * random.choice((0, 1))
        count = random.randint(min(row.least, most), most)
        inputs: list[Any] = [_input(random, row, place, names) for place in range(count)]
        attributes = _attributes(random, row)
        outputs = random.randint(1, min(row.outputs, 3))
    else:
        good = random.choice([case for case in CASES if case.opset == 18])
        operator, outputs = good.operator, good.outputs
        row = OPERATORS.get(operator) or OPERATORS[f"{DOMAIN}.{operator}"]
        inputs, attributes = list(good.inputs), dict(good.attributes)
        if inputs and random.random() < 0.7:
            place = random.randrange(len(inputs))
            inputs[place] = _input(random, row, min(place, len(row.inputs) - 1), names)
        if attributes and random.random() < 0.4:
            attributes |= _attributes(random, row)
    for place, given in enumerate(inputs):
        if not isinstance(given, str):
            inputs[place] = f"n{index}_{place}"
            graph.initializer.append(numpy_helper.from_array(given, inputs[place]))
    made = [f"n{index}_out{number}" for number in range(outputs)]
    domain = "" if operator in OPERATORS else DOMAIN
    graph.node.append(helper.make_node(operator, inputs, made, domain=domain, **attributes))
    return made


def _input(
    random: Random, row: Operator, place: int, names: Sequence[str]
) -> str | NDArray[np.generic]:
    """Return the name of a value, or a tensor to store, of a type that the operator takes."""
    kinds = row.inputs[min(place, len(row.inputs) - 1)]
    if place >= row.least and random.random() < 0.2:
        return ""
    if random.random() < 0.6:
        return random.choice(names)
    kind = random.choice(sorted(kinds))
    if kind == onnx.TensorProto.FLOAT:
        numbers = np.random.default_rng(random.randrange(99)).uniform(-1, 1, random.choice(_FLOATS))
        return np.asarray(numbers, np.float32)
    if kind in (onnx.TensorProto.INT32, onnx.TensorProto.INT64):
        type = np.int32 if kind == onnx.TensorProto.INT32 else np.int64
        wholes = [number for number in _WHOLES if abs(number) < 2**31 or type is np.int64]
        chosen = [random.choice(wholes[:7] * 6 + wholes) for _ in range(random.randint(1, 4))]
        return np.array(chosen[0] if random.random() < 0.3 else chosen, type)
    types = {onnx.TensorProto.UINT8: np.uint8, onnx.TensorProto.INT8: np.int8}
    shape = random.choice(_FLOATS)
    return np.ones(shape, types.get(kind, np.bool_))


def _attributes(random: Random, row: Operator) -> Mapping[str, Any]:
    """Return some attributes that the operator may have, with values of the right type."""
    values: dict[int, Callable[[], Any]] = {
        1: lambda: random.choice((0.0, 0.5, 1.0, 2.0, -1.0)),
        2: lambda: random.choice((0, 1, 2, 3, -1, -2, 6, 7)),
        3: lambda: random.choice(("forward", "bidirectional", "SAME_UPPER", "VALID", "constant")),
        4: lambda: numpy_helper.from_array(np.array([random.choice((0, 1, 7))], np.int64)),
        6: lambda: [0.1, 0.2],
        7: lambda: random.choice(([0], [1], [2], [0, 1], [1, 0, 2], [0, 2, 1], [1, 1], [-1], [3])),
        8: lambda: ["Tanh"],
    }
    chosen = [name for name in row.attributes if random.random() < 0.5]
    return {name: values[row.attributes[name].type]() for name in chosen}
