"""One call of grpcio's server, and what a stream of messages needs besides."""

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

import grpc

from sentido_server.core.admission import Left, source_of
from sentido_server.core.call import CallRecord, Metadata
from sentido_server.core.codec import PROTOBUF
from sentido_server.core.faults import Fault, QueueFull, Unavailable
from sentido_server.core.pipeline import Message, Outcome, Pipeline
from sentido_server.core.rpc import Rpc
from sentido_server.core.threads import Turns

_POLL_SECONDS = 0.02  # between looks of a stream at a full queue
_STREAM_WINDOW = 4  # messages of one stream that are prepared or computed at once
_STREAM_BYTES = 256 * 1024  # while messages of this size in sum are, no more are read

Requests = Iterator[bytes]
"""What a caller sends, message by message. Raises grpc.RpcError once the caller has left."""

_Sent = TypeVar("_Sent")


def received(requests: Iterator[_Sent]) -> Iterator[_Sent]:
    """Give what a caller sends, message by message. Raises Left once the caller has left.

    The call keeps the error that gRPC raises then, which would keep the frames that it went
    through, and they the call: a circle, which stays until the next collection of garbage.
    """
    try:
        yield from requests
    except grpc.RpcError as error:
        error.with_traceback(None)
        raise Left from None


class GrpcioCall:
    """One call of the server. Lives until its status is sent, or its caller has left."""

    codec = PROTOBUF

    def __init__(self, context: grpc.ServicerContext, turns: Turns) -> None:
        self._turns = turns
        self.peer: str = context.peer()
        self.source = source_of(self.peer, self)
        self.metadata: Metadata = context.invocation_metadata() or ()
        self.ended = False
        self._outcome: Outcome | None = None
        self._has_outcome = self._is_waiting = False
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._kept: set[Message] = set()  # that hold memory
        remaining = context.time_remaining()  # seconds, None without a deadline
        self._deadline = None if remaining is None else time.monotonic() + remaining

    def is_expired(self) -> bool:
        """Whether the call's deadline has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def is_cancelled(self) -> bool:
        """Whether the caller has left."""
        return self.ended

    def keep(self, message: Message) -> None:
        """Let a message hold its memory until `release`, or until the call has ended."""
        with self._lock:
            if not self.ended:
                self._kept.add(message)
                return
        message.release()

    def release(self, message: Message) -> None:
        """Let a message give its memory back, unless it has done so."""
        with self._lock:
            if message not in self._kept:
                return
            self._kept.remove(message)
        message.release()

    def end(self) -> None:
        """Note that all is sent, or that the caller has left; give all memory back."""
        with self._lock:
            self.ended = True
            kept, self._kept = self._kept, set()
        self.finish(None)
        for message in kept:
            message.release()

    def finish(self, outcome: Outcome | None) -> None:
        """Take the outcome of the one message; None: the call has ended. Only the first counts."""
        with self._lock:
            if self._has_outcome:
                return
            self._outcome, self._has_outcome = outcome, True
            if not self._is_waiting:
                return
        self._turns.wake(partial(self._woken.put, None), self.source)

    def outcome(self) -> Outcome | None:
        """Wait for the outcome; None: the call has ended."""
        with self._lock:
            if self._has_outcome:
                return self._outcome
            self._is_waiting = True
        self._turns.wait(self._woken)
        return self._outcome


def answer(outcome: Outcome | None) -> bytes:
    """Return an answer. Raises the Fault in its place, or Left."""
    if outcome is None:
        raise Left
    if isinstance(outcome, Fault):
        raise outcome
    return outcome


class _Message:
    """One message of a stream: submitted, and submitted again while the queue is full.

    It does not know its stream, which may end without having answered it: they would be a circle.
    """

    def __init__(self, stream: "Stream", body: bytes) -> None:
        self._body = body
        self._outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self._submit(stream)

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self._body)

    def _submit(self, stream: "Stream", insists: bool = False) -> None:
        self._message = stream.submit(self._body, self._outcomes.put, insists)

    def answer(self, stream: "Stream") -> bytes:
        """Wait for the answer. Raises the Fault in its place."""
        while isinstance(outcome := self._outcomes.get(), QueueFull) and not stream.ended:
            self.release(stream)
            time.sleep(_POLL_SECONDS)  # where a unary call would be refused, a stream waits
            # It must not wait for what those behind it hold. Behind a large one there are none.
            self._submit(stream, insists=self.size < _STREAM_BYTES)
        return answer(outcome)

    def release(self, stream: "Stream") -> None:
        """Give back the memory of a message whose answer is sent."""
        stream.call.release(self._message)


class _Room:
    """Bounds what was read of a stream and is not answered: in messages, and in bytes."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages = self._bytes = 0
        self._closed = False

    def wait(self) -> bool:
        """Wait until one more message may be read; tell whether it may, or all is closed."""
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or (self._messages < _STREAM_WINDOW and self._bytes < _STREAM_BYTES)
                )
            )
            return not self._closed

    def add(self, size: int) -> None:
        """Count a message of so many bytes."""
        with self._changed:
            self._messages += 1
            self._bytes += size

    def remove(self, size: int) -> None:
        """Count it no more."""
        with self._changed:
            self._messages -= 1
            self._bytes -= size
            self._changed.notify()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()


class Stream:
    """Reads ahead a few messages, so that all compute threads have work, and answers in order.

    `read` runs on a thread of its own. Lives as long as its call.
    """

    def __init__(
        self, pipeline: Pipeline, rpc: Rpc[Any], call: GrpcioCall, entry: CallRecord
    ) -> None:
        self.call = call
        self._pipeline = pipeline
        self._rpc = rpc
        self._entry = entry
        self._room = _Room()
        self._messages: SimpleQueue[_Message | Fault | None] = SimpleQueue()  # None: the end
        self._lock = threading.Lock()
        self._closed = False  # to more messages

    @property
    def ended(self) -> bool:
        """Whether there is nobody to answer any more."""
        return self.call.ended

    def submit(self, body: bytes, finish: Callable[[Outcome], None], insists: bool) -> Message:
        """Hand a message to the pipeline; one that insists is not refused for its memory."""
        message = self._pipeline.submit(self._rpc, self.call, self._entry, body, finish, insists)
        self.call.keep(message)
        return message

    def drain(self) -> None:
        """Answer what was read so far, and then no more."""
        with self._lock:
            self._closed = True
            self._messages.put(Unavailable("the server is shutting down"))

    def end(self) -> None:
        """Let the thread that reads go: the call has ended."""
        with self._lock:
            self._closed = True
        self._room.close()

    def read(self, requests: Requests) -> None:
        """Read the caller's messages to their end."""
        messages = received(requests)
        try:
            while self._room.wait() and (body := next(messages, None)) is not None:
                with self._lock:
                    if self._closed:
                        break
                    message = _Message(self, body)
                    self._room.add(message.size)
                    self._messages.put(message)
                del body, message  # while it waits for the next, it must not keep this one
        except Left:
            pass
        finally:
            self._messages.put(None)

    def answers(self) -> Iterator[bytes]:
        """Return the answers in the order of the messages.

        Raises the Fault that ends the stream, or Left.
        """
        while (message := self._messages.get()) is not None:
            if isinstance(message, Fault):
                raise message
            yield message.answer(self)
            message.release(self)
            self._room.remove(message.size)
        if self.ended:
            raise Left
