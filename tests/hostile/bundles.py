"""Good bundles of any size, made without training, with random weights."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sentido_bundle import Graphs
from sentido_bundle.layouts import layout_of
from sentido_bundle.manifest import INT8_MODEL, Manifest
from sentido_bundle.session import open_session
from sentido_export.quantize import quantize

Files = dict[str, bytes]


@dataclass(frozen=True)
class Sizes:
    """What a made bundle is like."""

    vocabulary: int = 50
    embedding: int = 4
    hidden: int = 3
    labels: Sequence[str] = ("negative", "positive")
    max_tokens: int = 20
    word: str = "w{}"


def sized(sizes: Sizes, **rules: object) -> Files:
    """Make a bundle that loads, if a bundle may have these sizes and settings at all."""
    random = np.random.default_rng(0)
    hidden, count = sizes.hidden, len(sizes.labels)
    tensors = {
        "embedding_matrix": (sizes.vocabulary, sizes.embedding),
        "W": (1, 4 * hidden, sizes.embedding),
        "R": (1, 4 * hidden, hidden),
        "B": (1, 8 * hidden),
        "D": (hidden, count),
    }
    data, stored = bytearray(), {}
    for name, shape in tensors.items():
        data.extend(bytes(-len(data) % 64))
        numbers = random.normal(0, 0.1, shape).astype(np.float32)
        stored[name] = _external(name, shape, len(data), numbers.nbytes)
        data.extend(numbers.tobytes())
    axis, steps_axis = (
        numpy_helper.from_array(np.array([number], np.int64), "axis") for number in (0, 1)
    )
    model = _model(
        [
            helper.make_node("Squeeze", ["last", "axis"], ["hidden"]),
            helper.make_node("MatMul", ["hidden", "D"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
        ],
        [*stored.values(), axis],
        {"probabilities": ["b", count], "hidden": ["b", hidden]},
        hidden,
    )
    del stored["D"]
    steps = _model(
        [
            helper.make_node("Squeeze", ["states", "axis"], ["squeezed"]),
            helper.make_node("Transpose", ["squeezed"], ["steps"], perm=[1, 0, 2]),
        ],
        [*stored.values(), steps_axis],
        {"steps": ["b", "t", hidden]},
        hidden,
    )
    words = [None, *(sizes.word.format(i) for i in range(1, sizes.vocabulary))]
    files = {
        "model.onnx": model,
        "steps.onnx": steps,
        "weights.bin": bytes(data),
        "vocabulary.json": json.dumps(words, indent=0).encode(),
    }
    manifest = {
        **manifest_of(sizes, rules),
        "labels": list(sizes.labels),
        "task": {"kind": "single"},
        "inputs": {"layout": "lengths", "length": sizes.max_tokens, "truncation": "pre"},
        "hidden": {"size": hidden},
        "steps": {"size": hidden},
        "word_vectors": {"size": sizes.embedding},
    }
    return with_golden({"manifest.json": json.dumps(manifest).encode(), **files})


def manifest_of(sizes: Sizes, rules: Mapping[str, object]) -> dict[str, object]:
    """Return what the manifests of all made bundles have in common."""
    return {
        "schema_version": 2,
        "name": "made",
        "version": "1",
        "created": "2026-01-01T00:00:00Z",
        "tokenizer": {
            "kind": "keras",
            "lower": True,
            "filters": "!.",
            "split": " ",
            "num_words": max(2, sizes.vocabulary),
            "oov_token": None,
            **rules,
        },
        "vocabulary_size": sizes.vocabulary,
        "same_bits": True,
        "cleaned_by_caller": False,
        "training": {},
        "metrics": {"accuracy": 0.5},
        "parity": {"against": "keras", "texts": 0, "largest_difference": 0.0, "tolerance": 1e-5},
        "tools": {},
        "files": {},
    }


def with_cleaning(files: Files) -> Files:
    """Let a bundle take steps that leave its golden text as it is."""
    steps = [
        {"lower": True},
        {"replace": r"\s*<[^>]*>", "with": " "},
        {"replace": "[^a-z0-9!.]+", "with": " "},
        {"replace_words": {"e": "w1", "x": "w2 w3"}},
        {"remove_words": ["y", "z"]},
    ]
    manifest = json.loads(files["manifest.json"]) | {"cleaning": {"steps": len(steps)}}
    whole = {**files, "cleaning.json": json.dumps(steps).encode()}
    return signed({**whole, "manifest.json": json.dumps(manifest).encode()})


def with_golden(files: Files) -> Files:
    """Ask ONNX Runtime itself for one golden text, and make the manifest agree with the files.

    Raises BundleError for a manifest that cannot be read.
    """
    files = signed({**files, "golden.json": b""})
    manifest = Manifest.parse(files["manifest.json"])
    words = json.loads(files["vocabulary.json"])
    ids: NDArray[np.int32] = np.arange(1, min(4, len(words)), dtype=np.int32)
    ids = ids[-manifest.inputs.length :]
    session = open_session("model.onnx", files)
    names = [*manifest.outputs()]
    answers = session.run(names, layout_of(manifest.inputs).inputs([ids]))
    golden = {
        "text": manifest.tokenizer.split.join(words[i] or "" for i in ids),
        "ids": ids.tolist(),
        **{name: np.asarray(row)[0].tolist() for name, row in zip(names, answers, strict=True)},
    }
    return signed({**files, "golden.json": json.dumps([golden]).encode()})


def signed(files: Files) -> Files:
    """Make the manifest agree with the files."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in files.items()
        if name != "manifest.json"
    }
    return {**files, "manifest.json": json.dumps(manifest).encode()}


def _external(name: str, shape: Sequence[int], offset: int, length: int) -> onnx.TensorProto:
    item = onnx.TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape)
    item.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights.bin"), ("offset", offset), ("length", length)):
        item.external_data.add(key=key, value=str(value))
    return item


def _model(
    head: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto],
    outputs: dict[str, list[str | int]],
    hidden: int,
) -> bytes:
    nodes = [
        helper.make_node("Gather", ["embedding_matrix", "token_ids"], ["embeddings"], axis=0),
        helper.make_node("Transpose", ["embeddings"], ["turned"], perm=[1, 0, 2]),
        helper.make_node(
            "LSTM", ["turned", "W", "R", "B", "lengths"], ["states", "last"], hidden_size=hidden
        ),
        *head,
    ]
    return graph_of(nodes, tensors, {"token_ids": ["b", "t"], "lengths": ["b"]}, outputs)


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    tensors: Sequence[onnx.TensorProto],
    inputs: dict[str, list[str | int]],
    outputs: dict[str, list[str | int]],
) -> bytes:
    values = [
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]
        for shapes, kind in ((inputs, TensorProto.INT32), (outputs, TensorProto.FLOAT))
    ]
    graph = helper.make_graph(list(nodes), "made", *values, initializer=list(tensors))
    opset = helper.make_opsetid("", 18)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())


def with_twin(files: Files) -> Files:
    """Add an int8 twin to a made bundle."""
    graphs = Graphs(files["model.onnx"], files["weights.bin"], files["steps.onnx"])
    manifest = json.loads(files["manifest.json"])
    manifest["int8"] = {
        "texts": 1,
        "accuracy": 0.5,
        "accuracy_loss": 0.0,
        "largest_difference_probabilities": 0.1,
        "largest_difference_hidden": 0.1,
        "tolerance": 0.1,
    }
    return signed(
        {**files, "manifest.json": json.dumps(manifest).encode(), INT8_MODEL: quantize(graphs)}
    )
