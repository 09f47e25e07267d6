"""What Prometheus is shown: all that is documented, nothing else, and no label of a caller's."""

import inspect
import itertools
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
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
from sentido_bundle import default_bundle
from sentido_client import Client, InvalidRequestError
from sentido_server.app import RPCS, Running
from sentido_server.core.counting import DROP_REASONS, REFUSALS, STAGES
from variants import copy
from waiting import PATIENCE, wait_for

MODEL = {"model": "imdb", "version": "1"}
PREDICT = "sentido.v1.PredictionService/Predict"
BATCH = "sentido.v1.PredictionService/BatchPredict"
STREAM = "sentido.v1.PredictionService/StreamPredict"
FAILURES = {
    *("CANCELLED", "DEADLINE_EXCEEDED", "INTERNAL", "INVALID_ARGUMENT"),
    *("RESOURCE_EXHAUSTED", "UNAUTHENTICATED", "UNAVAILABLE"),
}
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
    wait_for(lambda: value(samples(server), "sentido_calls_in_flight") == 0)
    found = samples(server)
    assert value(found, "sentido_calls_total", rpc=PREDICT, code="OK") == 1
    assert value(found, "sentido_calls_total", rpc=PREDICT, code="INVALID_ARGUMENT") == 1
    assert value(found, "sentido_call_duration_seconds_count", rpc=PREDICT) == 2
    assert value(found, "sentido_stream_duration_seconds_count", rpc=STREAM) == 1
    assert 0 < value(found, "sentido_call_duration_seconds_sum", rpc=PREDICT) < most
    assert value(found, "sentido_texts_total", **MODEL) == 6
    tokens = value(found, "sentido_tokens_total", **MODEL)
    assert tokens == value(found, "sentido_batch_tokens_sum") - value(
        found, "sentido_padding_tokens_total"
    )
    assert value(found, "sentido_out_of_vocabulary_tokens_total", **MODEL) == 1
    assert value(found, "sentido_truncated_texts_total", **MODEL) == 1
    assert value(found, "sentido_batch_texts_sum") == 6
    assert value(found, "sentido_queue_tokens") == 0
    assert value(found, "sentido_model_load_seconds", **MODEL) > 0
    for stage in STAGES:
        assert value(found, "sentido_stage_duration_seconds_count", stage=stage) >= 3
        assert value(found, "sentido_stage_duration_seconds_sum", stage=stage) > 0


def test_texts_are_counted_for_the_version_that_answers(transport: str, tmp_path: Path) -> None:
    second = copy(tmp_path / "2", version="2")
    bundles = (default_bundle(), second, f"mine={second}")
    settings = config(transport=transport, bundle=bundles, metrics_listen="127.0.0.1:0")
    with running_server(settings) as server, Client(server.address) as client:
        client.predict("a good film")
        client.predict(["good", "bad", "zzzz"], model_version="2")
        client.embed("good", model="mine")
        found = samples(server)
    for total, counts in (("texts", (1, 3, 1)), ("out_of_vocabulary_tokens", (0, 1, 0))):
        for (model, version), count in zip(
            (("imdb", "1"), ("imdb", "2"), ("mine", "2")), counts, strict=True
        ):
            name = f"sentido_{total}_total"
            assert value(found, name, model=model, version=version) == count


def test_an_open_stream_is_in_flight_and_its_texts_are_counted_at_once(server: Running) -> None:
    with grpc.insecure_channel(server.address) as channel:
        over = threading.Event()
        more = iter([StreamPredictRequest(texts=["a", "b"]).SerializeToString()])
        stream = raw_stream(channel, "/sentido.v1.PredictionService/StreamPredict")(
            first_and_wait(more, over)
        )
        next(stream)
        found = samples(server)
        assert value(found, "sentido_calls_in_flight") == 1
        assert value(found, "sentido_texts_total", **MODEL) == 2
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
    assert after == before
    allowed = {
        "rpc": {rpc.path for rpc in RPCS},
        "code": set(code_pb2.Code.keys()),
        "stage": set(STAGES),
        "reason": {*DROP_REASONS, *REFUSALS},
        "result": {"success", "failure"},
        "model": {"imdb"},
    }
    for _, labels in after:
        for label, found in labels:
            if label in allowed:
                assert found in allowed[label]


def test_every_rpc_has_a_zero_for_each_code_that_it_can_end_with(server: Running) -> None:
    zeros: dict[str, set[str]] = {rpc.path: set() for rpc in RPCS}
    for (name, labels), count in samples(server).items():
        if name == "sentido_calls_total":
            assert count == 0
            zeros[dict(labels)["rpc"]].add(dict(labels)["code"])
    lacks = {"NOT_FOUND", "FAILED_PRECONDITION"}  # a model; what it cannot do, as logits
    assert zeros[PREDICT] == {"OK", *FAILURES, *lacks, "UNIMPLEMENTED"}
    assert zeros[STREAM] == {"OK", *FAILURES, *lacks}
    assert zeros["sentido.v1.ModelService/ListModels"] == {"OK", *FAILURES, "UNIMPLEMENTED"}
    reload_model = zeros["sentido.v1.ModelService/ReloadModel"]
    assert reload_model >= {"PERMISSION_DENIED", "FAILED_PRECONDITION"}


def test_no_call_ends_with_a_code_that_has_no_zero(transport: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("call abcdefghijklmnopqrst\nadmin ABCDEFGHIJKLMNOPQRST\n")
    tokens.chmod(0o600)
    link = tmp_path / "bundle"
    link.symlink_to(default_bundle())
    settings = config(
        transport=transport, token_file=tokens, bundle=(link,), metrics_listen="127.0.0.1:0"
    )
    bearers = (None, "abcdefghijklmnopqrst", "ABCDEFGHIJKLMNOPQRST")
    with running_server(settings) as server, grpc.insecure_channel(server.address) as channel:
        before = samples(server).keys()
        link.unlink()
        link.symlink_to(tmp_path)  # no bundle: a reload is refused
        for rpc, bearer in itertools.product(RPCS, bearers):
            sent = [("authorization", f"Bearer {bearer}")] if bearer else []
            for body in (b"", b"\xff", b"\x0a\x02xx"):
                if rpc.streaming:
                    answers = raw_stream(channel, f"/{rpc.path}")(iter([body]), metadata=sent)
                    with suppress(grpc.RpcError):
                        list(answers)
                else:
                    raw_unary(channel, f"/{rpc.path}").future(body, metadata=sent).exception()
        assert samples(server).keys() == before


def exhaust(server: Running) -> None:
    """Send large calls at once until one of them is refused."""
    body = BatchPredictRequest(texts=["good " * 500] * 200).SerializeToString()
    with grpc.insecure_channel(server.address) as channel:
        for _ in range(100):
            calls = [raw_unary(channel, f"/{BATCH}").future(body) for _ in range(6)]
            errors = [call.exception() for call in calls]
            if any(error is not None for error in errors):
                return
    raise AssertionError("none is refused")


def open_two_streams(server: Running) -> None:
    over = threading.Event()
    with (
        grpc.insecure_channel(server.address) as first,
        grpc.insecure_channel(server.address) as second,
    ):
        stream = raw_stream(first, f"/{STREAM}")(first_and_wait(iter([b""]), over))
        next(stream)
        with pytest.raises(grpc.RpcError):
            list(raw_stream(second, f"/{STREAM}")(iter([b""])))
        over.set()


def send_too_much(server: Running) -> None:
    with grpc.insecure_channel(server.address) as channel:
        error = raw_unary(channel, f"/{PREDICT}").future(b"x" * 2000).exception()
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("reason", "refused", "settings"),
    [
        ("queue", exhaust, {"max_queued_tokens": 1, "threads": 1}),
        ("memory", exhaust, {"max_memory_mib": 64, "max_queued_tokens": 10**9}),
        ("streams", open_two_streams, {"max_streams": 1}),
        ("message_size", send_too_much, {"max_message_bytes": 1024}),
    ],
)
def test_a_call_that_is_refused_is_counted_by_the_reason(
    reason: str, refused: Any, settings: dict[str, Any], transport: str
) -> None:
    with running_server(
        config(transport=transport, metrics_listen="127.0.0.1:0", **settings)
    ) as server:
        refused(server)
        found = samples(server)
    counts = {each: value(found, "sentido_refused_calls_total", reason=each) for each in REFUSALS}
    # With grpcio gRPC's core refuses what is too large, and tells nobody.
    expected = {reason} - ({"message_size"} if transport == "grpcio" else set())
    assert {each for each, count in counts.items() if count} == expected


def test_a_stream_is_not_among_the_durations_of_calls(server: Running) -> None:
    found = {(name, dict(labels).get("rpc")) for name, labels in samples(server)}
    for rpc in RPCS:
        kinds = {
            kind
            for kind in ("call", "stream")
            if (f"sentido_{kind}_duration_seconds_count", rpc.path) in found
        }
        assert kinds == {"stream" if rpc.streaming else "call"}


def test_a_calls_duration_has_buckets_beyond_the_longest_default_deadline(server: Running) -> None:
    bounds = [
        float(dict(labels)["le"])
        for name, labels in samples(server)
        if name == "sentido_call_duration_seconds_bucket" and ("rpc", PREDICT) in labels
    ]
    deadline = inspect.signature(Client).parameters["timeout"].default
    assert len([bound for bound in bounds if deadline < bound < float("inf")]) >= 2


def test_a_reload_is_counted(server: Running) -> None:
    server.loader.reload_all()
    found = samples(server)
    assert value(found, "sentido_reloads_total", result="success") == 1
    assert value(found, "sentido_reloads_total", result="failure") == 0


def test_nothing_listens_and_nothing_is_counted_by_default() -> None:
    with running_server(config()) as server:
        assert server.metrics_address is None
