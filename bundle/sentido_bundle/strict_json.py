"""Parses the JSON files of a bundle: strictly, and never for long without a pause.

`json.loads` keeps Python's lock until it is done with what it was given, and a server answers
nobody meanwhile. So the manifest is small, and the two long arrays are cut into pieces before
anything is parsed: a regular expression of an element finds those that end within a window.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from sentido_bundle.bounds import NESTING, NUMBER_CHARACTERS, WHOLE_DIGITS
from sentido_bundle.errors import BundleError, quoted

_SPACE = rb"[ \t\r\n]*"
STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'

WORD = rb"(?:" + STRING + rb"|null)"
"""What an entry of the vocabulary looks like: a word, or none."""

_FLAT = rb'[^"\[\]{}]*'  # numbers, commas, colons
FLAT_OBJECT = (
    rb"\{" + _FLAT + rb"(?:(?:" + STRING + rb"|\[" + _FLAT + rb"\])" + _FLAT + rb"){0,20}\}"
)
"""What a golden text looks like: a few strings and arrays of numbers, no array in another."""


def parse_json(name: str, data: bytes) -> Any:
    """Parse the JSON file `name`, which is small. Raises BundleError saying where it breaks."""
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_short,
            object_pairs_hook=_distinct,
        )
        _check([value], NESTING)
    except RecursionError as error:
        raise BundleError(f"{name}: nested too deeply, at most {NESTING} levels") from error
    except ValueError as error:  # UnicodeError and JSONDecodeError are such
        raise BundleError(f"{name}: not valid JSON: {error}") from error
    return value


def parse_array(
    name: str, data: bytes, element: bytes, what: str, window: int
) -> Iterator[list[Any]]:
    """Parse a JSON array in pieces; yield the elements of each.

    `element`: the regular expression of one, which with the space around it takes at most `window`
    bytes; `what`: their name in the plural. Raises BundleError where the array breaks off.
    """
    start, many, last = (
        re.compile(pattern, re.DOTALL)
        for pattern in (
            _SPACE + rb"\[",
            rb"(?:" + _SPACE + element + _SPACE + rb",)+",
            _SPACE + element + _SPACE + rb"\]" + _SPACE,
        )
    )
    opened = start.match(data, 0, window)
    position = opened.end() if opened else len(data)
    while piece := many.match(data, position, position + window):
        yield parse_json(name, b"[" + data[position : piece.end() - 1] + b"]")
        position = piece.end()
    rest = last.match(data, position, position + window)
    if rest is None or rest.end() < len(data):
        raise BundleError(f"{name}: an array of {what} is needed, it is none from byte {position}")
    yield parse_json(name, b"[" + data[position:])


def _check(value: Any, levels: int) -> None:
    """Raise UnicodeEncodeError for a lone surrogate, RecursionError for more levels than these."""
    if levels < 0:
        raise RecursionError
    items = [*value, *value.values()] if isinstance(value, dict) else value
    kinds = set(map(type, items))
    if str in kinds:
        "".join([item for item in items if type(item) is str]).encode()  # else it cannot be sent
    if dict in kinds or list in kinds:
        for item in items:
            if type(item) in (dict, list):
                _check(item, levels - 1)


def _finite(digits: str) -> float:
    if len(digits) > NUMBER_CHARACTERS:
        raise ValueError(f"a number of {len(digits)} characters, at most {NUMBER_CHARACTERS}")
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits} is not a finite number")
    return value


def _short(digits: str) -> int:
    if len(digits) > WHOLE_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits, at most {WHOLE_DIGITS}")
    return int(digits)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError(f"an object with two fields of one name among {quoted(sorted(table))}")
    return table
