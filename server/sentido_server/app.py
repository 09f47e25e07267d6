"""The server, put together: bind, load, serve, drain."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import combinations
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sentido_bundle import RunLimits
from sentido_bundle.settings import made

from sentido_server import log
from sentido_server.address import available, check_address, shared_port
from sentido_server.config import Config, StartError
from sentido_server.core.batcher import BatchStats
from sentido_server.core.counting import Metrics
from sentido_server.core.pipeline import Access, Pipeline
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import RequestLimits, Rpc, Serving
from sentido_server.loading import Loader
from sentido_server.rpcs import embedding, model, prediction, tokenizer
from sentido_server.security.secrets import read_secrets
from sentido_server.transports.choice import choose
from sentido_server.transports.grpcio_server import Probes
from sentido_server.transports.health import Health
from sentido_server.transports.stalls import Stalls
from sentido_server.transports.transport import Shared, Transport

if TYPE_CHECKING:
    from sentido_server.telemetry.tracing import Tracing

RPCS: tuple[Rpc[Any], ...] = (
    *prediction.RPCS,
    *embedding.RPCS,
    *tokenizer.RPCS,
    *model.RPCS,
)
SERVICES = tuple(dict.fromkeys(rpc.service for rpc in RPCS))
_GOODBYE_SECONDS = 1.0  # for what is still open after draining: answers on the wire, reflection


@dataclass(frozen=True)
class Running:
    """A server that accepts connections; it serves once its bundles are loaded."""

    address: str  # with the real port
    transport: str  # "grpcio" or "native"
    loader: Loader
    counts: BatchStats  # of what it computed so far
    metrics_address: str | None  # with the real port
    health_address: str | None  # with the real port


@contextmanager
def serve(config: Config) -> Iterator[Running]:
    """Run a server: bound and loaded inside the block, drained and stopped when it is left.

    Raises StartError if an address cannot be bound, BundleError if a bundle is bad.
    """
    config = _with_available_addresses(config)
    access, certificates = read_secrets(config)
    health = Health(SERVICES, watches=config.max_connections)
    with ExitStack() as stack:
        tracing = _tracing(config, stack)
        metrics = None if config.metrics_listen == "off" else _metrics()
        pipeline = _pipeline(config, access, metrics, tracing)
        limits = made(RunLimits, vars(config))
        loader = Loader(config.sources(), config.precision, _opening(pipeline, config), limits)
        stalls = Stalls(config.stall_seconds)
        check_reflection = partial(access.check, "reflection", False)
        shared = Shared(config, pipeline, RPCS, health, stalls, check_reflection, certificates)
        transports = [choose(shared)]
        metrics_address = _exposed(stack, config, metrics, pipeline, loader, transports)
        stack.callback(stalls.close)
        health_address = None
        if config.health_listen != "off":
            probes = Probes(shared)
            health_address = probes.start()
            stack.callback(probes.stop, _GOODBYE_SECONDS)
        stack.callback(pipeline.close)
        with _draining(config, pipeline, health, transports) as addresses:
            loader.load()
            health.set_serving(True)
            name, counts = transports[0].name, pipeline.counts
            yield Running(addresses[0], name, loader, counts, metrics_address, health_address)


@contextmanager
def _draining(
    config: Config, pipeline: Pipeline, health: Health, transports: Sequence[Transport]
) -> Iterator[list[str]]:
    """Take calls within the block, then finish those that were accepted, and close."""
    started: list[Transport] = []
    try:
        addresses = []
        for transport in transports:
            addresses.append(transport.start())
            started.append(transport)
        yield addresses
        if config.drain_delay:
            health.set_serving(False)
            time.sleep(config.drain_delay)  # until those who balance load have noticed
    finally:
        pipeline.drain()  # before anybody is told, who might find it still open
        health.set_serving(False)
        end = time.monotonic() + config.drain_seconds
        drained = [transport.drain(max(0.0, end - time.monotonic())) for transport in started]
        if not all(drained):
            log.event("drain timed out", seconds=config.drain_seconds)
            pipeline.abandon()
        health.end_watches()
        for transport in started:
            transport.stop(_GOODBYE_SECONDS)


def _with_available_addresses(config: Config) -> Config:
    """Fall back from IPv6 where the system has none. Raises StartError for a bad address."""
    config = replace(
        config,
        listen=available(config.listen),
        health_listen=available(config.health_listen),
        metrics_listen=available(config.metrics_listen),
    )
    try:
        check_address(config.listen)
    except ValueError as error:
        raise StartError(f"cannot listen on {config.listen!r}: {error}") from error
    _check_ports(config)
    return config


def _check_ports(config: Config) -> None:
    """Raise StartError if two things would listen on one port."""
    for one, other in combinations(("listen", "health_listen", "metrics_listen"), 2):
        if port := shared_port(getattr(config, one), getattr(config, other)):
            raise StartError(
                f"{config.named(one)} and {config.named(other)} name one port, {port}: each needs"
                " one of its own"
            )


def _pipeline(
    config: Config, access: Access, metrics: Metrics | None, tracing: "Tracing | None"
) -> Pipeline:
    threads, limits, memory = config.thread_count(), config.batch_limits(), config.memory()
    return Pipeline(threads, limits, access, metrics, tracing, memory=memory.messages)


def _opening(pipeline: Pipeline, config: Config) -> Callable[[Registry, Loader], None]:
    """Return what lets a pipeline answer from the models that a loader has loaded."""
    limits = RequestLimits(config.max_text_characters, config.max_texts, config.max_message_bytes)

    def use(registry: Registry, loader: Loader) -> None:
        pipeline.open(Serving(registry, limits, version("sentido-server"), loader.reload))

    return use


def _metrics() -> Metrics:
    codes = {rpc.path: rpc.codes() for rpc in RPCS}
    return Metrics(codes, [rpc.path for rpc in RPCS if rpc.streaming])


def _tracing(config: Config, stack: ExitStack) -> "Tracing | None":
    """Make what sends spans until the stack ends, where it is asked for. Raises StartError."""
    if config.otlp_endpoint == "off":
        return None
    name = config.named("otlp_endpoint")
    if not _is_url(config.otlp_endpoint):
        raise StartError(
            f"{name} {config.otlp_endpoint!r}: a URL such as http://localhost:4317 is needed, or"
            " off"
        )
    try:
        from sentido_server.telemetry.tracing import Tracing
    except ImportError as error:
        raise StartError(
            f"{name} needs OpenTelemetry ({error}):"
            " run pip install ./proto ./bundle './server[tracing]' in Sentido's folder"
        ) from error
    tracing = Tracing(config.otlp_endpoint)
    stack.callback(tracing.close)
    return tracing


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # also of a port that is none
        return False


def _exposed(
    stack: ExitStack,
    config: Config,
    metrics: Metrics | None,
    pipeline: Pipeline,
    loader: Loader,
    transports: Sequence[Transport],
) -> str | None:
    """Show what is counted until the stack ends; return the address. Raises StartError."""
    if metrics is None:
        return None
    from sentido_server.telemetry.prometheus import ServerCollector, exposed

    collector = ServerCollector(
        metrics,
        pipeline.counts,
        loader,
        lambda: pipeline.queued_tokens,
        lambda: sum(transport.open_calls for transport in transports),
    )
    listen = config.metrics_listen
    try:
        return stack.enter_context(exposed(listen, collector))
    except (ValueError, OSError) as error:
        raise StartError(f"cannot listen for metrics on {listen!r}: {error}") from error
