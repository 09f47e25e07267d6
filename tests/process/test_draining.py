"""SIGTERM: every accepted call is answered, and stopping takes as long as the work."""

import asyncio
import signal
import threading
from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import Any

import grpc
import grpc.aio
import pytest
from conftest import raw_stream, raw_unary
from grpc_health.v1 import health_pb2, health_pb2_grpc
from processes import server
from sentido.v1.prediction_pb2 import (
    PredictRequest,
    StreamPredictRequest,
    StreamPredictResponse,
)
from sentido_client import Client
from waiting import PATIENCE

PREDICT = "/sentido.v1.PredictionService/Predict"
BODY = PredictRequest(text="a good film with a good story " * 20).SerializeToString()
IN_FLIGHT = 64


class Load:
    """Calls without end, so many in flight, until the server is gone: what comes back, counted."""

    def __init__(self, address: str) -> None:
        self.codes: Counter[str] = Counter()
        self.details: Counter[str] = Counter()
        self.warm = threading.Event()  # set when a thousand were answered
        self._address = address
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.thread.start()

    async def _run(self) -> None:
        options = [("grpc.enable_retries", 0)]
        async with grpc.aio.insecure_channel(self._address, options) as channel:
            predict: Any = channel.unary_unary(PREDICT)
            await asyncio.gather(*(self._call(predict) for _ in range(IN_FLIGHT)))

    async def _call(self, predict: Any) -> None:
        while True:
            try:
                await predict(BODY, timeout=PATIENCE)
                self.codes["OK"] += 1
                if self.codes["OK"] == 1000:
                    self.warm.set()
            except grpc.aio.AioRpcError as error:
                self.codes[error.code().name] += 1
                if error.details() != "the server is shutting down":
                    return  # the connection is closed


def test_sigterm_under_load_loses_no_accepted_call(transport: str) -> None:
    with server("--transport", transport, "--drain-seconds", "3600") as running:
        load = Load(running.address)
        reading = threading.Thread(target=lambda: running.wait_for("stopping"))
        reading.start()  # else the server would wait for whoever reads its log
        assert load.warm.wait(PATIENCE)
        running.process.send_signal(signal.SIGTERM)
        reading.join()
        assert running.end() == 0  # long before the time that it may drain
        load.thread.join()
        calls = [line["code"] for line in running.lines if line["event"] == "call"]
        assert load.codes["OK"] == calls.count("OK") >= 1000
        # gRPC itself cancels what comes while it closes the connection, and was never accepted.
        assert set(load.codes) - {"CANCELLED"} == {"OK", "UNAVAILABLE"}
        assert load.codes["CANCELLED"] <= (IN_FLIGHT if transport == "grpcio" else 0)
        assert set(calls) <= {"OK", "UNAVAILABLE"}
        assert running.lines[-1]["event"] == "stopped"
        assert running.lines[-1]["texts"] == load.codes["OK"]


def test_sigterm_loses_no_answer_of_a_stream(transport: str) -> None:
    body = StreamPredictRequest(texts=["a good film"] * 200).SerializeToString()
    answered = 0
    with server("--transport", transport, "--drain-seconds", "3600") as running:
        with grpc.insecure_channel(running.address) as channel:
            stream = raw_stream(channel, "/sentido.v1.PredictionService/StreamPredict")
            answers = stream(iter(lambda: body, None))
            for answer in islice(answers, 20):
                answered += len(StreamPredictResponse.FromString(answer).results)
            running.process.send_signal(signal.SIGTERM)
            with suppress(grpc.RpcError):
                for answer in answers:
                    answered += len(StreamPredictResponse.FromString(answer).results)
            assert answers.details() == "the server is shutting down"
        assert running.end() == 0
    assert running.lines[-1]["texts"] == answered


def test_during_the_delay_health_says_no_and_calls_are_answered(transport: str) -> None:
    with (
        server("--transport", transport, "--drain-delay", "3600") as running,
        Client(running.address) as client,
        grpc.insecure_channel(running.address) as channel,
    ):
        client.wait_until_ready()
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        running.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert raw_unary(channel, PREDICT)(BODY)


def test_after_the_delay_it_drains_and_ends(transport: str) -> None:
    flags = ("--transport", transport, "--drain-delay", "1", "--drain-seconds", "3600")
    with server(*flags) as running, grpc.insecure_channel(running.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        running.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError):
            next(watch)
        assert running.end() == 0


def test_a_second_signal_does_not_wait_for_the_delay(transport: str) -> None:
    with server("--transport", transport, "--drain-delay", "3600") as running:
        running.process.send_signal(signal.SIGTERM)
        running.wait_for("stopping")
        assert running.end_by(signal.SIGINT) == 1
