"""The manifest of a bundle: what `manifest.json` says, as one frozen dataclass of sections.

Reading is strict (`fields.py`). Nothing here opens a file other than as bytes handed in. What a
model can do beside giving probabilities is a section that is there or not: a *capability*.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.fields import dump, read, require, require_count, require_within
from sentido_bundle.sections import (
    Cleaning,
    Evaluation,
    Inputs,
    Int8,
    Layout,
    Logits,
    Parity,
    Precision,
    Task,
    TaskKind,
    TokenizerRules,
    Vectors,
    check_labels,
)
from sentido_bundle.strict_json import parse_json

SCHEMA_VERSION = 2

MODEL = "model.onnx"
"""The graph that gives probabilities and, where the bundle has them, `hidden` and `logits`."""

STEPS_MODEL = "steps.onnx"
"""The graph that gives `steps`, in bundles that have them."""

INT8_MODEL = "model.int8.onnx"
"""The quantized twin of `model.onnx`, in bundles whose manifest has a section `int8`."""

EVALUATION = "evaluation.json"
"""What `sentido-evaluate` shows, in bundles whose manifest has a section `evaluation`."""

CLEANING = "cleaning.json"
"""The steps that a text takes first, in bundles whose manifest has a section `cleaning`."""

FILES = ("vocabulary.json", MODEL, "weights.bin", "golden.json")
"""The files that every bundle holds beside its manifest."""

_OPTIONAL_FILES = {
    "steps": STEPS_MODEL,
    "int8": INT8_MODEL,
    "evaluation": EVALUATION,
    "cleaning": CLEANING,
}
"""The files of sections that may be missing."""

CAPABILITIES = ("hidden", "steps", "word_vectors", "logits", "int8", "evaluation", "cleaning")
"""What a bundle may be able to do beside giving probabilities: sections that may be missing."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileFacts:
    """The size and the digest that a file must have."""

    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        most = bounds.WEIGHTS_BYTES
        require(0 <= self.bytes <= most, f"bytes is {self.bytes}, not within 0 to {most}")
        require(bool(_SHA256.fullmatch(self.sha256)), "sha256 is not 64 hexadecimal digits")


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    schema_version: int
    name: str
    version: str
    created: str  # RFC 3339, UTC
    labels: tuple[str, ...]  # in the order of the model's outputs
    task: Task
    tokenizer: TokenizerRules
    vocabulary_size: int  # entries of vocabulary.json: ids run from 0, which is padding, to below
    inputs: Inputs
    same_bits: bool  # whether a text gives the same bits in fp32, whatever else is in its batch
    cleaned_by_caller: bool  # whether texts must come cleaned as those were that it learned from
    parity: Parity
    training: dict[str, Any]
    metrics: dict[str, float]  # may be empty
    tools: dict[str, str]
    hidden: Vectors | None = None  # what enters the last Dense layer, one per text
    steps: Vectors | None = None  # what the last recurrent layer gives, one per token
    word_vectors: Vectors | None = None  # rows of the one Embedding that reads the ids
    logits: Logits | None = None
    int8: Int8 | None = None
    evaluation: Evaluation | None = None
    cleaning: Cleaning | None = None  # steps that a text takes before its tokens are looked for
    files: dict[str, FileFacts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what, value in (("name", self.name), ("version", self.version)):
            check_plain_name(what, value)
        require(bool(_TIME.fullmatch(self.created)), f"created is {quoted(self.created)}")
        self._check_task()
        require_within("vocabulary_size", self.vocabulary_size, 1, bounds.VOCABULARY)
        words = self.tokenizer.num_words
        require(
            words is None or self.vocabulary_size <= max(2, words),  # id 1 may be oov_token's
            f"vocabulary_size is {self.vocabulary_size}, over tokenizer.num_words, {words}",
        )
        require(
            (self.tokenizer.start_id or 0) < self.vocabulary_size,
            f"tokenizer.start_id is {self.tokenizer.start_id}, it must be below vocabulary_size,"
            f" {self.vocabulary_size}",
        )
        require(
            self.steps is None or self.inputs.layout is Layout.LENGTHS,
            f"steps are there, but inputs.layout is {self.inputs.layout}: lengths is needed",
        )
        check_cost(self.inputs, self.word_vectors, self.steps)
        for name, table in (
            ("metrics", self.metrics),
            ("tools", self.tools),
            ("files", self.files),
        ):
            require_count(name, len(table), bounds.ENTRIES, "entries")
        for name, facts in self.files.items():
            require(
                bool(_PLAIN_NAME.fullmatch(name)),
                f"files names {quoted(name)}: a plain file name in the bundle's directory is"
                " needed",
            )
            most = bounds.FILE_BYTES.get(name, bounds.WEIGHTS_BYTES)
            require(
                facts.bytes <= most, f"files: {name} has {facts.bytes:,} bytes, at most {most:,}"
            )

    def _check_task(self) -> None:
        is_single, count = self.task.kind is TaskKind.SINGLE, len(self.task.thresholds)
        check_labels(self.labels, least=2 if is_single else 1)
        require(
            is_single or count == len(self.labels),
            f"task.thresholds are {count}, one for each of the {len(self.labels)} labels is needed",
        )

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Read `manifest.json`. Raises BundleError naming the field that is wrong."""
        if len(data) > bounds.MANIFEST_BYTES:
            raise BundleError(
                f"manifest.json: has {len(data):,} bytes, at most {bounds.MANIFEST_BYTES:,}"
            )
        value = parse_json("manifest.json", data)
        if not isinstance(value, dict):
            raise BundleError("manifest.json: an object is needed")
        version = value.get("schema_version")
        if version != SCHEMA_VERSION or isinstance(version, float):
            raise BundleError(
                f"manifest.json: schema_version is {quoted(version)}, this program reads"
                f" {SCHEMA_VERSION}: use the release of Sentido that wrote the bundle, or a later"
                " one, or export it again"
            )
        manifest: Manifest = read(cls, value, "")
        for name in manifest.file_names:
            if name not in manifest.files:
                raise BundleError(f"manifest.json: files does not list {name}")
        for name, file in _OPTIONAL_FILES.items():
            if getattr(manifest, name) is None and file in manifest.files:
                raise BundleError(f"manifest.json: files lists {file}, but {name} is missing")
        return manifest

    @property
    def file_names(self) -> tuple[str, ...]:
        """The files that the bundle must hold beside its manifest."""
        there = (file for name, file in _OPTIONAL_FILES.items() if getattr(self, name) is not None)
        return (*FILES, *there)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the bundle can do beside giving probabilities, by name, as in CAPABILITIES."""
        return tuple(name for name in CAPABILITIES if getattr(self, name) is not None)

    def model_file(self, precision: Precision) -> str:
        """Return the name of the graph that gives probabilities in a precision."""
        return INT8_MODEL if precision is Precision.INT8 else MODEL

    def outputs(self) -> dict[str, int]:
        """Return what `model.onnx` and its twin give for each text, and the size of each vector."""
        sizes = {"probabilities": len(self.labels)}
        if self.hidden is not None:
            sizes["hidden"] = self.hidden.size
        if self.logits is not None:
            sizes["logits"] = len(self.labels)
        return sizes

    def dump(self) -> bytes:
        """Return the bytes of `manifest.json`."""
        return json.dumps(dump(self), indent=2, ensure_ascii=False).encode() + b"\n"


def check_plain_name(what: str, value: str) -> None:
    """Raise ValueError unless `value` can name a model, a version or a file everywhere."""
    require(
        bool(_PLAIN_NAME.fullmatch(value)),
        f"{what} is {quoted(value)}: 1 to 64 letters, digits, '.', '_' and '-' are needed, the"
        " first a letter or digit",
    )


def check_cost(inputs: Inputs, word_vectors: Vectors | None, steps: Vectors | None) -> None:
    """Raise ValueError if the vectors of one text's tokens could be more than an answer may hold.

    What a run takes beside is bounded by what its graph computes, see `graphs/cost.py`.
    """
    vector, step = (each.size if each else 0 for each in (word_vectors, steps))
    numbers = inputs.length * (vector + 4 * step)
    require(
        numbers <= bounds.TEXT_NUMBERS,
        f"inputs.length * (word_vectors.size + 4 * steps.size) is {numbers:,}, at most"
        f" {bounds.TEXT_NUMBERS:,}",
    )
