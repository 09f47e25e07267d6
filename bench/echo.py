"""The echo floor E: a server whose only call gives its request back, on either transport.

    python bench/echo.py grpcio|native

Prints the address when it serves; SIGTERM ends it.
"""

import asyncio
import sys
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


async def grpcio() -> None:
    """Serve on grpc.aio."""
    import grpc.aio

    async def echo(body: bytes, _: object) -> bytes:
        return body

    server = grpc.aio.server()
    handlers: dict[str, Any] = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1:] == ["native"]:
        native()
    else:
        asyncio.run(grpcio())
