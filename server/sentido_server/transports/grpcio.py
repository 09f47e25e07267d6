"""The transport on gRPC's own server: its calls become the pipeline's, Faults become its statuses.

It is grpcio's synchronous server, in which each call in progress has a thread: the server of
`grpc.aio` ends for good when a caller sends a path that is not UTF-8. Unary RPCs are registered as
streams of requests, which are the same on the wire, so that a call is looked at before its message
is received, and only so many messages are received at once.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn

import grpc
from google.rpc import code_pb2

from sentido_server.core.admission import Allowance, Left, Slots, source_of
from sentido_server.core.call import CallRecord, Trailer
from sentido_server.core.faults import Fault, NoMessage, QueueFull
from sentido_server.core.pipeline import Pipeline, internal
from sentido_server.core.rpc import Rpc
from sentido_server.core.threads import CallThreads, Turns
from sentido_server.transports.grpcio_call import GrpcioCall, Requests, Stream, answer, received
from sentido_server.transports.stalls import Stalls

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_REFUSAL_SECONDS = 0.1  # that a call waits for being refused because the server is full
_OVERHEAD = 32  # bytes that HTTP/2 counts for an entry beside its name and value
_RETRY_SECONDS = 1.0  # after which a caller may try again to open a stream


def new_server(threads: CallThreads, options: Sequence[tuple[str, int]]) -> grpc.Server:
    """Make a server whose calls run on these threads; it does nothing but submit to them."""
    most = dict(options)["grpc.absolute_max_metadata_size"]
    limits: list[grpc.ServerInterceptor] = [_MetadataLimit(most)]
    return grpc.server(threads, options=options, interceptors=limits)  # type: ignore[arg-type]


def stop(server: grpc.Server, seconds: float) -> threading.Event:
    """Stop a server; what is still open has so many seconds. The event is set when it has."""
    try:
        return server.stop(seconds)
    except RuntimeError:  # the system has no thread that would wait: wait here
        server.wait_for_termination(seconds)
        return server.stop(None)


class _MetadataLimit(grpc.ServerInterceptor):
    """Refuses calls whose metadata is over a limit, so that none is kept while a call waits.

    gRPC does so once the caller has confirmed the settings of the connection. A caller who never
    confirms them may send 16 MiB per call, which HTTP/2 compresses to a thousandth.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._refusing: Any = grpc.stream_unary_rpc_method_handler(self._refuse)

    def intercept_service(
        self, continuation: Callable[[Any], Any], details: grpc.HandlerCallDetails
    ) -> Any:
        """Return what answers a call."""
        size = sum(len(key) + len(value) + _OVERHEAD for key, value in details.invocation_metadata)
        return continuation(details) if size <= self._most else self._refusing

    def _refuse(self, _: Requests, context: grpc.ServicerContext) -> NoReturn:
        message = f"the metadata of a call has at most {self._most:,} bytes; send less"
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, message)


class Receiver:
    """Receives the one message that a call takes. Lives as long as the server.

    gRPC holds what has come of a message in memory, so only so many are received at once.
    """

    def __init__(self, places: Slots, stalls: Stalls, turns: Turns) -> None:
        self._places = places
        self._stalls = stalls
        self._turns = turns

    def message(self, requests: Requests, context: grpc.ServicerContext) -> bytes:
        """Wait for the message.

        Raises NoMessage, and Left if the caller leaves.
        """
        source = source_of(context.peer(), context)
        self._turns.end()
        with self._places.place(source, context), self._stalls.watched(context):
            for body in received(requests):
                return body
        raise NoMessage("the method takes one message, and none was sent")


class GrpcioCalls:
    """Answers RPCs on a server of grpcio. Lives as long as that server."""

    def __init__(
        self,
        pipeline: Pipeline,
        threads: CallThreads,
        receiver: "Receiver",
        stalls: Stalls,
        streams: Allowance,
    ) -> None:
        """Take what calls share; `streams`: how many may be open."""
        self._pipeline = pipeline
        self._threads = threads
        self._receiver = receiver
        self._stalls = stalls
        self._streams = streams
        self._open: dict[GrpcioCall, Stream | None] = {}
        self._changed = threading.Condition()
        self._draining = False

    def register(self, server: grpc.Server, rpcs: Sequence[Rpc[Any]]) -> None:
        """Register every RPC. Requests arrive as bytes: parsing them is the pipeline's."""
        services: dict[str, dict[str, Any]] = {}
        for rpc in rpcs:
            handler: Any = (
                grpc.stream_stream_rpc_method_handler(self._streaming(rpc))
                if rpc.streaming
                else grpc.stream_unary_rpc_method_handler(self._unary(rpc))
            )
            services.setdefault(rpc.service, {})[rpc.name] = handler
        for service, handlers in services.items():
            generic = grpc.method_handlers_generic_handler(service, handlers)
            server.add_generic_rpc_handlers((generic,))

    @property
    def open_calls(self) -> int:
        """Calls that have no status yet."""
        return len(self._open)

    def drain(self, seconds: float) -> bool:
        """Let accepted calls finish and idle streams end; tell whether all did in time.

        The pipeline drains already.
        """
        with self._changed:
            self._draining = True
            for stream in self._open.values():
                if stream is not None:
                    stream.drain()
            return self._changed.wait_for(lambda: not self._open, seconds)

    def _unary(self, rpc: Rpc[Any]) -> Callable[[Requests, grpc.ServicerContext], bytes]:
        def handle(requests: Requests, context: grpc.ServicerContext) -> bytes:
            if not context.is_active():  # the caller left before it was this call's turn
                return b""
            call = GrpcioCall(context, self._threads.turns)
            with self._begun(rpc, call, context) as entry:
                self._pipeline.check_room(rpc, entry)
                body = self._receiver.message(requests, context)
                call.keep(self._pipeline.submit(rpc, call, entry, body, call.finish))
                response = answer(call.outcome())
                _add_timings(context, entry)
                self._stalls.begin(context)  # until all is sent
                return response
            return b""  # for nobody: the caller has left

        return handle

    def _streaming(
        self, rpc: Rpc[Any]
    ) -> Callable[[Requests, grpc.ServicerContext], Iterator[bytes]]:
        def handle(requests: Requests, context: grpc.ServicerContext) -> Iterator[bytes]:
            if not context.is_active():
                return
            self._threads.turns.end()
            call = GrpcioCall(context, self._threads.turns)
            with (
                self._begun(rpc, call, context) as entry,
                self._stream_place(entry),
            ):
                stream = Stream(self._pipeline, rpc, call, entry)
                self._opened(call, stream)
                if not self._threads.start(partial(self._read, stream, requests)):
                    raise no_thread()
                check_threads(self._threads)
                for answer in stream.answers():
                    with self._stalls.watched(context):
                        yield answer
                _add_timings(context, entry)

        return handle

    def _read(self, stream: Stream, requests: Requests) -> None:
        self._threads.turns.end()
        stream.read(requests)

    @contextmanager
    def _begun(
        self, rpc: Rpc[Any], call: GrpcioCall, context: grpc.ServicerContext
    ) -> Iterator[CallRecord]:
        """Do what every call needs: counting, logging, and Faults as statuses.

        Ends the block without an error if the caller has left.
        """
        try:
            entry = self._pipeline.begin(rpc, call)
        except Fault as refusal:
            abort(context, refusal)
        with self._changed:
            self._open[call] = None
        # Counted until its status is sent, so that draining cuts no answer off.
        if not context.add_callback(lambda: self._ended(call, context)):
            self._ended(call, context)
        fault: Fault | None = None
        is_left = False
        try:
            yield entry
        except Fault as error:
            fault = error.bare()
        except Left:
            is_left = True
        except GeneratorExit:  # of a stream that is sent no further
            is_left = True
            raise
        except Exception as error:
            fault = internal(error, rpc.path)
        finally:
            entry.write(_code(call, fault, is_left), fault.refusal if fault else "")
        if fault is not None:
            if isinstance(fault, QueueFull):  # who asks at once again must not cost the others
                self._threads.turns.end()
                time.sleep(_REFUSAL_SECONDS)
            abort(context, fault, entry.timings())

    def _opened(self, call: GrpcioCall, stream: "Stream") -> None:
        with self._changed:
            if call in self._open:  # else it has ended already
                self._open[call] = stream
            else:
                stream.end()
            if self._draining:
                stream.drain()

    def _ended(self, call: GrpcioCall, context: grpc.ServicerContext) -> None:
        """Forget a call. On a thread of gRPC's, when all is sent or its caller has left."""
        call.end()
        self._stalls.end(context)
        with self._changed:
            stream = self._open.pop(call, None)
            if not self._open:
                self._changed.notify_all()
        if stream is not None:
            stream.end()

    @contextmanager
    def _stream_place(self, entry: CallRecord) -> Iterator[None]:
        source = source_of(entry.peer, entry)
        if not self._streams.take(source, 1):
            raise QueueFull(
                f"{self._streams.held} streams are open, {self._streams.most} may be, in equal"
                " shares; try again",
                _RETRY_SECONDS,
                "streams",
            )
        try:
            yield
        finally:
            self._streams.add(source, -1)


def _code(call: GrpcioCall, fault: Fault | None, is_left: bool) -> int:
    if fault is not None:
        return fault.code
    if not is_left:
        return int(code_pb2.OK)
    return int(code_pb2.DEADLINE_EXCEEDED if call.is_expired() else code_pb2.CANCELLED)


def _add_timings(context: grpc.ServicerContext, entry: CallRecord) -> None:
    """Tell a caller who asks for it what the stages of the call took."""
    if trailer := entry.timings():
        context.set_trailing_metadata(trailer)


def abort(context: grpc.ServicerContext, fault: Fault, timings: Trailer = ()) -> NoReturn:
    """End the call with the fault's status; its details travel as gRPC's clients expect them."""
    details = fault.status().SerializeToString()
    context.set_trailing_metadata((("grpc-status-details-bin", details), *timings))
    context.abort(_STATUS_CODES[fault.code], fault.message)


def check_threads(threads: CallThreads) -> None:
    """Raise QueueFull unless a call that keeps its thread for long leaves one to others."""
    if not threads.has_spare():
        raise no_thread()


def no_thread() -> QueueFull:
    """Return why a call that keeps its thread for long is refused."""
    return QueueFull("the server has no more threads; try again", _RETRY_SECONDS, "streams")
