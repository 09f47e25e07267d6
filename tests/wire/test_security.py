"""Tokens and limits, on both transports. `LIMITS` is the table in docs/security.md."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import ROOT, config, raw_stream, raw_unary, running, running_server
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from h2.exceptions import ProtocolError
from raw import GOOD, Raw, Sent, framed
from sentido.v1 import embedding_pb2, prediction_pb2
from sentido_client import AsyncClient, AuthenticationError, Client
from sentido_server.app import RPCS
from sentido_server.config import StartError
from sentido_server.core.rpc import Lane
from waiting import PATIENCE, wait_for

CALL, ADMIN = "call-token-0123456789", "admin-token-0123456789"
PREDICT = "/sentido.v1.PredictionService/Predict"
BATCH_EMBED = "/sentido.v1.EmbeddingService/BatchEmbed"
STREAM = "/sentido.v1.PredictionService/StreamPredict"


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(f"call {CALL}\nadmin {ADMIN}\n")
    return path


@pytest.fixture(scope="module")
def guarded(transport: str, token_file: Path) -> Iterator[str]:
    """The address of a server that asks for tokens and allows two calls a connection."""
    settings = {"token_file": token_file, "max_connection_calls": 2, "max_texts": 3}
    with running(config(transport=transport, **settings)) as address:
        yield address


def code(call: Callable[[], Any]) -> str:
    """The status code of a call."""
    try:
        call()
    except grpc.RpcError as caught:
        error: Any = caught
        return str(error.code().name)
    return "OK"


@pytest.mark.parametrize("rpc", RPCS, ids=lambda rpc: str(rpc.name))
def test_every_rpc_asks_for_a_token(rpc: Any, guarded: str) -> None:
    path = f"/{rpc.service}/{rpc.name}"
    let_in = {"OK", "INVALID_ARGUMENT", "NOT_FOUND"}
    tokens: list[tuple[str | None, set[str]]] = [
        (None, {"UNAUTHENTICATED"}),
        ("wrong-token-0123456789", {"UNAUTHENTICATED"}),
        (CALL, {"PERMISSION_DENIED"} if rpc.lane is Lane.ADMIN else let_in),
        (ADMIN, let_in),
    ]
    with grpc.insecure_channel(guarded) as channel:
        for token, wanted in tokens:
            metadata = () if token is None else (("authorization", f"Bearer {token}"),)
            if rpc.streaming:
                made = raw_stream(channel, path)(iter([b""]), metadata=metadata, timeout=PATIENCE)
                found = code(lambda made=made: list(made))  # type: ignore[misc]
            else:
                method = raw_unary(channel, path)
                found = code(lambda m=method, d=metadata: m(b"", metadata=d, timeout=PATIENCE))  # type: ignore[misc]
            assert found in wanted, token


def test_the_clients_send_their_token_with_every_kind_of_call(guarded: str) -> None:
    texts = ["good", "bad"]

    async def main() -> list[str]:
        async with AsyncClient(guarded, token=CALL) as client:
            labels = [(await client.predict("good")).label]
            return labels + [each.label async for each in client.predict(iter(texts))]

    with Client(guarded, token=ADMIN) as client:
        found = [client.predict("good").label, *(p.label for p in client.predict(iter(texts)))]
        assert [each.label for each in client.predict(texts)] == found[1:]
    assert asyncio.run(main()) == found
    with Client(guarded) as client:
        assert client.health() == "SERVING"  # which needs none
        with pytest.raises(AuthenticationError, match="a token is needed"):
            client.predict("good")
        with pytest.raises(AuthenticationError):
            list(client.predict(iter(texts)))
    with Client(guarded, token="wrong-token") as client:
        with pytest.raises(AuthenticationError) as caught:
            client.predict("good")
        assert "wrong-token" not in str(caught.value)


def test_a_health_watch_needs_no_token(guarded: str) -> None:
    with grpc.insecure_channel(guarded) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING


def reflected(address: str, *metadata: tuple[str, str]) -> str:
    """Return the code of asking for reflection, which is the same in both versions."""
    ask = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    with grpc.insecure_channel(address) as channel:
        codes = set()
        for version in ("v1", "v1alpha"):
            path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
            info = raw_stream(channel, path)(iter([ask]), metadata=metadata)
            codes.add(code(partial(list, info)))
    (only,) = codes
    return only


def test_reflection_needs_a_token_where_there_are_some(guarded: str, address: str) -> None:
    assert reflected(guarded) == "UNAUTHENTICATED"
    assert reflected(guarded, ("authorization", f"Bearer {CALL}")) == "OK"
    assert reflected(address) == "OK"


def test_reflection_can_be_left_out(transport: str) -> None:
    with running(config(transport=transport, reflection=False)) as address:
        assert reflected(address) == "UNIMPLEMENTED"


def test_tokens_over_plain_text_beyond_the_machine_must_be_asked_for(
    transport: str, token_file: Path
) -> None:
    settings = {"listen": "0.0.0.0:0", "transport": transport, "token_file": token_file}
    with (
        pytest.raises(StartError, match="over plain text, where others can read them"),
        running(config(**settings)),
    ):
        pass
    with running(config(**settings, insecure_tokens=True)) as address:
        port = address.rpartition(":")[2]
        with Client(f"127.0.0.1:{port}", token=CALL) as client:
            assert client.predict("good").label == "positive"


def test_what_a_client_cannot_use_is_said_and_no_token_is(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    missing = tmp_path / "missing.pem"
    cases: list[tuple[str, dict[str, Any]]] = [
        ("over plain text, where others can read it", {"token": CALL}),
        ("tls_cert and tls_key are needed together", {"tls_cert": junk}),
        ("tls_cert needs tls_ca", {"tls_cert": junk, "tls_key": junk}),
        (f"tls_ca: cannot read {missing}: No such file", {"tls_ca": missing}),
        (f"tls_ca: {junk} holds no certificates in PEM", {"tls_ca": junk}),
        ("token is empty or holds spaces", {"token": f"{CALL}\n"}),
        ("token is empty or holds spaces", {"token": ""}),
    ]
    for kind in (Client, AsyncClient):
        for message, arguments in cases:
            with pytest.raises(ValueError, match=re.escape(message)) as caught:
                kind("example.org:50051", **arguments)
            assert "token-0123" not in str(caught.value)
        kind("example.org:50051", token=CALL, insecure_tokens=True)
        for local in ("localhost:1", "dns:///localhost:1", "127.0.0.7:1", "[::1]:1", "unix:/x"):
            kind(local, token=CALL)


# -- limits ------------------------------------------------------------------------------------


def too_long_a_message(address: str, transport: str) -> str:
    del transport
    body = prediction_pb2.PredictRequest(text="x" * 17_000_000).SerializeToString()
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        return code(lambda: raw_unary(channel, PREDICT)(body, timeout=PATIENCE))


def too_long_a_text(address: str, transport: str) -> str:
    del transport
    body = prediction_pb2.PredictRequest(text="x" * 1_000_001).SerializeToString()
    with grpc.insecure_channel(address) as channel:
        return code(lambda: raw_unary(channel, PREDICT)(body, timeout=PATIENCE))


def too_many_texts(address: str, transport: str) -> str:
    del transport
    body = prediction_pb2.BatchPredictRequest(texts=["x"] * 4097).SerializeToString()
    method = "/sentido.v1.PredictionService/BatchPredict"
    with grpc.insecure_channel(address) as channel:
        return code(lambda: raw_unary(channel, method)(body, timeout=PATIENCE))


def too_much_metadata(address: str, transport: str) -> str:
    del transport
    with grpc.insecure_channel(address) as channel:
        call = raw_unary(channel, PREDICT)
        # The settings are exchanged by the first call.
        assert code(lambda: call(b"", timeout=PATIENCE)) == "OK"
        metadata = (("x-a", "b" * 17_000),)
        return code(lambda: call(b"", metadata=metadata, timeout=PATIENCE))


def too_many_calls(address: str, transport: str) -> str:
    """Two streams are open on a connection that may have two: a call waits until one ends."""
    del address
    settings = config(transport=transport, max_connection_calls=2)
    ends = [threading.Event(), threading.Event()]

    def requests(end: threading.Event) -> Iterator[bytes]:
        yield prediction_pb2.StreamPredictRequest(texts=["good"]).SerializeToString()
        end.wait(PATIENCE)

    with running(settings) as address, grpc.insecure_channel(address) as channel:
        streams = [raw_stream(channel, STREAM)(requests(end)) for end in ends]
        assert all(next(stream) for stream in streams)
        call = raw_unary(channel, PREDICT)
        assert code(lambda: call(b"", timeout=0.5)) == "DEADLINE_EXCEEDED"
        for end in ends:
            end.set()
        assert [list(stream) for stream in streams] == [[], []]
        assert code(lambda: call(b"", timeout=PATIENCE)) == "OK"
        return "waits"


def too_old_a_connection(address: str, transport: str) -> str:
    del address
    settings = config(transport=transport, max_connection_age=1, max_connection_age_grace=1)
    try:
        with running(settings) as address, Raw(address) as raw:
            raw.outcome(raw.send(Sent()))  # OK, unless the connection is too old already
            return raw.outcome(1001)
    except ProtocolError:  # h2's word for whatever follows a GOAWAY
        return "closed"
    except StartError:
        return "no start"


def test_native_says_that_it_has_no_connection_age() -> None:
    message = "--transport native has no --max-connection-age: use --transport grpcio"
    with (
        pytest.raises(StartError, match=message),
        running(config(transport="native", max_connection_age=1)),
    ):
        pass


def test_no_call_and_no_stream_fails_because_connections_age() -> None:
    settings = config(transport="grpcio", max_connection_age=1, max_connection_age_grace=1)
    aged = threading.Event()

    def wait_for_two_ends(address: str) -> None:
        for _ in range(2):
            with suppress(ProtocolError), Raw(address) as raw:
                raw.outcome(1)
        aged.set()

    def texts() -> Iterator[str]:
        while not aged.wait(0.01):
            yield "good"

    with running(settings) as address, Client(address) as client:
        threading.Thread(target=wait_for_two_ends, args=[address]).start()
        for prediction in client.predict(texts()):
            assert prediction.label == client.predict("good").label
        assert aged.is_set()


def too_many_pings(address: str, transport: str) -> str:
    del transport
    with Raw(address) as raw:
        try:
            for _ in range(100):
                raw.h2.ping(b"12345678")
                raw.flush()
            return raw.outcome(raw.send(Sent()))
        except ConnectionError:
            return "closed"


def too_much_when_unpacked(address: str, transport: str) -> str:
    """A message of 17 MB is 17 kB on the wire."""
    del transport
    body = prediction_pb2.PredictRequest(text="x" * 17_000_000).SerializeToString()
    with grpc.insecure_channel(address, [("grpc.max_send_message_length", -1)]) as channel:
        call = raw_unary(channel, PREDICT)
        gzip = grpc.Compression.Gzip
        return code(lambda: call(body, compression=gzip, timeout=PATIENCE))


def too_many_connections(address: str, transport: str) -> str:
    del address
    settings = config(transport=transport, max_connections=2)
    with running(settings) as address, ExitStack() as stack:
        for _ in range(2):
            raw = stack.enter_context(Raw(address))
            assert raw.outcome(raw.send(Sent())) == "OK"
        try:
            raw = stack.enter_context(Raw(address))
            return raw.outcome(raw.send(Sent()))
        except ConnectionError:
            return "closed"


def too_many_streams(address: str, transport: str) -> str:
    """A stream is open where one may be: another connection cannot open a second one."""
    del address
    end = threading.Event()

    def requests() -> Iterator[bytes]:
        yield b""
        end.wait(PATIENCE)

    with running(config(transport=transport, max_streams=1)) as address:
        with grpc.insecure_channel(address) as first, grpc.insecure_channel(address) as second:
            stream = raw_stream(first, STREAM)(requests(), timeout=PATIENCE)
            assert next(stream)
            refused = code(lambda: list(raw_stream(second, STREAM)(iter([b""]), timeout=PATIENCE)))
            end.set()
            assert list(stream) == []
        return refused


def too_much_memory(address: str, transport: str) -> str:
    """An answer that is not read holds memory: another connection may have half of all."""
    del address

    def embed(texts: int) -> bytes:
        return embedding_pb2.BatchEmbedRequest(texts=["good"] * texts).SerializeToString()

    with (
        running_server(config(transport=transport, max_memory_mib=64)) as server,
        Raw(server.address) as raw,
        grpc.insecure_channel(server.address) as channel,
    ):
        raw.send(Sent(framed(embed(4000)), path=BATCH_EMBED))
        wait_for(lambda: server.counts.items == 4000)
        call = raw_unary(channel, BATCH_EMBED)
        if transport == "native":  # where memory is counted until the answer is made
            wait_for(lambda: code(lambda: call(embed(2500), timeout=PATIENCE)) == "OK")
        return code(lambda: call(embed(2500), timeout=PATIENCE))


def too_long_a_silence(address: str, transport: str) -> str:
    """Half of a message came, and no more comes."""
    del address
    with running(config(transport=transport, stall_seconds=1)) as address, Raw(address) as raw:
        stream = raw.send(Sent(GOOD[:-2], ends=False))
        outcome = raw.outcome(stream, 4 if transport == "native" else PATIENCE)
        return {"1": "CANCELLED"}.get(outcome, outcome)


# What each gives: by grpcio, by native.
LIMITS: dict[str, tuple[Callable[[str, str], str], str, str]] = {
    "a message of more than `--max-message-bytes`": (
        too_long_a_message,
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED",
    ),
    "the same when it is unpacked, by gzip": (
        too_much_when_unpacked,
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED",
    ),
    "a text of more than `--max-text-characters`": (
        too_long_a_text,
        "INVALID_ARGUMENT",
        "INVALID_ARGUMENT",
    ),
    "more texts than `--max-texts`": (too_many_texts, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    "metadata of more than 16 KiB": (too_much_metadata, "RESOURCE_EXHAUSTED", "UNKNOWN"),
    "more calls and streams on a connection than `--max-connection-calls`": (
        too_many_calls,
        "waits",
        "waits",
    ),
    "more connections than `--max-connections`": (too_many_connections, "closed", "OK"),
    "more open streams than `--max-streams`": (
        too_many_streams,
        "RESOURCE_EXHAUSTED",
        "RESOURCE_EXHAUSTED",
    ),
    "more memory for messages and answers that are not read than `--max-memory-mib` leaves": (
        too_much_memory,
        "RESOURCE_EXHAUSTED",
        "OK",
    ),
    "a message that takes longer than `--stall-seconds` to arrive": (
        too_long_a_silence,
        "CANCELLED",
        "nothing",
    ),
    "a connection older than `--max-connection-age`": (too_old_a_connection, "closed", "no start"),
    "pings without end": (too_many_pings, "closed", "OK"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_what_the_table_says(name: str, address: str, transport: str) -> None:
    exceed, grpcio, native = LIMITS[name]
    assert exceed(address, transport) == {"grpcio": grpcio, "native": native}[transport]


def test_the_table_of_limits_is_in_the_documents() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| (.+?) \| `(.+?)`[^|]* \| `(.+?)`[^|]* \|$", text, re.MULTILINE)
    assert rows == [(name, grpcio, native) for name, (_, grpcio, native) in LIMITS.items()]


@pytest.mark.parametrize("n", range(5))
def test_metadata_just_under_the_limit_is_never_refused(n: int, address: str) -> None:
    metadata = (("x-a", "b" * (14_000 + n)),)
    with grpc.insecure_channel(address) as channel:
        assert code(lambda: raw_unary(channel, PREDICT)(b"", metadata=metadata)) == "OK"
        stream = raw_stream(channel, STREAM)
        assert code(lambda: list(stream(iter([b""]), metadata=metadata))) == "OK"
