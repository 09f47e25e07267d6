"""The server, put together: bind, load, serve, drain."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc.aio
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from sentido.v1 import embedding_pb2, model_pb2, prediction_pb2, tokenizer_pb2
from sentido_bundle import BundleError

from sentido_server import embedding, log, models, prediction, tokenization
from sentido_server.address import check_address
from sentido_server.aio import AioTransport
from sentido_server.batcher import Counts
from sentido_server.catalog import Catalog
from sentido_server.config import Config, StartError
from sentido_server.health import Health
from sentido_server.loading import Loader
from sentido_server.metrics import Metrics
from sentido_server.pipeline import Pipeline
from sentido_server.reflection import Reflection
from sentido_server.rpc import Limits, Rpc, State
from sentido_server.security import MAX_METADATA_BYTES, connection_options, read_secrets

if TYPE_CHECKING:
    from sentido_server.native import NativeTransport
    from sentido_server.tracing import Tracing

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


_GOODBYE_SECONDS = 1.0  # for what is still open after draining: answers on the wire, reflection


@dataclass(frozen=True)
class Running:
    """A server that accepts connections; it serves once its bundles are loaded."""

    address: str  # with the real port
    transport: str  # "grpcio" or "native"
    loader: Loader
    counts: Counts  # of what it computed so far
    metrics_address: str | None  # with the real port
    health_address: str | None  # with the real port


@asynccontextmanager
async def serve(config: Config) -> AsyncIterator[Running]:
    """Run a server: bound and loaded inside the block, drained and stopped when it is left.

    Raises StartError if the address cannot be bound, BundleError if a bundle is bad.
    """
    checker = Health(SERVICES)
    probed, health_address = _probed(config, checker)
    _check(config.listen)
    access, certificates = read_secrets(config)
    metrics = None if config.metrics_listen == "off" else Metrics([rpc.path for rpc in RPCS])
    tracing = _tracing(config)
    pipeline = Pipeline(config.thread_count(), config.batch_limits(), access, metrics, tracing)
    limits = Limits(config.max_text_characters, config.max_texts, config.max_message_bytes)

    def use(catalog: Catalog) -> None:
        pipeline.open(State(catalog, limits, version("sentido-server"), loader.reload))

    loader = Loader(config.bundle, config.precision, use)
    transport = AioTransport(pipeline)
    native = _native(config, pipeline)
    server = grpc.aio.server(options=connection_options(config, behind_native=native is not None))
    transport.register(server, [rpc for rpc in RPCS if native is None or rpc.streaming])
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    if config.reflection:
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            Reflection(names, access), server
        )
    if native is None:
        address = _with_port(config.listen, _bind(server, config.listen, certificates))
    else:
        address = _with_port(config.listen, native.port)
        _bind(server, f"unix:{native.fallback}")
    exposition = ExitStack()
    metrics_address = None
    await checker.set_serving(False)
    if probed is not None:
        await probed.start()
    await server.start()
    if native is not None:
        native.start()
    try:
        if metrics is not None:
            transports = [each for each in (transport, native) if each]
            exposed = _exposed(config.metrics_listen, metrics, pipeline, loader, transports)
            metrics_address = exposition.enter_context(exposed)
        await asyncio.to_thread(loader.load)
        await checker.set_serving(True)
        name = "grpcio" if native is None else "native"
        yield Running(address, name, loader, pipeline.counts, metrics_address, health_address)
        if config.drain_delay:
            await checker.set_serving(False)
            await asyncio.sleep(config.drain_delay)  # until those who balance load have noticed
    finally:
        pipeline.drain()  # before anybody is told, who might find it still open
        await checker.set_serving(False)
        end = time.monotonic() + config.drain_seconds
        drains = [each.drain(config.drain_seconds) for each in (transport, native) if each]
        if not all(await asyncio.gather(*drains)):
            log.event("drain timed out", seconds=config.drain_seconds)
            pipeline.abandon()
        checker.end_watches()
        await server.stop(_GOODBYE_SECONDS)
        if native is not None:
            await native.close(max(_GOODBYE_SECONDS, end - time.monotonic()))
        await asyncio.to_thread(pipeline.close)
        if probed is not None:
            await probed.stop(_GOODBYE_SECONDS)
        exposition.close()
        if tracing is not None:
            await asyncio.to_thread(tracing.close)


async def run(config: Config) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends the process at once.

    SIGHUP loads every bundle again.
    """
    started = time.monotonic()
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(name: str) -> None:
        if stopping.is_set():
            log.event("stopped at once", signal=name)
            log.flush()
            os._exit(1)  # a compute thread cannot be interrupted otherwise
        log.event("stopping", signal=name)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
    hung_up = asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    async with serve(config) as running:
        log.event(
            "serving",
            address=running.address,
            transport=running.transport,
            metrics=running.metrics_address,
            health=running.health_address,
            models=[bundle.name for bundle in running.loader.catalog.bundles],
            threads=config.thread_count(),
            seconds=round(time.monotonic() - started, 3),
        )
        reloading = asyncio.create_task(_reload_on(hung_up, running.loader))
        await stopping.wait()
        reloading.cancel()
    counts = running.counts
    log.event(
        "stopped",
        batches=counts.batches,
        texts=counts.items,
        tokens=counts.size,
        padding_tokens=counts.padding,
        dropped=counts.dropped,
    )


async def _reload_on(hung_up: asyncio.Event, loader: Loader) -> None:
    """Load every bundle again after each signal; those that come meanwhile count as one."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        try:
            await asyncio.to_thread(loader.reload_all)
        except BundleError:  # the loader has said so
            pass
        except Exception as error:  # whatever it is, the next signal must be heard
            log.failure("reload failed", error)


def _check(listen: str) -> None:
    """Raise StartError unless gRPC can listen on the address."""
    try:
        check_address(listen)
    except ValueError as error:
        raise StartError(f"cannot listen on {listen!r}: {error}") from error


def _native(config: Config, pipeline: Pipeline) -> "NativeTransport | None":
    """Bind the native transport, where it is asked for and there. Raises StartError."""
    if config.transport == "grpcio":
        return None
    if reason := config.needs_grpcio():
        if config.transport == "auto":
            log.event("transport", transport="grpcio", reason=f"{reason} needs it")
            return None
        raise StartError(
            f"--transport native has no {reason}: use --transport grpcio, or leave {reason} to a"
            " proxy in front of it"
        )
    try:
        from sentido_server.native import NativeTransport
    except ImportError as error:
        if config.transport == "auto":
            return None
        raise StartError(
            f"--transport native needs the package pygrpc-native ({error}):"
            " pip install 'sentido-server[native]', or use --transport grpcio"
        ) from error
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


def _probed(config: Config, checker: Health) -> tuple[grpc.aio.Server | None, str | None]:
    """Bind the port for health alone, where it is asked for; give its real address too.

    Raises StartError.
    """
    listen = config.health_listen
    if listen == "off":
        return None, None
    try:
        check_address(listen)
    except ValueError as error:
        raise StartError(f"cannot listen for health on {listen!r}: {error}") from error
    server = grpc.aio.server(options=connection_options(config, behind_native=False))
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    return server, _with_port(listen, _bind(server, listen))


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
        from sentido_server.tracing import Tracing
    except ImportError as error:
        raise StartError(
            f"--otlp-endpoint needs OpenTelemetry ({error}): pip install 'sentido-server[tracing]'"
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
    transports: "Sequence[AioTransport | NativeTransport]",
) -> Iterator[str]:
    """Show what is counted within the block; give the address. Raises StartError."""
    from sentido_server.exposition import ServerCollector, exposed

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
    server: grpc.aio.Server, listen: str, certificates: grpc.ServerCredentials | None = None
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
