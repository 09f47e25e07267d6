"""Whether a stream that broke goes on in a new one. The rules of both clients, without a clock."""

from typing import Any

import grpc

from sentido_client.errors import OverloadedError, SentidoError

_MOST_BREAKS = 8  # without an answer between them; each has gRPC's own retries within it
_FIRST_DELAY = 0.1  # seconds
_LONGEST_DELAY = 2.0
_LOST = (grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)


class Resumption:
    """Counts a stream's breaks since its last answer. Lives as long as the stream."""

    def __init__(self) -> None:
        self.fault: SentidoError | None = None  # of the last break since the last answer
        self._breaks = 0

    def answered(self) -> None:
        """Forget the breaks: the stream moves."""
        self.fault = None
        self._breaks = 0

    def delay(self, error: Any, fault: SentidoError, left: float) -> float:
        """Give the seconds to wait before a new stream. Raises `fault` where that is no use.

        `error`: the grpc.RpcError that `fault` was made of. `left`: seconds until the stream's
        timeout.
        """
        if isinstance(fault, OverloadedError):
            delay = fault.retry_after
        else:
            delay = min(_FIRST_DELAY * 2.0**self._breaks, _LONGEST_DELAY)
            self._breaks += 1
            if not is_break(error) or self._breaks > _MOST_BREAKS:
                raise fault from error
        if delay >= left:
            raise fault from error
        self.fault = fault
        return delay


def is_break(error: Any) -> bool:
    """Whether the server went away or is draining, or the connection was lost."""
    code, details = error.code(), error.details() or ""
    if code is grpc.StatusCode.UNAVAILABLE:
        return True
    return code in _LOST and "RST_STREAM" in details
