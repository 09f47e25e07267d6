"""Arrow columns as text: fields of CSV, and values of JSON.

A column's type alone decides how its values are written, so all of them are written alike:

- numbers in the fewest digits, decimals with all of theirs (in JSON as strings);
- times in ISO 8601 with the digits of their unit, and their time zone's offset; one outside the
  years 1 to 9999, or the hours of a day, as `<value out of range: N>`, N in the column's unit;
- durations in ISO 8601, too, in seconds with the digits of their unit (`PT90061.500S`), and
  intervals of months, days and nanoseconds (`P1M2DT3.000000004S`); bytes as base64;
- what is nested as JSON: lists and structs as arrays and objects, a map as a list of pairs.

A byte that is not UTF-8 becomes a lone surrogate here, as in Python's "surrogateescape", since no
value of Arrow holds one; `encoded` finds them.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

json_string = json.JSONEncoder(ensure_ascii=False).encode
"""Return a string as JSON."""

_SECONDS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400
_FIRST, _END = -62_135_596_800, 253_402_300_800  # seconds: the years 1 to 9999


def texts(column: pa.Array | pa.ChunkedArray) -> list[str | None]:
    """Return each value as the text of a field; what is nested as JSON."""
    return [text for array in _arrays(column) for text in _texts(array)]


def json_values(column: pa.Array | pa.ChunkedArray) -> list[str]:
    """Return each value as JSON; what JSON has no number for is null."""
    return [text for array in _arrays(column) for text in _json(array)]


def json_objects(table: pa.Table) -> list[str]:
    """Return each row as an object."""
    return _objects(table.schema.names, [json_values(each) for each in table.columns], len(table))


def encoded(values: Sequence[str]) -> tuple[list[bytes], list[int]]:
    """Return texts of this module in UTF-8, and the places of those that hold what is not UTF-8.

    Each byte that is not is replaced by U+FFFD.
    """
    try:
        return [value.encode() for value in values], []
    except UnicodeEncodeError:
        found = [value.encode(errors="surrogateescape") for value in values]
    bad = []
    for place, value in enumerate(found):
        try:
            value.decode()
        except UnicodeDecodeError:
            found[place] = value.decode(errors="replace").encode()
            bad.append(place)
    return found, bad


def not_utf8(column: str) -> str:
    """Describe a row's error."""
    return f"the column {column!r} holds what is not UTF-8"


def _arrays(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return [_stored(chunk) for chunk in chunks]


def _stored(array: pa.Array) -> pa.Array:
    """Return the values themselves, of a type that stands for another one."""
    while True:
        if types.is_run_end_encoded(array.type):
            array = pc.run_end_decode(array)
        elif isinstance(array, pa.ExtensionArray):
            array = array.storage
        else:
            return array


def _texts(array: pa.Array) -> list[str | None]:
    if types.is_dictionary(array.type):
        known = _texts(_stored(array.dictionary))
        return [None if i is None else known[i] for i in array.indices.to_pylist()]
    if not types.is_nested(array.type):
        return _scalars(array)
    return [None if value == "null" else value for value in _json(array)]


def _with_nulls(array: pa.Array, values: list[str | None]) -> list[str | None]:
    if not array.null_count:
        return values
    valid = array.is_valid().to_pylist()
    return [value if is_valid else None for value, is_valid in zip(values, valid, strict=True)]


def _json(array: pa.Array) -> list[str]:
    array = _stored(array)
    kind = array.type
    if types.is_dictionary(kind):
        known = _json(array.dictionary)
        return ["null" if i is None else known[i] for i in array.indices.to_pylist()]
    if types.is_struct(kind):
        fields = [_json(array.field(i)) for i in range(kind.num_fields)]
        values: list[str | None] = [*_objects([f.name for f in kind], fields, len(array))]
    elif types.is_union(kind):
        return _union(array)
    elif types.is_nested(kind):
        values = [*_lists(array)]
    elif types.is_floating(kind):
        values = [*_numbers(array)]
    elif types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind):
        values = _scalars(array)
    else:
        values = [None if text is None else json_string(text) for text in _scalars(array)]
    return ["null" if value is None else value for value in _with_nulls(array, values)]


def _objects(names: Sequence[str], columns: Sequence[list[str]], size: int) -> list[str]:
    if not columns:
        return ["{}"] * size
    keys = [json_string(name).replace("%", "%%") for name in names]
    row = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"
    return [row % values for values in zip(*columns, strict=True)]


def _lists(array: pa.Array) -> list[str]:
    spans = _spans(array)
    first = min((begin for begin, _ in spans), default=0)
    size = max((end for _, end in spans), default=0) - first
    if types.is_map(array.type):
        keys, items = (_json(each.slice(first, size)) for each in (array.keys, array.items))
        values = [f"[{key}, {item}]" for key, item in zip(keys, items, strict=True)]
    else:
        values = _json(array.values.slice(first, size))
    return [f"[{', '.join(values[begin - first : end - first])}]" for begin, end in spans]


def _spans(array: pa.Array) -> list[tuple[int, int]]:
    """Return where the values of each list begin and end."""
    if types.is_fixed_size_list(array.type):
        size, first = array.type.list_size, array.offset
        return [((first + i) * size, (first + i + 1) * size) for i in range(len(array))]
    offsets = array.offsets.to_pylist()
    if isinstance(array, pa.ListViewArray | pa.LargeListViewArray):
        sizes = array.sizes.to_pylist()
        return [(begin, begin + size) for begin, size in zip(offsets, sizes, strict=True)]
    return list(pairwise(offsets))


def _union(array: pa.Array) -> list[str]:
    codes = array.type_codes.to_pylist()
    is_dense = array.type.mode == "dense"
    places = array.offsets.to_pylist() if is_dense else range(len(array))
    children = [_json(array.field(i)) for i in range(array.type.num_fields)]
    by_code = dict(zip(array.type.type_codes, children, strict=True))
    return [by_code[code][place] for code, place in zip(codes, places, strict=True)]


def _numbers(array: pa.Array) -> list[str | None]:
    """Return floating point numbers as JSON: whole ones with `.0`, those that are none as None."""
    array = pc.if_else(pc.is_finite(array), array, pa.scalar(None, array.type))
    text = array.cast(pa.string())
    if pc.any(pc.match_substring_regex(text, r"^-?\d+$")).as_py():
        text = pc.replace_substring_regex(text, r"^(-?\d+)$", r"\1.0")
    found: list[str | None] = text.to_pylist()
    return found


def _scalars(array: pa.Array) -> list[str | None]:
    kind = array.type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return _strings(array)
    if _is_bytes(kind):
        return [None if each is None else b64encode(each).decode() for each in array.to_pylist()]
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        return _times(array)
    if types.is_duration(kind):
        numbers = array.cast(pa.int64()).to_pylist()
        return [None if each is None else _duration(each, kind.unit) for each in numbers]
    if types.is_interval(kind):
        return [None if each is None else _interval(*each) for each in array.to_pylist()]
    found: list[str | None] = array.cast(pa.string()).to_pylist()
    return found


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_binary_view(kind)
        or types.is_fixed_size_binary(kind)
    )


def _strings(array: pa.Array) -> list[str | None]:
    try:
        found: list[str | None] = array.to_pylist()
    except UnicodeDecodeError:
        values = array.cast(pa.large_binary()).to_pylist()
        return [None if each is None else each.decode(errors="surrogateescape") for each in values]
    return found


def _times(array: pa.Array) -> list[str | None]:
    kind = array.type
    numbers = array.cast(pa.int32() if kind.bit_width == 32 else pa.int64()).cast(pa.int64())
    first, last = _range(kind)
    is_held = pc.and_(pc.greater_equal(numbers, first), pc.less_equal(numbers, last))
    held = pc.if_else(is_held, array, pa.scalar(None, kind))
    text = _zoned(held) if types.is_timestamp(kind) and kind.tz else _iso(held)
    if not pc.all(is_held).as_py():
        strange = pc.binary_join_element_wise(
            "<value out of range: ", numbers.cast(pa.string()), ">", ""
        )
        text = pc.if_else(is_held, text, strange)
    found: list[str | None] = text.to_pylist()
    return found


def _range(kind: pa.DataType) -> tuple[int, int]:
    """Return the first and the last value that can be written."""
    if types.is_date32(kind):
        return _FIRST // _DAY, _END // _DAY - 1
    a_second = 1000 if types.is_date64(kind) else _SECONDS[kind.unit]
    if types.is_time(kind):
        return 0, _DAY * a_second - 1
    low, high = max(_FIRST * a_second, -(2**63)), min(_END * a_second, 2**63) - 1
    # What an offset is added to stays within the years, and within 64 bits.
    zone = _DAY * a_second if types.is_timestamp(kind) and kind.tz else 0
    return low + zone, high - zone


def _iso(array: pa.Array) -> pa.Array:
    text = array.cast(pa.string())
    return pc.replace_substring(text, " ", "T") if types.is_timestamp(array.type) else text


def _zoned(array: pa.Array) -> pa.Array:
    """Return times in their zone with its offset, in UTC if nobody knows the zone."""
    unit = array.type.unit
    moments = array.cast(pa.int64())
    try:
        local = pc.local_timestamp(array)
    except pa.ArrowInvalid:
        local = moments.cast(pa.timestamp(unit))
    shifts = pc.divide(pc.subtract(local.cast(pa.int64()), moments), _SECONDS[unit])
    encoded = shifts.dictionary_encode()
    is_utc = array.type.tz == "UTC"
    names = ["Z" if is_utc else _offset(each) for each in encoded.dictionary.to_pylist()]
    offsets = pa.DictionaryArray.from_arrays(encoded.indices, pa.array(names, pa.string()))
    return pc.binary_join_element_wise(_iso(local), offsets.dictionary_decode(), "")


def _offset(seconds: int) -> str:
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def _duration(number: int, unit: str) -> str:
    sign = "-" if number < 0 else ""
    seconds, rest = divmod(abs(number), _SECONDS[unit])
    digits = len(str(_SECONDS[unit])) - 1
    return f"{sign}PT{seconds}.{rest:0{digits}}S" if digits else f"{sign}PT{seconds}S"


def _interval(months: int, days: int, nanoseconds: int) -> str:
    sign = "-" if nanoseconds < 0 else ""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    return f"P{months}M{days}DT{sign}{seconds}.{rest:09}S"
