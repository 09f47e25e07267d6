"""Spans of calls for an OpenTelemetry collector, over OTLP. Never a text of a request.

A call's spans are made when it has ended, from the times that its record kept: nothing is done for
them before its answer is on its way. The extra `sentido-server[tracing]` installs the packages.
"""

import logging
import threading
import time
from importlib.metadata import version

from google.rpc import code_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sentido_server import log
from sentido_server.core.call import CallRecord
from sentido_server.core.counting import STAGES, Marks

_GOODBYE_SECONDS = 2.0  # for the last spans, when the server stops
_TRACE_CONTEXT = ("traceparent", "tracestate")  # the keys of W3C's Trace Context
_FAILURES = {  # of the server's, by OpenTelemetry's conventions
    *(code_pb2.UNKNOWN, code_pb2.DEADLINE_EXCEEDED, code_pb2.UNIMPLEMENTED, code_pb2.INTERNAL),
    *(code_pb2.UNAVAILABLE, code_pb2.DATA_LOSS),
}


class Tracing:
    """Sends spans to one collector, from its making until `close`. Safe from any thread.

    What OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and the other variables of
    OpenTelemetry's SDK say holds here too.
    """

    def __init__(self, endpoint: str) -> None:
        """Take the address of the collector, "http://host:4317", or "https://..." for TLS."""
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False  # else its lines would stand between ours
        logger.addHandler(_ToOurLog(logging.ERROR))
        resource = Resource.create({SERVICE_VERSION: version("sentido-server")})
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: "sentido-server"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("sentido_server")
        self._propagator = TraceContextTextMapPropagator()

    def end(self, entry: CallRecord, code: int) -> str | None:
        """Make the spans of a call that has ended; give its trace's id if it is sampled."""
        carrier = {key: value for key, value in entry.metadata if key in _TRACE_CONTEXT}
        to_epoch = time.time_ns() - time.monotonic_ns()
        now = time.monotonic_ns() + to_epoch
        service, _, method = entry.rpc.partition("/")
        span = self._tracer.start_span(
            entry.rpc,
            self._propagator.extract(carrier),
            SpanKind.SERVER,
            {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method},
            start_time=_nanoseconds(entry.started, to_epoch),
        )
        if span.is_recording():
            span.set_attributes(
                {
                    "rpc.grpc.status_code": code,
                    "sentido.texts": entry.texts,
                    "sentido.tokens": entry.tokens,
                    "sentido.model": entry.model or "",
                    "sentido.version": entry.version or "",
                }
            )
            if code in _FAILURES:
                span.set_status(StatusCode.ERROR)
            for marks in entry.marks:
                self._add_stages(span, marks, to_epoch)
        span.end(now)
        context = span.get_span_context()
        return f"{context.trace_id:032x}" if context.trace_flags.sampled else None

    def _add_stages(self, span: Span, marks: Marks, to_epoch: int) -> None:
        parent = set_span_in_context(span)
        for stage, began, ended in zip(STAGES, marks[:-1], marks[1:], strict=True):
            if ended > began:
                started = _nanoseconds(began, to_epoch)
                stage_span = self._tracer.start_span(stage, parent, start_time=started)
                stage_span.end(_nanoseconds(ended, to_epoch))

    def close(self) -> None:
        """Send what waits, for a moment at most: the collector may be gone."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(_GOODBYE_SECONDS)


class _ToOurLog(logging.Handler):
    def emit(self, entry: logging.LogRecord) -> None:
        log.event("tracing failed", error=entry.getMessage())


def _nanoseconds(monotonic: float, to_epoch: int) -> int:
    return int(monotonic * 1e9) + to_epoch
