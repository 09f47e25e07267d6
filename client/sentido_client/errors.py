"""What can go wrong with a call, and the one place where gRPC's errors become ours.

SentidoError
+-- InvalidRequestError   a bad text or argument; names each by the caller's own index
+-- NotFoundError         no such model, version or word
+-- BundleChangedError    the answer is not of the bundle that was expected
+-- ReloadError           a bundle was not loaded again; the server goes on with the one it had
+-- OverloadedError       the server's queue is full, also after waiting as it asked
+-- TooLargeError         a message over a size limit of the wire
+-- UnavailableError      no server answers, or none that is ready, also after retries
|   +-- TLSError          a server answers, but no secure connection comes about
+-- DeadlineError         no answer in time
+-- CallCancelledError    the call was cancelled
+-- AuthenticationError   a token is missing or wrong
|   +-- PermissionDeniedError  a token is right but does not allow the call
+-- ServerError           the server failed, or does not speak this protocol
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

_DETAILS = "grpc-status-details-bin"
_TLS_REASONS = {  # by what gRPC says of a handshake, the more telling first
    "certificate has expired": "the server's certificate has expired",
    "certificate is not yet valid": "the server's certificate is not valid yet",
    "CERTIFICATE_VERIFY_FAILED": "the server's certificate is not signed by an authority in tls_ca",
    "Hostname Verification Check failed": "the server's certificate is for another name than this",
    "WRONG_VERSION_NUMBER": "the server speaks plain text: leave tls_ca out",
    "TSI_PROTOCOL_FAILURE": "the TLS handshake failed; the server may not know the certificate in"
    " tls_cert, or want one",
}
_CLOSED = (
    "it ended the connection at once, as one does that speaks TLS (give tls_ca) or wants another"
    " certificate (give tls_cert and tls_key)"
)
_INDEXED = re.compile(r"\b(texts|words)\[(\d+)\]")


class SentidoError(Exception):
    """Anything that went wrong with a call."""


@dataclass(frozen=True)
class Violation:
    """One bad field of a request."""

    field: str  # "text", "texts[17]" (the caller's own index), "truncation", ...
    description: str
    index: int | None  # of the bad text among those given, None for another field


class InvalidRequestError(SentidoError):
    """The request is wrong; trying again gives the same. `violations` says which fields are."""

    def __init__(self, message: str, violations: Iterable[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)

    @property
    def index(self) -> int | None:
        """The index of the first bad text among those given, None if it is not about a text."""
        return next((v.index for v in self.violations if v.index is not None), None)


class NotFoundError(SentidoError):
    """A model, version or word that the server does not have."""


class BundleChangedError(SentidoError):
    """The answer is of another bundle or precision than `expect_bundle` says. It is not returned.

    `expected`, `found`: the digests of the bundles. `precision`: that of the answer.
    """

    def __init__(self, message: str, expected: str, found: str, precision: str) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found
        self.precision = precision


class ReloadError(SentidoError):
    """The server found a bundle bad and goes on with the one it had. `reason`: a fixed word."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class OverloadedError(SentidoError):
    """The server has as much work as it accepts. `retry_after`: seconds to wait."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLargeError(SentidoError):
    """A message over a size limit of the wire."""


class UnavailableError(SentidoError):
    """No server answers at the address, or none that is ready."""


class TLSError(UnavailableError):
    """A server answers at the address, but no secure connection to it comes about."""


class DeadlineError(SentidoError):
    """No answer in time."""


class CallCancelledError(SentidoError):
    """The call was cancelled."""


class AuthenticationError(SentidoError):
    """A token is missing or wrong."""


class PermissionDeniedError(AuthenticationError):
    """A token is right but does not allow the call."""


class ServerError(SentidoError):
    """The server failed, or does not speak this protocol."""


def from_rpc_error(error: Any, address: str, offset: int = 0) -> SentidoError:
    """Turn a grpc.RpcError, sync or async, into ours; raise it `from error`.

    `offset`: what to add to the index of a text in the request to get the caller's own, which is
    the number of texts that were answered before.
    """
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        for retry in _details(_status(error), error_details_pb2.RetryInfo):
            return OverloadedError(details, retry.retry_delay.ToMilliseconds() / 1000)
        return TooLargeError(details)
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return from_status(_status(error) or status_pb2.Status(message=details), offset)
    if code is grpc.StatusCode.UNAVAILABLE:
        return _unavailable(address, details, _after(offset))
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError(f"no answer from {address} in time{_after(offset)}")
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        reasons = _details(_status(error), error_details_pb2.ErrorInfo)
        return ReloadError(details, next((info.reason for info in reasons), ""))
    kinds: dict[Any, type[SentidoError]] = {
        grpc.StatusCode.NOT_FOUND: NotFoundError,
        grpc.StatusCode.CANCELLED: CallCancelledError,
        grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
        grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    }
    if code in kinds:
        return kinds[code](details or code.name)
    return ServerError(f"{code.name}: {details}")


def _unavailable(address: str, details: str, after: str) -> UnavailableError:
    """Say why there is no connection, as far as gRPC knows."""
    for part, reason in _TLS_REASONS.items():
        if part in details:
            return TLSError(f"no secure connection to {address}: {reason}{after}")
    if "last error" in details and "Socket closed" in details:
        details += f"; {_CLOSED}"
    return UnavailableError(f"no server is ready at {address}: {details}{after}")


def not_ready(address: str, timeout: float, found: SentidoError | str) -> UnavailableError:
    """Say that no server became ready; `found`: its health then, or the error of asking for it."""
    after = f"after {timeout:g} seconds"
    if isinstance(found, UnavailableError):
        return type(found)(f"{found} ({after})")
    return UnavailableError(f"no server is ready at {address} {after}: {found}")


def stalled(address: str, timeout: float, answered: int) -> DeadlineError:
    """Say that a stream stood still for `timeout` seconds."""
    return DeadlineError(
        f"no answer from {address} on the stream for {timeout:g} seconds{_after(answered)}"
    )


def from_status(status: status_pb2.Status, offset: int) -> InvalidRequestError:
    """Turn the status of a bad text into an error; `offset` as in `from_rpc_error`."""
    violations = []
    for request in _details(status, error_details_pb2.BadRequest):
        for violation in request.field_violations:
            field, index = _shift(violation.field, offset)
            violations.append(Violation(field, violation.description, index))
    return InvalidRequestError(_shift(status.message, offset)[0], violations)


def _after(answered: int) -> str:
    return f" (after {answered} texts were answered)" if answered else ""


def _shift(text: str, offset: int) -> tuple[str, int | None]:
    """Add `offset` to the index in "texts[17]"; give the text and the first index in it."""
    found = _INDEXED.search(text)
    if found is None:
        return text, None
    index = int(found[2]) + offset
    return text[: found.start()] + f"{found[1]}[{index}]" + text[found.end() :], index


def _status(error: Any) -> status_pb2.Status | None:
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS:
            return status_pb2.Status.FromString(value)
    return None


def _details(status: status_pb2.Status | None, kind: Any) -> Iterable[Any]:
    for detail in status.details if status else ():
        message = kind()
        if detail.Unpack(message):
            yield message
