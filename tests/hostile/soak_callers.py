"""Callers of every kind for as long as asked, who compare each answer to the bit.

A program of its own, so that it can be killed: given an address, a seed, seconds, calls per second
(0: as many as there can be) and a file of answers, it prints what became of its calls as JSON.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import grpc
import grpc.aio
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido.v1 import embedding_pb2, prediction_pb2
from sentido.v1.embedding_pb2_grpc import EmbeddingServiceStub
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub

TOKEN = "call-token-0123456789"
METADATA = (("authorization", f"Bearer {TOKEN}"),)
CALLERS = 24  # at once
PATIENCE = 30.0  # seconds that a polite call has
STALL_SECONDS = 2  # of the server; a caller who stands still is told by then, or leaves
LATE = 1.0  # seconds that a call may end after its deadline
TICK = 0.05
MOST_TOLD = 5  # of each kind of mistake
_ALONE = (("grpc.use_local_subchannel_pool", 1),)  # a connection of its own

Rpc = Callable[[], Awaitable[Any]]


class Soak:
    """What all callers share, and count."""

    def __init__(self, address: str, seed: int, answers: dict[str, list[str]]) -> None:
        self.address = address
        self.random = Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.compared = 0
        self.told: dict[str, list[str]] = {"wrong": [], "lost": [], "hung": []}
        self.lag = 0.0  # seconds that this process itself was late at most
        self._answers = {text: tuple(map(bytes.fromhex, both)) for text, both in answers.items()}
        self._texts = list(answers)

    def connect(self) -> None:
        self._channel = grpc.aio.insecure_channel(self.address)
        self.predictions: Any = PredictionServiceStub(self._channel)
        self.embeddings: Any = EmbeddingServiceStub(self._channel)
        self.health: Any = health_pb2_grpc.HealthStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    def texts(self, most: int) -> list[str]:
        return self.random.choices(self._texts, k=self.random.randint(1, most))

    def tell(self, what: str, how: str) -> None:
        self.outcomes[what] += 1
        if len(self.told[what]) < MOST_TOLD:
            self.told[what].append(how)

    def compare(self, texts: list[str], which: int, found: list[bytes]) -> None:
        want = [self._answers[text][which] for text in texts]
        self.compared += len(texts)
        if found != want:
            self.tell("wrong", f"{texts!r:.200}: {len(found)} of {len(want)} answers")

    def compare_predictions(self, texts: list[str], predictions: Any) -> None:
        rows = [[score.probability for score in each.scores] for each in predictions]
        self.compare(texts, 0, [np.array(row, "<f4").tobytes() for row in rows])

    def compare_vectors(self, texts: list[str], tensor: Any) -> None:
        size = 4 * tensor.shape[-1]
        rows = [tensor.data[at : at + size] for at in range(0, len(tensor.data), size)]
        self.compare(texts, 1, rows)

    async def timed(self, name: str, seconds: float, rpc: Rpc, *expected: str) -> Any:
        """Await a call; None: it has ended as its action explains, or was told as a mistake."""
        began, code, answer = time.monotonic(), "OK", None
        try:
            answer = await rpc()
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            if code not in expected:
                self.tell("lost", f"{name}: {code} {error.details()}")
        except asyncio.CancelledError:
            code = "CANCELLED"
            if code not in expected:
                raise
        took = time.monotonic() - began
        if took > seconds + LATE + self.lag:
            self.tell("hung", f"{name}: {took:.1f} s of {seconds:.3f}")
        self.outcomes[f"{name} {code}"] += 1
        return answer


async def predict(soak: Soak) -> None:
    await _predict(soak, soak.predictions, "predict", PATIENCE)


async def deadline(soak: Soak) -> None:
    seconds = soak.random.choice((0.001, 0.005, 0.02))
    await _predict(soak, soak.predictions, "deadline", seconds, "DEADLINE_EXCEEDED")


async def churn(soak: Soak) -> None:
    async with grpc.aio.insecure_channel(soak.address, options=_ALONE) as channel:
        await _predict(soak, PredictionServiceStub(channel), "churn", PATIENCE)


async def _predict(soak: Soak, stub: Any, name: str, seconds: float, *expected: str) -> None:
    texts = soak.texts(1)
    request = prediction_pb2.PredictRequest(text=texts[0])
    call = lambda: stub.Predict(request, timeout=seconds, metadata=METADATA)  # noqa: E731
    if answer := await soak.timed(name, seconds, call, *expected):
        soak.compare_predictions(texts, [answer.prediction])


async def batch(soak: Soak) -> None:
    texts = soak.texts(64)
    request = prediction_pb2.BatchPredictRequest(texts=texts)
    call = lambda: soak.predictions.BatchPredict(request, timeout=PATIENCE, metadata=METADATA)  # noqa: E731
    if answer := await soak.timed("batch", PATIENCE, call):
        soak.compare_predictions(texts, answer.predictions)


async def embed(soak: Soak) -> None:
    texts = soak.texts(32)
    request = embedding_pb2.BatchEmbedRequest(texts=texts)
    call = lambda: soak.embeddings.BatchEmbed(request, timeout=PATIENCE, metadata=METADATA)  # noqa: E731
    if answer := await soak.timed("embed", PATIENCE, call):
        soak.compare_vectors(texts, answer.embeddings)


async def cancel(soak: Soak) -> None:
    texts = soak.texts(64)
    call = soak.predictions.BatchPredict(
        prediction_pb2.BatchPredictRequest(texts=texts), timeout=PATIENCE, metadata=METADATA
    )
    asyncio.get_running_loop().call_later(soak.random.uniform(0, 0.02), call.cancel)

    async def ended() -> Any:
        return await call

    if answer := await soak.timed("cancel", PATIENCE, ended, "CANCELLED"):
        soak.compare_predictions(texts, answer.predictions)


async def stream(soak: Soak) -> None:
    messages = [soak.texts(16) for _ in range(soak.random.randint(1, 10))]
    await _stream(soak, messages, len(messages), "stream")


async def leave(soak: Soak) -> None:
    messages = [soak.texts(16) for _ in range(10)]
    await _stream(soak, messages, soak.random.randint(0, 9), "leave")


async def _stream(soak: Soak, messages: list[list[str]], read: int, name: str) -> None:
    """Read so many answers, and cancel if there are more."""
    call = soak.predictions.StreamPredict(
        (prediction_pb2.StreamPredictRequest(texts=texts) for texts in messages),
        timeout=PATIENCE,
        metadata=METADATA,
    )

    async def answers() -> None:
        for texts in messages[:read]:
            answer = await call.read()
            if answer is grpc.aio.EOF:
                soak.tell("lost", f"{name}: ended early")
                return
            soak.compare_predictions(texts, [result.prediction for result in answer.results])
        if read < len(messages):
            call.cancel()
        elif await call.read() is not grpc.aio.EOF:
            soak.tell("wrong", f"{name}: one answer more")

    await soak.timed(name, PATIENCE, answers, "CANCELLED")


async def idle(soak: Soak) -> None:
    """Open a stream, and stay silent for longer than a message may take."""
    call = soak.predictions.StreamPredict(metadata=METADATA)
    texts = soak.texts(4)

    async def late() -> Any:
        await asyncio.sleep(STALL_SECONDS * 1.5)
        await call.write(prediction_pb2.StreamPredictRequest(texts=texts))
        answer = await call.read()
        await call.done_writing()
        return answer

    if answer := await soak.timed("idle", PATIENCE, late):
        soak.compare_predictions(texts, [result.prediction for result in answer.results])
    call.cancel()


async def stall(soak: Soak) -> None:
    """Send without ever reading: the server ends it. Leave if it cannot tell."""
    request = embedding_pb2.StreamEmbedRequest(texts=["good"] * 500)
    async with grpc.aio.insecure_channel(soak.address, options=_ALONE) as channel:
        stub: Any = EmbeddingServiceStub(channel)
        call = stub.StreamEmbed(metadata=METADATA)

        async def send() -> None:
            while not call.done():
                await call.write(request)

        try:
            await asyncio.wait_for(send(), STALL_SECONDS * 3)
            soak.outcomes["stall ended"] += 1
        except TimeoutError:
            soak.outcomes["stall left"] += 1
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            soak.outcomes["stall ended"] += 1
        call.cancel()


async def watch(soak: Soak) -> None:
    call = soak.health.Watch(health_pb2.HealthCheckRequest())

    async def status() -> Any:
        return await call.read()

    if answer := await soak.timed("watch", PATIENCE, status):
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            soak.tell("wrong", f"watch: {answer}")
        await asyncio.sleep(soak.random.uniform(0, 2))
    call.cancel()


ACTIONS: dict[Callable[[Soak], Awaitable[None]], float] = {
    predict: 50,
    batch: 15,
    embed: 10,
    stream: 10,
    leave: 3,
    cancel: 6,
    deadline: 6,
    churn: 4,
    watch: 1,
    idle: 0.2,
    stall: 0.1,
}


async def caller(soak: Soak, end: float, interval: float) -> None:
    """Act until the end; begin an action per interval, if there is one."""
    start = time.monotonic() + soak.random.uniform(0, interval)
    while (now := time.monotonic()) < end:
        if interval:
            await asyncio.sleep(max(0.0, start - now))
            start = max(start, now - 1) + interval
        (action,) = soak.random.choices(list(ACTIONS), list(ACTIONS.values()))
        await action(soak)


async def tick(soak: Soak) -> None:
    """See how late this process is: it must not be taken for the server."""
    while True:
        began = time.monotonic()
        await asyncio.sleep(TICK)
        soak.lag = max(soak.lag, time.monotonic() - began - TICK)


async def main(address: str, seed: int, seconds: float, rate: float, answers: Path) -> None:
    """Run the callers; print what became of it."""
    soak = Soak(address, seed, json.loads(answers.read_text()))
    soak.connect()
    ticking = asyncio.create_task(tick(soak))
    began = time.monotonic()
    interval = CALLERS / rate if rate else 0.0
    await asyncio.gather(*(caller(soak, began + seconds, interval) for _ in range(CALLERS)))
    ticking.cancel()
    await soak.close()
    faults = {name: soak.outcomes.pop(name, 0) for name in soak.told}
    calls = soak.outcomes.total()
    told = {name: found for name, found in soak.told.items() if found}
    facts = {"calls": calls, "rate": calls / (time.monotonic() - began), "lag": soak.lag}
    shown = {**facts, "compared": soak.compared, **faults, "told": told}
    print(json.dumps({**shown, "outcomes": dict(soak.outcomes.most_common())}))


if __name__ == "__main__":
    _, where, seed, seconds, rate, file = sys.argv
    asyncio.run(main(where, int(seed), float(seconds), float(rate), Path(file)))
