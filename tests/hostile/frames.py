"""HTTP/2 below every library's rules: frames of any bytes, and how the calls on them end.

`raw.py` keeps a library's state of a connection, which refuses to send what it forbids. Here
nothing is refused.
"""

import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from hpack import Decoder
from hpack.exceptions import HPACKError
from hpack.hpack import encode_integer
from sentido.v1.prediction_pb2 import PredictRequest
from waiting import PATIENCE

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 65_535  # bytes that a server takes before it has said more
CANCEL = (8).to_bytes(4)

Headers = Sequence[tuple[bytes, bytes]]


def frame(
    kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", length: int | None = None
) -> bytes:
    """A frame; `length`: what it claims instead of the truth."""
    size = len(payload) if length is None else length
    return size.to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def block(headers: Headers) -> bytes:
    """Headers as literals that nobody remembers: what is refused spoils nothing that follows."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in headers)


def text(value: bytes) -> bytes:
    """A name or a value of a header, as it is."""
    length = encode_integer(len(value), 7)
    return bytes(length) + value


def headers_frames(stream: int, headers: Headers, ends: bool) -> bytes:
    """A frame of headers, and as many more as it takes."""
    rest, frames, kind = block(headers), [], HEADERS
    while True:
        part, rest = rest[:16_384], rest[16_384:]
        flags = (END_STREAM if ends and kind == HEADERS else 0) | (0 if rest else END_HEADERS)
        frames.append(frame(kind, flags, stream, part))
        kind = CONTINUATION
        if not rest:
            return b"".join(frames)


def message(body: bytes, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message; `length`: what it claims instead of the truth."""
    size = len(body) if length is None else length
    return bytes((flag,)) + size.to_bytes(4) + body


def call_headers(path: str, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """What a client sends before a message."""
    pseudo = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path.encode())]
    rest = [(b":authority", b"test"), (b"te", b"trailers"), (b"content-type", b"application/grpc")]
    return [*pseudo, *rest, *more]


# Whatever a server wants to send, it may.
OPENING = (
    PREFACE
    + frame(SETTINGS, payload=b"\0\4" + (2**31 - 1).to_bytes(4))
    + frame(WINDOW_UPDATE, payload=(2**31 - 1 - WINDOW).to_bytes(4))
)


@dataclass(frozen=True)
class Asked:
    """A call that a server answers with OK."""

    path: str
    body: bytes


PREDICT = Asked(
    "/sentido.v1.PredictionService/Predict", PredictRequest(text="good").SerializeToString()
)
HEALTH = Asked("/grpc.health.v1.Health/Check", b"")


@dataclass(frozen=True)
class Outcome:
    """How a call has ended: "OK", a status code, "HTTP 431", "reset", "closed" or "waits"."""

    code: str
    message: str = ""
    details: bytes = b""
    answer: bytes = b""


class Conversation:
    """A connection on which anything is sent, and what comes back is taken apart."""

    def __init__(self, address: str, frames: Iterable[bytes] = ()) -> None:
        """Connect, and begin with these frames instead of what every client begins with."""
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.closed = False
        self.outcomes: dict[int, Outcome] = {}
        self._stream = -1
        self._window = WINDOW
        self._received = bytearray()
        self._decoder = Decoder()
        self._block = b""  # of headers that come in several frames
        self._found: dict[int, dict[str, bytes]] = {}
        self._answers: dict[int, bytearray] = {}
        self.send(b"".join(frames) or OPENING)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes, unless the server has closed the connection."""
        try:
            if not self.closed:
                self.socket.sendall(data)
        except ConnectionError:
            self._close()

    def next_stream(self) -> int:
        self._stream += 2
        return self._stream

    def call(self, headers: Headers, data: bytes | None, ends: bool = True) -> int:
        """Begin a call and send what it sends; returns its stream."""
        stream = self.next_stream()
        opening = headers_frames(stream, headers, ends and data is None)
        if data is None:
            self.send(opening)
            return stream
        assert len(data) <= WINDOW
        while self._window < len(data) and not self.closed:
            assert self._read(time.monotonic() + PATIENCE), "the server takes no more"
        self._window -= len(data)
        parts = [data[at : at + 16_384] for at in range(0, len(data), 16_384)] or [b""]
        flags = [0] * (len(parts) - 1) + [END_STREAM if ends else 0]
        frames = [frame(DATA, flag, stream, part) for flag, part in zip(flags, parts, strict=True)]
        self.send(opening + b"".join(frames))
        return stream

    def ask(self, asked: Asked) -> Outcome:
        """Make a good call and wait for its end."""
        stream = self.call(call_headers(asked.path), message(asked.body))
        self.wait([stream])
        return self.outcome(stream)

    def wait(self, streams: Iterable[int], seconds: float = PATIENCE) -> None:
        """Read until all these have ended, the connection has, or the time is over."""
        end, missing = time.monotonic() + seconds, set(streams)
        while not (missing <= self.outcomes.keys() or self.closed):
            if not self._read(end):
                return

    def outcome(self, stream: int) -> Outcome:
        return self.outcomes.get(stream) or Outcome("closed" if self.closed else "waits")

    def finish(self) -> None:
        """Say that nothing more is sent, and read until the server closes."""
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return
        end = time.monotonic() + PATIENCE
        while not self.closed:
            assert self._read(end), "the server keeps a connection that its caller has ended"

    def _close(self) -> None:
        self.closed = True

    def _read(self, end: float) -> bool:
        """Read once; tell whether there was anything, or the end."""
        if self.closed:
            return False
        self.socket.settimeout(max(0.001, end - time.monotonic()))
        try:
            received = self.socket.recv(1 << 18)
        except TimeoutError:
            return False
        except ConnectionError:
            received = b""
        finally:
            self.socket.settimeout(PATIENCE)
        if not received:
            self._close()
        self._received += received
        while len(self._received) >= 9:
            size = 9 + int.from_bytes(self._received[:3])
            if len(self._received) < size:
                break
            self._take(bytes(self._received[:size]))
            del self._received[:size]
        return True

    def _take(self, whole: bytes) -> None:
        kind, flags, payload = whole[3], whole[4], whole[9:]
        stream = int.from_bytes(whole[5:9]) & 0x7FFFFFFF
        if kind == DATA:
            self._answers.setdefault(stream, bytearray()).extend(payload)
        elif kind in (HEADERS, CONTINUATION):
            self._take_headers(stream, flags, payload)
        elif kind == RST_STREAM:
            self.outcomes.setdefault(stream, Outcome("reset"))
        elif kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, payload=payload))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload)
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            self._end(stream)

    def _take_headers(self, stream: int, flags: int, payload: bytes) -> None:
        self._block += payload
        if not flags & END_HEADERS:
            return
        try:
            found = self._decoder.decode(self._block, raw=True)
        except HPACKError as error:
            raise AssertionError(f"the server sends headers that are none: {error}") from error
        self._block = b""
        taken = self._found.setdefault(stream, {})
        taken.update({bytes(name).decode(): bytes(value) for name, value in found})

    def _end(self, stream: int) -> None:
        found = self._found.pop(stream, {})
        answer = bytes(self._answers.pop(stream, b""))
        status = found.get(":status", b"none").decode()
        code = found.get("grpc-status", b"none").decode()
        shown = f"HTTP {status}" if status != "200" else "OK" if code == "0" else code
        details = found.get("grpc-status-details-bin", b"")
        text = found.get("grpc-message", b"").decode(errors="replace")
        self.outcomes.setdefault(stream, Outcome(shown, text, details, answer))
