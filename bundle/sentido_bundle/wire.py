"""Walks the protobuf wire format without a schema.

Source: https://protobuf.dev/programming-guides/encoding/. Used to look into ONNX files before
ONNX Runtime does, and by the server to say what is wrong with a message that does not parse.
"""

from collections.abc import Iterator

Value = int | memoryview


def fields(data: memoryview) -> Iterator[tuple[int, Value]]:
    """Walk the fields of one message: its number and its value, an integer or bytes.

    Raises ValueError or IndexError where the bytes are not a message.
    """
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, wire_type = key >> 3, key & 7
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
        yield number, data[position : position + size]
        position += size


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Read one integer; return it and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("an integer of more than 10 bytes")
