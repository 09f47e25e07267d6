"""One run of StreamPredict or StreamEmbed for asyncio: texts in, answers out, in order.

Tasks read the caller's texts and write the messages while the caller reads the answers; otherwise
as in `stream.py`.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Sequence,
)
from typing import Any, Generic

import grpc
import grpc.aio

from sentido_client.async_connection import AsyncConnection
from sentido_client.channel import Stubs
from sentido_client.chunking import Chunk
from sentido_client.errors import (
    CallCancelledError,
    SentidoError,
    ServerError,
    from_rpc_error,
    stalled,
)
from sentido_client.outbox import Outbox
from sentido_client.results import Limits
from sentido_client.resuming import Resumption, is_break
from sentido_client.stream import Answer

Texts = Iterable[str] | AsyncIterable[str]

_LOOP_SECONDS = 0.001  # that a plain iterable may keep the event loop to itself
_WRITE_FAILED = "Internal error from Core"
_STATUS_LOOKS, _STATUS_SECONDS = 5, 0.01


class AsyncTextStream(Generic[Answer]):
    """Used once. Lives from the first answer asked for until the last, or until it is closed."""

    def __init__(
        self,
        address: str,
        limits: Limits,
        timeout: float,
        connection: AsyncConnection,
        begin: Callable[[Stubs], Any],
        request: Callable[[Sequence[str]], Any],
        answers: Callable[[Chunk, Any], Iterable[Answer]],
    ) -> None:
        """Take what a TextStream takes; `begin` makes a call without messages."""
        self._address = address
        self._timeout = timeout
        self._connection = connection
        self._begin = begin
        self._request = request
        self._answers = answers
        self._resumption = Resumption()
        self._outbox = Outbox(limits)
        self._changed = asyncio.Event()  # the outbox; whoever waits for it looks, clears and waits
        self._call: Any = None
        self._writing: asyncio.Task[None] | None = None
        self._waiting_since = 0.0  # for an answer
        self._failure: BaseException | None = None  # of the caller's iterable

    async def run(self, texts: Texts) -> AsyncGenerator[Answer, None]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        self._open()
        pulling = asyncio.create_task(self._pull(texts))
        try:
            while await self._is_in_flight():
                try:
                    response = await self._read()
                except grpc.aio.AioRpcError as error:
                    await self._resume(await self._true(error))
                    continue
                if response is grpc.aio.EOF:
                    raise ServerError("the server ended the stream before it answered everything")
                for answer in self._answers(self._answered(), response):
                    yield answer
            if self._failure is not None:
                raise self._failure
            await self._finish()
        finally:
            await self._end_call()
            await _cancel(pulling)

    def _open(self) -> None:
        stubs = self._connection.take()
        try:
            self._call = self._begin(stubs)
        except grpc.aio.UsageError as error:  # grpc's word for a closed channel
            self._connection.end(stubs)
            raise CallCancelledError("the client was closed") from error
        self._call.add_done_callback(lambda _: self._connection.end(stubs))
        self._writing = asyncio.create_task(self._write(self._call))

    async def _end_call(self) -> None:
        self._call.cancel()
        if self._writing is not None:
            await _cancel(self._writing)

    async def _is_in_flight(self) -> bool:
        """Wait until a message is on its way, or nothing more will be."""
        outbox = self._outbox
        await self._wait_until(lambda: outbox.is_in_flight or outbox.is_done)
        return outbox.is_in_flight

    async def _read(self) -> Any:
        """Read a message or the end of the stream. Raises AioRpcError or a SentidoError."""
        if self._resumption.fault is None:
            self._waiting_since = asyncio.get_running_loop().time()
        try:
            async with self._in_time():
                return await self._call.read()
        except TimeoutError as error:
            raise self._late() from error
        except asyncio.CancelledError as error:
            raise explain(error, self._address) from error

    def _in_time(self) -> asyncio.Timeout:
        """Return what raises TimeoutError when there has been no answer for too long."""
        return asyncio.timeout_at(self._waiting_since + self._timeout)

    def _late(self) -> SentidoError:
        late = stalled(self._address, self._timeout, self._outbox.offset)
        return self._resumption.fault or late

    def _answered(self) -> Chunk:
        self._resumption.answered()
        self._changed.set()
        return self._outbox.answered()

    async def _resume(self, error: grpc.aio.AioRpcError) -> None:
        """Begin a new stream with what is not answered. Raises a SentidoError if it cannot."""
        fault = self._explain(error)
        left = self._waiting_since + self._timeout - asyncio.get_running_loop().time()
        delay = self._resumption.delay(error, fault, left)
        await self._end_call()
        self._outbox.rewind()
        await asyncio.sleep(delay)
        self._open()

    async def _true(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        """Give how a call ended, where grpc.aio says only that a write met its end.

        It may say so before it is told of the end, or instead; then a new stream will tell.
        """
        for _ in range(_STATUS_LOOKS):
            if error.details() != _WRITE_FAILED:
                return error
            await asyncio.sleep(_STATUS_SECONDS)
            try:
                async with self._in_time():
                    code, details = await self._call.code(), await self._call.details()
                    metadata = await self._call.trailing_metadata()
            except TimeoutError as late:
                raise self._late() from late
            error = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details)
        details = "the stream was broken off"
        return grpc.aio.AioRpcError(
            grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details
        )

    async def _finish(self) -> None:
        """Wait for the status of a stream whose texts are all answered."""
        try:
            await self._read()
        except grpc.aio.AioRpcError as error:
            error = await self._true(error)
            if not is_break(error):
                raise self._explain(error) from error

    def _explain(self, error: grpc.aio.AioRpcError) -> SentidoError:
        return from_rpc_error(error, self._address, self._outbox.offset)

    async def _pull(self, texts: Texts) -> None:
        """Read the caller's texts as far ahead as there is room."""
        outbox = self._outbox
        try:
            async for text in _each(texts):
                outbox.add(text)
                if outbox.may_send:
                    self._changed.set()
                if not outbox.has_room:
                    await self._wait_until(lambda: outbox.has_room)
        except BaseException as error:  # raised by `run`, after the answers, unless it has ended
            self._failure = error
        finally:
            outbox.exhausted = True
            self._changed.set()

    async def _write(self, call: Any) -> None:
        """Send messages while there are any. What ends the call is for reading to say."""
        outbox = self._outbox
        try:
            while True:
                await self._wait_until(lambda: outbox.may_send or outbox.is_done)
                if not outbox.may_send:
                    await call.done_writing()
                    return
                self._changed.set()
                await call.write(self._request(outbox.send().texts))
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    async def _wait_until(self, predicate: Callable[[], bool]) -> None:
        while not predicate():
            self._changed.clear()
            await self._changed.wait()


def explain(error: BaseException, address: str, offset: int = 0) -> SentidoError | BaseException:
    """Give what to raise for an error of grpc.aio: ours, or a cancellation of the caller's task."""
    if isinstance(error, grpc.aio.AioRpcError):
        return from_rpc_error(error, address, offset)
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling():
        return CallCancelledError("the client was closed")  # which grpc.aio tells like this
    return error


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _each(texts: Texts) -> AsyncIterator[str]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
        return
    loop = asyncio.get_running_loop()
    turn = loop.time()
    for text in texts:
        yield text
        if loop.time() - turn > _LOOP_SECONDS:
            await asyncio.sleep(0)
            turn = loop.time()
