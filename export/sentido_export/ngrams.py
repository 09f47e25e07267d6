"""Texts as numbers of their words, and which n-grams are where in them.

What scikit-learn's CountVectorizer counts, but n-grams are numbers and are found by sorting: 25,000
reviews take seconds, not minutes, no strings of a million n-grams are kept, and it is known where
in a text each one ends.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Words = Sequence[str]  # of a text
Keys = NDArray[np.int64]  # a number for each n-gram of a text, in which those of its words are

_MARKED = 4  # words behind a negator
_MOST_WORDS = 1 << 20  # so that three of their numbers fit into 63 bits


def marked(words: Words, negators: Collection[str]) -> Words:
    """Return a text's words, those behind a negator as other words."""
    found, left = [], 0
    for word in words:
        found.append(f"not {word}" if left and word not in negators else word)
        left = _MARKED if word in negators else max(0, left - 1)
    return found


@dataclass(frozen=True)
class Numbered:
    """Texts as numbers of their words, one behind the other."""

    numbers: NDArray[np.int64]  # (words,); 0: one that is not known
    starts: NDArray[np.int64]  # (texts + 1,): where each text begins, and the last one ends

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, texts: NDArray[np.int64]) -> "Numbered":
        """Return some of the texts."""
        lengths = np.diff(self.starts)[texts]
        starts = np.r_[0, np.cumsum(lengths)]
        places = np.arange(starts[-1]) + np.repeat(self.starts[texts] - starts[:-1], lengths)
        return Numbered(self.numbers[places], starts)


class Numbers:
    """A number for each word, from 1."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def learn(self, texts: Iterable[Words]) -> Numbered:
        """Give each word of some texts a number, and return these texts."""

        def learned() -> Iterator[Words]:
            for words in texts:
                for word in words:
                    if len(self._of) + 1 < _MOST_WORDS:
                        self._of.setdefault(word, len(self._of) + 1)
                yield words

        return self.of(learned())

    def of(self, texts: Iterable[Words]) -> Numbered:
        """Return texts as numbers of their words."""
        found = [np.array([self._of.get(word, 0) for word in words], np.int32) for words in texts]
        starts = np.cumsum([0, *map(len, found)])
        return Numbered(np.concatenate([*found, np.zeros(0, np.int64)]), starts)


@dataclass(frozen=True)
class Prefixes:
    """Beginnings of texts: the first `words` words of the text `of`, text by text."""

    of: NDArray[np.int64]  # (prefixes,)
    words: NDArray[np.int64]  # (prefixes,)


@dataclass(frozen=True)
class Found:
    """Which n-grams are in some texts, ordered by where they end."""

    texts: NDArray[np.int32]  # (found,), in which text
    ends: NDArray[np.int64]  # (found,), at which word of all
    ngrams: NDArray[np.int32]  # (found,), which one


class NGrams:
    """The n-grams of 1 to `longest` words that at least `least` texts have."""

    def __init__(self, parts: Sequence[Numbered], longest: int, least: int) -> None:
        self._longest = longest
        texts = _joined(parts)
        self._kept = [_frequent(keys, of, least) for keys, _, of in self._keys(texts)]

    @property
    def count(self) -> int:
        """The number of n-grams."""
        return sum(map(len, self._kept))

    def find(self, texts: Numbered) -> Found:
        """Return which n-grams are where."""
        parts, before = [], 0
        for kept, (keys, ends, of) in zip(self._kept, self._keys(texts), strict=True):
            places = np.searchsorted(kept, keys)
            is_kept = np.append(kept, -1)[places] == keys
            parts.append((of[is_kept], ends[is_kept], places[is_kept] + before))
            before += len(kept)
        of, ends, ngrams = map(np.concatenate, zip(*parts, strict=True))
        order = np.argsort(ends, kind="stable")
        return Found(of[order], ends[order], ngrams[order].astype(np.int32))

    def counts(self, texts: Numbered) -> csr_array:
        """Return how often each text has each n-gram: (texts, count)."""
        found = self.find(texts)
        ones = np.ones(len(found.ends), np.float32)
        shape = (len(texts), self.count)
        return csr_array((ones, (found.texts, found.ngrams)), shape=shape)  # adds up equal ones

    def _keys(self, texts: Numbered) -> Iterator[tuple[Keys, NDArray[np.int64], NDArray[np.int32]]]:
        """Yield the keys of all 1-grams, then of 2-grams and so on, with their ends and texts."""
        keys = texts.numbers
        of = np.repeat(np.arange(len(texts), dtype=np.int32), np.diff(texts.starts))
        ends = np.arange(len(keys))
        for longest in range(1, self._longest + 1):
            if longest > 1:
                keys = keys[:-1] * _MOST_WORDS + texts.numbers[longest - 1 :]
            first, last = of[: len(keys)], of[longest - 1 :]
            is_known = (first == last) & (keys % _MOST_WORDS > 0)
            yield keys[is_known], ends[longest - 1 :][is_known], first[is_known]


def _joined(parts: Sequence[Numbered]) -> Numbered:
    """Return the texts of all parts."""
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    numbers = np.concatenate([part.numbers for part in parts])
    return Numbered(numbers, np.r_[0, np.cumsum(lengths)])


def _frequent(keys: Keys, of: NDArray[np.int32], least: int) -> Keys:
    """Return the keys that at least so many texts have, in order."""
    order = np.lexsort((of, keys))
    keys, of = keys[order], of[order]
    found, texts = np.unique(keys[are_new(keys, of)], return_counts=True)
    return found[texts >= least]


def are_new(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which pairs of two sorted arrays are another pair than the one before."""
    differ = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    is_new: NDArray[np.bool_] = np.r_[True, differ][: len(first)]
    return is_new
