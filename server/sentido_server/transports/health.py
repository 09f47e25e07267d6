"""grpc.health.v1 for every service, with Watch streams that are bounded and end with the server."""

import threading
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2

from sentido_server.core.admission import Allowance, Left, source_of
from sentido_server.core.faults import (
    Fault,
    InvalidArgument,
    NotFound,
    QueueFull,
    Unavailable,
    Violation,
)
from sentido_server.core.threads import CallThreads, make_room
from sentido_server.transports.grpcio import Receiver, abort, check_threads
from sentido_server.transports.stalls import Stalls

_Status = health_pb2.HealthCheckResponse
_RETRY_SECONDS = 1.0  # after which a caller may try again to watch
_Inbox = SimpleQueue[None]  # of a Watch: something may have changed


class Health:
    """Tells whether the server and its services are SERVING. Lives as long as the server.

    gRPC's own servicer never ends a Watch, takes any number of them, and makes whoever sets a
    status wait for each watcher.
    """

    def __init__(self, services: Sequence[str], watches: int) -> None:
        """Start with the server, "", and its services NOT_SERVING; take so many Watches."""
        self._services = ("", *services)
        self._watches = Allowance(watches)
        self._lock = threading.Lock()
        self._inboxes: set[_Inbox] = set()  # of open Watches
        self._serving = False
        self._ended = False

    def set_serving(self, serving: bool) -> None:
        """Tell everyone who watches."""
        with self._lock:
            self._serving = serving
            self._wake_all()

    def end_watches(self) -> None:
        """End every open Watch, and each new one at once."""
        with self._lock:
            self._ended = True
            self._wake_all()

    def _wake_all(self) -> None:
        for inbox in self._inboxes:
            inbox.put(None)

    def register(
        self, server: grpc.Server, receiver: Receiver, stalls: Stalls, threads: CallThreads
    ) -> None:
        """Answer for health on a server, whose calls run on these threads."""

        def check(requests: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            try:
                return self._check(receiver.message(requests, context))
            except Left:
                return _Status()  # for nobody
            except Fault as fault:
                abort(context, fault)

        def watch(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                body = receiver.message(requests, context)
                check_threads(threads)
                for status in self._watch(body, context):
                    with stalls.watched(context):
                        yield status
            except Left:
                return
            except Fault as fault:
                abort(context, fault)

        to_bytes = _Status.SerializeToString
        handlers: dict[str, Any] = {
            "Check": grpc.stream_unary_rpc_method_handler(check, response_serializer=to_bytes),
            "Watch": grpc.stream_stream_rpc_method_handler(watch, response_serializer=to_bytes),
        }
        generic = grpc.method_handlers_generic_handler(health.SERVICE_NAME, handlers)
        server.add_generic_rpc_handlers((generic,))

    def _check(self, body: bytes) -> Any:
        service = _service(body)
        if service not in self._services:
            raise NotFound("the server has no such service")
        return _Status(status=_Status.SERVING if self._serving else _Status.NOT_SERVING)

    def _watch(self, body: bytes, context: grpc.ServicerContext) -> Iterator[Any]:
        """Return the status now and after each change, until the caller or the server ends it."""
        source = source_of(context.peer(), context)
        if not self._watches.take(source, 1):
            raise QueueFull(
                f"{self._watches.held} Watches are open; try again", _RETRY_SECONDS, "streams"
            )
        inbox: _Inbox = SimpleQueue()
        with self._lock:
            self._inboxes.add(inbox)
            make_room(len(self._inboxes))
        try:
            if context.add_callback(lambda: inbox.put(None)):  # else the caller has left
                yield from self._statuses(_service(body), context, inbox)
        finally:
            with self._lock:
                self._inboxes.remove(inbox)
                make_room(len(self._inboxes))
            self._watches.add(source, -1)

    def _statuses(
        self, service: str, context: grpc.ServicerContext, inbox: "_Inbox"
    ) -> Iterator[Any]:
        """Return the status, and again whenever something is in the inbox and it is another one."""
        sent = None
        while context.is_active():
            if self._ended:
                raise Unavailable("the server is shutting down")
            status = _Status.SERVING if self._serving else _Status.NOT_SERVING
            if service not in self._services:
                status = _Status.SERVICE_UNKNOWN
            if status != sent:
                yield _Status(status=status)
            sent = status
            inbox.get()


def _service(body: bytes) -> str:
    try:
        return str(health_pb2.HealthCheckRequest.FromString(body).service)
    except DecodeError as error:
        broken = Violation(
            "(request)", "is not a message of type grpc.health.v1.HealthCheckRequest"
        )
        raise InvalidArgument([broken]) from error
