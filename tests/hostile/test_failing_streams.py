"""Streams that fail or wait: what they leave behind is bounded, and they hold nobody up."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from conftest import raw_stream
from frames import PREDICT, Conversation, call_headers, message
from sentido.v1.embedding_pb2 import StreamEmbedRequest
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from victims import Victim, victim
from waiting import PATIENCE, wait_for

STREAM = "/sentido.v1.PredictionService/StreamPredict"
NO_MESSAGE = b"\xff"
FIRST = 1000  # streams after which the server has what it needs
GROWTH = 24  # MiB that all the others may leave, however many they are
MEMORY = 512  # MiB that the server may take
WAITING = 8  # streams
MESSAGES = 6  # of each
LARGE = ["good"] * 2000  # of which a message holds some 4 MiB until its answer is sent


@pytest.fixture(scope="module")
def attacked(transport: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    flags = ("--transport", transport, "--max-memory-mib", str(MEMORY))
    with victim(tmp_path_factory.mktemp("streams"), *flags) as attacked:
        yield attacked


def fail(channel: grpc.Channel) -> None:
    call: Any = raw_stream(channel, STREAM)(iter([NO_MESSAGE]), timeout=PATIENCE)
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_streams_leave_that_fail_at_their_first_message_is_bounded(
    transport: str, tmp_path: Path, pytestconfig: pytest.Config, figures: dict[str, str]
) -> None:
    count = pytestconfig.getoption("--hostile-requests") // 10
    looks = sorted({0, FIRST, *(each for each in (10_000,) if each < count), max(count, 2 * FIRST)})
    memory: dict[int, float] = {}
    with (
        victim(tmp_path, "--transport", transport) as attacked,
        grpc.insecure_channel(attacked.address) as channel,
        ThreadPoolExecutor(4) as pool,
    ):
        for done in looks:
            list(pool.map(lambda _: fail(channel), range(done - max(memory, default=0))))
            wait_for(lambda: attacked.in_flight() == 0)
            memory[done] = attacked.usage().memory
    figures[f"memory after streams that fail, {transport}"] = f"{memory} (MiB)"
    assert memory[looks[-1]] - memory[FIRST] < GROWTH


def test_streams_of_large_messages_go_on_beside_each_other(attacked: Victim) -> None:
    def answers(_: int) -> int:
        options = (("grpc.use_local_subchannel_pool", 1),)
        with grpc.insecure_channel(attacked.address, options) as channel:
            requests = (StreamEmbedRequest(texts=LARGE) for _ in range(MESSAGES))
            return sum(1 for _ in EmbeddingServiceStub(channel).StreamEmbed(requests))

    with ThreadPoolExecutor(WAITING) as pool:
        assert list(pool.map(answers, range(WAITING))) == [MESSAGES] * WAITING


def leave(address: str) -> None:
    """Make calls, and be gone before they are answered."""
    with Conversation(address) as raw:
        for _ in range(4):
            raw.call(call_headers(PREDICT.path), message(PREDICT.body))
        raw.finish()


def test_what_calls_leave_whose_callers_are_gone_is_bounded(
    attacked: Victim, pytestconfig: pytest.Config
) -> None:
    count = max(2 * FIRST, pytestconfig.getoption("--hostile-requests") // 40)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(leave, [attacked.address] * count))
    wait_for(lambda: attacked.in_flight() == 0)
    assert attacked.usage().memory < MEMORY
