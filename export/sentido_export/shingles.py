"""Phrases of five words, and the texts that share them.

Compares each text with all that share a phrase with it, and stays quick where thousands do: a
phrase whose texts are all connected already is not looked at again.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTH = 5  # words of a phrase
_LEAST_WORDS = 10  # of a text that is compared
_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # an odd number without a pattern
_AT_ONCE = 1 << 23  # phrases that are sorted at a time: some 300 MB

_MOST_AT_ONCE = 1 << 24  # texts of phrases that are looked at for one text
MOST = 1 << 29  # in all; from then on only the first few texts of a phrase
_FEW = 32

Rows = NDArray[np.int64]


class Components:
    """Which of so many things are connected: a forest, in which each thing leads to its root."""

    def __init__(self, size: int) -> None:
        self._above = np.arange(size)

    def roots(self, rows: Rows) -> Rows:
        """Return what stands for the component of each of these things: its first one."""
        roots = self._above[rows]
        while not np.array_equal(roots, above := self._above[roots]):
            roots = above
        self._above[rows] = roots
        return roots

    def join(self, rows: Rows) -> None:
        """Connect these things with each other."""
        roots = np.unique(self.roots(rows))
        self._above[roots] = roots[:1]

    def numbers(self) -> Rows:
        """Return the number of each thing's component, from 0 in order of their first things."""
        return np.unique(self.roots(np.arange(len(self._above))), return_inverse=True)[1]


class Words:
    """Texts as numbers of their words."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)
        self._ids, self._lengths = array("i"), array("q")

    def add(self, words: Sequence[str]) -> None:
        """Add a text. Of those that are too short to be compared only the place is kept."""
        kept = words if len(words) >= _LEAST_WORDS else ()
        self._ids.extend(map(self._numbers.__getitem__, kept))
        self._lengths.append(len(kept))

    def index(self) -> "Index":
        """Return the phrases that several texts have."""
        lengths = np.array(self._lengths, np.int64)
        ids = np.array(self._ids, np.int32)
        owners = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
        distinct, sizes, rows = np.zeros(len(lengths), np.int64), [], []
        for phrases, of_rows in _sorted(ids, owners):
            is_first = _differs(phrases)
            is_new = is_first | _differs(of_rows)
            distinct += np.bincount(of_rows[is_new], minlength=len(lengths))
            texts = np.diff(np.flatnonzero(is_first[is_new]), append=is_new.sum())
            sizes.append(texts[texts > 1])
            rows.append(of_rows[is_new][np.repeat(texts > 1, texts)])
        return Index.of(lengths, distinct, np.concatenate(sizes), np.concatenate(rows))


def _differs(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return whether each value is another one than that before it."""
    found = np.ones(len(values), bool)
    found[1:] = values[1:] != values[:-1]
    return found


def _sorted(
    ids: NDArray[np.int32], owners: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int32]]]:
    """Yield all phrases, as numbers, with the text that each is of: equal ones in one part."""
    parts = np.uint64(len(ids) // _AT_ONCE + 1)
    for part in range(int(parts)):
        phrases, rows = [], []
        for start in range(0, max(1, len(ids)), _AT_ONCE):
            stop = start + _AT_ONCE + _LENGTH - 1
            numbers, of_rows = _phrases(ids[start:stop], owners[start:stop])
            chosen = (numbers >> np.uint64(32)) % parts == part
            phrases.append(numbers[chosen])
            rows.append(of_rows[chosen])
        numbers, of_rows = np.concatenate(phrases), np.concatenate(rows)
        order = np.argsort(numbers, kind="stable")  # stable: the texts of a phrase in their order
        yield numbers[order], of_rows[order]


def _phrases(
    ids: NDArray[np.int32], owners: NDArray[np.int32]
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return a number for each phrase within a text, and the text."""
    size = max(0, len(ids) - _LENGTH + 1)
    numbers = np.zeros(size, np.uint64)
    for place in range(_LENGTH):
        numbers = (numbers + ids[place : place + size].astype(np.uint64) + np.uint64(1)) * _FACTOR
        numbers ^= numbers >> np.uint64(29)
    is_within = owners[:size] == owners[len(owners) - size :]
    return numbers[is_within], owners[:size][is_within]


@dataclass(frozen=True)
class Index:
    """The phrases that several texts have, and the texts that have several of them."""

    words: Rows  # of each text
    distinct: Rows  # phrases of each text, those of one text only included
    texts: Rows  # phrase by phrase, in order of the texts
    starts: Rows  # of each phrase in `texts`, and its end
    phrases: Rows  # text by text
    phrase_starts: Rows  # of each text in `phrases`, and its end

    @classmethod
    def of(cls, words: Rows, distinct: Rows, sizes: Rows, texts: Rows) -> "Index":
        """Make an index of each phrase's texts; `sizes`: how many they are."""
        order = np.argsort(texts, kind="stable")
        of_each = np.bincount(texts, minlength=len(words))
        phrases = np.repeat(np.arange(len(sizes)), sizes)[order]
        return cls(words, distinct, texts, _ends(sizes), phrases, _ends(of_each))

    def candidates(self) -> Iterable[int]:
        """Return the texts that share half of their phrases with others."""
        shared = np.diff(self.phrase_starts)
        return np.flatnonzero((shared > 0) & (2 * shared >= self.distinct)).tolist()

    def phrases_of(self, text: int) -> Rows:
        """Return the phrases of a text that others have, too."""
        return self.phrases[self.phrase_starts[text] : self.phrase_starts[text + 1]]

    def texts_of(self, phrases: Rows, most: int | None) -> tuple[Rows, Rows]:
        """Return the texts of phrases, all or the first ones, and where those of each begin."""
        sizes = self.starts[phrases + 1] - self.starts[phrases]
        sizes = sizes if most is None else np.minimum(sizes, most)
        ends = _ends(sizes)
        places = np.arange(ends[-1]) + np.repeat(self.starts[phrases] - ends[:-1], sizes)
        return self.texts[places].astype(np.int64), ends[:-1]


def _ends(sizes: Rows) -> Rows:
    return np.concatenate(([0], np.cumsum(sizes)))


def connect(components: Components, index: Index, most: int = MOST) -> bool:
    """Connect texts of which the shorter shares half of its phrases with the other.

    Returns whether all were compared: not where so many share so much that `most` texts of phrases
    would not do.
    """
    is_settled = np.zeros(len(index.starts) - 1, bool)  # phrases whose texts are connected
    is_whole, left = True, most
    for text in index.candidates():
        phrases = index.phrases_of(text)
        phrases = phrases[~is_settled[phrases]]
        if 2 * len(phrases) < index.distinct[text]:
            continue  # a text that is not connected yet has none of the settled phrases
        cost = int((index.starts[phrases + 1] - index.starts[phrases]).sum())
        is_cheap = cost <= min(left, _MOST_AT_ONCE)
        is_whole &= is_cheap
        others, starts = index.texts_of(phrases, None if is_cheap else _FEW)
        left -= cost if is_cheap else 0
        found, shares = _counted(others, len(index.words))
        is_near = (2 * shares >= index.distinct[text]) & (index.words[found] >= index.words[text])
        components.join(np.append(found[is_near], text))
        if is_cheap:
            roots = components.roots(others)
            is_settled[phrases] = ~np.logical_or.reduceat(
                roots != components.roots(others[:1]), starts
            )
    return is_whole


def _counted(rows: Rows, size: int) -> tuple[Rows, Rows]:
    """Return the different ones of some rows, and how often each is there."""
    if len(rows) < size // 16:
        return np.unique(rows, return_counts=True)
    counts = np.bincount(rows)
    found = np.flatnonzero(counts)
    return found, counts[found]
