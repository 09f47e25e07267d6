"""Calls whose callers have left: nothing of them waits for the collection of garbage.

The server collects garbage rarely, and what a call holds may be large.
"""

import gc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from threading import Event
from typing import Any

import grpc
import pytest
from conftest import config, raw_stream, running
from sentido.v1.embedding_pb2 import StreamEmbedRequest
from waiting import PATIENCE

CALLS = 8  # of each kind; how far one gets before its caller leaves is left to chance
SHORT = 0.3  # seconds, which all of these calls take
EMBED = "/sentido.v1.EmbeddingService/StreamEmbed"
PREDICT = "/sentido.v1.PredictionService/Predict"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
LARGE = StreamEmbedRequest(texts=["good"] * 100).SerializeToString()
OF_CALLS = {
    "grpc._server._RPCState",
    "sentido_server.core.call.CallRecord",
    "sentido_server.core.pipeline.Message",
    "sentido_server.transports.grpcio_call.GrpcioCall",
    "sentido_server.transports.grpcio_call.Stream",
    "sentido_server.transports.native.NativeCall",
}


def silent(path: str) -> Callable[[grpc.Channel, Event], None]:
    """A call without its first message, until its deadline passes."""

    def leave(channel: grpc.Channel, over: Event) -> None:
        messages = iter(lambda: over.wait(PATIENCE) or b"", True)
        with pytest.raises(grpc.RpcError):
            next(raw_stream(channel, path)(messages, timeout=SHORT))

    return leave


def between_messages(channel: grpc.Channel, over: Event) -> None:
    messages = chain([LARGE], iter(lambda: over.wait(PATIENCE) or b"", True))
    call: Any = raw_stream(channel, EMBED)(messages, timeout=PATIENCE)
    next(call)
    call.cancel()


def with_answers_to_come(channel: grpc.Channel, _: Event) -> None:
    call: Any = raw_stream(channel, EMBED)(iter([LARGE] * 10), timeout=PATIENCE)
    next(call)
    call.cancel()


WAYS = (
    between_messages,
    with_answers_to_come,
    *map(silent, (PREDICT, EMBED, CHECK, WATCH, REFLECTION)),
)


@contextmanager
def garbage() -> Iterator[set[str]]:
    """Name, after the block, what of calls nothing but the collection of garbage has freed."""
    found: set[str] = set()
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found |= {
            f"{type(each).__module__}.{type(each).__name__}" for each in gc.garbage
        } & OF_CALLS
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_a_call_whose_caller_has_left_is_freed_at_once(transport: str) -> None:
    over = Event()
    with (
        garbage() as found,
        running(config(transport=transport, reflection=True)) as address,
        grpc.insecure_channel(address) as channel,
        ThreadPoolExecutor(CALLS * len(WAYS)) as pool,
    ):
        calls = [pool.submit(leave, channel, over) for leave in WAYS for _ in range(CALLS)]
        for call in calls:
            call.result()
        over.set()
    assert not found
