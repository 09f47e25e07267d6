"""What runs write for later ones, read again: JSON of just the fields and types of a dataclass."""

import dataclasses
import json
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_Record = TypeVar("_Record")


def parse(kind: type[_Record], data: bytes) -> _Record:
    """Make a dataclass of JSON. Raises ValueError for anything else than what was written."""
    try:
        made: _Record = _made(kind, json.loads(data))
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"is not a {kind.__name__}: {error!r}") from error
    return made


def _made(kind: Any, value: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        types = get_type_hints(kind)
        fields = {name: _made(types[name], item) for name, item in _of(dict, value).items()}
        return kind(**fields)  # type: ignore[operator]  # a class
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], item) for item in _of(list, value))
    return _of((int, float) if kind is float else get_origin(kind) or kind, value)


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.80} is not of type {kind}")
    return value
