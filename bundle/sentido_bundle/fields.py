"""Reads JSON values as frozen dataclasses, strictly, and checks what they hold.

A missing field, an unknown one or one of another type is an error that names it
(`inputs.length`). A class checks its own values with the `require` functions in `__post_init__`.
Used by the manifest and its sections.
"""

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sentido_bundle.errors import BundleError, quoted


def require(condition: bool, message: str) -> None:
    """Raise ValueError unless the condition holds."""
    if not condition:
        raise ValueError(message)


def require_within(name: str, value: float, least: float, most: float) -> None:
    """Raise ValueError unless a number is within two others."""
    require(least <= value <= most, f"{name} is {value}, it must be {least} to {most}")


def require_share(name: str, value: float) -> None:
    """Raise ValueError unless a number is within 0 to 1."""
    require(0 <= value <= 1, f"{name} is {value}, not within 0 to 1")


def require_length(name: str, text: str, most: int) -> None:
    """Raise ValueError for a text of more characters than that."""
    require_count(name, len(text), most, "characters")


def is_utf8(text: str) -> bool:
    r"""Return whether a text can be sent or written: it holds no lone surrogate, half a character.

    Arguments, variables and names of files have one for each byte that is not UTF-8.

    >>> is_utf8("é"), is_utf8("\udcff")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_count(name: str, count: int, most: int, unit: str) -> None:
    """Raise ValueError for more than that."""
    require(count <= most, f"{name}: has {count:,} {unit}, at most {most:,}")


def read(kind: Any, value: Any, where: str) -> Any:
    """Read `value` as `kind`: a dataclass, dict, tuple, union with None, or plain type.

    Raises BundleError naming the field `where`, or one in it.
    """
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, value, where)
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return None if value is None else read(typing.get_args(kind)[0], value, where)
    if origin is tuple:
        items = _expect(list, value, where)
        return tuple(
            read(typing.get_args(kind)[0], v, f"{where}[{i}]") for i, v in enumerate(items)
        )
    if origin is dict:
        _, inner = typing.get_args(kind)
        table = _expect(dict, value, where)
        return {
            k: v if inner is Any else read(inner, v, f"{where}[{quoted(k)}]")
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


def dump(value: Any) -> Any:
    """Return a dataclass as JSON values, without the fields that have their default."""
    if dataclasses.is_dataclass(value):
        return {
            item.name: dump(getattr(value, item.name))
            for item in dataclasses.fields(value)
            if getattr(value, item.name) != item.default
        }
    if isinstance(value, dict):
        return {key: dump(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [dump(each) for each in value]
    return value


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
    values = {key: read(hints[key], table[key], prefix + key) for key in table}
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
