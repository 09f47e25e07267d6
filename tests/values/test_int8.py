"""The quantized twin: how near to fp32 it is, what it gives up, and how it is made."""

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import UNITS
from onnx import helper, numpy_helper
from sentido_bundle import Bundle, Graphs, Precision, default_bundle, pack_bundle
from sentido_bundle.golden import parse_golden
from sentido_bundle.layouts import Lengths
from sentido_bundle.manifest import INT8_MODEL
from sentido_bundle.session import MATRIX, open_session
from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.quantize import UNMEASURED, measure, quantize
from sentido_export.remembered import Answer
from shipped_reviews import held_out


@pytest.fixture(scope="module")
def int8() -> Bundle:
    """The default bundle, in int8."""
    return Bundle.load(default_bundle(), "int8")


def answers_of(bundle: Bundle) -> Answer:
    return lambda ids: bundle.run(ids).arrays


def shipped(name: str) -> bytes:
    return (default_bundle() / name).read_bytes()


def shipped_graphs() -> Graphs:
    return Graphs(shipped("model.onnx"), shipped("weights.bin"), shipped("steps.onnx"))


def largest_difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max())


def test_a_bundle_says_its_precision(bundle: Bundle, int8: Bundle) -> None:
    assert (bundle.precision, int8.precision) == (Precision.FP32, Precision.INT8)
    assert bundle.digest == int8.digest
    with pytest.raises(ValueError, match="'int4' is not a valid Precision"):
        Bundle.load(default_bundle(), "int4")


def test_what_it_gives_up_is_found_again_on_the_same_held_out_reviews(
    bundle: Bundle, int8: Bundle, tmp_path: Path
) -> None:
    recorded = bundle.manifest.int8
    assert recorded is not None
    accuracy = bundle.manifest.metrics["accuracy"]
    golden = parse_golden(shipped("golden.json"), bundle.manifest.outputs())
    found = measure(answers_of(bundle), int8, held_out(tmp_path), golden, accuracy)
    assert found.texts == recorded.texts == bundle.manifest.metrics["texts"]
    # Another CPU may round some activations the other way; on one kind all is equal.
    assert found.accuracy == pytest.approx(recorded.accuracy, abs=0.002)
    assert recorded.accuracy + recorded.accuracy_loss == pytest.approx(accuracy, abs=1e-12)
    for name in ("largest_difference_probabilities", "largest_difference_hidden", "tolerance"):
        assert getattr(found, name) == pytest.approx(getattr(recorded, name), rel=0.25)
    assert recorded.largest_difference_probabilities < recorded.tolerance
    assert recorded.accuracy_loss < 0.005


def test_a_text_alone_and_in_a_batch_differ_by_less_than_the_tolerance(
    int8: Bundle, reviews: list[str]
) -> None:
    texts = reviews[::250]
    together = int8.predict(texts).probabilities
    again = int8.predict(texts).probabilities
    alone = np.concatenate([int8.predict([text]).probabilities for text in texts])
    assert together.tobytes() == again.tobytes()
    assert int8.manifest.int8 is not None
    assert 0 < largest_difference(together, alone) < int8.manifest.int8.tolerance


def test_steps_and_word_vectors_are_those_of_fp32(bundle: Bundle, int8: Bundle) -> None:
    ids = bundle.tokenizer.encode("a wonderful little film").ids
    assert int8.run_steps(ids).tobytes() == bundle.run_steps(ids).tobytes()
    assert int8.word_vectors.matrix.tobytes() == bundle.word_vectors.matrix.tobytes()
    assert int8.run([ids]).hidden.tobytes() != bundle.run([ids]).hidden.tobytes()


def test_the_twin_is_made_from_the_model_alone() -> None:
    assert quantize(shipped_graphs()) == shipped(INT8_MODEL)


def test_the_twin_keeps_the_lengths_and_stores_the_embedding_matrix_nowhere_else() -> None:
    graph, twin = (
        onnx.load_model_from_string(shipped(name)).graph for name in ("model.onnx", INT8_MODEL)
    )
    (lstm,) = [node for node in twin.node if node.op_type == "DynamicQuantizeLSTM"]
    assert lstm.input[4] == "lengths"
    (stored,) = [tensor for tensor in graph.initializer if tensor.name == MATRIX]
    assert stored in twin.initializer
    assert len(shipped(INT8_MODEL)) < 70_000


def test_its_weights_are_small_enough_to_be_added_up_in_16_bits() -> None:
    # A CPU without VNNI adds two products of an 8-bit activation and a weight, and saturates.
    twin = onnx.load_model_from_string(shipped(INT8_MODEL)).graph
    weights = [numpy_helper.to_array(t) for t in twin.initializer if t.name.endswith("_quantized")]
    assert len(weights) == 2
    assert all(255 * 2 * int(np.abs(w.astype(int)).max()) < 2**15 for w in weights)


def test_a_model_with_initial_states_is_quantized_with_them(bundle: Bundle) -> None:
    # As of one that was trained without a mask: states chosen by the length of the text.
    graphs = shipped_graphs()
    model = onnx.load_model_from_string(graphs.model)
    lstm = next(node for node in model.graph.node if node.op_type == "LSTM")
    lstm.input.extend(["initial_h", "initial_c"])
    axis = numpy_helper.from_array(np.array([0], np.int64), "axis")
    states = np.random.default_rng(1).uniform(-0.5, 0.5, (501, UNITS)).astype(np.float32)
    model.graph.initializer.extend([axis, numpy_helper.from_array(states, "states")])
    for node in (
        helper.make_node("Unsqueeze", ["rows", "axis"], ["initial_c"]),
        helper.make_node("Unsqueeze", ["rows", "axis"], ["initial_h"]),
        helper.make_node("Gather", ["states", "lengths"], ["rows"]),
    ):
        model.graph.node.insert(0, node)
    graphs = dataclasses.replace(graphs, model=model.SerializeToString())
    files = {"weights.bin": graphs.weights, "model.onnx": graphs.model, "int8": quantize(graphs)}
    inputs = Lengths().inputs(
        [bundle.tokenizer.encode(text).ids for text in ("good", "a dull film")]
    )
    exact, quantized = (
        open_session(name, files).run(["hidden"], inputs)[0] for name in ("model.onnx", "int8")
    )
    assert largest_difference(exact, quantized) < 0.02
    without = bundle.predict(["good", "a dull film"]).hidden
    assert largest_difference(exact, without) > 0.1


def test_a_twin_that_differs_too_much_is_an_export_error(bundle: Bundle) -> None:
    # One whose sigmoid is given 1.5 more, in a bundle that tolerates that.
    manifest = dataclasses.replace(bundle.manifest, int8=UNMEASURED, evaluation=None)
    golden = parse_golden(shipped("golden.json"), bundle.manifest.outputs())
    twin = onnx.load_model_from_string(shipped(INT8_MODEL))
    (add,) = [node for node in twin.graph.node if node.op_type == "Add"]
    bias = next(t for t in twin.graph.initializer if t.name == add.input[1])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(1.5), bias.name))
    graphs = dataclasses.replace(shipped_graphs(), int8=twin.SerializeToString())
    files = pack_bundle(manifest, bundle.tokenizer.vocabulary, graphs, golden)
    held_out = data.Dataset(["good", "bad"], np.array([1, 0], np.int32), bundle.labels)
    with pytest.raises(
        ExportError, match=r"differ from fp32's by 0\.[23]\d*, at most 0\.25 is allowed"
    ):
        measure(answers_of(bundle), Bundle.parse(files, "int8"), held_out, golden, 1.0)


def test_an_lstm_that_stays_is_an_export_error() -> None:
    graphs = shipped_graphs()
    model = onnx.load_model_from_string(graphs.model)
    lstm = next(node for node in model.graph.node if node.op_type == "LSTM")
    model.graph.node.insert(1, helper.make_node("Identity", [lstm.input[2]], ["R"]))
    lstm.input[2] = "R"  # no stored weights, but computed ones
    graphs = dataclasses.replace(graphs, model=model.SerializeToString())
    with pytest.raises(ExportError, match="did not quantize the LSTM"):
        quantize(graphs)
