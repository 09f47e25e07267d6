"""Reads the fields of protobuf messages as ONNX has them, each by the type that it must have.

A field that is not expected, or of another type, is an error: parsers would pass over it or cut it,
and so read something else than was looked at here.
"""

import struct
from collections.abc import Iterator

from sentido_bundle import bounds
from sentido_bundle.wire import Value, fields, varint


def known_fields(
    value: Value, what: str, numbers: set[int], most: int = bounds.GRAPH_FIELDS
) -> Iterator[tuple[int, Value]]:
    """Walk the fields of a message. Raises ValueError for one that it may not have, or too many."""
    for count, (number, field) in enumerate(fields(message(value))):
        if number not in numbers:
            raise ValueError(f"field {number} of its {what} is unknown here")
        if count == most:
            raise ValueError(f"its {what} has more than {most} fields")
        yield number, field


def integers(value: Value) -> Iterator[int]:
    """Return the elements of a repeated int64 field, packed or not."""
    if isinstance(value, int):
        yield value
        return
    packed, position = message(value), 0
    while position < len(packed):
        item, position = varint(packed, position)
        yield item


def integer(value: Value) -> int:
    """Return the value of an int32 or enum field, which parsers would cut to 32 bits."""
    if not isinstance(value, int) or value >= 1 << 31:
        raise ValueError("no integer of 32 bits")
    return value


def message(value: Value) -> memoryview:
    """Return the contents of a message or a string."""
    if not isinstance(value, memoryview):  # which parsers would pass over
        raise ValueError("a number in place of a message or a string")
    return value


def signed(value: int) -> int:
    """Return what an unsigned integer of 64 bits is as a signed one."""
    return value - (1 << 64) if value >= 1 << 63 else value


def floats(value: Value) -> tuple[float, ...]:
    """Return the elements of a repeated float field, packed or not."""
    is_packed = isinstance(value, memoryview)
    if isinstance(value, int) or len(value) % 4 or not (is_packed or len(value) == 4):
        raise ValueError("a value of another type in place of a float")
    return struct.unpack(f"<{len(value) // 4}f", value)


def text_of(value: Value) -> str:
    """Return a string, which may not be longer than a name."""
    text = message(value)
    if len(text) > bounds.GRAPH_NAME_BYTES:
        raise ValueError(f"a name of {len(text):,} bytes, at most {bounds.GRAPH_NAME_BYTES:,}")
    return bytes(text).decode("utf-8")
