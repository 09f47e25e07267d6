"""The options of the command for a model that was trained elsewhere."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sentido_bundle.command_line import Pairs, options_of
from sentido_evaluate.flags import add_label_flags

from sentido_export.errors import ExportError
from sentido_export.imported.check import LARGEST_DIFFERENCE
from sentido_export.imported.head import HEADS
from sentido_export.imported.vocabulary_options import (
    VocabularyOptions,
    add_vocabulary_options,
)

SIDES = ("pre", "post")


@dataclass(frozen=True)
class OwnModelOptions:
    """What was given of these options; None for what was not."""

    model: Path
    weights: Path | None
    vocabulary: VocabularyOptions
    max_tokens: int | None
    padding: str | None
    truncating: str | None
    labels: tuple[str, ...] | None
    task: str | None
    thresholds: Mapping[str, float]
    head: str | None
    same_ids: bool
    cleaning: Path | None
    cleaned_by_caller: bool
    check: Path | None
    check_tolerance: float | None
    sample: str | None
    data: str | None
    text_column: str
    label_column: str
    label_columns: tuple[str, ...]
    renamed: Mapping[str, str]
    delimiter: str
    input_format: str | None
    out: Path
    name: str
    model_version: str

    @classmethod
    def of(cls, arguments: argparse.Namespace, out: Path, name: str) -> "OwnModelOptions":
        """Return what stands in the arguments that `add_own_model_options` declared, and others."""
        if arguments.check_tolerance is not None and arguments.check is None:
            raise ExportError("--check-tolerance is of --check, which was not given")
        return options_of(
            cls,
            arguments,
            model=arguments.from_keras,
            vocabulary=VocabularyOptions.of(arguments),
            labels=_labels(arguments.labels),
            thresholds=arguments.threshold,
            renamed=arguments.rename,
            out=out,
            name=name,
        )


def add_own_model_options(parser: argparse.ArgumentParser) -> tuple[str, ...]:
    """Declare these options; return the names under which the parser keeps them."""
    before = set(vars(parser.parse_args([])))
    group = parser.add_argument_group(
        "your own Keras model (docs/your-own-model.md), whose files are read as data and never run"
    )
    group.add_argument(
        "--from-keras",
        type=Path,
        metavar="MODEL",
        help="export this model, a .keras, .h5 or model.json, instead of training one",
    )
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="the .h5 that belongs to a model.json"
    )
    add_vocabulary_options(group)
    group.add_argument(
        "--padding",
        choices=SIDES,
        help="the side on which your program pads short texts, in Keras' words; needed unless the"
        " model has a mask, or --check finds it. --max-tokens is its maxlen",
    )
    group.add_argument(
        "--truncating",
        choices=SIDES,
        help="the side on which your program cuts long texts; needed unless --check finds it",
    )
    group.add_argument(
        "--labels",
        nargs="+",
        metavar="LABEL",
        help="the labels in the order of the model's outputs; of one sigmoid two, the second for 1"
        " (default: 0, 1, ...)",
    )
    group.add_argument(
        "--task",
        choices=("single", "multi_label"),
        help="whether a text has one label or any number of them; needed for several sigmoids",
    )
    group.add_argument(
        "--threshold",
        type=_threshold,
        action=Pairs,
        default={},
        metavar="LABEL=X",
        help="with multi_label, the probability from which on a label is chosen (default: 0.5)",
    )
    group.add_argument(
        "--head",
        choices=HEADS,
        help="what makes probabilities of a model's logits, if its file does not say it",
    )
    group.add_argument(
        "--same-ids", action="store_true", help="give all inputs of the model the same ids"
    )
    group.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="answers of your own program, to which the export is held: one JSON object per line,"
        " with text and probabilities",
    )
    group.add_argument(
        "--check-tolerance",
        type=_tolerance,
        metavar="X",
        help="let such answers differ by so much if no label changes (default:"
        f" {LARGEST_DIFFERENCE:g})",
    )
    group.add_argument(
        "--sample",
        metavar="FILE",
        help="your own texts, on which Keras and ONNX are compared beside ours: one per line, or a"
        " table with the column --text-column",
    )
    add_label_flags(group, "--data")
    return tuple(set(vars(parser.parse_args([]))) - before)


def _labels(given: list[str] | None) -> tuple[str, ...] | None:
    """Return the labels; one argument may hold several with commas between them."""
    if given is None:
        return None
    if len(given) == 1 and "," in given[0]:
        return tuple(label.strip() for label in given[0].split(","))
    return tuple(given)


def _threshold(text: str) -> tuple[str, float]:
    label, _, number = text.rpartition("=")
    value = _number(number)
    if not label or value is None or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"{text!r:.60} is not LABEL=X with a number from 0 to 1, such as toxic=0.4"
        )
    return label, value


def _tolerance(text: str) -> float:
    value = _number(text)
    if value is None or not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not a number from 0 to 1")
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
