"""The echo floor E: a server whose only call gives its request back, on either transport.

    python bench/echo.py grpcio|native

Prints the address when it serves; SIGTERM ends it.
"""

import sys
from collections.abc import Iterator
from typing import Any

PATH = "/bench.Echo/Echo"


def native() -> None:
    """Serve on pygrpc-native's front, one thread taking calls in batches, as the server does."""
    from pygrpc_native import EVENT_CALL, NativeGrpcFront

    front = NativeGrpcFront("127.0.0.1:0", [(PATH, False)], call_details=True, metrics=True)
    front.start()
    print(f"127.0.0.1:{front.bound_port}", flush=True)
    while (events := front.recv_batch_details(64)) is not None:
        for kind, id, _, body, _, _ in events:
            if kind == EVENT_CALL and body is not None:
                front.respond(id, body)


def grpcio() -> None:
    """Serve on grpcio's synchronous server, on the threads that our transport has."""
    import grpc
    from sentido_server.core.threads import CallThreads
    from sentido_server.transports.grpcio import new_server
    from sentido_server.transports.options import MAX_METADATA_BYTES

    def echo(requests: Iterator[bytes], _: object) -> bytes:
        return next(requests)

    server = new_server(CallThreads(256), [("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES)])
    handlers: dict[str, Any] = {"Echo": grpc.stream_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1:] == ["native"]:
        native()
    else:
        grpcio()
