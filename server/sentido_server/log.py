"""The process's log: lines that wait for a thread of their own to write them.

No other thread writes to the stream or waits for it: a reader that pauses, a full disk or a closed
stream costs lines, which are counted, and nothing more. `lines.py` says how a line looks.
"""

import fcntl
import itertools
import os
import resource
import select
import stat
import struct
import termios
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from sentido_server.lines import (
    MOST_TRACEBACK_CHARACTERS,
    Call,
    json_call,
    json_line,
    printable,
    shortened,
    text_call,
    text_line,
)

GOODBYE_SECONDS = 1.0  # that the last lines may take, whatever their reader does
_FLUSH_SECONDS = 0.1  # that a call's line may wait for others
_MANY_WAITING = 100  # lines of calls, which do not wait for more
_MOST_WAITING = 1500  # lines; more are dropped
_MORE_WAITING = 1800  # lines, when one that is not a call's is added: calls leave room for it
_PIECE_BYTES = 1 << 18  # that are written at once


class _Log:
    """Writes lines to a descriptor in the order they come. Lives as long as the process.

    Safe from any thread, none of which it ever blocks, but for `flush`.
    """

    def __init__(self, descriptor: int, as_json: bool) -> None:
        self._descriptor = descriptor
        is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        self._pipe_bytes = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ) if is_pipe else 0
        self._format = json_line if as_json else text_line
        self._format_call = json_call if as_json else text_call
        # An Event is set when what waited before it is written, or dropped.
        self._waiting: deque[Call | bytes | threading.Event] = deque()
        self._is_waiting = threading.Event()
        self._is_urgent = threading.Event()
        self._counting = threading.Lock()
        self._dropped = 0
        self._dropped_and_said = 0
        self._is_within_line = False  # what was written last is half a line
        threading.Thread(target=self._write_for_ever, name="log", daemon=True).start()

    @property
    def dropped(self) -> int:
        """How many lines were dropped so far."""
        return self._dropped

    def add_call(self, call: Call) -> None:
        """Add a call's line, to be written soon."""
        waiting = len(self._waiting)
        if waiting >= _MOST_WAITING:
            self._drop(1)
            return
        self._waiting.append(call)
        if not self._is_waiting.is_set():
            self._is_waiting.set()
        if waiting >= _MANY_WAITING and not self._is_urgent.is_set():
            self._is_urgent.set()

    def add(self, level: str, name: str, facts: dict[str, Any]) -> None:
        """Add a line, to be written at once."""
        self.add_text(self._format(time.time(), level, name, facts))

    def add_text(self, line: str) -> None:
        """Add a line that is formatted already, to be written at once."""
        if len(self._waiting) >= _MORE_WAITING:
            self._drop(1)
        else:
            self._add_urgent(_encoded(line))

    def flush(self, seconds: float) -> bool:
        """Wait until the lines added so far are written or dropped; return whether they are.

        Waits so many seconds at most.
        """
        written = threading.Event()
        self._add_urgent(written)
        return written.wait(max(0.0, seconds))

    def _add_urgent(self, entry: bytes | threading.Event) -> None:
        self._waiting.append(entry)
        self._is_waiting.set()
        self._is_urgent.set()

    def _drop(self, count: int) -> None:
        with self._counting:
            self._dropped += count

    def _write_for_ever(self) -> None:
        while self._is_waiting.wait():
            self._is_urgent.wait(_FLUSH_SECONDS)
            self._is_waiting.clear()
            self._is_urgent.clear()
            while self._waiting:
                self._write_notice()
                if lines := self._take(self._room()):
                    self._drop(len(lines) - self._write(lines))

    def _write_notice(self) -> None:
        """Write how many lines were dropped since it was last written, if any were."""
        if dropped := self._dropped - self._dropped_and_said:
            facts = {"lines": dropped}
            notice = self._format(time.time(), "warning", "lines dropped", facts)
            if self._write([notice.encode()]):
                self._dropped_and_said += dropped

    def _room(self) -> int:
        """Return how many bytes to write at once.

        Into a pipe what it surely takes as a whole, or what is atomic: so no half line is left in
        it if the process ends before its reader goes on. Of two neighbouring pages of a pipe one
        may be all but empty, since what does not fit into the rest of one begins another.
        """
        if not self._pipe_bytes:
            return _PIECE_BYTES
        unread: int
        (unread,) = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, bytes(4)))
        return max(select.PIPE_BUF, self._pipe_bytes - 2 * (unread + resource.getpagesize()))

    def _take(self, most: int) -> list[bytes]:
        """Take lines that wait, as many as so many bytes hold, but one at least."""
        lines: list[bytes] = []
        size = 0
        while self._waiting:
            entry = self._waiting.popleft()
            if isinstance(entry, threading.Event) and not lines:
                entry.set()
                continue
            if isinstance(entry, Call):
                entry = _encoded(self._format_call(entry))
            if isinstance(entry, threading.Event) or (lines and size + len(entry) > most):
                self._waiting.appendleft(entry)
                break
            lines.append(entry)
            size += len(entry)
        return lines

    def _write(self, lines: Sequence[bytes]) -> int:
        """Write lines; return how many of them the stream took as a whole."""
        begin = b"\n" if self._is_within_line else b""
        data = memoryview(begin + b"".join(lines))
        written = 0
        with suppress(OSError):  # no reader, no room on the disk, no stream
            while written < len(data):
                written += self._write_some(data[written:])
        if written:
            self._is_within_line = data[written - 1] != ord("\n")
        if written == len(data):
            return len(lines)
        ends = itertools.accumulate(map(len, lines[1:]), initial=len(begin) + len(lines[0]))
        return sum(end <= written for end in ends)

    def _write_some(self, data: memoryview) -> int:
        """Write what the stream takes now, which may be nothing; wait if it takes nothing now."""
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # whoever shares the stream has made it so
            room = select.poll()
            room.register(self._descriptor, select.POLLOUT)
            room.poll()
            return 0


_log: _Log | None = None


def set_up(log_format: str, descriptor: int) -> None:
    """Send the log to a descriptor, as `json`, `text`, or whichever of them suits it (`auto`)."""
    global _log
    as_json = log_format == "json" or (log_format == "auto" and not os.isatty(descriptor))
    _log = _Log(descriptor, as_json)


def event(name: str, **facts: Any) -> None:
    """Log one line, at once."""
    if _log is not None:
        _log.add("info", name, facts)


def warning(name: str, **facts: Any) -> None:
    """Log one line about what is not as it should be, at once."""
    if _log is not None:
        _log.add("warning", name, facts)


def failure(name: str, error: BaseException, **facts: Any) -> None:
    """Log one line about a bug of ours, with its traceback, at once.

    What the exception says is left out, since it may quote a text, but for ONNX Runtime's: that
    sees numbers only.
    """
    if _log is not None:
        _log.add("error", name, {**facts, "traceback": "".join(_shown(error))})


def say(message: str) -> None:
    """Write a line for people, which is the same in either format."""
    if _log is not None:
        _log.add_text(printable(shortened(message, MOST_TRACEBACK_CHARACTERS)) + "\n")


def call(line: Call) -> None:
    """Log a call's line, soon: many are written at once."""
    if _log is not None:
        _log.add_call(line)


def flush(seconds: float = GOODBYE_SECONDS) -> bool:
    """Wait until the lines logged so far are written or dropped; return whether they are.

    Waits so many seconds at most.
    """
    return _log is None or _log.flush(seconds)


def dropped() -> int:
    """Return how many lines were dropped since the start."""
    return 0 if _log is None else _log.dropped


def _encoded(line: str) -> bytes:
    return line.encode(errors="backslashreplace")


def _shown(error: BaseException) -> Iterator[str]:
    """Return the traceback of an exception and, before it, of what led to it."""
    before = error.__cause__ or error.__context__
    if before is not None:
        yield from _shown(before)
    yield from traceback.format_tb(error.__traceback__)
    kind = type(error)
    said = f": {error}" if kind.__module__.startswith("onnxruntime") else ""
    yield f"{kind.__module__}.{kind.__qualname__}{said}\n"
