"""Columns of every type of Arrow with every kind of value, and what their values say, for tests."""

import base64
import random
import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types

ROWS = 60
_SECONDS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST, _END = -62_135_596_800, 253_402_300_800  # seconds: the years 1 to 9999


def fixed(kind: pa.DataType, bits: int | None = None) -> Callable[[random.Random], pa.Array]:
    """Any bits at all, or whole numbers of some bits; the largest and smallest among them."""
    width = kind.bit_width // 8
    most = bits or kind.bit_width

    def make(generator: random.Random) -> pa.Array:
        edges = [0, 1, -1, 2 ** (most - 1) - 1, -(2 ** (most - 1)), 2 ** (most - 1) - 2]
        numbers = edges + [
            generator.randrange(-(2 ** (most - 1)), 2 ** (most - 1)) >> generator.randrange(most)
            for _ in range(ROWS - len(edges))
        ]
        data = b"".join(number.to_bytes(width, "little", signed=True) for number in numbers)
        array = pa.Array.from_buffers(kind, ROWS, [None, pa.py_buffer(data)])
        return with_nulls(array, generator)

    return make


def listed(kind: pa.DataType, values: list[Any]) -> Callable[[random.Random], pa.Array]:
    """Some of these values."""

    def make(generator: random.Random) -> pa.Array:
        mixed = [None, *values]
        return pa.array([generator.choice(mixed if i > 6 else values) for i in range(ROWS)], kind)

    return make


def with_nulls(array: pa.Array, generator: random.Random) -> pa.Array:
    """Leave out a few values."""
    mask = [i > 6 and generator.random() < 0.1 for i in range(len(array))]
    places = pa.array(range(len(array)), pa.int64(), mask=np.array(mask))
    return array.take(places)


STRINGS = [
    "",
    " ",
    "a",
    "null",
    "é\u2028\U0001f3ac",
    '"quoted", \\',
    "line\nend\r\n",
    "\x00\x1f",
    "%s%",
]
BYTES = [b"", b"\xff\xfe", b"abc", b"\x00" * 9]

LEAVES: dict[str, Callable[[random.Random], pa.Array]] = {
    str(kind): fixed(kind)
    for kind in (
        *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
        *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float16(), pa.float32(), pa.float64(), pa.date32()),
        *(pa.time32("ms"), pa.time64("us"), pa.time64("ns")),
        *(pa.timestamp(unit) for unit in ("ms", "us", "ns")),
        *(pa.duration(unit) for unit in _SECONDS),
        *(pa.timestamp("us", zone) for zone in ("UTC", "Europe/Berlin", "Africa/Monrovia")),
        *(pa.timestamp("ns", zone) for zone in ("+05:30", "Nowhere/Nothing")),
    )
}
LEAVES |= {
    str(kind): fixed(kind, bits)
    for kind, bits in (
        (pa.timestamp("s"), 45),
        (pa.time32("s"), 18),
        (pa.decimal32(7, 2), 20),
        (pa.decimal64(18, 3), 50),
        (pa.decimal128(38, 9), 120),
        (pa.decimal256(70, 30), 200),
    )
}
LISTED: list[tuple[pa.DataType, list[Any]]] = [
    (pa.bool_(), [True, False]),
    (pa.null(), [None]),
    (pa.date64(), [date(1, 1, 1), date(9999, 12, 31), date(1969, 7, 20)]),
    (pa.string(), STRINGS),
    (pa.large_string(), STRINGS),
    (pa.string_view(), STRINGS),
    (pa.binary(), BYTES),
    (pa.large_binary(), BYTES),
    (pa.binary_view(), BYTES),
    (pa.binary(3), [b"abc", b"\xff\x00\x80"]),
    (pa.uuid(), [b"0123456789abcdef", b"\xff" * 16]),
]
LEAVES |= {str(kind): listed(kind, values) for kind, values in LISTED}


def nested(leaf: pa.Array) -> dict[str, pa.Array]:
    """Put values into everything that can hold them, with empty ones and nulls."""
    size = len(leaf)
    bounds = [0, 0, *range(3, size, 3), size]
    offsets = pa.array(bounds, pa.int32())
    sizes = pa.array([end - begin for begin, end in pairwise(bounds)], pa.int32())
    keys = pa.array([f"k{i}" for i in range(size)])
    lists = pa.ListArray.from_arrays(offsets, leaf)
    found = {
        "list": lists,
        "large_list": pa.LargeListArray.from_arrays(offsets.cast(pa.int64()), leaf),
        "list_view": pa.ListViewArray.from_arrays(offsets[:-1], sizes, leaf),
        "fixed_size_list": pa.FixedSizeListArray.from_arrays(leaf, 2),
        "struct": pa.StructArray.from_arrays([leaf, keys], ["a %", "b"]),
        "map": pa.MapArray.from_arrays(offsets, keys, leaf),
        "deep": pa.StructArray.from_arrays([lists, lists], ["x", "y"]),
    }
    return {
        name: pa.concat_arrays([pa.nulls(1, array.type), array]) for name, array in found.items()
    }


def filled(array: pa.Array, rows: int) -> pa.Array:
    """Repeat or cut a column to a number of rows."""
    return pa.concat_arrays([array] * (rows // len(array) + 1)).slice(0, rows)


def meaning(array: pa.Array) -> list[Any]:
    """Return what each value says, by other means than the scorer's: numbers, bytes, strings."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind = array.type
    if types.is_dictionary(kind):
        return meaning(array.dictionary_decode())
    if types.is_struct(kind):
        columns = [meaning(array.field(i)) for i in range(kind.num_fields)]
        rows: list[Any] = [
            dict(zip((f.name for f in kind), row, strict=True))
            for row in zip(*columns, strict=True)
        ]
    elif types.is_map(kind):
        rows = [[list(pair) for pair in zip(*map(meaning, _pairs(v)), strict=True)] for v in array]
    elif types.is_nested(kind):
        rows = [meaning(v.values) if v.is_valid else None for v in array]
    elif types.is_temporal(kind):
        width = pa.int32() if kind.bit_width == 32 else pa.int64()
        rows = array.cast(width).to_pylist()
    else:
        rows = array.to_pylist()
    valid = array.is_valid().to_pylist()
    return [row if is_valid else None for row, is_valid in zip(rows, valid, strict=True)]


def _pairs(value: pa.MapScalar) -> list[pa.Array]:
    return [value.values.field(i) for i in (0, 1)] if value.is_valid else []


def read(value: Any, kind: pa.DataType) -> Any:
    """Read a value back that was written as JSON; fails if it is not written as its type is."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if value is None:
        return None
    if types.is_dictionary(kind):
        return read(value, kind.value_type)
    if types.is_struct(kind):
        assert list(value) == [field.name for field in kind]
        return {field.name: read(value[field.name], field.type) for field in kind}
    if types.is_map(kind):
        return [[read(k, kind.key_type), read(v, kind.item_type)] for k, v in value]
    if types.is_nested(kind):
        return [read(each, kind.value_type) for each in value]
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        assert isinstance(value, bool) == types.is_boolean(kind)
        assert isinstance(value, float) == types.is_floating(kind)
        return _rounded(value, kind)
    assert isinstance(value, str)
    return read_text(value, kind)


def read_text(text: str, kind: pa.DataType) -> Any:
    """Read a value back from a field of CSV, or from a string of JSON."""
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if types.is_decimal(kind):
        return Decimal(text)
    if types.is_timestamp(kind) or types.is_time(kind) or types.is_date(kind):
        return _read_time(text, kind)
    if types.is_duration(kind):
        digits = {"s": "", "ms": r"\.\d{3}", "us": r"\.\d{6}", "ns": r"\.\d{9}"}[kind.unit]
        parts = re.fullmatch(rf"(-?)PT(\d+)({digits})S", text)
        assert parts, f"{text!r} is not written as {kind}"
        return int(f"{parts[1]}{parts[2]}{parts[3][1:]}")
    if types.is_integer(kind):
        return int(text)
    if types.is_floating(kind):
        return _rounded(float(text), kind)
    if types.is_boolean(kind):
        return {"true": True, "false": False}[text]
    if "binary" in str(kind):
        return base64.b64decode(text, validate=True)
    return text


def _rounded(value: Any, kind: pa.DataType) -> Any:
    """Round a float to its type."""
    is_float = types.is_floating(kind)
    return float(np.dtype(f"f{kind.bit_width // 8}").type(value)) if is_float else value


def _read_time(text: str, kind: pa.DataType) -> int:
    if found := re.fullmatch(r"<value out of range: (-?\d+)>", text):
        number = int(found[1])
        assert not _is_in_range(number, kind)
        return number
    a_second = _SECONDS[getattr(kind, "unit", "s")]
    digits = {1: "", 1000: r"\.\d{3}", 10**6: r"\.\d{6}", 10**9: r"\.\d{9}"}[a_second]
    day, clock = r"(\d{4})-(\d\d)-(\d\d)", rf"(\d\d):(\d\d):(\d\d)({digits})"
    zone = r"(Z|[+-]\d\d:\d\d(?::\d\d)?)" if getattr(kind, "tz", None) else "()"
    if types.is_time(kind):
        day, zone = "()()()", "()"
    if types.is_date(kind):
        clock, zone = "()()()()", "()"
    between = "T" if types.is_timestamp(kind) else ""
    found = re.fullmatch(day + between + clock + zone, text)
    assert found, f"{text!r} is not written as {kind}"
    year, month, of_month, hours, minutes, seconds, fraction, offset = found.groups()
    days = (date(int(year), int(month), int(of_month)) - date(1970, 1, 1)).days if year else 0
    if types.is_date(kind):
        return days * (86_400_000 if types.is_date64(kind) else 1)
    whole = timedelta(days, int(seconds), 0, 0, int(minutes), int(hours)) - _shift(offset)
    return whole // timedelta(seconds=1) * a_second + int(fraction[1:] or 0)


def _shift(offset: str) -> timedelta:
    if offset in ("", "Z"):
        return timedelta()
    hours, minutes, seconds = map(int, (*offset[1:].split(":"), "0")[:3])
    shift = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return -shift if offset[0] == "-" else shift


def _is_in_range(number: int, kind: pa.DataType) -> bool:
    if types.is_date32(kind):
        return _FIRST <= number * 86_400 < _END
    a_second = 1000 if types.is_date64(kind) else _SECONDS[kind.unit]
    if types.is_time(kind):
        return 0 <= number < 86_400 * a_second
    zone = 86_400 * a_second if getattr(kind, "tz", None) else 0
    low, end = max(_FIRST * a_second, -(2**63)), min(_END * a_second, 2**63)
    return low + zone <= number < end - zone
