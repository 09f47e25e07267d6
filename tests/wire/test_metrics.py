"""What Prometheus is shown: all that is documented, nothing else, and no label of a caller's."""

import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from conftest import ROOT, config, raw_stream, raw_unary, running_server
from google.rpc import code_pb2
from prometheus_client.parser import text_string_to_metric_families
from sentido.v1.common_pb2 import ModelSelector
from sentido.v1.prediction_pb2 import (
    BatchPredictRequest,
    PredictRequest,
    StreamPredictRequest,
)
from sentido_client import Client, InvalidRequestError
from sentido_server.app import RPCS, Running
from sentido_server.metrics import DROP_REASONS, STAGES
from waiting import PATIENCE, wait_for

PREDICT = "sentido.v1.PredictionService/Predict"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def server(transport: str) -> Iterator[Running]:
    with running_server(config(transport=transport, metrics_listen="127.0.0.1:0")) as server:
        yield server


def scrape(server: Running) -> list[Any]:
    with urllib.request.urlopen(
        f"http://{server.metrics_address}/metrics", timeout=PATIENCE
    ) as answer:
        return list(text_string_to_metric_families(answer.read().decode()))


def samples(server: Running) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in scrape(server)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, tuple(sorted(labels.items()))]


def documented() -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(
        r"^\| `(\w+)` \| (counter|gauge|histogram) \| (.*?) \|",
        (ROOT / "docs" / "metrics.md").read_text(),
        re.MULTILINE,
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_documented_metric_is_there_and_the_reverse(server: Running) -> None:
    with Client(server.address) as client:
        client.predict("good")
    found = {}
    for family in scrape(server):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = (family.type, labels)
    assert found == documented()


def test_calls_texts_and_batches_are_counted(server: Running) -> None:
    began = time.monotonic()
    with Client(server.address) as client:
        client.predict("A wonderful little film zzyzx.")
        client.predict(["good " * 600, "bad"])  # the model reads 500
        list(client.predict(iter(["one", "two", "three"])))
        with pytest.raises(InvalidRequestError):
            client.predict("x" * 2_000_000)
    most = 2 * (time.monotonic() - began)  # two calls
    wait_for(lambda: value(samples(server), "sentido_requests_in_flight") == 0)
    found = samples(server)
    assert value(found, "sentido_requests_total", rpc=PREDICT, code="OK") == 1
    assert value(found, "sentido_requests_total", rpc=PREDICT, code="INVALID_ARGUMENT") == 1
    assert value(found, "sentido_request_duration_seconds_count", rpc=PREDICT) == 2
    assert 0 < value(found, "sentido_request_duration_seconds_sum", rpc=PREDICT) < most
    assert value(found, "sentido_texts_total") == 6
    tokens = value(found, "sentido_tokens_total")
    assert tokens == value(found, "sentido_batch_tokens_sum") - value(
        found, "sentido_padding_tokens_total"
    )
    assert value(found, "sentido_unknown_words_total") == 1
    assert value(found, "sentido_truncated_texts_total") == 1
    assert value(found, "sentido_batch_texts_sum") == 6
    assert value(found, "sentido_queue_tokens") == 0
    assert value(found, "sentido_model_load_seconds", model="imdb") > 0
    for stage in STAGES:
        assert value(found, "sentido_stage_duration_seconds_count", stage=stage) >= 3
        assert value(found, "sentido_stage_duration_seconds_sum", stage=stage) > 0


def test_an_open_stream_is_in_flight_and_its_texts_are_counted_at_once(server: Running) -> None:
    with grpc.insecure_channel(server.address) as channel:
        over = threading.Event()
        more = iter([StreamPredictRequest(texts=["a", "b"]).SerializeToString()])
        stream = raw_stream(channel, "/sentido.v1.PredictionService/StreamPredict")(
            first_and_wait(more, over)
        )
        next(stream)
        found = samples(server)
        assert value(found, "sentido_requests_in_flight") == 1
        assert value(found, "sentido_texts_total") == 2
        stream.cancel()
        over.set()


def first_and_wait(first: Iterator[bytes], over: threading.Event) -> Iterator[bytes]:
    yield from first
    over.wait(PATIENCE)


def test_what_is_dropped_is_counted_by_its_reason(transport: str) -> None:
    settings = config(transport=transport, metrics_listen="127.0.0.1:0", threads=1)
    with running_server(settings) as server, grpc.insecure_channel(server.address) as channel:
        batch = raw_unary(channel, "/sentido.v1.PredictionService/BatchPredict")
        body = BatchPredictRequest(texts=["good " * 200] * 1000).SerializeToString()
        for doubled in range(12):  # until one has arrived, and waits, when its time is over
            busy = [batch.future(body) for _ in range(2)]
            late = batch.future(body, timeout=0.01 * 2**doubled)
            late.exception()
            for call in busy:
                call.result()
            raw_unary(channel, f"/{PREDICT}")(b"")  # behind what was dropped
            dropped = value(samples(server), "sentido_dropped_texts_total", reason="deadline")
            if dropped:
                break
        assert late.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0 < dropped <= 1000


def test_no_label_comes_from_a_caller(server: Running) -> None:
    before = {(name, labels) for name, labels in samples(server)}
    with grpc.insecure_channel(server.address) as channel:
        for number in range(20):
            for path in (f"/x{number}.Y/Z", f"/sentido.v1.PredictionService/Nope{number}"):
                with pytest.raises(grpc.RpcError):
                    raw_unary(channel, path)(b"")
            asked = PredictRequest(text="x", model=ModelSelector(name=f"model-{number}"))
            metadata = [("user-agent", f"agent-{number}"), ("x-model", f"model-{number}")]
            with pytest.raises(grpc.RpcError):
                raw_unary(channel, f"/{PREDICT}")(asked.SerializeToString(), metadata=metadata)
    after = {(name, labels) for name, labels in samples(server)}
    code = (("code", "NOT_FOUND"), ("rpc", PREDICT))
    assert after - before == {("sentido_requests_total", code)}
    allowed = {
        "rpc": {rpc.path for rpc in RPCS},
        "code": set(code_pb2.Code.keys()),
        "stage": set(STAGES),
        "reason": set(DROP_REASONS),
        "result": {"success", "failure"},
        "model": {"imdb"},
    }
    for _, labels in after:
        for label, found in labels:
            if label in allowed:
                assert found in allowed[label]


def test_a_reload_is_counted(server: Running) -> None:
    server.loader.reload_all()
    found = samples(server)
    assert value(found, "sentido_reloads_total", result="success") == 1
    assert value(found, "sentido_reloads_total", result="failure") == 0


def test_nothing_listens_and_nothing_is_counted_by_default() -> None:
    with running_server(config()) as server:
        assert server.metrics_address is None
