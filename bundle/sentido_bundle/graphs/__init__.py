"""Proves what every run of a graph will give and cost, before it is opened and run once.

A bundle's graphs may be written by anybody. `check_graph` reads an ONNX file (`model_file.py`),
checks the tensors that it stores (`stored.py`), follows its nodes by the rules of `table.py`
(`walk.py`), and returns what a run takes (`cost.py`). Nothing of it needs the `onnx` package.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from sentido_bundle.errors import BundleError
from sentido_bundle.graphs.cost import DEFAULT_LIMITS, Cost, RunLimits
from sentido_bundle.graphs.model_file import Tensor, read_model
from sentido_bundle.graphs.sizes import BATCH, TIME, Shape, sizes_of
from sentido_bundle.graphs.values import DataType, Value
from sentido_bundle.graphs.walk import Needs, walk_graph

__all__ = [
    "BATCH",
    "DEFAULT_LIMITS",
    "TIME",
    "CheckedGraph",
    "RunLimits",
    "Shape",
    "check_graph",
]


@dataclass(frozen=True)
class CheckedGraph:
    """A graph that may be opened: its stored tensors by name, and what a run of it takes."""

    tensors: Mapping[str, Tensor]
    cost: Cost


def check_graph(
    name: str,
    model: bytes,
    weights: bytes,
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    *,
    vocabulary: int,
    max_tokens: int,
    limits: RunLimits = DEFAULT_LIMITS,
    same_bits: bool = True,
) -> CheckedGraph:
    """Check the ONNX file `name`, whose tensors may be stored in `weights`, those of weights.bin.

    `inputs`: its inputs, int32 all: "token_ids", of values below `vocabulary`, and "lengths",
    which are at most the time. `outputs`: what it must return, floats all. `same_bits`: whether no
    operator may give the texts of a batch a common scale, as 8-bit ones do.
    Raises BundleError naming the tensor, the node or the limit.
    """
    try:
        file = read_model(model)
    except (ValueError, IndexError, KeyError, struct.error) as error:
        raise BundleError(f"{name}: not an ONNX model as bundles have them: {error}") from error
    needs = Needs(
        {input: _input(input, shape, vocabulary) for input, shape in inputs.items()},
        outputs,
        1,
        max_tokens,
        same_bits,
    )
    cost = walk_graph(name, file, weights, needs).cost
    cost.check(name, max_tokens, limits)
    return CheckedGraph({tensor.name: tensor for tensor in file.tensors}, cost)


def _input(name: str, shape: Shape, vocabulary: int) -> Value:
    (time,) = sizes_of((TIME,))
    span = (0, vocabulary - 1) if name == "token_ids" else (0, time)
    return Value(DataType.INT32, sizes_of(shape), span=span)
