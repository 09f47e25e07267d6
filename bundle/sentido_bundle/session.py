"""Opens a bundle's graphs in ONNX Runtime, from bytes, after looking into them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions

from sentido_bundle.errors import BundleError
from sentido_bundle.graphs import BATCH, TIME, CheckedGraph, RunLimits, Shape, check_graph
from sentido_bundle.graphs.cost import Cost
from sentido_bundle.graphs.stored import WEIGHTS
from sentido_bundle.graphs.values import DataType
from sentido_bundle.layouts import GraphInputs
from sentido_bundle.manifest import INT8_MODEL, STEPS_MODEL, Manifest
from sentido_bundle.sections import Layout

MATRIX = "embedding_matrix"
"""The name of the embedding matrix among the tensors of every graph."""


def inputs_of(manifest: Manifest) -> Mapping[str, Shape]:
    """Return the names and shapes of what the graphs are given."""
    layout, length = manifest.inputs.layout, manifest.inputs.length
    ids: Shape = (BATCH, length if layout is Layout.FIXED else TIME)
    return {"token_ids": ids, **({"lengths": (BATCH,)} if layout is Layout.LENGTHS else {})}


def outputs_of(name: str, manifest: Manifest) -> Mapping[str, Shape]:
    """Return the names and shapes of what the graph `name` must return."""
    if name == STEPS_MODEL:
        return {"steps": (BATCH, TIME, manifest.steps.size if manifest.steps else 0)}
    return {output: (BATCH, size) for output, size in manifest.outputs().items()}


def check_model(
    name: str, files: Mapping[str, bytes], manifest: Manifest, limits: RunLimits
) -> CheckedGraph:
    """Look into the graph `name`. Raises BundleError for what a bundle must not hold."""
    return check_graph(
        name,
        files[name],
        files[WEIGHTS],
        inputs_of(manifest),
        outputs_of(name, manifest),
        vocabulary=manifest.vocabulary_size,
        max_tokens=manifest.inputs.length,
        limits=limits,
        same_bits=name != INT8_MODEL,
    )


def embedding_matrix(
    graphs: Mapping[str, CheckedGraph], weights: bytes, wanted: tuple[int, int]
) -> NDArray[np.float32]:
    """Return the rows of ids in the embedding matrix, a view of `weights.bin`: (ids, size).

    `wanted`: that shape.

    Raises BundleError unless each graph has it, in the right shape and at the same place. It may
    have more rows than there are ids.
    """
    offsets = set()
    for name, graph in graphs.items():
        tensor = graph.tensors.get(MATRIX)
        if tensor is None or tensor.location is None or tensor.data_type != DataType.FLOAT:
            raise BundleError(f"{name}: no float32 tensor {MATRIX!r} in {WEIGHTS}")
        if tensor.shape[1:] != wanted[1:] or tensor.shape[0] < wanted[0]:
            raise BundleError(f"{name}: tensor {MATRIX!r} has shape {tensor.shape}, not {wanted}")
        offsets.add(tensor.offset)
    if len(offsets) != 1:
        names = " and ".join(graphs)
        raise BundleError(f"{names}: tensor {MATRIX!r} is not the same one in each")
    return np.frombuffer(weights, "<f4", wanted[0] * wanted[1], offsets.pop()).reshape(wanted)


@dataclass(frozen=True)
class OpenGraph:
    """A graph that can be run, and what its runs may take."""

    session: InferenceSession
    cost: Cost
    limits: RunLimits

    def run(self, outputs: Sequence[str], inputs: GraphInputs) -> list[NDArray[np.float32]]:
        """Run the graph once and return some of its outputs."""
        found: list[NDArray[np.float32]] = self.session.run(outputs, inputs)
        return found

    def rows(self, tokens: int, count: int) -> int:
        """Return how many of `count` texts, the longest of so many tokens, fit into one run."""
        return self.cost.rows(tokens, count, self.limits)


def open_graph(
    name: str, files: Mapping[str, bytes], checked: CheckedGraph, limits: RunLimits
) -> OpenGraph:
    """Open a graph that was looked into."""
    return OpenGraph(open_session(name, files), checked.cost, limits)


def open_session(name: str, files: Mapping[str, bytes]) -> InferenceSession:
    """Open a graph that was looked into. Nothing of it is computed before it is run."""
    weights = files[WEIGHTS]
    options = SessionOptions()
    options.intra_op_num_threads = 1  # callers run several batches at once, one a thread
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it remembers a plan for every shape, and shapes vary
    options.log_severity_level = 4
    options.add_external_initializers_from_files_in_memory([WEIGHTS], [weights], [len(weights)])
    try:
        return InferenceSession(
            files[name],
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=["ConstantFolding"],  # it would run nodes before any run is bounded
        )
    except Exception as error:  # of a dozen types without a common base
        raise BundleError(f"{name}: ONNX Runtime refuses it: {error}") from error
