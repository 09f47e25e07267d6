"""Values of Arrow columns as text, for formats that hold nothing else."""

import base64
import json
import math
from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def strings(column: pa.Array | pa.ChunkedArray) -> Sequence[str | None]:
    """Give each value as text: numbers in the fewest digits, what is nested as JSON."""
    kind = column.type
    if isinstance(column, pa.FixedSizeListArray) and pa.types.is_float32(kind.value_type):
        return _vectors(column)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return [None if value is None else _text(value) for value in column.to_pylist()]
    try:
        values: list[str | None] = column.cast(pa.string()).to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return [None if value is None else _text(value) for value in _values(column)]
    return values


def objects(table: pa.Table) -> list[dict[str, Any]]:
    """Give each row as a dict; what Python's times cannot hold is text by then."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_temporal(field.type) and not _is_held(column):
            text = pc.replace_substring_regex(column.cast(pa.string()), r"^(\S+) (\d)", r"\1T\2")
            table = table.set_column(index, field.name, text)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _is_held(column: pa.ChunkedArray) -> bool:
    """Whether Python's datetime holds every value: to the microsecond, in the years 1 to 9999."""
    if getattr(column.type, "unit", None) == "ns":
        return False
    try:
        column.to_pylist()
    except (OverflowError, ValueError):
        return False
    return True


def dumps(value: dict[str, Any]) -> bytes:
    """Give an object as JSON; what is no number becomes null, bytes become base64."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_simple)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, default=_simple)
    return text.encode()


def _vectors(column: pa.Array) -> list[str | None]:
    size = column.type.list_size
    numbers = column.values.cast(pa.string()).to_pylist()
    return [
        f"[{', '.join(numbers[row * size : row * size + size])}]" if valid else None
        for row, valid in enumerate(column.is_valid().to_pylist())
    ]


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return dumps({"": value})[5:-1].decode()
    return str(_simple(value))


def _values(column: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        found = column.cast(pa.large_binary()).to_pylist()
        return [None if value is None else value.decode(errors="replace") for value in found]
    return list(column.to_pylist())


def _simple(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
