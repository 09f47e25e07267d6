"""One run of StreamPredict or StreamEmbed for the client that blocks: texts in, answers out.

The caller's iterable is read on a thread of its own, a little ahead, so that a slow source does
not hold back answers; gRPC takes the messages on a thread of its own; the caller's thread reads the
answers. What is sent when is the outbox's to say. A stream that breaks goes on in a new one, from
the first text without an answer.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import grpc

from sentido_client.cutting import Chunk
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

Answer = TypeVar("Answer")

_CANCEL_SECONDS = 0.1


class TextStream(Generic[Answer]):
    """Used once. Lives from the first answer asked for until the last, or until it is closed."""

    def __init__(
        self,
        address: str,
        limits: Limits,
        timeout: float,
        method: Any,
        request: Callable[[Sequence[str]], Any],
        answers: Callable[[Chunk, Any], Iterable[Answer]],
    ) -> None:
        """`timeout`: seconds without an answer to anything sent after which the stream fails.

        `method`: the RPC's stub; `request` makes its messages of texts, `answers` reads those that
        come back.
        """
        self._address = address
        self._timeout = timeout
        self._method = method
        self._request = request
        self._answers = answers
        self._resumption = Resumption()
        # Reentrant: Python may collect a generator that its caller forgot, and so close the stream,
        # on any thread at any time, also on one of the stream's own that holds the lock.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)  # to read ahead
        self._work = threading.Condition(self._lock)  # to send, or to be answered
        self._end = threading.Condition(self._lock)
        self._ended = False
        self._outbox = Outbox(limits)
        self._call: Any = None
        self._number = 0  # of the call: what an older one would send is not sent
        self._waiting_since: float | None = None  # for an answer
        self._stalled = False
        self._failure: BaseException | None = None  # of the caller's iterable

    def run(self, texts: Iterable[str]) -> Generator[Answer, None, None]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        try:
            self._open()
            _start("sentido-read", self._pull, texts)
            _start("sentido-watch", self._watch)
            while self._has_more():
                try:
                    response = self._read()
                except grpc.RpcError as error:
                    self._resume(error)
                    continue
                if response is None:
                    raise ServerError("the server ended the stream before it answered everything")
                yield from self._answers(self._answered(), response)
            if self._failure is not None:
                raise self._failure
            self._finish()
        finally:
            self._close()

    def _open(self) -> None:
        try:
            self._call = self._method(self._messages(self._number))
        except ValueError as error:  # grpc's word for a closed channel
            raise CallCancelledError("the client was closed") from error
        self._call.add_done_callback(self._wake)

    def _wake(self, _: Any) -> None:
        with self._lock:
            self._work.notify_all()

    def _close(self) -> None:
        with self._lock:
            self._ended = True
            self._room.notify_all()
            self._work.notify_all()
            self._end.notify_all()
        if self._call is not None:
            self._call.cancel()

    def _has_more(self) -> bool:
        """Wait until there is something to read; whether anything will yet be answered."""
        outbox, call = self._outbox, self._call
        with self._lock:
            self._work.wait_for(lambda: outbox.is_flying or outbox.is_done or call.done())
            return outbox.is_flying or not outbox.is_done

    def _read(self) -> Any:
        """Wait for a message; None at the end of the stream."""
        if self._resumption.fault is None:
            self._waiting_since = time.monotonic()
        response = next(self._call, None)
        self._waiting_since = None
        return response

    def _answered(self) -> Chunk:
        self._resumption.answered()
        with self._lock:
            chunk = self._outbox.answered()
            self._work.notify_all()
            return chunk

    def _resume(self, error: Any) -> None:
        """Begin a new stream with what is not answered. Raises a SentidoError if it cannot."""
        outbox = self._outbox
        assert self._waiting_since is not None  # it was read when it broke
        left = self._waiting_since + self._timeout - time.monotonic()
        delay = self._resumption.delay(error, self._explain(error), left)
        with self._lock:
            self._number += 1
            outbox.rewind()
            self._work.notify_all()  # the thread that feeds the old call
            if not outbox.may_send:  # an idle stream may break: nobody waits for it
                self._resumption.answered()
                self._waiting_since = None
                self._work.wait_for(lambda: outbox.may_send or outbox.is_done)
        if not outbox.is_done:
            time.sleep(delay)
            self._open()

    def _finish(self) -> None:
        """Wait for the status of a stream whose texts are all answered."""
        try:
            self._read()
        except grpc.RpcError as error:
            if not is_break(error):
                raise self._explain(error) from error

    def _explain(self, error: Any) -> SentidoError:
        """Give what to raise for the end of a call."""
        if not self._stalled:
            return from_rpc_error(error, self._address, self._outbox.offset)
        return self._resumption.fault or stalled(self._address, self._timeout, self._outbox.offset)

    def _pull(self, texts: Iterable[str]) -> None:
        """Read the caller's texts, on a thread of its own, as far ahead as there is room."""
        outbox = self._outbox
        try:
            for text in texts:
                with self._lock:
                    outbox.add(text)
                    if outbox.may_send:
                        self._work.notify_all()
                    while not (outbox.has_room or self._ended):
                        self._room.wait()
                if self._ended:
                    return
        except BaseException as error:  # the caller's thread raises it, after the answers
            self._failure = error
        finally:
            with self._lock:
                outbox.exhausted = True
                self._work.notify_all()

    def _messages(self, number: int) -> Iterator[Any]:
        """Feed a call, on gRPC's thread."""
        while (chunk := self._next_chunk(number)) is not None:
            yield self._request(chunk.texts)

    def _next_chunk(self, number: int) -> Chunk | None:
        """Wait for something to send and for room to send it; None at the end."""
        outbox = self._outbox

        def is_over() -> bool:
            return self._ended or number != self._number

        with self._lock:
            self._work.wait_for(lambda: is_over() or outbox.may_send or outbox.is_done)
            if is_over() or not outbox.may_send:
                return None
            chunk = outbox.send()
            self._room.notify_all()
            self._work.notify_all()
            return chunk

    def _watch(self) -> None:
        """Cancel the call when what was sent, or its end, goes without an answer for too long."""
        left = self._timeout
        while not self._has_ended(left):
            since = self._waiting_since
            left = self._timeout if since is None else since + self._timeout - time.monotonic()
            if left <= 0:
                self._stalled = True
                self._call.cancel()
                left = _CANCEL_SECONDS  # again: a new call may just have begun

    def _has_ended(self, seconds: float) -> bool:
        """Wait for the end of the stream for so long; whether it came."""
        with self._lock:
            return self._end.wait_for(lambda: self._ended, seconds)


def _start(name: str, body: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(name=name, target=body, args=arguments, daemon=True).start()
