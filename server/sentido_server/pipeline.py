"""The one set of rules by which every RPC runs, on every transport.

A transport gives a `Call` and the bytes of a request; the pipeline parses, admits, prepares,
computes, replies and encodes on a compute thread, and finishes the call exactly once: with the
bytes of a response, or with a Fault. It knows nothing of grpcio.
"""

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from google.rpc import code_pb2

from sentido_server import record
from sentido_server.faults import (
    Cancelled,
    DeadlineExceeded,
    Fault,
    Internal,
    QueueFull,
    Unavailable,
)
from sentido_server.parse import parse
from sentido_server.record import CallRecord
from sentido_server.rpc import Rpc, State, run

Outcome = bytes | Fault

_RETRY_SECONDS = 0.1


class Call(Protocol):
    """One call as its transport knows it."""

    peer: str

    def is_expired(self) -> bool:
        """Whether the call's deadline has passed."""

    def is_cancelled(self) -> bool:
        """Whether the caller has left."""


class Pipeline:
    """Runs RPCs on a fixed number of compute threads. Lives as long as the server."""

    def __init__(self, threads: int, max_pending: int) -> None:
        """`max_pending`: messages that may wait or be computed at once; more are refused."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="compute")
        self._max_pending = max_pending
        self._pending = 0
        self._lock = threading.Lock()
        self._state: State | None = None
        self._refusal: str | None = "the server is loading its models"

    def open(self, state: State) -> None:
        """Start to answer calls from `state`."""
        self._state = state
        self._refusal = None

    def drain(self) -> None:
        """Refuse new calls from now on; what was accepted is finished."""
        self._refusal = "the server is shutting down"

    def close(self) -> None:
        """Wait for the compute threads to end."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def begin(self, rpc: Rpc[Any], call: Call) -> CallRecord:
        """Accept a call. Raises Unavailable, and logs the call, if the server is not serving."""
        entry = CallRecord(f"{rpc.service}/{rpc.name}", call.peer)
        if self._refusal is not None:
            entry.write(code_pb2.UNAVAILABLE)
            raise Unavailable(self._refusal)
        return entry

    def check_serving(self) -> None:
        """Raise Unavailable if a stream should not go on."""
        if self._refusal is not None:
            raise Unavailable(self._refusal)

    def submit(
        self,
        rpc: Rpc[Any],
        call: Call,
        entry: CallRecord,
        body: bytes,
        finish: Callable[[Outcome], None],
    ) -> None:
        """Answer one message. `finish` is called once, on this thread or a compute thread."""
        with self._lock:
            admitted = self._pending < self._max_pending
            self._pending += admitted
        if not admitted:
            finish(
                QueueFull(
                    f"{self._max_pending} calls are waiting already, try again later",
                    _RETRY_SECONDS,
                )
            )
            return
        self._threads.submit(self._work, rpc, call, entry, body, finish)

    def _work(
        self,
        rpc: Rpc[Any],
        call: Call,
        entry: CallRecord,
        body: bytes,
        finish: Callable[[Outcome], None],
    ) -> None:
        try:
            outcome = self._answer(rpc, call, entry, body)
        finally:
            with self._lock:
                self._pending -= 1
        finish(outcome)

    def _answer(self, rpc: Rpc[Any], call: Call, entry: CallRecord, body: bytes) -> Outcome:
        try:
            if call.is_expired():
                raise DeadlineExceeded("the deadline passed before the call was computed")
            if call.is_cancelled():
                raise Cancelled("the caller left before the call was computed")
            assert self._state is not None  # begin() let the call pass
            request = parse(rpc.request, body)
            plan = rpc.prepare(self._state, request)
            entry.add(plan)
            results = run(plan.items) if plan.items else []
            return rpc.reply(request, plan, results).SerializeToString()
        except Fault as fault:
            return fault
        except Exception as error:  # a bug: the caller gets an id, the log everything
            error_id = secrets.token_hex(8)
            record.failure("internal error", error, id=error_id, rpc=entry.rpc)
            return Internal(error_id)
