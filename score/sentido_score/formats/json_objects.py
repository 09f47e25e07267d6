"""Objects of JSON lines: read by Python's parser, and by ours what that one cannot hold.

Ours keeps the text of each field, so it passes on numbers of any length and any nesting; it also
finds what remains of a line that is not quite JSON.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Verbatim:
    """The text of a value that Python does not hold: too long a number, or nested too deeply."""

    text: str

    @property
    def kind(self) -> str:
        """The name of its type in Python."""
        return {"[": "list", "{": "dict"}.get(self.text[0], "int")


class Members(NamedTuple):
    """The fields of an object."""

    values: dict[str, str]  # the text of each value
    constant: str | None  # the first of NaN, Infinity and -Infinity, which became null
    doubled: str | None  # a name that several fields have


def parse(raw: bytes) -> dict[str, Any] | str:
    """Read an object, or say what is wrong with the line."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    try:
        value = _DECODER.decode(text)
    except _NotJsonError as error:
        return f"malformed JSON: {error} is not a number of JSON"
    except _DoubledError as error:
        return _doubled(error.args[0])
    except (ValueError, RecursionError) as error:
        return _parsed_by_us(text, error)
    return value if isinstance(value, dict) else "an object is needed"


def _parsed_by_us(text: str, error: Exception) -> dict[str, Any] | str:
    if "\0" in text:
        return "malformed JSON: it holds NUL characters, as UTF-16 does: UTF-8 is needed"
    try:
        found = members(text)
    except ValueError as ours:
        return f"malformed JSON: {ours if isinstance(error, RecursionError) else error}"
    if found.constant is not None:
        return f"malformed JSON: {found.constant} is not a number of JSON"
    if found.doubled is not None:
        return _doubled(found.doubled)
    return {name: _value(text) for name, text in found.values.items()}


def repaired(raw: bytes) -> bytes:
    """Return what can be passed on of a bad line: an object, or nothing.

    Bytes that are not UTF-8 are replaced by U+FFFD, and what is not a number by null.
    """
    try:
        return dumped(members(raw.decode(errors="replace")).values)
    except ValueError:
        return b""


def dumped(values: dict[str, str]) -> bytes:
    """Return an object of the texts of its values."""
    return b"{%s}" % ", ".join(f"{json.dumps(k)}: {v}" for k, v in values.items()).encode()


def _value(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except (ValueError, RecursionError):
        return Verbatim(text)


class _NotJsonError(ValueError):
    """NaN, Infinity or -Infinity."""


def _refuse(constant: str) -> object:
    raise _NotJsonError(constant)


class _DoubledError(ValueError):
    """A name that several fields of an object have."""


def _doubled(name: str) -> str:
    return f"several fields are called {name!r}: which one is meant?"


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _DoubledError(next(name for name in names if names.count(name) > 1))
    return found


_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_object)

_TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r"(?P<mark>[{}\[\],:])"
    r'|(?P<string>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    r"|(?P<constant>NaN|-?Infinity)"
    r"|(?P<plain>true|false|null|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?))"
)
_SPACE = re.compile(r"[ \t\r\n]*")

_NEXT = {
    **{
        (wanted, token): following
        for wanted in ("value", "first value")
        for token, following in (
            ("[", "first value"),
            ("{", "first name"),
            ("string", "end"),
            ("plain", "end"),
            ("constant", "end"),
        )
    },
    ("first name", "string"): ":",
    ("name", "string"): ":",
    (":", ":"): "value",
    ("end of list", ","): "value",
    ("end of object", ","): "name",
    ("first value", "]"): "end",
    ("end of list", "]"): "end",
    ("first name", "}"): "end",
    ("end of object", "}"): "end",
}
"""What must come after a token, by what had to come there and what came."""


class _Step(NamedTuple):
    depth: int  # of what is open behind the token
    token: str
    wanted: str  # what must come next
    found: "re.Match[str]"


def members(text: str) -> Members:
    """Take an object apart, however deep it is. Raises ValueError if it is not one."""
    values: dict[str, str] = {}
    constants, name, begin, doubled = [], "", 0, None
    for depth, token, wanted, found in _steps(text):
        if token == "constant":
            constants.append(found.span(token))
        if depth == 1 and wanted == ":":
            name, begin = json.loads(found["string"]), 0
        elif depth == 1 and token == ":":
            begin = found.end()
        elif begin and (depth == 0 or (depth == 1 and token == ",")):
            doubled = name if name in values else doubled
            values[name] = text[begin : found.end() - 1].strip()
    if constants:
        constant = text[slice(*constants[0])]
        for first, end in reversed(constants):
            text = f"{text[:first]}null{text[end:]}"
        return Members(members(text).values, constant, doubled)
    return Members(values, None, doubled)


def _steps(text: str) -> Iterator[_Step]:
    """Yield the tokens of an object. Raises ValueError for any other text."""
    are_lists = bytearray()  # of what is open, outermost first
    position, wanted = 0, "value"
    while position == 0 or are_lists:
        found = _TOKEN.match(text, position)
        token = str(found.lastgroup) if found else ""
        if found and token == "mark":
            token = found["mark"]
        following = _NEXT.get((wanted, token))
        if found is None or following is None or (position == 0 and token != "{"):
            raise ValueError(f"no {wanted} at character {position}")
        position, wanted = found.end(), following
        if token in ("[", "{"):
            are_lists.append(token == "[")
        elif token in ("]", "}"):
            are_lists.pop()
        if wanted == "end":
            wanted = "end of list" if are_lists and are_lists[-1] else "end of object"
        yield _Step(len(are_lists), token, wanted, found)
    if _SPACE.fullmatch(text, position) is None:
        raise ValueError(f"something stands behind the object at character {position}")
