"""The server, put together: bind, load, serve, drain."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health
from sentido.v1 import embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2

from sentido_server import log
from sentido_server.address import available, check_address
from sentido_server.config import Config, StartError
from sentido_server.core.admission import Allowance, Slots
from sentido_server.core.batcher import BatchStats
from sentido_server.core.counting import Metrics
from sentido_server.core.one_cpu import OneCpu
from sentido_server.core.pipeline import Pipeline
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import RequestLimits, Rpc, Serving
from sentido_server.core.threads import CallThreads
from sentido_server.loading import Loader
from sentido_server.rpcs import embedding, prediction
from sentido_server.rpcs import model as models
from sentido_server.rpcs import tokenizer as tokenization
from sentido_server.security.secrets import read_secrets
from sentido_server.transports.fallback import Fallback
from sentido_server.transports.grpcio import GrpcioTransport, Receiver, new_server
from sentido_server.transports.health import Health
from sentido_server.transports.options import (
    MAX_METADATA_BYTES,
    connection_options,
    warn_of_native,
    why_not_native,
)
from sentido_server.transports.reflection import Reflection
from sentido_server.transports.stalls import Stalls

if TYPE_CHECKING:
    from sentido_server.telemetry.tracing import Tracing
    from sentido_server.transports.native import NativeTransport

RPCS: tuple[Rpc[Any], ...] = (
    *prediction.RPCS,
    *embedding.RPCS,
    *tokenization.RPCS,
    *models.RPCS,
)
SERVICES = tuple(
    service.full_name
    for file in (prediction_pb2, embedding_pb2, tokenizer_pb2, model_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
)


_PATIENCE_SECONDS = 2.0  # that a call waits, before one that stands still gives it its place
_PROBES = 16  # health checks whose messages are received at once
_PROBE_PATIENCE_SECONDS = 0.1  # such a message comes with its call
_PROBE_BYTES = 4096  # of such a message at most
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

    Raises StartError if the address cannot be bound, BundleError if a bundle is bad.
    """
    config = replace(
        config,
        listen=available(config.listen),
        health_listen=available(config.health_listen),
        metrics_listen=available(config.metrics_listen),
    )
    checker = Health(SERVICES, watches=config.max_connections)
    stalls = Stalls(config.stall_seconds)
    probed, health_address = _probed(config, checker, stalls)
    _check(config.listen)
    access, certificates = read_secrets(config)
    metrics = None if config.metrics_listen == "off" else _metrics()
    tracing = _tracing(config)
    memory = config.memory()
    pipeline = Pipeline(
        config.thread_count(),
        config.batch_limits(),
        access,
        metrics,
        tracing,
        memory=memory.messages,
    )
    limits = RequestLimits(config.max_text_characters, config.max_texts, config.max_message_bytes)

    def use(registry: Registry) -> None:
        pipeline.open(Serving(registry, limits, version("sentido-server"), loader.reload))

    loader = Loader(config.bundle, config.precision, use)
    threads = CallThreads(config.most_threads(), cpu=OneCpu())
    streams = Allowance(memory.streams)
    receiving = Slots(memory.receiving, memory.receiving_of_one, _PATIENCE_SECONDS)
    receiver = Receiver(receiving, stalls, threads.turns)
    transport = GrpcioTransport(pipeline, threads, receiver, stalls, streams)
    native = _native(config, pipeline)

    def make_server() -> grpc.Server:
        server = new_server(threads, connection_options(config, behind_native=native is not None))
        transport.register(server, [rpc for rpc in RPCS if native is None or rpc.streaming])
        checker.register(server, _probes_receiver(stalls, threads), stalls)
        if config.reflection:
            check = partial(access.check, "reflection", False)
            names = (*SERVICES, health.SERVICE_NAME)
            Reflection(names, check, streams, stalls, threads.turns).register(server)
        return server

    server: grpc.Server | Fallback
    if native is None:
        server = make_server()
        address = _with_port(config.listen, _bind(server, config.listen, certificates))
    else:
        server = Fallback(native.fallback, make_server)
        address = _with_port(config.listen, native.port)
    exposition = ExitStack()
    metrics_address = None
    if probed is not None:
        probed.start()
    server.start()
    if native is not None:
        native.start()
    try:
        if metrics is not None:
            transports = [each for each in (transport, native) if each]
            exposed = _exposed(config.metrics_listen, metrics, pipeline, loader, transports)
            metrics_address = exposition.enter_context(exposed)
        loader.load()
        checker.set_serving(True)
        name = "grpcio" if native is None else "native"
        yield Running(address, name, loader, pipeline.counts, metrics_address, health_address)
        if config.drain_delay:
            checker.set_serving(False)
            time.sleep(config.drain_delay)  # until those who balance load have noticed
    finally:
        pipeline.drain()  # before anybody is told, who might find it still open
        checker.set_serving(False)
        end = time.monotonic() + config.drain_seconds
        drained = [
            each.drain(max(0, end - time.monotonic())) for each in (transport, native) if each
        ]
        if not all(drained):
            log.event("drain timed out", seconds=config.drain_seconds)
            pipeline.abandon()
        checker.end_watches()
        server.stop(_GOODBYE_SECONDS).wait()
        if native is not None:
            native.close(max(_GOODBYE_SECONDS, end - time.monotonic()))
        pipeline.close()
        if probed is not None:
            probed.stop(_GOODBYE_SECONDS).wait()
        stalls.close()
        exposition.close()
        if tracing is not None:
            tracing.close()


def _metrics() -> Metrics:
    codes = {rpc.path: rpc.codes() for rpc in RPCS}
    return Metrics(codes, [rpc.path for rpc in RPCS if rpc.streaming])


def _check(listen: str) -> None:
    """Raise StartError unless gRPC can listen on the address."""
    try:
        check_address(listen)
    except ValueError as error:
        raise StartError(f"cannot listen on {listen!r}: {error}") from error


def _native(config: Config, pipeline: Pipeline) -> "NativeTransport | None":
    """Bind the native transport, where it is asked for, safe and there. Raises StartError."""
    if config.transport == "grpcio":
        return None
    if config.transport == "auto" and (reason := why_not_native(config)):
        log.event("transport", transport="grpcio", reason=reason)
        return None
    if missing := config.needs_grpcio():
        raise StartError(
            f"--transport native has no {missing}: use --transport grpcio, or leave {missing} to a"
            " proxy in front of it"
        )
    try:
        from sentido_server.transports.native import NativeTransport
    except ImportError as error:
        if config.transport == "auto":
            return None
        raise StartError(
            f"--transport native needs the package pygrpc-native ({error}):"
            " run pip install ./proto ./bundle './server[native]' in Sentido's folder, or use"
            " --transport grpcio"
        ) from error
    warn_of_native(config)
    try:
        return NativeTransport(
            pipeline,
            config.listen,
            RPCS,
            max_message_bytes=config.max_message_bytes,
            max_connection_calls=config.max_connection_calls,
            max_metadata_bytes=MAX_METADATA_BYTES,
        )
    except (ValueError, OSError) as error:
        raise StartError(f"cannot listen on {config.listen!r}: {error}") from error


def _probed(
    config: Config, checker: Health, stalls: Stalls
) -> tuple[grpc.Server | None, str | None]:
    """Bind the port for health alone, where it is asked for; return its real address too.

    Raises StartError.
    """
    listen = config.health_listen
    if listen == "off":
        return None, None
    try:
        check_address(listen)
    except ValueError as error:
        raise StartError(f"cannot listen for health on {listen!r}: {error}") from error
    threads = CallThreads(2 * config.max_connections)
    options = connection_options(config, behind_native=False)
    small = ("grpc.max_receive_message_length", _PROBE_BYTES)
    server = new_server(threads, [*options, small])
    checker.register(server, _probes_receiver(stalls, threads), stalls)
    return server, _with_port(listen, _bind(server, listen))


def _probes_receiver(stalls: Stalls, threads: CallThreads) -> Receiver:
    receiving = Slots(_PROBES, _PROBES // 2, _PROBE_PATIENCE_SECONDS)
    return Receiver(receiving, stalls, threads.turns)


def _tracing(config: Config) -> "Tracing | None":
    """Make what sends spans, where it is asked for. Raises StartError."""
    if config.otlp_endpoint == "off":
        return None
    if not _is_url(config.otlp_endpoint):
        raise StartError(
            f"--otlp-endpoint {config.otlp_endpoint!r}: a URL such as http://localhost:4317 is"
            " needed, or off"
        )
    try:
        from sentido_server.telemetry.tracing import Tracing
    except ImportError as error:
        raise StartError(
            f"--otlp-endpoint needs OpenTelemetry ({error}):"
            " run pip install ./proto ./bundle './server[tracing]' in Sentido's folder"
        ) from error
    return Tracing(config.otlp_endpoint)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # also of a port that is none
        return False


@contextmanager
def _exposed(
    listen: str,
    metrics: Metrics,
    pipeline: Pipeline,
    loader: Loader,
    transports: "Sequence[GrpcioTransport | NativeTransport]",
) -> Iterator[str]:
    """Show what is counted within the block; give the address. Raises StartError."""
    from sentido_server.telemetry.prometheus import ServerCollector, exposed

    collector = ServerCollector(
        metrics,
        pipeline.counts,
        loader,
        lambda: pipeline.queued_tokens,
        lambda: sum(transport.open_calls for transport in transports),
    )
    with ExitStack() as stack:
        try:
            address = stack.enter_context(exposed(listen, collector))
        except (ValueError, OSError) as error:
            raise StartError(f"cannot listen for metrics on {listen!r}: {error}") from error
        yield address


def _bind(
    server: grpc.Server, listen: str, certificates: grpc.ServerCredentials | None = None
) -> int:
    """Bind the address and give its port. Raises StartError."""
    try:
        if certificates is not None:
            return server.add_secure_port(listen, certificates)
        return server.add_insecure_port(listen)
    except RuntimeError as error:
        raise StartError(f"cannot listen on {listen!r}: {error}") from error


def _with_port(listen: str, port: int) -> str:
    return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"
