"""One run of StreamPredict for asyncio: texts in, answers out, in order.

Tasks read the caller's texts and write the messages while the caller reads the answers; otherwise
as in `stream.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

import grpc
import grpc.aio

from sentido_client import requests
from sentido_client.cutting import Chunk
from sentido_client.errors import (
    CallCancelledError,
    DeadlineError,
    SentidoError,
    ServerError,
    from_rpc_error,
)
from sentido_client.outbox import Outbox
from sentido_client.results import Limits
from sentido_client.stream import Answer, stream_answers

Texts = Iterable[str] | AsyncIterable[str]


class AsyncPredictStream:
    """Used once. Lives from the first answer asked for until the last, or until it is closed."""

    def __init__(
        self, address: str, limits: Limits, timeout: float, options: requests.Options
    ) -> None:
        """`timeout`: seconds without an answer to anything sent after which the stream fails."""
        self._address = address
        self._timeout = timeout
        self._options = options
        self._changed = asyncio.Condition()
        self._outbox = Outbox(limits)
        self._failure: BaseException | None = None  # of the caller's iterable

    async def run(self, method: Any, texts: Texts) -> AsyncGenerator[Answer, None]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        call = method()
        tasks = [asyncio.create_task(self._pull(texts)), asyncio.create_task(self._write(call))]
        try:
            while await self._is_flying():
                response = await self._read(call)
                if response is grpc.aio.EOF:
                    raise ServerError("the server ended the stream before it answered everything")
                chunk = self._outbox.answered()
                await self._notify()
                for answer in stream_answers(chunk, response):
                    yield answer
            if self._failure is not None:
                raise self._failure
            await self._read(call)  # the end of the stream; raises its status if that is not OK
        finally:
            call.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, call: Any) -> Any:
        """Read a message or the end of the stream. Raises a SentidoError."""
        try:
            async with asyncio.timeout(self._timeout):
                return await call.read()
        except TimeoutError as error:
            raise DeadlineError(
                f"no answer from {self._address} on the stream for {self._timeout:g} seconds"
            ) from error
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            raise explain(error, self._address, self._outbox.offset) from error

    async def _is_flying(self) -> bool:
        """Wait until a message is on its way, or nothing more will be."""
        async with self._changed:
            outbox = self._outbox
            await self._changed.wait_for(lambda: outbox.is_flying or outbox.is_done)
            return outbox.is_flying

    async def _pull(self, texts: Texts) -> None:
        """Read the caller's texts as far ahead as there is room."""
        try:
            async for text in _each(texts):
                async with self._changed:
                    self._outbox.add(text)
                    self._changed.notify_all()
                    await self._changed.wait_for(lambda: self._outbox.has_room)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # raised by `run`, after the answers
            self._failure = error
        finally:
            self._outbox.exhausted = True
            await self._notify()

    async def _write(self, call: Any) -> None:
        """Send messages while there are any. What ends the call is for reading to say."""
        try:
            while (chunk := await self._next_chunk()) is not None:
                await call.write(requests.stream_predict(chunk.texts, self._options))
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    async def _next_chunk(self) -> Chunk | None:
        """Wait for something to send and for room to send it; None at the end."""
        outbox = self._outbox
        async with self._changed:
            await self._changed.wait_for(lambda: outbox.may_send or outbox.is_done)
            if not outbox.may_send:
                return None
            self._changed.notify_all()
            return outbox.send()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def explain(error: BaseException, address: str, offset: int = 0) -> SentidoError | BaseException:
    """Give what to raise for an error of grpc.aio: ours, or a cancellation of the caller's task."""
    if isinstance(error, grpc.aio.AioRpcError):
        return from_rpc_error(error, address, offset)
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and not task.cancelling():
        return CallCancelledError("the client was closed")  # which grpc.aio tells like this
    return error


async def _each(texts: Texts) -> AsyncIterator[str]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
        return
    for text in texts:
        yield text
        await asyncio.sleep(0)  # a plain iterable must not keep the event loop to itself
