"""Shows the server's counts to Prometheus: its text format over HTTP, on a port of its own."""

import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any

from google.rpc import code_pb2
from prometheus_client import CollectorRegistry, MetricsHandler, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sentido_server import log
from sentido_server.address import check_address
from sentido_server.batcher import Counts
from sentido_server.histogram import Histogram
from sentido_server.loading import Loader
from sentido_server.metrics import Metrics

_CODES = {number: name for name, number in code_pb2.Code.items()}


class ServerCollector(Collector):
    """Reads the counts of a server whenever it is scraped."""

    def __init__(
        self,
        metrics: Metrics,
        counts: Counts,
        loader: Loader,
        queued: Callable[[], int],
        in_flight: Callable[[], int],
    ) -> None:
        self._metrics = metrics
        self._counts = counts
        self._loader = loader
        self._queued = queued
        self._in_flight = in_flight

    def collect(self) -> Iterable[Metric]:
        """Give every metric of docs/metrics.md but those of the process."""
        with self._metrics.lock:
            self._metrics.settle()
            families = [*self._calls(), *self._texts()]
        return [*families, *self._batches(), *self._models(), _log_lines()]

    def _calls(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "sentido_requests", "Calls that have ended.", labels=["rpc", "code"]
        )
        for (rpc, code), count in self._metrics.requests.items():
            requests.add_metric([rpc, _CODES[code]], count)
        yield requests
        yield _histograms(
            "sentido_request_duration_seconds",
            "From a call's arrival to its status, without streams.",
            "rpc",
            self._metrics.durations,
        )
        yield _histograms(
            "sentido_stream_duration_seconds",
            "The whole life of a stream.",
            "rpc",
            self._metrics.stream_durations,
        )
        yield _counters(
            "sentido_refused_calls",
            "Calls that ended with RESOURCE_EXHAUSTED.",
            "reason",
            self._metrics.refused,
        )
        yield GaugeMetricFamily(
            "sentido_requests_in_flight", "Calls that have no status yet.", self._in_flight()
        )
        yield _histograms(
            "sentido_stage_duration_seconds",
            "What a message waited for or was worked on.",
            "stage",
            self._metrics.stages,
        )

    def _texts(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield CounterMetricFamily("sentido_texts", "Texts tokenized.", metrics.texts)
        yield CounterMetricFamily("sentido_tokens", "Tokens of these texts.", metrics.tokens)
        yield CounterMetricFamily(
            "sentido_unknown_words", "Words not in the vocabulary.", metrics.unknown_words
        )
        yield CounterMetricFamily(
            "sentido_truncated_texts", "Texts cut to what the model reads.", metrics.truncated_texts
        )
        yield _counters(
            "sentido_dropped_texts",
            "Texts that waited and were not computed.",
            "reason",
            metrics.dropped,
        )

    def _batches(self) -> Iterator[Metric]:
        counts = self._counts
        yield _histogram("sentido_batch_texts", "Texts a batch.", counts.rows)
        yield _histogram("sentido_batch_tokens", "Tokens a batch, with padding.", counts.padded)
        yield CounterMetricFamily(
            "sentido_padding_tokens", "Padding computed beside tokens.", counts.padding
        )
        yield GaugeMetricFamily(
            "sentido_queue_tokens", "Tokens that wait to be computed.", self._queued()
        )

    def _models(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "sentido_model_info",
            "1 for each model that is served.",
            labels=["model", "version", "digest", "precision"],
        )
        seconds = GaugeMetricFamily(
            "sentido_model_load_seconds", "What its last load took.", labels=["model"]
        )
        for bundle in self._loader.catalog.bundles:
            facts = [bundle.name, bundle.manifest.version, bundle.digest, str(bundle.precision)]
            info.add_metric(facts, 1)
            seconds.add_metric([bundle.name], self._loader.seconds[bundle.name])
        yield from (info, seconds)
        yield _counters("sentido_reloads", "Reloads.", "result", self._loader.reloads)


def _log_lines() -> Metric:
    return CounterMetricFamily(
        "sentido_log_lines_dropped", "Lines of the log that were not written.", log.dropped()
    )


def _counters(name: str, text: str, label: str, by_label: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in by_label.items():
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(name, text, [*histogram.cumulative()], histogram.sum)


def _histograms(name: str, text: str, label: str, by_label: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, histogram in by_label.items():
        family.add_metric([value], [*histogram.cumulative()], histogram.sum)
    return family


@contextmanager
def exposed(listen: str, collector: Collector) -> Iterator[str]:
    """Answer scrapes at `listen` within the block; give it with its real port.

    Raises OSError or ValueError if it cannot be bound.
    """
    if listen.startswith("unix:"):
        raise ValueError("an address and a port are needed, such as 127.0.0.1:9464")
    check_address(listen)
    host, _, port = listen.rpartition(":")
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    server = _Server(host.strip("[]"), int(port), _Scrape.factory(registry))
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Scrape(MetricsHandler):
    timeout = 10  # seconds that a scraper may be silent, and hold a thread


class _Server(ThreadingHTTPServer):
    """Answers scrapes, each on a thread. Lives within `exposed`."""

    def __init__(self, host: str, port: int, scrape: Any) -> None:
        """Bind. Raises OSError."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family, _, _, _, address = found[0]
        super().__init__(address[:2], scrape)  # type: ignore[arg-type]

    def handle_error(self, *_: Any) -> None:
        """Log what goes wrong as a line like all others; that a scraper leaves is nothing wrong."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            log.failure("scrape failed", error)
