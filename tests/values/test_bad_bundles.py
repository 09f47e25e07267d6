"""Every way in which a bundle can be bad, and what loading it says."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from sentido_bundle import Bundle, BundleError, default_bundle, write_bundle
from sentido_bundle.manifest import FILES

Files = dict[str, bytes]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A good bundle, to be spoiled."""
    return Path(shutil.copytree(default_bundle(), tmp_path / "bundle"))


def refusal(directory: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.load(directory)
    message = str(caught.value)
    assert message.startswith(f"bundle {directory}: ")
    return message.removeprefix(f"bundle {directory}: ")


def sign(directory: Path) -> None:
    """Make the manifest agree with the files, as someone who means harm would."""
    path = directory / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for name in FILES:
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


@pytest.mark.parametrize("name", FILES)
def test_a_signed_file_of_another_bundle_is_found_too(
    copy: Path, name: str, small_bundle: Path
) -> None:
    shutil.copy(small_bundle / name, copy / name)
    sign(copy)
    refusal(copy)


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


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version_says_what_to_do(copy: Path, version: object) -> None:
    edit_manifest(copy, lambda m: m.update(schema_version=version))
    assert "this program reads 1: use the release" in refusal(copy)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("labels"), "labels is missing"),
        (lambda m: m.update(colour="red"), "unknown field colour"),
        (
            lambda m: m["preprocessing"].update(max_tokens="500"),
            "preprocessing.max_tokens is '500'",
        ),
        (lambda m: m["preprocessing"].update(max_tokens=0), "max_tokens is 0"),
        (lambda m: m["preprocessing"].update(lower=1), "preprocessing.lower is 1, true or false"),
        (
            lambda m: m["preprocessing"].update(truncation="mid"),
            "preprocessing.truncation is 'mid'",
        ),
        (lambda m: m["preprocessing"].update(split=""), "split must not be empty"),
        (lambda m: m.update(labels=["a"]), "two or more are needed"),
        (lambda m: m.update(labels=["a", "a"]), "each must be another one"),
        (lambda m: m.update(labels=["a", "b", "c"]), "outputs are"),
        (lambda m: m.update(name="../x"), "name is '../x'"),
        (lambda m: m["dimensions"].update(vocabulary=7), "vocabulary.json: 20000 words"),
        (lambda m: m["dimensions"].update(vocabulary=10**9), "over preprocessing.num_words"),
        (lambda m: m["dimensions"].update(embedding=7), "has shape (20000, 32), not (20000, 7)"),
        (lambda m: m["dimensions"].update(hidden=7), "model.onnx: outputs are"),
        (lambda m: m["parity"].update(tolerance=1.0), "tolerance is 1.0"),
        (lambda m: m["preprocessing"].update(lower=False), "does not give the ids"),
        (lambda m: m["preprocessing"].update(max_tokens=100), "does not give the ids"),
        (lambda m: m["preprocessing"].update(oov_token="<unk>"), "the oov_token '<unk>'"),
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
    [b"", b"[]", b"null", b"\xff", b'{"schema_version": NaN}', b"[" * 100_000, b" " * (2 << 20)],
)
def test_a_manifest_that_is_no_manifest_is_refused(copy: Path, data: bytes) -> None:
    (copy / "manifest.json").write_bytes(data)
    assert refusal(copy).startswith("manifest.json: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x"] * 20000, '"" must stand at index 0'),
        (["", *["x"] * 19999], "a word stands in it twice"),
        ({"a": 1}, "an array of words is needed"),
        (["", 1], "an array of words is needed"),
        ([""], "1 words, the manifest says 20000"),
    ],
)
def test_a_wrong_vocabulary_is_refused(copy: Path, words: object, message: str) -> None:
    (copy / "vocabulary.json").write_text(json.dumps(words))
    sign(copy)
    assert message in refusal(copy)


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
    ],
)
def test_wrong_golden_texts_are_refused(copy: Path, golden: bytes) -> None:
    (copy / "golden.json").write_bytes(golden)
    sign(copy)
    assert refusal(copy).startswith("golden.json: ")


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "golden.json", "", "./weights.bin"]
)
@pytest.mark.parametrize("name", ["model.onnx", "tokens.onnx"])
def test_external_data_cannot_be_anywhere_else(copy: Path, name: str, location: str) -> None:
    edit_graph(copy, name, lambda g: set_external(tensor(g), "location", location))
    message = refusal(copy)
    assert f"{name}: tensor 'embedding_matrix' is stored in {location!r}" in message


@pytest.mark.parametrize(
    ("key", "value"), [("offset", "10000000000"), ("offset", "-4"), ("length", "10000000000")]
)
def test_external_data_cannot_be_outside_its_file(copy: Path, key: str, value: str) -> None:
    edit_graph(copy, "model.onnx", lambda g: set_external(tensor(g), key, value))
    assert "model.onnx: tensor 'embedding_matrix'" in refusal(copy)


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
    assert "model.onnx: outputs are {'probabilities': [None, 3]" in refusal(copy)


def test_a_graph_with_other_inputs_is_refused(copy: Path) -> None:
    def rename(graph: Any) -> None:
        graph.input[0].name = "words"
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name == "token_ids":
                    node.input[index] = "words"

    edit_graph(copy, "model.onnx", rename)
    assert "model.onnx: inputs are" in refusal(copy)


@pytest.mark.parametrize("operator", ["Loop", "If", "ConstantOfShape", "Expand", "Tile"])
def test_an_operator_that_loops_or_allocates_is_refused(copy: Path, operator: str) -> None:
    node = onnx.helper.make_node(operator, ["token_ids"], ["x"])
    edit_graph(copy, "model.onnx", lambda g: g.node.append(node))
    assert f"operator {operator} is not one that a bundle may use" in refusal(copy)


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


def test_a_bundle_is_never_written_over_another(copy: Path) -> None:
    with pytest.raises(BundleError, match=r"exists; a bundle is never changed"):
        write_bundle(copy, good_files())


def test_a_bundle_that_does_not_verify_leaves_nothing_behind(tmp_path: Path) -> None:
    files = good_files()
    files["weights.bin"] = files["weights.bin"][:-4] + b"oops"
    with pytest.raises(BundleError, match=r"weights\.bin: SHA-256"):
        write_bundle(tmp_path / "bundle", files)
    assert list(tmp_path.iterdir()) == []
