"""Streams whose server goes away: killed, drained, started anew, or gone for good.

Four streams at once, one of each client and verb, meet the same end of the same server.
"""

import asyncio
import itertools
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from processes import Server, server
from sentido_client import AsyncClient, Client, UnavailableError
from waiting import PATIENCE

BEFORE, AFTER = 100, 500  # answers before the server ends, and after: more than are in flight
STREAMS = [(client, verb) for client in ("Client", "AsyncClient") for verb in ("predict", "embed")]


@dataclass
class Stream:
    """One stream, on a thread of its own; it stops at the barrier after some answers.

    Then it goes on until there are AFTER more since the server ended.
    """

    client: str
    verb: str
    address: str
    timeout: float
    barrier: threading.Barrier
    ended: threading.Event  # the server
    found: list[Any] = field(default_factory=list)
    after: int = 0  # answers since the server ended

    def run(self, texts: list[str]) -> None:
        endless = itertools.cycle(texts)
        if self.client == "AsyncClient":
            asyncio.run(self.run_async(endless))
            return
        with Client(self.address, timeout=self.timeout) as client:
            answers = getattr(client, self.verb)(endless)
            self.found += itertools.islice(answers, BEFORE)
            self.barrier.wait(PATIENCE)
            for answer in answers:
                if self.is_enough(answer):
                    break
            answers.close()

    async def run_async(self, endless: Iterator[str]) -> None:
        async with AsyncClient(self.address, timeout=self.timeout) as client:
            answers = getattr(client, self.verb)(endless)
            self.found += [await anext(answers) for _ in range(BEFORE)]
            await asyncio.to_thread(self.barrier.wait, PATIENCE)
            async for answer in answers:
                if self.is_enough(answer):
                    break
            await answers.aclose()

    def is_enough(self, answer: Any) -> bool:
        """Take an answer; tell whether the stream has outlived the server."""
        self.found.append(answer)
        self.after += self.ended.is_set()
        return self.after == AFTER


@contextmanager
def outlived(
    running: Server, how: signal.Signals, texts: list[str], timeout: float
) -> Iterator[list[tuple[Stream, Future[None]]]]:
    """Begin all streams and end their server while they go on; each has BEFORE answers or more."""
    barrier, ended = threading.Barrier(len(STREAMS) + 1), threading.Event()
    streams = [Stream(*kind, running.address, timeout, barrier, ended) for kind in STREAMS]
    with ThreadPoolExecutor(len(streams)) as pool:
        runs = [(stream, pool.submit(stream.run, texts)) for stream in streams]
        barrier.wait(PATIENCE)
        end(running, how)
        ended.set()
        yield runs


def plain(answers: Any) -> list[Any]:
    return [a.tobytes() if hasattr(a, "tobytes") else a for a in answers]


def end(running: Server, how: signal.Signals) -> None:
    running.process.send_signal(how)
    running.end()


@pytest.fixture(scope="module")
def texts(reviews: list[str]) -> list[str]:
    return reviews[::100]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_stream_goes_on_in_a_server_started_anew_without_loss_or_repetition(
    texts: list[str], client: Client, how: signal.Signals
) -> None:
    with (
        server() as first,
        outlived(first, how, texts, timeout=PATIENCE) as runs,
        server("--listen", first.address),
    ):
        for _, run in runs:
            run.result(PATIENCE)
    for stream, _ in runs:
        want = plain(getattr(client, stream.verb)(texts))
        wanted = itertools.islice(itertools.cycle(want), len(stream.found))
        assert plain(stream.found) == list(wanted), stream


def test_a_server_that_stays_away_is_unavailable_after_so_many_answers(texts: list[str]) -> None:
    with server() as running, outlived(running, signal.SIGKILL, texts, timeout=5) as runs:
        for stream, run in runs:
            error = run.exception(PATIENCE)
            assert type(error) is UnavailableError
            assert len(stream.found) >= BEFORE
            assert f"(after {len(stream.found)} texts were answered)" in str(error)


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_a_stream_whose_source_pauses_outlives_its_server(kind: str) -> None:
    resumed = threading.Event()

    def texts() -> Iterator[str]:
        yield "A wonderful little film."
        assert resumed.wait(PATIENCE)
        yield "A dull mess."

    async def main(address: str, restart: Callable[[], None]) -> list[str]:
        async with AsyncClient(address) as client:

            async def slow() -> AsyncIterator[str]:
                source = texts()
                while (text := await asyncio.to_thread(next, source, None)) is not None:
                    yield text

            answers = client.predict(slow())
            first = await anext(answers)
            await asyncio.to_thread(restart)
            return [first.label, *[answer.label async for answer in answers]]

    with ExitStack() as stack:
        running = stack.enter_context(server())

        def restart() -> None:
            end(running, signal.SIGKILL)
            stack.enter_context(server("--listen", running.address))
            resumed.set()

        if kind == "AsyncClient":
            labels = asyncio.run(main(running.address, restart))
        else:
            with Client(running.address) as client:
                answers = client.predict(texts())
                labels = [next(answers).label]
                threading.Thread(target=restart).start()
                labels += [answer.label for answer in answers]
    assert labels == ["positive", "negative"]
