"""The export of a model that is trained here, in three steps: train, adapt, package.

A model that was trained elsewhere enters at the second, with an `Adapted` of its own.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentido_bundle import (
    Against,
    Bundle,
    BundleError,
    Inputs,
    Layout,
    Task,
    TaskKind,
    Tokenizer,
    TokenizerKind,
    TokenizerRules,
    Truncation,
    Vectors,
    bounds,
    check_target,
    fit_vocabulary,
)
from sentido_bundle.fields import require_within
from sentido_bundle.files import check_word_lengths
from sentido_bundle.manifest import check_cost
from sentido_bundle.sections import check_labels
from sentido_evaluate import read_suite
from sentido_score.files.names import shown

from sentido_export import data, remarks
from sentido_export.cleaning import read_cleaning
from sentido_export.errors import ExportError
from sentido_export.further import Further, split_further
from sentido_export.labels import listed
from sentido_export.machine import check_memory, check_room, memory_in_words
from sentido_export.options import Options
from sentido_export.package import Adapted, Facts, Judged, package
from sentido_export.recipe import Recipe
from sentido_export.remembered import Remembered
from sentido_export.report import check_report, write_report
from sentido_export.templates import Templates

if TYPE_CHECKING:
    from sentido_export.model import Layers

KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""The default of Keras' Tokenizer."""

_PARITY_TEXTS = 1000


@dataclass(frozen=True)
class Trained:
    """What training gave: a Keras model, its vocabulary, and what was measured of it."""

    layers: "Layers"
    answer: Remembered  # what the layers give
    tokenizer: Tokenizer
    inputs: Inputs
    parts: data.Split
    facts: Facts
    course: Mapping[str, Any]  # of training, as its curves are drawn
    cleaned_by_caller: bool = False


def export(options: Options) -> Bundle:
    """Train a classifier and write it as a bundle. Raises ExportError or BundleError."""
    check_target(options.out)
    check_report(options.out)
    with memory_in_words():
        trained = train(options)
        print("Converting to ONNX and comparing with Keras ...")
        model, parts = adapt(trained), trained.parts
        held_out = [*parts.test.texts, *parts.validation.texts, *parts.train.texts]
        bundle = package(
            options.out,
            model,
            trained.facts,
            held_out[:_PARITY_TEXTS],
            parts.test,
            _judged(options, trained),
            int8=options.int8,
        )
        write_report(options.out, bundle)
        return bundle


def _judged(options: Options, trained: Trained) -> Judged:
    """Return what the bundle is evaluated on, and what else its evaluation says."""
    held_out = trained.parts.test
    return Judged(
        held_out.texts,
        [frozenset((label,)) for label in held_out.labels.tolist()],
        [read_suite("film-reviews")] if options.data == data.REVIEWS else [],
        {"training": trained.course},
    )


def train(options: Options) -> Trained:
    """Load, split, fit a vocabulary, train and evaluate."""
    recipe, cleaner = options.recipe, read_cleaning(options.cleaning)
    rules = keras_rules(recipe.words)
    inputs = Inputs(Layout.LENGTHS, recipe.max_tokens, Truncation.PRE)
    _check_sizes(inputs, recipe)
    splitting = Tokenizer([None], rules, cleaner=cleaner)
    parts = _load(options, splitting)
    labels = parts.train.label_names
    templates = Templates.read(options.templates, labels) if options.templates else None
    more = [_further(options, source, parts, splitting) for source in options.more_data]
    trained_on = [parts.train, *(further.train for further in more)]
    texts = [text for source in trained_on for text in source.texts]
    vocabulary, found = fit_vocabulary(texts, rules, cleaner)
    print(f"Found {found:,} unique tokens.", flush=True)
    if found == 0:
        raise ExportError(f"{options.data}: the training texts hold no word")
    _check_data(options, labels, vocabulary)
    tokenizer = Tokenizer(vocabulary, rules, inputs, cleaner)

    print("Starting TensorFlow ...", flush=True)  # only now: what is wrong is said at once
    import tensorflow

    from sentido_export.fitting import Material, fit
    from sentido_export.train import evaluate

    weights = parts.train.balanced() if options.class_weights == "balanced" else None
    material = Material(tokenizer, parts, more, templates, weights)
    fitted = fit(material, recipe, options.seed)
    layers, tokenizer, answer = fitted.layers, fitted.tokenizer, fitted.answer
    metrics = evaluate(answer, tokenizer, parts.test)
    if metrics["accuracy"] < options.min_accuracy:
        raise ExportError(
            f"accuracy is {metrics['accuracy']:.4f} on {len(parts.test)} held-out texts,"
            f" --min-accuracy asks for {options.min_accuracy:g}: no bundle was written"
        )
    further = {
        source.name: {"train": len(source.train), **evaluate(answer, tokenizer, source.test)}
        for source in more
    }
    facts = Facts(
        name=options.name,
        version=options.model_version,
        training={
            **_training_facts(options, parts, found),
            **({"more_data": further} if further else {}),
            **({"templates": options.templates.name} if options.templates else {}),
            **fitted.facts,
            "weights": f"epoch {fitted.course.kept}",
        },
        metrics=metrics,
        tools={"tensorflow": tensorflow.__version__},
    )
    course = fitted.course
    curves = {"kept": [course.kept, course.kept], "epochs": course.epochs}
    return Trained(
        layers, answer, tokenizer, inputs, parts, facts, curves, options.cleaned_by_caller
    )


def adapt(trained: Trained) -> Adapted:
    """Turn a trained model into graphs. Raises ExportError."""
    from sentido_export.convert import convert

    layers, tokenizer = trained.layers, trained.tokenizer
    state = Vectors(layers.lstm.units)
    return Adapted(
        labels=trained.parts.train.label_names,
        task=Task(TaskKind.SINGLE),
        tokenizer=tokenizer.rules,
        vocabulary=tokenizer.vocabulary,
        inputs=trained.inputs,
        graphs=convert(layers),
        answer=trained.answer,
        against=Against.KERAS,
        same_bits=True,
        cleaned_by_caller=trained.cleaned_by_caller,
        cleaner=tokenizer.cleaner,
        hidden=state,
        steps=state,
        word_vectors=Vectors(layers.embedding.output_dim),
    )


def _check_sizes(inputs: Inputs, recipe: Recipe) -> None:
    """Raise ExportError if a bundle of such a model would be refused: before it is trained."""
    try:
        require_within("num_words", recipe.words, 1, bounds.VOCABULARY)
        check_cost(inputs, Vectors(recipe.dimensions), Vectors(recipe.units))
    except ValueError as error:
        raise ExportError(f"a bundle of this model could not be loaded: {error}") from error


def _check_data(options: Options, labels: Sequence[str], vocabulary: Sequence[str | None]) -> None:
    """Raise ExportError if a bundle with these labels and words would be refused, or not fit."""
    try:
        check_labels(labels)
        check_word_lengths(word for word in vocabulary if word is not None)
    except (ValueError, BundleError) as error:
        raise ExportError(f"{options.data}: {error}: no bundle could hold that") from error
    inputs, units = options.recipe.dimensions, options.recipe.units
    numbers = len(vocabulary) * inputs + 4 * units * (inputs + units + 2) + len(labels) * units
    if 4 * numbers > bounds.WEIGHTS_BYTES:
        raise ExportError(
            f"{len(vocabulary):,} words of {inputs:,} dimensions and {units:,} units are"
            f" {4 * numbers:,} bytes of weights, a bundle holds at most {bounds.WEIGHTS_BYTES:,}:"
            " choose fewer"
        )
    check_room(options.out, 4 * numbers)
    check_memory(4 * numbers)


def keras_rules(num_words: int) -> TokenizerRules:
    """Return the defaults of Keras' `Tokenizer`."""
    return TokenizerRules(
        kind=TokenizerKind.KERAS,
        lower=True,
        filters=KERAS_FILTERS,
        split=" ",
        num_words=num_words,
        oov_token=None,
    )


def _read(options: Options, source: str) -> data.Dataset:
    texts = data.load(
        source,
        options.text_column,
        options.label_column,
        delimiter=options.delimiter,
        input_format=options.input_format,
        normalize_labels=options.normalize_labels,
        say=print,
    )
    print(f"Loaded {len(texts):,} texts from {shown(source)} ({listed(texts.counts)}).")
    return texts


def _distinct(texts: data.Dataset, tokenizer: Tokenizer) -> tuple[data.Dataset, int]:
    return data.drop_duplicates(texts, tokenizer.words, tokenizer.clean)


def _load(options: Options, tokenizer: Tokenizer) -> data.Split:
    texts = _read(options, options.data)
    for sentence in remarks.of_texts(texts.texts, tokenizer.words):
        print(f"Note: {sentence}.")
    distinct, conflicts = _distinct(texts, tokenizer)
    if len(distinct) < len(texts):
        dropped = f"Dropped {len(texts) - len(distinct):,} that have the words of another one"
        print(dropped + (f", {conflicts:,} of them with another label." if conflicts else "."))
    if conflicts:
        found = "1 text contradicts" if conflicts == 1 else f"{conflicts:,} texts contradict"
        print(
            f"Note: {found} the same text with another label: the label that came first is kept,"
            " see whether it is right."
        )
    if options.limit is not None:
        if options.limit < (least := 3 * len(distinct.label_names)):
            raise ExportError(
                f"--limit {options.limit}: three texts of each label are needed, {least:,} together"
            )
        distinct = data.draw(distinct, options.limit, options.split_seed)
        print(f"Drew {len(distinct):,} of them at random ({listed(distinct.counts)}).")
    for sentence in remarks.of_labels(
        distinct.counts, are_weighted=options.class_weights == "balanced"
    ):
        print(f"Note: {sentence}.")
    return data.split(distinct, options.validation, options.split_seed, print)


def _further(options: Options, source: str, parts: data.Split, tokenizer: Tokenizer) -> Further:
    found, _ = _distinct(_read(options, source), tokenizer)
    share = options.validation if options.more_held_out is None else options.more_held_out
    first = [parts.train, parts.validation, parts.test]
    return split_further(source, found, first, share, options.split_seed)


def _training_facts(options: Options, parts: data.Split, found: int) -> dict[str, object]:
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
        "class_weights": options.class_weights,
        "seed": options.seed,
        "split_seed": options.split_seed,
    }
