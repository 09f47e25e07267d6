"""Callers who stand still, or leave in the midst of a message: nobody else waits for them."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from certificates import authority, certificate
from conftest import raw_unary
from grpc_health.v1 import health_pb2, health_pb2_grpc
from processes import Server, server
from raw import PREDICT, Raw, Sent, framed, headers
from sentido.v1.embedding_pb2 import BatchEmbedRequest
from sentido.v1.prediction_pb2 import PredictRequest
from sentido_client import Client
from waiting import PATIENCE, wait_for

GRPC_SECONDS = 90.0  # less than the two minutes that gRPC gives a handshake
HEALTH = "/grpc.health.v1.Health/Check"
BODY = PredictRequest(text="good").SerializeToString()
HALF = framed(b"x", length=1000)
METRICS = ("--metrics-listen", "127.0.0.1:0")
SMALL = ("--max-memory-mib", "1024")  # so that there are few places to receive messages in


def half(raw: Raw, path: str) -> None:
    raw.send(Sent(HALF, path=path, ends=False))


def answers(running: Server) -> None:
    """See that health and a short call are answered on a connection of their own."""
    with grpc.insecure_channel(running.address) as channel:
        status = health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(), timeout=PATIENCE
        )
        assert status.status == health_pb2.HealthCheckResponse.SERVING
        assert raw_unary(channel, PREDICT)(BODY, timeout=PATIENCE)


@pytest.mark.parametrize("connections", [1, 3])
def test_half_health_checks_keep_nobody_out(connections: int, transport: str) -> None:
    with server("--transport", transport, *SMALL) as running, ExitStack() as stack:
        for _ in range(connections):
            raw = stack.enter_context(Raw(running.address))
            for _ in range(40):
                half(raw, HEALTH)
        answers(running)


@pytest.mark.parametrize("path", [HEALTH, PREDICT])
def test_calls_that_are_reset_behind_half_messages_leave_nothing(path: str) -> None:
    with server("--transport", "grpcio", *SMALL, *METRICS) as running, Raw(running.address) as raw:
        for _ in range(40):
            half(raw, path)
        for _ in range(2000):
            stream = raw.h2.get_next_available_stream_id()
            raw.h2.send_headers(stream, headers(Sent(path=path)))
            raw.h2.reset_stream(stream)
            raw.flush()
        answers(running)
        raw.socket.close()
        wait_for(lambda: running.in_flight() == 0)


def test_an_answer_that_nobody_reads_is_given_up() -> None:
    body = BatchEmbedRequest(texts=["good"] * 4000).SerializeToString()  # 1.6 MB of vectors
    path = "/sentido.v1.EmbeddingService/BatchEmbed"
    flags = ("--transport", "grpcio", "--stall-seconds", "1", *METRICS)
    with server(*flags) as running, Raw(running.address) as raw:
        raw.send(Sent(framed(body), path=path))
        while not running.lines[-1].get("texts"):
            running.wait_for("call")
        wait_for(lambda: running.in_flight() == 0)


def test_a_stream_that_is_silent_between_messages_is_left_alone(transport: str) -> None:
    def texts() -> Iterator[str]:
        yield "good"
        time.sleep(3)  # longer than a message may stand still
        yield "bad"

    flags = ("--transport", transport, "--stall-seconds", "1")
    with server(*flags) as running, Client(running.address) as client:
        assert len(list(client.predict(texts()))) == 2


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0"])
def test_connections_that_say_nothing_keep_nobody_out(sent: bytes) -> None:
    with server("--transport=grpcio", "--max-connections=3", "--stall-seconds=1") as running:
        take_all_places(running.address, sent)
        answers(running)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x01"])
def test_half_handshakes_of_tls_keep_nobody_out(sent: bytes, tmp_path: Path) -> None:
    ca, trusted = authority(tmp_path, "ca")
    own = certificate(ca, tmp_path, "server")
    tls = (f"--tls-cert={own.cert}", f"--tls-key={own.key}")
    with server(*tls, "--max-connections=3", "--stall-seconds=1") as running:
        take_all_places(running.address, sent)
        context = ssl.create_default_context(cafile=str(trusted))
        with socket.create_connection(host_and_port(running.address)) as plain:
            context.wrap_socket(plain, server_hostname="localhost").close()


def take_all_places(address: str, sent: bytes) -> None:
    """Open three connections that go no further, and wait until the server closes them."""
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(host_and_port(address), GRPC_SECONDS))
            for _ in range(3)
        ]
        for each in silent:
            each.sendall(sent)
        for each in silent:
            while each.recv(1000):
                pass


def host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
