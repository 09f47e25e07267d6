"""The transport on pygrpc-native: HTTP/2 and gRPC in Rust, outside the GIL.

Unary RPCs of ours arrive at its low-level front, in batches, on one thread. Everything else
(streams, health, reflection, unknown methods) goes through the front to a grpcio server on a Unix
socket behind it. The extra `sentido-server[native]` installs the package.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Self

from google.rpc import code_pb2
from pygrpc_native import EVENT_CANCEL, NativeGrpcFront

from sentido_server import log
from sentido_server.address import LONGEST_PATH
from sentido_server.core.call import CallRecord, Metadata, Trailer
from sentido_server.core.codec import PROTOBUF
from sentido_server.core.faults import Cancelled, DeadlineExceeded, Fault, MessageTooLarge
from sentido_server.core.pipeline import Outcome, Pipeline, internal
from sentido_server.core.rpc import Rpc
from sentido_server.transports.socket_folder import SocketFolder

_Details = tuple[Metadata, str, float | None]  # peer, and the seconds left
_MOST_EVENTS = 64  # taken from the front at once
_POLL_SECONDS = 0.01


class NativeCall:
    """One unary call on the front. Lives until it is answered."""

    __slots__ = ("_deadline", "_id", "_transport", "cancelled", "entry", "metadata", "peer")

    codec = PROTOBUF
    entry: CallRecord

    def __init__(self, transport: "NativeFront", id: int, details: _Details) -> None:
        self.metadata, self.peer, time_remaining = details
        self.cancelled = False
        self._transport = transport
        self._id = id
        self._deadline = None if time_remaining is None else time.monotonic() + time_remaining

    def is_expired(self) -> bool:
        """Whether the call's deadline has passed."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def is_cancelled(self) -> bool:
        """Whether the caller has left, which the front also says of one whose deadline passed."""
        return self.cancelled

    def finish(self, outcome: Outcome) -> None:
        """Answer the call. From any thread, once."""
        self._transport.finish(self._id, self, outcome)


class NativeFront:
    """Answers unary RPCs on a front of its own. Lives as long as the server."""

    def __init__(
        self,
        pipeline: Pipeline,
        listen: str,
        rpcs: Sequence[Rpc[Any]],
        *,
        max_message_bytes: int,
        max_connection_calls: int,
        max_metadata_bytes: int,
    ) -> None:
        """Bind `listen`. Raises OSError or ValueError."""
        self._pipeline = pipeline
        self._rpcs = rpcs
        self._max_message_bytes = max_message_bytes
        self._calls: dict[int, NativeCall] = {}  # unanswered, by the front's id
        self._outcomes: deque[tuple[int, NativeCall, Outcome]] = deque()  # to be sent by a flush
        self._responses = 0  # handed to the front, which sends them later
        self._lock = threading.Lock()
        self._closing = False
        self._folder = SocketFolder()
        self.fallback = self._folder.socket
        try:
            if len(os.fsencode(self.fallback)) > LONGEST_PATH:
                raise ValueError(
                    f"the path of a socket has at most {LONGEST_PATH} bytes, and {self.fallback}"
                    " has more: set TMPDIR to a folder with a shorter path"
                )
            paths = [(f"/{rpc.service}/{rpc.name}", False) for rpc in self._rpcs]
            self._front = NativeGrpcFront(
                listen,
                paths,
                call_details=True,
                metrics=True,
                io_threads=1,
                max_concurrent_streams=max_connection_calls,
                max_metadata_size=max_metadata_bytes,
            )
        except BaseException:
            self._folder.remove()
            raise
        pipeline.flush_with(self._flush)
        self._thread = threading.Thread(target=self._receive, name="front", daemon=True)

    @property
    def port(self) -> int:
        """The port that was bound."""
        return self._front.bound_port

    def start(self) -> Self:
        """Take calls from now on; the server behind listens on `fallback` by now."""
        self._front.set_fallback(str(self.fallback))
        self._front.start()
        self._thread.start()
        return self

    @property
    def open_calls(self) -> int:
        """Calls that have no status yet."""
        return len(self._calls)

    def drain(self, seconds: float) -> bool:
        """Let accepted calls finish and be sent; return whether all were answered in time.

        What is answered is sent later, on a thread of the front. The pipeline drains already.
        """
        end = time.monotonic() + seconds
        are_answered = self._wait_until(lambda: not self._calls, seconds)
        self._wait_until(self._all_sent, end - time.monotonic())
        return are_answered

    def close(self, seconds: float) -> None:
        """Send what was answered, for so long at most, then close every connection."""
        self._wait_until(self._all_sent, seconds)
        self._closing = True
        self._front.close()
        self._thread.join()
        self._folder.remove()

    def _receive(self) -> None:
        """Take calls and cancellations from the front until it is closed. Nothing ends this."""
        while True:
            try:
                events = self._front.recv_batch_details(_MOST_EVENTS)
            except Exception as error:
                log.failure("the front failed", error)
                time.sleep(_POLL_SECONDS)
                continue
            if events is None:
                if not self._closing:
                    raise RuntimeError("the front has ended by itself")
                return
            for kind, id, method, body, _, details in events:
                if body is not None and details is not None:
                    self._begin(id, self._rpcs[method], body, details)
                elif kind == EVENT_CANCEL and (call := self._calls.get(id)) is not None:
                    call.cancelled = True

    def _begin(self, id: int, rpc: Rpc[Any], body: bytes, details: _Details) -> None:
        call = NativeCall(self, id, details)
        try:
            call.entry = self._pipeline.begin(rpc, call)
            self._calls[id] = call
            if len(body) > self._max_message_bytes:
                raise MessageTooLarge(len(body), self._max_message_bytes)
            message = self._pipeline.submit(rpc, call, call.entry, body, call.finish)
            message.release()  # what is answered is the front's
        except Fault as fault:
            self._refuse(id, fault)
        except Exception as error:  # else the call would stay unanswered
            self._refuse(id, internal(error, f"{rpc.service}/{rpc.name}"))

    def _refuse(self, id: int, fault: Fault) -> None:
        if (call := self._calls.get(id)) is not None:
            call.finish(fault)
            self._flush()
        else:
            self._fail(id, fault)

    def finish(self, id: int, call: NativeCall, outcome: Outcome) -> None:
        """Answer a call with the next flush."""
        self._outcomes.append((id, call, outcome))

    def _flush(self) -> None:
        """Answer what is finished, all at once, so that it leaves in few packets; then log it."""
        answered = []
        while self._outcomes:
            try:
                id, call, outcome = self._outcomes.popleft()
            except IndexError:  # another thread was faster
                break
            refusal = outcome.refusal if isinstance(outcome, Fault) else ""
            answered.append((id, call, self._answer(id, call, outcome), refusal))
        if answered:
            with self._lock:
                self._responses += sum(code == code_pb2.OK for _, _, code, _ in answered)
        for id, call, code, refusal in answered:
            self._calls.pop(id, None)
            call.entry.write(code, refusal)

    def _answer(self, id: int, call: NativeCall, outcome: Outcome) -> int:
        """Answer a call, for which it may be too late; give its status code."""
        try:
            if isinstance(outcome, Fault):
                self._fail(id, outcome, call.entry.timings())
                return int(outcome.code)
            if self._front.respond(id, outcome, trailing_metadata=call.entry.timings() or None):
                return int(code_pb2.OK)
        except Exception as error:  # it must not end the thread that computed the answer
            log.failure("an answer cannot be sent", error, rpc=call.entry.rpc)
            return int(code_pb2.INTERNAL)
        return int((DeadlineExceeded if call.is_expired() else Cancelled).code)

    def _fail(self, id: int, fault: Fault, timings: Trailer = ()) -> None:
        details = ("grpc-status-details-bin", fault.status().SerializeToString())
        self._front.fail(id, fault.code, fault.message, [details, *timings])

    def _all_sent(self) -> bool:
        """Whether nothing is left to send but the refusals of calls that still come."""
        metrics = self._front.metrics()
        assert metrics is not None
        methods = metrics["methods"].values()
        started = sum(method["started"] for method in methods)
        ended = sum(status["count"] for method in methods for status in method["status"].values())
        sent = sum(method["status"].get(code_pb2.OK, {"count": 0})["count"] for method in methods)
        return bool(started == ended or sent >= self._responses)

    def _wait_until(self, condition: Any, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not (done := condition()) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        return bool(done)
