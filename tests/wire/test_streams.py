"""The clients' streams against servers that misbehave, and what an abandoned one leaves behind."""

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from sentido.v1 import model_pb2, prediction_pb2
from sentido_client import (
    AsyncClient,
    CallCancelledError,
    Client,
    DeadlineError,
    SentidoError,
    ServerError,
    UnavailableError,
)
from waiting import PATIENCE, wait_for

Behaviour = Callable[[Iterator[Any], grpc.ServicerContext], Iterator[Any]]
CLIENTS = ["Client", "AsyncClient"]


@contextmanager
def behaving(behaviour: Behaviour) -> Iterator[str]:
    """Run a server whose StreamPredict is `behaviour`, with 2 texts a message; give its address."""
    info = model_pb2.GetServerInfoResponse(
        limits=model_pb2.Limits(max_text_characters=1000, max_texts=2, max_message_bytes=4096)
    )
    services: dict[str, dict[str, Any]] = {
        "sentido.v1.ModelService": {
            "GetServerInfo": grpc.unary_unary_rpc_method_handler(
                lambda _, __: info.SerializeToString()
            )
        },
        "sentido.v1.PredictionService": {
            "StreamPredict": grpc.stream_stream_rpc_method_handler(
                behaviour,
                prediction_pb2.StreamPredictRequest.FromString,
                prediction_pb2.StreamPredictResponse.SerializeToString,
            )
        },
    }
    server = grpc.server(ThreadPoolExecutor(8))
    for name, handlers in services.items():
        handler = grpc.method_handlers_generic_handler(name, handlers)
        server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def echo(request: Any) -> prediction_pb2.StreamPredictResponse:
    """Answer each text with itself for a label."""
    return prediction_pb2.StreamPredictResponse(
        results=[
            prediction_pb2.StreamPredictResult(prediction=prediction_pb2.Prediction(label=text))
            for text in request.texts
        ]
    )


def collect(
    kind: str, address: str, texts: list[str], timeout: float
) -> tuple[list[str], SentidoError | None]:
    """Stream texts; give the labels and what it ended with."""
    found: list[str] = []

    async def main() -> None:
        async with AsyncClient(address, timeout=timeout) as client:
            async for answer in client.predict(iter(texts)):
                found.append(answer.label)

    try:
        if kind == "AsyncClient":
            asyncio.run(main())
        else:
            with Client(address, timeout=timeout) as client:
                for answer in client.predict(iter(texts)):
                    found.append(answer.label)
    except SentidoError as error:
        return found, error
    return found, None


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_stream_goes_on_however_often_it_breaks_if_it_moves_in_between(kind: str) -> None:
    calls = itertools.count()

    def one_answer_a_stream(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        next(calls)
        yield echo(next(requests))
        context.abort(grpc.StatusCode.UNAVAILABLE, "enough")

    texts = [f"text {n}" for n in range(22)]
    with behaving(one_answer_a_stream) as address:
        assert collect(kind, address, texts, 30) == (texts, None)
    assert next(calls) >= 11


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_stream_that_does_not_move_is_given_up_in_time(kind: str) -> None:
    def never(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        first = next(requests)
        if "text 0" in first.texts:
            yield echo(first)
        context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    with behaving(never) as address:
        found, error = collect(kind, address, [f"text {n}" for n in range(6)], 3)
    assert isinstance(error, UnavailableError)
    assert f"(after {len(found)} texts were answered)" in str(error)
    assert found


@pytest.mark.parametrize("kind", CLIENTS)
def test_an_error_that_trying_again_does_not_mend_is_raised_at_once(kind: str) -> None:
    calls = itertools.count()

    def broken(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        next(calls)
        for request in requests:
            if "text 2" in request.texts:
                context.abort(grpc.StatusCode.INTERNAL, "a bug")
            yield echo(request)

    with behaving(broken) as address:
        found, error = collect(kind, address, [f"text {n}" for n in range(6)], 30)
    assert (type(error), str(error)) == (ServerError, "INTERNAL: a bug")
    assert found == [f"text {n}" for n in range(len(found))]
    # grpc.aio may lose the status of a call that ends while it is written to: one more tells.
    assert next(calls) <= (1 if kind == "Client" else 3)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_server_that_falls_silent_is_a_deadline_error(kind: str) -> None:
    over = threading.Event()

    def silent(requests: Iterator[Any], _: Any) -> Iterator[Any]:
        yield echo(next(requests))
        over.wait(PATIENCE)

    with behaving(silent) as address:
        found, error = collect(kind, address, [f"text {n}" for n in range(6)], 0.5)
        over.set()
    assert isinstance(error, DeadlineError)
    assert f"stream for 0.5 seconds (after {len(found)} texts were answered)" in str(error)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_wrong_number_of_answers_is_the_servers_error(kind: str) -> None:
    def generous(requests: Iterator[Any], _: Any) -> Iterator[Any]:
        answer = echo(next(requests))
        answer.results.add()
        yield answer

    with behaving(generous) as address:
        found, error = collect(kind, address, ["text"], 30)
    assert (found, str(error)) == ([], "the server gave 2 answers to 1 texts")
    assert isinstance(error, ServerError)


def test_an_answer_to_nothing_is_the_servers_error() -> None:
    over = threading.Event()

    def talkative(requests: Iterator[Any], _: Any) -> Iterator[Any]:
        answer = echo(next(requests))
        yield answer
        yield answer
        over.wait(20)

    def source() -> Iterator[str]:
        yield "text 0"
        over.wait(20)

    with behaving(talkative) as address, Client(address, timeout=30) as client:
        answers = client.predict(source())
        assert next(answers).label == "text 0"
        with pytest.raises(ServerError, match="more than it was asked"):
            next(answers)
        over.set()


def test_closing_the_client_ends_a_stream_that_waits_for_a_server() -> None:
    begun = threading.Event()

    def never(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        begun.set()
        context.abort(grpc.StatusCode.UNAVAILABLE, f"not now, {next(requests)}")
        yield

    with behaving(never) as address:
        client = Client(address)

        def close() -> None:
            assert begun.wait(PATIENCE)
            client.close()

        threading.Thread(target=close).start()
        with pytest.raises(CallCancelledError, match=r"closed"):
            list(client.predict(iter(["text"])))
        begun.clear()

        async def main() -> None:
            client = AsyncClient(address)

            async def close_later() -> None:
                await asyncio.to_thread(begun.wait, PATIENCE)
                await client.close()

            closing = asyncio.create_task(close_later())
            with pytest.raises(CallCancelledError):
                async for _ in client.predict(iter(["text"])):
                    pass
            await closing

        asyncio.run(main())


@pytest.mark.parametrize("verb", ["predict", "embed"])
def test_a_stream_that_is_closed_early_leaves_nothing_running(address: str, verb: str) -> None:
    endless = (f"good film {n}" for n in itertools.count())

    def running() -> set[str]:
        names = [thread.name.partition(" (")[2] or thread.name for thread in threading.enumerate()]
        return {name for name in names if name.startswith(("sentido-", "consume_request"))}

    with Client(address) as client:
        answers = getattr(client, verb)(endless)
        for _ in range(300):
            next(answers)
        assert running() >= {"sentido-read", "sentido-receive"}
        answers.close()
        wait_for(lambda: not running())
        first, second = next(endless), next(endless)  # nobody else reads it
        assert int(second.split()[2]) == int(first.split()[2]) + 1

    async def main() -> None:
        async with AsyncClient(address) as client:
            await client.predict("good")
            before = asyncio.all_tasks()
            answers = getattr(client, verb)(endless)
            for _ in range(300):
                await anext(answers)
            await answers.aclose()
            async with asyncio.timeout(PATIENCE):
                while asyncio.all_tasks() != before:
                    await asyncio.sleep(0.01)  # grpc.aio's own tasks end a moment later

    asyncio.run(main())


class Collecting(str):
    """A text that collects garbage when it is looked at."""

    def isascii(self) -> bool:
        gc.collect()
        return super().isascii()


def test_a_forgotten_stream_can_be_collected_on_a_thread_of_its_own(client: Client) -> None:
    forgotten, ended = threading.Event(), threading.Event()

    def source() -> Iterator[str]:
        try:
            yield "good"
            forgotten.wait(PATIENCE)
            yield Collecting("good")
        finally:
            ended.set()

    stream = client.predict(source())
    next(stream)
    cycle: list[Any] = [stream]
    cycle.append(cycle)
    del stream, cycle
    forgotten.set()
    assert ended.wait(PATIENCE)


def test_a_source_that_is_cancelled_from_within_does_not_end_its_stream_quietly(
    address: str,
) -> None:
    async def source() -> AsyncIterator[str]:
        yield "good"
        raise asyncio.CancelledError

    async def main() -> None:
        async with AsyncClient(address) as client:
            stream = client.predict(source())
            assert (await anext(stream)).label == "positive"
            with pytest.raises(asyncio.CancelledError):
                await anext(stream)

    asyncio.run(main())


def test_the_vectors_of_a_stream_can_be_written_to_and_do_not_overlap(client: Client) -> None:
    first, second = client.embed(iter(["good", "good"]))
    assert first.tobytes() == second.tobytes()
    first[:] = 0
    assert first.tobytes() != second.tobytes()


def test_every_kind_and_option_of_embed_streams(client: Client) -> None:
    texts = ["good film", "", "a dull mess"]
    options: Any
    for options in ({}, {"kind": "mean"}, {"normalize": True}, {"truncation": "keep_first"}):
        want = client.embed(texts, **options)
        found = list(client.embed(iter(texts), **options))
        assert [row.tobytes() for row in found] == [row.tobytes() for row in want]
    unknown: Any = {"kind": "final"}
    with pytest.raises(ValueError, match="kind is 'final'"):
        client.embed(iter(texts), **unknown)
