"""Shares what is bounded between those who ask for it: memory, queued tokens, streams, threads.

A *source* is whoever must not starve the others: a connection, or, where a connection does not tell
callers apart (a Unix socket), a single call. One source alone may hold everything. While others
hold something too, whoever asks beyond an equal share is refused, and whoever asks within it is
not, even if the first source has filled everything: so all others together hold as much again.
"""

import threading
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

Source = Hashable


def source_of(peer: str, call: object) -> Source:
    """Return whom a call's share is counted for, from what gRPC says of its peer."""
    return id(call) if peer.startswith("unix:") else peer


class Allowance:
    """So much of something, held in parts by sources. Safe from any thread."""

    def __init__(self, most: int) -> None:
        """Bound what all sources hold together: `most`, in any unit."""
        self.most = most
        self._lock = threading.Lock()
        self._held: dict[Source, int] = {}
        self._total = 0

    @property
    def held(self) -> int:
        """What all sources hold now."""
        return self._total

    def has_room(self, source: Source, amount: int = 0) -> bool:
        """Whether the source may hold `amount` more; 0: whether it may hold anything more.

        Something larger than the bound is let in while nothing else is held.
        """
        if self._total == 0:
            return True
        wanted = max(1, amount)
        if self._total + wanted <= self.most:
            return True
        held = self._held.get(source, 0)
        sources = len(self._held) + (held == 0)
        is_share = held + wanted <= self.most // sources
        return is_share and self._total + wanted - max(self._held.values()) <= self.most

    def take(self, source: Source, amount: int) -> bool:
        """Hold `amount` more for a source if there is room; tell whether there was."""
        with self._lock:
            if not self.has_room(source, amount):
                return False
            self._add(source, amount)
            return True

    def add(self, source: Source, amount: int) -> None:
        """Hold `amount` more for a source, or with a negative amount less, whatever is held."""
        with self._lock:
            self._add(source, amount)

    def _add(self, source: Source, amount: int) -> None:
        self._total += amount
        held = self._held.get(source, 0) + amount
        if held:
            self._held[source] = held
        else:
            self._held.pop(source, None)


class Slots:
    """Places for which callers wait, in turns between their sources. Safe from any thread.

    One source holds at most three quarters of them, so that it cannot keep the others out by
    holding on to what it has.
    """

    def __init__(self, most: int) -> None:
        """Make `most` places, at least 2."""
        self._free = max(2, most)
        self._most_of_one = max(1, self._free * 3 // 4)
        self._lock = threading.Lock()
        self._held: dict[Source, int] = {}
        self._waiting: dict[Source, deque[threading.Lock]] = {}  # in the order of their turns

    @contextmanager
    def place(self, source: Source) -> Iterator[None]:
        """Hold a place within the block; wait for it."""
        with self._lock:
            waits = not self._may_hold(source)
            if waits:
                turn = threading.Lock()
                turn.acquire()
                self._waiting.setdefault(source, deque()).append(turn)
            else:
                self._hold(source)
        if waits:
            turn.acquire()  # released by whoever hands on a place
        try:
            yield
        finally:
            with self._lock:
                self._give_back(source)

    @property
    def waiting(self) -> int:
        """How many callers wait for a place."""
        return sum(len(turns) for turns in self._waiting.values())

    def _may_hold(self, source: Source) -> bool:
        return self._free > 0 and self._held.get(source, 0) < self._most_of_one

    def _hold(self, source: Source) -> None:
        self._free -= 1
        self._held[source] = self._held.get(source, 0) + 1

    def _give_back(self, source: Source) -> None:
        self._free += 1
        self._held[source] -= 1
        if not self._held[source]:
            del self._held[source]
        for other in self._waiting:
            if self._may_hold(other):
                self._hold(other)
                turns = self._waiting.pop(other)
                turns.popleft().release()
                if turns:
                    self._waiting[other] = turns  # behind the others
                return
