"""The one set of rules by which every RPC runs, on every transport.

A transport gives a `Call` and the bytes of a request; the pipeline parses, prepares, admits,
computes, replies and encodes, and finishes each message exactly once: with the bytes of a response,
or with a Fault. It knows nothing of grpcio.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

from sentido_server import log
from sentido_server.access import Access, Metadata
from sentido_server.batcher import Batcher, Closed, Counts, Dropped, Full, Limits
from sentido_server.faults import (
    Cancelled,
    DeadlineExceeded,
    Fault,
    Internal,
    QueueFull,
    Unavailable,
)
from sentido_server.metrics import Metrics, TextCounts
from sentido_server.parse import parse
from sentido_server.record import CallRecord
from sentido_server.rpc import Item, Plan, Result, Rpc, State, run

if TYPE_CHECKING:
    from sentido_server.tracing import Tracing

Outcome = bytes | Fault
Finish = Callable[[Outcome], None]
"""Takes the outcome of a message. It may keep it until it is told to flush, by the same thread."""

_SMALL = 4096  # bytes; a larger request is parsed and tokenized off the transport's thread
_BYTES_A_TOKEN = 6  # about: an English word and a space
_RETRY_SECONDS = 0.1
_NO_TEXTS: TextCounts = (0, 0, 0, 0)
_LOADING = "the server is loading its models"
_SHUTTING_DOWN = "the server is shutting down"


class Call(Protocol):
    """One call as its transport knows it."""

    peer: str

    @property
    def metadata(self) -> Metadata:
        """What the caller sent beside the request."""

    def is_expired(self) -> bool:
        """Whether the call's deadline has passed."""

    def is_cancelled(self) -> bool:
        """Whether the caller has left."""


class Pipeline:
    """Runs RPCs on a fixed number of compute threads. Lives as long as the server."""

    def __init__(
        self,
        threads: int,
        limits: Limits,
        access: Access,
        metrics: Metrics | None = None,
        tracing: "Tracing | None" = None,
    ) -> None:
        self._access = access
        self._metrics = metrics
        self._tracing = tracing
        self._batcher: Batcher[Item, Result] = Batcher(
            run, threads=threads, limits=limits, after_batch=self._flush
        )
        self._flushes: list[Callable[[], None]] = []
        self._preparing = ThreadPoolExecutor(threads, thread_name_prefix="prepare")
        self._admin = ThreadPoolExecutor(1, thread_name_prefix="admin")
        self._preparing_bytes = 0  # of requests
        self._most_preparing_bytes = _BYTES_A_TOKEN * limits.queued
        self._lock = threading.Lock()
        self._abandoned = threading.Event()
        self._state: State | None = None
        self._draining = False

    def flush_with(self, flush: Callable[[], None]) -> None:
        """Call `flush` whenever a thread has finished a number of messages.

        Sending the answers of a batch together costs a transport much less than one by one.
        """
        self._flushes.append(flush)

    def open(self, state: State) -> None:
        """Answer from `state` from now on; what has begun is finished with what it began with."""
        self._state = state

    def drain(self) -> None:
        """Refuse new calls from now on; what was accepted is finished."""
        self._draining = True

    def abandon(self) -> None:
        """Compute nothing more of what waits: nobody will get the answers."""
        self._abandoned.set()

    @property
    def counts(self) -> Counts:
        """What was computed so far: texts, tokens, padding, and what was dropped before."""
        return self._batcher.counts

    @property
    def queued_tokens(self) -> int:
        """How many tokens wait to be computed."""
        return self._batcher.queued

    def has_room(self) -> bool:
        """Whether the queue would take a message now."""
        return self._batcher.has_room and self._preparing_bytes < self._most_preparing_bytes

    def close(self) -> None:
        """Finish what waits and was not abandoned, and wait for the threads to end."""
        self._admin.shutdown()
        self._preparing.shutdown()
        self._batcher.close()

    def begin(self, rpc: Rpc[Any], call: Call) -> CallRecord:
        """Accept a call. Logs it and raises a Fault if it may not be made, or not now."""
        entry = CallRecord(
            rpc.path, call.peer, call.metadata, metrics=self._metrics, tracing=self._tracing
        )
        try:
            if self._draining or self._state is None:
                raise Unavailable(_SHUTTING_DOWN if self._draining else _LOADING)
            if rpc.admin or self._access.asks:
                self._access.check(rpc.name, rpc.admin, call.metadata)
        except Fault as fault:
            entry.write(fault.code)
            raise
        return entry

    def submit(
        self, rpc: Rpc[Any], call: Call, entry: CallRecord, body: bytes, finish: Finish
    ) -> None:
        """Answer one message. `finish` is called once, on this thread or another."""
        message = _Message(rpc, call, entry, finish, self._abandoned)
        if rpc.queues and not self.has_room():
            message.fail(self._full())
            self._flush()
        elif rpc.admin:
            self._admin.submit(self._start, message, body)
        elif len(body) <= _SMALL and not rpc.blocking:
            self._start(message, body)
        else:
            self._count_preparing(len(body))
            self._preparing.submit(self._start, message, body, len(body))

    def _count_preparing(self, size: int) -> None:
        with self._lock:
            self._preparing_bytes += size

    def _full(self) -> QueueFull:
        """Say what is full: what waits to be computed, or what is being tokenized."""
        if self._batcher.has_room:
            size, most = self._preparing_bytes, self._most_preparing_bytes
            return _queue_full(f"{size} bytes are being tokenized, {most} may")
        return _queue_full(f"{self._batcher.full()} tokens")

    def _start(self, message: "_Message", body: bytes, counted: int = 0) -> None:
        """Parse, prepare, and queue what is to be computed. `counted` bytes are being prepared."""
        message.started = time.monotonic()
        try:
            try:
                message.check_wanted()
                assert self._state is not None  # begin() let the call pass
                request = parse(message.rpc.request, body)
                plan = message.rpc.prepare(self._state, request)
            finally:  # before the answer: who gets it may call again at once
                if counted:
                    self._count_preparing(-counted)
            message.counts = message.entry.add(plan)
            message.prepared = time.monotonic()
            if not plan.items:
                message.taken = message.computed = message.prepared
                message.reply(request, plan, [])
                return
            items = [(item, max(1, item.encoding.token_count)) for item in plan.items]
            try:
                self._batcher.submit(
                    items, _Gather(message, request, plan).add, message.is_given_up
                )
            except Full:
                message.entry.take_back(message.counts)
                message.counts = _NO_TEXTS
                raise
        except Exception as error:
            message.fail(error)
        finally:
            self._flush()

    def _flush(self) -> None:
        for flush in self._flushes:
            flush()


class _Message:
    """One message on its way to its answer."""

    def __init__(
        self,
        rpc: Rpc[Any],
        call: Call,
        entry: CallRecord,
        finish: Finish,
        abandoned: threading.Event,
    ) -> None:
        self.rpc = rpc
        self.entry = entry
        self._call = call
        self._finish = finish
        self._abandoned = abandoned
        # When a stage ended; the first when it began. 0: not yet.
        self.started = self.prepared = self.taken = self.computed = 0.0
        self.counts = _NO_TEXTS

    def is_dropped(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._call.is_expired() or self._call.is_cancelled() or self._abandoned.is_set()

    def is_given_up(self) -> bool:
        """Say so of an item whose turn has come, and count it."""
        if not self.taken:
            self.taken = time.monotonic()
        if not self.is_dropped():
            return False
        if (metrics := self.entry.metrics) is not None:
            is_left = "cancelled" if self._call.is_cancelled() else "shutdown"
            metrics.add_dropped("deadline" if self._call.is_expired() else is_left)
        return True

    def check_wanted(self) -> None:
        """Raise Dropped if nobody waits for the answer any more."""
        if self.is_dropped():
            raise Dropped("given up before it was computed")

    def reply(self, request: Any, plan: Plan, results: Sequence[Result]) -> None:
        """Answer."""
        if not self.computed:
            self.computed = time.monotonic()
        try:
            response = self.rpc.reply(request, plan, results).SerializeToString()
        except Exception as error:
            self.fail(error)
        else:
            self._end(response)

    def fail(self, error: Exception) -> None:
        """Answer with a Fault: the one raised, or that of what went wrong."""
        self._end(self._fault(error))

    def _end(self, outcome: Outcome) -> None:
        """Note what each stage took, up to the one that it ended in, and finish."""
        now = time.monotonic()
        prepared, taken, computed = self.prepared or now, self.taken or now, self.computed or now
        self.entry.end_message((self.started or now, prepared, taken, computed, now), self.counts)
        self._finish(outcome)

    def _fault(self, error: Exception) -> Fault:
        match error:
            case Fault():
                return error
            case Full():
                return _queue_full(f"{error} tokens")
            case Closed():
                return Unavailable(_SHUTTING_DOWN)
            case Dropped() if self._call.is_expired():
                return DeadlineExceeded("the deadline passed before the call was computed")
            case Dropped():
                return Cancelled("the caller left before the call was computed")
        return internal(error, self.entry.rpc)


def _queue_full(why: str) -> QueueFull:
    return QueueFull(f"the queue is full: {why}; try again", _RETRY_SECONDS)


def internal(error: Exception, rpc: str) -> Internal:
    """Give the Fault of a bug: the caller gets an id, the log everything."""
    error_id = secrets.token_hex(8)
    log.failure("internal error", error, id=error_id, rpc=rpc)
    return Internal(error_id)


class _Gather:
    """Collects the results of one message's items, which come in any order, from any thread."""

    def __init__(self, message: _Message, request: Any, plan: Plan) -> None:
        self._message = message
        self._request = request
        self._plan = plan
        self._lock = threading.Lock()
        self._missing = len(plan.items)
        self._results: dict[int, Result] = {}
        self._error: Exception | None = None

    def add(self, index: int, result: Result | Exception) -> None:
        """Take one result; the last one makes the answer."""
        if len(self._plan.items) == 1 and not isinstance(result, Exception):
            self._message.reply(self._request, self._plan, [result])
            return
        with self._lock:
            self._missing -= 1
            if isinstance(result, Exception):
                self._error = self._error or result
            else:
                self._results[index] = result
            is_last = self._missing == 0
        if not is_last:
            return
        if self._error is not None:
            self._message.fail(self._error)
            return
        results = [self._results[index] for index in range(len(self._results))]
        self._message.reply(self._request, self._plan, results)
