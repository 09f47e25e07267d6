"""The native transport: its front for unary calls, and grpcio's server behind it for the rest."""

import time

from sentido_server.config import StartError
from sentido_server.transports.fallback import Fallback
from sentido_server.transports.grpcio_server import Answering
from sentido_server.transports.native import NativeFront
from sentido_server.transports.options import MAX_METADATA_BYTES
from sentido_server.transports.transport import Shared, with_port

_SENDING_ON_SECONDS = 0.5
"""What the server behind has answered, the front sends on, and does not say when it has.

A connection that is closed before, while its caller still sends, loses the end of its answers.
"""


class NativeTransport:
    """The front answers unary RPCs; streams, health and reflection go through it to grpcio."""

    name = "native"

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        streams = [rpc for rpc in shared.rpcs if rpc.streaming]
        self._answering = Answering(shared, streams, behind_native=True)
        self._front: NativeFront | None = None  # until it starts

    def start(self) -> str:
        """Take calls from now on; return the address. Raises StartError."""
        config = self._shared.config
        try:
            front = NativeFront(
                self._shared.pipeline,
                config.listen,
                [rpc for rpc in self._shared.rpcs if not rpc.streaming],
                max_message_bytes=config.max_message_bytes,
                max_connection_calls=config.max_connection_calls,
                max_metadata_bytes=MAX_METADATA_BYTES,
            )
        except (ValueError, OSError) as error:
            raise StartError(f"cannot listen on {config.listen!r}: {error}") from error
        self._behind = Fallback(front.fallback, self._answering.make)
        self._behind.start()
        self._front = front.start()
        return with_port(config.listen, front.port)

    @property
    def open_calls(self) -> int:
        """Calls that have no status yet."""
        unary = 0 if self._front is None else self._front.open_calls
        return self._answering.calls.open_calls + unary

    def drain(self, seconds: float) -> bool:
        """Let accepted calls finish and be sent; return whether all did in time."""
        assert self._front is not None
        end = time.monotonic() + seconds
        has_streams = self._answering.calls.open_calls > 0
        are_streams_done = self._answering.calls.drain(seconds)
        if has_streams:
            time.sleep(min(_SENDING_ON_SECONDS, max(0.0, end - time.monotonic())))
        return self._front.drain(max(0.0, end - time.monotonic())) and are_streams_done

    def stop(self, seconds: float) -> None:
        """Close every connection."""
        assert self._front is not None
        self._behind.stop(seconds).wait()
        self._front.close(seconds)
