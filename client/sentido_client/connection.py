"""The channel of the client that blocks: renewed, so that new servers behind a name are found.

gRPC looks a name up again only when a connection breaks. So a call that comes when the channel has
served its time begins a second one, beside it; once that is READY, new calls are made on it, and
the old one is closed when its last call has ended. Without calls nothing happens.
"""

import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakSet

from grpc_health.v1 import health_pb2, health_pb2_grpc

from sentido_client.channel import Method, Stubs, lifetime
from sentido_client.errors import CallCancelledError

_Call = TypeVar("_Call")

_REST_SECONDS = 0.25  # until gRPC's own threads have noticed that a channel is closed


class Connection:
    """Lives from a client's first call until `close`. Safe to use from several threads."""

    def __init__(self, open_channel: Callable[[], Any], renew_seconds: float) -> None:
        self.process = os.getpid()
        self._open_channel = open_channel
        self._renew_seconds = renew_seconds
        self._lock = threading.Lock()
        self._current = Stubs(open_channel())
        self._next: Stubs | None = None  # not READY yet
        self._retired: set[Stubs] = set()  # with calls in progress
        self._closed = False
        self._renewed_at = -math.inf
        self._renew_at = time.monotonic() + lifetime(renew_seconds)
        _connections.add(self)

    def begin(self, call: Callable[[Stubs], _Call]) -> tuple[Stubs, _Call]:
        """Begin a call; `end` must be told when it has ended.

        Raises CallCancelledError if the client was closed, by another thread.
        """
        stubs = self.take()
        try:
            return stubs, call(stubs)
        except ValueError as error:  # grpc's word for a closed channel
            self.end(stubs)
            raise CallCancelledError("the client was closed") from error

    def take(self) -> Stubs:
        """Return what to make one call on, until `end`. Raises CallCancelledError if closed."""
        with self._lock:
            if self._closed:
                raise CallCancelledError("the client was closed")
            stubs = self._current
            stubs.calls += 1
            is_due = self._next is None and time.monotonic() >= self._renew_at
            if is_due:
                self._next = Stubs(self._open_channel())
            begun = self._next
        if is_due and begun is not None:
            self._use_when_ready(begun)
        return stubs

    def end(self, stubs: Stubs) -> None:
        """Note that a call has ended; close its channel if that is retired and this was the last.

        Not called on a thread of that channel, for which closing would wait.
        """
        with self._lock:
            stubs.calls -= 1
            if stubs.calls or stubs not in self._retired:
                return
            self._retired.remove(stubs)
        stubs.channel.close()

    def close(self) -> None:
        """Close the channels. Calls in progress are cancelled."""
        with self._lock:
            self._closed = True
            stubs = [self._current, *self._retired, *([self._next] if self._next else [])]
            self._retired.clear()
        for one in stubs:
            one.channel.close()

    def rest(self) -> None:
        """Leave no thread in gRPC on account of a renewal: beside one, a fork may end the child."""
        with self._lock:
            stubs, self._next = self._next, None
            is_fresh = time.monotonic() - self._renewed_at < _REST_SECONDS
        if stubs is not None:
            stubs.channel.close()
        if stubs is not None or is_fresh:
            time.sleep(_REST_SECONDS)

    def _use_when_ready(self, stubs: Stubs) -> None:
        """Ask for health, which waits for the channel to be READY and leaves no thread behind."""
        check = health_pb2_grpc.HealthStub(stubs.channel).Check
        try:
            asked = check.future(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        except ValueError:  # the client was closed meanwhile
            return
        asked.add_done_callback(lambda _: self._use(stubs))

    def _use(self, stubs: Stubs) -> None:
        """Make new calls on a channel that is READY. On a thread of that channel."""
        with self._lock:
            if self._closed or stubs is not self._next:
                return
            old, self._current, self._next = self._current, stubs, None
            self._renewed_at = time.monotonic()
            self._renew_at = self._renewed_at + lifetime(self._renew_seconds)
            if old.calls:
                self._retired.add(old)
                return
        old.channel.close()


@dataclass(eq=False)
class Sent:
    """A request on its way. Ends with `result` or `cancel`, one of which must be called."""

    connection: Connection
    stubs: Stubs
    method: Method
    request: Any
    future: Any  # of grpc

    def result(self) -> Any:
        """Wait for the answer. Raises grpc.RpcError."""
        try:
            return self.future.result()
        finally:
            self.connection.end(self.stubs)

    def cancel(self) -> None:
        """Give it up."""
        self.future.cancel()
        self.connection.end(self.stubs)


_connections: "WeakSet[Connection]" = WeakSet()


def _rest_before_fork() -> None:
    for connection in list(_connections):
        if connection.process == os.getpid():
            connection.rest()


os.register_at_fork(before=_rest_before_fork)
