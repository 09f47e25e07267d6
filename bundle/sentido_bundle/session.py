"""Opens a bundle's graphs in ONNX Runtime, from bytes, after looking into them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from sentido_bundle.errors import BundleError
from sentido_bundle.graph import Graph, read_graph
from sentido_bundle.manifest import Dimensions

MATRIX = "embedding_matrix"
"""The name of the embedding matrix among the tensors of both graphs."""

Shapes = Mapping[str, Sequence[int | None]]
"""Names and shapes of a graph's inputs or outputs; None is a size that differs from run to run."""

_INPUTS: Shapes = {"token_ids": [None, None], "lengths": [None]}
_INPUT_TYPE, _OUTPUT_TYPE = "tensor(int32)", "tensor(float)"
_FLOAT32 = 1  # TensorProto.DataType


def check_graph(name: str, files: Mapping[str, bytes]) -> Graph:
    """Look into the graph `name`. Raises BundleError for what a bundle must not hold."""
    graph = read_graph(name, files[name], {"weights.bin": len(files["weights.bin"])})
    if graph.operators.count("LSTM") != 1:
        raise BundleError(f"{name}: {graph.operators.count('LSTM')} LSTM nodes, one is needed")
    return graph


def embedding_matrix(
    graphs: Mapping[str, Graph], weights: bytes, sizes: Dimensions
) -> NDArray[np.float32]:
    """Give the embedding matrix as a view of `weights.bin`: (vocabulary, embedding).

    Raises BundleError unless each graph has it, in the right shape and at the same place.
    """
    wanted = (sizes.vocabulary, sizes.embedding)
    offsets = set()
    for name, graph in graphs.items():
        tensor = graph.tensors.get(MATRIX)
        if tensor is None or tensor.location is None or tensor.data_type != _FLOAT32:
            raise BundleError(f"{name}: no float32 tensor {MATRIX!r} in weights.bin")
        if tensor.shape != wanted:
            raise BundleError(f"{name}: tensor {MATRIX!r} has shape {tensor.shape}, not {wanted}")
        offsets.add(tensor.offset)
    if len(offsets) != 1:
        raise BundleError(f"tokens.onnx: its tensor {MATRIX!r} is another one than in model.onnx")
    return np.frombuffer(weights, "<f4", wanted[0] * wanted[1], offsets.pop()).reshape(wanted)


def open_session(name: str, files: Mapping[str, bytes], outputs: Shapes) -> InferenceSession:
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
    except Exception as error:  # ONNX Runtime has a dozen exception types without a common base
        raise BundleError(f"{name}: ONNX Runtime refuses it: {error}") from error
    _check_signature(f"{name}: inputs", session.get_inputs(), _INPUTS, _INPUT_TYPE)
    _check_signature(f"{name}: outputs", session.get_outputs(), outputs, _OUTPUT_TYPE)
    return session


def _check_signature(where: str, found: Sequence[Any], wanted: Shapes, kind: str) -> None:
    shapes = {
        item.name: [size if isinstance(size, int) else None for size in item.shape]
        for item in found
    }
    if shapes != wanted:
        raise BundleError(f"{where} are {shapes}, {wanted} are needed")
    if any(item.type != kind for item in found):
        raise BundleError(f"{where} are {[item.type for item in found]}, {kind} is needed")
