"""The one set of rules by which every RPC runs, on every transport.

A transport gives a `Call` and the bytes of a request; the pipeline parses, prepares, admits,
computes, replies and encodes, and finishes each message exactly once: with the bytes of a response,
or with a Fault. It knows nothing of grpcio.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from sentido_bundle import MissingCapabilityError

from sentido_server import log
from sentido_server.core.admission import Allowance, source_of
from sentido_server.core.batcher import Batcher, BatchLimits, BatchStats, Closed, Dropped, Full
from sentido_server.core.call import Call, CallRecord, Metadata, Tracer
from sentido_server.core.counting import Metrics, TextCounts
from sentido_server.core.faults import (
    Cancelled,
    DeadlineExceeded,
    Fault,
    Internal,
    MissingCapability,
    QueueFull,
    Unavailable,
)
from sentido_server.core.registry import Registry
from sentido_server.core.rpc import Item, Lane, Plan, RequestLimits, Result, Rpc, Serving, run
from sentido_server.core.threads import FairThreads

Outcome = bytes | Fault
Finish = Callable[[Outcome], None]
"""Takes the outcome of a message. It may keep it until it is told to flush, by the same thread."""

_MANY = 32  # items; an answer of more is put together off the compute threads
_MESSAGE_BYTES = 4 * 1024  # that any message takes until its answer is sent
_ROW_BYTES = 2 * 1024  # that each text or word of a message takes besides what it was sent as
_RETRY_SECONDS = 0.1
_NO_TEXTS: TextCounts = (("", ""), 0, 0, 0, 0)
_LOADING = Serving(Registry(()), RequestLimits(0, 0, 0), "", is_ready=False)
_IS_LOADING = "the server is loading its models"
_SHUTTING_DOWN = "the server is shutting down"


class Access(Protocol):
    """Says who may call what."""

    asks: bool  # for a credential; else only calls of admin RPCs need a look

    def check(self, rpc: str, admin: bool, metadata: Metadata) -> None:
        """Raise Unauthenticated or PermissionDenied unless the call may go on."""


class Pipeline:
    """Runs RPCs on a fixed number of compute threads. Lives as long as the server."""

    def __init__(
        self,
        threads: int,
        limits: BatchLimits,
        access: Access,
        metrics: Metrics | None = None,
        tracing: Tracer | None = None,
        memory: int = 2**30,
    ) -> None:
        """Make the threads. `memory`: bytes that messages may take, from parsing to sending."""
        self._access = access
        self._metrics = metrics
        self._tracing = tracing
        self._batcher: Batcher[Item, Result] = Batcher(
            run,
            threads=threads,
            limits=limits,
            after_batch=self._flush,
            goes_alone=lambda item: item.graph.runs_alone,
        )
        self._flushes: list[Callable[[], None]] = []
        self._slow = FairThreads(threads, "prepare")
        self._admin = FairThreads(1, "admin")
        self._memory = Allowance(memory)
        self._abandoned = threading.Event()
        self._serving = _LOADING
        self._draining = False

    def flush_with(self, flush: Callable[[], None]) -> None:
        """Call `flush` whenever a thread has finished a number of messages.

        Sending the answers of a batch together costs a transport much less than one by one.
        """
        self._flushes.append(flush)

    def open(self, serving: Serving) -> None:
        """Answer from `serving` from now on; what has begun is finished with what it began with."""
        self._serving = serving

    def drain(self) -> None:
        """Refuse new calls from now on; what was accepted is finished."""
        self._draining = True

    def abandon(self) -> None:
        """Compute nothing more of what waits: nobody will get the answers."""
        self._abandoned.set()

    @property
    def counts(self) -> BatchStats:
        """What was computed so far: texts, tokens, padding, and what was dropped before."""
        return self._batcher.counts

    @property
    def queued_tokens(self) -> int:
        """How many tokens wait to be computed."""
        return self._batcher.queued

    def has_room(self, entry: CallRecord) -> bool:
        """Whether the queue would take a message of the call now."""
        return self._batcher.has_room(source_of(entry.peer, entry))

    def check_room(self, rpc: Rpc[Any], entry: CallRecord) -> None:
        """Raise QueueFull if a message of the call would be refused: it need not be received."""
        if rpc.lane is Lane.COMPUTE and not self.has_room(entry):
            raise _queue_full(self._batcher.full())

    def close(self) -> None:
        """Finish what waits and was not abandoned, and wait for the compute threads to end."""
        self._admin.close()
        self._slow.close()
        self._batcher.close()

    def begin(self, rpc: Rpc[Any], call: Call) -> CallRecord:
        """Accept a call. Logs it and raises a Fault if it may not be made, or not now."""
        entry = CallRecord(
            rpc.path, call.peer, call.metadata, metrics=self._metrics, tracing=self._tracing
        )
        try:
            is_probe, is_admin = rpc.lane is Lane.PROBE, rpc.lane is Lane.ADMIN
            is_ready = self._serving.is_ready and not self._draining
            if not (is_probe or is_ready):
                raise Unavailable(_SHUTTING_DOWN if self._draining else _IS_LOADING)
            if is_admin or (self._access.asks and not is_probe):
                self._access.check(rpc.name, is_admin, call.metadata)
        except Fault as fault:
            entry.write(fault.code, fault.refusal)
            raise
        return entry

    def submit(
        self,
        rpc: Rpc[Any],
        call: Call,
        entry: CallRecord,
        body: bytes,
        finish: Finish,
        insists: bool = False,
    ) -> "Message":
        """Answer one message. `finish` is called once, on this thread or another.

        One that insists is not refused for its memory. The transport must `release` what is
        returned once the answer is sent, or will not be.
        """
        insists = insists or rpc.lane is Lane.PROBE
        message = Message(rpc, call, entry, finish, self._abandoned, self._memory, insists)
        if rpc.lane is Lane.COMPUTE and not self._batcher.has_room(message.source):
            message.fail(self._batcher.full())
            self._flush()
        elif rpc.lane is Lane.ADMIN:
            self._admin.submit(message.source, lambda: self._start(message, body))
        elif not message.hold(_MESSAGE_BYTES + rpc.bytes_per_byte * len(body)):
            message.fail(self._no_memory())
            self._flush()
        elif len(body) <= rpc.small and rpc.lane is not Lane.SLOW:
            self._start(message, body)
        else:
            self._slow.submit(message.source, lambda: self._start(message, body))
        return message

    def _no_memory(self) -> QueueFull:
        size, most = self._memory.held >> 20, self._memory.most >> 20
        return QueueFull(
            f"the queue is full: messages take {size} MiB, {most} may be taken, in equal shares;"
            " try again",
            _RETRY_SECONDS,
            "memory",
        )

    def _start(self, message: "Message", body: bytes) -> None:
        """Parse, prepare, and queue what is to be computed."""
        message.started = time.monotonic()
        try:
            message.check_wanted()
            serving = self._serving
            if self._draining:  # which probes are told
                serving = replace(serving, is_ready=False)
            most = serving.limits.max_texts
            request = message.call.codec.decode(message.rpc.request, body, most)
            if not message.hold(_ROW_BYTES * message.rpc.rows(request)):
                raise self._no_memory()
            plan = message.rpc.prepare(serving, request)
            message.counts = message.entry.add(plan)
            message.prepared = time.monotonic()
            if not plan.items:
                message.taken = message.computed = message.prepared
                message.reply(request, plan, [])
                return
            self._queue(message, request, plan)
        except Exception as error:
            message.fail(error)
        finally:
            self._flush()

    def _queue(self, message: "Message", request: Any, plan: Plan) -> None:
        items = [(item, item.graph.cost(item.encoding.ids)) for item in plan.items]
        results = _ResultCollector(message, request, plan, self._reply)
        try:
            self._batcher.submit(items, results.add, message.is_given_up, message.source)
        except Full:
            message.entry.take_back(message.counts)
            message.counts = _NO_TEXTS
            raise

    def _reply(
        self, message: "Message", request: Any, plan: Plan, results: Sequence[Result]
    ) -> None:
        """Put an answer together: a long one where it keeps no compute thread from its work."""
        if len(results) <= _MANY:
            message.reply(request, plan, results)
            return

        def reply() -> None:
            message.reply(request, plan, results)
            self._flush()

        self._slow.submit(message.source, reply)

    def _flush(self) -> None:
        for flush in self._flushes:
            flush()


class Message:
    """One message on its way to its answer. Made by `Pipeline.submit`."""

    def __init__(
        self,
        rpc: Rpc[Any],
        call: Call,
        entry: CallRecord,
        finish: Finish,
        abandoned: threading.Event,
        memory: Allowance,
        insists: bool,
    ) -> None:
        self.rpc = rpc
        self.entry = entry
        self.source = source_of(entry.peer, entry)
        self._memory = memory
        self._insists = insists
        self._held = 0  # bytes
        self._keepers = [True, False]  # of them: until it is finished, and until it is released
        self.call = call
        self._finish = finish
        self._abandoned = abandoned
        # When a stage ended; the first when it began. 0: not yet.
        self.started = self.prepared = self.taken = self.computed = 0.0
        self.counts = _NO_TEXTS

    def hold(self, size: int) -> bool:
        """Take so many bytes more of the memory for messages; tell whether they are there."""
        if self._insists:
            self._memory.add(self.source, size)
        elif not self._memory.take(self.source, size):
            return False
        self._held += size
        return True

    def release(self) -> None:
        """Give back its memory, once it is finished too. Called once, when its answer is sent."""
        if self._keepers.pop():  # the last of the two
            self._memory.add(self.source, -self._held)

    def is_dropped(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.call.is_expired() or self.call.is_cancelled() or self._abandoned.is_set()

    def is_given_up(self) -> bool:
        """Say so of an item whose turn has come, and count it."""
        if not self.taken:
            self.taken = time.monotonic()
        if not self.is_dropped():
            return False
        if (metrics := self.entry.metrics) is not None:
            is_left = "cancelled" if self.call.is_cancelled() else "shutdown"
            metrics.add_dropped("deadline" if self.call.is_expired() else is_left)
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
            response = self.call.codec.encode(self.rpc.reply(request, plan, results))
        except Exception as error:
            self.fail(error)
        else:
            self._end(response)

    def fail(self, error: Exception) -> None:
        """Answer with a Fault: the one raised, or that of what went wrong."""
        self._end(self._fault(error).bare())

    def _end(self, outcome: Outcome) -> None:
        """Note what each stage took, up to the one that it ended in, and finish."""
        now = time.monotonic()
        prepared, taken, computed = self.prepared or now, self.taken or now, self.computed or now
        self.entry.end_message((self.started or now, prepared, taken, computed, now), self.counts)
        self.release()  # first: whoever gets the outcome may send the next message at once
        self._finish(outcome)

    def _fault(self, error: Exception) -> Fault:
        match error:
            case Fault():
                return error
            case MissingCapabilityError():
                return MissingCapability(str(error), error.model, error.capability)
            case Full():
                return _queue_full(error)
            case Closed():
                return Unavailable(_SHUTTING_DOWN)
            case Dropped() if self.call.is_expired():
                return DeadlineExceeded("the deadline passed before the call was computed")
            case Dropped():
                return Cancelled("the caller left before the call was computed")
        return internal(error, self.entry.rpc)


def _queue_full(full: Full) -> QueueFull:
    return QueueFull(f"the queue is full: {full} tokens; try again", _RETRY_SECONDS, "queue")


def internal(error: Exception, rpc: str) -> Internal:
    """Give the Fault of a bug: the caller gets an id, the log everything."""
    error_id = secrets.token_hex(8)
    log.failure("internal error", error, id=error_id, rpc=rpc)
    return Internal(error_id)


class _ResultCollector:
    """Collects the results of one message's items, which come in any order, from any thread."""

    def __init__(
        self, message: Message, request: Any, plan: Plan, reply: Callable[..., None]
    ) -> None:
        self._message = message
        self._reply = reply
        self._request = request
        self._plan = plan
        self._lock = threading.Lock()
        self._missing = len(plan.items)
        self._results: dict[int, Result] = {}
        self._error: Exception | None = None

    def add(self, index: int, result: Result | Exception) -> None:
        """Take one result; the last one makes the answer."""
        if len(self._plan.items) == 1 and not isinstance(result, Exception):
            self._reply(self._message, self._request, self._plan, [result])
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
        self._reply(self._message, self._request, self._plan, results)
