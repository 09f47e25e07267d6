"""The few rows that are worst in some way, of however many."""

import heapq
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass
class Worst(Generic[T]):
    """Keeps the items of the largest values; of equal ones those that came first. For one run."""

    most: int
    _heap: list[tuple[float, int, T]] = field(default_factory=list)
    _seen: int = 0

    def wanted(self, values: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the places of those values that may be among the largest."""
        if self.most == 0:
            return np.empty(0, np.int64)
        least = -np.inf if len(self._heap) < self.most else self._heap[0][0]
        there = np.flatnonzero(values > least)
        order = np.argsort(-values[there], kind="stable")[: self.most]
        return np.sort(there[order]).astype(np.int64)

    def add(self, value: float, item: T) -> None:
        """Keep an item, if its value is among the largest so far."""
        self._seen += 1
        entry = (value, -self._seen, item)
        if len(self._heap) < self.most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def items(self) -> list[tuple[float, T]]:
        """Return values and items, the worst first."""
        return [(value, item) for value, _, item in sorted(self._heap, reverse=True)]
