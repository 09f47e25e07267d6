"""Streams and calls whose server stands still, before it has answered anything.

It is stopped as a debugger or a frozen container is: connections stay, nothing answers.
"""

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from conftest import BIN
from processes import Server, server
from sentido_client import AsyncClient, CallCancelledError, Client, DeadlineError, UnavailableError

AWAY = 2.0  # seconds: longer than gRPC's own retries last
HUNG = 60.0
TEXTS = [f"A good film, number {number}." for number in range(10)]
STREAMS = [(client, verb) for client in ("Client", "AsyncClient") for verb in ("predict", "embed")]


@dataclass
class Caller:
    """A client on a thread of its own that is connected before its server is stopped."""

    client: str
    verb: str
    address: str
    timeout: float | None
    connected: threading.Barrier
    stopped: threading.Event
    found: list[Any] = field(default_factory=list)
    sending: threading.Event = field(default_factory=threading.Event)

    def source(self) -> Iterator[str]:
        yield from TEXTS
        self.sending.set()

    def run(self) -> None:
        if self.client == "AsyncClient":
            asyncio.run(self.run_async())
            return
        with Client(self.address, timeout=self.timeout) as client:
            client.wait_until_ready()
            client.limits()
            client.predict("good")
            self.connected.wait(HUNG)
            assert self.stopped.wait(HUNG)
            self.found += getattr(client, self.verb)(self.source())

    async def run_async(self) -> None:
        async with AsyncClient(self.address, timeout=self.timeout) as client:
            await client.wait_until_ready()
            await client.limits()
            await client.predict("good")
            await asyncio.to_thread(self.connected.wait, HUNG)
            assert await asyncio.to_thread(self.stopped.wait, HUNG)
            async for answer in getattr(client, self.verb)(self.source()):
                self.found.append(answer)


def begin(running: Server, timeouts: list[float | None]) -> list[tuple[Caller, Future[object]]]:
    """Connect a client per stream and timeout, stop their server, begin the streams."""
    connected, stopped = threading.Barrier(len(STREAMS) * len(timeouts) + 1), threading.Event()
    callers = [
        Caller(*kind, running.address, timeout, connected, stopped)
        for kind in STREAMS
        for timeout in timeouts
    ]
    runs = [(caller, on_a_thread(caller.run)) for caller in callers]
    connected.wait(HUNG)
    running.process.send_signal(signal.SIGSTOP)
    stopped.set()
    for caller in callers:
        assert caller.sending.wait(HUNG)
    return runs


def on_a_thread(body: Callable[[], object]) -> "Future[object]":
    """Run on a thread that ends with the process, should it hang."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(body())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def threads_of_streams() -> set[str]:
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith("sentido-") or "consume_request" in name}


def test_a_stream_whose_server_dies_before_its_first_answer_goes_on_in_the_next(
    transport: str,
) -> None:
    with ExitStack() as stack:
        running = stack.enter_context(server("--transport", transport))
        runs = begin(running, [30.0, None])
        running.process.kill()
        running.end()
        command = [str(BIN / "sentido"), "predict", "--file", "-", "--address", running.address]
        late = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        time.sleep(AWAY)
        flags = ["--transport", transport, "--listen", running.address]
        following = stack.enter_context(server(*flags))
        for _, run in runs:
            run.result(HUNG)
        printed, _ = late.communicate("".join(f"{text}\n" for text in TEXTS), timeout=HUNG)
        with Client(following.address) as client:
            predictions, vectors = client.predict(TEXTS), client.embed(TEXTS)
    for caller, _ in runs:
        if caller.verb == "predict":
            assert caller.found == predictions, caller
        else:
            assert np.array_equal(caller.found, vectors), caller
    assert len(printed.splitlines()) == len(TEXTS)
    for _ in range(500):
        if not threads_of_streams():
            break
        time.sleep(0.01)
    assert not threads_of_streams()


def test_a_timeout_holds_when_a_server_stops_and_never_comes_back(transport: str) -> None:
    with server("--transport", transport) as running:
        for caller, run in begin(running, [0.5]):
            assert type(run.exception(HUNG)) is DeadlineError
            assert caller.found == []
        with Client(running.address, timeout=0.5) as client:
            calls: list[Callable[[], object]] = [
                lambda: client.predict(TEXTS),
                lambda: client.predict(TEXTS, errors="return"),
                lambda: list(client.predict(iter(TEXTS))),
                lambda: client.wait_until_ready(0.5),
            ]
            for call in calls:
                error = on_a_thread(call).exception(HUNG)
                assert isinstance(error, DeadlineError | UnavailableError)


def test_closing_a_client_ends_its_stream_that_waits_for_a_stopped_server(transport: str) -> None:
    read = threading.Event()

    def source() -> Iterator[str]:
        yield "good"
        read.set()

    with server("--transport", transport) as running:
        client = Client(running.address, timeout=None)
        client.limits()
        running.process.send_signal(signal.SIGSTOP)
        run = on_a_thread(lambda: list(client.predict(source())))
        assert read.wait(HUNG)
        client.close()
        assert type(run.exception(HUNG)) is CallCancelledError


def test_an_interrupt_ends_a_command_that_waits_for_a_stopped_server() -> None:
    with server() as running, interruptible(running.address) as command:
        assert command.stdin is not None
        assert command.stdout is not None
        print("good", file=command.stdin, flush=True)
        assert command.stdout.readline()
        running.process.send_signal(signal.SIGSTOP)
        print("bad", file=command.stdin, flush=True)
        command.send_signal(signal.SIGINT)
        assert command.wait(HUNG) == 130


def interruptible(address: str) -> "subprocess.Popen[str]":
    """Begin a command that heeds an interrupt, also where the parent of the tests ignores it."""
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from sentido_command import main; main()"
    )
    command = [sys.executable, "-c", program, "predict", "--file", "-", "--json"]
    return subprocess.Popen(
        [*command, "--address", address, "--timeout", "none"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
