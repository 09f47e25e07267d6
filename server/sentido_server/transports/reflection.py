"""Server reflection, for those who may call the server."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default
from grpc_reflection.v1alpha import reflection, reflection_pb2

from sentido_server.core.admission import Allowance, Left, source_of
from sentido_server.core.call import Metadata
from sentido_server.core.faults import Fault, QueueFull
from sentido_server.core.threads import CallThreads
from sentido_server.transports.grpcio import abort, check_threads
from sentido_server.transports.grpcio_call import received
from sentido_server.transports.stalls import Stalls

_RETRY_SECONDS = 1.0  # after which a caller may try again to open a stream

_METHOD = "ServerReflectionInfo"


def _add_v1() -> str:
    """Make v1 known, which is v1alpha by another name; return the name of its service.

    grpcio-reflection has v1alpha alone, and newer clients ask for v1 first.
    """
    alpha = FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(alpha)
    text = text_format.MessageToString(alpha).replace("v1alpha", "v1")
    Default().AddSerializedFile(text_format.Parse(text, FileDescriptorProto()).SerializeToString())
    return str(reflection.SERVICE_NAME).replace("v1alpha", "v1")


SERVICE_NAMES = (_add_v1(), reflection.SERVICE_NAME)


class Reflection(reflection.ReflectionServicer):  # type: ignore[misc]
    """gRPC's own servicer behind the rules of access. Lives as long as the server."""

    def __init__(
        self,
        services: Sequence[str],
        check: Callable[[Metadata], None],
        streams: Allowance,
        stalls: Stalls,
        threads: CallThreads,
    ) -> None:
        """Take the names of the other services, what refuses who may not see them, and bounds."""
        super().__init__((*services, *SERVICE_NAMES))
        self._check = check
        self._streams = streams
        self._stalls = stalls
        self._threads = threads

    def register(self, server: grpc.Server) -> None:
        """Answer for reflection on a server, in both versions."""
        handler = grpc.stream_stream_rpc_method_handler(
            self.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        for name in SERVICE_NAMES:
            generic = grpc.method_handlers_generic_handler(name, {_METHOD: handler})
            server.add_generic_rpc_handlers((generic,))

    def ServerReflectionInfo(  # noqa: N802, gRPC's name
        self, requests: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """Answer ServerReflection/ServerReflectionInfo."""
        self._threads.turns.end()
        source = source_of(context.peer(), context)
        try:
            self._check(context.invocation_metadata() or ())
            check_threads(self._threads)
            if not self._streams.take(source, 1):
                raise QueueFull("too many streams are open; try again", _RETRY_SECONDS, "streams")
        except Fault as fault:
            abort(context, fault)
        try:
            for answer in super().ServerReflectionInfo(received(requests), context):
                with self._stalls.watched(context):
                    yield answer
        except Left:
            return
        finally:
            self._streams.add(source, -1)
