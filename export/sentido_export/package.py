"""The last step of an export: from graphs and Keras' answers to a verified bundle on disk.

A model that was trained elsewhere enters here, too: what this step needs to know of it is an
`Adapted`, whoever made it.
"""

import importlib.metadata
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sentido_bundle import (
    Against,
    Bundle,
    BundleError,
    Cleaner,
    Cleaning,
    Evaluation,
    GoldenText,
    Graphs,
    Inputs,
    Logits,
    Manifest,
    Parity,
    Precision,
    Task,
    Tokenizer,
    TokenizerRules,
    Vectors,
    cpus,
    pack_bundle,
    write_bundle,
)
from sentido_evaluate import Suite
from sentido_evaluate.stored import dump, evaluate_texts
from sentido_evaluate.truth import Held

from sentido_export import verify
from sentido_export.data import Dataset
from sentido_export.errors import ExportError
from sentido_export.machine import created
from sentido_export.remembered import Answer, Remembered


@dataclass(frozen=True)
class Adapted:
    """A model as graphs, with all that a bundle says of them and the Keras model behind them."""

    labels: tuple[str, ...]
    task: Task
    tokenizer: TokenizerRules
    vocabulary: Sequence[str | None]  # index = id; None: an id without a word, 0 among them
    inputs: Inputs
    graphs: Graphs  # `int8` is made by `package`
    answer: Remembered  # Keras' own, for every output of `graphs.model`, and LAST_STEP
    against: Against
    same_bits: bool
    cleaned_by_caller: bool = False
    cleaner: Cleaner | None = None  # takes the steps that come before the tokenizer
    hidden: Vectors | None = None
    steps: Vectors | None = None
    word_vectors: Vectors | None = None
    logits: Logits | None = None


@dataclass(frozen=True)
class Facts:
    """What the manifest also records: of the model, its training and the tools."""

    name: str
    version: str
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)  # beside those of `tool_versions`


@dataclass(frozen=True)
class Judged:
    """Labelled texts that a bundle is evaluated on, and what else its evaluation says."""

    texts: Iterable[str]  # gone through once
    truth: Sequence[Held]  # of each text
    suites: Sequence[Suite] = ()  # checks of behaviour
    more: Mapping[str, Any] = field(default_factory=dict)


def package(
    out: Path,
    model: Adapted,
    facts: Facts,
    texts: Sequence[str],
    held_out: Dataset | None = None,
    judged: Judged | None = None,
    *,
    int8: bool = True,
    choose: Callable[[Bundle], Task] | None = None,
) -> Bundle:
    """Write a bundle to the new folder `out`; return it, loaded from there.

    Parity is measured on the golden texts and on `texts`; the accuracy of an int8 twin, if one is
    wanted, on `held_out`, the texts of the metrics' accuracy; and on `judged` the bundle is
    evaluated. `choose`: chooses thresholds by the bundle's answers. Raises ExportError or
    BundleError, and writes nothing then.
    """
    golden = verify.golden_answers(
        model.answer, Tokenizer(model.vocabulary, model.tokenizer, model.inputs, model.cleaner)
    )
    manifest = _manifest(model, facts)
    unproven = Bundle.parse(_packed(model, manifest, model.graphs, golden))
    threads = cpus.granted()
    onnx = Remembered(lambda ids: unproven.run(ids, threads=threads).arrays)
    parity = verify.compare(model.answer, onnx, unproven.tokenizer, texts, model.against)
    task = model.task if choose is None else choose(unproven)
    manifest, graphs = replace(manifest, parity=parity, task=task), model.graphs
    if held_out is not None and int8:
        print("Quantizing to int8 and comparing with fp32 ...")
        manifest, graphs = _add_int8(manifest, model, golden, held_out, onnx)
    files = _packed(model, manifest, graphs, golden)
    if judged is not None:
        known = None if held_out is None else onnx  # of other texts nothing is kept
        section, data = _evaluated(Bundle.parse(files), judged, known)
        manifest = replace(manifest, evaluation=section)
        files = _packed(model, manifest, graphs, golden, data)
    return write_bundle(out, files)


def _packed(
    model: Adapted,
    manifest: Manifest,
    graphs: Graphs,
    golden: Sequence[GoldenText],
    evaluation: bytes | None = None,
) -> dict[str, bytes]:
    cleaning = None if model.cleaner is None else model.cleaner.dump()
    return pack_bundle(manifest, model.vocabulary, graphs, golden, evaluation, cleaning)


def _evaluated(bundle: Bundle, judged: Judged, known: Answer | None) -> tuple[Evaluation, bytes]:
    """Evaluate a bundle; return what its manifest and its evaluation.json say of that.

    `known`: gives what the bundle answers, in the place of the bundle.
    """
    evaluation = evaluate_texts(bundle, judged.texts, judged.truth, judged.suites, known)
    evaluation |= judged.more
    accuracy, macro_f1 = evaluation["accuracy"]["value"], evaluation["macro_f1"]
    section = Evaluation(len(judged.truth), accuracy, macro_f1)
    return section, dump(evaluation, bundle.manifest)


def _manifest(model: Adapted, facts: Facts) -> Manifest:
    """Return the manifest, with parity that is still to be measured."""
    try:
        return Manifest(
            schema_version=2,
            name=facts.name,
            version=facts.version,
            created=created(),
            labels=model.labels,
            task=model.task,
            tokenizer=model.tokenizer,
            vocabulary_size=len(model.vocabulary),
            inputs=model.inputs,
            same_bits=model.same_bits,
            cleaned_by_caller=model.cleaned_by_caller,
            parity=Parity(model.against, 0, 0.0, verify.TOLERANCE),
            training=dict(facts.training),
            metrics=dict(facts.metrics),
            tools={**facts.tools, **tool_versions()},
            hidden=model.hidden,
            steps=model.steps,
            word_vectors=model.word_vectors,
            logits=model.logits,
            cleaning=None if model.cleaner is None else Cleaning(len(model.cleaner)),
        )
    except ValueError as error:
        raise ExportError(f"no bundle can hold this model: {error}") from error


def _add_int8(
    manifest: Manifest,
    model: Adapted,
    golden: Sequence[GoldenText],
    held_out: Dataset,
    fp32: Answer,
) -> tuple[Manifest, Graphs]:
    """Add the int8 twin and what it gives up; or nothing but a line that says why not."""
    from sentido_export import quantize

    graphs = model.graphs
    try:
        with_twin = replace(graphs, int8=quantize.quantize(graphs))
        unmeasured = replace(manifest, int8=quantize.UNMEASURED)
        files = _packed(model, unmeasured, with_twin, golden)
        int8 = Bundle.parse(files, Precision.INT8)
        found = quantize.measure(fp32, int8, held_out, golden, manifest.metrics["accuracy"])
    except (BundleError, ExportError) as error:
        print(f"The bundle will hold no int8 twin: {error}")
        return manifest, graphs
    return replace(manifest, int8=found), with_twin


def tool_versions() -> dict[str, str]:
    """Return the versions of what an export is made with."""
    packages = ("sentido-export", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **versions}
