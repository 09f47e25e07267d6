"""The export of a model that was trained elsewhere: read its files, build, check, package."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sentido_bundle import (
    Against,
    Bundle,
    Cleaner,
    Graphs,
    Inputs,
    Layout,
    Logits,
    Padding,
    Task,
    Tokenizer,
    Truncation,
    Vectors,
    bounds,
    check_target,
)
from sentido_bundle.golden import LAST_STEP
from sentido_bundle.layouts import layout_of

from sentido_export.cleaning import read_cleaning
from sentido_export.errors import ExportError
from sentido_export.imported.answers import Answers, read_answers
from sentido_export.imported.architecture import Architecture, TextLayer
from sentido_export.imported.check import (
    LARGEST_DIFFERENCE,
    UNCHECKED,
    check,
    labels_of,
)
from sentido_export.imported.differing import difference
from sentido_export.imported.graph.build import (
    build_alone,
    build_steps,
    gives_steps,
    is_masked,
    reads_padding,
)
from sentido_export.imported.head import Head, find_head
from sentido_export.imported.inputs import (
    GivenSides,
    is_alone_of,
    length_of,
    refuse_several_inputs,
    sides_of,
)
from sentido_export.imported.labelled import Labelled, read_labelled, thresholds_for
from sentido_export.imported.labels import labels_for, task_for
from sentido_export.imported.model_file.read import read_model
from sentido_export.imported.options import OwnModelOptions
from sentido_export.imported.other_cleanings import other_cleanings
from sentido_export.imported.other_vocabularies import other_ids
from sentido_export.imported.path import Path, alone_path, choose_path
from sentido_export.imported.same_bits import gives_same_bits
from sentido_export.imported.sample import read_sample
from sentido_export.imported.sides import Sides
from sentido_export.imported.vocabulary import Vocabulary
from sentido_export.imported.vocabulary_hints import vocabulary_hints
from sentido_export.machine import settle_keras
from sentido_export.package import Adapted, Facts, Judged, package
from sentido_export.remembered import Remembered
from sentido_export.report import check_report, write_report
from sentido_export.weights import Weights

if TYPE_CHECKING:
    from sentido_export.imported.rebuilt import Rebuilt

Ids = NDArray[np.int32]  # (tokens,)


@dataclass(frozen=True)
class _Read:
    """All that the user's files and options say."""

    options: OwnModelOptions
    head: Head
    length: int
    vocabulary: Vocabulary
    sides: GivenSides
    answers: Answers | None
    sample: Sequence[str]
    labelled: Labelled | None
    cleaner: Cleaner | None
    is_alone: bool  # texts are not padded at all

    @property
    def tokenizer(self) -> Tokenizer:
        """What gives ids to texts and cuts nothing."""
        return Tokenizer(self.vocabulary.words(), self.vocabulary.rules(), cleaner=self.cleaner)

    def others(self, texts: Sequence[str]) -> Iterator[tuple[str, Sequence[Sequence[int]]]]:
        """Return the ids of texts by what is easily mistaken for this, each with its name."""
        tokenizer = Tokenizer(self.vocabulary.words(), self.vocabulary.rules())
        for what, cleaner in other_cleanings(self.cleaner):
            encodings = tokenizer.encode_all([_cleaned(text, cleaner) for text in texts])
            yield what, [encoding.ids.tolist() for encoding in encodings]
        cleaned = [_cleaned(text, self.cleaner) for text in texts]
        yield from other_ids(self.vocabulary, _rows(self.head.architecture), cleaned)

    def numbered(self, text: str) -> list[tuple[str, int]]:
        """Return the words of a text with their ids."""
        return [(token.text, token.id) for token in self.tokenizer.read_tokens(text)]


def export_own_model(options: OwnModelOptions, *, is_fixed: bool = False) -> Bundle:
    """Write a bundle of the user's model. Raises ExportError or BundleError, and writes nothing.

    `is_fixed`: by the path that computes padding, whatever the model is, to compare with.
    """
    check_target(options.out)
    if options.data is not None:
        check_report(options.out)
    read = _read(options)
    if read.answers is None:
        read.sides.complete()  # what is missing is said before TensorFlow starts
    print("Starting TensorFlow ...", flush=True)
    settle_keras()  # not before: the words of keras-imdb are in the user's KERAS_HOME
    from sentido_export.imported.rebuilt import Rebuilt

    length = None if read.is_alone else read.length
    rebuilt = Rebuilt(read.head, length, _last_step(read.head))
    sides = _sides(read, rebuilt)
    if read.is_alone:
        path = alone_path(read.head)
    else:
        path = choose_path(read.head, read.length, Padding(sides.padding), is_fixed=is_fixed)
    _say(path.note)
    print("Comparing ONNX with Keras ...", flush=True)
    model = _adapt(read, rebuilt, sides, path)
    return _packaged(read, model, _facts(read, sides, path))


def _packaged(read: _Read, model: Adapted, facts: Facts) -> Bundle:
    """Write the bundle; with labelled texts its evaluation and page, too."""
    options, texts = read.options, read.labelled
    if texts is None:
        return package(options.out, model, facts, read.sample)
    thresholds, texts = thresholds_for(options, model.labels, model.task, texts, _say)
    more = {} if thresholds is None else {"thresholds": thresholds.facts()}
    choose = None if thresholds is None else thresholds.choose
    print(f"Evaluating on {len(texts.truth):,} labelled texts ...", flush=True)
    judged = Judged(texts.texts, texts.truth, more=more)
    bundle = package(options.out, model, facts, read.sample, judged=judged, choose=choose)
    write_report(options.out, bundle)
    for note in thresholds.notes(bundle.manifest.task) if thresholds else ():
        _say(note)
    return bundle


def _read(options: OwnModelOptions) -> _Read:
    """Read all files, and build a graph once: what is wrong is said at once."""
    architecture = read_model(options.model, options.weights)
    refuse_several_inputs(architecture, options.same_ids)
    head = find_head(architecture, options.task, options.head)
    layer = options.vocabulary.text_layer(architecture.text_layer)
    is_cleaned = options.cleaned_by_caller or options.cleaning is not None
    _refuse_function(layer, cleaned=is_cleaned)
    length = length_of(architecture, options.max_tokens, layer)
    _refuse_large(architecture)
    labels = labels_for(head, options.labels)
    task = task_for(options.task, labels, options.thresholds)
    vocabulary = options.vocabulary.read(_rows(architecture), layer)
    is_alone = layer is not None and is_alone_of(layer, architecture) and not gives_steps(head)
    if is_alone:
        build_alone(head)  # raises for a model that needs one length
    is_read = not is_alone and (not is_masked(head) or reads_padding(head, length))
    given = options.padding, options.truncating
    read = _Read(
        options,
        head,
        length,
        vocabulary,
        sides_of(layer, architecture, *given, needs_padding=is_read),
        read_answers(options.check) if options.check else None,
        _sample(options),
        read_labelled(options, labels, task.kind, _say),
        read_cleaning(options.cleaning),
        is_alone,
    )
    for note in (*architecture.notes, *vocabulary.notes, *_notes(read)):
        _say(note)
    return read


def _cleaned(text: str, cleaner: Cleaner | None) -> str:
    return text if cleaner is None else cleaner.clean(text)


def _say(note: str) -> None:
    print(f"Note: {note.rstrip('.')}.", flush=True)


def _notes(read: _Read) -> list[str]:
    """Return what else the user must know."""
    notes, options = [], read.options
    if options.labels is None:
        labels = labels_for(read.head, None)
        notes.append(
            f"the labels have no names (--labels): they are the numbers {labels[0]} to {labels[-1]}"
        )
    kinds = {layer.kind for layer in read.head.architecture.layers}
    if is_masked(read.head) and "GlobalAveragePooling1D" in kinds:
        notes.append(
            "the average over a text without known words is zeros here; Keras divides by zero"
        )
    if read.answers is None:
        notes.append(UNCHECKED)
    else:
        notes += vocabulary_hints(str(options.check), read.tokenizer, read.answers.texts)
    return notes + vocabulary_hints(str(options.sample), read.tokenizer, read.sample)


def _sides(read: _Read, rebuilt: "Rebuilt") -> Sides:
    """Return the sides that were given, or those that the user's answers show."""
    if read.answers is None:
        return read.sides.complete()
    tokenizer = read.tokenizer
    padding, truncating = read.sides.to_try
    tolerance, task = read.options.check_tolerance, _task(read)
    checked = check(
        read.answers,
        [tokenizer.encode(text).ids for text in read.answers.texts],
        read.length,
        rebuilt.predict,
        labels_of(thresholds=task.thresholds or None, from_logits=read.head.is_added),
        padding=padding,
        truncating=truncating,
        tolerance=LARGEST_DIFFERENCE if tolerance is None else tolerance,
        others=read.others,
        explain=partial(difference, read.answers, read.length, read.numbered, rebuilt.sizes),
    )
    for note in checked.notes:
        _say(note)
    return checked.sides


def _adapt(read: _Read, rebuilt: "Rebuilt", sides: Sides, path: Path) -> Adapted:
    """Return the graphs, and what the bundle says of them."""
    head, words = read.head, read.vocabulary.words()
    padding, truncation = Padding(sides.padding), Truncation(sides.truncating)
    fixed, built = Inputs(Layout.FIXED, read.length, truncation, padding), path.built
    is_fixed, is_short = path.layout is Layout.FIXED, path.layout is Layout.LENGTHS
    inputs = fixed if is_fixed else Inputs(path.layout, read.length, truncation)
    steps = build_steps(head) if is_short and gives_steps(head) else None
    same_bits = gives_same_bits(built.model, inputs, len(words))
    if not same_bits:
        _say("the last bits of an answer depend on the texts beside it in a batch (same_bits)")
    table, weights = _table(head.architecture), Weights()
    graphs = Graphs(
        model=weights.move_out(built.model, table),
        steps=weights.move_out(steps, table) if steps else None,
        weights=bytes(weights.data),
    )

    def answer(sequences: Sequence[Ids]) -> Mapping[str, NDArray[np.float32]]:
        answers = rebuilt.answer(layout_of(fixed).inputs(sequences)["token_ids"])
        names = (*built.outputs, LAST_STEP) if steps else built.outputs
        return {name: answers[name] for name in names if name in answers}

    hidden = Vectors(built.outputs["hidden"]) if "hidden" in built.outputs else None
    return Adapted(
        labels=labels_for(head, read.options.labels),
        task=_task(read),
        tokenizer=read.vocabulary.rules(),
        vocabulary=words,
        inputs=inputs,
        graphs=graphs,
        answer=Remembered(answer),
        against=Against.CHECK if read.answers else Against.REBUILT,
        same_bits=same_bits,
        cleaned_by_caller=read.options.cleaned_by_caller,
        cleaner=read.cleaner,
        hidden=hidden,
        steps=Vectors(head.architecture.layers[1].fields["units"]) if steps else None,
        word_vectors=None if table is None else Vectors(table.shape[1]),
        logits=Logits(),
    )


def _last_step(head: Head) -> str | None:
    """Return the layer in which the steps end, None if it is the one that gives `hidden`."""
    if not gives_steps(head):
        return None
    reader = head.architecture.layers[1].name
    return None if reader == head.hidden else reader


def _task(read: _Read) -> Task:
    labels = labels_for(read.head, read.options.labels)
    return task_for(read.options.task, labels, read.options.thresholds)


def _facts(read: _Read, sides: Sides, path: Path) -> Facts:
    options, architecture = read.options, read.head.architecture
    training = {
        "model": options.model.name,
        "keras": architecture.keras_version,
        "layers": [layer.kind for layer in architecture.layers],
        "padding": sides.padding,
        "path": path.name,
    }
    return Facts(options.name, options.model_version, training)


def _tables(architecture: Architecture) -> list[NDArray[np.float32]]:
    return [layer.weights[0] for layer in architecture.layers if layer.kind == "Embedding"]


def _rows(architecture: Architecture) -> int:
    """Return how many ids every Embedding has a row for."""
    return min(len(table) for table in _tables(architecture))


def _table(architecture: Architecture) -> NDArray[np.float32] | None:
    """Return the one table of word vectors, None if there are several or they are too long."""
    first, *others = _tables(architecture)
    if first.shape[1] > bounds.VECTOR:
        return None
    return first if all(np.array_equal(first, other) for other in others) else None


def _sample(options: OwnModelOptions) -> list[str]:
    if options.sample is None:
        return []
    return read_sample(options.sample, options.text_column, options.delimiter, options.input_format)


def _refuse_function(layer: TextLayer | None, *, cleaned: bool) -> None:
    """Raise ExportError for a function before a TextVectorization that nothing describes."""
    if layer is not None and layer.function and not cleaned:
        raise ExportError(
            f"the TextVectorization {layer.name!r} standardizes texts by {layer.function}, a"
            " function of your own, whose code no file holds: say what it does by --cleaning FILE,"
            " or let callers do it (--cleaned-by-caller)"
        )


def _refuse_large(architecture: Architecture) -> None:
    """Raise ExportError for more weights than a bundle holds, before they are copied."""
    size = sum(array.nbytes for layer in architecture.layers for array in layer.weights)
    if size > bounds.WEIGHTS_BYTES:
        raise ExportError(
            f"the model's weights are {size:,} bytes, a bundle holds at most"
            f" {bounds.WEIGHTS_BYTES:,}: train it with fewer words or units"
        )
