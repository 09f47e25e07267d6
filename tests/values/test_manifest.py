"""The manifest: what it can say, and how what it must not say is refused by its field."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import second_model
from conftest import UNITS
from sentido_bundle import (
    Bundle,
    BundleError,
    Inputs,
    Layout,
    Manifest,
    MissingCapabilityError,
    Padding,
    Truncation,
    default_bundle,
)
from sentido_bundle.layouts import layout_of

MANIFEST = json.loads((default_bundle() / "manifest.json").read_bytes())


CAPABILITY_FILES = {
    "steps": "steps.onnx",
    "int8": "model.int8.onnx",
    "evaluation": "evaluation.json",
}


def parse(edit: Callable[[Any], object]) -> Manifest:
    manifest = json.loads(json.dumps(MANIFEST))
    take(manifest, "evaluation")
    edit(manifest)
    return Manifest.parse(json.dumps(manifest).encode())


def take(manifest: Any, *names: str) -> None:
    """Take capabilities out, and their files."""
    for name in names:
        del manifest[name]
    for name, file in CAPABILITY_FILES.items():
        if name in names:
            del manifest["files"][file]


def evaluated(manifest: Any, **changes: Any) -> Any:
    """Put in what a bundle with an evaluation says of it; return the manifest."""
    manifest["evaluation"] = {"texts": 10, "accuracy": 0.9, "macro_f1": 0.5, **changes}
    manifest["files"]["evaluation.json"] = {"bytes": 3, "sha256": "0" * 64}
    return manifest


def multi_label(*thresholds: Any) -> dict[str, Any]:
    return {"kind": "multi_label", "thresholds": list(thresholds)}


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: m.pop("task"), "task is missing"),
        (lambda m: m["task"].update(kind="several"), "task.kind is 'several', not one of"),
        (lambda m: m["task"].update(thresholds=[0.5]), "task.thresholds are of the task multi"),
        (lambda m: m.update(task=multi_label(0.5)), "task.thresholds are 1, one for each of the 2"),
        (lambda m: m.update(task=multi_label(0.5, 1.5)), "task.thresholds[1] is 1.5, it must be 0"),
        (lambda m: m.update(task=multi_label(0.5, "1")), "task.thresholds[1] is '1', a number"),
        (lambda m: m.update(task=multi_label(), labels=[]), "labels are []: 1 or more are needed"),
        (lambda m: m["tokenizer"].update(kind="bytes"), "tokenizer.kind is 'bytes', not one of"),
        (lambda m: m["tokenizer"].update(char_level=1), "tokenizer.char_level is 1, true or false"),
        (lambda m: m["tokenizer"].update(analyzer="x"), "unknown field tokenizer.analyzer"),
        (
            lambda m: m["tokenizer"].update(kind="text_vectorization", filters="!?"),
            "tokenizer.filters are '!?': of text_vectorization they are all ASCII punctuation",
        ),
        (
            lambda m: m["tokenizer"].update(kind="text_vectorization", filters="", start_id=1),
            "tokenizer.start_id is 1, of text_vectorization it must be None",
        ),
        (
            lambda m: m["tokenizer"].update(kind="text_vectorization", filters="", split=","),
            "tokenizer.split is ',', of text_vectorization it must be ' '",
        ),
        (lambda m: m["tokenizer"].update(num_words=0), "tokenizer.num_words is 0, it must be 1"),
        (lambda m: m["inputs"].update(layout="ragged"), "inputs.layout is 'ragged', not one of"),
        (lambda m: m["inputs"].update(padding="pre"), "inputs.padding is pre, but in the layout"),
        (lambda m: m["inputs"].update(layout="fixed"), "inputs.padding is missing: the layout"),
        (
            lambda m: m["inputs"].update(layout="fixed", padding="left"),
            "inputs.padding is 'left', not one of ['pre', 'post']",
        ),
        (
            lambda m: m["inputs"].update(layout="fixed", padding="pre"),
            "steps are there, but inputs.layout is fixed: lengths is needed",
        ),
        (
            lambda m: m["inputs"].update(layout="alone"),
            "steps are there, but inputs.layout is alone: lengths is needed",
        ),
        (lambda m: m.pop("same_bits"), "same_bits is missing"),
        (lambda m: m.update(cleaned_by_caller="no"), "cleaned_by_caller is 'no', true or false"),
        (lambda m: m.update(hidden={}), "hidden.size is missing"),
        (lambda m: m.update(hidden=True), "hidden is True, an object is needed"),
        (lambda m: m["steps"].update(size=0), "steps.size is 0, it must be 1 to"),
        (lambda m: m.update(word_vectors={"size": 2.0}), "word_vectors.size is 2.0, a whole"),
        (lambda m: m.update(logits={"size": 2}), "unknown field logits.size"),
        (lambda m: m["parity"].update(against="tf2onnx"), "parity.against is 'tf2onnx', not one"),
        (lambda m: m["parity"].pop("against"), "parity.against is missing"),
        (lambda m: m.pop("steps"), "files lists steps.onnx, but steps is missing"),
        (lambda m: m["files"].pop("steps.onnx"), "files does not list steps.onnx"),
        (lambda m: m.update(cleaning={"kind": "html"}), "unknown field cleaning.kind"),
        (lambda m: m.update(word_map={}), "unknown field word_map"),
        (lambda m: m.update(dimensions={"hidden": 100}), "unknown field dimensions"),
        (lambda m: evaluated(m, accuracy=1.5), "evaluation.accuracy is 1.5, not within 0 to 1"),
        (lambda m: evaluated(m, texts=0), "evaluation.texts is 0, it must be 1"),
        (lambda m: m.update(evaluation={}), "evaluation.texts is missing"),
        (
            lambda m: evaluated(m).pop("evaluation"),
            "files lists evaluation.json, but evaluation is missing",
        ),
        (
            lambda m: evaluated(m)["files"].pop("evaluation.json"),
            "files does not list evaluation.json",
        ),
    ],
)
def test_what_it_must_not_say_is_refused_by_its_field(
    edit: Callable[[Any], object], message: str
) -> None:
    with pytest.raises(BundleError) as caught:
        parse(edit)
    assert str(caught.value).startswith(f"manifest.json: {message}")


@pytest.mark.parametrize(
    ("edit", "capabilities"),
    [
        (lambda _: None, ("hidden", "steps", "word_vectors", "int8")),
        (lambda m: m.update(logits={}), ("hidden", "steps", "word_vectors", "logits", "int8")),
        (lambda m: take(m, "steps", "int8"), ("hidden", "word_vectors")),
        (lambda m: take(m, "hidden", "steps", "word_vectors", "int8"), ()),
        (lambda m: m.update(metrics={}, tools={}, training={}), None),
        (evaluated, ("hidden", "steps", "word_vectors", "int8", "evaluation")),
        (lambda m: m["tokenizer"].update(oov_token="", num_words=None, char_level=True), None),
        (lambda m: m["tokenizer"].update(kind="text_vectorization", filters=""), None),
        (lambda m: m.update(cleaned_by_caller=True, same_bits=False), None),
        (lambda m: m.update(task=multi_label(0, 1)), None),
        (lambda m: m.update(task=multi_label(0.5), labels=["toxic"]), None),
        (lambda m: m["parity"].update(against="check"), None),
        (lambda m: m["int8"].pop("largest_difference_hidden"), None),
    ],
)
def test_what_it_may_say_is_read_and_written_again(
    edit: Callable[[Any], object], capabilities: tuple[str, ...] | None
) -> None:
    manifest = parse(edit)
    assert Manifest.parse(manifest.dump()) == manifest
    if capabilities is not None:
        assert manifest.capabilities == capabilities


def test_a_capability_that_is_missing_is_not_written() -> None:
    manifest = parse(lambda m: take(m, "steps", "int8"))
    assert not {"steps", "int8", "logits"} & json.loads(manifest.dump()).keys()
    assert "thresholds" not in json.loads(manifest.dump())["task"]


@pytest.mark.parametrize(
    ("padding", "rows"),
    [(Padding.PRE, [[0, 0, 7, 8], [0, 0, 0, 0]]), (Padding.POST, [[7, 8, 0, 0], [0, 0, 0, 0]])],
)
def test_a_fixed_layout_pads_each_text_to_one_length_on_its_side(
    padding: Padding, rows: list[list[int]]
) -> None:
    layout = layout_of(Inputs(Layout.FIXED, 4, Truncation.PRE, padding))
    texts = [np.array([7, 8], np.int32), np.array([], np.int32)]
    (token_ids,) = layout.inputs(texts).values()
    assert token_ids.tolist() == rows
    assert [layout.cost(ids) for ids in texts] == [4, 4]


def test_the_other_layouts_cost_what_they_read() -> None:
    texts = [np.array([7, 8], np.int32), np.array([], np.int32)]
    lengths, alone = (
        layout_of(Inputs(kind, 4, Truncation.PRE)) for kind in (Layout.LENGTHS, Layout.ALONE)
    )
    assert [lengths.cost(ids) for ids in texts] == [alone.cost(ids) for ids in texts] == [2, 1]
    found = lengths.inputs(texts)
    assert found["token_ids"].tolist() == [[7, 8], [0, 0]]
    assert found["lengths"].tolist() == [2, 0]
    assert alone.most_rows == 1
    assert {name: ids.tolist() for name, ids in alone.inputs(texts[1:]).items()} == {
        "token_ids": [[0]]
    }


def without(*names: str) -> Bundle:
    """Load the default bundle without some capabilities of which no graph knows."""
    files = {file.name: file.read_bytes() for file in default_bundle().iterdir()}
    manifest = json.loads(files["manifest.json"])
    take(manifest, *names)
    return Bundle.parse({**files, "manifest.json": json.dumps(manifest).encode()})


def test_what_a_bundle_lacks_is_one_error_in_process() -> None:
    bundle = without("steps", "word_vectors", "int8", "evaluation")
    assert bundle.capabilities == ("hidden",)
    for ask, capability in (
        (lambda: bundle.run_steps(np.array([1], np.int32)), "steps"),
        (lambda: bundle.graph_of("steps"), "steps"),
        (lambda: bundle.token_vectors("hidden"), "steps"),
        (lambda: bundle.token_vectors("word"), "word_vectors"),
        (lambda: bundle.text_vectors("mean"), "word_vectors"),
        (lambda: bundle.word_vectors, "word_vectors"),
        (lambda: bundle.require("int8"), "int8"),
        (lambda: bundle.predict(["good"]).logits, "logits"),
    ):
        with pytest.raises(MissingCapabilityError, match=f"model 'imdb' has no .*{capability}"):
            ask()
    assert bundle.text_vectors("hidden").of(np.array([5], np.int32)).shape == (UNITS,)


def test_a_missing_twin_is_that_error_with_what_to_do_and_survives_a_pickle(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "bundle"
    second_model.write(folder)
    with pytest.raises(MissingCapabilityError) as caught:
        Bundle.load(folder, "int8")
    for error in (caught.value, pickle.loads(pickle.dumps(caught.value))):
        assert (error.model, error.capability) == ("second", "int8")
        assert str(error) == (
            f"bundle {folder}: model 'second' has no int8 twin (capability int8): choose the"
            " precision fp32, or train a model with sentido-export and without --no-int8"
        )
