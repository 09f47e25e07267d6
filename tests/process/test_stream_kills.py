"""Streams whose server is killed at random moments and stays away for 0.1 to 5 seconds.

A lane is a transport, with a server and its successors at one address. Each kill meets a stream of
each caller: Client, AsyncClient and the command. `--stream-kills` says how many kills there are.
"""

import asyncio
import dataclasses
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Server, server
from sentido_client import AsyncClient, Client, DeadlineError, Prediction, UnavailableError

CALLERS = ["Client", "AsyncClient", "command"]
LANES = [("grpcio", 0), ("native", 1), ("grpcio", 2), ("native", 3)]  # transport and seed
SIZES = [10, 300, 3_000]  # texts of a stream
LATEST = 1.2  # seconds from the beginning of the streams to the kill; a command starts in 0.5
SHORTEST_GAP, LONGEST_GAP = 0.1, 5.0
TIMEOUTS = [30.0, 30.0, None, 2.0]
SHORT = 2.0  # the timeout that does not outlast the longest gap
HUNG = 60.0  # seconds after the next server is there
# The command `sentido`; on standard error it first tells the time when it has been loaded, and last
# when it has ended: a busy machine takes long for what is before and after.
COMMAND = """
import atexit, sys, time
from sentido_client import main

def tell():
    print(time.monotonic(), file=sys.stderr, flush=True)

tell()
atexit.register(tell)
main.sentido(prog_name="sentido")
"""


def plain(answer: Prediction) -> dict[str, Any]:
    """Return an answer as the command prints it, but for its index."""
    facts: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(answer)))
    del facts["logits"], facts["timings"]  # which were not asked for
    shortest: dict[str, Any] = _shortest(facts)
    return shortest


def _shortest(value: Any) -> Any:
    """Return a value whose numbers are the shortest that stand for the same float32."""
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, dict):
        return {key: _shortest(item) for key, item in value.items()}
    return [_shortest(item) for item in value] if isinstance(value, list) else value


@dataclass
class Stream:
    """A caller's stream, and how it went."""

    caller: str
    address: str
    timeout: float | None
    texts: list[str]
    pause: int  # the index of the text before which the source waits for the kill, if there is one
    killed: threading.Event
    answers: list[dict[str, Any]] = field(default_factory=list)
    error: str = ""
    began: float = 0.0  # by the monotonic clock, which all processes share
    ended: float | None = None

    def run(self, file: Path) -> None:
        self.began = time.monotonic()
        try:
            if self.caller == "Client":
                self.run_client()
            elif self.caller == "AsyncClient":
                asyncio.run(self.run_async())
            else:
                self.run_command(file)
        except (UnavailableError, DeadlineError) as error:
            self.error = str(error)
        self.ended = self.ended or time.monotonic()

    def run_client(self) -> None:
        def source() -> Iterator[str]:
            for index, text in enumerate(self.texts):
                if index == self.pause:
                    assert self.killed.wait(HUNG)
                yield text

        with Client(self.address, timeout=self.timeout) as client:
            for answer in client.predict(source()):
                self.answers.append(plain(answer))

    async def run_async(self) -> None:
        async def source() -> AsyncIterator[str]:
            for index, text in enumerate(self.texts):
                if index == self.pause:
                    assert await asyncio.to_thread(self.killed.wait, HUNG)
                yield text

        async with AsyncClient(self.address, timeout=self.timeout) as client:
            async for answer in client.predict(source()):
                self.answers.append(plain(answer))

    def run_command(self, file: Path) -> None:
        file.write_text("".join(f"{text}\n" for text in self.texts), encoding="utf-8")
        timeout = "none" if self.timeout is None else f"{self.timeout:g}"
        options = ["--address", self.address, "--timeout", timeout, "--json"]
        command = [sys.executable, "-c", COMMAND, "predict", "--file", str(file), *options]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * HUNG)
        lines = [json.loads(line) for line in ended.stdout.splitlines()]
        assert [line.pop("index") for line in lines] == list(range(len(lines)))
        self.answers += lines
        began, *said, finished = ended.stderr.splitlines()
        self.began, self.error = float(began), "\n".join(said)
        self.ended = float(finished)


@dataclass
class Lane:
    """Kills one server after another, on a thread of its own."""

    transport: str
    chance: random.Random
    texts: list[str]
    want: list[dict[str, Any]]  # the answer to each text
    folder: Path
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)  # by caller, with the short timeout

    def run(self, kills: int) -> "Lane":
        with ExitStack() as stack:
            running = stack.enter_context(server("--transport", self.transport))
            for _ in range(kills):
                flags = ["--listen", running.address, "--transport", self.transport]
                streams, killed = self.kill(running)
                running = stack.enter_context(server(*flags))
                for stream, thread in streams:
                    thread.join(HUNG)
                    self.outcomes[self.judge(stream, killed)] += 1
        return self

    def kill(self, running: Server) -> tuple[list[tuple[Stream, threading.Thread]], float]:
        """Begin streams, kill their server, wait for the gap; return the streams and the moment."""
        timeout = self.chance.choice(TIMEOUTS)
        gap = self.chance.uniform(SHORTEST_GAP, LONGEST_GAP)
        event = threading.Event()
        streams = [self.begin(caller, running.address, timeout, event) for caller in CALLERS]
        if self.chance.random() < 0.3:  # nothing is answered before the kill
            running.process.send_signal(signal.SIGSTOP)
        time.sleep(self.chance.uniform(0, LATEST))
        running.process.kill()
        killed = time.monotonic()
        running.end()
        event.set()
        self.outcomes["in flight"] += sum(stream.ended is None for stream, _ in streams)
        time.sleep(LONGEST_GAP if timeout == SHORT else gap)
        return streams, killed

    def begin(
        self, caller: str, address: str, timeout: float | None, killed: threading.Event
    ) -> tuple[Stream, threading.Thread]:
        texts = self.texts[: self.chance.choice(SIZES)]
        pause = self.chance.choice([-1, 0, len(texts) // 2])
        stream = Stream(caller, address, timeout, texts, pause, killed)
        file = self.folder / f"{caller}.txt"
        thread = threading.Thread(target=stream.run, args=[file], daemon=True)
        thread.start()
        return stream, thread

    def judge(self, stream: Stream, killed: float) -> str:
        """Say in a word how a stream went."""
        if stream.ended is None:
            return "hung"
        want = self.want[: len(stream.texts)]
        if stream.answers == want and not stream.error:
            return "answered"
        if len(stream.answers) > len(want):
            return "doubled"
        if stream.answers != want[: len(stream.answers)]:
            return "wrong"
        if stream.timeout != SHORT or not stream.error:
            return f"lost by {stream.caller}: {stream.error}"
        took = stream.ended - max(killed, stream.began)
        self.slowest[stream.caller] = max(took, self.slowest.get(stream.caller, 0.0))
        if took < LONGEST_GAP:
            return "ended with an error"
        return f"{stream.caller} late by {took:.1f} s: {stream.error}"


def test_streams_outlive_a_server_that_is_killed_at_any_moment(
    pytestconfig: pytest.Config, reviews: list[str], figures: dict[str, str], tmp_path: Path
) -> None:
    kills: int = pytestconfig.getoption("--stream-kills")
    texts = [" ".join(review.split())[:200] for review in reviews[: max(SIZES)]]
    with server() as running, Client(running.address) as client:
        want = [plain(prediction) for prediction in client.predict(texts)]
    lanes = []
    for transport, seed in LANES:
        folder = tmp_path / f"{transport}{seed}"
        folder.mkdir()
        lanes.append(Lane(transport, random.Random(seed), texts, want, folder))
    with ThreadPoolExecutor(len(lanes)) as pool:
        each = -(-kills // len(lanes))
        outcomes = sum((lane.outcomes for lane in pool.map(Lane.run, lanes, [each] * 4)), Counter())
    in_flight = outcomes.pop("in flight")
    slowest = {
        caller: round(max(lane.slowest.get(caller, 0.0) for lane in lanes), 2) for caller in CALLERS
    }
    figures["streams whose server is killed"] = (
        f"{each * len(lanes)} kills, {outcomes.total()} streams, {in_flight} in flight, "
        f"{dict(outcomes)}; seconds to the end with a timeout of {SHORT:g}, at most: {slowest}"
    )
    assert outcomes.keys() <= {"answered", "ended with an error"}, outcomes
