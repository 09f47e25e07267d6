"""Walks the protobuf wire format without a schema.

Source: https://protobuf.dev/programming-guides/encoding/. Used to look into ONNX files before
ONNX Runtime does, and by the server to say what is wrong with a message that does not parse. Only
the canonical encoding is read: where parsers differ on what an odd one means, an odd one could show
a reader something else than it shows ONNX Runtime.
"""

from collections.abc import Iterator

Value = int | memoryview | bytes
"""An integer, the contents of a length-delimited field, or the 4 or 8 bytes of a fixed one."""


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Walk the fields of one message: its number and its value, told apart by its type.

    Raises ValueError or IndexError where the bytes are not a message in canonical encoding.
    """
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise ValueError(f"field number {number}")
        if wire_type == 0:
            value, position = varint(data, position)
            yield number, value
            continue
        if wire_type == 2:
            size, position = varint(data, position)
        elif wire_type in (1, 5):
            size = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"wire type {wire_type}")
        if position + size > len(data):
            raise ValueError(f"a field of {size} bytes ends after the file")
        contents = data[position : position + size]
        yield number, contents if wire_type == 2 else bytes(contents)
        position += size


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Read one unsigned integer of 64 bits; return it and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64 or (byte == 0 and shift):
                raise ValueError("an integer that is too long")
            return value, position
    raise ValueError("an integer of more than 10 bytes")
