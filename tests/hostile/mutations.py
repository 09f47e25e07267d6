"""Spoils a bundle by a seed, in its bytes or its values, and makes the digests fit.

So would someone who means harm; a mistake is not as thorough.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
import onnx
from bundles import Files, signed
from google.protobuf.message import DecodeError
from onnx import helper, numpy_helper
from sentido_bundle.graphs.table import OPERATORS

_NUMBERS = (
    0,
    -1,
    1,
    2,
    3,
    1000,
    65536,
    2**31 - 1,
    2**31,
    2**40,
    2**63,
    10**19,
    10**300,
    -0.5,
    1e-9,
)
_TEXTS = (
    "",
    "e",
    "\n\x1b[2J",
    "İ",
    "\ud800",
    "x" * 9,
    "x" * 200,
    "w1",
    "y" * 70_000,
    "\u202e",
    "..",
)
_OPERATORS = (*(name.rpartition(".")[2] for name in OPERATORS), "Loop", "NonZero", "TopK")


def mutated(files: Files, seed: int) -> Files:
    """Spoil a bundle in one to three ways."""
    random, spoiled = Random(seed), dict(files)
    for _ in range(random.choice((1, 1, 2, 3))):
        graphs = [name for name in files if name.endswith(".onnx")]
        name = random.choice((*files, "manifest.json", *graphs, *graphs))
        if random.random() < 0.2:
            spoiled[name] = _changed_bytes(random, spoiled[name])
        elif name.endswith(".json"):
            spoiled[name] = _changed_json(random, spoiled[name])
        elif name.endswith(".onnx"):
            spoiled[name] = _changed_graph(random, spoiled[name])
        else:
            spoiled[name] = _changed_numbers(random, spoiled[name])
    with suppress(ValueError, TypeError, RecursionError):  # a manifest that cannot be read any more
        return signed(spoiled)
    return spoiled


def _changed_bytes(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 4, 32))):
        at = random.randrange(len(changed) + 1)
        size = random.choice((0, 1, 1, 2, 8, 64))
        new = random.choice((b"", random.randbytes(size), changed[:size] * 3, b"[" * 50_000))
        changed[at : at + size] = new
    return bytes(changed)


def _changed_numbers(random: Random, data: bytes) -> bytes:
    if len(data) < 4:
        return _changed_bytes(random, data)
    changed = np.frombuffer(data[: len(data) // 4 * 4], np.float32).copy()
    if not changed.size:  # all was cut off before
        return data
    first = random.randrange(len(changed))
    value = random.choice((np.nan, np.inf, -np.inf, 3e38, 1e6, 1e4, -1e4, 0.0, 1e-40))
    changed[first : first + random.choice((1, 8, len(changed)))] = value
    return changed.tobytes()


def _changed_json(random: Random, data: bytes) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _changed_bytes(random, data)
    value = [value]
    places = list(_places(value))
    for _ in range(random.choice((1, 1, 1, 3))):
        holder, key = random.choice(places)
        with suppress(IndexError, KeyError):  # what was chosen before took it away
            _change_place(random, holder, key)
    return json.dumps(value[0] if value else None).encode()


def _places(value: Any) -> Any:
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def _change_place(random: Random, holder: Any, key: Any) -> None:
    old = holder[key]
    new: list[Any] = [*_NUMBERS, *_TEXTS, None, True, [], {}, [old], {"x": old}, float("nan")]
    if isinstance(old, list):
        new += [old * 2, old[::-1], old[1:], [*old, *old[-1:]], old * 500]
    if isinstance(old, str):
        new += [old * 2, old + old[:1], old.upper(), old * 300, old + "\0"]
    if isinstance(old, (int, float)):
        new += [old + 1, old - 1, old * 2, -old, old * 1000, old / 3] * 3
    if random.random() < 0.1:
        del holder[key]
    else:
        holder[key] = random.choice(new)


def _changed_graph(random: Random, data: bytes) -> bytes:
    try:
        model = onnx.load_model_from_string(data)
    except DecodeError:
        return _changed_bytes(random, data)
    if model.graph.node and model.graph.initializer:
        for _ in range(random.choice((1, 1, 2, 4))):
            random.choice(_GRAPH_CHANGES)(random, model.graph)
    return bytes(model.SerializeToString())


def _names(graph: Any) -> list[str]:
    given = [name for node in graph.node for name in (*node.input, *node.output)]
    return [*given, *(item.name for item in graph.initializer), "token_ids", "lengths", "", "new"]


def _rewire(random: Random, graph: Any) -> None:
    node = random.choice(graph.node)
    side = random.choice((node.input, node.output))
    if side:
        side[random.randrange(len(side))] = random.choice(_names(graph))


def _rename_operator(random: Random, graph: Any) -> None:
    random.choice(graph.node).op_type = random.choice(_OPERATORS)


def _insert(random: Random, graph: Any) -> None:
    """Put a node behind another one, in its place."""
    at = random.randrange(len(graph.node))
    output = graph.node[at].output
    operator = random.choice(_OPERATORS)
    names = [random.choice(_names(graph)) for _ in range(random.choice((0, 1, 1, 2)))]
    node = helper.make_node(operator, [output[0] + "~", *names], [output[0]])
    for name, values in _ATTRIBUTES.items():
        if name in OPERATORS.get(operator, OPERATORS["Identity"]).attributes:
            node.attribute.append(helper.make_attribute(name, random.choice(values)))
    output[0] += "~"
    graph.node.insert(at + 1, node)


_ATTRIBUTES: dict[str, tuple[Any, ...]] = {
    "axis": (0, 1, 2, -1),
    "perm": ([0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 0]),
    "to": (1, 6, 7, 9),
    "kernel_shape": ([1], [2], [3], [1, 1], [2**20]),
    "hidden_size": (1, 2, 3),
    "keepdims": (0, 1),
    "auto_pad": ("VALID", "SAME_UPPER"),
}


def _set_attribute(random: Random, graph: Any) -> None:
    node = random.choice(graph.node)
    allowed = OPERATORS.get(node.op_type, OPERATORS["Identity"]).attributes
    name = random.choice((*allowed, "axis", "perm", "alpha", "to", "clip", "layout", "transA"))
    values = [0, 1, -1, 2**40, 1.0, float("nan"), "reverse", [1, 0], [0, 0, 0], [2, 1, 0], [1.5]]
    values += [2, 3, [1], [2], [2**20], [0], "SAME_UPPER", "bidirectional", ["Relu", "Tanh"]]
    kept = [item for item in node.attribute if item.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, random.choice(values))])


def _resize(random: Random, graph: Any) -> None:
    item = random.choice(graph.initializer)
    shape = [
        random.choice((1, 1, 2, 4, 1000, 2**40, *item.dims)) for _ in range(random.randint(0, 4))
    ]
    del item.dims[:]
    item.dims.extend(shape)


def _replace_tensor(random: Random, graph: Any) -> None:
    """Put another tensor, stored inline, in the place of one."""
    item = random.choice(graph.initializer)
    shape = random.choice(([], [1], [2], [1, 1], [1000, 1, 1], [1000, 1, 1, 1], [4, 3], [3, 2]))
    if random.random() < 0.6:
        array = np.full(shape, random.choice((0, 1, 2, -1, 1e30, np.nan)), np.float32)
    else:
        array = np.full(
            shape, random.choice((0, 1, 2, -1, 2**30)), random.choice((np.int64, np.int32))
        )
    item.CopyFrom(numpy_helper.from_array(array, item.name))


def _set_output(random: Random, graph: Any) -> None:
    output = random.choice(graph.output)
    sizes = output.type.tensor_type.shape.dim
    if sizes:
        sizes[random.randrange(len(sizes))].dim_value = random.choice((1, 2, 3, 1000))


def _drop(random: Random, graph: Any) -> None:
    del graph.node[random.randrange(len(graph.node))]


_GRAPH_CHANGES: tuple[Callable[[Random, Any], None], ...] = (
    *(_rewire, _rename_operator, _insert, _insert, _set_attribute, _resize, _replace_tensor),
    *(_set_output, _drop),
)
