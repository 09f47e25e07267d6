"""Whether a stream that broke goes on, and a request is sent again. The rules of both clients."""

import time
from typing import Any

import grpc

from sentido_client.errors import (
    CallCancelledError,
    DeadlineError,
    OverloadedError,
    SentidoError,
    TLSError,
    UnavailableError,
)

_FIRST_DELAY = 0.1  # seconds; with less left, another stream would come too late
_LONGEST_DELAY = 1.0
_LOST = (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


class Resumption:
    """Knows a stream's breaks since its last answer. Lives as long as the stream."""

    def __init__(self) -> None:
        self.fault: SentidoError | None = None  # of the last break since the last answer
        self._next_delay = _FIRST_DELAY

    def answered(self) -> None:
        """Forget the breaks: the stream moves."""
        self.fault = None
        self._next_delay = _FIRST_DELAY

    def delay(self, error: Any, fault: SentidoError, left: float) -> float:
        """Return the seconds to wait before a new stream. Raises `fault` where that is no use.

        `error`: the grpc.RpcError that `fault` was made of. `left`: seconds until the stream's
        timeout, infinite without one. Of these, half are left to the new stream.
        """
        if isinstance(fault, OverloadedError):
            delay, too_late = fault.retry_after, fault.retry_after >= left
        else:
            delay, too_late = min(self._next_delay, left / 2), left < _FIRST_DELAY
            self._next_delay = min(2 * self._next_delay, _LONGEST_DELAY)
            if not is_break(error):
                raise fault from error
        if too_late:
            raise fault from error
        self.fault = fault
        return delay


class Patience:
    """Waits for the server that a stream begins with. Lives until there is one, or no time left."""

    def __init__(self, timeout: float) -> None:
        """Begin. `timeout`: the stream's seconds; may be infinite."""
        self._end = time.monotonic() + timeout
        self._resumption = Resumption()

    @property
    def left(self) -> float:
        """Return the seconds until the timeout."""
        return max(0.0, self._end - time.monotonic())

    def delay(self, error: SentidoError) -> float:
        """Return the seconds to wait before another try. Raises what to give up with."""
        if isinstance(error, DeadlineError):
            raise self._resumption.fault or error
        if isinstance(error, TLSError) or not isinstance(error, UnavailableError):
            raise error
        return self._resumption.delay(error.__cause__, error, self.left)


class Repetition:
    """Says when a request is sent again. Lives as long as the call of a caller's."""

    def __init__(self) -> None:
        self._was_cancelled = False

    def delay(self, error: Any, fault: BaseException, left: float) -> float:
        """Return the seconds to wait before the request is sent again. Raises `fault` if it is not.

        A full server says when. A call that is cancelled, but not by us, was on a connection that
        went away: it is sent again once. `left`: seconds until the timeout.
        """
        if isinstance(fault, OverloadedError):
            delay = fault.retry_after
        elif isinstance(fault, CallCancelledError) and not self._was_cancelled:
            self._was_cancelled, delay = True, _FIRST_DELAY
        else:
            raise fault from error
        if delay >= left:
            raise fault from error
        return delay


def is_break(error: Any) -> bool:
    """Whether the server went away or is draining, or the connection was lost."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return True
    return code in _LOST and "RST_STREAM" in details
