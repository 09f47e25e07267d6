r"""Which characters a part of a pattern matches: asked from Python's `re`, for every character.

So `\w`, `\s`, `\d`, classes of all kinds and the meaning of `(?i)` are Python's own, whatever
its version says of Unicode.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sentido_bundle.cleaning.errors import StepError

Spans = tuple[tuple[int, int], ...]  # of code points, the end not included

_CODE_POINTS = 0x110000
_IN_TABLE = 0x10000  # code points that are looked up; those beyond are rare, and searched for
_MOST_KINDS = 255


@lru_cache(128)
def spans_of(source: str, flags: int) -> Spans:
    """Return the characters that a pattern for one character matches, as sorted ranges.

    `[b-d]` gives ((98, 101),).
    """
    everything = np.arange(_CODE_POINTS, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    return tuple(match.span() for match in re.finditer(f"(?:{source})+", everything, flags))


def spans_of_codes(ranges: Iterable[tuple[int, int]]) -> Spans:
    """Return ranges of characters, the last ones included, sorted and joined: `((98, 101),)`."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1]:
            first, last = joined[-1][0], max(joined.pop()[1] - 1, last)
        joined.append((first, last + 1))
    return tuple(joined)


def others(spans: Spans) -> Spans:
    """Return all characters but these."""
    edges = [0, *(edge for span in spans for edge in span), _CODE_POINTS]
    return tuple((a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b)


class Alphabet:
    """The kinds of characters that a pattern tells apart, as small numbers. Immutable."""

    def __init__(self, sets: Sequence[Spans]) -> None:
        """Raise StepError for more kinds than a byte can number."""
        edges = sorted({0, *(edge for spans in sets for span in spans for edge in span)})
        self._edges = np.array([edge for edge in edges if edge < _CODE_POINTS], np.int64)
        held = np.zeros((len(sets), len(self._edges)), bool)
        for row, spans in zip(held, sets, strict=True):
            for begin, end in np.searchsorted(self._edges, np.array(spans).reshape(-1, 2)).tolist():
                row[begin:end] = True
        columns, kinds = np.unique(held, axis=1, return_inverse=True)
        self.count = columns.shape[1]
        if self.count > _MOST_KINDS:
            raise StepError(f"it tells {self.count} kinds of characters apart: write simpler ones")
        self.kinds_in: list[frozenset[int]] = [
            frozenset(np.flatnonzero(row).tolist()) for row in columns
        ]
        """The kinds of the characters of each of `sets`."""
        self._kinds = kinds.reshape(-1).astype(np.uint8)
        self._table = self._searched(np.arange(_IN_TABLE))
        self._ascii = self._table[:256].tobytes()

    def kinds(self, text: str) -> bytes:
        """Return the kind of each character of a text."""
        if text.isascii():
            return text.encode().translate(self._ascii)
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        found = self._table[np.minimum(codes, _IN_TABLE - 1)]
        beyond = np.flatnonzero(codes >= _IN_TABLE)
        found[beyond] = self._searched(codes[beyond])
        return bytes(found)

    def _searched(self, codes: NDArray[np.generic]) -> NDArray[np.uint8]:
        return self._kinds[np.searchsorted(self._edges, codes, side="right") - 1]
