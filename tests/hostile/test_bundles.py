"""Spoiled bundles and those over a bound are refused by name, before they cost anything."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes import CDLL, get_errno
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import Files, Sizes, signed, sized, with_golden, with_twin
from sentido_bundle import Bundle, BundleError, RunLimits, bounds
from sentido_bundle.session import check_model
from sentido_bundle.strict_json import STRING, parse_array
from sentido_bundle.words import WordTable

HERE = Path(__file__).parent


def test_no_spoiled_bundle_does_harm(pytestconfig: pytest.Config, figures: dict[str, str]) -> None:
    count = pytestconfig.getoption("--bundle-mutations")
    command = [sys.executable, str(HERE / "try_bundles.py"), "0", str(count)]
    tried = subprocess.run(command, capture_output=True, text=True)
    assert tried.returncode == 0, tried.stderr[-4000:]
    found = json.loads(tried.stdout)
    figures[f"{count:,} spoiled bundles"] = f"{found['peak'] / 1e6:.0f} MB, {found['outcomes']}"


@pytest.fixture(scope="module")
def files() -> Files:
    return with_twin(sized(Sizes()))


def refusal(files: Files) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.parse(signed(files))
    return str(caught.value)


def edited(files: Files, edit: Callable[[Any], object], name: str = "manifest.json") -> Files:
    value = json.loads(files[name])
    edit(value)
    return {**files, name: json.dumps(value).encode()}


def put(*keys: Any, value: object) -> Callable[[Any], None]:
    """Make an edit that puts the value where the keys lead."""

    def edit(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (put("tokenizer", "split", value="x" * 500_000), "has 501,454 bytes, at most 262,144"),
        (put("tokenizer", "split", value="x" * 9), "split: has 9 characters, at most 8"),
        (put("tokenizer", "filters", value="e" * 1001), "filters: has 1,001 characters"),
        (put("tokenizer", "oov_token", value="e" * 1001), "oov_token: has 1,001 characters"),
        (put("inputs", "length", value=2**31 - 1), "it must be 1 to 100000"),
        (put("labels", value=["a" * 101, "b"]), "labels[0]: has 101 characters, at most 100"),
        (put("labels", value=[str(i) for i in range(1001)]), "labels: has 1,001 labels"),
        (put("labels", value=[f"{i:0100}" for i in range(200)]), "has 20,000 bytes together"),
        (
            put("word_vectors", "size", value=1_000_000),
            "word_vectors.size is 1000000, it must be 1",
        ),
        (put("hidden", "size", value=4097), "hidden.size is 4097, it must be 1 to 4096"),
        (put("vocabulary_size", value=500_001), "vocabulary_size is 500001, it must be"),
        (put("tokenizer", "num_words", value=2**31), "num_words is 2147483648"),
        (put("metrics", value={str(i): 1.0 for i in range(101)}), "metrics: has 101 entries"),
        (put("tools", value={str(i): "1" for i in range(101)}), "tools: has 101 entries"),
        (put("training", value=[[]]), "training is [[]], an object is needed"),
    ],
)
def test_what_is_over_a_bound_of_the_manifest_is_refused_by_name(
    files: Files, edit: Callable[[Any], object], message: str
) -> None:
    found = refusal(edited(files, edit))
    assert found.startswith("manifest.json: ")
    assert message in found


def test_two_sizes_that_are_harmless_apart_are_not_allowed_together(files: Files) -> None:
    def edit(manifest: Any) -> None:
        manifest["inputs"]["length"] = 100_000
        manifest["word_vectors"]["size"] = 4096

    assert "length * (word_vectors.size + 4 * steps.size) is 410,800,000, at most" in refusal(
        edited(files, edit)
    )


@pytest.mark.parametrize("name", [name for name in bounds.FILE_BYTES if name != "manifest.json"])
def test_each_file_has_a_bound_of_its_own_that_is_looked_at_before_it_is_read(
    files: Files, name: str, tmp_path: Path
) -> None:
    most = bounds.FILE_BYTES[name]
    facts = {"bytes": most + 1, "sha256": "0" * 64}
    spoiled = edited(signed(files), put("files", name, value=facts))
    for each, data in spoiled.items():
        (tmp_path / each).write_bytes(data)
    with pytest.raises(BundleError, match=f"bytes is {most + 1}|{name} has {most + 1:,} bytes"):
        Bundle.load(tmp_path)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"x": value}
    return value


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b" " * (1 << 18) + b"{}", "has 262,146 bytes, at most 262,144"),
        (b"[" * 100_000, "nested too deeply, at most 16 levels"),
        (json.dumps({"training": nested(20)}).encode(), "nested too deeply"),
        (b'{"x": 1' + b"0" * 100_000 + b"}", "a whole number of 100001 digits"),
        (b'{"x": 0.' + b"1" * 100_000 + b"}", "a number of 100002 characters"),
        (b'{"x": Infinity}', "Infinity is not a finite number"),
        (b'{"x": 1, "x": 2}', "two fields of one name among ['x']"),
        (b'{"x": "\\ud800"}', "surrogates not allowed"),
        (b'{"\\udfff": 1}', "surrogates not allowed"),
    ],
)
def test_json_that_is_made_to_hurt_is_refused(files: Files, manifest: bytes, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.parse({**files, "manifest.json": manifest})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("golden.json", b"[" + b"[]," * 5_000_000 + b"[]]", "it is none from byte 1"),
        ("golden.json", b'[{"ids":[' + b"[]," * 100_000 + b"[]]}]", "it is none from byte 1"),
        ("golden.json", b'[{"text":"' + b"x" * (1 << 19) + b'"}]', "it is none from byte 1"),
        ("golden.json", b"[" + b"{}," * 2000 + b"{}]", "text 0 cannot be read: KeyError('text')"),
        ("vocabulary.json", b"[" + b"[]," * 50_000 + b"[]]", "it is none from byte 1"),
        ("vocabulary.json", b"[null," + b'"a",' * 600_000 + b'"a"]', "has over 500,000 words"),
        (
            "vocabulary.json",
            b'[null,"' + b"a" * 1001 + b'"]',
            "has 1,001 characters, at most 1,000",
        ),
        ("vocabulary.json", b'[null,"' + b"a" * 70_000 + b'"]', "it is none from byte 6"),
        ("vocabulary.json", b'[null,"\\ud800"]', "surrogates not allowed"),
        ("vocabulary.json", b'[null,"\xff"]', "not valid JSON"),
    ],
)
def test_a_long_array_that_is_no_array_of_its_kind_is_refused_unparsed(
    files: Files, name: str, data: bytes, message: str
) -> None:
    found = refusal({**files, name: data})
    assert found.startswith(f"{name}: ")
    assert message in found


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda text: text * 1001, "more than 1,000 texts or 50,000 tokens"),
        (lambda text: [{**text[0], "ids": [1] * 50_001}], "more than 1,000 texts or 50,000 tokens"),
    ],
)
def test_golden_texts_are_bounded_in_number_and_in_tokens(
    files: Files, change: Callable[[Any], Any], count: str
) -> None:
    golden = change(json.loads(files["golden.json"]))
    assert count in refusal({**files, "golden.json": json.dumps(golden).encode()})


def test_golden_texts_are_bounded_in_what_they_take(files: Files) -> None:
    cost = check_model("model.onnx", files, Bundle.parse(files).manifest, RunLimits()).cost
    limits = RunLimits(max_run_multiplications=2 * cost.multiplications(1, 20))
    Bundle.parse(files, limits=limits)
    golden = json.loads(files["golden.json"]) * 300
    many = signed({**files, "golden.json": json.dumps(golden).encode()})
    Bundle.parse(many)
    with pytest.raises(BundleError, match=r"golden\.json: its texts take .+ multiplications"):
        Bundle.parse(many, limits=limits)


def test_a_long_array_is_parsed_in_pieces_between_which_others_have_their_turn() -> None:
    words = [f'wörd {i} \\ " ,\n]' for i in range(100_000)]
    for indent in (None, 0, 2):
        data = json.dumps(words, indent=indent, ensure_ascii=bool(indent)).encode()
        pieces = list(parse_array("x", data, STRING, "words", 1 << 16))
        assert [word for piece in pieces for word in piece] == words
        assert max(sum(map(len, piece)) for piece in pieces) <= 1 << 16


def test_names_from_a_bundle_are_escaped_and_short_in_messages(files: Files) -> None:
    evil = "\n00:00:00 call code=OK \x1b[2J\u202e" + "x" * 100_000
    for edit in (
        put(evil, value=1),
        put("schema_version", value=evil),
        put("name", value=evil),
        put("created", value=evil),
        put("labels", value=[evil, evil]),
        put("tokenizer", "lower", value=evil),
        put("inputs", "truncation", value=evil),
        put("metrics", value={evil: evil}),
        put("files", evil, value={"bytes": 1, "sha256": "0" * 64}),
    ):
        with pytest.raises(BundleError) as caught:
            Bundle.parse(edited(files, edit))
        message = str(caught.value)
        assert message.isprintable()
        assert len(message) < 500


def test_a_message_of_onnx_runtime_is_escaped_and_short() -> None:
    message = str(BundleError("it says: \x1b[2J\n" + "x" * 1_000_000 + " and that is wrong"))
    assert message.startswith("it says: \\x1b[2J\\nxxx")
    assert message.endswith("xxx and that is wrong")
    assert len(message) < 1100


def edited_graph(files: Files, edit: Callable[[Any], object], name: str = "model.onnx") -> Files:
    model = onnx.load_model_from_string(files[name])
    edit(model.graph)
    return {**files, name: model.SerializeToString()}


def node(operator: str, inputs: list[str], output: str, at: int = 3, **attributes: Any) -> Any:
    """Make an edit of a graph that puts in a node that gives `output`, which was given at `at`."""

    def edit(graph: Any) -> None:
        before = graph.node[at]
        assert output in before.output
        before.output[list(before.output).index(output)] = "before"
        made = onnx.helper.make_node(operator, inputs, [output], **attributes)
        graph.node.insert(at + 1, made)

    return edit


def set_axis(graph: Any) -> None:
    softmax = next(node for node in graph.node if node.op_type == "Softmax")
    softmax.attribute[0].i = 0


def add_tensor(edit: Callable[[Any], None], array: Any) -> Callable[[Any], None]:
    """Make an edit that also stores a tensor, "x"."""

    def both(graph: Any) -> None:
        edit(graph)
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(array), "x"))

    return both


LARGE = np.zeros((1000, 1, 1), np.float32)
ONE = np.ones(1, np.float32)
ONES = np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (set_axis, "'Softmax' that gives ['probabilities']: works along the size batch"),
        (node("Mul", ["before", "lengths"], "hidden"), "combines FLOAT, INT32"),
        (node("Cast", ["lengths"], "hidden", to=11), "attribute to is (11,), not one of"),
        (node("Transpose", ["before"], "hidden"), "works along the size batch"),
        (node("Gemm", ["before", "before"], "hidden"), "multiplies (batch, 3) by (batch, 3)"),
        (node("Gemm", ["before", "D"], "hidden", transA=1), "works along the size batch"),
        (node("Gemm", ["before", "D"], "hidden", alpha=np.inf), "alpha is (inf,), not finite"),
        (node("Add", ["before", "token_ids"], "hidden"), "combines FLOAT, INT32"),
        (node("Concat", ["before", "before"], "hidden", axis=0), "works along the size batch"),
        (add_tensor(node("Add", ["before", "x"], "hidden"), LARGE), "works along the size batch"),
        (add_tensor(node("Add", ["before", "x"], "hidden"), ONES * np.nan), "'x' holds nan"),
        (add_tensor(node("Add", ["before", "x"], "hidden"), ONES * -2e6), "'x' holds 2e+06"),
        (
            add_tensor(node("Mul", ["before", "x"], "probabilities", 5), ONE * 2),
            "the probabilities come out of no operator that gives 0 to 1",
        ),
    ],
)
def test_a_graph_that_could_mix_texts_or_grow_or_give_no_probabilities_is_refused(
    files: Files, edit: Callable[[Any], object], message: str
) -> None:
    found = refusal(edited_graph(files, edit))
    assert found.startswith("model.onnx: ")
    assert message in found


@pytest.mark.parametrize(
    ("operator", "number"), [("Log", -9.0), ("Sqrt", -9.0), ("Exp", 1000.0)], ids=str
)
def test_a_model_whose_answers_are_not_numbers_is_refused_at_its_golden_texts(
    files: Files, operator: str, number: float
) -> None:
    def edit(graph: Any) -> None:
        node(operator, ["moved"], "hidden")(graph)
        graph.node.insert(4, onnx.helper.make_node("Add", ["before", "x"], ["moved"]))

    found = refusal(edited_graph(files, add_tensor(edit, ONE * np.float32(number))))
    assert found.startswith("golden text 0: model.onnx gives probabilities of nan to nan")


def test_a_graph_of_older_operators_with_other_rules_is_refused(files: Files) -> None:
    model = onnx.load_model_from_string(files["model.onnx"])
    model.opset_import[0].version = 12
    found = refusal({**files, "model.onnx": model.SerializeToString()})
    assert found == "model.onnx: opset 12, 13 or a later one up to 21 is needed"


def test_the_name_of_a_size_that_is_not_utf_8_is_refused(files: Files) -> None:
    model = onnx.load_model_from_string(files["model.onnx"])
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "name"
    data = model.SerializeToString().replace(b"name", b"\xbfame")
    assert "model.onnx: not an ONNX model as bundles have them: 'utf-8' codec" in refusal(
        {**files, "model.onnx": data}
    )


def test_probabilities_that_are_one_less_a_sigmoid_are_such(bundle: Bundle) -> None:
    assert [*bundle.predict(["good"]).probabilities.sum(axis=1)] == pytest.approx([1.0])


def test_a_twin_whose_answers_depend_much_on_other_texts_is_refused() -> None:
    # Of a batch with these words the scale is so coarse that the usual ones are all zero.
    made = sized(Sizes())
    weights = np.frombuffer(made["weights.bin"], np.float32).copy()
    weights[4 : 4 * 4] *= 50
    weights[4 * 4 : 50 * 4] *= 1e5
    spoiled = with_twin({**made, "weights.bin": weights.tobytes()})
    spoiled = with_golden(spoiled)
    with pytest.raises(BundleError, match=r"in a batch: the .+ differ from what it gives alone"):
        Bundle.parse(spoiled, "int8")


@pytest.fixture
def folder(files: Files, tmp_path: Path) -> Path:
    """A bundle on disk, and a FIFO beside it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    os.mkfifo(tmp_path / "fifo")
    return folder


@pytest.mark.parametrize("name", ["manifest.json", "golden.json", "weights.bin"])
def test_a_fifo_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(BundleError, match=f"{name} is not a regular file"):
        Bundle.load(folder)


def test_a_folder_in_place_of_a_file_is_refused(folder: Path) -> None:
    (folder / "golden.json").unlink()
    (folder / "golden.json").mkdir()
    with pytest.raises(BundleError, match=r"golden\.json is not a regular file"):
        Bundle.load(folder)


def test_a_link_within_the_folder_is_followed(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "golden.json").rename(folder / "data" / "golden.json")
    (folder / "golden.json").symlink_to("data/golden.json")
    assert Bundle.load(folder).name == "made"


@pytest.mark.parametrize("other", ["a FIFO", "a link that leads out"])
def test_what_is_swapped_in_while_a_bundle_is_opened_is_not_waited_for(
    folder: Path, other: str
) -> None:
    intruder = folder.parent / "fifo"
    if other != "a FIFO":
        intruder = folder.parent / "link"
        intruder.symlink_to("/etc/hostname")
    with swapping(folder / "golden.json", intruder):
        for _ in range(200):
            with suppress(BundleError):
                Bundle.load(folder)


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Swap two paths all the time, atomically, on a thread of its own."""
    library = CDLL(None, use_errno=True)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    paths = os.fsencode(one), os.fsencode(other)
    over = threading.Event()
    failures: list[int] = []

    def swap() -> None:
        while not over.is_set() and not failures:
            if library.renameat2(here, paths[0], here, paths[1], exchange):
                failures.append(get_errno())

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failures


def colliding_words(count: int) -> Iterator[bytes]:
    """Words that all begin at one slot of a `WordTable`, as its hash function is no secret."""
    factors, mask = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F), (1 << 64) - 1
    number = 0
    while count:
        word = b"%016d" % number
        low, high = (int.from_bytes(half, "little") for half in (word[:8], word[8:]))
        mixed = ((low * factors[0] ^ high * factors[1]) * factors[0]) & mask
        number += 1
        if mixed >> 56 == 0:
            count -= 1
            yield word


def test_words_chosen_to_collide_are_found_all_the_same() -> None:
    words = list(colliding_words(300))
    table = WordTable({word: id for id, word in enumerate(words[:200], 1)})
    ids, _ = table.find([b" ".join(words)])
    assert ids.tolist() == [*range(1, 201), *[0] * 100]
