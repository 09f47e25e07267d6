"""The options of the command for a model that was trained elsewhere."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sentido_bundle.settings import like, made, setting
from sentido_evaluate import Columns

from sentido_export.errors import ExportError
from sentido_export.imported.check import LARGEST_DIFFERENCE
from sentido_export.imported.head import HEADS
from sentido_export.imported.vocabulary_options import VocabularyOptions

SIDES = ("pre", "post")


def _labels(given: list[str]) -> tuple[str, ...]:
    """Return the labels; one argument may hold several with commas between them."""
    if len(given) == 1 and "," in given[0]:
        return tuple(label.strip() for label in given[0].split(","))
    return tuple(given)


def _threshold(text: str) -> tuple[str, float]:
    label, _, number = text.rpartition("=")
    value = -1.0
    with suppress(ValueError):
        value = float(number) if number.isascii() else value
    if not label or not 0 <= value <= 1:
        raise ValueError(
            f"{text!r:.60} is not LABEL=X with a number from 0 to 1, such as toxic=0.4"
        )
    return label, value


@dataclass(frozen=True, kw_only=True)
class OwnModelOptions:
    """What was given of these options; None for what was not.

    What is not declared here is declared for the command, or for an export that trains, too.
    """

    model: Path = setting(
        text="export this model, a .keras, .h5 or model.json, instead of training one",
        flag_name="from_keras",
        once=True,
        metavar="MODEL",
        group="your own Keras model (docs/your-own-model.md), whose files are read as data and"
        " never run",
    )
    weights: Path | None = setting(None, "the .h5 that belongs to a model.json", metavar="FILE")
    vocabulary: VocabularyOptions
    padding: str | None = setting(
        None,
        "the side on which your program pads short texts, in Keras' words; needed unless the"
        " model has a mask, or --check finds it. --max-tokens is its maxlen",
        choices=SIDES,
    )
    truncating: str | None = setting(
        None,
        "the side on which your program cuts long texts; needed unless --check finds it",
        choices=SIDES,
    )
    labels: tuple[str, ...] | None = setting(
        None,
        "the labels in the order of the model's outputs; of one sigmoid two, the second for 1"
        " (default: 0, 1, ...)",
        words="+",
        read=_labels,
        metavar="LABEL",
    )
    task: str | None = setting(
        None,
        "whether a text has one label or any number of them; needed for several sigmoids",
        choices=("single", "multi_label"),
    )
    thresholds: Mapping[str, float] = setting(
        {},
        "with multi_label, the probability from which on a label is chosen (default: 0.5)",
        flag_name="threshold",
        read=_threshold,
        metavar="LABEL=X",
    )
    head: str | None = setting(
        None,
        "what makes probabilities of a model's logits, if its file does not say it",
        choices=HEADS,
    )
    same_ids: bool = setting(False, "give all inputs of the model the same ids")
    check: Path | None = setting(
        None,
        "answers of your own program, to which the export is held: one JSON object per line,"
        " with text and probabilities",
        once=True,
        metavar="FILE",
    )
    check_tolerance: float | None = setting(
        None,
        f"let such answers differ by so much if no label changes (default: {LARGEST_DIFFERENCE:g})",
        most=1,
        metavar="X",
    )
    sample: str | None = setting(
        None,
        "your own texts, on which Keras and ONNX are compared beside ours: one per line, or a"
        " table with the column --text-column",
        once=True,
        metavar="FILE",
    )
    label_columns: tuple[str, ...] = like(Columns, "labels")
    renamed: Mapping[str, str] = like(
        Columns, "renamed", text="what the model calls a label of the --data; may be repeated"
    )
    data: str | None
    text_column: str
    label_column: str
    delimiter: str
    input_format: str | None
    max_tokens: int | None = None
    cleaning: Path | None
    cleaned_by_caller: bool
    out: Path
    name: str
    model_version: str

    @classmethod
    def of(cls, values: Mapping[str, Any], out: Path, name: str) -> "OwnModelOptions":
        """Return what stands in the values of the command's flags. Raises ExportError."""
        if "check_tolerance" in values and "check" not in values:
            raise ExportError("--check-tolerance is of --check, which was not given")
        return made(cls, values, out=out, name=name)
