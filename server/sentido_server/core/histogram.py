"""Counts of values by size, in Prometheus' way. Whoever adds from several threads locks."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray


class Histogram:
    """Values counted in buckets, each up to and including its bound, and their sum."""

    __slots__ = ("_counts", "bounds", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Take the buckets' upper bounds, ascending; one more bucket takes what is above."""
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def add_all(self, values: NDArray[np.float64]) -> None:
        """Count many values, (values,), for much less than one by one."""
        buckets = np.searchsorted(self.bounds, values)
        counts = np.bincount(buckets, minlength=len(self._counts)).tolist()
        self._counts = [old + new for old, new in zip(self._counts, counts, strict=True)]
        self.sum += float(values.sum())

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Give each bound, "+Inf" at last, with the number of values up to it."""
        total = 0
        for bound, count in zip((*self.bounds, float("inf")), self._counts, strict=True):
            total += count
            yield "+Inf" if bound == float("inf") else repr(float(bound)), total
