"""Servers of grpcio: for all calls, behind the native front, and for probes alone."""

from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health

from sentido_server.address import check_address
from sentido_server.config import StartError
from sentido_server.core.admission import Allowance, Slots
from sentido_server.core.one_cpu import OneCpu
from sentido_server.core.rpc import Rpc
from sentido_server.core.threads import CallThreads
from sentido_server.transports.grpcio import GrpcioCalls, Receiver, new_server, stop
from sentido_server.transports.options import connection_options
from sentido_server.transports.reflection import Reflection
from sentido_server.transports.stalls import Stalls
from sentido_server.transports.transport import Shared, with_port

_PATIENCE_SECONDS = 2.0  # that a call waits, before one that stands still gives it its place
_PROBES = 16  # health checks whose messages are received at once
_PROBE_PATIENCE_SECONDS = 0.1  # such a message comes with its call
_PROBE_BYTES = 4096  # of such a message at most


class Answering:
    """Makes servers that answer the same calls on the same threads; each is yet to be bound."""

    def __init__(self, shared: Shared, rpcs: Sequence[Rpc[Any]], behind_native: bool) -> None:
        config, memory = shared.config, shared.config.memory()
        self._shared = shared
        self._rpcs = rpcs
        self._options = connection_options(config, behind_native)
        self._threads = CallThreads(config.most_threads(), cpu=OneCpu())
        self._streams = Allowance(memory.streams)
        receiving = Slots(memory.receiving, memory.receiving_of_one, _PATIENCE_SECONDS)
        receiver = Receiver(receiving, shared.stalls, self._threads.turns)
        self.calls = GrpcioCalls(
            shared.pipeline, self._threads, receiver, shared.stalls, self._streams
        )

    def make(self) -> grpc.Server:
        """Make a server."""
        shared, threads = self._shared, self._threads
        server = new_server(threads, self._options)
        self.calls.register(server, self._rpcs)
        receiver = _probes_receiver(shared.stalls, threads)
        shared.health.register(server, receiver, shared.stalls, threads)
        if shared.config.reflection:
            services = dict.fromkeys(rpc.service for rpc in shared.rpcs)
            names = (*services, health.SERVICE_NAME)
            check, stalls = shared.check_reflection, shared.stalls
            Reflection(names, check, self._streams, stalls, threads).register(server)
        return server


class GrpcioTransport:
    """gRPC's own server, for every RPC."""

    name = "grpcio"

    def __init__(self, shared: Shared) -> None:
        self._listen = shared.config.listen
        self._certificates = shared.certificates
        self._answering = Answering(shared, shared.rpcs, behind_native=False)
        self._server = self._answering.make()

    def start(self) -> str:
        """Take calls from now on; return the address. Raises StartError."""
        port = _bind(self._server, self._listen, self._certificates)
        self._server.start()
        return with_port(self._listen, port)

    @property
    def open_calls(self) -> int:
        """Calls that have no status yet."""
        return self._answering.calls.open_calls

    def drain(self, seconds: float) -> bool:
        """Let accepted calls finish; return whether all did in time."""
        return self._answering.calls.drain(seconds)

    def stop(self, seconds: float) -> None:
        """Close every connection."""
        stop(self._server, seconds).wait()


class Probes:
    """A port for health alone, in plain text, for probes beside TLS."""

    name = "health"
    open_calls = 0  # of those that are counted and drained

    def __init__(self, shared: Shared) -> None:
        self._listen = shared.config.health_listen
        threads = CallThreads(2 * shared.config.max_connections)
        options = connection_options(shared.config, behind_native=False)
        small = ("grpc.max_receive_message_length", _PROBE_BYTES)
        self._server = new_server(threads, [*options, small])
        shared.health.register(
            self._server, _probes_receiver(shared.stalls, threads), shared.stalls, threads
        )

    def start(self) -> str:
        """Answer from now on; return the address. Raises StartError."""
        try:
            check_address(self._listen)
        except ValueError as error:
            raise StartError(f"cannot listen for health on {self._listen!r}: {error}") from error
        port = _bind(self._server, self._listen)
        self._server.start()
        return with_port(self._listen, port)

    def drain(self, seconds: float) -> bool:  # noqa: ARG002
        """Do nothing: probes are answered until the end."""
        return True

    def stop(self, seconds: float) -> None:
        """Close every connection."""
        stop(self._server, seconds).wait()


def _probes_receiver(stalls: Stalls, threads: CallThreads) -> Receiver:
    receiving = Slots(_PROBES, _PROBES // 2, _PROBE_PATIENCE_SECONDS)
    return Receiver(receiving, stalls, threads.turns)


def _bind(
    server: grpc.Server, listen: str, certificates: grpc.ServerCredentials | None = None
) -> int:
    """Bind the address and return its port. Raises StartError."""
    try:
        if certificates is not None:
            return server.add_secure_port(listen, certificates)
        return server.add_insecure_port(listen)
    except RuntimeError as error:  # somebody took the port since it was looked at
        raise StartError(f"cannot listen on {listen!r}: the port is in use") from error
