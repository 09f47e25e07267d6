"""Cuts texts into batches of near cost, and does work for many on several threads."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")

LEAST_ROWS, MOST_ROWS = 4, 16
"""Minimum and maximum texts per run, of any length: fewer waste CPU, more bring no speed-up."""

BATCH_TOKENS = 1280
"""Tokens with padding that are run at once, so that what a layer works on stays in the cache."""


def batches_of(costs: Sequence[int]) -> list[list[int]]:
    """Cut indices into batches of near cost, the dearest first so that threads end together."""
    order = sorted(range(len(costs)), key=lambda i: costs[i])
    batches = []
    while order:
        count = min(MOST_ROWS, max(LEAST_ROWS, BATCH_TOKENS // costs[order[-1]]))
        batches.append(order[-count:])
        del order[-count:]
    return batches


def on_threads(work: Callable[[T], U], items: Sequence[T], threads: int) -> list[U]:
    """Do the work for each item, in order; on threads only where there is something for several."""
    if threads == 1 or len(items) <= 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
