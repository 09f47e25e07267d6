"""What can go wrong with a call, and the one place where gRPC's errors become ours.

SentidoError
+-- InvalidRequestError   a bad text or argument; names each by the caller's own index
+-- NotFoundError         no such model, version or word
+-- BundleChangedError    the answer is not of the bundle that was expected
+-- MissingCapabilityError  the model cannot do what is asked for, as its `capabilities` say
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

from sentido_client.address import is_loopback, is_proxy, proxy

_MISSING = "MISSING_CAPABILITY"
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
_GRPC_SAYS = (  # of a connection that did not come about
    "failed to connect to all addresses",
    "connections to all backends failing",
    "errors resolving",
    "DNS resolution failed",
    "empty address list",
)
_REASONS = {  # by what gRPC says, in ours
    "backend unhealthy": "it is not SERVING: it is starting or stopping",
    "Connection refused": "nobody listens there (connection refused)",
    "No such file or directory": "there is no such socket",
    "HTTP proxy returned": "the proxy refused",
    "errors resolving": "its name has no address",
    "DNS resolution failed": "its name has no address",
    "Failed parsing HTTP/2": "what listens there does not speak gRPC",
    "Socket closed": "it ended the connection at once, as one does that speaks TLS (give tls_ca) or"
    " wants another certificate (give tls_cert and tls_key)",
    "Network is unreachable": "there is no network to it",
    "No route to host": "there is no route to it",
    "Permission denied": "permission denied",
    "imed out": "it does not answer",
    "Timeout": "it does not answer",
}
_NOBODY = (_REASONS["Connection refused"], _REASONS["No such file or directory"])
_INDEXED = re.compile(r"\b(texts|words|token_ids)\[(\d+)\]")


class SentidoError(Exception):
    """Anything that went wrong with a call. Can be pickled and copied, as pools of processes do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, vars(self))


def _made_again(kind: type[SentidoError], args: tuple[Any, ...], facts: dict[str, Any]) -> Any:
    """Make a copy without the constructor, which takes more than the message."""
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(facts)
    return error


@dataclass(frozen=True)
class Violation:
    """One bad field of a request."""

    field: str  # "text", "texts[17]" (the caller's own index), "truncation", ...
    description: str
    index: int | None  # of the bad text, word or id among those given, None for another field


class InvalidRequestError(SentidoError):
    """The request is wrong; trying again gives the same. `violations` says which fields are."""

    def __init__(self, message: str, violations: Iterable[Violation] = ()) -> None:
        super().__init__(message)
        self.violations = tuple(violations)

    @property
    def index(self) -> int | None:
        """The index of the first bad text, word or id among those given, None for another field."""
        return next((v.index for v in self.violations if v.index is not None), None)


class NotTextError(InvalidRequestError, TypeError):
    """In the place of a text stands something else, such as None or NaN."""


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


class MissingCapabilityError(SentidoError):
    """The model cannot do what is asked for: `capability`, of `model`. Another one may."""

    def __init__(self, message: str, model: str, capability: str) -> None:
        super().__init__(message)
        self.model = model
        self.capability = capability


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
        return DeadlineError(f"no answer from {address} in time{_after(offset)}{_by(address)}")
    if code is grpc.StatusCode.FAILED_PRECONDITION:
        return _precondition(details, _details(_status(error), error_details_pb2.ErrorInfo))
    kinds: dict[Any, type[SentidoError]] = {
        grpc.StatusCode.NOT_FOUND: NotFoundError,
        grpc.StatusCode.CANCELLED: CallCancelledError,
        grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
        grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    }
    if code in kinds:
        return kinds[code](details or code.name)
    return ServerError(f"{code.name}: {details}")


def _precondition(message: str, reasons: Iterable[error_details_pb2.ErrorInfo]) -> SentidoError:
    """Turn a FAILED_PRECONDITION into the error of its reason."""
    info = next(iter(reasons), error_details_pb2.ErrorInfo())
    if info.reason == _MISSING:
        facts = info.metadata
        return MissingCapabilityError(message, facts["model"], facts["capability"])
    return ReloadError(message, info.reason)


def _unavailable(address: str, details: str, after: str) -> UnavailableError:
    """Say why there is no connection, as far as gRPC knows."""
    for part, reason in _TLS_REASONS.items():
        if part in details:
            return TLSError(f"no secure connection to {address}: {reason}{after}")
    reason = _reason(details)
    what_to_do = _by(address) or (_start_one(address) if reason in _NOBODY else "")
    return UnavailableError(f"no server is ready at {address}: {reason}{after}{what_to_do}")


def _start_one(address: str) -> str:
    """Say how to start a server that is called at an address."""
    if not is_loopback(address):
        return "; is sentido-server running there, and can it be reached?"
    listen = "" if address == "localhost:50051" else f" --listen {address}"
    return f"; start one with: sentido-server{listen}"


def _reason(details: str) -> str:
    """Say in our words what gRPC says of a connection; what a server says stays as it is."""
    if not details.startswith(_GRPC_SAYS):
        return details
    return next((ours for part, ours in _REASONS.items() if part in details), "cannot be reached")


def _by(address: str) -> str:
    """Name the proxy that stands before an address, by its variable: it may hold a password."""
    variable = proxy(address)
    if variable is None:
        return ""
    if not is_proxy(variable):
        return f" (without a proxy: what {variable} holds is not http://host:port)"
    return f" (by the proxy in {variable}; to go past it, name the host in no_proxy)"


def not_ready(address: str, timeout: float, found: SentidoError | str) -> UnavailableError:
    """Say that no server became ready; `found`: its health then, or the error of asking for it."""
    after = f"after {timeout:g} seconds"
    if isinstance(found, UnavailableError):
        place = f" {address}: "
        return type(found)(str(found).replace(place, f" {address} {after}: ", 1))
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
