"""One run of StreamPredict or StreamEmbed for the client that blocks: texts in, answers out.

The caller's iterable is read on a thread of its own, a little ahead, so that a slow source does
not hold back answers; gRPC takes the messages on a thread of its own; a third receives the answers,
because gRPC's wait for one has no time limit, so that the caller's thread waits no longer than the
stream's timeout. What is sent when is the outbox's to say. A stream that breaks goes on in a new
one, from the first text without an answer.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import grpc

from sentido_client.channel import Stubs
from sentido_client.chunking import WINDOW, Chunk
from sentido_client.connection import Connection
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


class TextStream(Generic[Answer]):
    """Used once. Lives from the first answer asked for until the last, or until it is closed."""

    def __init__(
        self,
        address: str,
        limits: Limits,
        timeout: float,
        connection: Connection,
        begin: Callable[[Stubs, Iterator[Any]], Any],
        request: Callable[[Sequence[str]], Any],
        answers: Callable[[Chunk, Any], Iterable[Answer]],
    ) -> None:
        """`timeout`: seconds without an answer after which the stream fails; may be infinite.

        `begin`: makes the call of messages; `request` makes these of texts, `answers` reads those
        that come back.
        """
        self._address = address
        self._timeout = timeout
        self._connection = connection
        self._begin = begin
        self._request = request
        self._answers = answers
        self._resumption = Resumption()
        self._process = os.getpid()
        # Reentrant: Python may collect a generator that its caller forgot, and so close the stream,
        # on any thread at any time, also on one of the stream's own that holds the lock.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)  # to read ahead
        self._work = threading.Condition(self._lock)  # to send, or room for what is received
        self._news = threading.Condition(self._lock)  # for the caller's thread
        self._ended = False
        self._outbox = Outbox(limits)
        self._inbox: deque[Any] = deque()  # messages, and how the call ended: an error or None
        self._call: Any = None
        self._number = 0  # of the call: what an older one sends or receives does not count
        self._waiting_since = 0.0  # for an answer
        self._failure: BaseException | None = None  # of the caller's iterable

    def run(self, texts: Iterable[str]) -> Generator[Answer, None, None]:
        """Give an answer a text. Raises what the iterable raises, or a SentidoError."""
        try:
            self._open()
            _start("sentido-read", self._pull, texts)
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
        messages = self._messages(self._number)
        stubs, self._call = self._connection.begin(lambda stubs: self._begin(stubs, messages))
        _start("sentido-receive", self._receive, stubs, self._call, self._number)

    def _close(self) -> None:
        if self._process != os.getpid():
            leave_behind(self._call)
            return
        with self._lock:
            self._ended = True
            self._room.notify_all()
            self._work.notify_all()
            self._news.notify_all()
        if self._call is not None:
            self._call.cancel()

    def _has_more(self) -> bool:
        """Wait until there is something to wait for; whether anything will yet be answered."""
        if self._process != os.getpid():
            raise CallCancelledError("this process was forked from the one that has the stream")
        outbox, inbox = self._outbox, self._inbox
        with self._lock:
            self._news.wait_for(
                lambda: outbox.may_send or outbox.is_in_flight or outbox.is_done or inbox
            )
            return outbox.is_in_flight or not outbox.is_done

    def _read(self) -> Any:
        """Wait for a message; None at the end. Raises grpc.RpcError, or SentidoError when late."""
        if self._resumption.fault is None:
            self._waiting_since = time.monotonic()
        with self._lock:
            self._news.wait_for(lambda: self._inbox, min(self._left(), threading.TIMEOUT_MAX))
            if not self._inbox:
                late = stalled(self._address, self._timeout, self._outbox.offset)
                raise self._resumption.fault or late
            response = self._inbox.popleft()
        if isinstance(response, BaseException):
            raise response
        return response

    def _left(self) -> float:
        """Return the seconds until the timeout."""
        return self._waiting_since + self._timeout - time.monotonic()

    def _answered(self) -> Chunk:
        self._resumption.answered()
        with self._lock:
            if not self._outbox.is_in_flight:
                raise ServerError("the server answered more than it was asked")
            chunk = self._outbox.answered()
            self._work.notify_all()
            return chunk

    def _resume(self, error: Any) -> None:
        """Begin a new stream with what is not answered. Raises a SentidoError if it cannot."""
        outbox = self._outbox
        delay = self._resumption.delay(error, self._explain(error), self._left())
        with self._lock:
            self._number += 1
            self._inbox.clear()
            outbox.rewind()
            self._work.notify_all()  # the thread that feeds the old call
            if not outbox.may_send:  # an idle stream may break: nobody waits for it
                self._resumption.answered()
                self._news.wait_for(lambda: outbox.may_send or outbox.is_done)
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
        return from_rpc_error(error, self._address, self._outbox.offset)

    def _pull(self, texts: Iterable[str]) -> None:
        """Read the caller's texts, on a thread of its own, as far ahead as there is room."""
        outbox = self._outbox
        try:
            for text in texts:
                with self._lock:
                    outbox.add(text)
                    if outbox.may_send:
                        self._work.notify_all()
                        self._news.notify_all()
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
                self._news.notify_all()

    def _messages(self, number: int) -> Iterator[Any]:
        """Feed a call, on gRPC's thread."""
        while (chunk := self._next_chunk(number)) is not None:
            yield self._request(chunk.texts)

    def _next_chunk(self, number: int) -> Chunk | None:
        """Wait for something to send and for room to send it; None at the end."""
        outbox = self._outbox
        with self._lock:
            self._work.wait_for(lambda: self._is_over(number) or outbox.may_send or outbox.is_done)
            if self._is_over(number) or not outbox.may_send:
                return None
            chunk = outbox.send()
            self._room.notify_all()
            return chunk

    def _receive(self, stubs: Stubs, call: Any, number: int) -> None:
        """Put what a call receives into the inbox, and how it ended, on a thread of its own."""
        try:
            for response in call:
                if not self._deliver(response, number):
                    return
            self._deliver(None, number)
        except BaseException as error:  # a grpc.RpcError; the caller's thread raises it
            self._deliver(error, number)
        finally:
            self._connection.end(stubs)

    def _deliver(self, response: Any, number: int) -> bool:
        """Wait for room and add to the inbox; False if the call is over."""
        with self._lock:
            self._work.wait_for(lambda: self._is_over(number) or len(self._inbox) < WINDOW)
            if self._is_over(number):
                return False
            self._inbox.append(response)
            self._news.notify_all()
            return True

    def _is_over(self, number: int) -> bool:
        """Whether a call is not the stream's any more."""
        return self._ended or number != self._number


_left_behind: list[Any] = []


def leave_behind(connection: Any) -> None:
    """Keep what a fork has copied from being taken down: gRPC would wait for threads not copied."""
    _left_behind.append(connection)


def _start(name: str, body: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(name=name, target=body, args=arguments, daemon=True).start()
