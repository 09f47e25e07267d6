"""Clients that run on while the servers behind a name come and go."""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from typing import Any

import pytest
from conftest import config, running, running_server
from names import Names, names
from processes import Server, server
from sentido_client import AsyncClient, Client, SentidoError
from waiting import PATIENCE, wait_for

CALLERS = 3  # of each client
WINDOW = 90  # calls, of which each of three servers gets 30
FEWEST = 20
SLACK = 12  # descriptors or threads: two channels, of which one is about to go

Call = Callable[[], Any]


@pytest.fixture
def name() -> Iterator[Names]:
    with names() as running_names:
        yield running_names


def free_port() -> int:
    """Return a port that is free at every address of this machine."""
    with socket.create_server(("0.0.0.0", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def calls(kind: str, target: str, renew_seconds: float) -> Iterator[Call]:
    """Give a function that predicts, by either client."""
    if kind == "Client":
        with Client(target, timeout=PATIENCE, renew_seconds=renew_seconds) as client:
            yield lambda: client.predict("good")
        return
    with asyncio.Runner() as runner:
        asynchronous = AsyncClient(target, timeout=PATIENCE, renew_seconds=renew_seconds)

        async def predict() -> Any:
            return await asynchronous.predict("good")

        yield lambda: runner.run(predict())
        runner.run(asynchronous.close())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


both_clients = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


@both_clients
def test_calls_go_to_servers_that_a_name_gets_later(kind: str, name: Names, transport: str) -> None:
    port = free_port()
    name.addresses = ["127.0.0.2"]
    first, second = (
        config(listen=f"127.0.0.{number}:{port}", transport=transport) for number in (2, 3)
    )
    with running(first), calls(kind, name.target(port), 0.05) as call:
        call()
        with running_server(second) as newcomer:
            name.addresses = ["127.0.0.2", "127.0.0.3"]
            wait_for(lambda: call() and newcomer.counts.items >= 3)


@both_clients
def test_the_old_connections_serve_while_nobody_answers_on_new_ones(kind: str, name: Names) -> None:
    port = free_port()
    name.addresses = ["127.0.0.2"]
    with running(config(listen=f"127.0.0.2:{port}")), calls(kind, name.target(port), 0.01) as call:
        call()
        name.addresses = ["127.0.0.9"]
        asked = name.asked
        wait_for(lambda: call() and name.asked > asked)
        for _ in range(20):
            call()


@both_clients
def test_a_client_told_not_to_renew_keeps_its_connections(kind: str, name: Names) -> None:
    port = free_port()
    name.addresses = ["127.0.0.2"]
    with running(config(listen=f"127.0.0.2:{port}")), calls(kind, name.target(port), 0) as call:
        call()
        asked = name.asked
        for _ in range(50):
            call()
        assert name.asked == asked


def test_connections_live_until_the_last_stream_on_them_ends(name: Names) -> None:
    port = free_port()
    name.addresses = ["127.0.0.2"]
    more = threading.Event()

    def texts() -> Iterator[str]:
        yield "good"
        assert more.wait(PATIENCE)
        yield "bad"

    with (
        running(config(listen=f"127.0.0.2:{port}")),
        Client(name.target(port), timeout=PATIENCE, renew_seconds=0.01) as client,
    ):
        client.predict("good")
        alone = descriptors()
        with closing(client.predict(texts())) as stream:
            assert next(stream).label == "positive"
            asked = name.asked
            wait_for(lambda: client.predict("good") and name.asked > asked + 5)
            more.set()
            assert next(stream).label == "negative"
            assert next(stream, None) is None
        wait_for(lambda: client.predict("good") and descriptors() <= alone + SLACK)


def test_a_client_has_no_thread_before_its_first_call() -> None:
    before = threading.active_count()
    with Client(renew_seconds=0.001):
        assert threading.active_count() == before


def test_a_programs_random_numbers_stay_as_seeded() -> None:
    random.seed(7)
    before = random.getstate()
    with Client("127.0.0.1:1", timeout=0.1) as client, pytest.raises(SentidoError):
        client.predict("good")
    assert random.getstate() == before


@both_clients
def test_a_client_can_be_closed_while_new_connections_are_waited_for(
    kind: str, name: Names, capfd: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    with running(config(listen=f"127.0.0.2:{port}")):
        for _ in range(10):
            name.addresses = ["127.0.0.2"]
            with calls(kind, name.target(port), 0.001) as call:
                call()
                name.addresses = ["127.0.0.9"]
                call()
                call()
    assert capfd.readouterr().err == ""


class Replica:
    """A server process at an address of its own, and how many calls it has answered."""

    def __init__(self, address: str, running: Server) -> None:
        self.address = address
        self.process = running.process
        self.answered = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with suppress(ValueError), self.process.stderr as log:  # closed at the end of the test
            for line in log:
                self.answered += '/Predict"' in line


class Load:
    """Callers that predict without end. `failures` must stay empty."""

    def __init__(self, target: str, renew_seconds: float) -> None:
        self.failures: list[tuple[str, BaseException, BaseException | None]] = []
        self.answers: Counter[str] = Counter()
        self._target = target
        self._renew_seconds = renew_seconds
        self._over = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._guarded, args=(self._calls_async,))]
        with Client(self._target, renew_seconds=self._renew_seconds) as client:
            of_client = [lambda: self._calls(client)] * CALLERS + [lambda: self._stream(client)]
            threads += [threading.Thread(target=self._guarded, args=(one,)) for one in of_client]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._over.set()
                for thread in threads:
                    thread.join(PATIENCE)

    def _guarded(self, body: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            self.failures.append((threading.current_thread().name, error, error.__cause__))

    def _calls(self, client: Client) -> None:
        while not self._over.wait(0.005):
            self.answers[client.predict("good").label] += 1

    def _texts(self) -> Iterator[str]:
        while not self._over.wait(0.05):
            yield "bad"

    def _stream(self, client: Client) -> None:
        for answer in client.predict(self._texts()):
            self.answers[answer.label] += 1

    def _calls_async(self) -> None:
        async def calls(client: AsyncClient) -> None:
            while not self._over.is_set():
                self.answers[(await client.predict("good")).label] += 1
                await asyncio.sleep(0.005)

        async def main() -> None:
            async with AsyncClient(self._target, renew_seconds=self._renew_seconds) as client:
                await asyncio.gather(*[calls(client) for _ in range(CALLERS)])

        asyncio.run(main())


def spread_evenly(replicas: list[Replica]) -> bool:
    """Whether each of the servers gets its share of the next calls."""
    before = [replica.answered for replica in replicas]

    def new() -> list[int]:
        return [replica.answered - old for replica, old in zip(replicas, before, strict=True)]

    wait_for(lambda: sum(new()) >= WINDOW)
    return min(new()) >= FEWEST


def test_servers_behind_a_name_are_replaced_one_by_one_and_no_call_fails(
    name: Names, transport: str, pytestconfig: pytest.Config, figures: dict[str, str]
) -> None:
    seconds = pytestconfig.getoption("replacing_seconds")
    interval, renew_seconds = (20, 10.0) if seconds else (0, 0.2)
    port, numbers = free_port(), count(2)
    with ExitStack() as stack:

        def start() -> Replica:
            address = f"127.0.0.{next(numbers)}"
            flags = ("--listen", f"{address}:{port}", "--transport", transport)
            return Replica(address, stack.enter_context(server(*flags, "--log-format", "json")))

        replicas = [start() for _ in range(3)]
        name.addresses = [replica.address for replica in replicas]
        load = Load(name.target(port), renew_seconds)
        slowest = 0.0
        with load.running():
            wait_for(lambda: spread_evenly(replicas))
            usual = (descriptors(), threading.active_count())
            for number in range(max(3, seconds // 20)):
                began = time.monotonic()
                victim = replicas.pop(0)
                replicas.append(start())
                name.addresses = [replica.address for replica in replicas]
                victim.process.send_signal(signal.SIGKILL if number % 2 else signal.SIGTERM)
                wait_for(lambda: load.failures or spread_evenly(replicas))
                assert not load.failures
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(max(0, began + interval - time.monotonic()))  # the pace, no waiting
            wait_for(lambda: descriptors() <= usual[0] + SLACK)
            wait_for(lambda: threading.active_count() <= usual[1] + SLACK)
        assert not load.failures
        figures[f"replacing servers, {transport}"] = (
            f"{sum(load.answers.values())} answers, evenly spread after {slowest:.0f} s at most"
        )


FORKS = """
import os, sys
from sentido_client import Client

client = Client(sys.argv[1], timeout=60, renew_seconds=0.0001)
for _ in range(5):
    client.predict("good")
    child = os.fork()
    if child == 0:
        for _ in range(3):
            client.predict("good")
        client.close()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), client.predict("good").label)
client.close()
"""


def test_a_process_may_be_forked_while_connections_are_renewed(address: str) -> None:
    command = [sys.executable, "-W", "ignore:This process", "-c", FORKS, address]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert (result.stdout.split("\n"), result.stderr) == (["0 positive"] * 5 + [""], "")
