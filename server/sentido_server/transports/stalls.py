"""Ends calls whose caller has stood still for too long in the middle of a message.

gRPC puts no bound on how long a message may be on its way, in either direction, and each one holds
a thread and memory. A stream between two messages may be silent for as long as it likes.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_LOOKS = 4  # within the time that a caller has


class Cancellable(Protocol):
    """A call that can be ended from any thread."""

    def cancel(self) -> object:
        """End the call at once."""


class Stalls:
    """Watches calls on a thread of its own, from its making until `close`."""

    def __init__(self, seconds: float) -> None:
        """Give each message so many seconds."""
        self._seconds = seconds
        self._began: dict[Cancellable, float] = {}
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="stalls", daemon=True).start()

    @contextmanager
    def watched(self, call: Cancellable) -> Iterator[None]:
        """End the call if the block takes too long."""
        self.begin(call)
        try:
            yield
        finally:
            self.end(call)

    def begin(self, call: Cancellable) -> None:
        """End the call if it takes too long until `end`."""
        self._began[call] = time.monotonic()

    def end(self, call: Cancellable) -> None:
        """Watch the call no more."""
        self._began.pop(call, None)

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()

    def _watch(self) -> None:
        while not self._closed.wait(self._seconds / _LOOKS):
            late = time.monotonic() - self._seconds
            for call, began in self._began.copy().items():
                if began < late:
                    call.cancel()
                    self.end(call)
