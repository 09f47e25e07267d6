"""Fills compute threads with batches of items of near size, as soon as a thread is free.

Knows nothing of gRPC, ONNX or text: it is handed any blocking `run(items) -> results` and a size
for each item (tokens, here). It adds no delay: a free thread takes an item at once, then the
waiting items nearest to its size, up to a budget of padded size and a bound on padding. Sources
take turns: each batch begins with the oldest item of the source whose turn it is. So an item waits
for at most as many batches as its own source has items before it, times the sources that wait,
whatever its size.
"""

import threading
from bisect import bisect_left, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sentido_server.core.admission import Allowance, Source
from sentido_server.core.histogram import Histogram

Item = TypeVar("Item")
Result = TypeVar("Result")


class Full(Exception):
    """The queue holds as much as it accepts."""


class Closed(Exception):
    """The batcher takes no more items."""


class Dropped(Exception):
    """The item was given up by its caller before it was computed."""


class BadResults(Exception):
    """`run` gave another number of results than it was given items."""


@dataclass(frozen=True)
class BatchLimits:
    """What a batch and the queue may hold, in the unit of the items' sizes."""

    rows: int  # items a batch
    budget: int  # rows times the longest item of a batch
    padding: float  # share of a batch's padded size that may be padding, 0 to 1
    queued: int  # while items of this size in sum wait, no more are accepted (see `Allowance`)
    least_rows: int = 1  # so many items may be in a batch whatever the budget


@dataclass
class BatchStats:
    """What was done so far, in items and in the unit of their sizes."""

    batches: int = 0
    items: int = 0  # computed, or failed with their batch
    size: int = 0  # of these items
    padding: int = 0  # computed beside them, to make rows of a batch equally long
    dropped: int = 0  # items that their callers had given up
    rows: Histogram = field(default_factory=lambda: Histogram((1, 2, 4, 8, 16)))  # of a batch
    padded: Histogram = field(  # size of a batch, with padding
        default_factory=lambda: Histogram((16, 32, 64, 128, 256, 512, 1024, 2048, 4096))
    )


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Item, Result]):
    source: Source
    item: Item
    size: int
    index: int  # among those that were submitted with it
    done: Callable[[int, Result | Exception], None]
    is_dropped: Callable[[], bool]
    is_alone: bool
    is_taken: bool = False


class Batcher(Generic[Item, Result]):
    """Runs items on threads of its own, from its making until `close`.

    `submit` may be called from any thread; `done` is called once an item, with its result or with
    what went wrong, on a compute thread and outside every lock, and `after_batch` when all of a
    batch are done. A failed batch fails its own items.
    """

    def __init__(
        self,
        run: Callable[[list[Item]], Sequence[Result]],
        *,
        threads: int,
        limits: BatchLimits,
        after_batch: Callable[[], None] = lambda: None,
        goes_alone: Callable[[Item], bool] = lambda _: False,
    ) -> None:
        """Make the threads. `goes_alone`: whether an item shares no batch with others."""
        self._run = run
        self._goes_alone = goes_alone
        self._after_batch = after_batch
        self.counts = BatchStats()
        self._limits = limits
        self._lock = threading.Lock()
        self._idle: list[threading.Condition] = []  # of threads that wait, the last to work last
        self._by_size: dict[int, deque[_Waiting[Item, Result]]] = {}
        self._sizes: list[int] = []  # the keys of _by_size, sorted
        # Of each source, the one whose turn it is first; also taken ones, until they would lead.
        self._by_age: OrderedDict[Source, deque[_Waiting[Item, Result]]] = OrderedDict()
        self._waiting = 0  # items
        self._queued = Allowance(limits.queued)
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"compute-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(
        self,
        items: Sequence[tuple[Item, int]],
        done: Callable[[int, Result | Exception], None],
        is_dropped: Callable[[], bool] = lambda: False,
        source: Source = None,
    ) -> None:
        """Queue items with their sizes: all of them, or none and raise Full or Closed.

        `done(index, result)` is called for each. `is_dropped` is asked when an item's turn comes;
        an item that its caller has given up is not computed and gets Dropped.
        """
        waiting: list[_Waiting[Item, Result]] = [
            _Waiting(source, item, size, index, done, is_dropped, self._goes_alone(item))
            for index, (item, size) in enumerate(items)
        ]
        by_size: dict[int, list[_Waiting[Item, Result]]] = {}
        for each in waiting:
            by_size.setdefault(each.size, []).append(each)
        total = sum(size for _, size in items)
        with self._lock:  # for no longer than it must be: everybody needs it
            if self._closed:
                raise Closed("the batcher is closed")
            if not self.has_room(source):
                raise self.full()
            self._queued.add(source, total)
            self._by_age.setdefault(source, deque()).extend(waiting)
            self._waiting += len(waiting)
            for size, of_size in by_size.items():
                self._add(size, of_size)
            self._wake(len(items))

    def has_room(self, source: Source) -> bool:
        """Whether `submit` would take more of this source now."""
        return self._queued.has_room(source)

    def full(self) -> Full:
        """Return the error of a queue that takes no more."""
        return Full(f"{self._queued.held} wait, {self._limits.queued} may")

    @property
    def queued(self) -> int:
        """Sum of the sizes that wait."""
        return self._queued.held

    def close(self) -> None:
        """Take no more items, finish those that wait, and wait for the threads to end."""
        with self._lock:
            self._closed = True
            self._wake(len(self._idle))
        for thread in self._threads:
            thread.join()

    def _add(self, size: int, waiting: Sequence[_Waiting[Item, Result]]) -> None:
        if size not in self._by_size:
            self._by_size[size] = deque()
            insort(self._sizes, size)
        self._by_size[size].extend(waiting)

    def _wake(self, count: int) -> None:
        """Wake threads, under the lock. The last to work first: its caches are still warm."""
        for _ in range(min(count, len(self._idle))):
            self._idle.pop().notify()

    def _work(self) -> None:
        work = threading.Condition(self._lock)
        while True:
            with self._lock:
                while not self._waiting and not self._closed:
                    self._idle.append(work)
                    work.wait()
                batch = self._take()
            if not batch:
                return
            self._finish(batch)
            self._after_batch()
            del batch  # while the thread waits, it must not keep what the items hold

    def _oldest(self) -> _Waiting[Item, Result] | None:
        """Return the oldest item of the source whose turn it is, which is then the last in turn."""
        while self._by_age:
            source, waiting = self._by_age.popitem(last=False)
            if _drop_taken(waiting):
                self._by_age[source] = waiting
                return waiting[0]
        return None

    def _take(self) -> list[_Waiting[Item, Result]]:
        """Take the item whose turn it is and the nearest in size; [] if none waits.

        Under the lock.
        """
        first = self._oldest()
        if first is None:
            return []
        first.is_taken = True
        batch = [first]
        longest = total = first.size
        for size in () if first.is_alone else self._nearest_sizes(first.size):
            queue = self._by_size[size]
            while _drop_taken(queue) and not queue[0].is_alone and len(batch) < self._limits.rows:
                rows, high = len(batch) + 1, max(longest, size)
                padded = rows * high
                fits = padded <= self._limits.budget or rows <= self._limits.least_rows
                dense = padded - (total + size) <= self._limits.padding * padded
                if not (fits and dense):
                    break
                waiting = queue.popleft()
                waiting.is_taken = True
                batch.append(waiting)
                longest, total = high, total + size
        self._forget(batch)
        return batch

    def _forget(self, batch: Sequence[_Waiting[Item, Result]]) -> None:
        """Count items that were taken as waiting no more, and drop sizes of which none waits."""
        self._waiting -= len(batch)
        for waiting in batch:
            self._queued.add(waiting.source, -waiting.size)
        for size in {waiting.size for waiting in batch}:
            if not _drop_taken(self._by_size[size]):
                del self._by_size[size]
                del self._sizes[bisect_left(self._sizes, size)]

    def _nearest_sizes(self, size: int) -> list[int]:
        """Give the sizes that wait, nearest first, as many as a batch can need."""
        middle = bisect_left(self._sizes, size)
        reach = self._limits.rows
        near = self._sizes[max(0, middle - reach) : middle + reach]
        return sorted(near, key=lambda other: abs(other - size))

    def _finish(self, batch: list[_Waiting[Item, Result]]) -> None:
        kept = []
        for waiting in batch:
            if waiting.is_dropped():
                waiting.done(waiting.index, Dropped("given up before it was computed"))
            else:
                kept.append(waiting)
        self._count(kept, len(batch) - len(kept))
        if not kept:
            return
        try:
            results = self._run([waiting.item for waiting in kept])
            if len(results) != len(kept):
                raise BadResults(f"{len(results)} results for {len(kept)} items")
        except Exception as error:  # whatever it is, it is these callers' answer
            for waiting in kept:
                waiting.done(waiting.index, error)
            return
        for waiting, result in zip(kept, results, strict=True):
            waiting.done(waiting.index, result)

    def _count(self, kept: list[_Waiting[Item, Result]], dropped: int) -> None:
        size = sum(waiting.size for waiting in kept)
        padded = len(kept) * max((waiting.size for waiting in kept), default=0)
        with self._lock:
            self.counts.dropped += dropped
            if kept:
                self.counts.batches += 1
                self.counts.items += len(kept)
                self.counts.size += size
                self.counts.padding += padded - size
                self.counts.rows.add(len(kept))
                self.counts.padded.add(padded)


def _drop_taken(queue: deque[_Waiting[Item, Result]]) -> bool:
    """Drop taken items from the head of a queue; tell whether anything is left."""
    while queue and queue[0].is_taken:
        queue.popleft()
    return bool(queue)
