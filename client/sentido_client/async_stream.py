"""One run of StreamPredict for asyncio: texts in, answers out, in order.

A task writes the requests while the caller reads the answers; otherwise as in `stream.py`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable
from typing import Any

import grpc
import grpc.aio

from sentido_client import requests
from sentido_client.cutting import MESSAGE_TEXTS, WINDOW, Chunk, Cutter
from sentido_client.errors import DeadlineError, ServerError, from_rpc_error
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
        self._cutter = Cutter(MESSAGE_TEXTS, limits)
        self._slots = asyncio.Semaphore(WINDOW)
        self._flying = 0  # messages without an answer yet
        self._sent: asyncio.Queue[Chunk | None] = asyncio.Queue()  # None: nothing more is sent

    async def run(self, method: Any, texts: Texts) -> AsyncGenerator[Answer, None]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        call = method()
        writing = asyncio.create_task(self._write(call, texts))
        try:
            while (chunk := await self._sent.get()) is not None:
                async with asyncio.timeout(self._timeout):
                    response = await call.read()
                if response is grpc.aio.EOF:
                    raise ServerError("the server ended the stream before it answered everything")
                self._flying -= 1
                self._slots.release()
                for answer in stream_answers(chunk, response):
                    yield answer
            await writing  # raises what the iterable raised
            await call.read()  # the end of the stream; raises its status if that is not OK
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, self._address) from error
        except TimeoutError as error:
            raise DeadlineError(f"no answer on the stream for {self._timeout:g} seconds") from error
        finally:
            writing.cancel()
            call.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _write(self, call: Any, texts: Texts) -> None:
        """Feed the stream: full messages, or at once when none is on its way."""
        try:
            async for text in _each(texts):
                await self._send(call, self._cutter.add(text))
                if not self._flying:
                    await self._send(call, self._cutter.rest())
            await self._send(call, self._cutter.rest())
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the call has ended; reading it raises its status
        finally:
            self._sent.put_nowait(None)

    async def _send(self, call: Any, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            await self._slots.acquire()
            self._sent.put_nowait(chunk)
            self._flying += 1
            await call.write(requests.stream_predict(chunk.texts, self._options))


async def _each(texts: Texts) -> AsyncIterator[str]:
    if isinstance(texts, AsyncIterable):
        async for text in texts:
            yield text
    else:
        for text in texts:
            yield text
