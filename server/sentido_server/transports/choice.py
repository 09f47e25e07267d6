"""Which transport serves, as `--transport` says."""

from sentido_server import log
from sentido_server.address import is_local
from sentido_server.config import Config, StartError
from sentido_server.transports.grpcio_server import GrpcioTransport
from sentido_server.transports.transport import Shared, Transport


def choose(shared: Shared) -> Transport:
    """Return native where it is asked for, or safe and there, else grpcio. Raises StartError."""
    config = shared.config
    if config.transport == "grpcio":
        return GrpcioTransport(shared)
    if config.transport == "auto" and (reason := _why_not_native(config)):
        log.event("transport", transport="grpcio", reason=reason)
        return GrpcioTransport(shared)
    if missing := config.needs_grpcio():
        raise StartError(
            f"--transport native has no {missing}: use --transport grpcio, or leave {missing} to a"
            " proxy in front of it"
        )
    try:
        from sentido_server.transports.native_server import NativeTransport
    except ImportError as error:
        if config.transport == "auto":
            return GrpcioTransport(shared)
        raise StartError(
            f"--transport native needs the package pygrpc-native ({error}):"
            " run pip install ./proto ./bundle './server[native]' in Sentido's folder, or use"
            " --transport grpcio"
        ) from error
    _warn_of_native(config)
    return NativeTransport(shared)


def _why_not_native(config: Config) -> str:
    """Return why `auto` takes grpcio, which bounds what callers send; "" where it need not."""
    if needed := config.needs_grpcio():
        return f"{needed} needs it"
    if is_local(config.listen):
        return ""
    return (
        "native puts no bound on the memory that callers take; for its speed, listen on 127.0.0.1"
        " or a Unix socket behind a proxy that ends TLS and bounds connections, message sizes and"
        " compression"
    )


def _warn_of_native(config: Config) -> None:
    """Log what whoever reaches the native transport can do, if that is more than this machine."""
    if not is_local(config.listen):
        log.warning(
            "native on a network",
            address=config.listen,
            reason="whoever reaches it can use up memory, with or without a token: by compression"
            " (1 MB becomes 1 GB), messages of any size, calls that wait without bound and streams"
            " that stand still: use --transport grpcio, or listen on 127.0.0.1 or a Unix socket"
            " behind a proxy",
        )
