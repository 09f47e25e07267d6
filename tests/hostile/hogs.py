"""Callers who ask for too much, or hold on to what they have, each in its own way.

A program of its own: given an address, an attack and seconds, it prints "ready" when the attack has
begun, and what became of its calls as JSON at the end. Tests and the benchmark run it.
"""

import asyncio
import json
import sys
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from frames import (
    END_HEADERS,
    HEADERS,
    HEALTH,
    Conversation,
    Outcome,
    block,
    call_headers,
    frame,
    message,
    text,
)
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido.v1 import embedding_pb2, prediction_pb2, tokenizer_pb2
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub

PREDICTION, EMBEDDING = "/sentido.v1.PredictionService/", "/sentido.v1.EmbeddingService/"
TOKENIZE = "/sentido.v1.TokenizerService/Tokenize"
MEBIBYTE = 1 << 20
CONNECTIONS = 10  # of attacks that open calls and leave them open
CALLS = 100  # of each of these, which is what a server allows by default
SENT = 60_000  # bytes of a message that never ends: what a server takes unasked

Counts = Counter[str]


def refusal(details: bytes) -> str:
    """Name RESOURCE_EXHAUSTED, and whether it says when to try again."""
    status = status_pb2.Status.FromString(details)
    retry = error_details_pb2.RetryInfo()
    is_told = any(detail.Unpack(retry) for detail in status.details)
    return "refused" if is_told else "refused for good"


@dataclass(frozen=True)
class Repeated:
    """One unary request, so many at once, on one connection, again and again."""

    path: str
    request: Message
    at_once: int

    def __call__(self, address: str, seconds: float) -> Counts:
        return asyncio.run(self._run(address, seconds))

    async def _run(self, address: str, seconds: float) -> Counts:
        counts: Counts = Counter()
        body, end = self.request.SerializeToString(), time.monotonic() + seconds
        options = (("grpc.enable_retries", 0), ("grpc.max_receive_message_length", -1))
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            call: Any = channel.unary_unary(self.path)

            async def again() -> None:
                while time.monotonic() < end:
                    try:
                        await call(body, timeout=60)
                        counts["OK"] += 1
                    except grpc.aio.AioRpcError as error:
                        counts[_code(error)] += 1
                        await asyncio.sleep(0.02)

            print("ready", flush=True)
            await asyncio.gather(*(again() for _ in range(self.at_once)))
        return counts


def _code(error: grpc.aio.AioRpcError) -> str:
    return _named_by(error.code(), error.trailing_metadata())


def _named_by(code: grpc.StatusCode, metadata: Any) -> str:
    for key, value in metadata or ():
        if key == "grpc-status-details-bin" and code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return refusal(value)
    return code.name


def _named(outcome: Outcome) -> str:
    if outcome.code == "8":
        return refusal(b64decode(outcome.details + b"=" * (-len(outcome.details) % 4)))
    return outcome.code


def half_sent(path: str) -> Callable[[str, float], Counts]:
    """Begin many calls with a message of 16 MB, and never send the rest."""
    opening = message(b"x" * SENT, length=16 * MEBIBYTE - 100)

    def run(address: str, seconds: float) -> Counts:
        with ExitStack() as stack:
            opened = []
            for _ in range(CONNECTIONS):
                raw = stack.enter_context(Conversation(address))
                opened.append((raw, [raw.call(call_headers(path), opening[:500], ends=False)]))
                opened[-1][1].extend(
                    raw.call(call_headers(path), opening[:500], ends=False)
                    for _ in range(CALLS - 1)
                )
            print("ready", flush=True)
            return _outcomes(opened, seconds)

    return run


def filled(address: str, seconds: float) -> Counts:
    """Begin many calls with a message of 16 MB, and send as much as the server takes."""
    opening = message(b"x" * 50_000, length=16 * MEBIBYTE - 100)
    with ExitStack() as stack:
        opened = []
        for _ in range(CONNECTIONS * 10):
            raw = stack.enter_context(Conversation(address))
            headers = call_headers(PREDICTION + "BatchPredict")
            opened.append((raw, [raw.call(headers, opening, ends=False)]))
        print("ready", flush=True)
        return _outcomes(opened, seconds)


def _outcomes(opened: list[tuple[Conversation, list[int]]], seconds: float) -> Counts:
    end = time.monotonic() + seconds
    for raw, streams in opened:
        raw.wait(streams, max(0.01, end - time.monotonic()))
    return Counter(_named(raw.outcome(stream)) for raw, streams in opened for stream in streams)


def long_headers(address: str, seconds: float) -> Counts:
    """Send a megabyte of headers, again and again, on connections of their own."""
    counts: Counts = Counter()
    more = [(b"x-%d" % number, b"x" * 8000) for number in range(125)]
    end = time.monotonic() + seconds
    print("ready", flush=True)
    while time.monotonic() < end:
        with Conversation(address) as raw:
            stream = raw.call(call_headers(HEALTH.path, *more), message(b""))
            raw.wait([stream], max(0.01, end - time.monotonic()))
            counts[raw.outcome(stream).code] += 1
    return counts


def repeated_headers(address: str, seconds: float) -> Counts:
    """Send a header of 4 kB once, and name it a thousand times in each call, by a byte each.

    The settings of the connection, which bound headers, are never confirmed.
    """
    big = b"\x40" + text(b"x") + text(b"a" * 4000)
    with ExitStack() as stack:
        opened = []
        for _ in range(CONNECTIONS):
            raw = stack.enter_context(Conversation(address))
            first = block(call_headers(PREDICTION + "Predict"))
            raw.send(frame(HEADERS, END_HEADERS, raw.next_stream(), first + big))
            streams = [raw.next_stream() for _ in range(CALLS - 1)]
            for stream in streams:
                raw.send(frame(HEADERS, END_HEADERS, stream, first + b"\xbe" * 1000))
            opened.append((raw, streams))
        print("ready", flush=True)
        end = time.monotonic() + seconds
        for raw, streams in opened:
            raw.wait(streams, max(0.01, end - time.monotonic()))
        return Counter(raw.outcome(stream).code for raw, streams in opened for stream in streams)


@dataclass(frozen=True)
class Watches:
    """Health Watches, a hundred on each of so many connections."""

    connections: int

    def __call__(self, address: str, seconds: float) -> Counts:
        return asyncio.run(self._run(address, seconds))

    async def _run(self, address: str, seconds: float) -> Counts:
        counts: Counts = Counter()

        async def watch(stub: Any) -> Any:
            try:
                call = stub.Watch(health_pb2.HealthCheckRequest())
                await call.read()
            except grpc.aio.AioRpcError as error:
                counts[_code(error)] += 1
                return None
            counts["open"] += 1
            return call

        options = (("grpc.use_local_subchannel_pool", 1),)
        channels = [
            grpc.aio.insecure_channel(address, options=options) for _ in range(self.connections)
        ]
        print("ready", flush=True)
        stubs = [health_pb2_grpc.HealthStub(channel) for channel in channels]
        # All are held until the last has its answer, however long that takes.
        calls = await asyncio.gather(*(watch(stub) for stub in stubs for _ in range(CALLS)))
        await asyncio.sleep(seconds)
        for call in filter(None, calls):
            call.cancel()
        for channel in channels:
            await channel.close()
        return counts


def stalls(address: str, seconds: float) -> Counts:
    """Send on many streams without ever reading an answer."""
    return asyncio.run(_stalls(address, seconds))


async def _stalls(address: str, seconds: float) -> Counts:
    counts: Counts = Counter()
    request = embedding_pb2.StreamEmbedRequest(texts=["good"] * 200)
    end = time.monotonic() + seconds

    async def send(stub: Any) -> None:
        while (left := end - time.monotonic()) > 0:
            call = stub.StreamEmbed()
            try:
                async with asyncio.timeout(left):
                    while True:
                        await call.write(request)
            except TimeoutError:
                call.cancel()
                counts["left"] += 1
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):  # it has ended by now
                counts[_named_by(await call.code(), await call.trailing_metadata())] += 1
            await asyncio.sleep(0.02)

    async with grpc.aio.insecure_channel(address) as channel:
        print("ready", flush=True)
        await asyncio.gather(*(send(EmbeddingServiceStub(channel)) for _ in range(CALLS)))
    return counts


ATTACKS: dict[str, Callable[[str, float], Counts]] = {
    "empty texts": Repeated(
        PREDICTION + "BatchPredict", prediction_pb2.BatchPredictRequest(texts=[""] * 4096), 150
    ),
    "long words": Repeated(
        EMBEDDING + "LookupWords", embedding_pb2.LookupWordsRequest(words=["x" * 3900] * 4096), 8
    ),
    "long texts": Repeated(TOKENIZE, tokenizer_pb2.TokenizeRequest(text="a " * 499_999), 8),
    "token vectors": Repeated(
        EMBEDDING + "EmbedTokens",
        embedding_pb2.EmbedTokensRequest(
            text="good " * 400, kind=embedding_pb2.TOKEN_EMBEDDING_KIND_HIDDEN
        ),
        500,
    ),
    "nearest words": Repeated(
        EMBEDDING + "FindNearestWords",
        embedding_pb2.FindNearestWordsRequest(word="good", limit=1000),
        200,
    ),
    "large batches": Repeated(
        PREDICTION + "BatchPredict",
        prediction_pb2.BatchPredictRequest(texts=["a good film with a story " * 160] * 4000),
        16,
    ),
    "large messages begun": filled,
    "calls half sent": half_sent(PREDICTION + "Predict"),
    "streams half sent": half_sent(PREDICTION + "StreamPredict"),
    "long headers": long_headers,
    "repeated headers": repeated_headers,
    "1,000 watches": Watches(10),
    "10,000 watches": Watches(100),
    "streams that are not read": stalls,
}


if __name__ == "__main__":
    _, where, attack, duration = sys.argv
    print(json.dumps(ATTACKS[attack](where, float(duration))), flush=True)
