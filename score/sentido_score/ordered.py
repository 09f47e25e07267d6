"""Work on threads whose results come back in order, a few items ahead of who asks for them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")


def in_order(pool: Executor, work: Callable[[T], U], items: Iterable[T], ahead: int) -> Iterator[U]:
    """Give `work(item)` for each item in order, while the next `ahead` items are worked on.

    The items are taken on the caller's thread. What has not begun when it is closed never does.
    """
    in_flight: deque[Future[U]] = deque()
    try:
        for item in items:
            in_flight.append(pool.submit(work, item))
            if len(in_flight) > ahead:
                yield in_flight.popleft().result()
        while in_flight:
            yield in_flight.popleft().result()
    finally:
        for future in in_flight:
            future.cancel()


def read_ahead(items: Iterator[T], ahead: int = 2) -> Iterator[T]:
    """Take items on a thread of its own, `ahead` items before they are asked for."""
    pool = ThreadPoolExecutor(1, "sentido-read")

    def take(_: int) -> list[T]:
        return [item for item in [next(items, None)] if item is not None]

    try:
        for found in in_order(pool, take, iter(int, 1), ahead):
            if not found:
                return
            yield found[0]
    finally:
        pool.shutdown(wait=False)  # it may wait for a pipe that nobody writes to
