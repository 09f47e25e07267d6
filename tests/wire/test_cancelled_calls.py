"""Calls that end as cancelled, though nobody cancelled them: their connection went away."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from sentido.v1 import model_pb2
from sentido_client import AsyncClient, CallCancelledError, Client

METHOD = "sentido.v1.ModelService"


@contextmanager
def cancelling(times: int, seen: list[Any]) -> Iterator[str]:
    """Run a server that ends so many calls as cancelled, and answers those that follow."""

    def get_model(request: bytes, context: grpc.ServicerContext) -> bytes:
        seen.append(request)
        if len(seen) <= times:
            context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")
        return model_pb2.GetModelResponse(model=model_pb2.Model(name="m")).SerializeToString()

    server = grpc.server(ThreadPoolExecutor(2))
    handler: Any = grpc.unary_unary_rpc_method_handler(get_model)
    generic = grpc.method_handlers_generic_handler(METHOD, {"GetModel": handler})
    server.add_generic_rpc_handlers((generic,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def model_name(kind: str, address: str, timeout: float = 30) -> str:
    async def ask() -> str:
        async with AsyncClient(address, timeout=timeout) as client:
            return (await client.model()).name

    if kind == "AsyncClient":
        return asyncio.run(ask())
    with Client(address, timeout=timeout) as client:
        return client.model().name


both_clients = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


@both_clients
def test_a_call_that_nobody_cancelled_is_made_again(kind: str) -> None:
    seen: list[Any] = []
    with cancelling(1, seen) as address:
        assert model_name(kind, address) == "m"
    assert len(seen) == 2


@both_clients
def test_a_server_that_cancels_every_call_is_asked_twice(kind: str) -> None:
    seen: list[Any] = []
    with cancelling(10, seen) as address, pytest.raises(CallCancelledError):
        model_name(kind, address)
    assert len(seen) == 2
