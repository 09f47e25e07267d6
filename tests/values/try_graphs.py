"""Runs random graphs that were let in, and compares what they give with what was said of it.

A program of its own, so that a crash ends it and not the tests: given two seeds it tries those from
the first to before the second, names each on standard error, and ends with an error at the first
that is wrong.
"""

import faulthandler
import json
import sys
from collections import Counter
from collections.abc import Mapping
from functools import partial
from random import Random
from typing import Any

import numpy as np
import onnx
from graph_cases import VOCABULARY, is_as_said, let_in
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from random_graphs import random_model
from sentido_bundle import BundleError
from sentido_bundle.graphs.sizes import has_rows
from sentido_bundle.graphs.values import Value

_NODES = 6
_SECONDS = 60  # that one graph may take, on any machine
_MOST_BYTES = 1 << 24


def is_let_in(model: onnx.ModelProto, same_bits: bool) -> bool:
    """Return whether a bundle may hold the graph."""
    try:
        let_in(model, same_bits=same_bits, most_bytes=_MOST_BYTES)
    except BundleError:
        return False
    return True


def try_graph(seed: int, seen: Counter[str]) -> None:
    """Make a graph and run it with batches of several sizes. Raises whatever is wrong.

    Every fourth may be that of an int8 twin.
    """
    same_bits = bool(seed % 4)
    model = random_model(Random(seed), partial(is_let_in, same_bits=same_bits), _NODES)
    values = let_in(model, same_bits=same_bits)
    made = [node for node in model.graph.node if node.output[0].startswith("n")]
    seen.update(node.op_type for node in made)
    names = [name for node in made for name in node.output if name]
    session = _open(model, names, is_optimized=bool(seed % 2))
    for rows, time in ((1, 1), (3, 7), (2, 30)):
        random = np.random.default_rng(seed)
        ids = random.integers(0, VOCABULARY, (rows, time)).astype(np.int32)
        lengths = random.integers(0, time + 1, rows).astype(np.int32)
        together = session.run(names, {"token_ids": ids, "lengths": lengths})
        alone = session.run(names, {"token_ids": ids[-1:], "lengths": lengths[-1:]})
        for name, array in zip(names, together, strict=True):
            assert is_as_said(values[name], array, rows, time), (name, array, values[name])
        if same_bits:
            _check_rows(values, dict(zip(names, zip(together, alone, strict=True), strict=True)))


def _open(model: onnx.ModelProto, names: list[str], is_optimized: bool) -> InferenceSession:
    options = SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not is_optimized:
        options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return InferenceSession(
        whole.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["ConstantFolding"],
    )


def _check_rows(values: Mapping[str, Value], answers: Mapping[str, tuple[Any, Any]]) -> None:
    """Raise AssertionError if the last text has other values beside others than alone."""
    for name, (together, alone) in answers.items():
        for axis, size in enumerate(values[name].shape):
            if has_rows(size) and str(size) == "batch":
                one, other = (np.take(array, -1, axis) for array in (together, alone))
                assert np.allclose(one, other, 1e-4, 1e-5, equal_nan=True), (name, one, other)


def main(first: int, end: int) -> int:
    """Try the graphs of some seeds; print how many nodes of each operator were among them."""
    seen: Counter[str] = Counter()
    for seed in range(first, end):
        print(f"seed {seed}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(_SECONDS, exit=True)
        try_graph(seed, seen)
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    faulthandler.enable()
    sys.exit(main(*map(int, sys.argv[1:])))
