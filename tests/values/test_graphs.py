"""Graphs of any operator that a bundle may use are loaded, and no hostile one of them is."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import ROOT
from graph_cases import CASES, MOST_TOKENS, VOCABULARY, Case, is_as_said, let_in, model_of
from hostile_cases import EACH
from onnxruntime import GraphOptimizationLevel, InferenceSession, SessionOptions
from sentido_bundle import BundleError
from sentido_bundle.graphs import BATCH, TIME, CheckedGraph, check_graph
from sentido_bundle.graphs.table import OPERATORS
from try_memory import WIDE

HERE = Path(__file__).parent
INPUTS = {"token_ids": (BATCH, TIME), "lengths": (BATCH,)}
OUTPUTS = {"probabilities": (BATCH, 4)}

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
    values = let_in(model_of(tried), tried.least_tokens, tried.same_bits)
    run = opened(tried)
    for rows, time in ((1, tried.least_tokens), (3, 7), (5, MOST_TOKENS)):
        for name, array in run(rows, time).items():
            assert is_as_said(values[name], array, rows, time), (array, values[name])


def test_random_graphs_that_are_let_in_give_what_is_said_of_them(
    pytestconfig: pytest.Config, figures: dict[str, str]
) -> None:
    count = pytestconfig.getoption("--random-graphs")
    command = [sys.executable, str(HERE / "try_graphs.py"), "0", str(count)]
    tried = subprocess.run(command, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr[-4000:]
    figures[f"{count:,} random graphs"] = f"nodes of {len(json.loads(tried.stdout))} operators"


@pytest.mark.nightly
@pytest.mark.parametrize("name", WIDE)
def test_an_operator_takes_no_more_memory_than_is_said_of_it(
    name: str, figures: dict[str, str]
) -> None:
    command = [sys.executable, str(HERE / "try_memory.py"), name]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    figures[name] = ", ".join(f"{what} {count / 1e6:.0f} MB" for what, count in found.items())
    assert found["run"] < found["said"] * 1.05 + (1 << 21)  # 2 MiB of the runtime's own


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
