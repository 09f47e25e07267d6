"""The manifest of a bundle: what `manifest.json` says, as frozen dataclasses.

Reading is strict: a missing field, an unknown one or one of another type is an error that names
it (`preprocessing.max_tokens`). Nothing here opens a file other than as bytes handed in.
"""

import dataclasses
import json
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sentido_bundle import bounds
from sentido_bundle.errors import BundleError, quoted
from sentido_bundle.strict_json import parse_json

SCHEMA_VERSION = 1
FILES = ("vocabulary.json", "model.onnx", "tokens.onnx", "weights.bin", "golden.json")
"""The files that every bundle holds beside its manifest."""

INT8_MODEL = "model.int8.onnx"
"""The quantized twin of `model.onnx`, in bundles whose manifest has a section `int8`."""

MOST_INT8_TOLERANCE = 0.5
"""What `int8.tolerance` may be at most: beyond that a twin is no twin."""

_MOST_TEXTS = 2**31 - 1
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Truncation(StrEnum):
    """Which end of a long text is cut, in Keras' words (`keras.utils.pad_sequences`)."""

    PRE = "pre"  # keep the last tokens
    POST = "post"  # keep the first tokens


class Precision(StrEnum):
    """What the LSTM's weights are multiplied as, and so which graph answers."""

    FP32 = "fp32"  # model.onnx
    INT8 = "int8"  # model.int8.onnx


@dataclass(frozen=True)
class Preprocessing:
    """How a text becomes ids: the arguments of Keras' `Tokenizer`, then truncation."""

    lower: bool
    filters: str
    split: str
    num_words: int  # ids run from 1 to num_words - 1, as in Keras
    oov_token: str | None
    max_tokens: int
    truncation: Truncation

    def __post_init__(self) -> None:
        _require(self.split != "", "split must not be empty")
        _require(self.oov_token != "", "oov_token must not be empty")
        _require_length("split", self.split, bounds.SPLIT_CHARACTERS)
        _require_length("filters", self.filters, bounds.FILTERS_CHARACTERS)
        _require_length("oov_token", self.oov_token or "", bounds.WORD_CHARACTERS)
        _require_within("num_words", self.num_words, 2, bounds.NUM_WORDS)
        _require_within("max_tokens", self.max_tokens, 1, bounds.MAX_TOKENS)


@dataclass(frozen=True)
class Dimensions:
    """The sizes that graph, vocabulary and labels must agree on."""

    vocabulary: int  # rows of the embedding matrix, padding included
    embedding: int  # elements of a word's vector
    hidden: int  # units of the LSTM

    def __post_init__(self) -> None:
        _require_within("vocabulary", self.vocabulary, 1, bounds.VOCABULARY)
        _require_within("embedding", self.embedding, 1, bounds.EMBEDDING)
        _require_within("hidden", self.hidden, 1, bounds.HIDDEN)


@dataclass(frozen=True)
class Parity:
    """How closely ONNX Runtime repeats what Keras answered."""

    texts: int
    largest_difference: float
    tolerance: float

    def __post_init__(self) -> None:
        _require_within("texts", self.texts, 0, _MOST_TEXTS)
        _require(
            self.largest_difference >= 0,
            f"largest_difference is {self.largest_difference}, it must be 0 or more",
        )
        _require(0 < self.tolerance <= 1e-3, f"tolerance is {self.tolerance}, not within 0 to 1e-3")


@dataclass(frozen=True)
class Int8:
    """What `model.int8.onnx` gives up: measured against `model.onnx` on the held-out texts."""

    texts: int
    accuracy: float
    accuracy_loss: float  # the metrics' accuracy less this one; below 0 for a gain
    largest_difference_probabilities: float
    largest_difference_hidden: float
    tolerance: float  # of its answers to the golden texts

    def __post_init__(self) -> None:
        _require_within("texts", self.texts, 0, _MOST_TEXTS)
        for name in ("accuracy", "largest_difference_probabilities"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"{name} is {value}, not within 0 to 1")
        _require(
            0 <= self.largest_difference_hidden <= 2,
            f"largest_difference_hidden is {self.largest_difference_hidden}, not within 0 to 2",
        )
        _require(
            0 < self.tolerance <= MOST_INT8_TOLERANCE,
            f"tolerance is {self.tolerance}, not within 0 to {MOST_INT8_TOLERANCE}",
        )


@dataclass(frozen=True)
class FileFacts:
    """The size and the digest that a file must have."""

    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        most = bounds.WEIGHTS_BYTES
        _require(0 <= self.bytes <= most, f"bytes is {self.bytes}, not within 0 to {most}")
        _require(bool(_SHA256.fullmatch(self.sha256)), "sha256 is not 64 hexadecimal digits")


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself."""

    schema_version: int
    name: str
    version: str
    created: str  # RFC 3339, UTC
    labels: tuple[str, ...]  # in the order of the model's outputs
    preprocessing: Preprocessing
    dimensions: Dimensions
    training: dict[str, Any]
    metrics: dict[str, float]
    parity: Parity
    tools: dict[str, str]
    files: dict[str, FileFacts] = field(default_factory=dict)
    int8: Int8 | None = None  # of bundles that hold the quantized twin; may be missing

    def __post_init__(self) -> None:
        for what, value in (("name", self.name), ("version", self.version)):
            check_plain_name(what, value)
        _require(bool(_TIME.fullmatch(self.created)), f"created is {quoted(self.created)}")
        check_labels(self.labels)
        _require(
            self.dimensions.vocabulary <= self.preprocessing.num_words,
            f"dimensions.vocabulary is {self.dimensions.vocabulary}, over"
            f" preprocessing.num_words, {self.preprocessing.num_words}",
        )
        check_cost(self.preprocessing, self.dimensions)
        for name, table in (
            ("metrics", self.metrics),
            ("tools", self.tools),
            ("files", self.files),
        ):
            _require_count(name, len(table), bounds.ENTRIES, "entries")
        for name, facts in self.files.items():
            _require(
                bool(_PLAIN_NAME.fullmatch(name)),
                f"files names {quoted(name)}: a plain file name in the bundle's directory is"
                " needed",
            )
            most = bounds.FILE_BYTES.get(name, bounds.WEIGHTS_BYTES)
            _require(
                facts.bytes <= most, f"files: {name} has {facts.bytes:,} bytes, at most {most:,}"
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
        if version != SCHEMA_VERSION:
            raise BundleError(
                f"manifest.json: schema_version is {quoted(version)}, this program reads"
                f" {SCHEMA_VERSION}: use the release of Sentido that wrote the bundle, or a later"
                " one, or export it again"
            )
        manifest: Manifest = _read(cls, value, "")
        for name in manifest.file_names:
            if name not in manifest.files:
                raise BundleError(f"manifest.json: files does not list {name}")
        if manifest.int8 is None and INT8_MODEL in manifest.files:
            raise BundleError(f"manifest.json: files lists {INT8_MODEL}, but int8 is missing")
        return manifest

    @property
    def file_names(self) -> tuple[str, ...]:
        """The files that the bundle must hold beside its manifest."""
        return FILES if self.int8 is None else (*FILES, INT8_MODEL)

    def dump(self) -> bytes:
        """Give the bytes of `manifest.json`."""
        value = dataclasses.asdict(self)
        if self.int8 is None:
            del value["int8"]
        return json.dumps(value, indent=2, ensure_ascii=False).encode() + b"\n"


def check_plain_name(what: str, value: str) -> None:
    """Raise ValueError unless `value` can name a model, a version or a file everywhere."""
    _require(
        bool(_PLAIN_NAME.fullmatch(value)),
        f"{what} is {quoted(value)}: 1 to 64 letters, digits, '.', '_' and '-' are needed, the"
        " first a letter or digit",
    )


def check_labels(labels: Sequence[str]) -> None:
    """Raise ValueError unless a bundle may have these labels."""
    _require(len(labels) >= 2, f"labels are {quoted(list(labels))}: two or more are needed")
    _require_count("labels", len(labels), bounds.LABELS, "labels")
    _require(
        len(set(labels)) == len(labels) and all(labels),
        f"labels are {quoted(list(labels))}: each must be another one and not empty",
    )
    for index, label in enumerate(labels):
        _require_length(f"labels[{index}]", label, bounds.LABEL_CHARACTERS)
    together = sum(len(label.encode("utf-8", "surrogatepass")) for label in labels)
    _require_count("labels", together, bounds.LABELS_BYTES, "bytes together")


def check_cost(rules: Preprocessing, sizes: Dimensions) -> None:
    """Raise ValueError if a text may have more tokens than a model of this size can be let read."""
    numbers = rules.max_tokens * (sizes.embedding + 4 * sizes.hidden)
    _require(
        numbers <= bounds.TEXT_NUMBERS,
        f"max_tokens * (embedding + 4 * hidden) is {numbers:,}, at most {bounds.TEXT_NUMBERS:,}",
    )


def _require_within(name: str, value: int, least: int, most: int) -> None:
    _require(least <= value <= most, f"{name} is {value}, it must be {least} to {most}")


def _require_length(name: str, text: str, most: int) -> None:
    _require_count(name, len(text), most, "characters")


def _require_count(name: str, count: int, most: int, unit: str) -> None:
    _require(count <= most, f"{name}: has {count:,} {unit}, at most {most:,}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _read(kind: Any, value: Any, where: str) -> Any:
    """Read `value` as `kind`: a dataclass, dict, tuple, union with None, or plain type."""
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else _read(typing.get_args(kind)[0], value, where)
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(
            _read(typing.get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(items)
        )
    if origin is dict:
        _, inner = typing.get_args(kind)
        table = _expect(dict, value, where)
        return {
            k: v if inner is Any else _read(inner, v, f"{where}[{quoted(k)}]")
            for k, v in table.items()
        }
    if kind is float and type(value) is int:
        return float(value)
    if issubclass(kind, StrEnum):
        if value not in list(kind):
            raise BundleError(
                f"manifest.json: {where} is {quoted(value)}, not one of {[*map(str, kind)]}"
            )
        return kind(value)
    return _expect(kind, value, where)


def _read_dataclass(kind: Any, value: Any, where: str) -> Any:
    table: Mapping[str, Any] = _expect(dict, value, where)
    hints = typing.get_type_hints(kind)
    prefix = where + "." if where else ""
    for key in table:
        if key not in hints:
            raise BundleError(f"manifest.json: unknown field {prefix}{key:.80}")
    for item in dataclasses.fields(kind):
        if item.name not in table and item.default is dataclasses.MISSING:
            raise BundleError(f"manifest.json: {prefix}{item.name} is missing")
    values = {key: _read(hints[key], table[key], prefix + key) for key in table}
    try:
        return kind(**values)
    except ValueError as error:
        raise BundleError(f"manifest.json: {prefix}{error}") from error


_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def _expect(kind: type, value: Any, where: str) -> Any:
    if type(value) is not kind:  # not isinstance: true is not a number
        raise BundleError(
            f"manifest.json: {where or 'the whole'} is {quoted(value)}, {_KINDS[kind]} is needed"
        )
    return value
