"""What bounds the connections of gRPC's own server."""

from sentido_server.config import Config

MAX_METADATA_BYTES = 16 * 1024  # of a call
_NO_LIMIT = 2**31 - 1
_PENDING = 8192  # calls, of all connections: eight that are as full as they can be
_DEALLOCATING = 4  # times the calls that a connection may have
_WINDOW_BYTES = 64 * 1024  # that a call may send before its message is received
_HANDSHAKE_SECONDS = 10  # that a new connection may take for TLS and HTTP/2; then it is closed
_PING_SECONDS = 30  # between pings of a connection without data: our client sends one a minute
_PING_STRIKES = 2  # pings that come earlier, after which the connection is closed


def connection_options(config: Config, behind_native: bool) -> list[tuple[str, int]]:
    """Return the options of the grpcio server, all callers' or behind the native front."""
    metadata = MAX_METADATA_BYTES * (2 if behind_native else 1)  # the front has its own there
    options = [
        ("grpc.max_receive_message_length", config.max_message_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # else a used port is bound without a word
        # Between the two gRPC refuses calls at random that no thread of ours has seen yet. They are
        # bounded because they take memory, also those whose callers are gone.
        ("grpc.server.max_pending_requests", _PENDING),
        ("grpc.server.max_pending_requests_hard_limit", 2 * _PENDING),
        # Between the two gRPC would refuse calls at random.
        ("grpc.max_metadata_size", metadata),
        ("grpc.absolute_max_metadata_size", metadata),
        # gRPC would let a fast caller send more and more that nobody has asked for yet.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
    ]
    if behind_native:  # whose connections are not those of callers
        return options
    options += [
        ("grpc.max_concurrent_streams", config.max_connection_calls),
        # Calls that have ended for the caller and not yet for the server: at this number gRPC
        # refuses more. By default that meets callers who keep to the number above.
        ("grpc.http2.max_deallocating_streams", _DEALLOCATING * config.max_connection_calls),
        # The largest number is how gRPC says that there is no bound: given, it ends the process.
        ("grpc.max_allowed_incoming_connections", min(config.max_connections, _NO_LIMIT - 1)),
        # gRPC's two minutes let whoever connects and says nothing keep others out.
        (
            "grpc.server_handshake_timeout_ms",
            1000 * min(_HANDSHAKE_SECONDS, config.stall_seconds),
        ),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _PING_SECONDS * 1000),
        ("grpc.http2.max_ping_strikes", _PING_STRIKES),
    ]
    if config.max_connection_age:
        options += [
            ("grpc.max_connection_age_ms", _milliseconds(config.max_connection_age)),
            ("grpc.max_connection_age_grace_ms", _milliseconds(config.max_connection_age_grace)),
        ]
    return options


def _milliseconds(seconds: int) -> int:
    return min(1000 * seconds, _NO_LIMIT)
