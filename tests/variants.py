"""Bundles that differ a little from the default one, made without training: in the manifest alone,
or in the last layer.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sentido_bundle import Bundle, Cleaner, Tokenizer, Truncation, default_bundle
from sentido_bundle.sections import Inputs, Layout, TokenizerKind, TokenizerRules

LABELS = ("bad", "good", "odd")


def copy(folder: Path, **changes: Any) -> Path:
    """Make the default bundle in a folder, with other fields in its manifest; None: without it.

    It has no evaluation: that would be of other graphs or words.
    """
    folder.mkdir()
    changes |= {"evaluation": None}
    for file in default_bundle().iterdir():
        (folder / file.name).hardlink_to(file)
    manifest = json.loads((folder / "manifest.json").read_bytes()) | changes
    kept = {name: value for name, value in manifest.items() if value is not None}
    del kept["files"]["evaluation.json"]
    (folder / "evaluation.json").unlink()
    _write(folder / "manifest.json", json.dumps(kept).encode())
    return folder


def of_three_labels(folder: Path, **changes: Any) -> Path:
    """Make a bundle with a sigmoid for each of LABELS, which gives the logits, too.

    Its last layer is made of the default one's: the labels' logits are -z, z and z / 2 - 1.
    """
    copy(folder, labels=list(LABELS), logits={}, int8=None, **changes)
    (folder / "model.int8.onnx").unlink()
    model = onnx.load(str(folder / "model.onnx"), load_external_data=False)
    layer = _replace_last_layer(model)
    golden = json.loads((folder / "golden.json").read_bytes())
    for text in golden:
        logits = np.append(np.array(text["hidden"], np.float32), np.float32(1)) @ layer
        text["logits"], text["probabilities"] = logits.tolist(), _sigmoid(logits).tolist()
    _write(folder / "model.onnx", model.SerializeToString())
    _write(folder / "golden.json", json.dumps(golden).encode())
    _sign(folder)
    return folder


def of_characters(folder: Path) -> Path:
    """Make a bundle whose tokens are characters, with an id before all and one for unknown ones."""
    words = [None, None, "", *"abcdefghijklmnopqrstuvwxyz ", "\u0307"]
    tokenizer: dict[str, Any] = {
        **{"kind": "keras", "lower": True, "filters": "", "split": " ", "num_words": None},
        **{"oov_token": "", "char_level": True, "start_id": 1},
    }
    copy(folder, tokenizer=tokenizer, vocabulary_size=len(words), name="letters", int8=None)
    (folder / "model.int8.onnx").unlink()
    golden = json.loads((folder / "golden.json").read_bytes())[:5]
    inputs = Inputs(Layout.LENGTHS, 500, Truncation.PRE)
    rules = TokenizerRules(**tokenizer | {"kind": TokenizerKind.KERAS})
    ids = Tokenizer(words, rules, inputs)
    rows = [ids.encode(text["text"]).ids for text in golden]
    outputs = Bundle.load(default_bundle()).run(rows)
    for index, (text, row) in enumerate(zip(golden, rows, strict=True)):
        text["ids"] = row.tolist()
        text["probabilities"] = outputs.probabilities[index].tolist()
        text["hidden"] = outputs.hidden[index].tolist()
    _write(folder / "vocabulary.json", json.dumps(words).encode())
    _write(folder / "golden.json", json.dumps(golden).encode())
    _sign(folder)
    return folder


def with_cleaning(folder: Path, steps: Sequence[Mapping[str, Any]], **changes: Any) -> Path:
    """Make the default bundle clean texts first, with a few golden texts."""
    copy(folder, cleaning={"steps": len(steps)}, int8=None, **changes)
    (folder / "model.int8.onnx").unlink()
    bundle, cleaner = Bundle.load(default_bundle()), Cleaner(steps)
    manifest = bundle.manifest
    words = bundle.tokenizer.vocabulary
    tokenizer = Tokenizer(words, manifest.tokenizer, manifest.inputs, cleaner)
    golden = json.loads((folder / "golden.json").read_bytes())[:9]
    rows = [tokenizer.encode(text["text"]).ids for text in golden]
    outputs = bundle.run(rows)
    for index, (text, row) in enumerate(zip(golden, rows, strict=True)):
        text["ids"] = row.tolist()
        text["probabilities"] = outputs.probabilities[index].tolist()
        text["hidden"] = outputs.hidden[index].tolist()
    (folder / "cleaning.json").write_bytes(cleaner.dump())
    _write(folder / "golden.json", json.dumps(golden).encode())
    _sign(folder)
    return folder


def _replace_last_layer(model: onnx.ModelProto) -> NDArray[np.float32]:
    """Give a graph another Dense layer; return its kernel and, in the last row, its bias."""
    graph = model.graph
    held = {tensor.name: tensor for tensor in graph.initializer}
    (product,), (add,) = (
        [n for n in graph.node if n.op_type == kind] for kind in ("MatMul", "Add")
    )
    kernel, bias = held[product.input[1]], held[add.input[1]]
    old = np.vstack([numpy_helper.to_array(kernel), numpy_helper.to_array(bias)[None]])
    layer = np.hstack([-old, old, old / 2]).astype(np.float32)
    layer[-1, 2] -= 1
    kernel.CopyFrom(numpy_helper.from_array(layer[:-1], kernel.name))
    bias.CopyFrom(numpy_helper.from_array(layer[-1], bias.name))
    for node in [n for n in graph.node if n.op_type in ("Sigmoid", "Sub", "Concat")]:
        if node.op_type == "Sub":  # the 1 of which it takes a probability
            graph.initializer.remove(held[node.input[0]])
        graph.node.remove(node)
    add.output[0] = "logits"
    graph.node.append(helper.make_node("Sigmoid", ["logits"], ["probabilities"]))
    (hidden,) = [output for output in graph.output if output.name == "hidden"]
    del graph.output[:]
    for name in ("probabilities", "logits"):
        shape = ["batch", len(LABELS)]
        graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    graph.output.append(hidden)
    return layer


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _write(path: Path, data: bytes) -> None:
    """Write a file of its own in the place of a link."""
    path.unlink()
    path.write_bytes(data)


def _sign(folder: Path) -> None:
    """Make the manifest agree with the files."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    names = [file.name for file in folder.iterdir() if file.name != "manifest.json"]
    manifest["files"] = {
        name: {
            "bytes": len(data := (folder / name).read_bytes()),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for name in names
    }
    _write(folder / "manifest.json", json.dumps(manifest).encode())
