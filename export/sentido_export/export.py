"""The export, step by step: load, split, fit, train, evaluate, convert, verify, write."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sentido_bundle import (
    Bundle,
    BundleError,
    Dimensions,
    GoldenText,
    Graphs,
    Manifest,
    Parity,
    Precision,
    Preprocessing,
    Tokenizer,
    Truncation,
    bounds,
    check_target,
    fit_vocabulary,
    pack_bundle,
    write_bundle,
)
from sentido_bundle.files import check_word_lengths
from sentido_bundle.manifest import check_cost, check_labels

from sentido_export import data
from sentido_export.errors import ExportError
from sentido_export.recipe import Recipe

KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""The default of Keras' Tokenizer."""

_PARITY_TEXTS = 1000


@dataclass(frozen=True)
class Options:
    """What to export, and where to."""

    data: str
    text_column: str
    label_column: str
    out: Path
    name: str
    model_version: str
    recipe_name: str
    recipe: Recipe
    limit: int | None
    validation: float
    min_accuracy: float
    int8: bool
    seed: int


def export(options: Options) -> Bundle:
    """Train a classifier and write it as a bundle. Raises ExportError or BundleError."""
    recipe, seed = options.recipe, options.seed
    check_target(options.out)
    preprocessing = keras_preprocessing(recipe.words, recipe.max_tokens)
    _check_sizes(preprocessing, recipe)
    parts = _load(options)
    vocabulary, found = fit_vocabulary(parts.train.texts, preprocessing)
    print(f"Found {found:,} unique tokens.", flush=True)
    if found == 0:
        raise ExportError(f"{options.data}: the training texts hold no word")
    _check_data(options.data, parts.train.label_names, vocabulary, recipe)
    tokenizer = Tokenizer(vocabulary, preprocessing)

    print("Starting TensorFlow ...", flush=True)  # only now: what is wrong is said at once
    import tensorflow

    from sentido_export import train, verify
    from sentido_export.convert import convert
    from sentido_export.model import build, set_seed

    set_seed(seed)
    layers = build(recipe, len(vocabulary), len(parts.train.label_names))
    layers.model.summary()
    weights_of = train.train(layers, tokenizer, parts, recipe, seed)
    metrics = train.evaluate(layers, tokenizer, parts.test)
    if metrics["accuracy"] < options.min_accuracy:
        raise ExportError(
            f"accuracy is {metrics['accuracy']:.4f} on {len(parts.test)} held-out texts,"
            f" --min-accuracy asks for {options.min_accuracy:g}: no bundle was written"
        )

    print("Converting to ONNX and comparing with Keras ...")
    graphs = convert(layers)
    golden = verify.golden_answers(layers, tokenizer)
    manifest = Manifest(
        schema_version=1,
        name=options.name,
        version=options.model_version,
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        labels=parts.train.label_names,
        preprocessing=preprocessing,
        dimensions=Dimensions(len(vocabulary), recipe.dimensions, recipe.units),
        training=_training_facts(options, parts, found, weights_of),
        metrics=metrics,
        parity=Parity(texts=0, largest_difference=0.0, tolerance=verify.TOLERANCE),
        tools={"tensorflow": tensorflow.__version__, **_tool_versions()},
    )
    unproven = Bundle.parse(pack_bundle(manifest, vocabulary, graphs, golden))
    held_out = [*parts.test.texts, *parts.validation.texts, *parts.train.texts]
    parity = verify.compare(layers, unproven, held_out[:_PARITY_TEXTS])
    manifest = dataclasses.replace(manifest, parity=parity)
    if options.int8:
        print("Quantizing to int8 and comparing with fp32 ...")
        manifest, graphs = _add_int8(manifest, vocabulary, graphs, golden, parts.test)
    return write_bundle(options.out, pack_bundle(manifest, vocabulary, graphs, golden))


def _check_sizes(preprocessing: Preprocessing, recipe: Recipe) -> None:
    """Raise ExportError if a bundle of such a model would be refused: before it is trained."""
    try:
        sizes = Dimensions(recipe.words, recipe.dimensions, recipe.units)
        check_cost(preprocessing, sizes)
    except ValueError as error:
        raise ExportError(f"a bundle of this model could not be loaded: {error}") from error


def _check_data(
    source: str, labels: Sequence[str], vocabulary: Sequence[str], recipe: Recipe
) -> None:
    """Raise ExportError if a bundle with these labels and words would be refused."""
    try:
        check_labels(labels)
        check_word_lengths(vocabulary)
    except (ValueError, BundleError) as error:
        raise ExportError(f"{source}: {error}: no bundle could hold that") from error
    inputs, units = recipe.dimensions, recipe.units
    numbers = len(vocabulary) * inputs + 4 * units * (inputs + units + 2) + len(labels) * units
    if 4 * numbers > bounds.WEIGHTS_BYTES:
        raise ExportError(
            f"{len(vocabulary):,} words of {inputs:,} dimensions and {units:,} units are"
            f" {4 * numbers:,} bytes of weights, a bundle holds at most {bounds.WEIGHTS_BYTES:,}:"
            " choose fewer"
        )


def keras_preprocessing(num_words: int, max_tokens: int) -> Preprocessing:
    """Give the defaults of Keras' `Tokenizer` and `pad_sequences`."""
    return Preprocessing(
        lower=True,
        filters=KERAS_FILTERS,
        split=" ",
        num_words=num_words,
        oov_token=None,
        max_tokens=max_tokens,
        truncation=Truncation.PRE,
    )


def _add_int8(
    manifest: Manifest,
    vocabulary: Sequence[str],
    graphs: Graphs,
    golden: Sequence[GoldenText],
    held_out: data.Dataset,
) -> tuple[Manifest, Graphs]:
    """Add the int8 twin and what it gives up; or nothing but a line that says why not."""
    from sentido_export import quantize

    try:
        with_twin = dataclasses.replace(graphs, int8=quantize.quantize(graphs))
        unmeasured = dataclasses.replace(manifest, int8=quantize.UNMEASURED)
        files = pack_bundle(unmeasured, vocabulary, with_twin, golden)
        fp32, int8 = Bundle.parse(files), Bundle.parse(files, Precision.INT8)
        found = quantize.measure(fp32, int8, held_out, golden, manifest.metrics["accuracy"])
    except (BundleError, ExportError) as error:
        print(f"The bundle will hold no int8 twin: {error}")
        return manifest, graphs
    return dataclasses.replace(manifest, int8=found), with_twin


def _load(options: Options) -> data.Split:
    texts = data.load(options.data, options.text_column, options.label_column)
    distinct, conflicts = data.drop_duplicates(texts)
    print(f"Loaded {len(texts):,} texts from {options.data}.")
    if len(distinct) < len(texts):
        dropped = f"Dropped {len(texts) - len(distinct):,} that stand there twice"
        print(dropped + (f", {conflicts:,} of them with another label." if conflicts else "."))
    if options.limit is not None:
        distinct = data.draw(distinct, options.limit, options.seed)
        print(f"Drew {len(distinct):,} of them at random.")
    return data.split(distinct, options.validation, options.seed)


def _training_facts(
    options: Options, parts: data.Split, found: int, weights_of: str
) -> dict[str, object]:
    return {
        "data": options.data if options.data == data.REVIEWS else Path(options.data).name,
        "texts": {
            "train": len(parts.train),
            "validation": len(parts.validation),
            "test": len(parts.test),
        },
        "unique_tokens": found,
        "recipe": options.recipe_name,
        "settings": dataclasses.asdict(options.recipe),
        "mask": True,
        "seed": options.seed,
        "weights": weights_of,
    }


def _tool_versions() -> dict[str, str]:
    packages = ("sentido-export", "keras", "tf2onnx", "onnx", "onnxruntime", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **versions}
