"""The transport on `grpc.aio`: its calls become the pipeline's, Faults become its statuses."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
from google.rpc import code_pb2

from sentido_server.access import Metadata
from sentido_server.faults import Fault, QueueFull, Unavailable
from sentido_server.pipeline import Outcome, Pipeline
from sentido_server.record import CallRecord
from sentido_server.rpc import Rpc

_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_POLL_SECONDS = 0.02  # between looks of a stream at a full queue
_STREAM_WINDOW = 4  # messages of one stream that are prepared or computed at once
_Context = grpc.aio.ServicerContext[Any, Any]


class AioCall:
    """One call on `grpc.aio`. Lives as long as its handler runs."""

    def __init__(self, context: _Context) -> None:
        self.peer = context.peer()
        self.metadata: Metadata = context.invocation_metadata() or ()
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        remaining = context.time_remaining()  # seconds, None without a deadline
        self._deadline = None if remaining is None else self._loop.time() + remaining

    def is_expired(self) -> bool:
        """Whether the call's deadline has passed."""
        return self._deadline is not None and self._loop.time() >= self._deadline

    def is_cancelled(self) -> bool:
        """Whether the caller has left."""
        return self.cancelled


class AioTransport:
    """Answers RPCs on a grpc.aio server. Lives as long as that server."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._draining = asyncio.Event()
        self._outcomes: deque[tuple[asyncio.Future[bytes], Outcome]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # known with the first call
        pipeline.flush_with(self._flush)
        self._open_calls = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def register(self, server: grpc.aio.Server, rpcs: Sequence[Rpc[Any]]) -> None:
        """Register every RPC. Requests arrive as bytes: parsing them is the pipeline's."""
        services: dict[str, dict[str, Any]] = {}
        for rpc in rpcs:
            handler: Any = (
                grpc.stream_stream_rpc_method_handler(self._guard(rpc, self._stream))
                if rpc.streaming
                else grpc.unary_unary_rpc_method_handler(self._guard(rpc, self._unary))
            )
            services.setdefault(rpc.service, {})[rpc.name] = handler
        for service, handlers in services.items():
            generic = grpc.method_handlers_generic_handler(service, handlers)
            server.add_generic_rpc_handlers((generic,))

    @property
    def open_calls(self) -> int:
        """Calls that have no status yet."""
        return self._open_calls

    async def drain(self, seconds: float) -> bool:
        """Let accepted calls finish and idle streams end; tell whether all did in time.

        The pipeline drains already.
        """
        self._draining.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        return self._open_calls == 0

    def _guard(self, rpc: Rpc[Any], body: Callable[..., Awaitable[Any]]) -> Any:
        """Wrap a handler in what every call needs: counting, logging, and Faults as statuses."""

        async def handle(request: Any, context: _Context) -> Any:
            call = AioCall(context)
            try:
                entry = self._pipeline.begin(rpc, call)
            except Fault as fault:
                await abort(context, fault)
            # Counted until its status is sent, so that draining cuts no answer off.
            self._open_calls += 1
            self._idle.clear()
            context.add_done_callback(self._count_down)  # type: ignore[arg-type]
            code = code_pb2.UNKNOWN
            try:
                answer = await body(rpc, call, entry, request, context)
                code = code_pb2.OK
                return answer
            except Fault as fault:
                code = fault.code
                await abort(context, fault)
            except asyncio.CancelledError:
                call.cancelled = True
                code = code_pb2.DEADLINE_EXCEEDED if call.is_expired() else code_pb2.CANCELLED
                raise
            finally:
                entry.write(code)

        return handle

    async def _unary(
        self, rpc: Rpc[Any], call: AioCall, entry: CallRecord, request: bytes, _: _Context
    ) -> bytes:
        return await self._answer(rpc, call, entry, request)

    async def _stream(
        self, rpc: Rpc[Any], call: AioCall, entry: CallRecord, _: Any, context: _Context
    ) -> None:
        """Read ahead a few messages, so that all compute threads have work; answer in order."""
        room = asyncio.Semaphore(_STREAM_WINDOW)
        answers: asyncio.Queue[asyncio.Future[bytes] | None] = asyncio.Queue()  # None: the end

        async def read() -> None:
            try:
                while (request := await self._next_message(context)) is not grpc.aio.EOF:
                    await room.acquire()
                    answer = asyncio.ensure_future(self._wait_for_room(rpc, call, entry, request))
                    answer.add_done_callback(_look_at)
                    answers.put_nowait(answer)
            finally:
                answers.put_nowait(None)

        reading = asyncio.create_task(read())
        try:
            while (answer := await answers.get()) is not None:
                await context.write(await answer)
                room.release()
            await reading  # raises Unavailable when the server drains
        finally:
            call.cancelled = True  # whatever is left of the stream is for nobody
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            while not answers.empty():
                if (left := answers.get_nowait()) is not None:
                    left.cancel()

    async def _wait_for_room(
        self, rpc: Rpc[Any], call: AioCall, entry: CallRecord, request: bytes
    ) -> bytes:
        """Answer a message of a stream, which waits where a unary call would be refused."""
        while True:
            if self._pipeline.has_room():
                with suppress(QueueFull):  # somebody else may have taken it
                    return await self._answer(rpc, call, entry, request)
            await asyncio.sleep(_POLL_SECONDS)

    async def _next_message(self, context: _Context) -> Any:
        """Wait for the stream's next message. Raises Unavailable when the server drains."""
        reading = asyncio.ensure_future(context.read())
        draining = asyncio.ensure_future(self._draining.wait())
        try:
            await asyncio.wait({reading, draining}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                raise Unavailable("the server is shutting down")
            return reading.result()
        finally:
            reading.cancel()
            draining.cancel()

    def _answer(
        self, rpc: Rpc[Any], call: AioCall, entry: CallRecord, request: bytes
    ) -> asyncio.Future[bytes]:
        """Submit one message; its answer, or the Fault instead, comes as a future."""
        self._loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = self._loop.create_future()
        answer.add_done_callback(_look_at)

        def finish(outcome: Outcome) -> None:
            self._outcomes.append((answer, outcome))

        self._pipeline.submit(rpc, call, entry, request, finish)
        return answer

    def _flush(self) -> None:
        """Wake the event loop once for all that is finished. From any thread."""
        if self._outcomes:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        while self._outcomes:
            answer, outcome = self._outcomes.popleft()
            if answer.done():  # the caller has left
                continue
            if isinstance(outcome, Fault):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

    def _count_down(self, _: Any) -> None:
        self._open_calls -= 1
        if self._open_calls == 0:
            self._idle.set()


def _look_at(answer: asyncio.Future[bytes]) -> None:
    """Look at an answer's Fault, so that asyncio does not report one that nobody awaits."""
    if not answer.cancelled():
        answer.exception()


async def abort(context: _Context, fault: Fault) -> None:
    """End the call with the fault's status; its details travel as gRPC's clients expect them."""
    await context.abort(
        _STATUS_CODES[fault.code],
        fault.message,
        (("grpc-status-details-bin", fault.status().SerializeToString()),),
    )
