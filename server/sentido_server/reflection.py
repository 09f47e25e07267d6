"""Server reflection, for those who may call the server."""

from collections.abc import AsyncIterable
from typing import Any

from grpc_reflection.v1alpha import reflection

from sentido_server.access import Access
from sentido_server.aio import abort
from sentido_server.faults import Fault


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """gRPC's own servicer behind the rules of access. Lives as long as the server."""

    def __init__(self, services: Any, access: Access) -> None:
        """Take the names of the services to show, and who may see them."""
        super().__init__(services)
        self._access = access

    async def ServerReflectionInfo(  # noqa: N802, gRPC's name
        self, requests: AsyncIterable[Any], context: Any
    ) -> AsyncIterable[Any]:
        """Answer grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo."""
        try:
            self._access.check("reflection", False, context.invocation_metadata())
        except Fault as fault:
            await abort(context, fault)
        async for answer in super().ServerReflectionInfo(requests, context):
            yield answer
