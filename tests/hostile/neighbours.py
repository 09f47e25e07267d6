"""Polite callers beside an attack, whose calls and streams it must not end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sentido.v1 import prediction_pb2
from sentido.v1.prediction_pb2_grpc import PredictionServiceStub
from victims import Victim
from waiting import PATIENCE

PAUSE = 0.005  # seconds between calls, so that most of the machine is the attack's
TEXT = "A good film, beside whatever else there is."


class Neighbour:
    """Calls, a stream that is always open, and a Watch, on connections from before the attack."""

    def __init__(self, victim: Victim) -> None:
        self.calls = 0
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._address = victim.address
        self._health = victim.health
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        self.check()

    def end(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "a neighbour hangs"
        self.check()

    def check(self) -> None:
        """Raise what a call or a stream has ended with."""
        if self._error is not None:
            raise AssertionError(f"a neighbour's: {self._error}") from self._error

    def _run(self) -> None:
        try:
            with (
                grpc.insecure_channel(self._address) as channel,
                grpc.insecure_channel(self._health) as probes,
            ):
                watches = [
                    health_pb2_grpc.HealthStub(each).Watch(health_pb2.HealthCheckRequest())
                    for each in (channel, probes)
                ]
                for watch in watches:
                    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
                self._call(channel)
                assert all(watch.is_active() for watch in watches), "a Watch has ended"
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    def _call(self, channel: grpc.Channel) -> None:
        stub = PredictionServiceStub(channel)
        texts: SimpleQueue[str | None] = SimpleQueue()
        messages = (
            prediction_pb2.StreamPredictRequest(texts=[text]) for text in iter(texts.get, None)
        )
        stream = stub.StreamPredict(messages)
        alone = stub.Predict(prediction_pb2.PredictRequest(text=TEXT), timeout=PATIENCE)
        while not self._over.is_set():
            texts.put(TEXT)
            answer = stub.Predict(prediction_pb2.PredictRequest(text=TEXT), timeout=PATIENCE)
            assert answer == alone
            assert next(stream).results[0].prediction == alone.prediction
            self.calls += 1
            self._ready.set()
            self._over.wait(PAUSE)
        texts.put(None)
        assert list(stream) == []


@contextmanager
def neighbour(victim: Victim) -> Iterator[Neighbour]:
    """Call beside what the block does. Raises AssertionError if any of it fails."""
    beside = Neighbour(victim)
    beside.start()
    try:
        yield beside
    finally:
        beside.end()
