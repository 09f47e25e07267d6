"""What a call can be answered with instead of a response.

    Fault
    +-- InvalidArgument     the caller's request; names every bad field
    +-- NoMessage           UNIMPLEMENTED: a call without the one message that it takes
    +-- NotFound            a model, a version or a word
    +-- QueueFull           RESOURCE_EXHAUSTED, with the delay after which to try again
    +-- MessageTooLarge     RESOURCE_EXHAUSTED, and trying again is no use
    +-- Unauthenticated     no token, or one that is unknown
    +-- PermissionDenied    a token whose role is not enough
    +-- BundleRefused       FAILED_PRECONDITION: a reload that keeps the bundle that was there
    +-- MissingCapability   FAILED_PRECONDITION: the model cannot do what is asked
    +-- Unavailable         loading or draining; another server may answer
    +-- DeadlineExceeded    expired before it was computed
    +-- Cancelled           abandoned before it was computed
    +-- Internal            a bug: a fixed sentence and an id to find in the log

Each carries its status code; `status()` gives the google.rpc.Status that goes over the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

_MOST_VIOLATIONS = 20  # a client takes 8 KiB of trailing metadata by default


def shorten(text: str, most: int = 40) -> str:
    """Cut what a caller sent to a length that a message may repeat: metadata is limited."""
    return text if len(text) <= most else text[:most] + "…"


class Fault(Exception):
    """A call that gets a status instead of a response."""

    code: ClassVar[int]
    refusal = ""  # one of counting.REFUSALS, of a call that was refused for its size or for room

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def bare(self) -> Self:
        """Return the fault without where it was raised, whose frames hold whole requests."""
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)

    def details(self) -> Sequence[Message]:
        """Give the google.rpc details that explain the fault to a program."""
        return ()

    def status(self) -> status_pb2.Status:
        """Give the fault as it goes over the wire."""
        status = status_pb2.Status(code=self.code, message=self.message)
        for detail in self.details():
            status.details.add().Pack(detail)
        return status


@dataclass(frozen=True)
class Violation:
    """One bad field of a request, by its path (`texts[17]`), and what is wrong with it."""

    field: str
    description: str


class InvalidArgument(Fault):
    """The request itself is wrong."""

    code = code_pb2.INVALID_ARGUMENT

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        more = len(violations) - 1
        first = f"{violations[0].field}: {violations[0].description}"
        super().__init__(first + (f" (and {more} more)" if more else ""))

    def details(self) -> Sequence[Message]:
        """Name every bad field, up to what fits into a client's metadata."""
        request = error_details_pb2.BadRequest()
        for violation in self.violations[:_MOST_VIOLATIONS]:
            request.field_violations.add(field=violation.field, description=violation.description)
        return [request]


class NoMessage(Fault):
    """A call that takes one message came without. In the code that gRPC has for it."""

    code = code_pb2.UNIMPLEMENTED


class NotFound(Fault):
    """Something that the request names is not there."""

    code = code_pb2.NOT_FOUND


class QueueFull(Fault):
    """The server has as much work waiting as it accepts."""

    code = code_pb2.RESOURCE_EXHAUSTED

    def __init__(self, message: str, retry_seconds: float, refusal: str) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.refusal = refusal

    def details(self) -> Sequence[Message]:
        """Say when to try again."""
        delay = Duration()
        delay.FromMilliseconds(round(self.retry_seconds * 1000))
        return [error_details_pb2.RetryInfo(retry_delay=delay)]


class MessageTooLarge(Fault):
    """A message is longer than the server receives. In grpcio's words, which clients know."""

    code = code_pb2.RESOURCE_EXHAUSTED
    refusal = "message_size"

    def __init__(self, size: int, most: int) -> None:
        super().__init__(f"SERVER: Received message larger than max ({size} vs. {most})")


class Unauthenticated(Fault):
    """The call carries no token, or one that the server does not know."""

    code = code_pb2.UNAUTHENTICATED


class PermissionDenied(Fault):
    """The call's token does not allow it."""

    code = code_pb2.PERMISSION_DENIED


class BundleRefused(Fault):
    """A bundle was not loaded again; the server answers from the one it had."""

    code = code_pb2.FAILED_PRECONDITION

    def __init__(self, why: str) -> None:
        super().__init__(f"the bundle that was there is kept: {shorten(why, 1000)}")

    def details(self) -> Sequence[Message]:
        """Give the reason in a word that a program can compare."""
        return [error_details_pb2.ErrorInfo(reason="BUNDLE_REFUSED", domain="sentido")]


class MissingCapability(Fault):
    """The model cannot do what the request asks for; another one may."""

    code = code_pb2.FAILED_PRECONDITION

    def __init__(self, message: str, model: str, capability: str) -> None:
        super().__init__(message)
        self.model = model
        self.capability = capability

    def details(self) -> Sequence[Message]:
        """Name the capability, as Model.capabilities does."""
        facts = {"model": self.model, "capability": self.capability}
        return [
            error_details_pb2.ErrorInfo(
                reason="MISSING_CAPABILITY", domain="sentido", metadata=facts
            )
        ]


class Unavailable(Fault):
    """The server is loading or draining."""

    code = code_pb2.UNAVAILABLE


class DeadlineExceeded(Fault):
    """The call's deadline passed before it was computed."""

    code = code_pb2.DEADLINE_EXCEEDED


class Cancelled(Fault):
    """The caller left before its call was computed."""

    code = code_pb2.CANCELLED


class Internal(Fault):
    """A bug of ours."""

    code = code_pb2.INTERNAL

    def __init__(self, error_id: str) -> None:
        super().__init__(f"internal error; the server's log has more under the id {error_id}")
