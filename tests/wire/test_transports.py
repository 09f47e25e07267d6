"""What no client sends but anybody can: raw HTTP/2, on both transports, and where they differ.

`DIFFERENCES` is the table in docs/transports.md. Whatever is sent, the server goes on answering.
"""

import re
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Self

import pytest
from conftest import ROOT
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
from processes import server
from sentido.v1.embedding_pb2 import BatchEmbedRequest
from sentido.v1.prediction_pb2 import PredictRequest
from sentido_client import Client

PREDICT = "/sentido.v1.PredictionService/Predict"
FRAME_BYTES = 16_384
NOTHING_SECONDS = 0.7  # after which nothing is coming


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
        self.socket = socket.create_connection((host, int(port)), timeout=5)
        self.h2 = H2Connection(
            H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.h2.initiate_connection()
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

    def outcome(self, stream: int, seconds: float = 5) -> str:
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
            for event in self.h2.receive_data(received):
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
            with suppress(OSError):
                self.flush()
        return "nothing"


def described(headers: dict[str, str]) -> str:
    if headers[":status"] != "200":
        return f"HTTP {headers[':status']}"
    code = headers["grpc-status"]
    return "OK" if code == "0" else code


@dataclass(frozen=True)
class Difference:
    """A row of the table: what is sent, and how each transport ends it."""

    sent: Sent
    grpcio: str
    native: str


DIFFERENCES = {
    "a call without a message": Difference(Sent(b""), "nothing", "13"),
    "a message cut short": Difference(Sent(GOOD[:-2]), "nothing", "13"),
    "a message that claims 4 GiB": Difference(Sent(framed(b"", length=2**32 - 1)), "8", "13"),
    "a compression that is unknown": Difference(
        Sent(framed(b"x", flag=1), (("grpc-encoding", "zork"),)), "13", "12"
    ),
    "a compression flag of 7": Difference(Sent(framed(GOOD[5:], flag=7)), "OK", "13"),
    "a method that is GET": Difference(Sent(None, method="GET"), "reset", "13"),
    "metadata of 20 kB": Difference(Sent(metadata=(("x-a", "b" * 20_000),)), "OK", "HTTP 431"),
    "metadata of 60 kB": Difference(
        Sent(metadata=tuple((f"x-{i}", "b" * 6000) for i in range(10))), "OK", "closed"
    ),
    "a deadline that is no number": Difference(
        Sent(metadata=(("grpc-timeout", "zork"),)), "13", "OK"
    ),
    "binary metadata that is no base64": Difference(Sent(metadata=(("x-bin", "!"),)), "13", "OK"),
    "an upper-case header": Difference(Sent(metadata=(("X-UP", "a"),)), "13", "closed"),
    "a request that is not ended": Difference(Sent(ends=False), "OK", "nothing"),
}
SAME = {
    "a good call": (Sent(), "OK"),
    "two messages": (Sent(GOOD + GOOD), "OK"),
    "compressed without saying how": (Sent(framed(b"x", flag=1)), "13"),
    "gzip that is none": (Sent(framed(b"x", flag=1), (("grpc-encoding", "gzip"),)), "13"),
    "a content type of JSON": (Sent(content_type="application/json"), "OK"),
    "an unknown method": (Sent(path="/sentido.v1.PredictionService/Nope"), "12"),
    "an odd path": (Sent(path="/x"), "12"),
    "metadata of 6 kB": (Sent(metadata=(("x-a", "b" * 6_000),)), "OK"),
    "a deadline that has passed": (Sent(metadata=(("grpc-timeout", "0m"),)), "4"),
}


@pytest.fixture(autouse=True)
def still_answering(address: str) -> Iterator[None]:
    yield
    with Client(address) as client:
        assert client.predict("a good film").label == "positive"


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_difference(name: str, address: str, transport: str) -> None:
    wanted = getattr(DIFFERENCES[name], transport)
    with Raw(address) as raw:
        stream = raw.send(DIFFERENCES[name].sent)
        assert raw.outcome(stream, NOTHING_SECONDS if wanted == "nothing" else 5) == wanted


@pytest.mark.parametrize("name", SAME)
def test_no_difference(name: str, address: str) -> None:
    sent, wanted = SAME[name]
    with Raw(address) as raw:
        assert raw.outcome(raw.send(sent)) == wanted


def test_calls_that_are_reset_are_forgotten(address: str) -> None:
    with Raw(address) as raw, suppress(ConnectionError):
        for _ in range(200):
            raw.h2.reset_stream(raw.send(Sent()))
        assert raw.outcome(raw.send(Sent()), seconds=5) in ("OK", "closed")


def test_calls_that_are_reset_in_numbers_before_they_are_seen_end_the_connection(
    address: str, transport: str
) -> None:
    with Raw(address) as raw:
        for _ in range(50):
            stream = raw.h2.get_next_available_stream_id()
            raw.h2.send_headers(stream, headers(Sent()))
            raw.h2.reset_stream(stream)
        outcome = raw.outcome(raw.send(Sent()))
    assert outcome == ("closed" if transport == "native" else "OK")


def test_a_connection_takes_so_many_calls_at_once(address: str, transport: str) -> None:
    with Raw(address) as raw:
        assert raw.outcome(raw.send(Sent())) == "OK"
        most = raw.h2.remote_settings.max_concurrent_streams
    assert most == (1024 if transport == "native" else 2**32 + 1)


def test_a_connection_that_ends_in_the_middle_of_a_message_hurts_nobody(address: str) -> None:
    for _ in range(20):
        with Raw(address) as raw:
            raw.send(Sent(GOOD[:4], ends=False))


def test_bytes_that_are_not_http2_end_the_connection(address: str) -> None:
    host, _, port = address.rpartition(":")
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + b"\0" * 100):
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(garbage)
            with suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass  # its settings, and then the end


def test_frames_that_break_the_protocol_end_the_connection(address: str) -> None:
    with Raw(address) as raw:
        raw.socket.sendall(b"\0" * 100)  # DATA on stream 0
        assert raw.outcome(1, seconds=5) == "closed"


def test_many_connections_at_once_are_served(address: str) -> None:
    with ExitStack() as stack:
        raws = [stack.enter_context(Raw(address)) for _ in range(100)]
        streams = [raw.send(Sent()) for raw in raws]
        assert {raw.outcome(s, 10) for raw, s in zip(raws, streams, strict=True)} == {"OK"}


def test_pings_without_end_are_an_abuse_to_grpcio_alone(address: str, transport: str) -> None:
    with Raw(address) as raw:
        try:
            for _ in range(300):
                raw.h2.ping(b"12345678")
                raw.flush()
            outcome = raw.outcome(raw.send(Sent()))
        except (ConnectionError, ProtocolError):  # it may end while we still send
            outcome = "closed"
    assert outcome == ("closed" if transport == "grpcio" else "OK")


def test_the_table_of_differences_is_this_one() -> None:
    text = (ROOT / "docs" / "transports.md").read_text()
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| `(.+?)` \|$", text, re.MULTILINE)
    assert rows == [(name, row.grpcio, row.native) for name, row in DIFFERENCES.items()]


def test_an_answer_that_is_read_late_is_not_cut_off(transport: str) -> None:
    texts = ["good"] * 4000  # their vectors are 1.6 MB
    asked = BatchEmbedRequest(texts=texts).SerializeToString()
    path = "/sentido.v1.EmbeddingService/BatchEmbed"
    with server("--transport", transport) as running, Raw(running.address) as raw:
        stream = raw.send(Sent(framed(asked), path=path))
        while not running.lines[-1].get("texts"):  # until it is answered
            running.wait_for("call")
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1.5)  # it waits for the reader
        assert raw.outcome(stream) == "OK"
        assert running.end(timeout=5) == 0
