"""Which characters of a text as sent stand behind each character of the cleaned text."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Edit = tuple[int, int, str]
"""Characters from a place to another that become others: what `edits` of a step returns."""


@dataclass(frozen=True)
class Aligned:
    """A text on its way through the steps."""

    text: str
    starts: NDArray[np.int64]  # of each character: the first character of the source behind it
    ends: NDArray[np.int64]  # and the last, plus 1

    @classmethod
    def of(cls, text: str) -> Self:
        """Return a text that no step has changed."""
        places = np.arange(len(text), dtype=np.int64)
        return cls(text, places, places + 1)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from `start` to `end`, one at least, come from."""
        return int(self.starts[start]), int(self.ends[end - 1])

    def edited(self, edits: Sequence[Edit]) -> "Aligned":
        """Return the text after edits that stand in order and do not overlap.

        What is put in comes from all characters that it replaces.
        """
        if not edits:
            return self
        begins, ends = np.array([edit[:2] for edit in edits], np.int64).T
        new = np.array([len(edit[2]) for edit in edits], np.int64)
        kept_from = np.concatenate([[0], ends])
        kept = np.concatenate([begins, [len(self.text)]]) - kept_from
        pieces = [self.text[at : at + count] for at, count in zip(kept_from, kept, strict=True)]
        text = "".join(
            [part for piece, edit in zip(pieces, edits, strict=False) for part in (piece, edit[2])]
            + pieces[-1:]
        )
        counts = np.empty(2 * len(edits) + 1, np.int64)  # characters kept and new, by turns
        counts[::2], counts[1::2] = kept, new
        first = np.empty(len(counts), np.int64)
        first[::2], first[1::2] = kept_from, begins
        last = first.copy()
        last[1::2] = ends - 1
        places = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        places[np.repeat(np.arange(len(counts)) % 2 == 1, counts)] = 0  # within what is new
        starts = self.starts[np.repeat(first, counts) + places]
        return Aligned(text, starts, self.ends[np.repeat(last, counts) + places])
