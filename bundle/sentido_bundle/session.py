"""Opens a bundle's graphs in ONNX Runtime, from bytes, after looking into them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.graph import (
    INT8_OPERATORS,
    OPERATORS,
    QUANTIZED_LSTM,
    Graph,
    Node,
    read_graph,
)
from sentido_bundle.manifest import INT8_MODEL, STEPS_MODEL, Dimensions, Manifest
from sentido_bundle.shapes import BATCH, TIME, Shape

MATRIX = "embedding_matrix"
"""The name of the embedding matrix among the tensors of every graph."""

_INPUTS: Mapping[str, Shape] = {"token_ids": (BATCH, TIME), "lengths": (BATCH,)}
_INPUT_TYPE, _OUTPUT_TYPE = "tensor(int32)", "tensor(float)"
_FLOAT32, _INT8 = 1, 3  # TensorProto.DataType


def outputs_of(name: str, manifest: Manifest) -> Mapping[str, Shape]:
    """Return the names and shapes of what the graph `name` must give."""
    if name == STEPS_MODEL:
        return {"steps": (BATCH, TIME, manifest.steps.size if manifest.steps else 0)}
    return {output: (BATCH, size) for output, size in manifest.outputs().items()}


def check_graph(name: str, files: Mapping[str, bytes], sizes: Dimensions) -> Graph:
    """Look into the graph `name`. Raises BundleError for what a bundle must not hold."""
    is_int8 = name == INT8_MODEL
    lstm, operators = (QUANTIZED_LSTM, INT8_OPERATORS) if is_int8 else ("LSTM", OPERATORS)
    graph = read_graph(name, files[name], {"weights.bin": len(files["weights.bin"])}, operators)
    nodes = graph.nodes_of(lstm)
    if len(nodes) != 1:
        raise BundleError(f"{name}: {len(nodes)} {lstm} nodes, one is needed")
    if is_int8:
        _check_quantized(name, graph, nodes[0], sizes)
    return graph


def _check_quantized(name: str, graph: Graph, lstm: Node, sizes: Dimensions) -> None:
    """Raise BundleError unless there are weights, scales and zero points for every gate.

    ONNX Runtime takes a single zero point beside many scales, and may read on behind it.
    """
    gates = 4 * sizes.hidden
    for position, kind, shape in (
        (1, _INT8, (1, sizes.embedding, gates)),  # W
        (2, _INT8, (1, sizes.hidden, gates)),  # R
        *((position, _FLOAT32, (1, gates)) for position in (8, 10)),  # their scales
        *((position, _INT8, (1, gates)) for position in (9, 11)),  # their zero points
    ):
        tensor = graph.tensors.get(lstm.inputs[position]) if position < len(lstm.inputs) else None
        if tensor is None or (tensor.data_type, tensor.shape) != (kind, shape):
            raise BundleError(
                f"{name}: input {position} of {lstm.operator} is no stored tensor of type {kind}"
                f" and shape {shape}"
            )


def embedding_matrix(
    graphs: Mapping[str, Graph], weights: bytes, sizes: Dimensions
) -> NDArray[np.float32]:
    """Return the rows of ids in the embedding matrix, a view of `weights.bin`: (ids, embedding).

    Raises BundleError unless each graph has it, in the right shape and at the same place. It may
    have more rows than there are ids.
    """
    wanted = (sizes.vocabulary, sizes.embedding)
    offsets = set()
    for name, graph in graphs.items():
        tensor = graph.tensors.get(MATRIX)
        if tensor is None or tensor.location is None or tensor.data_type != _FLOAT32:
            raise BundleError(f"{name}: no float32 tensor {MATRIX!r} in weights.bin")
        if tensor.shape[1:] != wanted[1:] or tensor.shape[0] < wanted[0]:
            raise BundleError(f"{name}: tensor {MATRIX!r} has shape {tensor.shape}, not {wanted}")
        offsets.add(tensor.offset)
    if len(offsets) != 1:
        names = " and ".join(graphs)
        raise BundleError(f"{names}: tensor {MATRIX!r} is not the same one in each")
    return np.frombuffer(weights, "<f4", wanted[0] * wanted[1], offsets.pop()).reshape(wanted)


def open_session(
    name: str, files: Mapping[str, bytes], outputs: Mapping[str, Shape]
) -> InferenceSession:
    """Open a graph that was looked into. Raises BundleError if its outputs have other shapes."""
    weights = files["weights.bin"]
    options = SessionOptions()
    options.intra_op_num_threads = 1  # callers run several batches at once, one a thread
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it remembers a plan for every shape, and shapes vary
    options.log_severity_level = 4
    options.add_external_initializers_from_files_in_memory(
        ["weights.bin"], [weights], [len(weights)]
    )
    try:
        session = InferenceSession(files[name], options, providers=["CPUExecutionProvider"])
        found = [_signature(side) for side in (session.get_inputs(), session.get_outputs())]
    # ONNX Runtime has a dozen exception types without a common base, and names need not be UTF-8.
    except Exception as error:
        raise BundleError(f"{name}: ONNX Runtime refuses it: {error}") from error
    _check_signature(f"{name}: inputs", found[0], _INPUTS, _INPUT_TYPE)
    _check_signature(f"{name}: outputs", found[1], outputs, _OUTPUT_TYPE)
    return session


def _signature(side: Sequence[Any]) -> dict[str, tuple[list[int | None], str]]:
    """Return the shape and the type of each input or output; None: a size that varies by run."""
    return {item.name: (_plain(item.shape), item.type) for item in side}


def _plain(shape: Sequence[object]) -> list[int | None]:
    return [size if isinstance(size, int) else None for size in shape]


def _check_signature(
    where: str,
    found: Mapping[str, tuple[list[int | None], str]],
    wanted: Mapping[str, Shape],
    kind: str,
) -> None:
    shapes = {name: shape for name, (shape, _) in found.items()}
    plain = {name: _plain(shape) for name, shape in wanted.items()}
    if shapes != plain:
        raise BundleError(f"{where} are {quoted(shapes)}, {plain} are needed")
    types = [type for _, type in found.values()]
    if any(type != kind for type in types):
        raise BundleError(f"{where} are {quoted(types)}, {kind} is needed")
