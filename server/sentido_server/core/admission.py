"""Shares what is bounded between those who ask for it: memory, queued tokens, streams, threads.

A *source* is whoever must not starve the others: a connection, or, where a connection does not tell
callers apart (a Unix socket), a single call. One source alone may hold everything. While others
hold something too, whoever asks beyond an equal share is refused, and whoever asks within it is
not, even if the first source has filled everything: so all others together hold as much again.
"""

import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Protocol

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


class Left(Exception):
    """The caller has left while it waited: there is nobody to answer."""


class Waiter(Protocol):
    """A call that waits for a place, or holds one: gRPC's context is one."""

    def add_callback(self, callback: Callable[[], None]) -> bool:
        """Call back when the call ends; False: it has ended."""

    def cancel(self) -> object:
        """End the call at once."""


class Slots:
    """Places for which calls wait, in turns between their sources. Safe from any thread.

    When a call has waited for `patience` seconds, and whoever holds the most places has held one
    for as long, that one's call is ended: who stands still does not keep the others out.
    """

    def __init__(self, most: int, most_of_one: int, patience: float = float("inf")) -> None:
        """Make `most` places, of which a source holds at most `most_of_one`."""
        self._free = most
        self._most_of_one = most_of_one
        self._patience = patience
        self._lock = threading.Lock()
        self._held: dict[Source, dict[_Place, None]] = {}  # of each source, oldest first
        self._waiting: dict[Source, dict[_Place, None]] = {}  # in the order of their turns

    @contextmanager
    def place(self, source: Source, call: Waiter) -> Iterator[None]:
        """Hold a place within the block; wait for it. Raises Left if the caller leaves."""
        place = _Place(source, call)
        with self._lock:
            if self._may_hold(source):
                self._hold(place)
            else:
                self._waiting.setdefault(source, {})[place] = None
        if not place.since:
            self._wait(place)
        try:
            yield
        finally:
            with self._lock:
                self._give_back(place)

    @property
    def is_free(self) -> bool:
        """Whether any place is free."""
        return self._free > 0

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return sum(map(len, self._waiting.values()))

    def _wait(self, place: "_Place") -> None:
        is_there = place.call.add_callback(lambda: self._give_up(place))
        if not is_there:
            self._give_up(place)
        timeout = min(self._patience, threading.TIMEOUT_MAX)
        while not place.turn.acquire(timeout=timeout):
            self._end_the_oldest()
        if not place.since:
            raise Left

    def _give_up(self, place: "_Place") -> None:
        with self._lock:
            if place in (waiting := self._waiting.get(place.source, {})):
                del waiting[place]
                if not waiting:
                    del self._waiting[place.source]
                place.turn.release()

    def _end_the_oldest(self) -> None:
        """End the call that holds a place for longest, of the source that holds the most."""
        with self._lock:
            places = max(self._held.values(), key=len, default={})
            oldest = next(iter(places), None)
        if oldest is not None and time.monotonic() - oldest.since >= self._patience:
            oldest.call.cancel()

    def _may_hold(self, source: Source) -> bool:
        return self._free > 0 and len(self._held.get(source, ())) < self._most_of_one

    def _hold(self, place: "_Place") -> None:
        self._free -= 1
        place.since = time.monotonic()
        self._held.setdefault(place.source, {})[place] = None

    def _give_back(self, place: "_Place") -> None:
        self._free += 1
        held = self._held[place.source]
        del held[place]
        if not held:
            del self._held[place.source]
        for source, waiting in self._waiting.items():
            if self._may_hold(source):
                first = next(iter(waiting))
                del waiting[first], self._waiting[source]
                if waiting:
                    self._waiting[source] = waiting  # behind the others
                self._hold(first)
                first.turn.release()
                return


class _Place:
    """A place that a call waits for, or holds since some time (monotonic seconds)."""

    __slots__ = ("call", "since", "source", "turn")

    def __init__(self, source: Source, call: Waiter) -> None:
        self.source = source
        self.call = call
        self.since = 0.0
        self.turn = threading.Lock()
        self.turn.acquire()
