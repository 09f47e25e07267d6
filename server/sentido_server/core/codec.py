"""How messages become bytes and bytes messages; an error says which fields of a request are wrong.

A codec is what one protocol speaks: the pipeline knows messages only. Here is gRPC's, binary
protobuf.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from sentido_bundle.wire import Value, fields

from sentido_server.core.faults import InvalidArgument, Violation

Request = TypeVar("Request", bound=Message)

_LARGE = 2 * 1024 * 1024  # bytes; the elements of a larger request are counted before parsing
_MOST_FIELDS = 10_000  # looked at to find the bad ones: some 10 ms
_MOST_VIOLATIONS = 100
_MORE_FIELDS = 100  # that a request may have besides its elements


class Codec(Protocol):
    """Reads requests and writes responses. Without state; safe from any thread."""

    def decode(self, request: type[Request], body: bytes, most: int) -> Request:
        """Return the request, of at most `most` texts or words. Raises InvalidArgument."""

    def encode(self, response: Message) -> bytes:
        """Return the bytes of a response."""


class Protobuf:
    """Binary protobuf."""

    def decode(self, request: type[Request], body: bytes, most: int) -> Request:
        """Return the request. Raises InvalidArgument, also before parsing far too many elements."""
        if len(body) > _LARGE:
            _check_count(request, body, most)
        return _parse(request, body)

    def encode(self, response: Message) -> bytes:
        """Return the bytes of a response."""
        return response.SerializeToString()


PROTOBUF: Codec = Protobuf()


def _parse(request: type[Request], body: bytes) -> Request:
    """Parse a request. Raises InvalidArgument, naming the strings that are not UTF-8."""
    try:
        return request.FromString(body)
    except DecodeError as error:
        budget = iter(range(_MOST_FIELDS))
        found = _not_utf8(request.DESCRIPTOR, memoryview(body), "", budget)
        bad = list(islice(found, _MOST_VIOLATIONS))
        raise InvalidArgument(bad or [_broken(request)]) from error


def _broken(request: type[Message]) -> Violation:
    return Violation("(request)", f"is not a message of type {request.DESCRIPTOR.full_name}")


def _check_count(request: type[Message], body: bytes, most: int) -> None:
    """Raise InvalidArgument if a request has more than `most` elements, or far too many fields.

    Costs some milliseconds at most, where parsing could take ten times the memory of the body.
    """
    counts: Counter[int] = Counter()
    names = {f.number: f.name for f in request.DESCRIPTOR.fields if f.is_repeated}
    try:
        for total, (number, _) in enumerate(fields(memoryview(body)), start=1):
            counts[number] += 1
            if counts[number] > most and number in names:
                raise InvalidArgument(
                    [Violation(names[number], f"has more than {most} elements, the most allowed")]
                )
            if total > most + _MORE_FIELDS:
                raise InvalidArgument([Violation("(request)", f"has more than {total - 1} fields")])
    except (ValueError, IndexError) as error:
        raise InvalidArgument([_broken(request)]) from error


def _not_utf8(
    descriptor: Any, body: memoryview, prefix: str, budget: Iterator[int]
) -> Iterator[Violation]:
    """Find string fields that are not UTF-8, as far as message and budget (of fields) reach."""
    counts: dict[int, int] = {}
    for (number, value), _ in zip(_readable(body), budget, strict=False):
        field = descriptor.fields_by_number.get(number)
        if field is None or not isinstance(value, memoryview):
            continue
        index = counts.get(number, 0)
        counts[number] = index + 1
        path = prefix + field.name + (f"[{index}]" if field.is_repeated else "")
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            yield from _not_utf8(field.message_type, value, path + ".", budget)
        elif field.type == FieldDescriptor.TYPE_STRING:
            try:
                bytes(value).decode("utf-8")
            except UnicodeDecodeError as error:
                yield Violation(path, f"is not valid UTF-8 at byte {error.start}")


def _readable(body: memoryview) -> Iterator[tuple[int, Value]]:
    """Walk the fields of a message up to where it breaks."""
    try:
        yield from fields(body)
    except (ValueError, IndexError):
        return
