"""ONNX files that a bundle must not hold are refused by us, before ONNX Runtime sees them."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from graph_cases import VOCABULARY, case, floats, model_of
from onnx import TensorProto, helper, numpy_helper
from sentido_bundle import BundleError
from sentido_bundle.graphs import BATCH, TIME, CheckedGraph, RunLimits, check_graph

INPUTS = {"token_ids": (BATCH, TIME), "lengths": (BATCH,)}
OUTPUTS = {"probabilities": (BATCH, 4)}
Edit = Callable[[Any], object]


def checked(model: onnx.ModelProto | bytes, **changes: Any) -> CheckedGraph:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    settings = {"vocabulary": VOCABULARY, "max_tokens": 30, **changes}
    return check_graph("g", data, b"", INPUTS, OUTPUTS, **settings)


def refusal(model: onnx.ModelProto | bytes, **changes: Any) -> str:
    """Return why a graph is refused."""
    with pytest.raises(BundleError) as caught:
        checked(model, **changes)
    return str(caught.value)


def good() -> onnx.ModelProto:
    return model_of(case("Identity", "x"))


def add_node(*arguments: Any, **attributes: Any) -> Edit:
    """Make an edit that puts a node behind all others."""
    return lambda model: model.graph.node.append(helper.make_node(*arguments, **attributes))


def repeat_output(model: Any) -> None:
    model.graph.output.append(model.graph.output[0])


def store_input(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((2, 2), np.int32), "token_ids"))


def store_twice(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def store_result(model: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(floats(2), "x"))


def store_elsewhere(location: str) -> Edit:
    def edit(model: Any) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "800")):
            tensor.external_data.add(key=key, value=value)

    return edit


def store(array: Any) -> Edit:
    return lambda model: model.graph.initializer.append(numpy_helper.from_array(array, "new"))


def resize(*shape: int) -> Edit:
    def edit(model: Any) -> None:
        tensor = model.graph.initializer[0]
        del tensor.dims[:]
        tensor.dims.extend(shape)

    return edit


def declare(name: str, type: int, shape: list[Any]) -> Edit:
    value = helper.make_tensor_value_info(name, type, shape)
    return lambda model: model.graph.value_info.append(value)


def declare_output(type: int, shape: list[Any]) -> Edit:
    value = helper.make_tensor_value_info("probabilities", type, shape)
    return lambda model: model.graph.output[0].CopyFrom(value)


def drop_inputs(model: Any) -> None:
    del model.graph.input[1:]


def add_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("new", TensorProto.INT32, ["b"]))


def add_function(model: Any) -> None:
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(
        helper.make_function("own", "f", ["a"], ["b"], [node], [helper.make_opsetid("", 18)])
    )


def add_subgraph(model: Any) -> None:
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def add_sparse(model: Any) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto())


def repeat_attribute(model: Any) -> None:
    for _ in range(2):
        model.graph.node[1].attribute.append(helper.make_attribute("perm", [0, 1, 2]))


def lie_about_an_attribute(model: Any) -> None:
    model.graph.node[1].attribute[0].type = onnx.AttributeProto.INT


def set_opset(version: int) -> Edit:
    return lambda model: setattr(model.opset_import[0], "version", version)


def repeat_opset(model: Any) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx", 18))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (repeat_output, "outputs are ['probabilities', 'probabilities']"),
        (lambda model: model.graph.ClearField("output"), "outputs are []"),
        (add_node("Identity", ["x"], ["x"]), "'x' is given twice"),
        (add_node("Identity", ["x"], ["token_ids"]), "'token_ids' is given twice"),
        (add_node("Split", ["x"], ["a", "a"], axis=2, num_outputs=2), "'a' is given twice"),
        (add_node("Identity", ["nothing"], ["a"]), "'nothing' is given by nothing before it"),
        (add_node("Identity", ["later"], ["later"]), "'later' is given by nothing before it"),
        (add_node("Identity", ["x"], []), "0 outputs, 1 to 1 are needed"),
        (add_node("Identity", ["x"], ["a", "b"]), "2 outputs, 1 to 1 are needed"),
        (add_node("Gather", ["x"], ["a"]), "1 inputs, 2 to 2 are needed"),
        (add_node("Add", ["x", ""], ["a"]), "input 1 is left out"),
        (add_node("Relu", ["x"], ["a"], domain="own"), "operator own.Relu is not one"),
        (
            add_node("Relu", ["x"], ["a"], domain="com.microsoft"),
            "operator com.microsoft.Relu is",
        ),
        (add_node("\x1b[2J" * 999, ["x"], ["a"]), "a name of 3,996 bytes, at most 1,000"),
        (store_input, "the input 'token_ids' is also stored"),
        (store_twice, "two tensors have one name"),
        (store_result, "'x' is given twice"),
        (store_elsewhere("/etc/passwd"), "is stored in '/etc/passwd': only weights.bin"),
        (store_elsewhere("../weights.bin"), "is stored in '../weights.bin': only weights.bin"),
        (store_elsewhere("weights.bin"), "is stored at 0 to 800 of weights.bin, which has 0"),
        (store(floats(3) * np.inf), "tensor 'new' holds inf, at most 100000 is allowed"),
        (store(floats(3) * np.nan), "tensor 'new' holds nan"),
        (store(np.array(np.inf, np.float32)), "tensor 'new' holds inf, at most 3.4"),
        (store(floats(3) * np.float32(-1e6)), "tensor 'new' holds"),
        (store(np.zeros((0, 4), np.float32)), "has type 1 and shape (0, 4)"),
        (store(np.zeros((1,) * 7, np.float32)), "has type 1 and shape (1, 1, 1, 1, 1, 1, 1)"),
        (store(np.zeros(1, np.float64)), "has type 11 and shape (1,)"),
        (store(np.array(["a"], object)), "field 6 of its tensor is unknown here"),
        (resize(2**40, 2**40), "claims 4835703278458516698824704 bytes by its shape"),
        (resize(2**62, 2), "bytes by its shape"),
        (resize(50, 3), "claims 600 bytes by its shape (50, 3), but 800 are stored"),
        (declare("x", TensorProto.FLOAT, ["b", "t", 5]), "'x' is declared with type 1 and shape"),
        (declare("x", TensorProto.FLOAT, ["b", "t"]), "'x' is declared with type 1 and shape"),
        (declare("x", TensorProto.FLOAT, [7, "t", 4]), "'x' is declared with type 1 and shape"),
        (declare("x", TensorProto.INT64, ["b", "t", 4]), "'x' is declared with type 7 and shape"),
        (declare("none", TensorProto.FLOAT, [1]), "'none' is declared with type 1"),
        (declare_output(TensorProto.FLOAT, ["b", 3]), "'probabilities' is declared"),
        (declare_output(TensorProto.DOUBLE, ["b", 4]), "'probabilities' is declared"),
        (drop_inputs, "inputs are ['token_ids'], ['token_ids', 'lengths'] are needed"),
        (add_input, "inputs are ['token_ids', 'lengths', 'new']"),
        (add_function, "field 25 of its model is unknown here"),
        (add_subgraph, "field 6 of its attribute is unknown here"),
        (add_sparse, "field 15 of its graph is unknown here"),
        (repeat_attribute, "two attributes of the name 'perm'"),
        (lie_about_an_attribute, "attribute 'perm' of type 2 has fields [8]"),
        (set_opset(12), "opset 12, 13 or a later one up to 21 is needed"),
        (set_opset(22), "opset 22, 13 or a later one up to 21 is needed"),
        (repeat_opset, "2 versions of ONNX' operators"),
    ],
)
def test_a_file_that_contradicts_itself_or_hides_something_is_refused(
    edit: Edit, message: str
) -> None:
    model = good()
    edit(model)
    found = refusal(model)
    assert found.startswith("g: ")
    assert message in found
    assert found.isprintable()


@pytest.mark.parametrize("count", [257, 10_000, 200_000])
def test_more_nodes_than_a_graph_may_have_are_refused_at_once(count: int) -> None:
    model = good()
    model.graph.node.extend([helper.make_node("Relu", ["x"], ["a"])] * count)
    data = model.SerializeToString()
    start = time.process_time()
    assert "more than 256 nodes" in refusal(data)
    assert time.process_time() - start < 2


def test_tensors_that_all_claim_the_same_bytes_are_bounded_together() -> None:
    # ONNX Runtime copies each of them, and looking for numbers that are too large reads each.
    model, weights = good(), bytes(1 << 22)
    for index in range(1000):
        tensor = model.graph.initializer.add(name=f"w{index}", data_type=1, dims=[1 << 20])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "weights.bin"), ("length", str(1 << 22))):
            tensor.external_data.add(key=key, value=value)
    with pytest.raises(BundleError, match="bytes together, at most"):
        check_graph(
            "g", model.SerializeToString(), weights, INPUTS, OUTPUTS, vocabulary=50, max_tokens=30
        )


def test_each_of_256_nodes_costs_what_it_makes() -> None:
    model = good()
    del model.graph.node[24:]
    last = "x"
    for index in range(200):
        model.graph.node.append(helper.make_node("Concat", [last, last], [f"a{index}"], axis=1))
        last = f"a{index}"
    model.graph.node.append(helper.make_node("Identity", ["share"], ["probabilities"]))
    assert "g: one text of 30 tokens takes" in refusal(model)


@pytest.mark.parametrize("operator", ["Concat", "Mul", "MatMul"])
def test_sizes_that_grow_with_each_node_cost_the_check_nothing(operator: str) -> None:
    model = good()  # of texts of one token, where all of these sizes are 1
    store(np.array([-1], np.int64))(model)
    last, count = {"Concat": "sizes", "Mul": "time", "MatMul": "column"}[operator], 50
    add_node("Range", ["number_0", "time", "number_1"], ["steps"])(model)
    add_node("Cast", ["steps"], ["numbers"], to=1)(model)
    add_node("Unsqueeze", ["numbers", "one"], ["column"])(model)
    for index in range(count):
        given = [last] * 200 if operator == "Concat" else [last, last]
        if operator == "MatMul":
            add_node("Transpose", [last], [f"t{index}"])(model)
            add_node("MatMul", [last, f"t{index}"], [f"m{index}"])(model)
            add_node("Reshape", [f"m{index}", "new"], [f"r{index}"])(model)
            add_node("Unsqueeze", [f"r{index}", "one"], [f"a{index}"])(model)
        else:
            axis = {"axis": 0} if operator == "Concat" else {}
            add_node(operator, given, [f"a{index}"], **axis)(model)
        last = f"a{index}"
    start = time.process_time()
    found = refusal(model, max_tokens=1)
    assert "over 64 factors" in found or "computes with the number of texts" in found
    assert time.process_time() - start < 2


def test_what_a_run_takes_is_held_to_the_limits_that_are_set_and_the_error_names_them() -> None:
    model = model_of(case("MatMul", "x", floats(4, 50)))
    cost = checked(model).cost
    memory, products = cost.memory_bytes(1, 30), cost.multiplications(1, 30)
    assert products > 30 * 4 * 50
    assert memory > 30 * 50 * 4
    assert checked(model, limits=RunLimits(memory, products))
    found = refusal(model, limits=RunLimits(memory - 1, products))
    assert found == (
        f"g: one text of 30 tokens takes {memory:,} bytes, at most {memory - 1:,} are allowed:"
        " raise --max-run-bytes, or export it for shorter texts"
    )
    found = refusal(model, limits=RunLimits(memory, products - 1))
    assert "multiplications, at most" in found
    assert "raise --max-run-multiplications" in found


def test_a_batch_has_as_many_texts_as_fit_and_one_at_least() -> None:
    cost = checked(model_of(case("MatMul", "x", floats(4, 50)))).cost
    limits = RunLimits(cost.memory_bytes(7, 30), 10**11)
    assert cost.rows(30, 64, limits) == 7
    assert cost.rows(30, 5, limits) == 5
    assert 7 < cost.rows(10, 64, limits) < 64
    assert cost.rows(30, 64, RunLimits(1, 1)) == 1


PROBABILITIES = {
    "a Sigmoid": [("Sigmoid", ["h"])],
    "a Softmax": [("Softmax", ["h"])],
    "one less a Sigmoid": [("Sigmoid", ["h"]), ("Sub", [np.array(1, np.float32), "y0"])],
    "a mean of two": [
        ("Sigmoid", ["h"]),
        ("Softmax", ["h"]),
        ("Add", ["y0", "y1"]),
        ("Mul", ["y2", np.array(0.5, np.float32)]),
    ],
    "clipped ones": [("Clip", ["h", np.array(0, np.float32), np.array(1, np.float32)])],
    "a choice of two": [
        ("Greater", ["h", np.array(0, np.float32)]),
        ("Where", ["y0", "share", np.array(0, np.float32)]),
    ],
}
OTHERS = {
    "a Relu": [("Relu", ["h"])],
    "a Tanh": [("Tanh", ["h"])],
    "a sum of two": [("Sigmoid", ["h"]), ("Add", ["y0", "y0"])],
    "two less a Sigmoid": [("Sigmoid", ["h"]), ("Sub", [np.array(2, np.float32), "y0"])],
    "twice a Softmax": [("Softmax", ["h"]), ("Mul", ["y0", np.array(2, np.float32)])],
    "logarithms": [("LogSoftmax", ["h"])],
    "what is clipped to other bounds": [
        ("Clip", ["h", np.array(0, np.float32), np.array(2, np.float32)])
    ],
    "a quotient": [("Div", ["share", "share"])],
}


def ending(nodes: Any) -> onnx.ModelProto:
    """Return a graph whose probabilities come out of the last of some nodes."""
    model = good()
    last = model.graph.node.pop()
    for index, (operator, inputs) in enumerate(nodes):
        names = []
        for place, given in enumerate(inputs):
            if not isinstance(given, str):
                name = f"stored{index}_{place}"
                model.graph.initializer.append(numpy_helper.from_array(given, name))
                given = name
            names.append("z" + given if given.startswith("y") else given)
        model.graph.node.append(helper.make_node(operator, names, [f"zy{index}"]))
    last.input[0] = f"zy{len(nodes) - 1}"
    model.graph.node.append(last)
    return model


@pytest.mark.parametrize("nodes", PROBABILITIES.values(), ids=PROBABILITIES)
def test_probabilities_may_come_out_of_anything_that_is_within_0_to_1(nodes: Any) -> None:
    assert checked(ending(nodes))


@pytest.mark.parametrize("nodes", OTHERS.values(), ids=OTHERS)
def test_probabilities_that_could_be_anything_else_are_refused(nodes: Any) -> None:
    assert "the probabilities come out of no operator that gives 0 to 1" in refusal(ending(nodes))


def test_a_text_that_is_too_short_for_a_window_is_named() -> None:
    tried = case("Conv", "channels", floats(3, 4, 5))
    assert "does not fit into the sizes (time,) of a text of 1 tokens" in refusal(model_of(tried))
