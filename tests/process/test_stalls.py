"""A caller that sends without reading, until nothing moves in either direction."""

import signal
import threading
from collections.abc import Iterator

import grpc
import pytest
from conftest import raw_stream
from processes import server
from sentido.v1.embedding_pb2 import StreamEmbedRequest
from waiting import wait_for

STREAM = "/sentido.v1.EmbeddingService/StreamEmbed"
BODY = StreamEmbedRequest(texts=["good"] * 2000).SerializeToString()


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_a_stream_that_stands_still_is_given_up_whether_its_caller_stays_or_leaves(
    leaves: bool, transport: str
) -> None:
    flags = ("--transport", transport, "--stall-seconds", "1", "--metrics-listen", "127.0.0.1:0")
    ended = threading.Event()

    def endless() -> Iterator[bytes]:
        while not ended.is_set():
            yield BODY

    with server(*flags, "--drain-seconds", "3600") as running:
        with grpc.insecure_channel(running.address) as channel:
            stream = raw_stream(channel, STREAM)(endless())
            try:
                wait_for(lambda: running.in_flight() == 1)
                if leaves:
                    stream.cancel()
                wait_for(lambda: running.in_flight() == 0)
                if not leaves:
                    with pytest.raises(grpc.RpcError):
                        list(stream)
                    assert stream.code() is grpc.StatusCode.CANCELLED
            finally:
                ended.set()
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
        (call,) = [line for line in running.lines if line.get("rpc", "").endswith("/StreamEmbed")]
        assert call["code"] == "CANCELLED"
