"""Timings on request: a caller who asks is told what the stages of a call took, nobody else."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import pytest
from conftest import UNITS
from sentido.v1.prediction_pb2 import PredictRequest, StreamPredictRequest
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from sentido_client import AsyncClient, Client, Timings, Word
from sentido_server.core.call import CallRecord

STAGES = ("tokenize", "queue", "compute", "encode")
ASKS = (("sentido-timings", "1"),)
ROUNDING = 5  # µs of all stages


@pytest.fixture(scope="module")
def stub(address: str) -> Iterator[Any]:
    with grpc.insecure_channel(address) as channel:
        yield PredictionServiceStub(channel)


def timings(trailer: Sequence[tuple[str, str]]) -> dict[str, int] | None:
    """Read the trailer of a call."""
    taken = dict(trailer).get("sentido-timings")
    if taken is None:
        return None
    return {stage: int(value) for stage, value in (each.split("=") for each in taken.split(", "))}


def test_whoever_asks_gets_the_stages_in_the_trailer(stub: Any) -> None:
    started = time.monotonic()
    _, call = stub.Predict.with_call(PredictRequest(text="a good film"), metadata=ASKS)
    taken = (time.monotonic() - started) * 1e6
    found = timings(call.trailing_metadata())
    assert found is not None
    assert tuple(found) == STAGES
    assert found["compute"] > 0
    assert min(found.values()) >= 0
    assert sum(found.values()) <= taken + ROUNDING


def test_a_stream_ends_with_the_sums_of_its_messages(stub: Any) -> None:
    messages = [StreamPredictRequest(texts=["a good film"])] * 5
    call = stub.StreamPredict(iter(messages), metadata=ASKS)
    assert len(list(call)) == len(messages)
    found = timings(call.trailing_metadata())
    assert found is not None
    assert tuple(found) == STAGES
    entry = CallRecord("a/A", "peer", metadata=ASKS)
    for _ in messages:
        entry.end_message((0.0, 1.0, 1.5, 3.5, 3.75), (("imdb", "1"), 1, 2, 0, 0))
    taken = "tokenize=5000000, queue=2500000, compute=10000000, encode=1250000"
    assert entry.timings() == (("sentido-timings", taken),)


@pytest.mark.parametrize("metadata", [(), (("sentido-timings", "0"),), (("other", "1"),)])
def test_whoever_does_not_ask_gets_no_trailer(stub: Any, metadata: Any) -> None:
    _, call = stub.Predict.with_call(PredictRequest(text="good"), metadata=metadata)
    assert timings(call.trailing_metadata()) is None
    stream = stub.StreamPredict(iter([StreamPredictRequest(texts=["good"])]), metadata=metadata)
    assert len(list(stream)) == 1
    assert timings(stream.trailing_metadata()) is None


def test_a_call_that_is_refused_says_what_it_took_too(stub: Any) -> None:
    bad: Any = 99
    for metadata in ((), ASKS):
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(PredictRequest(text="good", truncation=bad), metadata=metadata)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        found = timings(error.trailing_metadata())
        assert (found is not None) == bool(metadata)
        assert "grpc-status-details-bin" in dict(error.trailing_metadata())


def test_a_client_puts_them_on_predictions_and_tokenizations(address: str) -> None:
    with Client(address, timings=True) as client:
        started = time.monotonic()
        one, many = client.predict("a good film"), client.predict(["good", "bad"])
        taken = (time.monotonic() - started) * 1e6
        tokenization = client.tokenize("a good film")
        (streamed,) = client.predict(iter(["good"]))
        (word,) = client.lookup(["good"])
        assert client.embed(["good"]).shape == (1, UNITS)
    assert isinstance(one.timings, Timings)
    assert one.timings.compute > 0
    assert many[0].timings == many[1].timings
    assert sum(sum(vars(each.timings).values()) for each in (one, many[0])) <= taken + 2 * ROUNDING
    assert isinstance(tokenization.timings, Timings)
    assert tokenization.timings.compute == tokenization.timings.queue == 0  # needs no model
    assert streamed.timings is None
    assert isinstance(word, Word)


def test_the_client_for_asyncio_puts_them_there_too(address: str) -> None:
    async def main() -> None:
        async with AsyncClient(address, timings=True) as client:
            one = await client.predict("a good film")
            many = await client.predict(["good", "bad"])
            for prediction in (one, *many):
                assert isinstance(prediction.timings, Timings)
                assert prediction.timings.compute > 0
            tokenization = await client.tokenize("good")
            assert isinstance(tokenization.timings, Timings)
            assert (await client.embed("good")).shape == (UNITS,)

    asyncio.run(main())


def test_clients_that_do_not_ask_have_none(client: Client, address: str) -> None:
    assert client.predict("good").timings is None
    assert client.predict(["good"])[0].timings is None
    assert client.tokenize("good").timings is None
    assert repr(Client(address, timings=True)) == f"Client({address!r}, timings=True)"
