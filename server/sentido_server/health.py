"""grpc.health.v1 for every service, with Watch streams that end when the server does."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_SERVING = health_pb2.HealthCheckResponse.SERVING


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Says whether the server and its services are SERVING. Lives as long as the server.

    gRPC's own servicer never ends a Watch, so that stopping a server with one open takes the whole
    grace; this one ends them when told to.
    """

    def __init__(self, services: Sequence[str]) -> None:
        """Start with the server, "", and each of its services NOT_SERVING."""
        self._services = ("", *services)
        self._status = health.aio.HealthServicer()
        self._closed = asyncio.Event()

    async def set_serving(self, serving: bool) -> None:
        """Tell everyone who watches."""
        for service in self._services:
            await self._status.set(service, _SERVING if serving else _NOT_SERVING)

    def end_watches(self) -> None:
        """End every open Watch, and each new one at once."""
        self._closed.set()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802, gRPC's name
        """Answer grpc.health.v1.Health/Check."""
        return await self._status.Check(request, context)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802, gRPC's name
        """Answer grpc.health.v1.Health/Watch until the caller or the server has had enough."""
        watching = asyncio.ensure_future(self._status.Watch(request, context))
        closed = asyncio.ensure_future(self._closed.wait())
        try:
            await asyncio.wait({watching, closed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watching, closed):
                task.cancel()
            await asyncio.gather(watching, closed, return_exceptions=True)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")
