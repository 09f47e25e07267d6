"""The sections of a bundle's manifest: how a text becomes numbers, and what the model can do.

Each is a frozen dataclass that checks its own values. `manifest.py` puts them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sentido_bundle import bounds
from sentido_bundle.errors import quoted
from sentido_bundle.fields import (
    is_utf8,
    require,
    require_count,
    require_length,
    require_share,
    require_within,
)
from sentido_bundle.text_vectorization import PUNCTUATION

MOST_INT8_TOLERANCE = 0.5
"""What `int8.tolerance` may be at most: beyond that a twin is no twin."""

_MOST_TEXTS = 2**31 - 1
_MOST_PARITY_TOLERANCE = 1e-3


class Truncation(StrEnum):
    """Which end of a long text is cut, in Keras' words (`keras.utils.pad_sequences`)."""

    PRE = "pre"  # keep the last tokens
    POST = "post"  # keep the first tokens


class Padding(StrEnum):
    """On which side of a short text the padding is, in Keras' words."""

    PRE = "pre"  # padding, then the text
    POST = "post"  # the text, then padding


class Precision(StrEnum):
    """What the large weights are multiplied as, and so which graph answers."""

    FP32 = "fp32"  # model.onnx
    INT8 = "int8"  # model.int8.onnx


class TokenizerKind(StrEnum):
    """By whose rules a text becomes ids."""

    KERAS = "keras"  # Keras' `Tokenizer`
    TEXT_VECTORIZATION = "text_vectorization"  # Keras' layer `TextVectorization`


class TaskKind(StrEnum):
    """What the probabilities of a text's labels mean together."""

    SINGLE = "single"  # one label is right: the likeliest
    MULTI_LABEL = "multi_label"  # any number of labels is right: those over their thresholds


class Layout(StrEnum):
    """How the ids of several texts are put into one batch."""

    LENGTHS = "lengths"  # padded to the longest of the batch; the graph is told each real length
    FIXED = "fixed"  # all padded to one length; the graph reads the padding like any id
    ALONE = "alone"  # one text per batch, without padding


class Against(StrEnum):
    """Whose answers parity was measured against."""

    KERAS = "keras"  # the Keras model that the exporter trained
    REBUILT = "rebuilt"  # a Keras model that was rebuilt from the user's file
    CHECK = "check"  # the same, and answers that the user's own program gave


@dataclass(frozen=True)
class TokenizerRules:
    """How a text becomes ids: the arguments of Keras' `Tokenizer`, or of `TextVectorization`.

    Of the latter `lower` is of A to Z alone, `filters` is what it removes, all ASCII punctuation or
    nothing, and words stand between ASCII white space, whatever `split` says.
    """

    kind: TokenizerKind
    lower: bool
    filters: str
    split: str
    num_words: int | None  # ids run from 1 to num_words - 1, as in Keras; None: to any
    oov_token: str | None  # the word that stands for unknown ones, also ""; None: they are dropped
    char_level: bool = False  # each character is a token; filters and split mean nothing then
    start_id: int | None = None  # the id before the first token of each text; None: there is none

    def __post_init__(self) -> None:
        require(self.split != "", "split must not be empty")
        require_length("split", self.split, bounds.SPLIT_CHARACTERS)
        require_length("filters", self.filters, bounds.FILTERS_CHARACTERS)
        require_length("oov_token", self.oov_token or "", bounds.WORD_CHARACTERS)
        if self.num_words is not None:
            require_within("num_words", self.num_words, 1, bounds.NUM_WORDS)
        if self.start_id is not None:
            require_within("start_id", self.start_id, 1, bounds.VOCABULARY)
        if self.kind is TokenizerKind.TEXT_VECTORIZATION:
            self._check_vectorization()

    def _check_vectorization(self) -> None:
        require(
            self.filters in ("", PUNCTUATION),
            f"filters are {quoted(self.filters)}: of text_vectorization they are all ASCII"
            " punctuation, or none",
        )
        for name, value, only in (
            ("split", self.split, " "),
            ("char_level", self.char_level, False),
            ("start_id", self.start_id, None),
        ):
            require(
                value == only,
                f"{name} is {quoted(value)}, of text_vectorization it must be {quoted(only)}",
            )


@dataclass(frozen=True)
class Inputs:
    """How ids become the inputs of a graph."""

    layout: Layout
    length: int  # tokens of a text that the model reads at most; in `fixed`, what all have
    truncation: Truncation
    padding: Padding | None = None  # of `fixed` only; ids are 0 there

    def __post_init__(self) -> None:
        require_within("length", self.length, 1, bounds.MAX_TOKENS)
        is_fixed = self.layout is Layout.FIXED
        require(
            is_fixed or self.padding is None,
            f"padding is {self.padding}, but in the layout {self.layout} there is no choice:"
            " leave it out",
        )
        require(
            not is_fixed or self.padding is not None,
            "padding is missing: the layout fixed needs pre or post",
        )


@dataclass(frozen=True)
class Task:
    """What the probabilities of a text's labels mean together."""

    kind: TaskKind
    thresholds: tuple[float, ...] = ()  # of multi_label: from which probability on a label holds

    def __post_init__(self) -> None:
        require(
            self.kind is TaskKind.MULTI_LABEL or not self.thresholds,
            "thresholds are of the task multi_label only: leave them out",
        )
        for index, threshold in enumerate(self.thresholds):
            require_within(f"thresholds[{index}]", threshold, 0, 1)


@dataclass(frozen=True)
class Vectors:
    """A kind of vectors that the model gives."""

    size: int  # elements of one

    def __post_init__(self) -> None:
        require_within("size", self.size, 1, bounds.VECTOR)


@dataclass(frozen=True)
class Logits:
    """The last layer's values before its activation, one per label."""


@dataclass(frozen=True)
class Parity:
    """How closely ONNX Runtime repeats what Keras answered."""

    against: Against
    texts: int
    largest_difference: float
    tolerance: float  # of its answers to the golden texts

    def __post_init__(self) -> None:
        require_within("texts", self.texts, 0, _MOST_TEXTS)
        require(
            self.largest_difference >= 0,
            f"largest_difference is {self.largest_difference}, it must be 0 or more",
        )
        require(
            0 < self.tolerance <= _MOST_PARITY_TOLERANCE,
            f"tolerance is {self.tolerance}, not within 0 to 1e-3",
        )


@dataclass(frozen=True)
class Int8:
    """What `model.int8.onnx` gives up: measured against `model.onnx` on the held-out texts."""

    texts: int
    accuracy: float
    accuracy_loss: float  # the metrics' accuracy less this one; below 0 for a gain
    largest_difference_probabilities: float
    tolerance: float  # of its answers to the golden texts
    largest_difference_hidden: float | None = None  # of bundles that have the hidden state

    def __post_init__(self) -> None:
        require_within("texts", self.texts, 0, _MOST_TEXTS)
        for name in ("accuracy", "largest_difference_probabilities"):
            require_share(name, getattr(self, name))
        hidden = self.largest_difference_hidden
        require(
            hidden is None or hidden >= 0,
            f"largest_difference_hidden is {hidden}, it must be 0 or more",
        )
        require(
            0 < self.tolerance <= MOST_INT8_TOLERANCE,
            f"tolerance is {self.tolerance}, not within 0 to {MOST_INT8_TOLERANCE}",
        )


@dataclass(frozen=True)
class Evaluation:
    """What `evaluation.json` says in short, of texts that the model was not trained on."""

    texts: int
    accuracy: float  # of multi_label: of texts whose labels are all right
    macro_f1: float

    def __post_init__(self) -> None:
        require_within("texts", self.texts, 1, _MOST_TEXTS)
        for name in ("accuracy", "macro_f1"):
            require_share(name, getattr(self, name))


@dataclass(frozen=True)
class Cleaning:
    """What `cleaning.json` holds, in short."""

    steps: int

    def __post_init__(self) -> None:
        require_within("steps", self.steps, 1, bounds.CLEANING_STEPS)


def check_labels(labels: Sequence[str], least: int = 2) -> None:
    """Raise ValueError unless a bundle may have these labels."""
    require(len(labels) >= least, f"labels are {quoted(list(labels))}: {least} or more are needed")
    require_count("labels", len(labels), bounds.LABELS, "labels")
    require(
        len(set(labels)) == len(labels) and all(labels),
        f"labels are {quoted(list(labels))}: each must be another one and not empty",
    )
    for index, label in enumerate(labels):
        require_length(f"labels[{index}]", label, bounds.LABEL_CHARACTERS)
        require(is_utf8(label), f"labels[{index}]: holds half a character (a lone surrogate)")
    together = sum(len(label.encode()) for label in labels)
    require_count("labels", together, bounds.LABELS_BYTES, "bytes together")
