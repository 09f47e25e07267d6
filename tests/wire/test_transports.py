"""What no client sends but anybody can: raw HTTP/2, on both transports, and where they differ.

`DIFFERENCES` is the table in docs/transports.md. Whatever is sent, the server goes on answering.
"""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest
from conftest import ROOT
from h2.exceptions import ProtocolError
from processes import server, unread
from raw import GOOD, PREDICT, Raw, Sent, framed, headers
from sentido_client import Client
from waiting import PATIENCE

NOTHING_SECONDS = 0.7  # after which nothing is coming


@dataclass(frozen=True)
class Difference:
    """A row of the table: what is sent, and how each transport ends it."""

    sent: Sent
    grpcio: str
    native: str


DIFFERENCES = {
    "a call without a message": Difference(Sent(b""), "12", "13"),
    "a message cut short": Difference(Sent(GOOD[:-2]), "12", "13"),
    "a message that claims 4 GiB": Difference(Sent(framed(b"", length=2**32 - 1)), "8", "13"),
    "a compression that is unknown": Difference(
        Sent(framed(b"x", flag=1), (("grpc-encoding", "zork"),)), "13", "12"
    ),
    "a compression flag of 7": Difference(Sent(framed(GOOD[5:], flag=7)), "OK", "13"),
    "a method that is GET, without a message": Difference(Sent(None, method="GET"), "reset", "13"),
    **{
        f"a method that is {method}": Difference(Sent(method=method), grpcio, "OK")
        for method, grpcio in (
            ("GET", "reset"),
            ("PUT", "reset"),
            ("OPTIONS", "13"),
            ("post", "13"),
        )
    },
    "a path with a query": Difference(Sent(path=f"{PREDICT}?a=b"), "12", "OK"),
    "a path with a fragment": Difference(Sent(path=f"{PREDICT}#a"), "12", "OK"),
    "metadata of 20 kB": Difference(Sent(metadata=(("x-a", "b" * 20_000),)), "8", "HTTP 431"),
    "metadata of 60 kB": Difference(
        Sent(metadata=tuple((f"x-{i}", "b" * 6000) for i in range(10))), "8", "closed"
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
        assert raw.outcome(stream, NOTHING_SECONDS if wanted == "nothing" else PATIENCE) == wanted


@pytest.mark.parametrize("name", SAME)
def test_no_difference(name: str, address: str) -> None:
    sent, wanted = SAME[name]
    with Raw(address) as raw:
        assert raw.outcome(raw.send(sent)) == wanted


def test_calls_that_are_reset_are_forgotten(address: str) -> None:
    with Raw(address) as raw, suppress(ConnectionError):
        for _ in range(200):
            raw.h2.reset_stream(raw.send(Sent()))
        outcomes = (raw.outcome(raw.send(Sent())) for _ in range(1000))
        # While the server has not seen all resets, one more call may be over the limit.
        assert next(each for each in outcomes if each != "reset") in ("OK", "closed")


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


def test_a_connection_takes_so_many_calls_at_once(address: str) -> None:
    with Raw(address) as raw:
        assert raw.outcome(raw.send(Sent())) == "OK"
        most = raw.h2.remote_settings.max_concurrent_streams
    assert most == 100


def test_a_connection_that_ends_in_the_middle_of_a_message_hurts_nobody(address: str) -> None:
    for _ in range(20):
        with Raw(address) as raw:
            raw.send(Sent(GOOD[:4], ends=False))


def test_bytes_that_are_not_http2_end_the_connection(address: str) -> None:
    host, _, port = address.rpartition(":")
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01" + b"\0" * 100):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            connection.sendall(garbage)
            with suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass  # its settings, and then the end


def test_frames_that_break_the_protocol_end_the_connection(address: str) -> None:
    with Raw(address) as raw:
        raw.socket.sendall(b"\0\0\1\4\0\0\0\0\0\0")  # SETTINGS of one byte
        assert raw.outcome(1) == "closed"


def test_many_connections_at_once_are_served(address: str) -> None:
    with ExitStack() as stack:
        raws = [stack.enter_context(Raw(address)) for _ in range(100)]
        streams = [raw.send(Sent()) for raw in raws]
        assert {raw.outcome(s) for raw, s in zip(raws, streams, strict=True)} == {"OK"}


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
    flags = ("--transport", transport, "--drain-seconds", "3600")
    with server(*flags) as running, unread(running) as read:
        running.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            running.process.wait(1.5)  # it waits for the reader
        assert read() == "OK"
        assert running.end() == 0
