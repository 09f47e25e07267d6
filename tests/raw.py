"""HTTP/2 as no client library speaks it, for tests that send what they like."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from sentido.v1.prediction_pb2 import PredictRequest
from waiting import PATIENCE

PREDICT = "/sentido.v1.PredictionService/Predict"
FRAME_BYTES = 16_384


def framed(body: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message; `flag` 1: compressed, `length`: what it claims instead of the truth."""
    return struct.pack(">BI", flag, len(body) if length is None else length) + body


GOOD = framed(PredictRequest(text="good").SerializeToString())


@dataclass(frozen=True)
class Sent:
    """One call, byte by byte."""

    data: bytes | None = GOOD  # None: the stream ends with its headers
    metadata: tuple[tuple[str, str], ...] = ()
    method: str = "POST"
    path: str = PREDICT
    content_type: str = "application/grpc"
    ends: bool = True


def headers(sent: Sent) -> list[tuple[str, str]]:
    return [
        *((":method", sent.method), (":scheme", "http"), (":path", sent.path)),
        *((":authority", "test"), ("te", "trailers"), ("content-type", sent.content_type)),
        *sent.metadata,
    ]


class Raw:
    """A connection on which a test says what it likes."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.h2 = H2Connection(
            H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.h2.initiate_connection()
        self.received = bytearray()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def send(self, sent: Sent) -> int:
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, headers(sent), end_stream=sent.data is None)
        if sent.data is not None:
            for start in range(0, len(sent.data), FRAME_BYTES):
                self.h2.send_data(stream, sent.data[start : start + FRAME_BYTES])
            if sent.ends:
                self.h2.end_stream(stream)
        self.flush()
        return stream

    def outcome(self, stream: int, seconds: float = PATIENCE) -> str:
        """How a stream ends: "OK", "13 message", "HTTP 431", "reset", "closed" or "nothing"."""
        found: dict[str, str] = {}
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                received = self.socket.recv(65536)
            except TimeoutError:
                break
            except ConnectionError:
                return "closed"
            if not received:
                return "closed"
            for frame in self.frames(received):
                if (end_of_stream := self.take(frame, stream, found)) is not None:
                    return end_of_stream
            with suppress(OSError):
                self.flush()
        return "nothing"

    def frames(self, received: bytes) -> Iterator[bytes]:
        """The whole frames so far. One by one: h2 forgets those before one that it refuses."""
        self.received += received
        while len(self.received) >= 9:  # the header, RFC 9113, section 4.1
            size = 9 + int.from_bytes(self.received[:3])
            if len(self.received) < size:
                return
            yield bytes(self.received[:size])
            del self.received[:size]

    def take(self, frame: bytes, stream: int, found: dict[str, str]) -> str | None:
        """How the stream ends, if it is this frame that ends it."""
        try:
            events = self.h2.receive_data(frame)
        except ProtocolError as error:
            if "ConnectionState.CLOSED" in str(error):  # what comes behind a GOAWAY
                return "closed"
            raise
        for event in events:
            if isinstance(event, ResponseReceived | TrailersReceived):
                found |= {k.decode(): v.decode() for k, v in event.headers or ()}
            elif isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(len(event.data), event.stream_id)
            elif isinstance(event, ConnectionTerminated):
                return "closed"
            elif isinstance(event, StreamReset) and event.stream_id == stream:
                return "reset"
            elif isinstance(event, StreamEnded) and event.stream_id == stream:
                return described(found)
        return None


def described(headers: dict[str, str]) -> str:
    if headers[":status"] != "200":
        return f"HTTP {headers[':status']}"
    code = headers["grpc-status"]
    return "OK" if code == "0" else code
