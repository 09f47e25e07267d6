"""Readers of one field of a layer's configuration: each returns a checked value or raises.

Every reader takes what the file says and the version of Keras that wrote it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from sentido_export.imported.architecture import ACTIVATIONS


class Version(NamedTuple):
    """The version of Keras that wrote a file: what its defaults and its hard_sigmoid are."""

    major: int
    minor: int


class FieldError(ValueError):
    """A value that no model of ours can have. The message follows the field's name."""


Reader = Callable[[Any, Version], Any]


@dataclass(frozen=True)
class Field:
    """How a field is read: under which names, what it is where it is absent."""

    read: Reader
    default: Any = None  # None: the field must be there
    names: tuple[str, ...] = ()  # other names of the same field

    def of(self, name: str, config: Mapping[str, Any], version: Version) -> Any:
        """Return the field's value. Raises FieldError with the name in it."""
        for candidate in (name, *self.names):
            if candidate in config:
                try:
                    return self.read(config[candidate], version)
                except FieldError as error:
                    raise FieldError(f"{candidate} {error}") from error
        if self.default is None:
            raise FieldError(f"{name} is missing")
        return self.default(version) if callable(self.default) else self.default


def flag(value: Any, _: Version) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise FieldError(f"{value!s:.80} is not true or false")
    return value


def integer(value: Any, _: Version) -> int:
    """Return a positive integer, also from a list of one, as Keras writes sizes of Conv1D."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 31:
        raise FieldError(f"{value!s:.80} is not a positive integer")
    return value


def number(value: Any, _: Version) -> float:
    """Return a finite number."""
    if isinstance(value, dict) and "value" in value:
        value = value["value"]  # as Keras 2 writes an array
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FieldError(f"{value!s:.80} is not a number")
    return float(value)


def maybe(read: Reader) -> Reader:
    """Return a reader of values that can be null."""
    return lambda value, version: None if value is None else read(value, version)


def one_of(*choices: str | None) -> Reader:
    """Return a reader of one of some words."""

    def read(value: Any, _: Version) -> Any:
        if value not in choices:
            possible = ", ".join(str(choice) for choice in choices)
            raise FieldError(f"{value!s:.80} is none of {possible}")
        return value

    return read


_OTHER_NAMES = {"swish": "silu", "softmax_v2": "softmax", "log_softmax_v2": "log_softmax"}
_KERAS_FUNCTIONS = (
    "builtins",
    "keras.activations",
    "tf_keras.activations",
    "keras.src.activations",
)


def activation(value: Any, version: Version) -> str:
    """Return one of ACTIVATIONS; hard_sigmoid is not the same function in Keras 2 and 3."""
    is_function = isinstance(value, dict) and value.get("class_name") == "function"
    if is_function and str(value.get("module", "builtins")).startswith(_KERAS_FUNCTIONS):
        value = value.get("config")
    elif is_function:
        value = f"{value.get('config')!s:.60} of {value.get('module')!s:.60}"
    if value is None:
        return "linear"
    name = _OTHER_NAMES.get(value, value) if isinstance(value, str) else None
    if name == "hard_sigmoid":
        return "hard_sigmoid_keras3" if version.major >= 3 else "hard_sigmoid_keras2"
    if name not in ACTIVATIONS:
        if isinstance(value, dict):
            value = value.get("class_name")
        if value == "__lambda__":
            raise FieldError("is Python code, which is not run: use one that has a name in Keras")
        raise FieldError(f"{value!s:.80} is not one that Sentido computes")
    return name
