"""Spans as a collector gets them: a real one, of OpenTelemetry's own protocol, receives them."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from conftest import raw_stream, raw_unary
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from processes import failure, server
from sentido.v1.prediction_pb2 import PredictRequest, StreamPredictRequest
from sentido_client import Client

PREDICT = "sentido.v1.PredictionService/Predict"
BODY = PredictRequest(text="A wonderful little film.").SerializeToString()
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = [("traceparent", f"00-{TRACE}-{PARENT}-01")]
NOT_SAMPLED = [("traceparent", f"00-{TRACE}-{PARENT}-00")]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):  # type: ignore[misc]
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[Any] = []

    def Export(self, request: Any, _: Any) -> Any:  # noqa: N802, gRPC's name
        self.requests.append(request)
        return trace_service_pb2.ExportTraceServiceResponse()

    def spans(self) -> list[Any]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    made = Collector()
    listening = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, listening)
    port = listening.add_insecure_port("127.0.0.1:0")
    listening.start()
    yield made, f"http://127.0.0.1:{port}"
    listening.stop(None).wait()


def facts(span: Any) -> dict[str, Any]:
    return {
        item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes
    }


@pytest.mark.parametrize("kind", ["grpcio", "native"])
def test_a_call_is_a_span_under_its_callers_with_one_for_each_stage(
    kind: str, collector: tuple[Collector, str]
) -> None:
    made, endpoint = collector
    with server("--transport", kind, "--otlp-endpoint", endpoint) as running:
        with grpc.insecure_channel(running.address) as channel:
            raw_unary(channel, f"/{PREDICT}")(BODY, metadata=SENT)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    (line,) = [line for line in running.lines if line["event"] == "call"]
    assert line["trace_id"] == TRACE
    spans = {span.name: span for span in made.spans()}
    assert set(spans) == {PREDICT, "tokenize", "queue", "compute", "encode"}
    call = spans.pop(PREDICT)
    assert (call.trace_id.hex(), call.parent_span_id.hex()) == (TRACE, PARENT)
    assert call.kind == call.SPAN_KIND_SERVER
    assert facts(call) == {
        "rpc.system": "grpc",
        "rpc.service": "sentido.v1.PredictionService",
        "rpc.method": "Predict",
        "rpc.grpc.status_code": 0,
        "sentido.texts": 1,
        "sentido.tokens": 4,
        "sentido.model": "imdb",
        "sentido.version": "1",
    }
    at = call.start_time_unix_nano
    for stage in ("tokenize", "queue", "compute", "encode"):
        span = spans[stage]
        assert span.trace_id == call.trace_id
        assert span.parent_span_id == call.span_id
        assert at <= span.start_time_unix_nano < span.end_time_unix_nano
        at = span.end_time_unix_nano
        assert facts(span) == {}
    assert at <= call.end_time_unix_nano
    resource = made.requests[0].resource_spans[0].resource
    assert facts(resource)["service.name"] == "sentido-server"
    assert not [request for request in made.requests if b"wonderful" in request.SerializeToString()]


def test_a_call_of_an_untraced_caller_is_a_trace_of_its_own_and_a_failed_one_says_so(
    collector: tuple[Collector, str],
) -> None:
    made, endpoint = collector
    with server("--otlp-endpoint", endpoint) as running:
        with grpc.insecure_channel(running.address) as channel:
            with pytest.raises(grpc.RpcError):
                raw_unary(channel, f"/{PREDICT}")(b"\xff")
            body = StreamPredictRequest(texts=["good", "bad"]).SerializeToString()
            stream = raw_stream(channel, "/sentido.v1.PredictionService/StreamPredict")
            assert len(list(stream(iter([body] * 3)))) == 3
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    lines = [line for line in running.lines if line["event"] == "call"]
    calls = [span for span in made.spans() if "/" in span.name]
    assert {span.trace_id.hex() for span in calls} == {line["trace_id"] for line in lines}
    assert all(span.parent_span_id == b"" for span in calls)
    assert sorted(facts(span)["rpc.grpc.status_code"] for span in calls) == [0, 3]
    inner = [span.name for span in made.spans() if span.trace_id == calls[1].trace_id]
    assert inner.count("compute") == 3  # one for each message


def test_a_trace_context_that_is_none_fails_no_call(collector: tuple[Collector, str]) -> None:
    made, endpoint = collector
    contexts = [
        [("traceparent", "00-x")],
        [("traceparent", f"00-{'0' * 32}-{PARENT}-01")],
        [*SENT, *SENT],
        [*SENT, ("tracestate", "=,==;" * 50)],
        [*SENT, ("tracestate-bin", b"\xff")],
        [("traceparent", f"00-{TRACE}-{PARENT}-zz"), ("tracestate", "a=1")],
    ]
    with server("--otlp-endpoint", endpoint) as running:
        with grpc.insecure_channel(running.address) as channel:
            for metadata in contexts:
                raw_unary(channel, f"/{PREDICT}")(BODY, metadata=metadata)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    calls = [span for span in made.spans() if span.name == PREDICT]
    assert len(calls) == len(contexts)
    assert "tracing failed" not in {line["event"] for line in running.lines}


def test_what_is_not_sampled_is_not_sent(
    collector: tuple[Collector, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, endpoint = collector
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with server("--otlp-endpoint", endpoint) as running:
        with Client(running.address) as client:
            assert client.predict("good").label == "positive"
        with grpc.insecure_channel(running.address) as channel:
            for metadata in (SENT, NOT_SAMPLED):
                raw_unary(channel, f"/{PREDICT}")(BODY, metadata=metadata)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert made.requests == []
    # An id is in the log if there is a trace to be found by it: here, only the caller's. A line is
    # written once its call is over, so that the order is not the calls'.
    lines = [line for line in running.lines if line["event"] == "call"]
    assert Counter(line.get("trace_id") for line in lines) == {None: 2, TRACE: 1}


def test_a_collector_that_is_away_costs_no_call_and_hardly_delays_the_end() -> None:
    with server("--otlp-endpoint", "http://127.0.0.1:1") as running:
        with Client(running.address) as client:
            for _ in range(20):
                assert client.predict("good").label == "positive"
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    assert all("Traceback" not in json.dumps(line) for line in running.lines)


def test_the_callers_trace_is_in_the_log_without_a_collector_too(transport: str) -> None:
    none = (
        *("", "x" * 55, f"00-{TRACE}-{PARENT}", f"00-{'0' * 32}-{PARENT}-01"),
        *(f"00-{TRACE}-{'0' * 16}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-012"),
    )
    bad = [*([("traceparent", text)] for text in none), NOT_SAMPLED]
    with server("--transport", transport) as running:
        with grpc.insecure_channel(running.address) as channel:
            for metadata in (SENT, *bad):
                raw_unary(channel, f"/{PREDICT}")(BODY, metadata=metadata)
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == 0
    lines = [line for line in running.lines if line["event"] == "call"]
    assert Counter(line.get("trace_id") for line in lines) == {TRACE: 1, None: len(bad)}
    for line in lines:
        stages = [line[f"{stage}_milliseconds"] for stage in ("tokenize", "queue", "compute")]
        assert all(stage > 0 for stage in stages)
        assert sum(stages) <= line["milliseconds"]


@pytest.mark.parametrize(
    "endpoint", ["localhost:4317", "http://", "ftp://host:1", "http://[::1", "http://a:99999"]
)
def test_a_bad_endpoint_is_one_sentence(endpoint: str) -> None:
    code, message = failure("--otlp-endpoint", endpoint)
    assert code == 1
    assert message == (
        f"sentido-server: --otlp-endpoint {endpoint!r}: a URL such as http://localhost:4317 is"
        " needed, or off\n"
    )


@pytest.mark.parametrize("listen", ["9464", "127.0.0.1:http", "unix:/tmp/metrics"])
def test_a_bad_address_for_metrics_is_one_sentence(listen: str) -> None:
    code, message = failure("--listen", "127.0.0.1:0", "--metrics-listen", listen)
    assert code == 1
    assert message.startswith(
        f"sentido-server: cannot listen for metrics on {listen!r}: an address and a port are needed"
    )
    assert message.count("\n") == 1
