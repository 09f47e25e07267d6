"""Shows the server's counts to Prometheus: its text format over HTTP, on a port of its own."""

import socket
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import ThreadingHTTPServer
from typing import Any

from google.rpc import code_pb2
from prometheus_client import CollectorRegistry, MetricsHandler, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sentido_server import log
from sentido_server.address import check_address
from sentido_server.core.batcher import BatchStats
from sentido_server.core.counting import Metrics, Served
from sentido_server.core.histogram import Histogram
from sentido_server.loading import Loader

_MOST_SCRAPES = 16  # at once, each on a thread
_RETRY_SECONDS = 0.1  # after a connection could not be accepted

_CODES = {number: name for name, number in code_pb2.Code.items()}


class ServerCollector(Collector):
    """Reads the counts of a server whenever it is scraped."""

    def __init__(
        self,
        metrics: Metrics,
        counts: BatchStats,
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
        calls = CounterMetricFamily(
            "sentido_calls", "Calls that have ended.", labels=["rpc", "code"]
        )
        for (rpc, code), count in self._metrics.calls.items():
            calls.add_metric([rpc, _CODES[code]], count)
        yield calls
        yield _histograms(
            "sentido_call_duration_seconds",
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
            "sentido_calls_in_flight", "Calls that have no status yet.", self._in_flight()
        )
        yield _histograms(
            "sentido_stage_duration_seconds",
            "What a message waited for or was worked on.",
            "stage",
            self._metrics.stages,
        )

    def _texts(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield self._by_model("sentido_texts", "Texts tokenized.", metrics.texts)
        yield self._by_model("sentido_tokens", "Tokens of these texts.", metrics.tokens)
        yield self._by_model(
            "sentido_out_of_vocabulary_tokens",
            "Tokens not in the vocabulary.",
            metrics.out_of_vocabulary_tokens,
        )
        yield self._by_model(
            "sentido_truncated_texts", "Texts cut to what the model reads.", metrics.truncated_texts
        )
        yield _counters(
            "sentido_dropped_texts",
            "Texts that waited and were not computed.",
            "reason",
            metrics.dropped,
        )

    def _by_model(self, name: str, text: str, counts: Counter[Served]) -> Metric:
        """Return a count for each model that is served now, or was before a reload."""
        family = CounterMetricFamily(name, text, labels=["model", "version"])
        served = [(bundle.name, bundle.version) for bundle in self._loader.registry.bundles]
        for model in dict.fromkeys((*served, *counts)):
            family.add_metric(model, counts[model])
        return family

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
            "sentido_model_load_seconds", "What its last load took.", labels=["model", "version"]
        )
        for bundle, taken in self._loader.loaded:
            key = [bundle.name, bundle.version]
            info.add_metric([*key, bundle.digest, str(bundle.precision)], 1)
            seconds.add_metric(key, taken)
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
    server = _bound(host.strip("[]"), int(port), _Scrape.factory(registry))
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _bound(host: str, port: int, scrape: Any) -> "_Server":
    """Bind the first of a host's addresses that can be. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in found[:-1]:
        with suppress(OSError):  # such as IPv6's of localhost, where IPv6 is switched off
            return _Server(family, (str(address[0]), port), scrape)
    family, _, _, _, address = found[-1]
    return _Server(family, (str(address[0]), port), scrape)


class _Scrape(MetricsHandler):
    timeout = 10  # seconds that a scraper may be silent


class _Server(ThreadingHTTPServer):
    """Answers scrapes, each on a thread, and so many at once. Lives within `exposed`.

    Whoever is connected for the longest makes room for one more: a scrape is over in milliseconds.
    """

    request_queue_size = 128  # connections that wait to be accepted; 5 by default

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], scrape: Any) -> None:
        """Bind. Raises OSError."""
        self.address_family = family
        self._places = threading.Semaphore(_MOST_SCRAPES)
        self._open: deque[Any] = deque()  # connections, oldest first
        self._lock = threading.Lock()
        super().__init__(address, scrape)

    def server_bind(self) -> None:
        """Bind `::` for IPv4 too, whatever this machine's default is."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def get_request(self) -> Any:
        """Accept a connection. Raises OSError, not at once: it is tried again at once."""
        try:
            return super().get_request()
        except OSError:  # too many open files
            time.sleep(_RETRY_SECONDS)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection on a thread, once there is a place for it."""
        with self._lock:
            if len(self._open) == _MOST_SCRAPES:
                with suppress(OSError):  # it has ended by itself
                    self._open[0].shutdown(socket.SHUT_RDWR)
        self._places.acquire()
        with self._lock:
            self._open.append(request)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no more threads
            self.process_request_thread(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, and let the next one have its place."""
        with self._lock:
            self._open.remove(request)
        super().shutdown_request(request)
        self._places.release()

    def handle_error(self, *_: Any) -> None:
        """Log what goes wrong as a line like all others; that a scraper leaves is nothing wrong."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            log.failure("scrape failed", error)
