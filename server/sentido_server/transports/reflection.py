"""Server reflection, for those who may call the server."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from grpc_reflection.v1alpha import reflection

from sentido_server.core.admission import Allowance, source_of
from sentido_server.core.call import Metadata
from sentido_server.core.faults import Fault, QueueFull
from sentido_server.core.threads import Turns
from sentido_server.transports.grpcio import abort
from sentido_server.transports.stalls import Stalls

_RETRY_SECONDS = 1.0  # after which a caller may try again to open a stream


class Reflection(reflection.ReflectionServicer):  # type: ignore[misc]
    """gRPC's own servicer behind the rules of access. Lives as long as the server."""

    def __init__(
        self,
        services: Sequence[str],
        check: Callable[[Metadata], None],
        streams: Allowance,
        stalls: Stalls,
        turns: Turns,
    ) -> None:
        """Take the names of the services, what refuses who may not see them, and bounds."""
        super().__init__(services)
        self._check = check
        self._streams = streams
        self._stalls = stalls
        self._turns = turns

    def ServerReflectionInfo(  # noqa: N802, gRPC's name
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """Answer grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo."""
        self._turns.end()
        source = source_of(context.peer(), context)
        try:
            self._check(context.invocation_metadata() or ())
            if not self._streams.take(source, 1):
                raise QueueFull("too many streams are open; try again", _RETRY_SECONDS, "streams")
        except Fault as fault:
            abort(context, fault)
        try:
            for answer in super().ServerReflectionInfo(requests, context):
                with self._stalls.watched(context):
                    yield answer
        finally:
            self._streams.add(source, -1)
