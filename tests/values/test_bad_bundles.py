"""Every way in which a bundle can be bad, and what loading it says."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import UNITS
from sentido_bundle import Bundle, BundleError, check_target, default_bundle, write_bundle
from sentido_bundle.errors import reason
from sentido_bundle.manifest import EVALUATION, INT8_MODEL, STEPS_MODEL
from sentido_bundle.manifest import FILES as ALWAYS
from sentido_bundle.session import open_session

Files = dict[str, bytes]
FILES = (*ALWAYS, STEPS_MODEL, INT8_MODEL, EVALUATION)
WEIGHTS_BYTES = (default_bundle() / "weights.bin").stat().st_size


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A good bundle, to be spoiled."""
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def test_a_file_that_is_a_link_in_a_circle_is_missing(copy: Path) -> None:
    (copy / "vocabulary.json").unlink()
    (copy / "vocabulary.json").symlink_to("vocabulary.json")
    assert refusal(copy) == "vocabulary.json is missing"


def refusal(directory: Path, precision: str = "fp32") -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(directory, precision)
    message = str(caught.value)
    assert message.startswith(f"bundle {directory}: ")
    return message.removeprefix(f"bundle {directory}: ")


def sign(directory: Path) -> None:
    """Make the manifest agree with the files, as someone who means harm would."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for name in manifest["files"]:
        data = (directory / name).read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        manifest["files"][name] = {"bytes": len(data), "sha256": digest}
    path.write_text(json.dumps(manifest))


def edit_manifest(directory: Path, edit: Callable[[Any], object]) -> None:
    path = directory / "manifest.json"
    manifest = json.loads(path.read_bytes())
    edit(manifest)
    path.write_text(json.dumps(manifest))


def edit_graph(directory: Path, name: str, edit: Callable[[Any], object]) -> None:
    """Edit a graph and sign the bundle."""
    path = directory / name
    model = onnx.load_model_from_string(path.read_bytes())
    edit(model.graph)
    path.write_bytes(model.SerializeToString())
    sign(directory)


def tensor(graph: Any, name: str = "embedding_matrix") -> Any:
    return next(t for t in graph.initializer if t.name == name)


def set_external(item: Any, key: str, value: str) -> None:
    next(entry for entry in item.external_data if entry.key == key).value = value


def test_a_good_copy_loads(copy: Path) -> None:
    assert Bundle.load(copy).digest == Bundle.load(default_bundle()).digest


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "no such directory" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["manifest.json", *FILES])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert refusal(copy) == f"{name} is missing"


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_named_with_both_sizes(copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:-1])
    assert refusal(copy) == f"{name}: {len(data) - 1} bytes, the manifest says {len(data)}"


def test_a_truncated_manifest_is_not_json(copy: Path) -> None:
    path = copy / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(copy).startswith("manifest.json: not valid JSON")


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(data)
    assert refusal(copy).startswith(f"{name}: SHA-256 is ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_bundle_is_found(copy: Path, name: str, small_bundle: Path) -> None:
    shutil.copy(small_bundle / name, copy / name)
    assert refusal(copy).startswith(f"{name}: ")


@pytest.mark.parametrize("name", FILES[:-1])  # an evaluation is looked at when it is asked for
def test_a_signed_file_of_another_bundle_is_found_too(
    copy: Path, name: str, small_bundle: Path
) -> None:
    shutil.copy(small_bundle / name, copy / name)
    sign(copy)
    refusal(copy, "int8" if name == INT8_MODEL else "fp32")


def test_another_manifest_is_found(copy: Path, small_bundle: Path) -> None:
    shutil.copy(small_bundle / "manifest.json", copy / "manifest.json")
    refusal(copy)


@pytest.mark.parametrize("name", ["../golden.json", "/etc/passwd", "a/b", "..", ""])
def test_a_path_in_the_manifest_cannot_leave_the_directory(copy: Path, name: str) -> None:
    facts = {"bytes": 1, "sha256": "0" * 64}
    edit_manifest(copy, lambda m: m["files"].update({name: facts}))
    assert "a plain file name in the bundle's directory is needed" in refusal(copy)


def test_a_link_cannot_leave_the_directory(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_bytes((copy / "golden.json").read_bytes())
    (copy / "golden.json").unlink()
    (copy / "golden.json").symlink_to(tmp_path / "outside.json")
    assert refusal(copy).startswith("golden.json: leads out of the bundle's directory")


@pytest.mark.parametrize("version", [0, 1, 3, "2", 2.0, True, None])
def test_another_schema_version_says_what_to_do(copy: Path, version: object) -> None:
    edit_manifest(copy, lambda m: m.update(schema_version=version))
    assert "this program reads 2: use the release" in refusal(copy)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("labels"), "labels is missing"),
        (lambda m: m.update(colour="red"), "unknown field colour"),
        (
            lambda m: m["inputs"].update(length="500"),
            "inputs.length is '500'",
        ),
        (lambda m: m["inputs"].update(length=0), "inputs.length is 0"),
        (lambda m: m["tokenizer"].update(lower=1), "tokenizer.lower is 1, true or false"),
        (
            lambda m: m["inputs"].update(truncation="mid"),
            "inputs.truncation is 'mid'",
        ),
        (lambda m: m["tokenizer"].update(split=""), "split must not be empty"),
        (lambda m: m.update(labels=["a"]), "2 or more are needed"),
        (lambda m: m.update(labels=["a", "a"]), "each must be another one"),
        (
            lambda m: m.update(labels=["a", "b", "c"]),
            "probabilities has the type FLOAT and the shape",
        ),
        (lambda m: m.update(name="../x"), "name is '../x'"),
        (lambda m: m.update(vocabulary_size=7), "vocabulary.json: 20000 words"),
        (lambda m: m.update(vocabulary_size=30_000), "over tokenizer.num_words"),
        (lambda m: m["word_vectors"].update(size=7), "has shape (20000, 32), not (20000, 7)"),
        (
            lambda m: m["hidden"].update(size=7),
            "hidden has the type FLOAT and the shape",
        ),
        (lambda m: m["parity"].update(tolerance=1.0), "tolerance is 1.0"),
        (lambda m: m["parity"].update(largest_difference=-5.0), "largest_difference is -5.0"),
        (lambda m: m["inputs"].update(length=2**40), "length is 1099511627776"),
        (lambda m: m["tokenizer"].update(start_id=20_000), "must be below vocabulary_size, 20000"),
        (lambda m: m["tokenizer"].update(start_id=0), "start_id is 0"),
        (lambda m: m["tokenizer"].update(num_words=10**18), "num_words is 1000000000000000000"),
        (lambda m: m["tokenizer"].update(oov_token=""), "the oov_token '' is not in it"),
        (lambda m: m["metrics"].update(loss=10**400), "a whole number of 401 digits"),
        (lambda m: m["labels"].__setitem__(0, "\ud800"), "surrogates not allowed"),
        (lambda m: m.update(created="yesterday"), "created is 'yesterday'"),
        (lambda m: m["files"]["golden.json"].update(bytes=10**11), "bytes is 100000000000, not"),
        (lambda m: m["tokenizer"].update(lower=False), "does not give the ids"),
        (lambda m: m["inputs"].update(length=100), "does not give the ids"),
        (lambda m: m["tokenizer"].update(oov_token="<unk>"), "the oov_token '<unk>'"),
        (lambda m: m["files"].pop("golden.json"), "files does not list golden.json"),
    ],
)
def test_a_wrong_field_of_the_manifest_is_named(
    copy: Path, edit: Callable[[Any], object], message: str
) -> None:
    edit_manifest(copy, edit)
    assert message in refusal(copy)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"null", b"\xff", b'{"schema_version": NaN}', b"[" * 100_000),
        *(b" " * (2 << 20), b'{"schema_version": 1e999}', b'{"name": 1, "name": 2}'),
    ],
)
def test_a_manifest_that_is_no_manifest_is_refused(copy: Path, data: bytes) -> None:
    (copy / "manifest.json").write_bytes(data)
    assert refusal(copy).startswith("manifest.json: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x"] * 20000, "null must stand at index 0"),
        ([None, *["x"] * 19999], "a word stands in it twice"),
        ({"a": 1}, "an array of words is needed"),
        ([None, 1], "an array of words is needed"),
        ([None], "1 words, the manifest says 20000"),
    ],
)
def test_a_wrong_vocabulary_is_refused(copy: Path, words: object, message: str) -> None:
    (copy / "vocabulary.json").write_text(json.dumps(words))
    sign(copy)
    assert message in refusal(copy)


@pytest.mark.parametrize(
    ("field", "what"), [("probabilities", "probabilities"), ("hidden", "hidden state")]
)
def test_each_golden_answer_is_compared(copy: Path, field: str, what: str) -> None:
    golden = json.loads((copy / "golden.json").read_bytes())
    golden[-1][field][0] += 2e-5  # twice the tolerance
    (copy / "golden.json").write_text(json.dumps(golden))
    sign(copy)
    assert f"the {what} of model.onnx differ from golden.json by 2e-05" in refusal(copy)


def test_the_two_graphs_must_agree(copy: Path) -> None:
    def forget(graph: Any) -> None:
        lstm = next(node for node in graph.node if node.op_type == "LSTM")
        lstm.input[3] = ""  # its bias

    edit_graph(copy, "steps.onnx", forget)
    assert "steps.onnx ends in another hidden state" in refusal(copy)


def drop_hidden(directory: Path) -> None:
    """Make the bundle of a model that gives steps and no hidden state."""
    take_out_twin(directory)

    def drop(graph: Any) -> None:
        kept = [output for output in graph.output if output.name != "hidden"]
        del graph.output[:]
        graph.output.extend(kept)

    edit_manifest(directory, lambda m: m.pop("hidden"))
    edit_graph(directory, "model.onnx", drop)


def rename_hidden(directory: Path, name: str, more: float = 0.0) -> None:
    golden = json.loads((directory / "golden.json").read_bytes())
    for text in golden:
        text[name] = [number + more for number in text.pop("hidden")]
    (directory / "golden.json").write_text(json.dumps(golden))
    sign(directory)


def test_steps_need_no_hidden_state_but_something_in_which_they_end(copy: Path) -> None:
    drop_hidden(copy)
    assert "must say in what the steps end: last_step is needed" in refusal(copy)
    rename_hidden(copy, "last_step")
    bundle = Bundle.load(copy)
    assert bundle.capabilities == ("steps", "word_vectors", "evaluation")
    assert bundle.run_steps(np.array([5], np.int32)).shape == (1, UNITS)


def test_the_last_step_is_compared_where_a_golden_text_has_one(copy: Path) -> None:
    drop_hidden(copy)
    rename_hidden(copy, "last_step", more=2e-5)
    assert "steps.onnx ends in another hidden state" in refusal(copy)


def test_a_shuffled_vocabulary_does_not_pass_the_golden_texts(copy: Path) -> None:
    words = json.loads((copy / "vocabulary.json").read_bytes())
    (copy / "vocabulary.json").write_text(json.dumps([words[0], *words[:0:-1]]))
    sign(copy)
    assert "does not give the ids in golden.json" in refusal(copy)


def test_changed_weights_do_not_pass_the_golden_texts(copy: Path) -> None:
    data = bytearray((copy / "weights.bin").read_bytes())
    data[-4000:] = bytes(4000)
    (copy / "weights.bin").write_bytes(data)
    sign(copy)
    assert "differ from golden.json by" in refusal(copy)


@pytest.mark.parametrize(
    "golden",
    [
        b"[]",
        b"{}",
        b'[{"text": 1}]',
        b'[{"text": "", "ids": [], "hidden": [0], "probabilities": [0.5, 0.5]}]',
        b'[{"text": "", "ids": [99999999999999], "hidden": [], "probabilities": []}]',
        b'[{"text": "", "ids": ["5"], "hidden": [], "probabilities": []}]',
        b'[{"text": "", "ids": [5.5], "hidden": [], "probabilities": []}]',
    ],
)
def test_wrong_golden_texts_are_refused(copy: Path, golden: bytes) -> None:
    (copy / "golden.json").write_bytes(golden)
    sign(copy)
    assert refusal(copy).startswith("golden.json: ")


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "golden.json", "", "./weights.bin"]
)
@pytest.mark.parametrize("name", ["model.onnx", "steps.onnx"])
def test_external_data_cannot_be_anywhere_else(copy: Path, name: str, location: str) -> None:
    edit_graph(copy, name, lambda g: set_external(tensor(g), "location", location))
    message = refusal(copy)
    assert f"{name}: tensor 'embedding_matrix' is stored in {location!r}" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("offset", "10000000000"), ("offset", "-4"), ("offset", "1_0"), ("offset", "2")),
        *(("offset", str(WEIGHTS_BYTES - 4)), ("length", "10000000000"), ("length", "")),
    ],
)
def test_external_data_cannot_be_outside_its_file(copy: Path, key: str, value: str) -> None:
    assert (copy / "weights.bin").stat().st_size == WEIGHTS_BYTES
    edit_graph(copy, "model.onnx", lambda g: set_external(tensor(g), key, value))
    assert "tensor 'embedding_matrix'" in refusal(copy)


def test_a_claim_of_ten_gigabytes_is_refused_before_anything_is_allocated(copy: Path) -> None:
    def claim(graph: Any) -> None:
        del tensor(graph).dims[:]
        tensor(graph).dims.extend([78_125_000, 32])

    edit_graph(copy, "model.onnx", claim)
    assert "claims 10000000000 bytes by its shape (78125000, 32), but 2560000" in refusal(copy)


def test_a_file_of_another_size_is_not_even_read(copy: Path) -> None:
    with (copy / "weights.bin").open("r+b") as file:
        file.truncate(10_000_000_000)  # sparse
    assert refusal(copy).startswith("weights.bin: 10000000000 bytes, the manifest says ")


def test_a_graph_of_another_shape_is_refused(copy: Path) -> None:
    def widen(graph: Any) -> None:
        concat = next(node for node in graph.node if node.op_type == "Concat")
        concat.input.append(concat.input[0])  # three probabilities for two labels
        del graph.output[0].type.tensor_type.shape.dim[1:]
        graph.output[0].type.tensor_type.shape.dim.add(dim_value=3)

    edit_graph(copy, "model.onnx", widen)
    assert "model.onnx: probabilities has the type FLOAT and the shape (batch, 3)" in refusal(copy)


def test_a_graph_with_other_inputs_is_refused(copy: Path) -> None:
    def rename(graph: Any) -> None:
        graph.input[0].name = "words"
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == "token_ids":
                    node.input[index] = "words"

    edit_graph(copy, "model.onnx", rename)
    assert "model.onnx: inputs are" in refusal(copy)


@pytest.mark.parametrize("operator", ["Loop", "If", "Scan", "NonZero", "RandomUniform"])
def test_an_operator_that_loops_or_gives_shapes_by_values_is_refused(
    copy: Path, operator: str
) -> None:
    node = onnx.helper.make_node(operator, ["token_ids"], ["x"])
    edit_graph(copy, "model.onnx", lambda g: g.node.append(node))
    assert f"operator {operator} is not one that a bundle may use" in refusal(copy)


def append_to_model(directory: Path, data: bytes) -> None:
    path = directory / "model.onnx"
    path.write_bytes(path.read_bytes() + data)
    sign(directory)


def varint(value: int) -> bytes:
    data = b""
    while value >= 0x80:
        data, value = data + bytes([value & 0x7F | 0x80]), value >> 7
    return data + bytes([value])


GRAPH_FIELD = 7 << 3 | 2
OPSET = b"\x42\x02\x10\x12"  # the field that says version 18


@pytest.mark.parametrize(
    "tag",
    [varint(GRAPH_FIELD), varint(1 << 32 | GRAPH_FIELD), bytes([GRAPH_FIELD | 0x80, 0x80, 0x00])],
    ids=["plain", "cut to 32 bits", "longer than needed"],
)
def test_a_second_graph_cannot_hide_behind_the_first(copy: Path, tag: bytes) -> None:
    # ONNX Runtime's parser would merge it into the first.
    more = onnx.GraphProto()
    more.node.add(op_type="ConstantOfShape", input=["shape"], output=["x"])
    data = more.SerializeToString()
    append_to_model(copy, tag + varint(len(data)) + data)
    assert refusal(copy).startswith("model.onnx: not an ONNX model as bundles have them: ")


@pytest.mark.parametrize("number", [20, 25, 26, 99])
def test_a_model_holds_no_functions_and_nothing_unknown(copy: Path, number: int) -> None:
    append_to_model(copy, varint(number << 3 | 2) + b"\x00")
    assert f"field {number} of its model is unknown here" in refusal(copy)


def test_an_operator_cannot_hide_behind_a_field_of_another_type(copy: Path) -> None:
    # "Loop", then eight bytes in the same field that ONNX Runtime's parser would pass over.
    name = b"Loop"
    node = varint(4 << 3 | 2) + varint(len(name)) + name + varint(4 << 3 | 1) + b"Identity"
    graph = onnx.load_model_from_string((copy / "model.onnx").read_bytes()).graph
    body = graph.SerializeToString() + varint(1 << 3 | 2) + varint(len(node)) + node
    (copy / "model.onnx").write_bytes(OPSET + varint(GRAPH_FIELD) + varint(len(body)) + body)
    sign(copy)
    assert "a number in place of a message or a string" in refusal(copy)


def test_external_data_cannot_hide_behind_a_number_that_parsers_cut(copy: Path) -> None:
    item = onnx.TensorProto(name="x", data_type=1, dims=[1], raw_data=bytes(4))
    item.external_data.add(key="location", value="/etc/passwd")
    graph = onnx.load_model_from_string((copy / "model.onnx").read_bytes()).graph
    data = item.SerializeToString() + varint(14 << 3) + varint((1 << 32) + 1)
    body = graph.SerializeToString() + varint(5 << 3 | 2) + varint(len(data)) + data
    (copy / "model.onnx").write_bytes(OPSET + varint(GRAPH_FIELD) + varint(len(body)) + body)
    sign(copy)
    assert "model.onnx: not an ONNX model as bundles have them: no integer" in refusal(copy)


def test_a_tensor_is_stored_in_one_place(copy: Path) -> None:
    def both(graph: Any) -> None:
        item = graph.initializer.add(name="x", data_type=1, dims=[1], raw_data=bytes(4))
        item.external_data.add(key="location", value="/etc/passwd")

    edit_graph(copy, "model.onnx", both)
    assert "tensor 'x' is stored both here and elsewhere" in refusal(copy)


def test_a_tensor_that_a_caller_could_replace_is_refused(copy: Path) -> None:
    # An initializer that is an input too: left open, its shape can end the process.
    def add_input(graph: Any) -> None:
        graph.initializer.add(name="rows", data_type=7, dims=[1], raw_data=bytes(8))
        graph.input.append(onnx.helper.make_tensor_value_info("rows", 7, ["k"]))

    edit_graph(copy, "model.onnx", add_input)
    assert "model.onnx: inputs are ['token_ids', 'lengths', 'rows']" in refusal(copy)


@pytest.mark.parametrize("shape", [[0], [0, 1 << 40], [1] * 7, [(1 << 63) - 1]])
def test_an_odd_shape_is_refused(copy: Path, shape: list[int]) -> None:
    def add(graph: Any) -> None:
        graph.initializer.add(name="x", data_type=7, dims=shape, raw_data=b"")

    edit_graph(copy, "model.onnx", add)
    assert "model.onnx: tensor 'x' " in refusal(copy)


def test_two_tensors_of_one_name_are_refused(copy: Path) -> None:
    edit_graph(copy, "model.onnx", lambda g: g.initializer.append(tensor(g)))
    assert "model.onnx: two tensors have one name" in refusal(copy)


def resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) * 1024


def test_nothing_is_computed_when_a_graph_is_opened(copy: Path) -> None:
    # A node that depends on no input: ONNX Runtime would compute it at once, and keep the result.
    def add(graph: Any) -> None:
        size = np.array([1 << 25], np.int64)  # floats: 128 MiB
        graph.initializer.append(onnx.numpy_helper.from_array(size, "size"))
        graph.node.append(onnx.helper.make_node("ConstantOfShape", ["size"], ["all"]))
        graph.output.append(onnx.ValueInfoProto(name="all"))

    edit_graph(copy, "model.onnx", add)
    files = {name: (copy / name).read_bytes() for name in ("model.onnx", "weights.bin")}
    before = resident_bytes()
    session = open_session("model.onnx", files)
    assert resident_bytes() - before < 64 << 20
    assert "all" in [output.name for output in session.get_outputs()]


@pytest.mark.parametrize("kind", ["graph", "sparse_tensor"])
def test_a_node_holds_no_graph_and_no_sparse_tensor(copy: Path, kind: str) -> None:
    values = {
        "graph": onnx.GraphProto(name="g"),
        "sparse_tensor": onnx.SparseTensorProto(dims=[1]),
    }

    def add(graph: Any) -> None:
        attribute = onnx.AttributeProto(name="x")
        numbers = {"graph": "g", "sparse_tensor": "sparse_tensor"}
        getattr(attribute, numbers[kind]).CopyFrom(values[kind])
        graph.node[0].attribute.append(attribute)

    edit_graph(copy, "model.onnx", add)
    assert "of its attribute is unknown here" in refusal(copy)


def test_a_graph_that_cannot_be_run_is_an_error_and_not_a_crash(copy: Path) -> None:
    def swap(graph: Any) -> None:
        lstm = next(node for node in graph.node if node.op_type == "LSTM")
        lstm.input[1], lstm.input[2] = lstm.input[2], lstm.input[1]

    edit_graph(copy, "model.onnx", swap)
    rows = 4 * UNITS
    said = f"input W has the shape (1, {rows}, {UNITS}), (1, {rows}, 32) is needed"
    assert said in refusal(copy)


def test_a_graph_that_onnx_runtime_would_refuse_is_an_error(copy: Path) -> None:
    def cast_bias(graph: Any) -> None:
        (add,) = [node for node in graph.node if node.op_type == "Add"]
        item = tensor(graph, add.input[1])
        item.CopyFrom(onnx.numpy_helper.from_array(np.array([1], np.int32), item.name))

    edit_graph(copy, "model.onnx", cast_bias)
    said = refusal(copy)
    assert said.startswith("model.onnx: ")
    assert said.endswith("combines FLOAT, INT32")


def test_inputs_of_another_type_are_refused(copy: Path) -> None:
    def widen(graph: Any) -> None:
        graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64

    edit_graph(copy, "model.onnx", widen)
    assert "model.onnx: 'token_ids' is declared with type 7" in refusal(copy)


def test_an_operator_of_another_domain_is_refused(copy: Path) -> None:
    node = onnx.helper.make_node("Add", ["token_ids", "token_ids"], ["x"], domain="evil")
    edit_graph(copy, "model.onnx", lambda g: g.node.append(node))
    assert "operator evil.Add is not one that a bundle may use" in refusal(copy)


@pytest.mark.parametrize("data", [b"", b"not a model", b"\x3a\xff\xff\xff\xff\x7f", b"\x00" * 99])
def test_bytes_that_are_no_model_are_refused(copy: Path, data: bytes) -> None:
    (copy / "model.onnx").write_bytes(data)
    sign(copy)
    assert refusal(copy).startswith("model.onnx: not an ONNX model")


def test_every_single_truncation_of_a_graph_is_an_error_and_not_a_crash(copy: Path) -> None:
    data = (copy / "model.onnx").read_bytes()
    files = {name: (copy / name).read_bytes() for name in ("manifest.json", *FILES)}
    for size in range(0, len(data), 37):
        manifest = json.loads(files["manifest.json"])
        cut = data[:size]
        manifest["files"]["model.onnx"] = {
            "bytes": size,
            "sha256": hashlib.sha256(cut).hexdigest(),
        }
        spoiled = {**files, "model.onnx": cut, "manifest.json": json.dumps(manifest).encode()}
        with pytest.raises(BundleError):
            Bundle.parse(spoiled)


def good_files() -> Files:
    return {name: (default_bundle() / name).read_bytes() for name in ("manifest.json", *FILES)}


def test_a_bundle_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "er" / "bundle"
    written = write_bundle(target, good_files())
    assert Bundle.load(target).digest == written.digest
    assert [p.name for p in target.parent.iterdir()] == ["bundle"]
    assert target.stat().st_mode & 0o777 == 0o755  # readable by whoever runs the server


def test_a_bundle_is_never_written_over_another(copy: Path) -> None:
    with pytest.raises(BundleError, match=r"exists; a bundle is never changed"):
        write_bundle(copy, good_files())


def test_a_bundle_that_does_not_verify_leaves_nothing_behind(tmp_path: Path) -> None:
    files = good_files()
    files["weights.bin"] = files["weights.bin"][:-4] + b"oops"
    with pytest.raises(BundleError, match=r"weights\.bin: SHA-256"):
        write_bundle(tmp_path / "deep" / "er" / "bundle", files)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BundleError, match="link exists"):
        check_target(tmp_path / "link")
    with pytest.raises(BundleError, match="cannot be written: File name too long"):
        check_target(tmp_path / "new" / ("x" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def take_out_twin(directory: Path) -> None:
    """Make a bundle as one of the days before there were twins."""
    (directory / INT8_MODEL).unlink()
    edit_manifest(directory, lambda m: (m.pop("int8"), m["files"].pop(INT8_MODEL)))


def test_a_bundle_without_a_twin_loads_in_fp32_and_says_how_to_get_int8(copy: Path) -> None:
    take_out_twin(copy)
    assert Bundle.load(copy).manifest.int8 is None
    assert refusal(copy, "int8") == (
        "model 'imdb' has no int8 twin (capability int8): choose the precision fp32, or train a"
        " model with sentido-export and without --no-int8"
    )


def test_a_bundle_without_a_twin_is_written_without_a_word_of_it(
    copy: Path, tmp_path: Path
) -> None:
    take_out_twin(copy)
    manifest = Bundle.load(copy).manifest
    assert "int8" not in json.loads(manifest.dump())
    files = {name: (copy / name).read_bytes() for name in manifest.file_names}
    write_bundle(tmp_path / "new", {"manifest.json": manifest.dump(), **files})
    assert not (tmp_path / "new" / INT8_MODEL).exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("int8"), "files lists model.int8.onnx, but int8 is missing"),
        (lambda m: m["files"].pop(INT8_MODEL), "files does not list model.int8.onnx"),
        (lambda m: m["int8"].pop("accuracy"), "int8.accuracy is missing"),
        (lambda m: m["int8"].update(speed=2), "unknown field int8.speed"),
        (lambda m: m["int8"].update(tolerance=0.6), "int8.tolerance is 0.6, not within 0 to 0.5"),
        (lambda m: m["int8"].update(tolerance=0), "int8.tolerance is 0.0, not within 0 to 0.5"),
        (lambda m: m["int8"].update(accuracy=1.5), "int8.accuracy is 1.5, not within 0 to 1"),
        (
            lambda m: m["int8"].update(largest_difference_hidden=-1),
            "int8.largest_difference_hidden is -1.0, it must be 0 or more",
        ),
        (lambda m: m.update(int8=5), "int8 is 5, an object is needed"),
    ],
)
def test_a_wrong_section_on_the_twin_is_named_in_either_precision(
    copy: Path, edit: Callable[[Any], object], message: str
) -> None:
    edit_manifest(copy, edit)
    assert message in refusal(copy)
    assert message in refusal(copy, "int8")


def quantized_lstm(graph: Any) -> Any:
    return next(node for node in graph.node if node.op_type == "DynamicQuantizeLSTM")


def double_recurrent_weights(graph: Any) -> None:
    item = tensor(graph, quantized_lstm(graph).input[10])  # their scales
    item.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(item) * 2, item.name))


def test_a_twin_that_answers_too_differently_is_refused(copy: Path) -> None:
    edit_graph(copy, INT8_MODEL, double_recurrent_weights)
    Bundle.load(copy)  # who does not run the twin need not mind
    assert "of model.int8.onnx differ from golden.json by " in refusal(copy, "int8")


def test_a_bundle_with_such_a_twin_is_not_written(copy: Path, tmp_path: Path) -> None:
    edit_graph(copy, INT8_MODEL, double_recurrent_weights)
    files = {name: (copy / name).read_bytes() for name in ("manifest.json", *FILES)}
    with pytest.raises(BundleError, match=r"model\.int8\.onnx differ from golden\.json"):
        write_bundle(tmp_path / "new", files)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_tolerance_of_the_twin_is_its_own(copy: Path) -> None:
    edit_manifest(copy, lambda m: m["int8"].update(tolerance=1e-4))
    assert "of model.int8.onnx differ from golden.json by " in refusal(copy, "int8")
    assert Bundle.load(copy)


def test_the_steps_are_held_to_fp32_in_int8_too(copy: Path) -> None:
    def forget(graph: Any) -> None:
        lstm = next(node for node in graph.node if node.op_type == "LSTM")
        lstm.input[3] = ""  # its bias

    edit_graph(copy, "steps.onnx", forget)
    assert "steps.onnx ends in another hidden state" in refusal(copy, "int8")


def test_only_a_twin_gives_the_texts_of_a_batch_one_scale(copy: Path) -> None:
    (copy / "model.onnx").write_bytes((copy / INT8_MODEL).read_bytes())
    sign(copy)
    assert "gives the texts of a batch one scale, which only int8 may" in refusal(copy)


@pytest.mark.parametrize("operator", ["Loop", "If"])
def test_a_twin_does_not_loop_either(copy: Path, operator: str) -> None:
    node = onnx.helper.make_node(operator, ["token_ids"], ["x"])
    edit_graph(copy, INT8_MODEL, lambda g: g.node.append(node))
    assert f"operator {operator} is not one that a bundle may use" in refusal(copy, "int8")


@pytest.mark.parametrize("position", [1, 2, 8, 9, 10, 11])
def test_a_twin_has_a_weight_a_scale_and_a_zero_point_for_every_gate(
    copy: Path, position: int
) -> None:
    # ONNX Runtime would take one zero point beside 400 scales.
    def cut(graph: Any) -> None:
        item = tensor(graph, quantized_lstm(graph).input[position])
        array = onnx.numpy_helper.to_array(item).reshape(-1)[:1]
        item.CopyFrom(onnx.numpy_helper.from_array(array, item.name))

    edit_graph(copy, INT8_MODEL, cut)
    assert f"input {position} has the shape (1,)" in refusal(copy, "int8")


def test_a_twin_shares_the_embedding_matrix(copy: Path) -> None:
    edit_graph(copy, INT8_MODEL, lambda g: set_external(tensor(g), "offset", "64"))
    assert "tensor 'embedding_matrix' is not the same one in each" in refusal(copy, "int8")
    edit_graph(copy, INT8_MODEL, lambda g: set_external(tensor(g), "location", "/etc/passwd"))
    assert "is stored in '/etc/passwd'" in refusal(copy, "int8")


def test_a_permission_that_is_lacking_is_said_with_the_user_that_lacks_it() -> None:
    assert reason(PermissionError(13, "Permission denied")) == (
        f"Permission denied for user {os.geteuid()}"
    )
    assert reason(FileNotFoundError(2, "No such file or directory")) == "No such file or directory"
