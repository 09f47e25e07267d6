"""A call as its transport knows it, and its record: what log, metrics and spans are made of.

The record never holds a text of a request.
"""

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sentido_server import log
from sentido_server.core.codec import Codec
from sentido_server.core.counting import STAGES, Marks, Metrics, TextCounts
from sentido_server.core.rpc import Plan
from sentido_server.lines import Call as CallLine

Metadata = Iterable[tuple[str, str | bytes]]
"""What a caller sends beside its request: keys in lower case, bytes for those that end in -bin."""

Trailer = tuple[tuple[str, str], ...]
"""What a call ends with beside its status."""

_MOST_MARKS = 100  # messages of a stream whose stages become spans
_TRACEPARENT = re.compile(  # W3C's: its version, the trace's id, the parent's, flags
    "(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-|$)"
)
_SAMPLED = 1  # of these flags
_ASKS_TIMINGS = ("sentido-timings", "1")  # what a caller sends to be told; so is the trailer called


class Call(Protocol):
    """One call as its transport knows it."""

    peer: str
    codec: Codec

    @property
    def metadata(self) -> Metadata:
        """What the caller sent beside the request."""

    def is_expired(self) -> bool:
        """Whether the call's deadline has passed."""

    def is_cancelled(self) -> bool:
        """Whether the caller has left."""


class Tracer(Protocol):
    """Makes the spans of calls that have ended."""

    def end(self, entry: "CallRecord", code: int) -> str | None:
        """Make the spans of a call; return the id of its trace if it is sampled."""


@dataclass(slots=True)
class CallRecord:
    """What one call's line will say. Lives as long as the call; safe from any thread."""

    rpc: str
    peer: str
    metadata: Metadata = ()
    metrics: Metrics | None = None
    tracing: Tracer | None = None
    started: float = field(default_factory=time.monotonic)
    model: str | None = None
    version: str | None = None
    texts: int = 0
    tokens: int = 0
    stages: tuple[float, ...] = (0.0,) * len(STAGES)  # seconds that each took, of all messages
    marks: tuple[Marks, ...] = ()  # of the first messages, for spans
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, plan: Plan) -> TextCounts:
        """Count a plan's texts; give what `end_message` wants to know of them."""
        tokens = unknown = truncated = 0
        for encoding in plan.encodings:
            tokens += encoding.token_count
            unknown += encoding.out_of_vocabulary_count
            truncated += encoding.truncated_token_count > 0
        texts = len(plan.encodings)
        with self._lock:
            self.texts += texts
            self.tokens += tokens
            if plan.bundle is not None:
                self.model, self.version = plan.bundle.name, plan.bundle.version
        return (self.model or "", self.version or ""), texts, tokens, unknown, truncated

    def take_back(self, counts: TextCounts) -> None:
        """Count texts no more that were not admitted."""
        with self._lock:
            self.texts -= counts[1]
            self.tokens -= counts[2]

    def end_message(self, marks: Marks, counts: TextCounts) -> None:
        """Add what the stages of one message took; `counts`: what `add` gave for it."""
        began, tokenized, taken, computed, ended = marks
        with self._lock:
            tokenize, queue, compute, encode = self.stages
            self.stages = (
                tokenize + (tokenized - began),
                queue + (taken - tokenized),
                compute + (computed - taken),
                encode + (ended - computed),
            )
            if self.tracing is not None and len(self.marks) < _MOST_MARKS:
                self.marks = (*self.marks, marks)
        if self.metrics is not None:
            self.metrics.add_message(marks, counts)

    def timings(self) -> Trailer:
        """Return the trailer that says what each stage took, in µs; none if nobody asks for it.

        Of a call whose messages are all finished.
        """
        if _ASKS_TIMINGS not in self.metadata:
            return ()
        stages = zip(STAGES, self.stages, strict=True)
        taken = ", ".join(f"{stage}={round(seconds * 1e6)}" for stage, seconds in stages)
        return ((_ASKS_TIMINGS[0], taken),)

    def _trace_id(self, code: int) -> str | None:
        """Make the call's spans if it is traced; return the id of its trace, or of its caller's.

        None if neither is sampled: nobody could find a trace by that id.
        """
        if self.tracing is not None:
            try:
                if trace_id := self.tracing.end(self, code):
                    return trace_id
            except Exception as error:  # it must not end the thread that computed the answer
                log.failure("tracing failed", error, rpc=self.rpc)
        for key, value in self.metadata:
            if key == "traceparent" and (found := _TRACEPARENT.match(str(value))):
                return found[1] if int(found[2], 16) & _SAMPLED else None
        return None

    def write(self, code: int, refusal: str = "") -> None:
        """Count the call, make its spans, and write its line, soon.

        `refusal`: why it was refused, if it was, as in counting.REFUSALS.
        """
        seconds = time.monotonic() - self.started
        if self.metrics is not None:
            self.metrics.add_call(self.rpc, code, seconds, refusal)
        trace_id = self._trace_id(code)
        log.call(
            CallLine(
                time.time(),
                self.rpc,
                code,
                seconds * 1000,
                self.texts,
                self.tokens,
                self.stages,
                self.model,
                self.version,
                self.peer,
                trace_id,
            )
        )
