"""Turns the bytes of a request into its message, or says which field is wrong."""

from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from sentido_bundle.wire import fields

from sentido_server.faults import InvalidArgument, Violation

Request = TypeVar("Request", bound=Message)


def parse(request: type[Request], body: bytes) -> Request:
    """Parse a request. Raises InvalidArgument, naming a string that is not UTF-8."""
    try:
        return request.FromString(body)
    except DecodeError as error:
        descriptor = request.DESCRIPTOR
        try:
            bad = _not_utf8(descriptor, memoryview(body), "")
        except (ValueError, IndexError):
            bad = None
        broken = Violation("(request)", f"is not a message of type {descriptor.full_name}")
        raise InvalidArgument([bad or broken]) from error


def _not_utf8(descriptor: Any, body: memoryview, prefix: str) -> Violation | None:
    """Find the first string field that is not UTF-8."""
    seen: dict[int, int] = {}
    for number, value in fields(body):
        field = descriptor.fields_by_number.get(number)
        if field is None or isinstance(value, int):
            continue
        index = seen.get(number, 0)
        seen[number] = index + 1
        path = prefix + field.name + (f"[{index}]" if field.is_repeated else "")
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            found = _not_utf8(field.message_type, value, path + ".")
            if found:
                return found
        elif field.type == FieldDescriptor.TYPE_STRING:
            try:
                bytes(value).decode("utf-8")
            except UnicodeDecodeError as error:
                return Violation(path, f"is not valid UTF-8 at byte {error.start}")
    return None
