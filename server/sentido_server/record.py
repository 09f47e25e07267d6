"""The log: one line a call, and the server's own few lines. Never a text of a request.

JSON when standard error is not a terminal, else a line for people. A line has the time, the level,
the event and its facts. The lines of calls are written a moment later, many at once: a write a line
would cost more than a small call does.
"""

import atexit
import json
import re
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from google.rpc import code_pb2

from sentido_server.access import Metadata
from sentido_server.metrics import STAGES, Marks, Metrics, TextCounts
from sentido_server.rpc import Plan

if TYPE_CHECKING:
    from sentido_server.tracing import Tracing

_FLUSH_SECONDS = 0.1
_MOST_MARKS = 100  # messages of a stream whose stages become spans
_MOST_WAITING = 1000  # lines; whoever adds one more writes them, and waits for a slow reader
_CODES = {number: name for name, number in code_pb2.Code.items()}
_TRACEPARENT = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_to_json = json.JSONEncoder(ensure_ascii=False).encode


class _Call(NamedTuple):
    """What a call's line says."""

    when: float  # seconds since the epoch
    rpc: str
    code: int
    milliseconds: float
    texts: int
    tokens: int
    stages: tuple[float, ...]  # seconds, as in STAGES
    model: str | None
    peer: str
    trace_id: str | None


class _Log:
    """Writes lines to a stream in the order they come. Safe from any thread."""

    def __init__(self, stream: TextIO, as_json: bool) -> None:
        self._stream = stream
        self._format = _json_line if as_json else _text_line
        self._format_call = _json_call if as_json else _text_call
        self._waiting: deque[tuple[float, str, str, Mapping[str, Any]] | _Call] = deque()
        self._is_waiting = threading.Event()
        self._writing = threading.Lock()
        threading.Thread(target=self._flush_often, name="log", daemon=True).start()

    def add(self, line: "tuple[float, str, str, Mapping[str, Any]] | _Call") -> None:
        """Add a line, to be written soon: time, level, event and facts, or a call."""
        self._waiting.append(line)
        if len(self._waiting) >= _MOST_WAITING:
            self.flush()
        elif not self._is_waiting.is_set():
            self._is_waiting.set()

    def flush(self) -> None:
        """Write what waits; what the stream does not take is lost."""
        with self._writing:
            self._is_waiting.clear()
            waiting = [self._waiting.popleft() for _ in range(len(self._waiting))]
            lines = "".join(
                self._format_call(line) if isinstance(line, _Call) else self._format(*line)
                for line in waiting
            )
            # Whoever adds a line may be computing: no reader, or a full disk, must not end it.
            with suppress(OSError):
                self._stream.write(lines)
                self._stream.flush()

    def _flush_often(self) -> None:
        while self._is_waiting.wait():
            time.sleep(_FLUSH_SECONDS)
            self.flush()


_log: _Log | None = None


def set_up(log_format: str, stream: TextIO = sys.stderr) -> None:
    """Send the log to `stream`, as `json`, `text`, or whichever of them suits it (`auto`)."""
    global _log
    _log = _Log(stream, log_format == "json" or (log_format == "auto" and not stream.isatty()))
    atexit.register(_log.flush)


def event(name: str, **facts: Any) -> None:
    """Write one line, at once."""
    if _log is not None:
        _log.add((time.time(), "info", name, facts))
        _log.flush()


def warning(name: str, **facts: Any) -> None:
    """Write one line about what is not as it should be, at once."""
    if _log is not None:
        _log.add((time.time(), "warning", name, facts))
        _log.flush()


def failure(name: str, error: BaseException, **facts: Any) -> None:
    """Write one line about a bug of ours, with its traceback, at once.

    What the exception says is left out, since it may quote a text, but for ONNX Runtime's: that
    sees numbers only.
    """
    if _log is not None:
        _log.add((time.time(), "error", name, {**facts, "traceback": "".join(_shown(error))}))
        _log.flush()


def _shown(error: BaseException) -> Iterator[str]:
    """Give the traceback of an exception and, before it, of what led to it."""
    before = error.__cause__ or error.__context__
    if before is not None:
        yield from _shown(before)
    yield from traceback.format_tb(error.__traceback__)
    kind = type(error)
    said = f": {error}" if kind.__module__.startswith("onnxruntime") else ""
    yield f"{kind.__module__}.{kind.__qualname__}{said}\n"


@dataclass(slots=True)
class CallRecord:
    """What one call's line will say. Lives as long as the call; safe from any thread."""

    rpc: str
    peer: str
    metadata: Metadata = ()
    metrics: Metrics | None = None
    tracing: "Tracing | None" = None
    started: float = field(default_factory=time.monotonic)
    model: str | None = None
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
                self.model = plan.bundle.name
        return texts, tokens, unknown, truncated

    def take_back(self, counts: TextCounts) -> None:
        """Count texts no more that were not admitted."""
        with self._lock:
            self.texts -= counts[0]
            self.tokens -= counts[1]

    def end_message(self, marks: Marks, counts: TextCounts) -> None:
        """Add what the stages of one message took; `counts`: what `add` gave for it."""
        began, tokenized, taken, computed, ended = marks
        with self._lock:
            tokenize, queue, infer, encode = self.stages
            self.stages = (
                tokenize + (tokenized - began),
                queue + (taken - tokenized),
                infer + (computed - taken),
                encode + (ended - computed),
            )
            if self.tracing is not None and len(self.marks) < _MOST_MARKS:
                self.marks = (*self.marks, marks)
        if self.metrics is not None:
            self.metrics.add_message(marks, counts)

    def _trace_id(self, code: int) -> str | None:
        """Make the call's spans if it is traced; give the id of its trace, or of its caller's."""
        if self.tracing is not None:
            try:
                return self.tracing.end(self, code)
            except Exception as error:  # it must not end the thread that computed the answer
                failure("tracing failed", error, rpc=self.rpc)
                return None
        for key, value in self.metadata:
            if key == "traceparent" and (found := _TRACEPARENT.match(str(value))):
                return found[1]
        return None

    def write(self, code: int) -> None:
        """Count the call, make its spans, and write its line, soon."""
        seconds = time.monotonic() - self.started
        if self.metrics is not None:
            self.metrics.add_call(self.rpc, code, seconds)
        trace_id = self._trace_id(code)
        if _log is not None:
            _log.add(
                _Call(
                    time.time(),
                    self.rpc,
                    code,
                    seconds * 1000,
                    self.texts,
                    self.tokens,
                    self.stages,
                    self.model,
                    self.peer,
                    trace_id,
                )
            )


def _json_call(call: _Call) -> str:
    """Format a call's line: what `_json_line` would give, without its general encoder."""
    tokenize, queue, infer, encode = call.stages
    trace = f', "trace_id": "{call.trace_id}"' if call.trace_id else ""
    return (
        f'{{"time": "{_time(call.when)}", "level": "info", "event": "call", "rpc": "{call.rpc}",'
        f' "code": "{_CODES[call.code]}", "milliseconds": {call.milliseconds:.3f},'
        f' "texts": {call.texts}, "tokens": {call.tokens},'
        f' "tokenize_milliseconds": {tokenize * 1000:.3f},'
        f' "queue_milliseconds": {queue * 1000:.3f},'
        f' "infer_milliseconds": {infer * 1000:.3f},'
        f' "encode_milliseconds": {encode * 1000:.3f},'
        f' "model": {_quoted(call.model)}, "peer": {_quoted(call.peer)}{trace}}}\n'
    )


def _text_call(call: _Call) -> str:
    facts = {**call._asdict(), "code": _CODES[call.code]}
    facts["milliseconds"] = round(call.milliseconds, 3)
    facts["stages"] = "+".join(f"{seconds * 1000:.3f}" for seconds in call.stages)
    return _text_line(facts.pop("when"), "info", "call", facts)


_quoted = lru_cache(maxsize=1024)(_to_json)


def _json_line(when: float, level: str, name: str, facts: Mapping[str, Any]) -> str:
    return _to_json({"time": _time(when), "level": level, "event": name, **facts}) + "\n"


def _text_line(when: float, level: str, name: str, facts: Mapping[str, Any]) -> str:
    shown = " ".join(f"{k}={v}" for k, v in facts.items() if v is not None and k != "traceback")
    loud = "" if level == "info" else level.upper() + ": "
    line = f"{_time(when)[11:23]} {loud}{name} {shown}".rstrip()
    return f"{line}\n{facts.get('traceback', '')}"


def _time(when: float) -> str:
    """Give a time as in 2026-11-22T09:30:00.123+00:00; the digits up to the second are reused."""
    return f"{_second(int(when))}.{int(when % 1 * 1000):03d}+00:00"


@lru_cache(maxsize=1)
def _second(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%S")
