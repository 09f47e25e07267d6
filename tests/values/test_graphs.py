"""Graphs of any operator that a bundle may use are loaded, and no hostile one of them is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import ROOT
from graph_cases import CASES, VOCABULARY, Case, model_of
from hostile_cases import EACH
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from sentido_bundle import BundleError
from sentido_bundle.graphs import BATCH, TIME, CheckedGraph, check_graph
from sentido_bundle.graphs.model_file import read_model
from sentido_bundle.graphs.sizes import evaluate, sizes_of
from sentido_bundle.graphs.table import OPERATORS
from sentido_bundle.graphs.values import DataType, Value
from sentido_bundle.graphs.walk import Needs, walk_graph

INPUTS = {"token_ids": (BATCH, TIME), "lengths": (BATCH,)}
OUTPUTS = {"probabilities": (BATCH, 4)}
MOST_TOKENS = 30
_NUMPY = {
    np.dtype(np.float32): DataType.FLOAT,
    np.dtype(np.uint8): DataType.UINT8,
    np.dtype(np.int8): DataType.INT8,
    np.dtype(np.int32): DataType.INT32,
    np.dtype(np.int64): DataType.INT64,
    np.dtype(np.bool_): DataType.BOOL,
}


def walked(tried: Case) -> dict[str, Value]:
    """Return what is known of all values of a case."""
    (time,) = sizes_of((TIME,))
    inputs = {
        "token_ids": Value(DataType.INT32, sizes_of((BATCH, TIME)), span=(0, VOCABULARY - 1)),
        "lengths": Value(DataType.INT32, sizes_of((BATCH,)), span=(0, time)),
    }
    needs = Needs(inputs, OUTPUTS, tried.least_tokens, MOST_TOKENS, tried.same_bits)
    return walk_graph("g", read_model(model_of(tried).SerializeToString()), b"", needs).values


Run = Callable[[int, int], dict[str, Any]]


def opened(tried: Case) -> Run:
    """Open a case in ONNX Runtime; return what runs it with so many texts of so many tokens."""
    names = [f"y{index}" for index in range(tried.outputs)]
    options = SessionOptions()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    model = model_of(tried, names).SerializeToString()
    session = InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def run(rows: int, time: int) -> dict[str, Any]:
        random = np.random.default_rng(rows * 100 + time)
        ids = random.integers(0, VOCABULARY, (rows, time)).astype(np.int32)
        lengths = random.integers(0, time + 1, rows).astype(np.int32)
        lengths[0] = time
        found = session.run(names, {"token_ids": ids, "lengths": lengths})
        return dict(zip(names, found, strict=True))

    return run


def test_every_operator_is_tried() -> None:
    tried = {case.operator for case in CASES}
    assert tried == {name.removeprefix("com.microsoft.") for name in OPERATORS}


def test_every_operator_is_documented() -> None:
    page = (ROOT / "docs" / "bundles.md").read_text(encoding="utf-8")
    missing = [name for name in OPERATORS if f"`{name.removeprefix('com.microsoft.')}`" not in page]
    assert missing == []


@pytest.mark.parametrize("tried", CASES, ids=str)
def test_a_graph_is_let_in_and_gives_the_shapes_that_are_said_of_it(tried: Case) -> None:
    values, run = walked(tried), opened(tried)
    for rows, time in ((1, tried.least_tokens), (3, 7), (5, MOST_TOKENS)):
        for name, array in run(rows, time).items():
            value = values[name]
            assert _NUMPY[array.dtype] == value.type
            assert array.shape == tuple(evaluate(size, rows, time) for size in value.shape)
            if (sizes := value.sizes()) is not None:
                assert array.ravel().tolist() == [evaluate(size, rows, time) for size in sizes]
            if value.span is not None:
                low, high = value.span
                assert low <= array.min()
                highest = high if isinstance(high, float) else evaluate(high, rows, time)
                assert array.max() <= highest


def checked(model: onnx.ModelProto, **changes: Any) -> CheckedGraph:
    settings = {"vocabulary": VOCABULARY, "max_tokens": MOST_TOKENS, **changes}
    return check_graph("g", model.SerializeToString(), b"", INPUTS, OUTPUTS, **settings)


def refusal(model: onnx.ModelProto, **changes: Any) -> str:
    """Return why a graph is refused."""
    with pytest.raises(BundleError) as caught:
        checked(model, **changes)
    return str(caught.value)


def test_a_hostile_graph_of_every_operator_is_tried() -> None:
    tried = {case.operator for case, _ in EACH}
    assert tried >= {name.removeprefix("com.microsoft.") for name in OPERATORS}


@pytest.mark.parametrize(("tried", "message"), EACH, ids=lambda value: str(value)[:60])
def test_a_hostile_graph_is_refused_by_the_operator_and_what_is_wrong(
    tried: Case, message: str
) -> None:
    found = refusal(model_of(tried), same_bits=tried.same_bits)
    assert message in found
    assert tried.operator in found or found.startswith("g: one text of 30 tokens takes")
